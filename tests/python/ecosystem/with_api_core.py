"""google-api-core on our client and server: errors are mapped, calls retried, streams wrapped, blocking and asyncio."""

import asyncio
from concurrent import futures

import grpc
from google.api_core import exceptions, grpc_helpers, grpc_helpers_async, retry
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

attempts = []


def look_up(request, context):
    attempts.append(request)
    if request == b"flaky" and len(attempts) < 3:
        context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
    if request == b"rich":
        status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="too much")
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason="QUOTA", domain="test"))
        context.abort_with_status(rpc_status.to_status(status))
    if request == b"none":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    return request.upper()


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number
    context.abort(grpc.StatusCode.DATA_LOSS, "lost the rest")


server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers(
    (
        grpc.method_handlers_generic_handler(
            "test.Things",
            {
                "LookUp": grpc.unary_unary_rpc_method_handler(look_up),
                "Count": grpc.unary_stream_rpc_method_handler(count),
            },
        ),
    )
)
port = server.add_insecure_port("localhost:0")
server.start()
channel = grpc.insecure_channel(f"localhost:{port}")

wrapped = grpc_helpers.wrap_errors(channel.unary_unary("/test.Things/LookUp"))
assert wrapped(b"a") == b"A"
try:
    wrapped(b"none")
    raise AssertionError("no error")
except exceptions.NotFound as error:
    assert error.message == "no such thing", error.message
    assert error.grpc_status_code is grpc.StatusCode.NOT_FOUND
try:
    wrapped(b"rich")
    raise AssertionError("no error")
except exceptions.ResourceExhausted as error:
    assert error.details[0].reason == "QUOTA", error.details

attempts.clear()
retrying = retry.Retry(predicate=retry.if_exception_type(exceptions.ServiceUnavailable), initial=0.01)
assert retrying(wrapped)(b"flaky") == b"FLAKY"
assert len(attempts) == 3

stream = grpc_helpers.wrap_errors(channel.unary_stream("/test.Things/Count"))(b"2")
assert [next(stream), next(stream)] == [b"0", b"1"]
try:
    next(stream)
    raise AssertionError("no error")
except exceptions.DataLoss as error:
    assert error.message == "lost the rest"


async def on_a_loop():
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        wrapped = grpc_helpers_async.wrap_errors(channel.unary_unary("/test.Things/LookUp"))
        assert await wrapped(b"b") == b"B"
        try:
            await wrapped(b"none")
            raise AssertionError("no error")
        except exceptions.NotFound as error:
            assert error.message == "no such thing"
        stream = await grpc_helpers_async.wrap_errors(channel.unary_stream("/test.Things/Count"))(b"2")
        assert await stream.read() == b"0"


asyncio.run(on_a_loop())
server.stop(None)
print("done")
