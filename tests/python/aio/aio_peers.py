"""What the tests of `grpc.aio` have in common."""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio

#: Far more than anything takes, so that a test that hangs fails.
LONG = 20.0

_KINDS = {
    "uu": grpc.unary_unary_rpc_method_handler,
    "us": grpc.unary_stream_rpc_method_handler,
    "su": grpc.stream_unary_rpc_method_handler,
    "ss": grpc.stream_stream_rpc_method_handler,
}


class Peer:
    """A server with the handlers given by method name, and a channel to it: `async with Peer(echo=("uu", echo))`."""

    def __init__(self, channel_options=None, server_arguments=None, interceptors=None, **handlers):
        self._arguments = server_arguments or {}
        self._options = channel_options
        self._interceptors = interceptors
        self._handlers = handlers

    async def __aenter__(self):
        self.server = grpc.aio.server(**self._arguments)
        for name, (kind, behavior) in self._handlers.items():
            handler = _KINDS[kind](behavior)
            self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {name: handler}),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(self.address, options=self._options, interceptors=self._interceptors)
        return self

    async def __aexit__(self, *_):
        await self.channel.close()
        await self.server.stop(None)

    def uu(self, name, *coders):
        return self.channel.unary_unary("/test/" + name, *coders)

    def us(self, name, *coders):
        return self.channel.unary_stream("/test/" + name, *coders)

    def su(self, name, *coders):
        return self.channel.stream_unary("/test/" + name, *coders)

    def ss(self, name, *coders):
        return self.channel.stream_stream("/test/" + name, *coders)


async def echo(request, context):
    return request


async def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


async def add(requests, context):
    total = 0
    async for request in requests:
        total += int(request)
    return b"%d" % total


async def double(requests, context):
    async for request in requests:
        yield b"%d" % (2 * int(request))


def four_kinds(**arguments):
    """One method of each kind."""
    return Peer(echo=("uu", echo), count=("us", count), add=("su", add), double=("ss", double), **arguments)


class Watched:
    """A handler that waits until it is cancelled, and says that it has begun and how it ended."""

    def __init__(self):
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, request, context):
        self.begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended.set()


async def soon(awaitable):
    """Awaits it for long at most."""
    return await asyncio.wait_for(awaitable, LONG)
