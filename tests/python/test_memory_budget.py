"""One budget for the messages of all connections of a server: calls wait for each other, and all are served."""

from __future__ import annotations

import asyncio
import threading
import time

import grpc
import pytest
from peers import LONG, ON_GRPCIO
from serving import ACK, DATA, KINDS, PING, SETTINGS, Wire, frame, request_headers, serving

pytestmark = pytest.mark.skipif(ON_GRPCIO, reason="its resource quota cannot be set from Python")

MIB = 1 << 20
BUDGET = 4 * MIB
OPTIONS = [("farcall.memory_budget", BUDGET)]
WINDOW_UPDATE = 8

#: What handlers keep, and of how much at once. Compression is slow in a build that is not optimised.
LENGTH = 200_000
FEW = 5 * LENGTH


class Held:
    """Bytes that handlers have at once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._now = self.most = 0

    def change(self, by):
        with self._lock:
            self._now += by
            self.most = max(self.most, self._now)


def keeping(kind, held):
    """A handler that has its request for a moment."""

    def blocking(request, _context):
        held.change(len(request))
        time.sleep(0.1)
        held.change(-len(request))
        return str(len(request)).encode()

    async def on_a_loop(request, _context):
        held.change(len(request))
        await asyncio.sleep(0.1)
        held.change(-len(request))
        return str(len(request)).encode()

    return blocking if kind == "blocking" else on_a_loop


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.NoCompression])
def test_handlers_that_keep_large_messages_begin_as_others_end(kind, compression):
    held = Held()
    with serving(
        kind, {"keep": ("uu", keeping(kind, held))}, workers=24, options=[("farcall.memory_budget", FEW)]
    ) as port:
        channels = [grpc.insecure_channel(f"127.0.0.1:{port}", compression=compression) for _ in range(3)]
        try:
            calls = [
                channel.unary_unary("/test/keep").future(bytes(LENGTH), timeout=LONG)
                for channel in channels
                for _ in range(8)
            ]
            assert [call.result() for call in calls] == [str(LENGTH).encode()] * 24
        finally:
            for channel in channels:
                channel.close()
    # One more may always come, and on a slow machine another after a tenth of a second.
    assert held.most <= FEW + 4 * LENGTH


def hoard(wire, calls):
    """Begins a message of 1 MiB on each of so many calls and ends none; how much more the server lets in of them."""
    wire.greet()
    wire.send(frame(SETTINGS, ACK, 0))
    for stream in range(1, 2 * calls, 2):
        begun = b"\0" + MIB.to_bytes(4, "big") + bytes(10_000)
        wire.send(request_headers(b"/test/echo", stream), frame(DATA, 0, stream, begun))
    wire.send(frame(PING, 0, 0, b"all read"))
    more = 0
    while True:
        kind, flags, stream, payload = wire.read_frame()
        if kind == WINDOW_UPDATE and stream:
            more += int.from_bytes(payload, "big")
        if kind == PING and flags & ACK and payload == b"all read":
            return more


@pytest.mark.parametrize("kind", KINDS)
def test_unfinished_messages_of_many_connections_hold_up_no_small_call(kind):
    with serving(kind, {"echo": ("uu", lambda request, _context: request)}, options=OPTIONS) as port:
        wires = [Wire(port) for _ in range(5)]
        assert sum(hoard(wire, 20) for wire in wires) <= BUDGET + 2 * MIB
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            echo = channel.unary_unary("/test/echo")
            for length in (0, 1_000, 100_000):
                assert len(echo(bytes(length), timeout=LONG)) == length
            for wire in wires:
                wire.socket.close()
            assert len(echo(bytes(2 * MIB), timeout=LONG)) == 2 * MIB


def test_the_budget_of_the_process_has_half_of_its_memory_or_less():
    from farcall import _native

    limit, used, promised = _native.memory_budget()
    with open("/proc/meminfo") as lines:
        (total,) = (int(line.split()[1]) for line in lines if line.startswith("MemTotal"))
    assert 0 < limit <= total * 512
    assert 0 <= used <= promised
