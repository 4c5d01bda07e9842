"""What a server says of its peers through `logging`: once a cause, with who and why and how often."""

from __future__ import annotations

import contextlib
import logging
import resource
import socket
import ssl
import threading

import grpc
import pytest
from certificates import Authority
from peers import LONG, ON_GRPCIO
from serving import (
    DATA,
    GOAWAY,
    KINDS,
    LOGGERS,
    SETTINGS,
    Wire,
    frame,
    request_headers,
    serving,
    tls_context,
)

pytestmark = pytest.mark.skipif(ON_GRPCIO, reason="its core prints")

ECHO = {"echo": ("uu", lambda request, _context: request)}


class Lines(logging.Handler):
    """Waits for lines."""

    def __init__(self):
        super().__init__()
        self._records = []
        self._more = threading.Condition()

    def emit(self, record):
        with self._more:
            self._records.append(record)
            self._more.notify_all()

    def texts(self):
        return [record.getMessage() for record in self._records]

    def await_one(self, begin):
        """The first record whose text begins so."""

        def found():
            return next((record for record in self._records if record.getMessage().startswith(begin)), None)

        with self._more:
            assert self._more.wait_for(found, LONG), self.texts()
            return found()


@pytest.fixture
def lines():
    handler = Lines()
    logger = logging.getLogger("grpc")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def credentials(authority):
    pair = authority.issue("localhost", "DNS:localhost", "IP:127.0.0.1")
    return grpc.ssl_server_credentials([(pair.key, pair.chain)])


def echo(port):
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        return channel.unary_unary("/test/echo")(b"x", timeout=LONG)


def peer_of(wire):
    return f"ipv4:127.0.0.1:{wire.socket.getsockname()[1]}"


@pytest.mark.parametrize("kind", KINDS)
def test_http_1_is_answered_in_http_1(kind, lines):
    with serving(kind, ECHO) as port:
        with Wire(port) as wire:
            wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n")
            head, _, body = wire.read_to_end().decode("ascii").partition("\r\n\r\n")
            peer = peer_of(wire)
        assert head.startswith("HTTP/1.1 400 Bad Request\r\n")
        assert "gRPC" in body and "HTTP/2" in body and body.count("\n") == 1
        record = lines.await_one("a peer does not speak HTTP/2: ")
        assert (record.levelname, record.name) == ("INFO", LOGGERS[kind])
        assert "HTTP/1" in record.getMessage() and peer in record.getMessage()
        assert echo(port) == b"x"


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_protocol(kind, lines):
    with serving(kind, ECHO) as port, Wire(port) as wire:
        wire.greet()
        wire.send(frame(DATA, 0, 0))
        assert wire.read_until(GOAWAY)
        record = lines.await_one("a peer broke the protocol: ")
        assert (record.levelname, record.name) == ("WARNING", LOGGERS[kind])
        assert peer_of(wire) in record.getMessage() and "a frame of a stream on the connection" in record.getMessage()
        assert echo(port) == b"x"


@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_is_spoken_of_once_and_counted(kind, lines):
    with serving(kind, ECHO, options=[("grpc.max_concurrent_streams", 1)]) as port, Wire(port) as wire:
        wire.greet()
        wire.send(*(request_headers(b"/test/echo", stream) for stream in (1, 3, 5, 7)))
        wire.ping()
        record = lines.await_one("a peer struck a limit: max_concurrent_streams: ")
        assert record.levelname == "WARNING" and peer_of(wire) in record.getMessage()
        wire.send(*(request_headers(b"/test/echo", stream) for stream in range(9, 201, 2)))
        wire.ping()
        assert len([text for text in lines.texts() if "struck" in text]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_that_ends_the_connection(kind, lines):
    with serving(kind, ECHO) as port, Wire(port) as wire:
        wire.greet()
        wire.send(request_headers(b"/test/echo", 1), *(frame(DATA, 0, 1) for _ in range(200)))
        assert wire.read_until(GOAWAY)
        record = lines.await_one("a peer struck a limit: ")
        assert record.levelname == "WARNING" and "too many empty DATA frames" in record.getMessage()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("protocols", [[], ["http/1.1"]])
def test_a_client_of_tls_without_http_2_gets_an_alert(kind, protocols, lines, authority, credentials):
    with serving(kind, ECHO, credentials=credentials) as port:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=LONG) as wire,
            pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"),
        ):
            tls_context(authority, protocols).wrap_socket(wire, server_hostname="localhost")
        record = lines.await_one("a TLS handshake failed: ")
        assert (record.levelname, record.name) == ("WARNING", LOGGERS[kind])
        assert "ALPN" in record.getMessage()


@pytest.mark.parametrize("kind", KINDS)
def test_plain_text_on_a_port_of_tls(kind, lines, credentials):
    with serving(kind, ECHO, credentials=credentials) as port, Wire(port) as wire:
        wire.greet()
        wire.read_to_end()
        assert peer_of(wire) in lines.await_one("a TLS handshake failed: ").getMessage()


@pytest.mark.parametrize("kind", KINDS)
def test_who_only_looks_whether_the_port_is_open_is_no_warning(kind, lines, credentials):
    with serving(kind, ECHO, credentials=credentials) as port:
        for _ in range(3):
            socket.create_connection(("127.0.0.1", port), timeout=LONG).close()
        lines.await_one("a peer left within the TLS handshake")
    assert [record.levelname for record in lines._records] == ["INFO"]


@pytest.mark.parametrize("kind", KINDS)
def test_connections_turned_away(kind, lines):
    options = [("grpc.max_allowed_incoming_connections", 2)]
    with serving(kind, ECHO, options=options) as port, contextlib.ExitStack() as wires:
        for _ in range(2):
            wire = wires.enter_context(Wire(port))
            wire.greet()
            wire.read_until(SETTINGS)
        for _ in range(5):
            with Wire(port) as wire:
                assert wire.read_to_end() == b""
        record = lines.await_one("a connection was turned away: ")
        assert record.levelname == "WARNING" and "2 connections" in record.getMessage()
        assert len([text for text in lines.texts() if "turned away" in text]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_without_descriptors_says_so_and_goes_on_when_there_are_some(kind, lines):
    with serving(kind, ECHO) as port, contextlib.ExitStack() as wires:
        assert echo(port) == b"x"
        kept = wires.enter_context(Wire(port))
        kept.greet()
        kept.ping()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        late = []
        for _ in range(3):
            late.append(wires.enter_context(socket.socket()))
        holder = [socket.socket() for _ in range(3)]
        highest = max(held.fileno() for held in [*holder, *late])
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
            with contextlib.ExitStack() as free:
                # What is free below the limit is taken.
                with contextlib.suppress(OSError):
                    while True:
                        free.enter_context(socket.socket())
                for wire in late:
                    wire.connect(("127.0.0.1", port))
                    wire.settimeout(LONG)
                record = lines.await_one("connections cannot be accepted: ")
                assert record.levelname == "WARNING" and "Too many open files" in record.getMessage()
                # Those that are there are served.
                kept.ping()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for held in holder:
                held.close()
        for wire in late:
            wire.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert wire.recv(100).startswith(b"HTTP/1.1 400")
        assert echo(port) == b"x"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_said_of_ordinary_calls(kind, lines):
    with serving(kind, ECHO) as port:
        for _ in range(3):
            assert echo(port) == b"x"
    assert lines.texts() == []


@pytest.mark.parametrize("raises", [RuntimeError("\udc80"), ValueError("a\udcffb")])
@pytest.mark.parametrize("kind", KINDS)
def test_an_error_whose_text_is_no_unicode_is_answered(kind, raises):
    def fail(_request, _context):
        raise raises

    def abort(_request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, str(raises))

    with (
        serving(kind, {"fail": ("uu", fail), "abort": ("uu", abort)}) as port,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        for method, code in [("fail", grpc.StatusCode.UNKNOWN), ("abort", grpc.StatusCode.NOT_FOUND)]:
            with pytest.raises(grpc.RpcError) as raised:
                channel.unary_unary(f"/test/{method}")(b"", timeout=LONG)
            assert raised.value.code() is code
            assert "\ufffd" in raised.value.details()
