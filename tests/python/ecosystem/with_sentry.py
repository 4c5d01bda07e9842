"""sentry-sdk's gRPC integration traces calls and reports a handler's error, blocking and asyncio."""

import asyncio
from concurrent import futures

import grpc
import sentry_sdk
from google.protobuf.wrappers_pb2 import StringValue
from sentry_sdk.integrations.grpc import GRPCIntegration
from sentry_sdk.transport import Transport

events = []


class Kept(Transport):
    def capture_envelope(self, envelope):
        events.extend(item.payload.json for item in envelope.items if item.payload.json)


sentry_sdk.init(
    dsn="http://key@127.0.0.1:1/1", transport=Kept, traces_sample_rate=1.0, integrations=[GRPCIntegration()]
)

CODEC = (StringValue.FromString, StringValue.SerializeToString)


def look_up(request, context):
    if request.value == "broken":
        raise ValueError("a handler's error")
    return StringValue(value=request.value.upper())


async def look_up_async(request, context):
    return look_up(request, context)


def handlers(look_up):
    methods = {"LookUp": grpc.unary_unary_rpc_method_handler(look_up, *CODEC)}
    return (grpc.method_handlers_generic_handler("test.Things", methods),)


def check():
    sentry_sdk.flush()
    errors = [event["exception"]["values"][-1]["value"] for event in events if "exception" in event]
    assert "a handler's error" in errors, events
    names = [event.get("transaction") for event in events if event.get("type") == "transaction"]
    assert any("test.Things/LookUp" in str(name) for name in names), names
    events.clear()


def blocking():
    server = grpc.server(futures.ThreadPoolExecutor(4), handlers=handlers(look_up))
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel, sentry_sdk.start_transaction(name="client"):
        look = channel.unary_unary("/test.Things/LookUp", *CODEC[::-1])
        assert look(StringValue(value="a")).value == "A"
        try:
            look(StringValue(value="broken"))
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNKNOWN
    server.stop(None).wait()
    check()


async def on_a_loop():
    server = grpc.aio.server(handlers=handlers(look_up_async))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        look = channel.unary_unary("/test.Things/LookUp", *CODEC[::-1])
        assert (await look(StringValue(value="a"))).value == "A"
        try:
            await look(StringValue(value="broken"))
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNKNOWN
    await server.stop(None)
    check()


blocking()
asyncio.run(on_a_loop())
print("done")
