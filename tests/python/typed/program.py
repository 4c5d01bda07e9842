"""A program that uses much of the public API, for type checkers: it is not run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent import futures
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import grpc.aio
import grpc_health.v1.health
import grpc_reflection.v1alpha.reflection
import grpc_status.rpc_status
from greeter_pb2 import HelloReply, HelloRequest
from greeter_pb2_grpc import GreeterServicer, GreeterStub, add_GreeterServicer_to_server
from typing_extensions import assert_type

if TYPE_CHECKING:
    from greeter_pb2_grpc import GreeterAsyncStub


def credentials() -> grpc.ChannelCredentials:
    class Plugin(grpc.AuthMetadataPlugin):
        def __call__(self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback) -> None:
            callback((("authorization", context.service_url),), None)

    return grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(root_certificates=b""),
        grpc.metadata_call_credentials(Plugin()),
        grpc.access_token_call_credentials("token"),
    )


class Details(NamedTuple):
    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str | bytes]] | None
    credentials: grpc.CallCredentials | None


class NamedDetails(Details, grpc.ClientCallDetails):
    """As programs write it."""


class Logged(grpc.UnaryUnaryClientInterceptor):
    def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.ClientCallDetails, Any], Any],
        client_call_details: grpc.ClientCallDetails,
        request: Any,
    ) -> Any:
        metadata = [*(client_call_details.metadata or ()), ("key", "value")]
        details = NamedDetails(client_call_details.method, client_call_details.timeout, None, None)
        return continuation(details, metadata and request)


def described(error: grpc.RpcError) -> str:
    """As the guide has it: every error of a call has both."""
    assert_type(error.code(), grpc.StatusCode)
    return error.details() or error.code().name


def blocking() -> None:
    options = [("grpc.max_receive_message_length", -1), ("grpc.primary_user_agent", "me")]
    with grpc.insecure_channel("localhost:1", options=options, compression=grpc.Compression.Gzip) as channel:
        assert_type(channel, grpc.Channel)
        grpc.channel_ready_future(channel).result(timeout=1)
        stub = GreeterStub(grpc.intercept_channel(channel, Logged()))
        request = HelloRequest(name="you")
        assert_type(stub.SayHello(request, timeout=1.5, metadata=[("k", "v"), ("k-bin", b"v")]), HelloReply)
        reply, call = stub.SayHello.with_call(HelloRequest(), wait_for_ready=True)
        assert_type(reply, HelloReply)
        assert_type(call.code(), grpc.StatusCode)
        for key, value in call.trailing_metadata():
            print(key, value)
        future = stub.SayHello.future(HelloRequest())
        future.add_done_callback(print)
        for each in stub.SayHellos(HelloRequest()):
            print(each.message)
        assert_type(stub.HearHellos(iter([HelloRequest()])), HelloReply)
        responses = stub.Chat(iter([HelloRequest()]))
        responses.cancel()
        raw = channel.unary_unary(
            "/a.B/C", request_serializer=lambda text: text.encode(), response_deserializer=HelloReply.FromString
        )
        assert_type(raw(""), HelloReply)
        channel.unary_stream("/a.B/C")
        channel.subscribe(lambda connectivity: print(connectivity.name), try_to_connect=True)
    try:
        grpc.secure_channel("localhost:1", credentials()).close()
    except grpc.RpcError as error:
        if isinstance(error, grpc.Call):
            assert_type(error.code(), grpc.StatusCode)
            print(error.details(), grpc_status.rpc_status.from_call(error))


class Guard(grpc.ServerInterceptor):
    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler | None:
        print(handler_call_details.method, handler_call_details.invocation_metadata)
        return continuation(handler_call_details)


class Greeter(GreeterServicer):
    def SayHello(self, request: HelloRequest, context: grpc.ServicerContext) -> HelloReply:
        context.set_trailing_metadata((("key", "value"),))
        context.add_callback(lambda: None)
        if not request.name:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{context.peer()}: no name")
        return HelloReply(message=request.name)


class AsyncGreeter(GreeterServicer):
    async def SayHello(self, request: HelloRequest, context: grpc.aio.ServicerContext) -> HelloReply:
        await context.send_initial_metadata((("key", "value"),))
        if not request.name:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no name")
        return HelloReply(message=request.name)


def counted(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    yield from (b"%d" % number for number in range(int(request)))


async def counted_async(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> AsyncIterator[bytes]:
    for number in range(int(request)):
        yield b"%d" % number


def handlers(count: Callable[..., Any]) -> Sequence[grpc.GenericRpcHandler]:
    return [grpc.method_handlers_generic_handler("a.B", {"Count": grpc.unary_stream_rpc_method_handler(count)})]


def serve() -> None:
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=4), handlers(counted), [Guard()], maximum_concurrent_rpcs=10
    )
    assert_type(server, grpc.Server)
    add_GreeterServicer_to_server(Greeter(), server)
    grpc_reflection.v1alpha.reflection.enable_server_reflection(["a.B"], server)
    assert_type(server.add_insecure_port("[::]:0"), int)
    server.add_secure_port("[::]:0", grpc.ssl_server_credentials([(b"key", b"chain")]))
    server.start()
    server.wait_for_termination(timeout=1)
    server.stop(grace=None).wait()


class AsyncLogged(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        details = client_call_details._replace(timeout=1)
        return await continuation(details, request)


async def asynchronous(stub: GreeterAsyncStub) -> None:
    call = stub.SayHello(HelloRequest(), timeout=1, metadata=grpc.aio.Metadata(("key", "value")))
    assert_type(await call, HelloReply)
    assert_type(await call.code(), grpc.StatusCode)
    async for each in stub.SayHellos(HelloRequest()):
        assert_type(each, HelloReply)
    chat = stub.Chat()
    await chat.write(HelloRequest())
    await chat.done_writing()
    if (reply := await chat.read()) is not grpc.aio.EOF:
        print(reply)
    try:
        assert_type(await stub.HearHellos([HelloRequest()]), HelloReply)
    except grpc.aio.AioRpcError as error:
        assert_type(error.code(), grpc.StatusCode)
        print(error.details(), error.trailing_metadata())


async def both() -> None:
    async with grpc.aio.insecure_channel("localhost:1", interceptors=[AsyncLogged()]) as channel:
        await channel.channel_ready()
        await asynchronous(GreeterStub(channel))
        raw = channel.unary_unary("/a.B/C")
        print(await raw(b""))
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(handlers(counted_async))
    add_GreeterServicer_to_server(AsyncGreeter(), server)
    health = grpc_health.v1.health.aio.HealthServicer()
    await health.enter_graceful_shutdown()
    server.add_insecure_port("[::]:0")
    await server.start()
    await server.stop(grace=1)
    await server.wait_for_termination()


def any_face(channel: grpc.Channel | grpc.aio.Channel, method: grpc.aio.UnaryUnaryMultiCallable) -> None:
    """Types of messages need not be named."""
