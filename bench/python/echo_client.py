"""Calls the echo server for a while on the blocking API and writes what that took, as JSON.

python echo_client.py ADDRESS WORK SECONDS [GENERATED]

WORK is "unary:THREADS", "server-stream", "client-stream", "ping-pong", "echo:BYTES", or "idle:CONNECTIONS" (which takes
as long as it takes). GENERATED is a directory with the stubs of bench.proto; without one messages are bytes.
"""

import json
import queue
import sys
import threading
import time

import grpc
import messages
from figures import figures, mark

PAYLOAD = b"32 bytes of something to echo..."
ECHO = f"/{messages.SERVICE}/Echo"
WARM_UP_CALLS = 200
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
# Messages between two looks at the clock.
STRIDE = 100

clock = time.perf_counter


def call_until(kind, echo, message, stop, latencies):
    length = kind.length(message)
    now = clock()
    while now < stop:
        before = now
        if kind.length(echo(message)) != length:
            raise AssertionError("the echo is not what was sent")
        now = clock()
        latencies.append(now - before)


def unary(kind, stub, threads, payload, stop):
    message = kind.of(payload)
    latencies = [[] for _ in range(threads)]
    workers = [threading.Thread(target=call_until, args=(kind, stub.Echo, message, stop, own)) for own in latencies]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [latency for own in latencies for latency in own]


def server_stream(kind, stub, stop):
    call = stub.Feed(kind.of(PAYLOAD))
    count = 0
    for _ in call:
        count += 1
        if count % STRIDE == 0 and clock() >= stop:
            break
    call.cancel()
    return count


def client_stream(kind, stub, stop):
    message, sent = kind.of(PAYLOAD), 0

    def requests():
        nonlocal sent
        while sent % STRIDE or clock() < stop:
            sent += 1
            yield message

    if kind.number(stub.Drain(requests())) != sent:
        raise AssertionError("not all messages have arrived")
    return sent


def ping_pong(kind, stub, stop):
    message, requests = kind.of(PAYLOAD), queue.SimpleQueue()
    responses = stub.PingPong(iter(requests.get, None))
    latencies = []
    now = clock()
    while now < stop:
        before = now
        requests.put(message)
        next(responses)
        now = clock()
        latencies.append(now - before)
    requests.put(None)
    return latencies


def work(kind, stub, name, number):
    if name == "unary":
        return lambda stop: unary(kind, stub, number, PAYLOAD, stop)
    if name == "echo":
        return lambda stop: unary(kind, stub, 1, b"*" * number, stop)
    streams = {"server-stream": server_stream, "client-stream": client_stream, "ping-pong": ping_pong}
    return lambda stop: streams[name](kind, stub, stop)


def measure(address, work_name, seconds, generated=None):
    name, _, number = work_name.partition(":")
    if name == "idle":
        return idle(address, int(number))
    kind = messages.kind(generated)
    with grpc.insecure_channel(address, options=UNLIMITED) as channel:
        stub = kind.Stub(channel)
        for _ in range(WARM_UP_CALLS):
            stub.Echo(kind.of(PAYLOAD))
        mark("BEGIN")
        started = clock()
        result = work(kind, stub, name, int(number or 0))(started + seconds)
        took = clock() - started
        mark("END")
    return figures(result, took)


def idle(address, count):
    """Channels with a connection each that have made one call, and are kept."""
    # grpcio would have them share one connection.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(address, options=options) as first:
        first.unary_unary(ECHO)(PAYLOAD)
        mark("BEGIN")
        started = clock()
        channels = [grpc.insecure_channel(address, options=options) for _ in range(count)]
        for channel in channels:
            channel.unary_unary(ECHO)(PAYLOAD)
        took = clock() - started
        mark("END")
    return figures(len(channels), took)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], float(sys.argv[3]), *sys.argv[4:])))
