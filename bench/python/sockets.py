"""The floor: bytes there and back over bare blocking sockets.

python sockets.py serve BYTES
python sockets.py call ADDRESS BYTES SECONDS
"""

import json
import socket
import sys
import time


def receive(stream, size):
    """A message, in whatever pieces it comes; less at the end of the stream."""
    pieces = []
    while size and (piece := stream.recv(min(size, 1 << 20))):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def serve(size):
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"LISTENING {listener.getsockname()[1]}", flush=True)
    stream, _ = listener.accept()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while received := receive(stream, size):
        stream.sendall(received)


def mark(word):
    print(word, flush=True)
    sys.stdin.readline()


def call(address, size, seconds):
    host, port = address.split(":")
    stream = socket.create_connection((host, int(port)))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    message, latencies, clock = b"*" * size, [], time.perf_counter
    mark("BEGIN")
    started = now = clock()
    while now < started + seconds:
        before = now
        stream.sendall(message)
        receive(stream, size)
        now = clock()
        latencies.append(now - before)
    mark("END")
    latencies.sort()
    calls = len(latencies)
    figures = {"operations": calls, "seconds": now - started}
    figures["p50_us"], figures["p99_us"] = (latencies[calls * share // 100] * 1e6 for share in (50, 99))
    print(json.dumps(figures))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        call(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
