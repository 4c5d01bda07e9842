"""What is over leaves nothing behind: no timer of the loop, no connection, no memory by the call."""

import asyncio
import ctypes
import gc
import socket
import sys

import grpc
import grpc.aio
import pytest
from aio_peers import LONG, Peer, echo, four_kinds, soon
from farcall import _native
from wires import Wire

MANY = 200
# Longer than any test: a timer that is not taken back stays until the test fails.
DEADLINE = 1000.0


def timers(event_loop):
    """Those that will still go off."""
    return sum(not handle.cancelled() for handle in event_loop._scheduled)


def connections():
    """Those that any part of the process still holds, a server's too."""
    gc.collect()
    return sum(row[1] == "connection" for row in _native.channelz())


async def becomes(true):
    """Waits for what others have yet to do; a test that waits in vain fails."""

    async def wait():
        while not true():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), LONG)


@pytest.fixture
def run_on_asyncio(loop_kind, run):
    if loop_kind != "asyncio":
        pytest.skip("only asyncio's loop shows its timers")
    return run


def test_closed_channels_leave_no_timers(run_on_asyncio):
    async def test():
        async with four_kinds() as peer:
            assert await peer.uu("echo")(b"x") == b"x"
            floor = timers(asyncio.get_running_loop())
            for _ in range(MANY):
                async with grpc.aio.insecure_channel(peer.address) as channel:
                    assert await channel.unary_unary("/test/echo")(b"x", timeout=DEADLINE) == b"x"
            await becomes(lambda: timers(asyncio.get_running_loop()) < floor + MANY // 10)

    run_on_asyncio(test())


def test_calls_cancelled_before_they_had_a_connection_leave_no_timers(run_on_asyncio):
    async def test():
        # Connections are made there, and nothing is ever said.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.getsockname()[1]}") as channel:
                floor = timers(asyncio.get_running_loop())
                calls = [channel.unary_unary("/test/echo")(b"x", timeout=DEADLINE) for _ in range(MANY)]
                await asyncio.sleep(0)
                for call in calls:
                    call.cancel()
                codes = {await call.code() for call in calls}
                assert codes == {grpc.StatusCode.CANCELLED}
                await becomes(lambda: timers(asyncio.get_running_loop()) < floor + MANY // 10)

    run_on_asyncio(test())


def test_cut_connections_are_forgotten(run):
    async def hang(request, context):
        await asyncio.sleep(DEADLINE)

    async def test():
        async with Peer(echo=("uu", echo), hang=("uu", hang)) as peer:
            wire = Wire(peer.port)
            held = connections()
            # Connections that break at once are made again ever later.
            options = [("grpc.initial_reconnect_backoff_ms", 1), ("grpc.max_reconnect_backoff_ms", 1)]
            async with grpc.aio.insecure_channel(f"127.0.0.1:{wire.port}", options=options) as channel:
                for _ in range(20):
                    call = channel.unary_unary("/test/hang")(b"x", timeout=DEADLINE, wait_for_ready=True)
                    assert await channel.unary_unary("/test/echo")(b"x", timeout=LONG, wait_for_ready=True) == b"x"
                    wire.cut()
                    assert await soon(call.code()) == grpc.StatusCode.UNAVAILABLE
            assert wire.connections >= 20
            wire.close()
            await becomes(lambda: connections() <= held)

    run(test())


class Mallinfo(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]


def bytes_in_use():
    """What the process has of the C library's allocator, which is Rust's, and of Python's."""
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Mallinfo
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd + 64 * sys.getallocatedblocks()


async def unary(peer):
    assert await peer.uu("echo")(b"x", timeout=DEADLINE) == b"x"


async def streaming(peer):
    assert [number async for number in peer.us("count")(b"20", timeout=DEADLINE)]


async def dropped(peer):
    peer.us("count")(b"1000", timeout=DEADLINE)
    await asyncio.sleep(0)


async def cancelled(peer):
    call = peer.us("count")(b"1000", timeout=DEADLINE)
    await call.read()
    call.cancel()
    assert await call.code() == grpc.StatusCode.CANCELLED


async def two_ways(peer):
    call = peer.ss("double")(timeout=DEADLINE)
    await call.write(b"3")
    assert await call.read() == b"6"
    await call.done_writing()
    assert await call.code() == grpc.StatusCode.OK


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the allocator is not glibc's")
@pytest.mark.parametrize("kind", [unary, streaming, dropped, cancelled, two_ways])
def test_calls_leave_no_memory(run, kind):
    """Over a number of calls that makes a hundred bytes by the call stand out from what buffers and pools grow by."""
    calls = 500

    async def test():
        async with four_kinds() as peer:
            # The best of a few rounds: what leaks leaks in each.
            rounds = []
            while len(rounds) < 5 and (not rounds or min(rounds) >= 50 * calls):
                before = bytes_in_use()
                for _ in range(calls):
                    await kind(peer)
                await unary(peer)
                rounds.append(bytes_in_use() - before)
            assert min(rounds) < 50 * calls, rounds

    run(test())
