"""Servers of both kinds, blocking and on a loop, for tests that speak to them by hand; and what is said by hand."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from concurrent import futures

import grpc
import grpc.aio
from peers import LONG

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1

KINDS = ["blocking", "asyncio"]

#: The logger of each kind's server.
LOGGERS = {"blocking": "grpc._server", "asyncio": "grpc.aio._server"}


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def request_headers(path, stream, timeout=None, content_type=b"application/grpc"):
    """The HEADERS of a request that goes on."""
    fields = [(b":authority", b"test"), (b"content-type", content_type), (b"te", b"trailers")]
    if timeout:
        fields.append((b"grpc-timeout", timeout))
    # :method POST and :scheme http by their index, the others as literals that are not indexed.
    block = b"\x83\x86\x04" + bytes([len(path)]) + path
    for name, value in fields:
        block += b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value
    return frame(HEADERS, END_HEADERS, stream, block)


def message(body, stream, flags=0):
    return frame(DATA, flags, stream, b"\0" + len(body).to_bytes(4, "big") + body)


class Wire:
    """A connection by hand. Reads are patient, and fail the test in the end."""

    def __init__(self, port, context=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LONG)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        self.socket.sendall(b"".join(pieces))

    def greet(self):
        self.send(PREFACE, frame(SETTINGS, 0, 0))

    def read_to_end(self):
        """Everything up to the end."""
        read = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.socket.recv(1 << 16):
                read += piece
        return read

    def read_exactly(self, count):
        read = b""
        while len(read) < count:
            piece = self.socket.recv(count - len(read))
            if not piece:
                raise EOFError
            read += piece
        return read

    def read_frame(self):
        """Kind, flags, stream and payload of the next one."""
        head = self.read_exactly(9)
        payload = self.read_exactly(int.from_bytes(head[:3], "big"))
        return head[3], head[4], int.from_bytes(head[5:], "big"), payload

    def read_until(self, kind, stream=None):
        """The next frame of this kind; answers PINGs and SETTINGS on the way."""
        while True:
            found = self.read_frame()
            if found[0] == SETTINGS and not found[1] & ACK:
                self.send(frame(SETTINGS, ACK, 0))
            if found[0] == kind and stream in (None, found[2]):
                return found

    def ping(self):
        """Returns once the server has read everything that was sent before."""
        self.send(frame(PING, 0, 0, b"farcall!"))
        while True:
            found = self.read_until(PING)
            if found[1] & ACK and found[3] == b"farcall!":
                return


def _handlers(handlers):
    kinds = {
        "uu": grpc.unary_unary_rpc_method_handler,
        "us": grpc.unary_stream_rpc_method_handler,
        "su": grpc.stream_unary_rpc_method_handler,
        "ss": grpc.stream_stream_rpc_method_handler,
    }
    # Behind the behavior may come a deserializer, and a serializer.
    return {name: kinds[kind](*how) for name, (kind, *how) in handlers.items()}


@contextlib.contextmanager
def blocking(handlers, credentials=None, workers=4, generic_handler=None, **arguments):
    """A blocking server; its port."""
    pool = futures.ThreadPoolExecutor(workers)
    server = grpc.server(pool, **arguments)
    if generic_handler is not None:
        server.add_generic_rpc_handlers((generic_handler,))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", _handlers(handlers)),))
    port = (
        server.add_insecure_port("127.0.0.1:0")
        if credentials is None
        else server.add_secure_port("127.0.0.1:0", credentials)
    )
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait(LONG)
        pool.shutdown(wait=False)


@contextlib.contextmanager
def on_a_loop(handlers, credentials=None, workers=4, **arguments):
    """A server of grpc.aio on a loop in a thread of its own; its port. Plain functions run in a pool."""
    pool = futures.ThreadPoolExecutor(workers)
    started: futures.Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = futures.Future()

    async def serve():
        server = grpc.aio.server(pool, **arguments)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", _handlers(handlers)),))
        port = (
            server.add_insecure_port("127.0.0.1:0")
            if credentials is None
            else server.add_secure_port("127.0.0.1:0", credentials)
        )
        await server.start()
        stop = asyncio.Event()
        started.set_result((port, asyncio.get_running_loop(), stop))
        await stop.wait()
        await server.stop(None)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    port, event_loop, stop = started.result(LONG)
    try:
        yield port
    finally:
        event_loop.call_soon_threadsafe(stop.set)
        thread.join(LONG)
        pool.shutdown(wait=False)


def serving(kind, handlers, **arguments):
    """A server of this kind."""
    return {"blocking": blocking, "asyncio": on_a_loop}[kind](handlers, **arguments)


def tls_context(authority, protocols):
    """A client's side of TLS that offers these protocols."""
    context = ssl.create_default_context(cadata=authority.root.decode())
    if protocols:
        context.set_alpn_protocols(protocols)
    return context
