"""Servers of `grpc.aio` that stop, and handlers that have not ended."""

import asyncio

import grpc
import grpc.aio
import pytest
from aio_peers import LONG, Peer, soon

KINDS = ("uu", "us", "su", "ss")
NAMES = {"uu": "unary_unary", "us": "unary_stream", "su": "stream_unary", "ss": "stream_stream"}


def all_kinds(body, **arguments):
    """A peer whose handlers do `await body(context)`, whatever their kind."""

    async def one(request, context):
        await body(context)
        return b""

    async def many(request, context):
        await body(context)
        yield b""

    return Peer(uu=("uu", one), us=("us", many), su=("su", one), ss=("ss", many), **arguments)


def start(channel, kind):
    call = getattr(channel, NAMES[kind])("/test/" + kind)(b"" if kind[0] == "u" else iter([b""]))
    return call, asyncio.ensure_future(call.code())


@pytest.mark.better_than_grpcio("stop() does not wait for them")
@pytest.mark.parametrize("grace", [None, 0, 0.01])
@pytest.mark.parametrize("kind", KINDS)
def test_stop_waits_for_what_handlers_tidy_up(run, kind, grace):
    async def test():
        entered, tidied = asyncio.Event(), []

        async def body(context):
            entered.set()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                for turn in range(10):
                    await asyncio.sleep(0)
                    tidied.append(turn)

        async with all_kinds(body) as peer:
            call, code = start(peer.channel, kind)
            await soon(entered.wait())
            await soon(peer.server.stop(grace))
            assert len(tidied) == 10
            assert await soon(code) is grpc.StatusCode.UNAVAILABLE
            del call

    run(test())


@pytest.mark.better_than_grpcio("stop() does not wait for them")
def test_handlers_may_stop_their_server(run):
    """Several at once: they do not wait for one another."""

    async def test():
        entered, stopped = asyncio.Semaphore(0), []

        async def body(context):
            entered.release()
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await peer.server.stop(None)
                stopped.append(context)

        async with all_kinds(body) as peer:
            started = [start(peer.channel, kind) for kind in KINDS]
            for _ in started:
                await soon(entered.acquire())
            await soon(peer.server.stop(0))
            assert len(stopped) == len(KINDS)
            await soon(asyncio.gather(*(code for _, code in started)))

    run(test())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_raised_after_an_abort_is_logged(run, caplog, kind):
    async def test():
        async def body(context):
            try:
                await context.abort(grpc.StatusCode.ABORTED, "first")
            finally:
                raise ValueError("second")

        async with all_kinds(body) as peer:
            call, code = start(peer.channel, kind)
            assert await soon(code) is grpc.StatusCode.ABORTED
            assert await call.details() == "first"
            await soon(peer.server.stop(LONG))
        assert any("second" in str(record.exc_info) for record in caplog.records)

    run(test())
