"""A client and peers that do not answer as they should, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from farcall import _native

SETTINGS, GOAWAY, HEADERS, DATA = 4, 7, 1, 0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# Trailers-only: :status 200, content-type: application/grpc, grpc-status: 0, none of them indexed.
ANSWER = b"\x88\x00\x0ccontent-type\x10application/grpc\x00\x0bgrpc-status\x010"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def read_exactly(wire: socket.socket, count: int) -> bytes:
    read = b""
    while len(read) < count:
        piece = wire.recv(count - len(read))
        if not piece:
            raise EOFError
        read += piece
    return read


def await_request(wire: socket.socket) -> int:
    """Greets, then reads up to the end of a request; its stream."""
    wire.sendall(frame(SETTINGS, 0, 0))
    assert read_exactly(wire, len(PREFACE)) == PREFACE
    while True:
        head = read_exactly(wire, 9)
        read_exactly(wire, int.from_bytes(head[:3], "big"))
        if head[3] in (HEADERS, DATA) and head[4] & 1:
            return int.from_bytes(head[5:], "big")


Peer = Callable[[socket.socket, int], None]
"""What the peer does on a connection, and how many came before it."""


@pytest.fixture
def meet() -> Iterator[Callable[[Peer], _native.Channel]]:
    """Channels to listeners that treat each connection as they are told."""
    listeners: list[socket.socket] = []
    wires: list[socket.socket] = []

    def serve(listener: socket.socket, peer: Peer) -> None:
        for number in range(100):
            try:
                wire, _ = listener.accept()
            except OSError:
                return
            wires.append(wire)
            try:
                peer(wire, number)
            except (EOFError, OSError):
                pass

    def begin(peer: Peer) -> _native.Channel:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        threading.Thread(target=serve, args=(listener, peer), daemon=True).start()
        return _native.Channel(f"127.0.0.1:{listener.getsockname()[1]}", [])

    yield begin
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for wire in wires:
        wire.close()


def status(answer: object) -> tuple[int, str]:
    assert isinstance(answer, _native.ClientCall)
    ended = answer.status()
    assert ended is not None
    return ended[0], ended[1]


def test_a_call_that_the_server_has_not_seen_starts_over(meet: Callable[[Peer], _native.Channel]) -> None:
    def peer(wire: socket.socket, number: int) -> None:
        stream = await_request(wire)
        if number == 0:
            # The last stream it has looked at is none, and it takes no new ones.
            wire.sendall(frame(GOAWAY, 0, 0, bytes(8)))
            wire.shutdown(socket.SHUT_WR)
        else:
            wire.sendall(frame(HEADERS, 5, stream, ANSWER))
            wire.recv(1)

    assert status(meet(peer).unary("/any", b"x", None, 20, None)) == (0, "")


def test_a_call_that_no_server_ever_sees_ends(meet: Callable[[Peer], _native.Channel]) -> None:
    """It goes onto the next connection only so often."""
    connections: list[int] = []

    def peer(wire: socket.socket, number: int) -> None:
        connections.append(number)
        await_request(wire)
        wire.sendall(frame(GOAWAY, 0, 0, bytes(8)))
        wire.shutdown(socket.SHUT_WR)

    assert status(meet(peer).unary("/any", b"x", None, 60, True))[0] == 14
    assert 1 < len(connections) <= 5


def test_a_call_that_a_server_may_have_seen_does_not_start_over(meet: Callable[[Peer], _native.Channel]) -> None:
    def peer(wire: socket.socket, number: int) -> None:
        await_request(wire)
        assert number == 0
        wire.shutdown(socket.SHUT_WR)

    assert status(meet(peer).unary("/any", b"x", None, 20, None)) == (14, "Stream removed (Socket closed)")


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 100, b"SSH-2.0-nothing\r\n"])
def test_a_peer_that_does_not_speak_http2(meet: Callable[[Peer], _native.Channel], greeting: bytes) -> None:
    def peer(wire: socket.socket, number: int) -> None:
        wire.sendall(greeting)
        wire.recv(1)

    code, details = status(meet(peer).unary("/any", b"x", None, 20, None))
    assert code == 14
    assert details.startswith("failed to connect to all addresses; last error: ")


def test_a_call_without_a_connection_queues_so_much_and_no_more(meet: Callable[[Peer], _native.Channel]) -> None:
    """64 KiB; then sending waits, here until the deadline."""
    silent = threading.Event()
    channel = meet(lambda wire, number: silent.wait(20) and None)
    call = channel.start_call("/any", None, 0.5, True)
    half = bytes(32 << 10)
    assert [call.send(half), call.send(half), call.send(b"x")] == [True, True, False]
    assert status(call) == (4, "Deadline Exceeded")
    silent.set()
