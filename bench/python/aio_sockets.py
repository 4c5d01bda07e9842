"""The floor on asyncio: framed bytes there and back with a future for each call, and no protocol to speak of.

python aio_sockets.py serve LOOP
python aio_sockets.py call LOOP ADDRESS COUNT SECONDS, with COUNT calls in flight
"""

import asyncio
import json
import struct
import sys
import time

from figures import figures, mark

MESSAGE = b"32 bytes of something to echo..."
HEAD = struct.Struct("!II")

clock = time.perf_counter


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        self._transport.write(data)


class Caller(asyncio.Protocol):
    def __init__(self):
        self._received = b""
        self._calls = {}
        self._next = 0

    def connection_made(self, transport):
        self._transport = transport

    def data_received(self, data):
        data, at = self._received + data, 0
        while len(data) - at >= HEAD.size:
            call, length = HEAD.unpack_from(data, at)
            if len(data) - at - HEAD.size < length:
                break
            at += HEAD.size
            self._calls.pop(call).set_result(data[at : at + length])
            at += length
        self._received = data[at:]

    async def call(self, message):
        self._next += 1
        answer = self._calls[self._next] = asyncio.get_running_loop().create_future()
        self._transport.write(HEAD.pack(self._next, len(message)) + message)
        return await answer


async def serve():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(f"LISTENING {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def call_until(caller, stop, latencies):
    now = clock()
    while now < stop:
        before = now
        if await caller.call(MESSAGE) != MESSAGE:
            raise AssertionError("the echo is not what was sent")
        now = clock()
        latencies.append(now - before)


async def call(address, count, seconds):
    host, port = address.split(":")
    _, caller = await asyncio.get_running_loop().create_connection(Caller, host, int(port))
    latencies = [[] for _ in range(count)]
    mark("BEGIN")
    started = clock()
    await asyncio.gather(*[call_until(caller, started + seconds, own) for own in latencies])
    took = clock() - started
    mark("END")
    everything = [latency for own in latencies for latency in own]
    print(json.dumps(figures(everything, took)))


if __name__ == "__main__":
    if sys.argv[2] == "uvloop":
        import uvloop

        uvloop.install()
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        asyncio.run(call(sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
