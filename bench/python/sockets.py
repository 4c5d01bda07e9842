"""The floor: bytes there and back over bare blocking sockets.

python sockets.py serve BYTES
python sockets.py call ADDRESS BYTES SECONDS
"""

import json
import socket
import sys
import time

from figures import figures, mark


def receive(stream, buffer):
    """A message that fills the buffer, in whatever pieces it comes; less at the end. Answers its length."""
    room = memoryview(buffer)
    while room and (count := stream.recv_into(room)):
        room = room[count:]
    return len(buffer) - len(room)


def serve(size):
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"LISTENING {listener.getsockname()[1]}", flush=True)
    stream, _ = listener.accept()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(size)
    while receive(stream, buffer):
        stream.sendall(buffer)


def call(address, size, seconds):
    host, port = address.split(":")
    stream = socket.create_connection((host, int(port)))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    message, buffer, latencies, clock = b"*" * size, bytearray(size), [], time.perf_counter
    mark("BEGIN")
    started = now = clock()
    while now < started + seconds:
        before = now
        stream.sendall(message)
        receive(stream, buffer)
        now = clock()
        latencies.append(now - before)
    mark("END")
    print(json.dumps(figures(latencies, now - started)))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        call(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
