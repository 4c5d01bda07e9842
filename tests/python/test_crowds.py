"""A crowd of TLS handshakes leaves the calls of others their turn."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import ssl
import threading

import grpc
import grpc.aio
import pytest
from certificates import Authority
from peers import LONG, ON_GRPCIO
from serving import serving, tls_context

pytestmark = pytest.mark.skipif(ON_GRPCIO, reason="its handshakes have threads of their own")

#: Far more than the handshakes of a few turns.
CROWD = 300


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def credentials(authority):
    pair = authority.issue("localhost", "DNS:localhost", "IP:127.0.0.1")
    return grpc.ssl_server_credentials([(pair.key, pair.chain)])


class Crowd:
    """Clients that have said their first words of TLS, all before the server can look at one."""

    def __init__(self, authority, port):
        self._sockets = []
        self._polled = select.poll()
        for _ in range(CROWD):
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = tls_context(authority, ["h2"]).wrap_bio(incoming, outgoing, server_hostname="localhost")
            with contextlib.suppress(ssl.SSLWantReadError):
                client.do_handshake()
            wire = socket.create_connection(("127.0.0.1", port), timeout=LONG)
            wire.sendall(outgoing.read())
            self._polled.register(wire, select.POLLIN)
            self._sockets.append(wire)

    def answered(self):
        """How many the server has answered."""
        return len(self._polled.poll(0))

    def all_are_answered(self):
        for wire in self._sockets:
            assert wire.recv(1) == b"\x16"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for wire in self._sockets:
            wire.close()


def test_on_a_loop(authority, credentials):
    crowds = []

    async def gather(_request, _context):
        # The loop stands still meanwhile.
        crowds.append(Crowd(authority, port))
        return b""

    async def count(_request, _context):
        for _ in range(10):
            await asyncio.sleep(0)
        return b"%d" % crowds[0].answered()

    async def test():
        nonlocal port
        server = grpc.aio.server()
        handlers = {
            "gather": grpc.unary_unary_rpc_method_handler(gather),
            "count": grpc.unary_unary_rpc_method_handler(count),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
        port = server.add_secure_port("localhost:0", credentials)
        await server.start()
        async with grpc.aio.secure_channel(
            f"localhost:{port}", grpc.ssl_channel_credentials(authority.root)
        ) as channel:
            await channel.unary_unary("/test/gather")(b"")
            with crowds[0] as crowd:
                answered = int(await channel.unary_unary("/test/count")(b""))
                assert answered < CROWD // 2
                await asyncio.get_running_loop().run_in_executor(None, crowd.all_are_answered)
                assert int(await channel.unary_unary("/test/count")(b"")) == CROWD
        await server.stop(None)

    port = 0
    asyncio.run(test())


def test_of_a_blocking_server(authority, credentials):
    gathered, go_on = threading.Event(), threading.Event()

    class Handlers(grpc.GenericRpcHandler):
        def service(self, handler_call_details):
            if handler_call_details.method == "/test/gather":
                # The server's own thread waits here.
                gathered.set()
                assert go_on.wait(LONG)
            return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)

    with (
        serving("blocking", {}, credentials=credentials, generic_handler=Handlers()) as port,
        grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(authority.root)) as channel,
    ):
        echo = channel.unary_unary("/test/echo")
        # The first call, for which no thread of the pool waits.
        held = channel.unary_unary("/test/gather").future(b"", timeout=LONG)
        assert gathered.wait(LONG)
        with Crowd(authority, port) as crowd:
            go_on.set()
            # One after the other, each in a turn of its own.
            for _ in range(3):
                assert echo(b"x", timeout=LONG) == b"x"
            assert crowd.answered() < CROWD // 2
            crowd.all_are_answered()
        held.result()
