"""Calls the benchmark's server for a while on asyncio and writes what that took, as JSON.

python aio_client.py LOOP ADDRESS WORK SECONDS

LOOP is "asyncio" or "uvloop"; WORK is "unary:COUNT" (in flight), "server-stream", "client-stream", "ping-pong" or
"echo:BYTES".
"""

import asyncio
import json
import sys
import time

import grpc
import grpc.aio
from figures import figures, mark

MESSAGE = b"32 bytes of something to echo..."
WARM_UP_CALLS = 200
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Messages between two looks at the clock.
STRIDE = 100

clock = time.perf_counter


async def call_until(echo, message, stop, latencies):
    now = clock()
    while now < stop:
        before = now
        if len(await echo(message)) != len(message):
            raise AssertionError("the echo is not what was sent")
        now = clock()
        latencies.append(now - before)


async def unary(channel, count, message, stop):
    echo = channel.unary_unary("/bench/Echo")
    latencies = [[] for _ in range(count)]
    await asyncio.gather(*[call_until(echo, message, stop, own) for own in latencies])
    return [latency for own in latencies for latency in own]


async def server_stream(channel, stop):
    call = channel.unary_stream("/bench/Feed")(MESSAGE)
    count = 0
    async for _ in call:
        count += 1
        if count % STRIDE == 0 and clock() >= stop:
            break
    call.cancel()
    return count


async def client_stream(channel, stop):
    call = channel.stream_unary("/bench/Drain")()
    count = 0
    while count % STRIDE or clock() < stop:
        await call.write(MESSAGE)
        count += 1
    await call.done_writing()
    if int(await call) != count:
        raise AssertionError("not all messages have arrived")
    return count


async def ping_pong(channel, stop):
    call = channel.stream_stream("/bench/PingPong")()
    latencies = []
    now = clock()
    while now < stop:
        before = now
        await call.write(MESSAGE)
        await call.read()
        now = clock()
        latencies.append(now - before)
    await call.done_writing()
    return latencies


def work(channel, kind, number):
    if kind == "unary":
        return lambda stop: unary(channel, number, MESSAGE, stop)
    if kind == "echo":
        return lambda stop: unary(channel, 1, b"*" * number, stop)
    return {
        "server-stream": lambda stop: server_stream(channel, stop),
        "client-stream": lambda stop: client_stream(channel, stop),
        "ping-pong": lambda stop: ping_pong(channel, stop),
    }[kind]


async def measure(address, name, seconds):
    kind, _, number = name.partition(":")
    async with grpc.aio.insecure_channel(address, options=UNLIMITED) as channel:
        echo = channel.unary_unary("/bench/Echo")
        for _ in range(WARM_UP_CALLS):
            await echo(MESSAGE)
        mark("BEGIN")
        started = clock()
        result = await work(channel, kind, int(number or 0))(started + seconds)
        took = clock() - started
        mark("END")
    return figures(result, took)


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.install()
    print(json.dumps(asyncio.run(measure(sys.argv[2], sys.argv[3], float(sys.argv[4])))))
