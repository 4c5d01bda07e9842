"""Servers that say how they are, and channels that mind it: `healthCheckConfig` of service configs."""

from __future__ import annotations

import json
import queue
import threading
import time
from concurrent import futures

import grpc
import pytest
from faces import FACES
from peers import LONG

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
State = grpc.ChannelConnectivity


class Server:
    """A server that answers with its port, and says of its health what it is told to."""

    def __init__(self, said=SERVING):
        self.asked, self.over = queue.SimpleQueue(), queue.SimpleQueue()
        self._said = said
        self._changed = threading.Condition()
        self._server = grpc.server(futures.ThreadPoolExecutor(8))
        name = grpc.unary_unary_rpc_method_handler(lambda request, context: str(self.port).encode())
        self._add("test", name=name)
        if said is not None:
            self._add("grpc.health.v1.Health", Watch=grpc.unary_stream_rpc_method_handler(self._watch))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def _add(self, service, **methods):
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()

    def _watch(self, request, context):
        def wake():
            self.over.put(self.port)
            with self._changed:
                self._changed.notify_all()

        self.asked.put(request)
        if not context.add_callback(wake):
            return
        said = None
        while context.is_active():
            with self._changed:
                while self._said == said and context.is_active():
                    self._changed.wait(LONG)
                said = self._said
            yield said

    def say(self, said):
        with self._changed:
            self._said = said
            self._changed.notify_all()


@pytest.fixture(params=FACES)
def face(request):
    return FACES[request.param]


@pytest.fixture
def three():
    with Server() as first, Server() as second, Server() as third:
        yield first, second, third


def channel_of(face, servers, *options):
    config = {"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "a.B"}}
    target = "ipv4:" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return face(target, [("grpc.service_config", json.dumps(config)), *options])


def reach(channel, servers):
    """Calls until just these servers answer, again and again."""
    wanted, until = {server.port for server in servers}, time.monotonic() + LONG
    while {int(channel.ask("name")) for _ in range(4 * len(wanted))} != wanted:
        assert time.monotonic() < until


def test_a_server_that_flips_is_left_out_meanwhile(face, three):
    with channel_of(face, three) as channel:
        reach(channel, three)
        for _ in range(3):
            three[1].say(NOT_SERVING)
            reach(channel, (three[0], three[2]))
            three[1].say(SERVING)
            reach(channel, three)
        for server in three:
            assert server.asked.get() == b"\x0a\x03a.B"
            assert server.asked.empty()


def test_when_none_is_healthy_calls_fail_in_the_words_of_grpcio_unless_they_wait(face):
    with Server(NOT_SERVING) as server, channel_of(face, [server]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.ask("name")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        words = "connections to all backends failing; last error: UNAVAILABLE: ipv4:127.0.0.1:"
        assert caught.value.details().startswith(words)
        assert caught.value.details().endswith(": backend unhealthy")
        waits = channel.begin("name", wait_for_ready=True, timeout=LONG)
        server.say(SERVING)
        assert int(waits.result()) == server.port


def test_servers_without_the_service_are_used(face):
    with Server(None) as server, channel_of(face, [server]) as channel:
        reach(channel, [server])


def test_a_server_that_says_too_much_at_once_is_left_out(face):
    unknown_field = b"\x7a\x80\x80\x04" + bytes(64 << 10)
    with Server(SERVING + unknown_field) as server, channel_of(face, [server]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.ask("name")
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_an_option_has_nobody_asked(face):
    with Server(NOT_SERVING) as server:
        with channel_of(face, [server], ("grpc.inhibit_health_checking", 1)) as channel:
            assert int(channel.ask("name")) == server.port
        assert server.asked.empty()


def test_a_watch_keeps_no_channel_from_idleness_and_is_over_then(face, three):
    with channel_of(face, three, ("grpc.client_idle_timeout_ms", 1000)) as channel:
        reach(channel, three)
        channel.await_state(State.IDLE)
        assert {server.over.get(timeout=LONG) for server in three} == {server.port for server in three}
        assert int(channel.ask("name")) in {server.port for server in three}


def test_a_watch_is_over_with_its_channel(face, three):
    with channel_of(face, three) as channel:
        reach(channel, three)
    for server in three:
        assert server.over.get(timeout=LONG) == server.port
