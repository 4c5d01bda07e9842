"""Tests of the package `grpc` by its public API: each of them passes on grpcio 1.85.1 too, unless it says why not."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import threading
from concurrent import futures

import grpc
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "generated"))

#: Whether the package under test is grpcio itself.
ON_GRPCIO = importlib.util.find_spec("farcall") is None

#: Far more than anything takes, so that a test that hangs fails.
LONG = 20.0

_KINDS = {
    "uu": grpc.unary_unary_rpc_method_handler,
    "us": grpc.unary_stream_rpc_method_handler,
    "su": grpc.stream_unary_rpc_method_handler,
    "ss": grpc.stream_stream_rpc_method_handler,
}


def pytest_configure(config):
    config.addinivalue_line("markers", "better_than_grpcio(why): not run on grpcio, which does worse")


def pytest_collection_modifyitems(items):
    if not ON_GRPCIO:
        return
    for item in items:
        mark = item.get_closest_marker("better_than_grpcio")
        if mark:
            item.add_marker(pytest.mark.skip(reason="grpcio: " + mark.args[0]))


class Peer:
    """A server with the handlers given by method name, and a channel to it."""

    def __init__(self, handlers, workers=8, channel_options=None, registered=None, **server_arguments):
        self.pool = futures.ThreadPoolExecutor(max_workers=workers)
        self.server = grpc.server(self.pool, **server_arguments)
        for name, (kind, behavior) in handlers.items():
            self.add(name, _KINDS[kind](behavior))
        self.server.add_registered_method_handlers("test", registered or {})
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()
        self.channel = grpc.insecure_channel(self.address, options=channel_options)

    def add(self, name, handler):
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {name: handler}),))

    def close(self):
        self.channel.close()
        self.server.stop(None)
        self.pool.shutdown(wait=False)

    def uu(self, name, *coders):
        return self.channel.unary_unary("/test/" + name, *coders)

    def us(self, name, *coders):
        return self.channel.unary_stream("/test/" + name, *coders)

    def su(self, name, *coders):
        return self.channel.stream_unary("/test/" + name, *coders)

    def ss(self, name, *coders):
        return self.channel.stream_stream("/test/" + name, *coders)


@pytest.fixture
def serve():
    """Makes Peers: serve(echo=("uu", lambda request, context: request))."""
    peers = []

    def make(workers=8, channel_options=None, registered=None, server_arguments=None, **handlers):
        peer = Peer(handlers, workers, channel_options, registered, **(server_arguments or {}))
        peers.append(peer)
        return peer

    yield make
    for peer in peers:
        peer.close()


def _echo(request, context):
    return request


def _count(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def _sum(requests, context):
    return b"%d" % sum(int(request) for request in requests)


def _double(requests, context):
    for request in requests:
        yield b"%d" % (2 * int(request))


@pytest.fixture
def peer(serve):
    """One method of each kind."""
    return serve(echo=("uu", _echo), count=("us", _count), sum=("su", _sum), double=("ss", _double))


class Gate:
    """Lets a handler wait for its test, and the test for its handler."""

    def __init__(self):
        self.entered = threading.Event()
        self.open = threading.Event()

    def wait_open(self):
        self.entered.set()
        assert self.open.wait(LONG)

    def wait_entered(self):
        assert self.entered.wait(LONG)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def unused_port():
    """A port on which nothing listens."""
    import socket

    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        # Bound and not listening: connections are refused, and nobody else gets it meanwhile.
        yield holder.getsockname()[1]
