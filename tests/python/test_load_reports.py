"""Load reports of servers: in the trailers of every kind of call, on a stream of their own, and balancing by them."""

from __future__ import annotations

import contextlib
import json
import struct
import threading
import time

import grpc
import grpc.aio
import pytest
from faces import FACES
from farcall import orca
from peers import LONG
from serving import KINDS, serving

KEY = "endpoint-load-metrics-bin"
SERVICE = "xds.service.orca.v3.OpenRcaService"

INTERCEPTORS = {"blocking": orca.interceptor, "asyncio": orca.aio_interceptor}


def server_load():
    load = orca.Load()
    load.set_application_utilization(0.3)
    return load


def expected():
    load = orca.Load()
    load.set_request_cost("rows", 20)
    return load.encode(server_load())


def said(request, context):
    orca.call_load(context).set_request_cost("rows", 20)
    return request


def answer(request, context):
    if said(request, context) == b"fail":
        context.abort(grpc.StatusCode.INTERNAL, "it is broken")
    return request


def answers(request, context):
    yield b"first"
    yield answer(request, context)


async def aio_answer(request, context):
    if said(request, context) == b"fail":
        await context.abort(grpc.StatusCode.INTERNAL, "it is broken")
    return request


async def aio_answers(request, context):
    yield b"first"
    yield await aio_answer(request, context)


async def aio_answer_many(requests, context):
    return await aio_answer(await anext(aiter(requests)), context)


async def aio_answers_many(requests, context):
    yield await aio_answer(await anext(aiter(requests)), context)


async def aio_write(request, context):
    await context.write(b"first")
    await context.write(await aio_answer(request, context))


THREADS = {
    "uu": ("uu", answer),
    "us": ("us", answers),
    "su": ("su", lambda requests, context: answer(next(requests), context)),
    "ss": ("ss", lambda requests, context: answers(next(requests), context)),
}
COROUTINES = {
    "uu": ("uu", aio_answer),
    "us": ("us", aio_answers),
    "su": ("su", aio_answer_many),
    "ss": ("ss", aio_answers_many),
    "written": ("us", aio_write),
}

HANDLERS = {"blocking": THREADS, "asyncio": COROUTINES, "asyncio on threads": THREADS}


def trailers(channel, kind, name, request):
    """What a call ends with."""
    kinds = {"uu": "unary_unary", "us": "unary_stream", "su": "stream_unary", "ss": "stream_stream"}
    method = getattr(channel, kinds[kind])("/test/" + name)
    argument = request if kind[0] == "u" else iter([request])
    if kind[1] == "u":
        call = method.future(argument, timeout=LONG)
        call.exception()
    else:
        call = method(argument, timeout=LONG)
        with contextlib.suppress(grpc.RpcError):
            list(call)
    expected_code = grpc.StatusCode.INTERNAL if request == b"fail" else grpc.StatusCode.OK
    assert call.code() is expected_code
    return dict(call.trailing_metadata())


@pytest.mark.parametrize("request_", [b"", b"fail"])
@pytest.mark.parametrize("server", HANDLERS)
def test_every_kind_of_call_ends_with_a_report(server, request_):
    kind = server.split()[0]
    interceptors = [INTERCEPTORS[kind](server_load())]
    handlers = HANDLERS[server]
    with (
        serving(kind, handlers, interceptors=interceptors) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        for name, (kind, _) in handlers.items():
            assert trailers(channel, kind, name, request_).get(KEY) == expected(), name


@pytest.mark.parametrize("kind", KINDS)
def test_trailers_of_the_handler_stay_and_a_report_that_says_nothing_is_none(kind):
    def handler(request, context):
        context.set_trailing_metadata((("mine", "1"),))
        return request

    load = orca.Load()
    interceptors = [INTERCEPTORS[kind](load)]
    with (
        serving(kind, {"uu": ("uu", handler)}, interceptors=interceptors) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        assert trailers(channel, "uu", "uu", b"") == {"mine": "1"}
        load.set_cpu_utilization(0.5)
        assert trailers(channel, "uu", "uu", b"") == {"mine": "1", KEY: load.encode()}
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/test/none")(b"", timeout=LONG)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_load_that_nobody_reads():
    orca.call_load(object).set_qps(1)
    load = orca.Load()
    for value in (float("nan"), -1, float("inf")):
        load.set_cpu_utilization(value)
        load.set_memory_utilization(value)
        load.set_qps(value)
        load.set_eps(value)
        load.set_utilization("disk", value)
    assert load.encode() == b""
    load.set_named_metric("queue", -1)
    load.clear()
    assert load.encode() == b""


@contextlib.contextmanager
def reporting(kind, load, least=0.005):
    """A server with the service, of this kind."""
    module = {"blocking": grpc, "asyncio": grpc.aio}[kind]
    real = module.server

    def with_reports(*arguments, **keywords):
        server = real(*arguments, **keywords)
        orca.add_service(load, server, least_interval=least)
        return server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "server", with_reports)
        with serving(kind, {"uu": ("uu", answer)}, workers=1) as port:
            yield port


@pytest.mark.parametrize("kind", KINDS)
def test_reports_on_a_stream_hold_no_thread_and_end_with_it(kind):
    load = server_load()
    with reporting(kind, load) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stream = channel.unary_stream(f"/{SERVICE}/StreamCoreMetrics")
        calls = [stream(b"", timeout=LONG) for _ in range(3)]
        for call in calls:
            assert next(call) == load.encode()
        load.set_application_utilization(0.9)
        for call in calls:
            assert any(report == load.encode() for report in call)
            call.cancel()
        assert channel.unary_unary("/test/uu")(b"x", timeout=LONG) == b"x"
        with pytest.raises(grpc.RpcError) as caught:
            list(stream(b"\x0a\x01\xff", timeout=LONG))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        until = time.monotonic() + LONG
        while any(thread.name == "farcall-orca" for thread in threading.enumerate()):
            assert time.monotonic() < until
            time.sleep(0.01)


def test_an_interval_that_cannot_be():
    with pytest.raises(ValueError, match="least_interval"):
        orca.add_service(orca.Load(), grpc.server(None), least_interval=0)


def named(name):
    return lambda request, context: name


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("kind", KINDS)
def test_weighted_round_robin_sends_calls_where_there_is_room(kind, face):
    with contextlib.ExitStack() as stack:
        ports = []
        for name, utilization in ((b"a", 0.8), (b"b", 0.2), (b"c", 0.8)):
            load = orca.Load()
            load.set_application_utilization(utilization)
            load.set_qps(100)
            arguments = {"interceptors": [INTERCEPTORS[kind](load)]}
            ports.append(stack.enter_context(serving(kind, {"name": ("uu", named(name))}, **arguments)))
        policy = {"weighted_round_robin": {"blackoutPeriod": "0s", "weightUpdatePeriod": "0.1s"}}
        options = [("grpc.service_config", json.dumps({"loadBalancingConfig": [policy]}))]
        target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
        channel = stack.enter_context(FACES[face](target, options))
        until = time.monotonic() + LONG
        # Four times as much as each of the others: two calls of three.
        while abs([channel.ask("name") for _ in range(60)].count(b"b") - 40) > 2:
            assert time.monotonic() < until


def test_the_fields_of_a_report():
    load = orca.Load()
    load.set_cpu_utilization(1.5)
    load.set_memory_utilization(0.5)
    load.set_qps(2)
    load.set_eps(3)
    load.set_application_utilization(4)
    fields = ((1, 1.5), (2, 0.5), (6, 2), (7, 3), (9, 4))
    assert load.encode() == b"".join(struct.pack("<Bd", field << 3 | 1, value) for field, value in fields)
