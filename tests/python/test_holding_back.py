"""What many large messages do to each other: they wait, and none fails.

Each program runs on both kinds of server and client, from one table, with default bounds, which it passes at least
twice. With bounds that are set it runs between the two kinds as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

import grpc
import grpc.aio
import pytest
from peers import LONG, ON_GRPCIO
from serving import KINDS, serving

MEBI = 1 << 20
#: Of a call's messages: 4.3 MiB, most of them after the first, the largest far larger than a window at first.
MIXED = [100, 3 * MEBI, 0, 200_000, MEBI, 130_000]
UNDER_THE_LIMIT = 4 * MEBI - 100
PATIENCE = 5 * LONG

#: Bounds so small that a few calls are twice as much.
TIGHT = [
    ("farcall.unread", 64 * MEBI),
    ("farcall.incomplete", 2 * MEBI),
    ("farcall.unsent", 8 * MEBI),
    ("farcall.stream_window", MEBI),
]


def messages(sizes):
    return [bytes(size) for size in sizes]


class Blocking:
    """Handlers of a blocking server; of those that count only two run at once, as if the pool had two threads."""

    def __init__(self):
        self.gate = threading.Event()
        self.turns = threading.Semaphore(2)

    def count(self, requests, context):
        with self.turns:
            return b"%d" % sum(len(request) for request in requests)

    def hold(self, requests, context):
        taken = len(next(requests))
        assert self.gate.wait(PATIENCE)
        return b"%d" % (taken + sum(len(request) for request in requests))

    def release(self, request, context):
        self.gate.set()
        return b""

    @staticmethod
    def length(request, context):
        return b"%d" % len(request)

    @staticmethod
    def give(request, context):
        return bytes(int(request))

    @staticmethod
    def many(request, context):
        yield from messages(MIXED)


class Asyncio:
    """The same on a loop."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.turns = asyncio.Semaphore(2)

    async def count(self, requests, context):
        async with self.turns:
            return b"%d" % sum([len(request) async for request in requests])

    async def hold(self, requests, context):
        taken = len(await anext(aiter(requests)))
        await self.gate.wait()
        return b"%d" % (taken + sum([len(request) async for request in requests]))

    async def release(self, request, context):
        self.gate.set()
        return b""

    @staticmethod
    async def length(request, context):
        return b"%d" % len(request)

    @staticmethod
    async def give(request, context):
        return bytes(int(request))

    @staticmethod
    async def many(request, context):
        for message in messages(MIXED):
            yield message


def handlers(kind):
    made = {"blocking": Blocking, "asyncio": Asyncio}[kind]()
    kinds = {"count": "su", "hold": "su", "release": "uu", "length": "uu", "give": "uu", "many": "us"}
    return {name: (cardinality, getattr(made, name)) for name, cardinality in kinds.items()}


class BlockingClient:
    """Makes many calls at once."""

    def __init__(self, port, options):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=options)

    def close(self):
        self.channel.close()

    def unary(self, method, request):
        return self.channel.unary_unary("/test/" + method)(request, timeout=LONG)

    def unaries(self, method, requests):
        calls = [self.channel.unary_unary("/test/" + method).future(each, timeout=PATIENCE) for each in requests]
        return [call.result() for call in calls]

    def uploads(self, method, count, sizes, meanwhile=lambda: None):
        upload = self.channel.stream_unary("/test/" + method)
        calls = [upload.future(iter(messages(sizes)), timeout=PATIENCE) for _ in range(count)]
        meanwhile()
        return [call.result() for call in calls]

    def downloads(self, count, meanwhile=lambda: None):
        """How many bytes came on each of so many streams that pause after their first message."""
        calls = [self.channel.unary_stream("/test/many")(b"", timeout=PATIENCE) for _ in range(count)]
        firsts = [len(next(call)) for call in calls]
        meanwhile()
        return [first + sum(len(response) for response in call) for first, call in zip(firsts, calls, strict=True)]


class AsyncioClient:
    """The same on a loop, by the same names."""

    def __init__(self, port, options):
        self.loop = asyncio.new_event_loop()

        async def connect():
            return grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)

        self.channel = self.loop.run_until_complete(connect())

    def close(self):
        self.loop.run_until_complete(self.channel.close())
        self.loop.close()

    async def _unary(self, method, request, timeout):
        return await self.channel.unary_unary("/test/" + method)(request, timeout=timeout)

    def unary(self, method, request):
        return self.loop.run_until_complete(self._unary(method, request, LONG))

    def unaries(self, method, requests):
        async def run():
            return await asyncio.gather(*[self._unary(method, request, PATIENCE) for request in requests])

        return self.loop.run_until_complete(run())

    def uploads(self, method, count, sizes, meanwhile=lambda: None):
        async def one():
            return await self.channel.stream_unary("/test/" + method)(iter(messages(sizes)), timeout=PATIENCE)

        async def run(calls):
            return await asyncio.gather(*calls)

        calls = [self.loop.create_task(one()) for _ in range(count)]
        meanwhile()
        return self.loop.run_until_complete(run(calls))

    def downloads(self, count, meanwhile=lambda: None):
        async def begin():
            calls = [self.channel.unary_stream("/test/many")(b"", timeout=PATIENCE) for _ in range(count)]
            return calls, [len(await call.read()) for call in calls]

        async def end(call):
            total = 0
            while (response := await call.read()) is not grpc.aio.EOF:
                total += len(response)
            return total

        async def run():
            return await asyncio.gather(*[end(call) for call in calls])

        calls, firsts = self.loop.run_until_complete(begin())
        meanwhile()
        rest = self.loop.run_until_complete(run())
        return [first + others for first, others in zip(firsts, rest, strict=True)]


CLIENTS = {"blocking": BlockingClient, "asyncio": AsyncioClient}


@contextlib.contextmanager
def pair(server, client, options=()):
    with serving(server, handlers(server), workers=100, options=options) as port:
        made = CLIENTS[client](port, list(options))
        try:
            yield made
        finally:
            made.close()


def waiting_uploads(client, scale):
    """Uploads that wait for their turn hold up none that has it."""
    assert client.uploads("count", 10 * scale, MIXED) == [b"%d" % sum(MIXED)] * (10 * scale)


def paused_uploads(client, scale):
    """Handlers that pause hold up no other call."""

    def meanwhile():
        assert client.unary("length", bytes(3 * MEBI)) == b"%d" % (3 * MEBI)
        assert client.uploads("count", 1, MIXED) == [b"%d" % sum(MIXED)]
        client.unary("release", b"")

    assert client.uploads("hold", 10 * scale, MIXED, meanwhile) == [b"%d" % sum(MIXED)] * (10 * scale)


def paused_downloads(client, scale):
    """Clients that pause hold up no other call of theirs."""

    def meanwhile():
        assert len(client.unary("give", b"%d" % (3 * MEBI))) == 3 * MEBI
        assert client.downloads(1) == [sum(MIXED)]

    assert client.downloads(10 * scale, meanwhile) == [sum(MIXED)] * (10 * scale)


def just_under_the_limit(client, scale):
    """Messages of both directions that all begin at once."""
    count = 16 * scale
    requests = [bytes(UNDER_THE_LIMIT)] * count
    assert client.unaries("length", requests) == [b"%d" % UNDER_THE_LIMIT] * count
    count = min(count, 40)
    answers = client.unaries("give", [b"%d" % UNDER_THE_LIMIT] * count)
    assert [len(answer) for answer in answers] == [UNDER_THE_LIMIT] * count


PROGRAMS = [waiting_uploads, paused_uploads, paused_downloads, just_under_the_limit]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_all_come(program, kind):
    with pair(kind, kind) as client:
        program(client, 9)


@pytest.mark.skipif(ON_GRPCIO, reason="the options are not its own")
@pytest.mark.parametrize("client", KINDS)
@pytest.mark.parametrize("server", KINDS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_all_come_within_bounds_that_are_set(program, server, client):
    with pair(server, client, TIGHT) as made:
        program(made, 1)
