"""HTTP CONNECT proxies, with a small one that works."""

from __future__ import annotations

import socket
import threading

import grpc
import pytest
from peers import LONG, ON_GRPCIO

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy", "no_grpc_proxy", "no_proxy")


class Proxy:
    """Answers CONNECT, whatever is asked for, with a connection to one port of this machine."""

    def __init__(self, server_port, answer=b"HTTP/1.1 200 Connection established\r\nVia: me\r\n\r\n"):
        self._server_port = server_port
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets = [self._listener]
        self.port = self._listener.getsockname()[1]
        self.requests = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += client.recv(1)
        self.requests.append(request.decode())
        server = socket.create_connection(("127.0.0.1", self._server_port))
        self._sockets.append(server)
        # In one piece with what the server says first: a client must not lose that. Servers may wait for the client's
        # preface, so it is sent in the client's place, and taken out when the client sends it.
        server.sendall(PREFACE)
        client.sendall(self._answer + server.recv(65536))
        if b" 200 " not in self._answer:
            client.close()
            return
        if client.recv(len(PREFACE), socket.MSG_WAITALL) != PREFACE:
            return
        threading.Thread(target=self._forward, args=(server, client), daemon=True).start()
        self._forward(client, server)

    def _forward(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def close(self):
        for each in self._sockets:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()


@pytest.fixture
def proxied(serve, monkeypatch):
    """proxied(answer): a proxy to a server that echoes."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    proxies = []

    def make(*arguments):
        peer = serve(echo=("uu", lambda request, context: request))
        proxies.append(Proxy(peer.port, *arguments))
        return proxies[-1]

    yield make
    for proxy in proxies:
        proxy.close()


def echo(target, message=b"hello", options=None):
    with grpc.insecure_channel(target, options) as channel:
        return channel.unary_unary("/test/echo")(message, timeout=LONG)


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
def test_the_environment_names_a_proxy(proxied, monkeypatch, variable):
    proxy = proxied()
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    # The name is the proxy's to look up: nobody else could.
    assert echo("somewhere.invalid:4444", bytes(300_000)) == bytes(300_000)
    assert proxy.requests[0].startswith("CONNECT somewhere.invalid:4444 HTTP/1.1\r\n")


def test_the_first_variable_counts(proxied, monkeypatch):
    proxy = proxied()
    monkeypatch.setenv("grpc_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert echo("somewhere.invalid:1") == b"hello"


def test_an_option_names_a_proxy(proxied, monkeypatch):
    proxy = proxied()
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    options = [("grpc.http_proxy", f"http://us%65r:secret@127.0.0.1:{proxy.port}")]
    assert echo("somewhere.invalid:1", options=options) == b"hello"
    assert "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n" in proxy.requests[0]


def test_exceptions(proxied, monkeypatch):
    proxy = proxied()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("no_proxy", "other.test, .invalid")
    with pytest.raises(grpc.RpcError) as caught:
        echo("somewhere.invalid:1")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    monkeypatch.setenv("no_grpc_proxy", "other.test")
    assert echo("somewhere.invalid:1") == b"hello"


def test_the_environment_can_be_left_out(proxied, monkeypatch):
    proxy = proxied()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    with pytest.raises(grpc.RpcError):
        echo("somewhere.invalid:1", options=[("grpc.enable_http_proxy", 0)])
    assert proxy.requests == []


def test_addresses_go_through_it_too(proxied):
    proxy = proxied()
    assert echo("ipv4:192.0.2.1:5", options=[("grpc.http_proxy", f"http://127.0.0.1:{proxy.port}")]) == b"hello"
    assert proxy.requests[0].startswith("CONNECT 192.0.2.1:5 ")


@pytest.mark.better_than_grpcio("goes through the proxy to this machine itself")
def test_this_machine_is_reached_directly(proxied, monkeypatch, serve):
    proxy = proxied()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    peer = serve(echo=("uu", lambda request, context: request))
    for host in ("localhost", "127.0.0.1", "ipv4:127.0.0.1"):
        assert echo(f"{host}:{peer.port}") == b"hello"
    assert proxy.requests == []


@pytest.mark.skipif(ON_GRPCIO, reason="its texts are others")
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required"),
        (b"220 smtp.test ESMTP\r\n\r\n", "does not speak HTTP"),
    ],
)
def test_a_proxy_that_refuses_is_named_in_the_error(proxied, answer, why):
    proxy = proxied(answer)
    with pytest.raises(grpc.RpcError) as caught:
        echo("somewhere.invalid:1", options=[("grpc.http_proxy", f"http://127.0.0.1:{proxy.port}")])
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert why in caught.value.details() and f"127.0.0.1:{proxy.port}" in caught.value.details()


@pytest.mark.skipif(ON_GRPCIO, reason="it ignores these, and goes elsewhere than was asked for")
def test_a_proxy_that_cannot_be_used_fails_calls():
    with pytest.raises(grpc.RpcError) as caught:
        echo("somewhere.invalid:1", options=[("grpc.http_proxy", "https://proxy.test:1")])
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "https://proxy.test:1" in caught.value.details()
