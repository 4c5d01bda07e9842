"""What is over leaves nothing behind: no timer of the reactor, no connection, no memory by the call."""

from __future__ import annotations

import ctypes
import gc
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from echo import Echo
from farcall import _native
from wires import Wire

MANY = 200
# Longer than any test: a timer that is not taken back stays until the test fails.
LONG = 1000.0
PATIENCE = 20.0
CANCELLED = 1
DEADLINE_EXCEEDED = 4
UNAVAILABLE = 14


def timers() -> int:
    return _native.watched()[1]


def connections() -> int:
    """Those that any part of the process still holds, a server's too."""
    return sum(row[1] == "connection" for row in _native.channelz())


def wait_until(true: Callable[[], bool]) -> bool:
    """Other threads may have a word to say yet."""
    over = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > over:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture
def silent() -> Iterator[str]:
    """Where connections are made, and nothing is ever said: calls wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def end(call: _native.ClientCall) -> int:
    assert call.wait(PATIENCE)
    ended = call.status()
    assert ended is not None
    return ended[0]


def test_closed_channels_leave_no_timers(echo: Echo) -> None:
    """Each has had one until it would have gone IDLE, half an hour later."""
    floor = timers()
    for _ in range(MANY):
        channel = _native.Channel(echo.target, [])
        assert channel.unary("/unary", b"x", None, LONG, None) == b"x"
        channel.close("Channel closed!")
    assert wait_until(lambda: timers() < floor + MANY // 10)


def test_dropped_channels_leave_no_timers(echo: Echo) -> None:
    floor = timers()
    for _ in range(MANY):
        assert _native.Channel(echo.target, []).unary("/unary", b"x", None, LONG, None) == b"x"
    assert wait_until(lambda: timers() < floor + MANY // 10)


def test_calls_cancelled_before_they_had_a_connection_leave_no_timers(silent: str) -> None:
    channel = _native.Channel(silent, [])
    floor = timers()
    calls = [channel.start_unary("/unary", b"x", None, LONG, None) for _ in range(MANY)]
    # A channel has one, however many calls wait.
    assert timers() < floor + MANY // 10
    for call in calls:
        call.cancel(CANCELLED, "enough")
    assert wait_until(lambda: timers() < floor + MANY // 10)
    channel.close("Channel closed!")


def test_calls_that_wait_when_their_channel_closes_leave_no_timers(silent: str) -> None:
    channel = _native.Channel(silent, [])
    floor = timers()
    calls = [channel.start_unary("/unary", b"x", None, LONG, None) for _ in range(MANY)]
    channel.close("Channel closed!")
    assert {end(call) for call in calls} == {CANCELLED}
    assert wait_until(lambda: timers() < floor + MANY // 10)


def test_calls_that_waited_for_a_connection_leave_no_timers_when_they_have_it(echo: Echo) -> None:
    channel = _native.Channel(echo.target, [])
    floor = timers()
    # The first are there before the connection is, and all hold a thread of the server until they are cancelled.
    calls = [channel.start_unary("/hang", b"x", None, LONG, None) for _ in range(20)]
    assert channel.unary("/unary", b"x", None, LONG, None) == b"x"
    assert wait_until(lambda: timers() < floor + 5)
    for call in calls:
        call.cancel(CANCELLED, "enough")
    channel.close("Channel closed!")


def test_held_calls_leave_no_timers(echo: Echo) -> None:
    channel = _native.Channel(echo.target, [])
    floor = timers()
    calls = [channel.start_unary("/unary", b"x", None, LONG, None, held=True) for _ in range(MANY)]
    assert timers() < floor + MANY // 10
    for call in calls[: MANY // 2]:
        call.proceed([])
    for call in calls[MANY // 2 :]:
        call.cancel(CANCELLED, "enough")
    assert {end(call) for call in calls} == {0, CANCELLED}
    assert wait_until(lambda: timers() < floor + MANY // 10)
    channel.close("Channel closed!")


RETRIES = """{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "1000s",
    "maxBackoff": "1000s", "backoffMultiplier": 1, "retryableStatusCodes": ["NOT_FOUND"]}}]}"""


def test_calls_cancelled_before_their_next_attempt_leave_no_timers(echo: Echo) -> None:
    channel = _native.Channel(echo.target, [("grpc.service_config", RETRIES)])
    floor = timers()
    calls = [channel.start_unary("/fail", b"x", None, None, None) for _ in range(MANY)]
    # The last of them, and mostly all, have had their first attempt.
    assert channel.unary("/unary", b"x", None, LONG, None) == b"x"
    assert timers() < floor + MANY // 10
    for call in calls:
        call.cancel(CANCELLED, "enough")
    assert wait_until(lambda: timers() < floor + MANY // 10)
    channel.close("Channel closed!")


def test_a_waiting_call_still_ends_at_its_deadline(silent: str) -> None:
    channel = _native.Channel(silent, [])
    calls = [channel.start_unary("/unary", b"x", None, 0.05, None) for _ in range(MANY)]
    assert {end(call) for call in calls} == {DEADLINE_EXCEEDED}
    channel.close("Channel closed!")


def test_cut_connections_are_forgotten(echo: Echo) -> None:
    wire = Wire(echo.port)
    # Connections that break at once are made again ever later.
    options = [("grpc.initial_reconnect_backoff_ms", 1), ("grpc.max_reconnect_backoff_ms", 1)]
    channel = _native.Channel(f"127.0.0.1:{wire.port}", options)
    held = connections()
    for _ in range(MANY // 4):
        call = channel.start_unary("/count", b"100000", None, LONG, True)
        assert channel.unary("/unary", b"x", None, LONG, True) == b"x"
        wire.cut()
        # It may have been over just before.
        assert end(call) in (0, UNAVAILABLE)
    assert wire.connections >= MANY // 4
    channel.close("Channel closed!")
    wire.close()
    assert wait_until(lambda: connections() <= held)


class Mallinfo(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]


def bytes_in_use() -> int:
    """What the process has of the C library's allocator, which is Rust's, and of Python's."""
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd + 64 * sys.getallocatedblocks()


def unary(channel: _native.Channel) -> None:
    assert channel.unary("/unary", b"x", None, LONG, None) == b"x"


def streaming(channel: _native.Channel) -> None:
    call = channel.start_unary("/count", b"50", None, LONG, None)
    for _ in range(50):
        assert call.receive() is not None
    assert call.receive() is None


def dropped(channel: _native.Channel) -> None:
    channel.start_unary("/count", b"100000", None, LONG, None)


def cancelled(channel: _native.Channel) -> None:
    call = channel.start_unary("/hang", b"x", None, LONG, None)
    call.cancel(CANCELLED, "enough")


def too_late(channel: _native.Channel) -> None:
    channel.start_unary("/hang", b"x", None, 0.001, None).wait(PATIENCE)


def watched(channel: _native.Channel) -> None:
    ended = threading.Event()
    if channel.start_unary("/unary", b"x", None, LONG, None).add_done_callback(ended.set):
        assert ended.wait(PATIENCE)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the allocator is not glibc's")
@pytest.mark.parametrize("kind", [unary, streaming, dropped, cancelled, too_late, watched])
def test_calls_leave_no_memory(kind: Callable[[_native.Channel], None], channel: _native.Channel) -> None:
    """Over a number of calls that makes a hundred bytes by the call stand out from what buffers and pools grow by."""
    calls = 1000

    def growth() -> int:
        before = bytes_in_use()
        for _ in range(calls):
            kind(channel)
        return bytes_in_use() - before

    # The best of a few rounds: what leaks leaks in each.
    rounds = []
    while len(rounds) < 5 and (not rounds or min(rounds) >= 50 * calls):
        rounds.append(growth())
    # The server has seen all of them before it ends.
    unary(channel)
    assert min(rounds) < 50 * calls, rounds
