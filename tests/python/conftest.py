"""Fixtures of the tests of the package `grpc` by its public API. Each test passes on grpcio 1.85.1, or says why not."""

from __future__ import annotations

import pathlib
import sys

import pytest
from peers import ON_GRPCIO, Gate, Peer

sys.path.insert(0, str(pathlib.Path(__file__).parent / "generated"))


def pytest_configure(config):
    config.addinivalue_line("markers", "better_than_grpcio(why): not run on grpcio, which does worse")


def pytest_collection_modifyitems(items):
    if not ON_GRPCIO:
        return
    for item in items:
        mark = item.get_closest_marker("better_than_grpcio")
        if mark:
            item.add_marker(pytest.mark.skip(reason="grpcio: " + mark.args[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """What a test logs goes from its process to the one that reports, as UTF-8; some tests log what is no Unicode."""
    report = yield
    report.sections = [(name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections]
    return report


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
