"""What one caller does ends no other call: bursts of cancellations and deadlines, headers that are too large.

Each is tried with the blocking and the asyncio client and server, from one table.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from concurrent import futures

import grpc
import pytest
from peers import LONG, ON_GRPCIO

MANY = 4000
LONG_TEXT = "a" * 130_000


class Blocking:
    """A blocking server and client."""

    def __init__(self):
        self.release = threading.Event()
        self.pool = futures.ThreadPoolExecutor(max_workers=4)
        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
            "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Abort": grpc.unary_unary_rpc_method_handler(self.abort),
            "Raise": grpc.unary_unary_rpc_method_handler(self.fail),
            "Trail": grpc.unary_unary_rpc_method_handler(self.trail),
        }
        self.server = grpc.server(self.pool)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def hang(self, request, context):
        while context.is_active() and not self.release.wait(0.05):
            pass
        return b""

    @staticmethod
    def chat(requests, context):
        yield from requests

    @staticmethod
    def abort(request, context):
        context.abort(grpc.StatusCode.INTERNAL, LONG_TEXT)

    @staticmethod
    def fail(request, context):
        raise ValueError(LONG_TEXT)

    @staticmethod
    def trail(request, context):
        context.set_trailing_metadata((("k", LONG_TEXT),))
        return b""

    def close(self):
        self.release.set()
        self.channel.close()
        self.server.stop(None).wait(LONG)
        self.pool.shutdown()

    def call(self, method, **options):
        """The answer or the error of one call."""
        try:
            return self.channel.unary_unary("/test/" + method)(b"x", timeout=LONG, **options)
        except grpc.RpcError as error:
            return error

    def chatting(self, meanwhile):
        """One call goes on while something else happens; what came of it."""
        asked = threading.Semaphore(0)

        def requests():
            for number in range(3):
                assert asked.acquire(timeout=LONG)
                yield b"%d" % number

        call = self.channel.stream_stream("/test/Chat")(requests(), timeout=LONG)
        asked.release()
        replies = [next(call)]
        meanwhile()
        asked.release(2)
        replies.extend(call)
        return replies

    def give_up(self, count):
        hang = self.channel.unary_unary("/test/Hang")
        calls = [hang.future(b"") for _ in range(count)]
        for call in calls:
            call.cancel()

    def run_out(self, count):
        hang = self.channel.unary_unary("/test/Hang")
        calls = [hang.future(b"", timeout=0.5) for _ in range(count)]
        codes = {call.code() for call in calls}
        assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}


class Aio:
    """The same on asyncio, one loop for the client and the server; by the same names, for a test that knows neither."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self.start())

    async def start(self):
        async def echo(request, context):
            return request

        async def hang(request, context):
            await asyncio.Event().wait()

        async def chat(requests, context):
            async for request in requests:
                yield request

        async def abort(request, context):
            await context.abort(grpc.StatusCode.INTERNAL, LONG_TEXT)

        async def fail(request, context):
            raise ValueError(LONG_TEXT)

        async def trail(request, context):
            context.set_trailing_metadata((("k", LONG_TEXT),))
            return b""

        handlers = {
            "Echo": grpc.unary_unary_rpc_method_handler(echo),
            "Hang": grpc.unary_unary_rpc_method_handler(hang),
            "Chat": grpc.stream_stream_rpc_method_handler(chat),
            "Abort": grpc.unary_unary_rpc_method_handler(abort),
            "Raise": grpc.unary_unary_rpc_method_handler(fail),
            "Trail": grpc.unary_unary_rpc_method_handler(trail),
        }
        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        self.channel = grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")

    def close(self):
        async def close():
            await self.channel.close()
            await self.server.stop(None)

        self.loop.run_until_complete(close())
        self.loop.close()

    def call(self, method, **options):
        async def call():
            return await self.channel.unary_unary("/test/" + method)(b"x", timeout=LONG, **options)

        try:
            return self.loop.run_until_complete(call())
        except grpc.RpcError as error:
            return error

    def chatting(self, meanwhile):
        async def begin():
            call = self.channel.stream_stream("/test/Chat")(timeout=LONG)
            await call.write(b"0")
            return call, [await call.read()]

        async def end():
            for number in (1, 2):
                await call.write(b"%d" % number)
                replies.append(await call.read())
            await call.done_writing()
            assert await call.code() is grpc.StatusCode.OK

        call, replies = self.loop.run_until_complete(begin())
        meanwhile()
        self.loop.run_until_complete(end())
        return replies

    def give_up(self, count):
        async def give_up():
            hang = self.channel.unary_unary("/test/Hang")
            calls = [hang(b"") for _ in range(count)]
            # They are on their way.
            await self.channel.unary_unary("/test/Echo")(b"")
            for call in calls:
                call.cancel()
            await asyncio.wait([asyncio.ensure_future(call.code()) for call in calls])

        self.loop.run_until_complete(give_up())

    def run_out(self, count):
        async def run_out():
            hang = self.channel.unary_unary("/test/Hang")
            calls = [hang(b"", timeout=0.5) for _ in range(count)]
            return {await call.code() for call in calls}

        assert self.loop.run_until_complete(run_out()) == {grpc.StatusCode.DEADLINE_EXCEEDED}


@pytest.fixture(params=[Blocking, Aio])
def pair(request):
    pair = request.param()
    yield pair
    pair.close()


CHATTED = [b"0", b"1", b"2"]


@pytest.mark.parametrize("burst", ["give_up", "run_out"])
def test_a_burst_of_calls_that_end_early(pair, burst):
    assert pair.call("Echo") == b"x"
    assert pair.chatting(lambda: getattr(pair, burst)(MANY)) == CHATTED
    assert pair.call("Echo") == b"x"


@pytest.mark.parametrize("method", ["Abort", "Raise"])
def test_a_long_error_is_cut_and_ends_its_call_alone(pair, method):
    errors = []
    assert pair.chatting(lambda: errors.append(pair.call(method))) == CHATTED
    (error,) = errors
    if ON_GRPCIO:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return
    assert error.code() is (grpc.StatusCode.INTERNAL if method == "Abort" else grpc.StatusCode.UNKNOWN)
    assert "aaaaaaaa" in error.details()
    assert error.details().endswith("bytes: the client takes 16384 bytes of headers]")
    assert len(error.details()) > 7000


def test_trailing_metadata_that_is_too_large_ends_its_call_alone(pair):
    errors = []
    assert pair.chatting(lambda: errors.append(pair.call("Trail"))) == CHATTED
    assert errors[0].code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_request_metadata_that_is_too_large_ends_its_call_alone(pair):
    errors = []
    assert pair.call("Echo") == b"x"
    assert pair.chatting(lambda: errors.append(pair.call("Echo", metadata=(("k", "v" * 90_000),)))) == CHATTED
    assert errors[0].code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    if not ON_GRPCIO:
        assert errors[0].details().startswith("to-be-sent initial metadata size exceeds peer limit (90")
        assert errors[0].details().endswith(" vs. 16384)")


# What the last words of a server are to a client that is in the midst of sending.

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def read_to_end(connection):
    got = b""
    while piece := connection.recv(65536):
        got += piece
    return got


def breaks_the_protocol(port):
    """A client that breaks the protocol, and goes on sending when it has been told so; what it was told."""
    with socket.create_connection(("127.0.0.1", port), timeout=LONG) as connection:
        connection.sendall(PREFACE + frame(4) + frame(6, 0, 1, bytes(8)))
        got = b""
        while piece := connection.recv(65536):
            got += piece
        # A socket that is closed for good would answer this with a reset.
        for _ in range(20):
            connection.sendall(frame(0, 0, 1, bytes(16_000)))
        return got


@pytest.mark.better_than_grpcio("it closes the socket over unread input, so that what it said may be lost")
def test_a_server_that_ends_a_connection_is_heard(pair):
    if isinstance(pair, Aio):
        got = pair.loop.run_until_complete(asyncio.to_thread(breaks_the_protocol, pair.port))
    else:
        got = breaks_the_protocol(pair.port)
    assert b"a frame of the connection on a stream" in got


def says_and_resets(listener, code, reason):
    """A server that says why it goes, and whose socket is closed over what the client is still sending."""
    connection, _ = listener.accept()
    with connection:
        windows = frame(4, 0, 0, struct.pack(">HI", 4, 1 << 28)) + frame(8, 0, 0, struct.pack(">I", 1 << 28))
        connection.sendall(windows + frame(4, 1))
        got = 0
        while got < 300_000:
            got += len(connection.recv(65536))
        connection.sendall(frame(7, 0, 0, struct.pack(">II", 1, code) + reason))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.better_than_grpcio("it says Socket closed or Broken pipe")
@pytest.mark.parametrize(("code", "reason"), [(11, b"too_many_pings"), (0, b"max_age")])
@pytest.mark.parametrize("face", ["blocking", "aio"])
def test_a_client_that_is_writing_hears_why_its_server_goes(face, code, reason):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=says_and_resets, args=(listener, code, reason))
        server.start()
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        large = bytes(64 << 20)

        async def on_loop():
            async with grpc.aio.insecure_channel(target) as channel:
                await channel.unary_unary("/test/Echo")(large, timeout=LONG)

        with pytest.raises(grpc.RpcError) as caught:
            if face == "aio":
                asyncio.run(on_loop())
            else:
                with grpc.insecure_channel(target) as channel:
                    channel.unary_unary("/test/Echo")(large, timeout=LONG)
        server.join()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason.decode() in caught.value.details()
