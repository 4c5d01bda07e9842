"""The floor: bytes there and back over bare blocking sockets.

python sockets.py serve BYTES [GENERATED]
python sockets.py call ADDRESS BYTES SECONDS [GENERATED]

With GENERATED, a directory with what is generated from bench.proto, the bytes are a message of that, parsed and
serialized on both sides as stubs do.
"""

import ctypes
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


def as_they_are(received):
    """What is to be sent back."""
    return received


def codec(size, generated):
    """What to send, and what makes of received bytes those to be sent."""
    if generated is None:
        return b"*" * size, as_they_are
    sys.path.insert(0, generated)
    # As our library asks glibc (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD): a floor must not have page faults that we do not.
    ctypes.CDLL(None).mallopt(-3, 32 << 20)
    ctypes.CDLL(None).mallopt(-1, 64 << 20)
    from bench_pb2 import Message

    message = Message(payload=b"*" * size).SerializeToString()
    return message, lambda received: Message.FromString(bytes(received)).SerializeToString()


def serve(size, generated=None):
    message, process = codec(size, generated)
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"LISTENING {listener.getsockname()[1]}", flush=True)
    stream, _ = listener.accept()
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    buffer = bytearray(len(message))
    while receive(stream, buffer):
        stream.sendall(process(buffer))


def call(address, size, seconds, generated=None):
    host, port = address.split(":")
    stream = socket.create_connection((host, int(port)))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    message, process = codec(size, generated)
    buffer, latencies, clock = bytearray(len(message)), [], time.perf_counter
    mark("BEGIN")
    started = now = clock()
    while now < started + seconds:
        before = now
        stream.sendall(message)
        receive(stream, buffer)
        process(buffer)
        now = clock()
        latencies.append(now - before)
    mark("END")
    print(json.dumps(figures(latencies, now - started)))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]), *sys.argv[3:])
    else:
        call(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), *sys.argv[5:])
