"""Peers that misbehave: a client gets the status gRPC names, promptly; a server closes that connection and serves on.

The expectations are the specification's and hold for grpcio too, which is run beside ours; where grpcio strays, the
row says what it does instead.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, NamedTuple

import programs
import pytest
import raw_http2 as raw

CLIENTS = ("grpcio", "ours-python", "ours-rust")
SERVERS = ("grpcio", "ours-python", "ours-rust")

# Long enough that a status other than DEADLINE_EXCEEDED came by itself.
PATIENCE = 10

BROKEN = "UNAVAILABLE|INTERNAL|UNKNOWN"

OK_HEAD = ((":status", "200"), ("content-type", "application/grpc"))


class BadServer(NamedTuple):
    name: str
    behave: Callable[[socket.socket], None]
    # Alternatives are divided by "|": the specification names no status for a broken connection.
    code: str
    grpcio_code: str | None = None


def says_at_once(text: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        connection.sendall(text)
        raw.read_to_end(connection)

    return behave


def answers(*frames: bytes) -> Callable[[socket.socket], None]:
    """Reads a whole request (its stream is 1, being the first), answers with these frames, waits for the client."""

    def behave(connection: socket.socket) -> None:
        assert raw.read_request(connection) == 1
        connection.sendall(b"".join(frames))
        raw.read_to_end(connection)

    return behave


def answers_and_closes(*frames: bytes) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        assert raw.read_request(connection) == 1
        connection.sendall(b"".join(frames))

    return behave


def http_status(status: str, code: str) -> BadServer:
    head = ((":status", status), ("content-type", "text/html"))
    return BadServer(f"http_{status}", answers(raw.headers(1, *head, end=True)), code)


def reset_with(error: int, code: str) -> BadServer:
    return BadServer(
        f"reset_{error}", answers(raw.frame(raw.RST_STREAM, stream=1, payload=error.to_bytes(4, "big"))), code
    )


def trailers_only(name: str, code: str, *pairs: tuple[str, str]) -> BadServer:
    return BadServer(name, answers(raw.headers(1, *OK_HEAD, *pairs, end=True)), code)


def body(*payloads: bytes, end: bool = False) -> bytes:
    """A response's head and DATA."""
    flags = [raw.END_STREAM if end and index == len(payloads) - 1 else 0 for index in range(len(payloads))]
    data = [raw.frame(raw.DATA, flag, 1, payload) for flag, payload in zip(flags, payloads, strict=True)]
    return raw.headers(1, *OK_HEAD) + b"".join(data)


STATUS_OK = raw.headers(1, ("grpc-status", "0"), end=True)

BAD_SERVERS = [
    BadServer("http1", says_at_once(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "UNAVAILABLE"),
    BadServer("garbage", says_at_once(bytes(range(256)) * 8), "UNAVAILABLE"),
    BadServer("closes_at_once", lambda connection: None, "UNAVAILABLE"),
    BadServer("first_frame_is_not_settings", says_at_once(raw.frame(raw.PING, payload=bytes(8))), "UNAVAILABLE"),
    BadServer("closes_after_the_request", answers_and_closes(), "UNAVAILABLE"),
    BadServer("closes_inside_a_message", answers_and_closes(body(raw.message(announced=9))), "UNAVAILABLE"),
    BadServer("closes_inside_a_frame", answers_and_closes(raw.headers(1, *OK_HEAD)[:-3]), "UNAVAILABLE"),
    BadServer("goaway_with_error", answers(raw.frame(raw.GOAWAY, payload=bytes(7) + b"\x01")), "UNAVAILABLE"),
    http_status("400", "INTERNAL"),
    http_status("401", "UNAUTHENTICATED"),
    http_status("403", "PERMISSION_DENIED"),
    http_status("404", "UNIMPLEMENTED"),
    http_status("429", "UNAVAILABLE"),
    http_status("503", "UNAVAILABLE"),
    http_status("500", "UNKNOWN"),
    http_status("200", "UNKNOWN"),
    reset_with(0, "INTERNAL"),
    reset_with(2, "INTERNAL"),
    reset_with(8, "CANCELLED"),
    reset_with(11, "RESOURCE_EXHAUSTED"),
    reset_with(12, "PERMISSION_DENIED"),
    trailers_only("status_99", "UNKNOWN", ("grpc-status", "99")),
    trailers_only("status_wins_over_http", "NOT_FOUND", ("grpc-status", "5")),
    # As our servers refuse messages of a codec that the method does not read.
    BadServer(
        "unsupported_media_type",
        answers(
            raw.headers(1, (":status", "415"), ("content-type", "application/grpc"), ("grpc-status", "12"), end=True)
        ),
        "UNIMPLEMENTED",
    ),
    BadServer("ends_without_trailers", answers(body(raw.message(), end=True)), "UNKNOWN"),
    BadServer("message_over_the_limit", answers(body(raw.message(announced=5 << 20))), "RESOURCE_EXHAUSTED"),
    BadServer("half_a_message", answers(body(raw.message(announced=9)), STATUS_OK), "INTERNAL", grpcio_code="OK"),
    BadServer("unknown_message_flag", answers(body(raw.message(flag=2)), STATUS_OK), "INTERNAL", grpcio_code="OK"),
    BadServer(
        "compressed_without_encoding",
        answers(body(raw.message(b"x", flag=1)), STATUS_OK),
        "INTERNAL",
    ),
    BadServer("frame_too_large", answers(b"\xff\xff\xff" + raw.frame(raw.DATA, stream=1)[3:]), BROKEN),
    BadServer("bad_header_block", answers(raw.frame(raw.HEADERS, raw.END_HEADERS, 1, b"\xff" * 20)), BROKEN),
]


@pytest.mark.parametrize("bad", BAD_SERVERS, ids=[bad.name for bad in BAD_SERVERS])
@pytest.mark.parametrize("client", CLIENTS)
def test_client_of_a_bad_server(client: str, bad: BadServer, perform: Any) -> None:
    case = {"name": "call", "kind": "unary", "timeout": PATIENCE, "requests": [{"payload": "hello"}]}
    with raw.listening(bad.behave) as port:
        outcome = perform(client, port, [case])["call"]
    expected = bad.grpcio_code if client == "grpcio" and bad.grpcio_code else bad.code
    assert outcome["code"] in expected.split("|"), outcome


@pytest.mark.parametrize("client", CLIENTS)
def test_client_of_a_silent_server(client: str, perform: Any) -> None:
    case = {"name": "call", "kind": "unary", "timeout": 0.5, "requests": [{"payload": "hello"}]}
    with raw.listening(raw.read_to_end) as port:
        assert perform(client, port, [case])["call"]["code"] == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("client", CLIENTS)
def test_client_of_nobody(client: str, perform: Any) -> None:
    case = {"name": "call", "kind": "unary", "timeout": PATIENCE, "requests": [{"payload": "hello"}]}
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        outcome = perform(client, port, [case])["call"]
    assert outcome["code"] == "UNAVAILABLE"
    if client != "ours-rust":
        assert outcome["details"] == (
            "failed to connect to all addresses; last error: UNKNOWN: "
            f"ipv4:127.0.0.1:{port}: Failed to connect to remote host: Connection refused"
        )


REQUEST_HEAD = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/farcall.interop.Interop/Echo"),
    (":authority", "localhost"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
)
HELLO = raw.PREFACE + raw.frame(raw.SETTINGS)

# What is sent, after which the server is to close the connection.
FATAL_CLIENTS = {
    "http1": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "garbage": bytes(range(256)) * 64,
    "wrong_preface": b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n" + raw.frame(raw.SETTINGS),
    "first_frame_is_not_settings": raw.PREFACE + raw.frame(raw.PING, payload=bytes(8)),
    "frame_too_large": HELLO + b"\xff\xff\xff" + raw.frame(raw.DATA, stream=1)[3:],
    "settings_of_odd_size": HELLO + raw.frame(raw.SETTINGS, payload=bytes(5)),
    "data_on_stream_zero": HELLO + raw.frame(raw.DATA, payload=b"x"),
    "bad_header_block": HELLO + raw.frame(raw.HEADERS, raw.END_HEADERS, 1, b"\xff" * 20),
    "headers_cut_by_another_frame": HELLO
    + raw.frame(raw.HEADERS, 0, 1, raw.header_block(*REQUEST_HEAD))
    + raw.frame(raw.PING, payload=bytes(8)),
}

GRPCIO_TOLERATES = {"data_on_stream_zero"}

# What is sent before the client closes; the connection itself is no error yet.
ABRUPT_CLIENTS = {
    "nothing": b"",
    "half_a_preface": raw.PREFACE[:10],
    "half_a_frame": HELLO + raw.headers(1, *REQUEST_HEAD)[:-5],
    "half_a_request": HELLO + raw.headers(1, *REQUEST_HEAD),
    "half_a_message": HELLO + raw.headers(1, *REQUEST_HEAD) + raw.frame(raw.DATA, 0, 1, raw.message(announced=99)),
}


@pytest.fixture
def still_serves(perform: Any) -> Callable[[programs.Server], None]:
    def check(server: programs.Server) -> None:
        case = {"name": "after", "kind": "unary", "requests": [{"payload": "still there?"}]}
        assert perform("grpcio", server.port, [case])["after"]["replies"] == ["still there?"], server.output()

    return check


# `:status 200` as it begins a header block; every other status is a literal.
STATUS_200 = b"\x88"


@pytest.mark.parametrize("subtype", ["", "+proto", "+json"])
@pytest.mark.parametrize("server", ["ours-python", "ours-aio", "ours-rust"])
def test_server_of_another_codec(server: str, subtype: str, servers: Any, still_serves: Any) -> None:
    running = servers(server)
    head = [(name, value + subtype if name == "content-type" else value) for name, value in REQUEST_HEAD]
    with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as connection:
        connection.sendall(HELLO + raw.headers(1, *head) + raw.frame(raw.DATA, raw.END_STREAM, 1, raw.message()))
        while (answer := raw.read_frame(connection))[0] != raw.HEADERS:
            pass
    _, flags, _, block = answer
    served = subtype != "+json"
    assert block.startswith(STATUS_200) is served
    assert bool(flags & raw.END_STREAM) is not served
    still_serves(running)


@pytest.mark.parametrize("bad", FATAL_CLIENTS)
@pytest.mark.parametrize("server", SERVERS)
def test_server_of_a_bad_client(server: str, bad: str, servers: Any, still_serves: Any) -> None:
    if server == "grpcio" and bad in GRPCIO_TOLERATES:
        pytest.skip("grpcio lets this pass")
    running = servers(server)
    with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as connection:
        connection.sendall(FATAL_CLIENTS[bad])
        raw.read_to_end(connection)
    still_serves(running)


@pytest.mark.parametrize("bad", ABRUPT_CLIENTS)
@pytest.mark.parametrize("server", SERVERS)
def test_server_of_a_client_that_leaves(server: str, bad: str, servers: Any, still_serves: Any) -> None:
    running = servers(server)
    with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as connection:
        connection.sendall(ABRUPT_CLIENTS[bad])
    still_serves(running)
