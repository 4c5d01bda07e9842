"""Calls the benchmark's server for a while on asyncio and writes what that took, as JSON.

python aio_client.py LOOP ADDRESS WORK SECONDS [GENERATED]

LOOP is "asyncio" or "uvloop"; WORK is "unary:COUNT" (in flight), "server-stream", "client-stream", "ping-pong" or
"echo:BYTES"; GENERATED is a directory with the stubs of bench.proto, without one messages are bytes.
"""

import asyncio
import json
import sys
import time

import grpc
import grpc.aio
import messages
from figures import figures, mark

PAYLOAD = b"32 bytes of something to echo..."
WARM_UP_CALLS = 200
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Messages between two looks at the clock.
STRIDE = 100

clock = time.perf_counter


async def call_until(kind, echo, message, stop, latencies):
    length = kind.length(message)
    now = clock()
    while now < stop:
        before = now
        if kind.length(await echo(message)) != length:
            raise AssertionError("the echo is not what was sent")
        now = clock()
        latencies.append(now - before)


async def unary(kind, stub, count, payload, stop):
    message = kind.of(payload)
    latencies = [[] for _ in range(count)]
    await asyncio.gather(*[call_until(kind, stub.Echo, message, stop, own) for own in latencies])
    return [latency for own in latencies for latency in own]


async def server_stream(kind, stub, stop):
    call = stub.Feed(kind.of(PAYLOAD))
    count = 0
    async for _ in call:
        count += 1
        if count % STRIDE == 0 and clock() >= stop:
            break
    call.cancel()
    return count


async def client_stream(kind, stub, stop):
    message, call = kind.of(PAYLOAD), stub.Drain()
    count = 0
    while count % STRIDE or clock() < stop:
        await call.write(message)
        count += 1
    await call.done_writing()
    if kind.number(await call) != count:
        raise AssertionError("not all messages have arrived")
    return count


async def ping_pong(kind, stub, stop):
    message, call = kind.of(PAYLOAD), stub.PingPong()
    latencies = []
    now = clock()
    while now < stop:
        before = now
        await call.write(message)
        await call.read()
        now = clock()
        latencies.append(now - before)
    await call.done_writing()
    return latencies


def work(kind, stub, name, number):
    if name == "unary":
        return lambda stop: unary(kind, stub, number, PAYLOAD, stop)
    if name == "echo":
        return lambda stop: unary(kind, stub, 1, b"*" * number, stop)
    streams = {"server-stream": server_stream, "client-stream": client_stream, "ping-pong": ping_pong}
    return lambda stop: streams[name](kind, stub, stop)


async def measure(address, work_name, seconds, generated=None):
    name, _, number = work_name.partition(":")
    kind = messages.kind(generated)
    async with grpc.aio.insecure_channel(address, options=UNLIMITED) as channel:
        stub = kind.Stub(channel)
        for _ in range(WARM_UP_CALLS):
            await stub.Echo(kind.of(PAYLOAD))
        mark("BEGIN")
        started = clock()
        result = await work(kind, stub, name, int(number or 0))(started + seconds)
        took = clock() - started
        mark("END")
    return figures(result, took)


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.install()
    print(json.dumps(asyncio.run(measure(sys.argv[2], sys.argv[3], float(sys.argv[4]), *sys.argv[5:]))))
