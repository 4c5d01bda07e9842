"""Servers that refuse calls or connections: how often a channel comes back, blocking and asyncio."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from concurrent import futures

import grpc
import grpc.aio
import pytest
from refusing import Refusing

KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")

#: Seconds that calls are made to a server that sends every connection away.
WHILE = 2.0


def blocking(address, kind, timeout, options=(), **arguments):
    """The code of a call."""
    with grpc.insecure_channel(address, options) as channel:
        invoke = getattr(channel, kind)("/test/refused")
        request = b"" if kind.startswith("unary") else iter(())
        try:
            answer = invoke(request, timeout=timeout, **arguments)
            return list(answer) and None
        except grpc.RpcError as error:
            return error.code()


def on_a_loop(address, kind, timeout, options=(), **arguments):
    """The same of `grpc.aio`."""

    async def call():
        async with grpc.aio.insecure_channel(address, options) as channel:
            request = b"" if kind.startswith("unary") else iter(())
            call = getattr(channel, kind)("/test/refused")(request, timeout=timeout, **arguments)
            return await call.code()

    return asyncio.run(call())


FACES = {"blocking": blocking, "asyncio": on_a_loop}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("face", FACES)
def test_a_refused_stream_is_tried_once_more_on_its_connection(face, kind):
    with Refusing("streams") as server:
        assert FACES[face](server.address, kind, 10.0) is grpc.StatusCode.UNAVAILABLE
        # grpcio leaves it at one.
        assert 1 <= server.streams <= 2
        assert server.connections == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("face", FACES)
def test_then_the_retry_policy_has_the_word(face, kind):
    policy = {
        "maxAttempts": 3,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
    with Refusing("streams") as server:
        options = [("grpc.service_config", config)]
        assert FACES[face](server.address, kind, 10.0, options) is grpc.StatusCode.UNAVAILABLE
        assert 3 <= server.streams <= 4
        assert server.connections == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("face", FACES)
def test_a_stream_that_goaway_leaves_out_is_tried_once_more(face, kind):
    with Refusing("late goaway") as server:
        assert FACES[face](server.address, kind, 10.0) is grpc.StatusCode.UNAVAILABLE
        assert server.streams <= 2
        assert server.connections <= 3


@pytest.mark.parametrize("wait_for_ready", [False, True])
@pytest.mark.parametrize("face", FACES)
def test_a_server_that_sends_every_connection_away_is_backed_off_from(face, wait_for_ready):
    with Refusing("goaway") as server:
        until = time.monotonic() + WHILE
        codes = set()
        if wait_for_ready:
            codes.add(FACES[face](server.address, KINDS[0], WHILE, wait_for_ready=True))
        else:
            with grpc.insecure_channel(server.address) as channel:
                loop = asyncio.new_event_loop()
                aio = grpc.aio.insecure_channel(server.address)

                async def call():
                    return await aio.unary_unary("/test/refused")(b"").code()

                while time.monotonic() < until:
                    if face == "asyncio":
                        codes.add(loop.run_until_complete(call()))
                    else:
                        codes.add(channel.unary_unary("/test/refused").future(b"").code())
                loop.run_until_complete(aio.close())
                loop.close()
        assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        # Three in a row are no accident; from then on a second and more lies between two.
        assert server.connections <= 8


@pytest.mark.parametrize("face", FACES)
def test_a_server_whose_connections_are_short_is_no_reason_to_back_off(face):
    """`max_connection_age` of 300 ms: each connection serves, none lives for a second."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda request, context: request)

    options = [("grpc.max_connection_age_ms", 300), ("grpc.max_connection_age_grace_ms", 1000)]
    server = grpc.server(futures.ThreadPoolExecutor(4), options=options)
    server.add_generic_rpc_handlers((Handler(),))
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    pause = threading.Event()
    try:
        if face == "blocking":
            with grpc.insecure_channel(address) as channel:
                for _ in range(200):
                    assert channel.unary_unary("/test/echo")(b"x", timeout=10.0) == b"x"
                    pause.wait(0.01)
        else:

            async def calls():
                async with grpc.aio.insecure_channel(address) as channel:
                    for _ in range(200):
                        assert await channel.unary_unary("/test/echo")(b"x", timeout=10.0) == b"x"
                        await asyncio.sleep(0.01)

            asyncio.run(calls())
    finally:
        server.stop(None)
