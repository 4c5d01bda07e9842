"""A wire between a client and a server that counts what goes through, and can be cut."""

from __future__ import annotations

import socket
import threading


class Wire:
    """Forwards TCP connections to a port of this machine.

    Attributes:
      port: where to connect to instead.
      connections: how many have been made.
      sent: bytes from clients to the server.
      received: bytes from the server to clients.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.connections = self.sent = self.received = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server_port))
            except OSError:
                client.close()
                continue
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # From here on they may be cut.
            with self._lock:
                self.connections += 1
                self._sockets += [client, server]
            for source, sink, name in ((client, server, "sent"), (server, client, "received")):
                threading.Thread(target=self._forward, args=(source, sink, name), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, name: str) -> None:
        try:
            while data := source.recv(65536):
                with self._lock:
                    setattr(self, name, getattr(self, name) + len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # Reset, or cut. Closing would not wake the thread that reads the other way, nor tell its peer.
            for each in (source, sink):
                try:
                    each.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def cut(self) -> None:
        """Ends the connections there are; new ones are forwarded again."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            # Wakes the threads that read it, which closing does not.
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def close(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.cut()
