"""What a server can be told to listen on, and how a client reaches it."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from echo import Echo
from farcall import _native


@contextlib.contextmanager
def listening(address: str) -> Iterator[Echo]:
    with ThreadPoolExecutor(4) as pool:
        server = Echo(pool, address)
        try:
            yield server
        finally:
            server.end()


def peer_of(target: str) -> str:
    channel = _native.Channel(target, [])
    answer = channel.unary("/agent", b"", None, 20, None)
    channel.close("")
    assert isinstance(answer, bytes), answer.status()
    return answer.decode().split("|")[2]


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_any_address_is_of_both_families(address: str) -> None:
    with listening(address) as server:
        assert peer_of(f"127.0.0.1:{server.port}").startswith("ipv4:127.0.0.1:")
        if has_ipv6():
            assert peer_of(f"[::1]:{server.port}").startswith("ipv6:%5B::1%5D:")


def test_localhost_is_bound_at_all_its_addresses() -> None:
    with listening("localhost:0") as server:
        assert peer_of(f"127.0.0.1:{server.port}").startswith("ipv4:127.0.0.1:")
        assert peer_of(f"localhost:{server.port}")
        assert peer_of(f"dns:///localhost:{server.port}")


@needs_ipv6
def test_ipv6_alone() -> None:
    with listening("[::1]:0") as server:
        assert peer_of(f"ipv6:[::1]:{server.port}").startswith("ipv6:%5B::1%5D:")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))


def test_unix_sockets(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "socket"
    with listening(f"unix:{path}") as server:
        assert server.port == 1
        assert peer_of(f"unix:{path}") == "unix:"
        assert peer_of(f"unix://{path}") == "unix:"
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "socket"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()
    with listening(f"unix:{path}"):
        assert peer_of(f"unix:{path}") == "unix:"


def test_abstract_unix_sockets() -> None:
    name = f"farcall-{uuid.uuid4()}"
    with listening(f"unix-abstract:{name}") as server:
        assert server.port == 1
        assert peer_of(f"unix-abstract:{name}") == "unix:"


def test_two_servers_share_a_port_unless_told_not_to() -> None:
    first = _native.Server([])
    port = first.add_port("127.0.0.1:0")
    assert _native.Server([]).add_port(f"127.0.0.1:{port}") == port
    with pytest.raises(OSError, match="in use"):
        _native.Server([("grpc.so_reuseport", 0)]).add_port(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "address",
    [
        "",
        ":5",
        "ipv4:127.0.0.1:5",
        "dns:localhost:5",
        "[::1",
        "[::1]5",
        "localhost:http:5",
        "localhost:x",
        "localhost:65536",
        "localhost:-1",
        "unix:",
    ],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises((ValueError, OSError)):
        _native.Server([]).add_port(address)


def test_an_unknown_name() -> None:
    with pytest.raises(OSError):
        _native.Server([]).add_port("no.such.name.invalid:0")
