"""grpc-interceptor's base classes around our client and server, blocking and asyncio."""

import asyncio
from concurrent import futures

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from grpc_interceptor import AsyncServerInterceptor, ClientInterceptor, ExceptionToStatusInterceptor, ServerInterceptor
from grpc_interceptor.exceptions import GrpcException, NotFound

seen = []


class Recorder(ServerInterceptor):
    def intercept(self, method, request_or_iterator, context, method_name):
        seen.append(("server", method_name))
        return method(request_or_iterator, context)


class AsyncRecorder(AsyncServerInterceptor):
    async def intercept(self, method, request_or_iterator, context, method_name):
        seen.append(("async server", method_name))
        response = method(request_or_iterator, context)
        return response if hasattr(response, "__aiter__") else await response


class Signer(ClientInterceptor):
    def intercept(self, method, request_or_iterator, call_details):
        metadata = [*(call_details.metadata or ()), ("signed", "yes")]
        return method(request_or_iterator, call_details._replace(metadata=metadata))


def look_up(request, context):
    if request.value == "none":
        raise NotFound("no such thing")
    if request.value == "odd":
        raise GrpcException(details="odd", status_code=grpc.StatusCode.FAILED_PRECONDITION)
    return StringValue(value=dict(context.invocation_metadata()).get("signed", "no"))


def count(request, context):
    for number in range(int(request.value)):
        yield StringValue(value=str(number))


async def look_up_async(request, context):
    return look_up(request, context)


async def count_async(request, context):
    for response in count(request, context):
        yield response


CODEC = (StringValue.FromString, StringValue.SerializeToString)


def handlers(look_up, count):
    return (
        grpc.method_handlers_generic_handler(
            "test.Things",
            {
                "LookUp": grpc.unary_unary_rpc_method_handler(look_up, *CODEC),
                "Count": grpc.unary_stream_rpc_method_handler(count, *CODEC),
            },
        ),
    )


def call(port):
    channel = grpc.intercept_channel(grpc.insecure_channel(f"localhost:{port}"), Signer())
    look_up = channel.unary_unary("/test.Things/LookUp", *reversed(CODEC))
    assert look_up(StringValue(value="a")).value == "yes"
    assert look_up.future(StringValue(value="a")).result().value == "yes"
    numbers = channel.unary_stream("/test.Things/Count", *reversed(CODEC))(StringValue(value="3"))
    assert [number.value for number in numbers] == ["0", "1", "2"]
    return look_up


server = grpc.server(
    futures.ThreadPoolExecutor(4),
    handlers=handlers(look_up, count),
    interceptors=[Recorder(), ExceptionToStatusInterceptor()],
)
port = server.add_insecure_port("localhost:0")
server.start()
blocking = call(port)
for request, code, details in (
    ("none", grpc.StatusCode.NOT_FOUND, "no such thing"),
    ("odd", grpc.StatusCode.FAILED_PRECONDITION, "odd"),
):
    try:
        blocking(StringValue(value=request))
        raise AssertionError("no error")
    except grpc.RpcError as error:
        assert (error.code(), error.details()) == (code, details), error
assert ("server", "/test.Things/Count") in seen
server.stop(None)


async def on_a_loop():
    server = grpc.aio.server(handlers=handlers(look_up_async, count_async), interceptors=[AsyncRecorder()])
    port = server.add_insecure_port("localhost:0")
    await server.start()
    await asyncio.get_running_loop().run_in_executor(None, call, port)
    await server.stop(None)
    assert ("async server", "/test.Things/LookUp") in seen


asyncio.run(on_a_loop())
print("done")
