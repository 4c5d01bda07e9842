"""Channels of programs that block and of programs on a loop, used by the same names: a test of both is written once."""

from __future__ import annotations

import asyncio
import queue
import threading

import grpc
import grpc.aio
from peers import LONG


class Blocking:
    """A channel of a program that blocks."""

    def __init__(self, target, options):
        self.channel = grpc.insecure_channel(target, options)
        self.states = queue.Queue()
        self.channel.subscribe(self.states.put)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def ask(self, method, request=b"", **keywords):
        return self.channel.unary_unary("/test/" + method)(request, **{"timeout": LONG, **keywords})

    def begin(self, method, request=b"", **keywords):
        return self.channel.unary_unary("/test/" + method).future(request, **keywords)

    def converse(self, method, requests, **keywords):
        """All responses to these requests."""
        return list(self.channel.stream_stream("/test/" + method)(iter(requests), **{"timeout": LONG, **keywords}))

    def connect(self):
        self.channel.subscribe(lambda state: None, try_to_connect=True)

    def await_state(self, wanted):
        while self.states.get(timeout=LONG) is not wanted:
            pass


class Asyncio:
    """The same of a program on a loop."""

    def __init__(self, target, options):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

        async def make():
            return grpc.aio.insecure_channel(target, options)

        self.channel = self.run(make())

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(LONG)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run(self.channel.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def _ask(self, method, request, keywords):
        return await self.channel.unary_unary("/test/" + method)(request, **keywords)

    def ask(self, method, request=b"", **keywords):
        return self.run(self._ask(method, request, {"timeout": LONG, **keywords}))

    def begin(self, method, request=b"", **keywords):
        async def call():
            begun = asyncio.ensure_future(self._ask(method, request, keywords))
            await asyncio.sleep(0)
            return begun

        return OnLoop(self, self.run(call()))

    def converse(self, method, requests, **keywords):
        async def call():
            begun = self.channel.stream_stream("/test/" + method)(iter(requests), **{"timeout": LONG, **keywords})
            return [response async for response in begun]

        return self.run(call())

    def connect(self):
        self.run(self._connect())

    async def _connect(self):
        self.channel.get_state(try_to_connect=True)

    def await_state(self, wanted):
        async def wait():
            while (state := self.channel.get_state()) is not wanted:
                await self.channel.wait_for_state_change(state)

        self.run(wait())


class OnLoop:
    """A call under way on a loop, as a future is used elsewhere."""

    def __init__(self, face, task):
        self.face, self.task = face, task

    async def _do(self, what):
        return what()

    def done(self):
        return self.face.run(self._do(self.task.done))

    def cancel(self):
        return self.face.run(self._do(self.task.cancel))

    def result(self):
        async def wait():
            return await self.task

        return self.face.run(wait())


FACES = {"blocking": Blocking, "asyncio": Asyncio}
