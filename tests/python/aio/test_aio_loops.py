"""Which loop a channel is on: the one that runs, whatever it was when the channel was made."""

import asyncio
import gc
import os
import pathlib
import subprocess
import sys
import threading
import weakref

import grpc
import grpc.aio
import pytest
from aio_peers import LONG, Watched, echo, four_kinds, soon
from conftest import new_loop, run_on


@pytest.fixture
def address():
    """A server on a thread of its own."""
    ready = threading.Event()
    stop = threading.Event()
    told = []

    async def serve():
        server = grpc.aio.server()
        server.add_registered_method_handlers("test", {"echo": grpc.unary_unary_rpc_method_handler(echo)})
        told.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        ready.set()
        await asyncio.get_running_loop().run_in_executor(None, stop.wait)
        await server.stop(None)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(LONG)
    yield told[0]
    stop.set()
    thread.join()


async def call(channel, message=b"hello"):
    return await soon(channel.unary_unary("/test/echo")(message))


def test_channel_made_before_the_loop_runs(loop_kind, address):
    channel = grpc.aio.insecure_channel(address)
    assert run_on(new_loop(loop_kind), call(channel)) == b"hello"


def test_one_loop_after_the_other(loop_kind, address):
    channel = grpc.aio.insecure_channel(address)
    for number in range(3):
        message = b"%d" % number
        assert run_on(new_loop(loop_kind), call(channel, message)) == message


def test_many_loops_in_many_threads(loop_kind, address):
    channel = grpc.aio.insecure_channel(address)
    results = []

    async def work():
        for number in range(50):
            assert await call(channel, b"%d" % number) == b"%d" % number
        results.append(True)

    threads = [threading.Thread(target=run_on, args=(new_loop(loop_kind), work())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6


def test_call_begun_outside_of_the_loop(address):
    event_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(event_loop)
    try:
        channel = grpc.aio.insecure_channel(address)
        begun = channel.unary_unary("/test/echo")(b"early")

        async def finish():
            return await soon(begun)

        assert event_loop.run_until_complete(finish()) == b"early"
        event_loop.run_until_complete(channel.close())
    finally:
        asyncio.set_event_loop(None)
        event_loop.close()


def test_loop_closed_with_calls_in_flight(loop_kind, capfd):
    event_loop = new_loop(loop_kind)

    async def begin():
        watched = Watched()
        peer = four_kinds()
        peer._handlers["method"] = ("uu", watched.__call__)
        await peer.__aenter__()
        begun = peer.uu("method")(b"")
        await soon(watched.begun.wait())
        return peer, begun

    peer, begun = event_loop.run_until_complete(begin())
    event_loop.close()
    assert not begun.done()
    del peer, begun
    gc.collect()
    # A task of the handler's that is never resumed again is asyncio's to complain of; nobody else does.
    lines = [line for line in capfd.readouterr().err.splitlines() if "Task" not in line and "task" not in line]
    assert lines == []


def test_channel_goes_on_after_its_loop_was_closed_in_the_middle(loop_kind, address):
    channel = grpc.aio.insecure_channel(address)
    event_loop = new_loop(loop_kind)

    async def begin():
        await call(channel)
        return channel.unary_unary("/test/echo")(b"lost")

    lost = event_loop.run_until_complete(begin())
    event_loop.close()
    assert run_on(new_loop(loop_kind), call(channel)) == b"hello"
    assert lost.done()


def test_dropped_channels_are_collected(loop_kind, address):
    async def use():
        channel = grpc.aio.insecure_channel(address)
        await call(channel)
        known = weakref.ref(channel)
        del channel
        return known

    event_loop = new_loop(loop_kind)
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for _ in range(20):
        known = event_loop.run_until_complete(use())
        assert known() is None
    event_loop.run_until_complete(asyncio.sleep(0))
    if descriptors:
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 2  # the server may still be closing its ends
    event_loop.close()


def test_calls_make_no_garbage(run):
    async def test():
        async with four_kinds() as peer:
            method, stream = peer.uu("echo"), peer.ss("double")

            async def work():
                await method(b"x")
                async for _ in stream([b"1", b"2"]):
                    pass

            for _ in range(20):
                await work()
            gc.collect()
            gc.disable()
            try:
                for _ in range(100):
                    await work()
                left = gc.collect()
            finally:
                gc.enable()
            assert left < 50

    run(test())


class Deaf(asyncio.SelectorEventLoop):
    """As loops that cannot watch descriptors (Windows' proactor)."""

    def add_reader(self, fd, callback, *args):
        raise NotImplementedError

    add_writer = add_reader

    def remove_reader(self, fd):
        raise NotImplementedError

    remove_writer = remove_reader


def test_loop_that_cannot_watch_descriptors():
    async def test():
        async with four_kinds() as peer:
            assert await soon(peer.uu("echo")(b"x" * (1 << 20))) == b"x" * (1 << 20)
            assert [response async for response in peer.us("count")(b"2000")][-1] == b"1999"

    before = threading.active_count()
    run_on(Deaf(), test())
    gc.collect()
    assert threading.active_count() <= before + 1


FORKS = pathlib.Path(__file__).with_name("forks.py")
EXITS = FORKS.with_name("exits.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("whose", ["parent", "new"])
@pytest.mark.parametrize("parent", ["idle", "busy"])
def test_fork(whose, parent, loop_kind):
    done = subprocess.run(
        [sys.executable, str(FORKS), whose, parent, loop_kind], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split() == ["parent"], done.stdout + done.stderr


@pytest.mark.parametrize("busy", ["server", "client"])
def test_exit(busy, loop_kind):
    done = subprocess.run([sys.executable, str(EXITS), busy, loop_kind], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
