"""Just enough HTTP/2 to be a peer that misbehaves on purpose: frames by hand, headers as plain literals."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def header_block(*headers: tuple[str, str]) -> bytes:
    """Literals without indexing and without Huffman; names and values shorter than 127 bytes."""
    return b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode() for name, value in headers
    )


def headers(stream: int, *pairs: tuple[str, str], end: bool = False) -> bytes:
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, header_block(*pairs))


def message(payload: bytes = b"", *, announced: int | None = None, flag: int = 0) -> bytes:
    """A gRPC message; `announced` is the length its prefix claims."""
    return struct.pack(">BI", flag, len(payload) if announced is None else announced) + payload


def read_frame(connection: socket.socket) -> tuple[int, int, int, bytes]:
    """Kind, flags, stream, payload; EOFError when the peer closed."""
    head = read_exactly(connection, 9)
    length = int.from_bytes(head[:3], "big")
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return kind, flags, stream, read_exactly(connection, length)


def read_exactly(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        piece = connection.recv(count - len(got))
        if not piece:
            raise EOFError
        got += piece
    return got


def read_to_end(connection: socket.socket) -> None:
    """Reads until the peer closes, however; TimeoutError when it does not within the socket's time-out."""
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass


def read_request(connection: socket.socket) -> int:
    """Acts as a server until the client's first request is complete; answers its stream."""
    assert read_exactly(connection, len(PREFACE)) == PREFACE
    connection.sendall(frame(SETTINGS))
    while True:
        kind, flags, stream, _ = read_frame(connection)
        if kind == SETTINGS and not flags & ACK:
            connection.sendall(frame(SETTINGS, ACK))
        elif kind in (DATA, HEADERS) and flags & END_STREAM:
            return stream


@contextlib.contextmanager
def listening(behave: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that does `behave` to each connection and then closes it; gives its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, EOFError):
            connection.settimeout(30)
            behave(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
