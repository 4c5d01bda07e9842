"""Attempts beside each other: hedging policies of service configs, over each kind of call."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import queue
import threading

import grpc
import grpc.aio
import pytest
from peers import LONG

KINDS = ("uu", "us", "su", "ss")
NEVER = "3600s"


class Server:
    """A server that does with each attempt what `behave` does with its number, and answers with that number then
    and with the length of the requests."""

    def __init__(self, behave=lambda number, context: None):
        self._behave = behave
        self.attempts = []
        self.cancelled = queue.SimpleQueue()
        self.answered = []

    def __enter__(self):
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
        handlers = {
            "uu": grpc.unary_unary_rpc_method_handler(lambda request, context: self._serve([request], context)),
            "us": grpc.unary_stream_rpc_method_handler(lambda request, context: self._stream([request], context)),
            "su": grpc.stream_unary_rpc_method_handler(self._serve),
            "ss": grpc.stream_stream_rpc_method_handler(self._stream),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()

    def _serve(self, requests, context):
        number = int(dict(context.invocation_metadata()).get("grpc-previous-rpc-attempts", 0))
        self.attempts.append(number)
        total = sum(len(request) for request in requests)
        self._behave(number, context)
        self.answered.append(number)
        return b"%d: %d" % (number, total)

    def _stream(self, requests, context):
        yield self._serve(requests, context)

    def hang(self, number, context):
        """Until the client gives the attempt up."""
        over = threading.Event()
        if context.add_callback(over.set):
            assert over.wait(LONG)
        self.cancelled.put(number)
        context.abort(grpc.StatusCode.UNKNOWN, "nobody waits for it")

    def losers(self, count):
        """The next attempts that were given up."""
        return sorted(self.cancelled.get(timeout=LONG) for _ in range(count))


async def asyncio_call(target, options, kind, requests, **keywords):
    async with grpc.aio.insecure_channel(target, options) as channel:
        if kind == "uu":
            return await channel.unary_unary("/test/uu")(b"".join(requests), **keywords)
        if kind == "us":
            call = channel.unary_stream("/test/us")(b"".join(requests), **keywords)
            (response,) = [response async for response in call]
            return response
        if kind == "su":
            return await channel.stream_unary("/test/su")(iter(requests), **keywords)
        call = channel.stream_stream("/test/ss")(iter(requests), **keywords)
        (response,) = [response async for response in call]
        return response


def by_asyncio(target, options, kind, requests, **keywords):
    return asyncio.run(asyncio_call(target, options, kind, requests, **keywords))


def by_blocking(target, options, kind, requests, **keywords):
    with grpc.insecure_channel(target, options) as channel:
        if kind == "uu":
            return channel.unary_unary("/test/uu")(b"".join(requests), **keywords)
        if kind == "us":
            (response,) = channel.unary_stream("/test/us")(b"".join(requests), **keywords)
            return response
        if kind == "su":
            return channel.stream_unary("/test/su")(iter(requests), **keywords)
        (response,) = channel.stream_stream("/test/ss")(iter(requests), **keywords)
        return response


# How a call is made: where it goes, options, kind, requests.
CLIENTS = {"asyncio": by_asyncio, "blocking": by_blocking}


@pytest.fixture(params=[(client, kind) for client in CLIENTS for kind in KINDS], ids="-".join)
def made(request):
    client, kind = request.param

    def make(server, options, *requests, **keywords):
        target = f"ipv4:127.0.0.1:{server.port}" if isinstance(server, Server) else server
        keywords = {"timeout": LONG, **keywords}
        return CLIENTS[client](target, options, kind, requests or (b"request",), **keywords).decode()

    return make


def hedging(max_attempts, delay, *options, **config):
    policy = {"maxAttempts": max_attempts, "hedgingDelay": delay, "nonFatalStatusCodes": ["UNAVAILABLE"]}
    config = {"methodConfig": [{"name": [{}], "hedgingPolicy": policy}], **config}
    return [("grpc.service_config", json.dumps(config)), *options]


def failing(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    return caught.value.code(), caught.value.details()


def test_a_hedge_answers_for_an_attempt_that_hangs_and_that_is_cancelled(made):
    with Server(lambda number, context: server.hang(number, context) if number == 0 else None) as server:
        assert made(server, hedging(2, "0.02s")) == "1: 7"
        assert (server.attempts, server.losers(1), server.answered) == ([0, 1], [0], [1])


def test_without_a_delay_all_go_at_once_and_one_answers(made):
    together = threading.Barrier(3)

    def behave(number, context):
        together.wait(LONG)
        if number != 1:
            server.hang(number, context)

    with Server(behave) as server:
        assert made(server, hedging(3, "0s")) == "1: 7"
        assert (sorted(server.attempts), server.losers(2)) == ([0, 1, 2], [0, 2])


def test_a_failure_brings_the_next_at_once(made):
    def behave(number, context):
        if number < 2:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"failure {number}")

    with Server(behave) as server:
        assert made(server, hedging(3, NEVER)) == "2: 7"
        assert server.attempts == [0, 1, 2]


def test_the_last_failure_is_the_call_s(made):
    def behave(number, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, f"failure {number}")

    with Server(behave) as server:
        assert failing(made, server, hedging(3, NEVER)) == (grpc.StatusCode.UNAVAILABLE, "failure 2")
        assert server.attempts == [0, 1, 2]


def test_another_code_ends_them_all(made):
    def behave(number, context):
        if number == 0:
            server.hang(number, context)
        context.abort(grpc.StatusCode.INTERNAL, "wrong")

    with Server(behave) as server:
        assert failing(made, server, hedging(3, "0.02s")) == (grpc.StatusCode.INTERNAL, "wrong")
        assert 0 in server.losers(1)


@pytest.mark.parametrize(("pushback", "attempts"), [("-1", [0]), ("1", [0, 1])])
def test_a_server_says_when_to_come_and_not_to(made, pushback, attempts):
    def behave(number, context):
        if number == 0:
            context.set_trailing_metadata([("grpc-retry-pushback-ms", pushback)])
            context.abort(grpc.StatusCode.UNAVAILABLE, "later")

    with Server(behave) as server:
        if len(attempts) == 1:
            assert failing(made, server, hedging(2, NEVER)) == (grpc.StatusCode.UNAVAILABLE, "later")
        else:
            assert made(server, hedging(2, NEVER)) == "1: 7"
        assert server.attempts == attempts


def test_many_failures_stop_them(made):
    def behave(number, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, "down")

    options = hedging(5, NEVER, retryThrottling={"maxTokens": 4, "tokenRatio": 0.1})
    with Server(behave) as server:
        failing(made, server, options)
        assert server.attempts == [0, 1], "the second failure leaves half of the tokens, and no more is too few"


def test_the_deadline_ends_them_all(made):
    with Server(lambda number, context: server.hang(number, context)) as server:
        code, _ = failing(made, server, hedging(3, "0s"), timeout=0.5)
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        server.losers(len(server.attempts))


def test_a_config_without_it_and_an_option_against_it(made):
    def behave(number, context):
        context.abort(grpc.StatusCode.UNAVAILABLE, "once")

    for against in ("grpc.enable_retries", "grpc.experimental.enable_hedging"):
        with Server(behave) as server:
            assert failing(made, server, hedging(3, "0s", (against, 0)))[1] == "once"
            assert server.attempts == [0]


def test_past_what_is_kept_one_attempt_is_the_call_s(made):
    requests = [bytes(600), bytes(600)]
    with Server() as server:
        options = hedging(3, "0s", ("grpc.per_rpc_retry_buffer_size", 1000))
        assert made(server, options, *requests).endswith(": 1200")
        assert len(server.answered) == 1


def test_hedges_go_where_the_policy_says():
    hangs = threading.Event()

    async def main():
        async with grpc.aio.insecure_channel(target, options) as channel:
            ask = channel.unary_unary("/test/uu")
            while not (first.answered and second.answered):
                await ask(b"", timeout=LONG)
            hangs.set()
            for _ in range(20):
                await ask(b"", timeout=LONG)

    def behave(number, context):
        if hangs.is_set():
            first.hang(number, context)

    options = hedging(2, "0.02s", loadBalancingConfig=[{"round_robin": {}}])
    with Server(behave) as first, Server() as second:
        target = f"ipv4:127.0.0.1:{first.port},127.0.0.1:{second.port}"
        asyncio.run(main())
        assert not first.cancelled.empty() and len(second.answered) >= 20


def test_hedges_of_blocking_calls_go_where_the_policy_says():
    def behave(number, context):
        if hangs.is_set():
            first.hang(number, context)

    hangs = threading.Event()
    options = hedging(2, "0.02s", loadBalancingConfig=[{"round_robin": {}}])
    with Server(behave) as first, Server() as second:
        target = f"ipv4:127.0.0.1:{first.port},127.0.0.1:{second.port}"
        with grpc.insecure_channel(target, options) as channel:
            ask = channel.unary_unary("/test/uu")
            while not (first.answered and second.answered):
                ask(b"", timeout=LONG)
            hangs.set()
            for _ in range(20):
                ask(b"", timeout=LONG)
        assert not first.cancelled.empty() and len(second.answered) >= 20


def test_many_blocking_calls_are_hedged_at_once():
    with Server(lambda number, context: server.hang(number, context) if number == 0 else None) as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}", hedging(2, "0.02s")) as channel:
            ask = channel.unary_unary("/test/uu")
            calls = [ask.future(bytes(size), timeout=LONG) for size in range(8)]
            assert [call.result() for call in calls] == [b"1: %d" % size for size in range(8)]
        assert server.losers(8) == [0] * 8


def test_while_a_server_has_a_hedge_wait_the_deadline_holds(made):
    def behave(number, context):
        context.set_trailing_metadata([("grpc-retry-pushback-ms", "3600000")])
        context.abort(grpc.StatusCode.UNAVAILABLE, "much later")

    with Server(behave) as server:
        code, _ = failing(made, server, hedging(2, NEVER), timeout=0.5)
        assert (code, server.attempts) == (grpc.StatusCode.DEADLINE_EXCEEDED, [0])


def test_each_attempt_gets_all_requests(made):
    requests = [bytes(1000)] * 50
    with Server(lambda number, context: server.hang(number, context) if number == 0 else None) as server:
        assert made(server, hedging(2, "0.02s"), *requests) == "1: 50000"
        assert server.losers(1) == [0]


def test_with_nobody_there_a_hedged_call_fails(made, unused_port):
    code, details = failing(made, f"ipv4:127.0.0.1:{unused_port}", hedging(3, "0s"))
    assert code is grpc.StatusCode.UNAVAILABLE and "Connection refused" in details


def test_a_hedged_call_that_is_cancelled_cancels_all_its_attempts():
    with Server(lambda number, context: (begun.release(), server.hang(number, context))) as server:
        begun = threading.Semaphore(0)

        async def main():
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", hedging(3, "0s")) as channel:
                call = channel.unary_unary("/test/uu")(b"")
                for _ in range(3):
                    assert await asyncio.to_thread(begun.acquire, timeout=LONG)
                assert call.cancel() and call.cancelled()
                with pytest.raises(asyncio.CancelledError):
                    await call

        asyncio.run(main())
        assert server.losers(3) == [0, 1, 2]


def test_a_channel_that_closes_ends_a_hedged_call():
    with Server(lambda number, context: (begun.release(), server.hang(number, context))) as server:
        begun = threading.Semaphore(0)

        async def main():
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", hedging(3, "0s")) as channel:
                call = channel.unary_unary("/test/uu")(b"")
                for _ in range(3):
                    assert await asyncio.to_thread(begun.acquire, timeout=LONG)
            assert await call.code() is grpc.StatusCode.CANCELLED

        asyncio.run(main())
        assert server.losers(3) == [0, 1, 2]


@pytest.mark.parametrize("closes", [False, True])
def test_a_hedged_call_that_blocks_ends_with_all_its_attempts(closes):
    """It is cancelled, or its channel is closed."""
    with Server(lambda number, context: (begun.release(), server.hang(number, context))) as server:
        begun = threading.Semaphore(0)
        with grpc.insecure_channel(f"127.0.0.1:{server.port}", hedging(3, "0s")) as channel:
            call = channel.unary_unary("/test/uu").future(b"")
            for _ in range(3):
                assert begun.acquire(timeout=LONG)
            if closes:
                channel.close()
                assert call.code() is grpc.StatusCode.CANCELLED
            else:
                assert call.cancel() and call.cancelled()
            assert server.losers(3) == [0, 1, 2]
