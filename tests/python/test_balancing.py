"""Several servers behind one channel of a loop: policies, addresses that fail or are silent, idleness."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import socket
import time

import grpc
import grpc.aio
import pytest
from peers import LONG


class Server:
    """A server that answers with its port."""

    def __init__(self, port=0):
        self.port = port

    async def __aenter__(self):
        async def name(request, context):
            return str(self.port).encode()

        self.server = grpc.aio.server()
        handlers = {"name": grpc.unary_unary_rpc_method_handler(name)}
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
        self.port = self.server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self.server.start()
        return self

    async def __aexit__(self, *_):
        await self.server.stop(None)


@contextlib.asynccontextmanager
async def servers(count):
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(Server()) for _ in range(count)]


def target(*ports):
    return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)


def service_config(config):
    return [("grpc.service_config", json.dumps(config))]


async def ask(channel, **keywords):
    return int(await channel.unary_unary("/test/name")(b"", timeout=LONG, **keywords))


async def spread(channel, calls):
    return collections.Counter([await ask(channel) for _ in range(calls)])


async def reach(channel, wanted):
    """Calls until exactly these servers have answered in a row of calls."""
    while set(await spread(channel, 2 * len(wanted))) != wanted:
        await asyncio.sleep(0)


def run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, LONG))


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


@pytest.mark.parametrize("options", ROUND_ROBIN.values(), ids=ROUND_ROBIN)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_round_robin_gives_each_server_the_same(options):
    async def main():
        async with servers(3) as three:
            ports = [server.port for server in three]
            async with grpc.aio.insecure_channel(target(*ports), options) as channel:
                await reach(channel, set(ports))
                counts = await spread(channel, 100)
                assert set(counts) == set(ports)
                assert max(counts.values()) - min(counts.values()) <= 1

    run(main())


@pytest.mark.parametrize("options", PICK_FIRST.values(), ids=PICK_FIRST)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pick_first_stays_with_the_first_server(options):
    async def main():
        async with servers(3) as three:
            ports = [server.port for server in three]
            async with grpc.aio.insecure_channel(target(*ports), options) as channel:
                assert set(await spread(channel, 10)) == {ports[0]}

    run(main())


def test_a_silent_address_costs_a_quarter_of_a_second():
    async def main():
        with socket.create_server(("127.0.0.1", 0)) as silent:
            async with servers(1) as (server,):
                both = target(silent.getsockname()[1], server.port)
                async with grpc.aio.insecure_channel(both) as channel:
                    began = time.monotonic()
                    assert await ask(channel) == server.port
                    # An attempt is given up after 20 s.
                    assert 0.25 <= time.monotonic() - began < 10

    run(main())


def test_a_server_that_goes_is_left_out_and_comes_back():
    async def main():
        options = [*ROUND_ROBIN["config"], ("grpc.initial_reconnect_backoff_ms", 100)]
        async with servers(2) as two, Server() as third:
            ports = {server.port for server in two}
            everyone = ports | {third.port}
            async with grpc.aio.insecure_channel(target(*sorted(everyone)), options) as channel:
                await reach(channel, everyone)
                await third.server.stop(None)
                # No call fails: what the server had not looked at goes elsewhere.
                await reach(channel, ports)
                async with Server(third.port):
                    await reach(channel, everyone)

    run(main())


def test_calls_fail_when_all_servers_are_gone_and_wait_if_asked_to():
    async def main():
        options = [*ROUND_ROBIN["config"], ("grpc.initial_reconnect_backoff_ms", 100)]
        async with servers(2) as two:
            ports = [server.port for server in two]
        async with grpc.aio.insecure_channel(target(*ports), options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(channel)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert caught.value.details().startswith("connections to all backends failing; last error: ")
            waits = asyncio.ensure_future(ask(channel, wait_for_ready=True))
            async with Server(ports[1]):
                assert await waits == ports[1]

    run(main())


def test_a_retry_policy_has_its_word_when_there_is_no_connection():
    retry = {
        "maxAttempts": 5,
        "initialBackoff": "5s",
        "maxBackoff": "5s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    options = service_config({"methodConfig": [{"name": [{}], "retryPolicy": retry}]})

    async def main():
        async with servers(1) as (gone,):
            pass
        async with grpc.aio.insecure_channel(target(gone.port), options) as channel:
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                await channel.wait_for_state_change(state)
                state = channel.get_state()
            call = channel.unary_unary("/test/name")(b"")
            await asyncio.sleep(0)
            assert not call.done()
            call.cancel()

    run(main())


def test_a_channel_without_calls_becomes_idle_and_wakes_for_the_next():
    async def main():
        async with servers(2) as two:
            ports = {server.port for server in two}
            options = [*ROUND_ROBIN["config"], ("grpc.client_idle_timeout_ms", 1000)]
            async with grpc.aio.insecure_channel(target(*ports), options) as channel:
                await reach(channel, ports)
                state = grpc.ChannelConnectivity.READY
                while state is not grpc.ChannelConnectivity.IDLE:
                    await channel.wait_for_state_change(state)
                    state = channel.get_state()
                assert await ask(channel) in ports

    run(main())
