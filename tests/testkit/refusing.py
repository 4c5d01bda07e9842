"""An HTTP/2 server that refuses: every stream, or every connection."""

from __future__ import annotations

import socket
import struct
import threading

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_PREFACE = 24


def _frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


class Refusing:
    """Listens on a port of this machine, and counts.

    `how` is "streams" (RST_STREAM with REFUSED_STREAM for each), "goaway" (GOAWAY as soon as a connection is made),
    or "late goaway" (GOAWAY that leaves out the first stream, once that is there).

    Attributes:
      connections: how many have been made.
      streams: how many have been opened.
    """

    def __init__(self, how: str) -> None:
        self._how = how
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._lock = threading.Lock()
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = self.streams = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Refusing:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        goaway = _frame(_GOAWAY, 0, struct.pack(">II", 0, 0))
        with connection, connection.makefile("rb") as frames:
            try:
                connection.sendall(_frame(_SETTINGS, 0, b"") + (goaway if self._how == "goaway" else b""))
                frames.read(_PREFACE)
                while head := frames.read(9):
                    size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
                    stream = int.from_bytes(head[5:], "big")
                    frames.read(size)
                    if kind == _SETTINGS and not flags:
                        connection.sendall(_frame(_SETTINGS, 0, b"", flags=1))
                    if kind == _HEADERS:
                        with self._lock:
                            self.streams += 1
                        refusal = _frame(_RST_STREAM, stream, struct.pack(">I", 7))
                        connection.sendall(refusal if self._how == "streams" else goaway)
            except OSError:
                pass
