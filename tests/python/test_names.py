"""Names: what the DNS says of them, asked of a name server on loopback; and targets of other kinds."""

from __future__ import annotations

import json
import time

import grpc
import pytest
from faces import FACES
from name_server import SERVER_FAILURE, NameServer, a, srv, txt
from peers import LONG
from test_balancing import Server, ask, reach

AGAIN = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
WITH_CONFIG = [("grpc.service_config_disable_resolution", 0), *AGAIN]


@pytest.fixture(params=FACES)
def face(request):
    return FACES[request.param]


@pytest.fixture
def dns():
    with NameServer() as server:
        yield server


def choices(*choices):
    return txt("grpc_config=" + json.dumps(choices))


def ask_until(channel, accepted):
    """Calls until one ends in an accepted way: a port, or a text that its error has."""
    until = time.monotonic() + LONG
    while True:
        try:
            end = ask(channel)
        except grpc.RpcError as error:
            end = error.details()
        if accepted(end):
            return
        assert time.monotonic() < until, end


def test_a_name_server_in_the_target_is_asked(face, dns):
    with Server() as server, face(dns.target(f"name.test:{server.port}"), AGAIN) as channel:
        text = "address lookup failed for name.test:{}: {}"
        with pytest.raises(grpc.RpcError) as caught:
            ask(channel)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert text.format(server.port, "Domain name not found") in caught.value.details()
        dns.fails = SERVER_FAILURE
        general = text.format(server.port, "DNS server returned general failure")
        ask_until(channel, lambda end: general in str(end))
        dns.fails, dns.records["name.test"] = None, [a("127.0.0.1")]
        ask_until(channel, lambda end: end == server.port)


def test_a_service_config_comes_from_the_dns_if_that_is_asked_for(face, dns):
    """gRFC A2: grpcio calls itself c++ there, and Python programs may be called so, too."""
    with Server() as first, Server() as second:
        dns.records["one.test"] = [a("127.0.0.1")]
        dns.records["_grpc._tcp.name.test"] = [srv("one.test", first.port), srv("one.test", second.port)]
        balanced = {"loadBalancingConfig": [{"round_robin": {}}]}
        other = {"clientLanguage": ["go"], "serviceConfig": {}}
        service = [("farcall.dns_service", "_grpc._tcp")]
        for language in ("c++", "PYTHON"):
            ours = {"clientLanguage": [language], "serviceConfig": balanced}
            dns.records["_grpc_config.name.test"] = [txt("v=spf1"), choices(other, ours)]
            with face(dns.target("name.test"), [*WITH_CONFIG, *service]) as channel:
                reach(channel, {first.port, second.port})
        with face(dns.target("name.test"), service) as channel:
            assert len({ask(channel) for _ in range(4)}) == 1, "it is not asked for"


def test_a_bad_service_config_fails_calls_until_it_is_mended(face, dns):
    with Server() as server:
        dns.records["name.test"] = [a("127.0.0.1")]
        dns.records["_grpc_config.name.test"] = [choices({"serviceConfig": {}, "percentage": 101})]
        with face(dns.target(f"name.test:{server.port}"), WITH_CONFIG) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                ask(channel)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "field:[0].percentage error:is not a whole number from 0 to 100" in caught.value.details()
            dns.records["_grpc_config.name.test"] = []
            ask_until(channel, lambda end: end == server.port)


def test_a_name_that_changes_is_followed_while_connected_if_that_is_asked_for(face, dns):
    with Server() as first, Server() as second:
        dns.records["one.test"] = [a("127.0.0.1")]
        dns.records["_grpc._tcp.name.test"] = [srv("one.test", first.port)]
        options = [("farcall.dns_service", "_grpc._tcp"), ("farcall.dns_refresh_ms", 20), *AGAIN]
        with face(dns.target("name.test"), options) as channel:
            assert ask(channel) == first.port
            dns.records["_grpc._tcp.name.test"] = [srv("one.test", second.port)]
            ask_until(channel, lambda end: end == second.port)
            # What was found counts while the DNS fails.
            dns.fails = SERVER_FAILURE
            assert {ask(channel) for _ in range(20)} == {second.port}


def test_what_does_not_fit_into_a_datagram_comes_over_tcp(face, dns):
    with Server() as server:
        many = [a(f"127.1.{high}.{low}") for high in range(4) for low in range(250)]
        dns.records["name.test"] = [a("127.0.0.1"), *many]
        with face(dns.target(f"name.test:{server.port}"), []) as channel:
            assert ask(channel) == server.port
        assert dns.over_tcp == 1


def test_other_kinds_of_targets(face):
    with Server() as server:
        for target in (f"passthrough:///localhost:{server.port}", f"ipv4:127.0.0.1:{server.port},127.0.0.1:1"):
            with face(target, []) as channel:
                assert ask(channel) == server.port, target


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("dns://a.name.server/localhost:1", 'the name server "a.name.server" is no IP address'),
        ("dns://localhost:1", "write dns:///localhost:1"),
        ("vsock:here:1", "a vsock target is vsock:cid:port"),
    ],
)
def test_targets_that_cannot_be_read_say_why(face, target, why):
    with face(target, []) as channel, pytest.raises(grpc.RpcError) as caught:
        ask(channel)
    assert why in caught.value.details() and target in caught.value.details()
