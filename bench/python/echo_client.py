"""Calls the echo server for a while on the blocking API and writes what that took, as JSON.

python echo_client.py ADDRESS WORK SECONDS

WORK is "unary:THREADS", "server-stream", "client-stream", "ping-pong", "echo:BYTES", or "idle:CONNECTIONS" (which takes
as long as it takes).
"""

import json
import queue
import sys
import threading
import time

import grpc
from figures import figures, mark

MESSAGE = b"32 bytes of something to echo..."
WARM_UP_CALLS = 200
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Messages between two looks at the clock.
STRIDE = 100

clock = time.perf_counter


def call_until(echo, message, stop, latencies):
    now = clock()
    while now < stop:
        before = now
        if len(echo(message)) != len(message):
            raise AssertionError("the echo is not what was sent")
        now = clock()
        latencies.append(now - before)


def unary(channel, threads, message, stop):
    echo = channel.unary_unary("/bench/Echo")
    latencies = [[] for _ in range(threads)]
    workers = [threading.Thread(target=call_until, args=(echo, message, stop, own)) for own in latencies]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [latency for own in latencies for latency in own]


def server_stream(channel, stop):
    call = channel.unary_stream("/bench/Feed")(MESSAGE)
    count = 0
    for _ in call:
        count += 1
        if count % STRIDE == 0 and clock() >= stop:
            break
    call.cancel()
    return count


def client_stream(channel, stop):
    sent = 0

    def requests():
        nonlocal sent
        while sent % STRIDE or clock() < stop:
            sent += 1
            yield MESSAGE

    if int(channel.stream_unary("/bench/Drain")(requests())) != sent:
        raise AssertionError("not all messages have arrived")
    return sent


def ping_pong(channel, stop):
    requests = queue.SimpleQueue()
    responses = channel.stream_stream("/bench/PingPong")(iter(requests.get, None))
    latencies = []
    now = clock()
    while now < stop:
        before = now
        requests.put(MESSAGE)
        next(responses)
        now = clock()
        latencies.append(now - before)
    requests.put(None)
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


def measure(address, name, seconds):
    kind, _, number = name.partition(":")
    if kind == "idle":
        return idle(address, int(number))
    with grpc.insecure_channel(address, options=UNLIMITED) as channel:
        echo = channel.unary_unary("/bench/Echo")
        for _ in range(WARM_UP_CALLS):
            echo(MESSAGE)
        mark("BEGIN")
        started = clock()
        result = work(channel, kind, int(number or 0))(started + seconds)
        took = clock() - started
        mark("END")
    return figures(result, took)


def idle(address, count):
    """Channels with a connection each that have made one call, and are kept."""
    # grpcio would have them share one connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options=options) as first:
        first.unary_unary("/bench/Echo")(MESSAGE)
        mark("BEGIN")
        started = clock()
        channels = [grpc.insecure_channel(address, options=options) for _ in range(count)]
        for channel in channels:
            channel.unary_unary("/bench/Echo")(MESSAGE)
        took = clock() - started
        mark("END")
    return figures(len(channels), took)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], float(sys.argv[3]))))
