"""Calls the echo server for a while from some threads over one channel and writes what that took, as JSON.

python echo_client.py ADDRESS THREADS SECONDS
"""

import json
import sys
import threading
import time

import grpc

MESSAGE = b"32 bytes of something to echo..."
WARM_UP_CALLS = 200


def call_until(echo, stop, latencies):
    clock = time.perf_counter
    now = clock()
    while now < stop:
        before = now
        if echo(MESSAGE) != MESSAGE:
            raise AssertionError("the echo is not what was sent")
        now = clock()
        latencies.append(now - before)


def mark(word):
    print(word, flush=True)
    sys.stdin.readline()


def measure(channel, threads, seconds):
    echo = channel.unary_unary("/bench/Echo")
    for _ in range(WARM_UP_CALLS):
        echo(MESSAGE)
    latencies = [[] for _ in range(threads)]
    mark("BEGIN")
    started = time.perf_counter()
    stop = started + seconds
    workers = [threading.Thread(target=call_until, args=(echo, stop, own)) for own in latencies]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    took = time.perf_counter() - started
    mark("END")
    everything = sorted(latency for own in latencies for latency in own)
    calls = len(everything)
    return {
        "operations": calls,
        "seconds": took,
        "p50_us": everything[calls // 2] * 1e6,
        "p99_us": everything[calls * 99 // 100] * 1e6,
    }


if __name__ == "__main__":
    with grpc.insecure_channel(sys.argv[1]) as opened:
        print(json.dumps(measure(opened, int(sys.argv[2]), float(sys.argv[3]))))
