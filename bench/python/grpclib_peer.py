"""The asyncio benchmark's streams on grpclib, which is gRPC for asyncio in Python alone.

python grpclib_peer.py serve LOOP
python grpclib_peer.py call LOOP ADDRESS WORK SECONDS

LOOP is "asyncio" or "uvloop"; WORK is "server-stream", "client-stream" or "ping-pong".
"""

import asyncio
import json
import socket
import sys
import time

from figures import figures, mark
from grpclib.client import Channel, StreamStreamMethod, StreamUnaryMethod, UnaryStreamMethod
from grpclib.const import Cardinality, Handler
from grpclib.encoding.base import CodecBase
from grpclib.server import Server

MESSAGE = b"32 bytes of something to echo..."
# Messages between two looks at the clock.
STRIDE = 100

clock = time.perf_counter


class Bytes(CodecBase):
    """Messages are bytes without a serializer, so that the library is measured and not protobuf."""

    __content_subtype__ = "proto"

    def encode(self, message, message_type):
        return message

    def decode(self, data, message_type):
        return data


class Bench:
    async def feed(self, stream):
        request = await stream.recv_message()
        while True:
            await stream.send_message(request)

    async def drain(self, stream):
        count = 0
        async for _ in stream:
            count += 1
        await stream.send_message(b"%d" % count)

    async def ping_pong(self, stream):
        async for request in stream:
            await stream.send_message(request)

    def __mapping__(self):
        return {
            "/bench/Feed": Handler(self.feed, Cardinality.UNARY_STREAM, bytes, bytes),
            "/bench/Drain": Handler(self.drain, Cardinality.STREAM_UNARY, bytes, bytes),
            "/bench/PingPong": Handler(self.ping_pong, Cardinality.STREAM_STREAM, bytes, bytes),
        }


async def serve():
    server = Server([Bench()], codec=Bytes())
    listener = socket.create_server(("127.0.0.1", 0))
    await server.start(sock=listener)
    print(f"LISTENING {listener.getsockname()[1]}", flush=True)
    await server.wait_closed()


async def server_stream(channel, stop):
    count = 0
    async with UnaryStreamMethod(channel, "/bench/Feed", bytes, bytes).open() as stream:
        await stream.send_message(MESSAGE, end=True)
        async for _ in stream:
            count += 1
            if count % STRIDE == 0 and clock() >= stop:
                break
        await stream.cancel()
    return count


async def client_stream(channel, stop):
    count = 0
    async with StreamUnaryMethod(channel, "/bench/Drain", bytes, bytes).open() as stream:
        while count % STRIDE or clock() < stop:
            await stream.send_message(MESSAGE)
            count += 1
        await stream.end()
        if int(await stream.recv_message()) != count:
            raise AssertionError("not all messages have arrived")
    return count


async def ping_pong(channel, stop):
    latencies = []
    async with StreamStreamMethod(channel, "/bench/PingPong", bytes, bytes).open() as stream:
        now = clock()
        while now < stop:
            before = now
            await stream.send_message(MESSAGE)
            await stream.recv_message()
            now = clock()
            latencies.append(now - before)
        await stream.end()
    return latencies


WORKS = {"server-stream": server_stream, "client-stream": client_stream, "ping-pong": ping_pong}


async def call(address, work, seconds):
    host, port = address.split(":")
    channel = Channel(host, int(port), codec=Bytes())
    await WORKS["ping-pong"](channel, clock() + 0.1)
    mark("BEGIN")
    started = clock()
    result = await WORKS[work](channel, started + seconds)
    took = clock() - started
    mark("END")
    channel.close()
    print(json.dumps(figures(result, took)))


if __name__ == "__main__":
    if sys.argv[2] == "uvloop":
        import uvloop

        uvloop.install()
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        asyncio.run(call(sys.argv[3], sys.argv[4], float(sys.argv[5])))
