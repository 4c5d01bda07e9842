"""A unary method has one request: two are refused, and a second that comes late does no harm."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import grpc
import pytest
from peers import LONG

DATA, HEADERS = 0, 1
END_STREAM = 1


class Relay:
    """A way to a server on which the frames of a call wait: all for the last one, or those after the first DATA for the
    server's answer."""

    def __init__(self, port, late):
        self.late = late
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.server = socket.create_connection(("127.0.0.1", port), timeout=LONG)
        self.answered = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    @property
    def target(self):
        return f"127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self):
        self.client, _ = self.listener.accept()
        back = threading.Thread(target=self.carry_back)
        back.start()
        try:
            self.server.sendall(self.exactly(24))
            while True:
                self.carry(self.frame())
        except (EOFError, OSError):
            with contextlib.suppress(OSError):
                self.server.shutdown(socket.SHUT_RDWR)
        back.join()

    def carry(self, frame):
        kind, flags = frame[3], frame[4]
        if kind != HEADERS:
            return self.server.sendall(frame)
        frames = [frame]
        while not (kind == DATA and flags & END_STREAM):
            frame = self.frame()
            kind, flags = frame[3], frame[4]
            frames.append(frame)
            if self.late and kind == DATA:
                self.server.sendall(b"".join(frames))
                assert self.answered.wait(LONG)
                return None
        return self.server.sendall(b"".join(frames))

    def carry_back(self):
        try:
            while piece := self.server.recv(65536):
                # The connection's own frames come before any of a stream.
                if piece[3] == HEADERS or b"\x88" in piece:
                    self.answered.set()
                self.client.sendall(piece)
        except OSError:
            pass
        self.answered.set()

    def exactly(self, count):
        got = b""
        while len(got) < count:
            piece = self.client.recv(count - len(got))
            if not piece:
                raise EOFError
            got += piece
        return got

    def frame(self):
        head = self.exactly(9)
        return head + self.exactly(int.from_bytes(head[:3], "big"))

    def close(self):
        self.listener.close()
        for connection in (self.client, self.server):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.thread.join(LONG)
        self.client.close()
        self.server.close()


def outcome(port, late):
    relay = Relay(port, late)

    def requests():
        yield b"1"
        # Both may go in one frame otherwise.
        assert not late or relay.answered.wait(LONG)
        yield b"2"

    try:
        with grpc.insecure_channel(relay.target) as channel:
            return channel.stream_unary("/test/Echo")(requests(), timeout=LONG)
    except grpc.RpcError as error:
        return error.code()
    finally:
        relay.close()


def with_a_blocking_server(late):
    from concurrent import futures

    server = grpc.server(futures.ThreadPoolExecutor(2))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Echo": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        return outcome(port, late)
    finally:
        server.stop(None).wait(LONG)


def with_an_aio_server(late):
    async def echo(request, context):
        return request

    async def run():
        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(echo)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Echo": handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            return await asyncio.to_thread(outcome, port, late)
        finally:
            await server.stop(None)

    return asyncio.run(run())


@pytest.mark.better_than_grpcio("its handler runs with the first")
@pytest.mark.parametrize("serve", [with_a_blocking_server, with_an_aio_server])
def test_two_requests_for_a_unary_method_are_refused(serve):
    assert serve(late=False) is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("serve", [with_a_blocking_server, with_an_aio_server])
def test_a_second_request_that_comes_late_does_no_harm(serve):
    assert serve(late=True) == b"1"
