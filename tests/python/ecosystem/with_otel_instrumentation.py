"""OpenTelemetry's instrumentation traces calls of all kinds from client to server, blocking and asyncio."""

import asyncio
import time
from concurrent import futures

import grpc
from opentelemetry import trace
from opentelemetry.instrumentation.grpc import (
    GrpcAioInstrumentorClient,
    GrpcAioInstrumentorServer,
    GrpcInstrumentorClient,
    GrpcInstrumentorServer,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

# Five calls, each with a span of its client and one of its server.
SPANS = 10

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

for instrumentor in (
    GrpcInstrumentorClient,
    GrpcInstrumentorServer,
    GrpcAioInstrumentorClient,
    GrpcAioInstrumentorServer,
):
    instrumentor().instrument()


def look_up(request, context):
    assert trace.get_current_span().is_recording(), "the handler runs in its span"
    if request == b"none":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    return request


def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def add(requests, context):
    return b"%d" % sum(int(request) for request in requests)


def double(requests, context):
    for request in requests:
        yield request * 2


async def look_up_async(request, context):
    assert trace.get_current_span().is_recording(), "the handler runs in its span"
    if request == b"none":
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
    return request


async def count_async(request, context):
    for number in range(int(request)):
        yield b"%d" % number


async def add_async(requests, context):
    return b"%d" % sum([int(request) async for request in requests])


async def double_async(requests, context):
    async for request in requests:
        yield request * 2


def handlers(look_up, count, add, double):
    methods = {
        "LookUp": grpc.unary_unary_rpc_method_handler(look_up),
        "Count": grpc.unary_stream_rpc_method_handler(count),
        "Add": grpc.stream_unary_rpc_method_handler(add),
        "Double": grpc.stream_stream_rpc_method_handler(double),
    }
    return (grpc.method_handlers_generic_handler("test.Things", methods),)


def check():
    """A client's span and a server's for each call, the server's a child of the client's; errors are marked."""
    # Some end in callbacks, which another thread runs.
    give_up = time.monotonic() + 20
    while len(exporter.get_finished_spans()) < SPANS and time.monotonic() < give_up:
        time.sleep(0.01)
    spans = exporter.get_finished_spans()
    exporter.clear()
    for kind in ("LookUp", "Count", "Add", "Double"):
        clients = {span.context.span_id: span for span in spans if span.kind is SpanKind.CLIENT and kind in span.name}
        servers = [span for span in spans if span.kind is SpanKind.SERVER and kind in span.name]
        assert clients and len(clients) == len(servers), (kind, [(span.kind, span.name) for span in spans])
        for span in servers:
            assert span.parent.span_id in clients, (kind, "has no client for its parent")
            client = clients[span.parent.span_id]
            assert span.context.trace_id == client.context.trace_id
    failed = [span for span in spans if span.status.status_code is StatusCode.ERROR]
    assert any(span.kind is SpanKind.CLIENT for span in failed), "the client's span says that its call failed"


def blocking():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers(handlers(look_up, count, add, double))
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        look = channel.unary_unary("/test.Things/LookUp")
        assert look(b"a") == b"a"
        try:
            look(b"none")
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
        assert list(channel.unary_stream("/test.Things/Count")(b"3")) == [b"0", b"1", b"2"]
        assert channel.stream_unary("/test.Things/Add")(iter([b"1", b"2"])) == b"3"
        assert list(channel.stream_stream("/test.Things/Double")(iter([b"1", b"2"]))) == [b"11", b"22"]
    server.stop(None).wait()
    check()


async def on_a_loop():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(handlers(look_up_async, count_async, add_async, double_async))
    port = server.add_insecure_port("localhost:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        look = channel.unary_unary("/test.Things/LookUp")
        assert await look(b"a") == b"a"
        try:
            await look(b"none")
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
        assert [number async for number in channel.unary_stream("/test.Things/Count")(b"3")] == [b"0", b"1", b"2"]
        assert await channel.stream_unary("/test.Things/Add")(iter([b"1", b"2"])) == b"3"
        doubled = channel.stream_stream("/test.Things/Double")(iter([b"1", b"2"]))
        assert [number async for number in doubled] == [b"11", b"22"]
    await server.stop(None)
    await asyncio.to_thread(check)


blocking()
asyncio.run(on_a_loop())
print("done")
