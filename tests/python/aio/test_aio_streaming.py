"""Streams on asyncio, as iterators and by reading and writing."""

import asyncio
import resource

import grpc
import grpc.aio
import pytest
from aio_peers import Peer, Watched, four_kinds, soon


def test_responses_iterated(run):
    async def test():
        async with four_kinds() as peer:
            assert [response async for response in peer.us("count")(b"5")] == [b"0", b"1", b"2", b"3", b"4"]
            assert [response async for response in peer.us("count")(b"0")] == []

    run(test())


def test_responses_read(run):
    async def test():
        async with four_kinds() as peer:
            call = peer.us("count")(b"2")
            assert await call.read() == b"0"
            assert await call.read() == b"1"
            assert await call.read() is grpc.aio.EOF
            assert await call.read() is grpc.aio.EOF
            assert await call.code() is grpc.StatusCode.OK

    run(test())


@pytest.mark.parametrize("of", [list, iter])
def test_requests_iterated(run, of):
    async def test():
        async with four_kinds() as peer:
            assert await peer.su("add")(of([b"1", b"2", b"3"])) == b"6"

    run(test())


def test_requests_of_an_async_generator(run):
    async def requests():
        for number in range(4):
            await asyncio.sleep(0)
            yield b"%d" % number

    async def test():
        async with four_kinds() as peer:
            assert await peer.su("add")(requests()) == b"6"
            assert [response async for response in peer.ss("double")(requests())] == [b"0", b"2", b"4", b"6"]

    run(test())


def test_requests_written(run):
    async def test():
        async with four_kinds() as peer:
            call = peer.su("add")()
            for number in range(4):
                await call.write(b"%d" % number)
            await call.done_writing()
            await call.done_writing()
            assert await call == b"6"
            with pytest.raises(asyncio.InvalidStateError):
                await call.write(b"1")

    run(test())


def test_ping_pong(run):
    async def test():
        async with four_kinds() as peer:
            call = peer.ss("double")()
            for number in range(100):
                await call.write(b"%d" % number)
                assert await call.read() == b"%d" % (2 * number)
            await call.done_writing()
            with pytest.raises(asyncio.InvalidStateError):
                await call.write(b"1")
            assert await call.read() is grpc.aio.EOF

    run(test())


def test_styles_are_not_mixed(run):
    async def test():
        async with four_kinds() as peer:
            call = peer.us("count")(b"3")
            await call.read()
            with pytest.raises(grpc.aio.UsageError):
                async for _ in call:
                    pass
            with pytest.raises(grpc.aio.UsageError):
                await peer.ss("double")([]).write(b"1")
            call.cancel()

    run(test())


def test_many_messages_both_ways(run):
    async def requests():
        for number in range(20_000):
            yield b"%d" % number

    async def test():
        async with four_kinds() as peer:
            number = 0
            async for response in peer.ss("double")(requests()):
                assert response == b"%d" % (2 * number)
                number += 1
            assert number == 20_000

    run(test())


def test_error_after_messages(run):
    async def handler(request, context):
        yield b"one"
        raise ValueError("enough")

    async def test():
        async with Peer(method=("us", handler)) as peer:
            received = []
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async for response in peer.us("method")(b""):
                    received.append(response)
            assert received == [b"one"]
            assert caught.value.code() is grpc.StatusCode.UNKNOWN
            assert caught.value.details() == "Unexpected <class 'ValueError'>: enough"
            call = peer.us("method")(b"")
            assert await call.read() == b"one"
            for _ in range(2):
                with pytest.raises(grpc.aio.AioRpcError):
                    await call.read()

    run(test())


def test_request_iterator_that_raises(run):
    def requests():
        yield b"1"
        raise ValueError("no more")

    async def test():
        async with four_kinds() as peer:
            call = peer.su("add")(requests())
            with pytest.raises(asyncio.CancelledError):
                await soon(call)
            assert call.cancelled()

    run(test())


def test_cancelled_while_reading(run):
    async def endless(request, context):
        try:
            yield b"first"
            await asyncio.get_running_loop().create_future()
        finally:
            ended.set()

    async def test():
        global ended
        ended = asyncio.Event()
        async with Peer(method=("us", endless)) as peer:
            call = peer.us("method")(b"")
            assert await call.read() == b"first"
            asyncio.get_running_loop().call_later(0.05, call.cancel)
            with pytest.raises(asyncio.CancelledError):
                await soon(call.read())
            await soon(ended.wait())

    run(test())


def test_unread_messages_are_thrown_away_by_cancel(run):
    async def test():
        async with four_kinds() as peer:
            call = peer.us("count")(b"5")
            with pytest.raises(asyncio.CancelledError):
                async for _ in call:
                    assert call.cancel()
            assert call.cancelled() and call.done()

    run(test())


def test_server_ends_early(run):
    async def handler(requests, context):
        async for request in requests:
            return request

    async def requests():
        try:
            yield b"first"
            await asyncio.get_running_loop().create_future()
        finally:
            told.set()

    async def test():
        global told
        told = asyncio.Event()
        async with Peer(method=("su", handler)) as peer:
            assert await soon(peer.su("method")(requests())) == b"first"
            # What makes the requests hears that nobody wants them.
            await soon(told.wait())

    run(test())


def test_a_writer_waits_for_a_slow_reader(run):
    produced = 0

    async def flood(request, context):
        nonlocal produced
        while True:
            produced += 1
            yield request

    async def test():
        async with Peer(method=("us", flood)) as peer:
            call = peer.us("method")(b"x" * 10_000)
            assert await call.read() == b"x" * 10_000
            before = -1
            while produced != before:
                before = produced
                await asyncio.sleep(0.1)
            # Windows and buffers are full: far from endless.
            assert produced * 10_000 < 64 << 20
            call.cancel()

    run(test())


def test_a_client_that_writes_waits_for_a_slow_server(run):
    async def test():
        watched = Watched()
        async with Peer(method=("su", watched.__call__)) as peer:
            call = peer.su("method")()
            written = 0
            with pytest.raises(asyncio.TimeoutError):
                while True:
                    await asyncio.wait_for(call.write(b"x" * 100_000), 0.5)
                    written += 1
                    assert written < 1000
            call.cancel()
            await soon(watched.ended.wait())

    run(test())


def test_others_have_their_turn(run):
    """A handler that never waits does not keep the loop to itself."""

    async def flood(request, context):
        while True:
            yield request

    async def test():
        async with Peer(method=("us", flood)) as peer:
            call = peer.us("method")(b"x")
            ticks = 0
            async for _ in call:
                ticks += 1
                if ticks > 10_000:
                    break
            await asyncio.wait_for(asyncio.sleep(0.01), 5)
            call.cancel()

    run(test())


def test_context_reads_and_writes(run):
    async def handler(request_iterator, context):
        while (request := await context.read()) is not grpc.aio.EOF:
            await context.write(request + request)
        assert await context.read() is grpc.aio.EOF

    async def test():
        async with Peer(method=("ss", handler)) as peer:
            assert [response async for response in peer.ss("method")([b"a", b"b"])] == [b"aa", b"bb"]

    run(test())


def test_memory_of_a_long_stream_is_flat(run):
    async def flood(request, context):
        for _ in range(100_000):
            yield request

    async def test():
        async with Peer(method=("us", flood)) as peer:
            peaks = []
            for _ in range(2):
                async for _ in peer.us("method")(b"x" * 100):
                    pass
                peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
            assert peaks[1] - peaks[0] < 20_000

    run(test())
