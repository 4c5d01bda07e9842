"""Requests that begin and do not go on: they cost a server no thread, and nobody waits behind them."""

from __future__ import annotations

import threading
from concurrent import futures

import grpc
import pytest
from peers import LONG
from serving import (
    DATA,
    END_STREAM,
    HEADERS,
    KINDS,
    RST_STREAM,
    Wire,
    frame,
    message,
    request_headers,
    serving,
)

pytestmark = pytest.mark.better_than_grpcio("each half a request holds a thread of the pool")

ECHO = {
    "echo": ("uu", lambda request, _context: request),
    "repeat": ("us", lambda request, _context: iter([request] * 2)),
    "sum": ("su", lambda requests, _context: b"%d" % sum(int(request) for request in requests)),
}


def begin(wire, path, count):
    """So many requests of which only the first five bytes come."""
    for call in range(count):
        stream = 1 + 2 * call
        wire.send(request_headers(path, stream), frame(DATA, 0, stream, b"\0\0\0\0\5"))
    wire.ping()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", [b"/test/echo", b"/test/repeat"])
def test_half_requests_hold_no_thread(kind, path):
    with serving(kind, ECHO, workers=2) as port, Wire(port) as wire:
        wire.greet()
        begin(wire, path, 20)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for _ in range(10):
                assert channel.unary_unary("/test/echo")(b"x", timeout=LONG) == b"x"
        # The other half comes: each is answered.
        for call in range(20):
            wire.send(frame(DATA, END_STREAM, 1 + 2 * call, b"hello"))
        answers = {}
        while len(answers) < 20:
            _, _, stream, payload = wire.read_until(DATA)
            answers.setdefault(stream, payload)
        assert all(payload.startswith(b"\0\0\0\0\5hello") for payload in answers.values())


@pytest.mark.parametrize("kind", KINDS)
def test_half_requests_do_not_count_against_the_limit_of_calls(kind):
    with serving(kind, ECHO, maximum_concurrent_rpcs=2) as port, Wire(port) as wire:
        wire.greet()
        begin(wire, b"/test/echo", 20)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            for _ in range(10):
                assert channel.unary_unary("/test/echo")(b"x", timeout=LONG) == b"x"


@pytest.mark.parametrize("kind", KINDS)
def test_a_half_request_that_is_given_up_or_past_its_deadline_is_over(kind):
    with serving(kind, ECHO, workers=1, maximum_concurrent_rpcs=1) as port, Wire(port) as wire:
        wire.greet()
        wire.send(request_headers(b"/test/echo", 1, timeout=b"10m"), frame(DATA, 0, 1, b"\0\0\0\0\5"))
        wire.read_until(HEADERS, 1)
        wire.send(request_headers(b"/test/echo", 3), frame(RST_STREAM, 0, 3, b"\0\0\0\x08"))
        # Half-closed without a message.
        wire.send(request_headers(b"/test/echo", 5), frame(DATA, END_STREAM, 5))
        wire.read_until(HEADERS, 5)
        wire.send(request_headers(b"/test/echo", 7), message(b"x", 7, END_STREAM))
        assert wire.read_until(DATA, 7)[3] == b"\0\0\0\0\1x"


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_of_a_stream_may_wait_for_the_server_to_speak_first(kind):
    entered = threading.Event()

    def greet(requests, context):
        entered.set()
        context.send_initial_metadata((("a", "b"),))
        return b"".join(requests)

    go = threading.Event()

    def requests():
        assert go.wait(LONG)
        yield b"x"

    with (
        serving(kind, {"greet": ("su", greet)}) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        call = channel.stream_unary("/test/greet").future(requests(), timeout=LONG)
        assert entered.wait(LONG)
        assert dict(call.initial_metadata())["a"] == "b"
        go.set()
        assert call.result() == b"x"


def test_a_handler_found_by_a_users_own_code_waits_as_well():
    class Handlers(grpc.GenericRpcHandler):
        def service(self, handler_call_details):
            return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)

    with serving("blocking", {}, workers=1, generic_handler=Handlers()) as port, Wire(port) as wire:
        wire.greet()
        begin(wire, b"/any/thing", 3)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert channel.unary_unary("/any/thing")(b"x", timeout=LONG) == b"x"


def test_a_server_stops_with_half_requests_at_hand():
    pool = futures.ThreadPoolExecutor(1)
    server = grpc.server(pool)
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(
                "test", {"echo": grpc.unary_unary_rpc_method_handler(lambda request, _context: request)}
            ),
        )
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Wire(port) as wire:
        wire.greet()
        begin(wire, b"/test/echo", 5)
        assert server.stop(None).wait(LONG)
    pool.shutdown()
