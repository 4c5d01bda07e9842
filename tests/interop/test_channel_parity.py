"""What a channel does when its server goes wrong: the same in Rust, blocking and asyncio.

Each row of `cases.channel_scenarios` fixes code and text of a call, and the connections and streams that it took.
"""

from __future__ import annotations

import contextlib
import functools
import pathlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import cases
import pytest
import raw_http2 as raw

CLIENTS = ("ours-rust", "ours-python", "ours-aio")

# Long enough that a status other than DEADLINE_EXCEEDED came by itself.
PATIENCE = 10

OK_HEAD = ((":status", "200"), ("content-type", "application/grpc"))
INTERNAL_ERROR, REFUSED_STREAM = 2, 7


def reset(stream: int, error: int) -> bytes:
    return raw.frame(raw.RST_STREAM, stream=stream, payload=error.to_bytes(4, "big"))


def goaway(last: int) -> bytes:
    return raw.frame(raw.GOAWAY, payload=last.to_bytes(4, "big") + bytes(4))


def echo(stream: int) -> bytes:
    """An empty Reply, and OK."""
    return (
        raw.headers(stream, *OK_HEAD)
        + raw.frame(raw.DATA, stream=stream, payload=raw.message())
        + raw.headers(stream, ("grpc-status", "0"), end=True)
    )


class Counted:
    """A server that counts what comes; its first connection behaves in one way, those after it in another."""

    def __init__(self, first: str, later: str) -> None:
        self.connections = 0
        self.streams = 0
        self._ways = (first, later)
        self._lock = threading.Lock()

    def behave(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            way = self._ways[min(self.connections, 2) - 1]
        greeting = goaway(0) if way == "goaway_at_once" else b""
        connection.sendall(raw.frame(raw.SETTINGS) + greeting)
        if raw.read_exactly(connection, len(raw.PREFACE)) != raw.PREFACE:
            return raw.read_to_end(connection)
        served = 0
        while True:
            kind, flags, stream, payload = raw.read_frame(connection)
            if kind == raw.SETTINGS and not flags & raw.ACK:
                connection.sendall(raw.frame(raw.SETTINGS, raw.ACK))
            elif kind == raw.PING and not flags & raw.ACK:
                connection.sendall(raw.frame(raw.PING, raw.ACK, payload=payload))
            elif kind == raw.HEADERS:
                self.streams += 1
            if kind in (raw.DATA, raw.HEADERS) and flags & raw.END_STREAM:
                served += 1
                answer = self._answer(way, stream, served)
                connection.sendall(answer)
                if way in ("close", "headers_and_close"):
                    return

    def _answer(self, way: str, stream: int, served: int) -> bytes:
        if way == "refuse_once":
            way = "refuse" if served == 1 else "answer"
        answers: dict[str, bytes] = {
            "answer": echo(stream),
            "goaway_at_once": b"",
            "goaway_below": goaway(0),
            "goaway_with": goaway(stream) + echo(stream),
            "refuse": reset(stream, REFUSED_STREAM),
            "reset": reset(stream, INTERNAL_ERROR),
            "headers_and_reset": raw.headers(stream, *OK_HEAD) + reset(stream, INTERNAL_ERROR),
            "close": b"",
            "headers_and_close": raw.headers(stream, *OK_HEAD),
        }
        return answers[way]


@contextlib.contextmanager
def nobody() -> Iterator[int]:
    """A port at which nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def refusing_proxy(answer: str) -> Callable[[socket.socket], None]:
    def behave(connection: socket.socket) -> None:
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += connection.recv(1)
        connection.sendall(answer.encode())

    return behave


def rows() -> Iterator[Any]:
    for scenario in cases.channel_scenarios():
        for client in CLIENTS:
            drift = scenario.get("drift", {}).get(client)
            marks = [pytest.mark.xfail(reason=drift, strict=True)] if drift else []
            yield pytest.param(client, scenario, id=f"{scenario['name']}-{client}", marks=marks)


def groups() -> Iterator[list[dict[str, Any]]]:
    """Scenarios that one run of a client can perform: those that need it for themselves are alone."""
    alone = [scenario for scenario in cases.channel_scenarios() if scenario.keys() & {"tls", "proxy", "calls"}]
    yield [scenario for scenario in cases.channel_scenarios() if scenario not in alone]
    yield from ([scenario] for scenario in alone)


@pytest.fixture(scope="module")
def seen(perform: Any, certificates: pathlib.Path) -> Callable[[str], dict[str, dict[str, Any]]]:
    """What a client saw, and its server, of each scenario, by name."""

    def perform_group(client: str, group: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
        environment = {"grpc_proxy": "", "no_grpc_proxy": ""}
        met: dict[str, tuple[dict[str, int], Counted]] = {}
        asked = []
        address: int | str = "127.0.0.1:1"
        with contextlib.ExitStack() as stack:
            for scenario in group:
                server = Counted(scenario.get("first", "answer"), scenario.get("later", "answer"))
                port = stack.enter_context(raw.listening(server.behave) if "first" in scenario else nobody())
                ports = {"port": port}
                if "proxy" in scenario:
                    ports["proxy_port"] = proxy = stack.enter_context(raw.listening(refusing_proxy(scenario["proxy"])))
                    environment["grpc_proxy"] = f"http://127.0.0.1:{proxy}"
                if "tls" in scenario:
                    environment["INTEROP_TLS"] = str(certificates)
                target = scenario.get("target", "127.0.0.1:{port}").format(port=port)
                call = {"kind": "unary", "timeout": PATIENCE, "requests": [{"payload": "hello"}]}
                if "calls" in scenario:
                    address = port
                    asked += [{"name": scenario["name"], **call}] * scenario["calls"]
                else:
                    asked.append({"name": scenario["name"], "target": target, **call})
                met[scenario["name"]] = (ports, server)
            outcomes = perform(client, address, asked, **environment)
        for name, (ports, server) in met.items():
            counts = {"ports": ports, "connections": server.connections, "streams": server.streams}
            yield name, {**outcomes[name], **counts}

    @functools.cache
    def by_name(client: str) -> dict[str, dict[str, Any]]:
        return dict(item for group in groups() for item in perform_group(client, group))

    return by_name


@pytest.mark.parametrize(("client", "scenario"), rows())
def test_channels_do_alike(client: str, scenario: dict[str, Any], seen: Any) -> None:
    outcome = seen(client)[scenario["name"]]
    expected = dict(scenario["expect"])
    expected["details"] = expected["details"].format(**outcome["ports"])
    assert cases.mismatch(expected, outcome) == []
