"""Several servers behind one channel: policies, addresses that fail or are silent, idleness."""

from __future__ import annotations

import collections
import contextlib
import json
import socket
import time
from concurrent import futures

import grpc
import pytest
from faces import FACES
from peers import LONG

State = grpc.ChannelConnectivity


class Server:
    """A server that answers with its port."""

    def __init__(self, port=0):
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        handlers = {"name": grpc.unary_unary_rpc_method_handler(lambda request, context: str(self.port).encode())}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
        self.port = self.server.add_insecure_port(f"127.0.0.1:{port}")
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()


@contextlib.contextmanager
def servers(count):
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Server()) for _ in range(count)]


@pytest.fixture(params=FACES)
def face(request):
    return FACES[request.param]


def target(*ports):
    return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)


def service_config(config):
    return [("grpc.service_config", json.dumps(config))]


def ask(channel, **keywords):
    return int(channel.ask("name", **keywords))


def spread(channel, calls):
    return collections.Counter([ask(channel) for _ in range(calls)])


def reach(channel, wanted):
    """Calls until exactly these servers have answered in a row of calls."""
    until = time.monotonic() + LONG
    while set(spread(channel, 2 * len(wanted))) != wanted:
        assert time.monotonic() < until


ROUND_ROBIN = {
    "config": service_config({"loadBalancingConfig": [{"round_robin": {}}]}),
    "config after an unknown one": service_config({"loadBalancingConfig": [{"no_such": {}}, {"round_robin": {}}]}),
    "old field": service_config({"loadBalancingPolicy": "round_robin"}),
    "option": [("grpc.lb_policy_name", "round_robin")],
}

PICK_FIRST = {
    "nothing": [],
    "config": service_config({"loadBalancingConfig": [{"pick_first": {}}]}),
    "option": [("grpc.lb_policy_name", "pick_first")],
    "unknown option": [("grpc.lb_policy_name", "no_such")],
    "config before option": [
        *service_config({"loadBalancingConfig": [{"pick_first": {}}]}),
        ("grpc.lb_policy_name", "round_robin"),
    ],
}

SOON_AGAIN = ("grpc.initial_reconnect_backoff_ms", 100)


@pytest.mark.parametrize("options", ROUND_ROBIN.values(), ids=ROUND_ROBIN)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_round_robin_gives_each_server_the_same(face, options):
    with servers(3) as three:
        ports = [server.port for server in three]
        with face(target(*ports), options) as channel:
            reach(channel, set(ports))
            counts = spread(channel, 100)
            assert set(counts) == set(ports)
            assert max(counts.values()) - min(counts.values()) <= 1


@pytest.mark.parametrize("options", PICK_FIRST.values(), ids=PICK_FIRST)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pick_first_stays_with_the_first_server(face, options):
    with servers(3) as three:
        ports = [server.port for server in three]
        with face(target(*ports), options) as channel:
            assert set(spread(channel, 10)) == {ports[0]}


def test_ring_hash_sends_calls_of_one_user_to_one_server(face):
    options = service_config({"loadBalancingConfig": [{"ring_hash_experimental": {"requestHashHeader": "user"}}]})
    with servers(3) as three:
        ports = [server.port for server in three]
        with face(target(*ports), options) as channel:
            first, again = ([ask(channel, metadata=(("user", str(user)),)) for user in range(60)] for _ in range(2))
            assert first == again
            assert set(first) == set(ports)


def test_shuffled_addresses_are_tried_in_any_order(face):
    options = service_config({"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": True}}]})
    with servers(3) as three:
        ports = [server.port for server in three]
        seen = set()
        until = time.monotonic() + LONG
        while seen != set(ports):
            assert time.monotonic() < until
            with face(target(*ports), options) as channel:
                seen.add(ask(channel))


@pytest.mark.parametrize(
    ("options", "delay"),
    [([], 0.25), ([("grpc.happy_eyeballs_connection_attempt_delay_ms", 500)], 0.5)],
    ids=["a quarter of a second", "what an option says"],
)
def test_a_silent_address_costs(face, options, delay):
    with socket.create_server(("127.0.0.1", 0)) as silent, servers(1) as (server,):
        both = target(silent.getsockname()[1], server.port)
        with face(both, options) as channel:
            began = time.monotonic()
            assert ask(channel) == server.port
            # An attempt is given up after 20 s.
            assert delay <= time.monotonic() - began < 10


def test_a_server_that_goes_is_left_out_and_comes_back(face):
    options = [*ROUND_ROBIN["config"], SOON_AGAIN]
    with servers(2) as two, Server() as third:
        ports = {server.port for server in two}
        everyone = ports | {third.port}
        with face(target(*sorted(everyone)), options) as channel:
            reach(channel, everyone)
            third.server.stop(None).wait()
            # No call fails: what the server had not looked at goes elsewhere.
            reach(channel, ports)
            with Server(third.port):
                reach(channel, everyone)


def test_calls_fail_when_all_servers_are_gone_and_wait_if_asked_to(face):
    with servers(2) as two:
        ports = [server.port for server in two]
    with face(target(*ports), [*ROUND_ROBIN["config"], SOON_AGAIN]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            ask(channel)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert caught.value.details().startswith("connections to all backends failing; last error: ")
        waits = channel.begin("name", wait_for_ready=True, timeout=LONG)
        with Server(ports[1]):
            assert int(waits.result()) == ports[1]


def test_a_retry_policy_has_its_word_when_there_is_no_connection(face):
    retry = {
        "maxAttempts": 5,
        "initialBackoff": "5s",
        "maxBackoff": "5s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    options = service_config({"methodConfig": [{"name": [{}], "retryPolicy": retry}]})
    with servers(1) as (gone,):
        pass
    with face(target(gone.port), options) as channel:
        channel.connect()
        channel.await_state(State.TRANSIENT_FAILURE)
        call = channel.begin("name")
        assert not call.done()
        call.cancel()


def test_a_channel_without_calls_becomes_idle_and_wakes_for_the_next(face):
    with servers(2) as two:
        ports = {server.port for server in two}
        options = [*ROUND_ROBIN["config"], ("grpc.client_idle_timeout_ms", 1000)]
        with face(target(*ports), options) as channel:
            reach(channel, ports)
            channel.await_state(State.READY)
            channel.await_state(State.IDLE)
            assert ask(channel) in ports
