"""Service configs: retries, time-outs, sizes, wait-for-ready."""

from __future__ import annotations

import json
import threading

import grpc
import pytest
from peers import LONG

RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.01s",
    "maxBackoff": "0.1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def options_for(retry=None, throttling=None, **config):
    if retry is not None:
        config["retryPolicy"] = {**RETRY, **retry}
    text = {"methodConfig": [{"name": [{"service": "test"}], **config}]}
    if throttling:
        text["retryThrottling"] = throttling
    return [("grpc.service_config", json.dumps(text))]


class Flaky:
    """Handlers that fail a number of times before they answer; what attempts they have seen."""

    def __init__(self, failures, code=grpc.StatusCode.UNAVAILABLE, pushback=None):
        self.failures = failures
        self.code = code
        self.pushback = pushback
        self.attempts = []

    def _fail(self, context):
        metadata = dict(context.invocation_metadata())
        self.attempts.append(metadata.get("grpc-previous-rpc-attempts"))
        if len(self.attempts) <= self.failures:
            if self.pushback is not None:
                context.set_trailing_metadata([("grpc-retry-pushback-ms", self.pushback)])
            context.abort(self.code, f"failure {len(self.attempts)}")

    def unary(self, request, context):
        self._fail(context)
        return request

    def stream(self, requests, context):
        joined = b"".join(requests)
        self._fail(context)
        yield joined


def caught(call, *arguments, **keywords):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **keywords)
    return caught.value


def test_failed_calls_are_made_again_and_the_server_is_told(serve):
    flaky = Flaky(2)
    peer = serve(channel_options=options_for({}), flaky=("uu", flaky.unary))
    assert peer.uu("flaky")(b"x") == b"x"
    assert flaky.attempts == [None, "1", "2"]


def test_attempts_run_out(serve):
    flaky = Flaky(99)
    peer = serve(channel_options=options_for({}), flaky=("uu", flaky.unary))
    error = caught(peer.uu("flaky"), b"x")
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "failure 4")
    assert flaky.attempts == [None, "1", "2", "3"]


def test_more_than_five_attempts_are_not_made(serve):
    flaky = Flaky(99)
    peer = serve(channel_options=options_for({"maxAttempts": 100}), flaky=("uu", flaky.unary))
    caught(peer.uu("flaky"), b"x")
    assert len(flaky.attempts) == 5


@pytest.mark.parametrize("kind", ["future", "stream"])
def test_other_kinds_are_made_again_too(serve, kind):
    flaky = Flaky(2)
    peer = serve(channel_options=options_for({}), flaky=("uu", flaky.unary), stream=("ss", flaky.stream))
    if kind == "future":
        assert peer.uu("flaky").future(b"x").result() == b"x"
    else:
        assert list(peer.ss("stream")(iter([b"a", b"b", b"c"]))) == [b"abc"]
    assert flaky.attempts == [None, "1", "2"]


def test_other_codes_are_final(serve):
    flaky = Flaky(1, grpc.StatusCode.INTERNAL)
    peer = serve(channel_options=options_for({}), flaky=("uu", flaky.unary))
    assert caught(peer.uu("flaky"), b"x").code() is grpc.StatusCode.INTERNAL
    assert flaky.attempts == [None]


def test_a_call_whose_answer_has_begun_is_final(serve):
    attempts = []

    def half(request, context):
        attempts.append(1)
        yield b"half"
        context.abort(grpc.StatusCode.UNAVAILABLE, "after one response")

    peer = serve(channel_options=options_for({}), half=("us", half))
    call = peer.us("half")(b"")
    assert next(call) == b"half"
    assert caught(next, call).code() is grpc.StatusCode.UNAVAILABLE
    assert len(attempts) == 1


def test_retries_can_be_switched_off(serve):
    flaky = Flaky(1)
    options = [*options_for({}), ("grpc.enable_retries", 0)]
    peer = serve(channel_options=options, flaky=("uu", flaky.unary))
    caught(peer.uu("flaky"), b"x")
    assert flaky.attempts == [None]


def test_what_is_too_long_to_keep_is_not_sent_again(serve):
    flaky = Flaky(1)
    options = [*options_for({}), ("grpc.per_rpc_retry_buffer_size", 1000)]
    peer = serve(channel_options=options, flaky=("uu", flaky.unary))
    caught(peer.uu("flaky"), bytes(2000))
    assert flaky.attempts == [None]
    flaky.attempts.clear()
    assert peer.uu("flaky")(bytes(500)) == bytes(500)


def test_the_deadline_counts_for_all_attempts(serve):
    flaky = Flaky(99)
    policy = {"initialBackoff": "60s", "maxBackoff": "60s"}
    peer = serve(channel_options=options_for(policy), flaky=("uu", flaky.unary))
    assert caught(peer.uu("flaky"), b"x", timeout=0.3).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert flaky.attempts == [None]


def test_a_call_can_be_cancelled_between_attempts(serve):
    failed = threading.Event()

    def fail(request, context):
        failed.set()
        context.abort(grpc.StatusCode.UNAVAILABLE, "once")

    policy = {"initialBackoff": "60s", "maxBackoff": "60s"}
    peer = serve(channel_options=options_for(policy), fail=("uu", fail))
    call = peer.uu("fail").future(b"x")
    assert failed.wait(LONG)
    assert call.cancel()
    assert call.code() is grpc.StatusCode.CANCELLED


def test_closing_the_channel_ends_a_call_between_attempts(serve):
    failed = threading.Event()

    def fail(request, context):
        failed.set()
        context.abort(grpc.StatusCode.UNAVAILABLE, "once")

    policy = {"initialBackoff": "60s", "maxBackoff": "60s"}
    peer = serve(channel_options=options_for(policy), fail=("uu", fail))
    call = peer.uu("fail").future(b"x")
    assert failed.wait(LONG)
    peer.channel.close()
    assert call.code() is grpc.StatusCode.CANCELLED


def test_a_server_says_when_to_come_back(serve):
    flaky = Flaky(1, pushback="1")
    policy = {"initialBackoff": "60s", "maxBackoff": "60s"}
    peer = serve(channel_options=options_for(policy), flaky=("uu", flaky.unary))
    assert peer.uu("flaky")(b"x", timeout=LONG) == b"x"
    assert flaky.attempts == [None, "1"]


def test_a_server_says_not_to_come_back(serve):
    flaky = Flaky(1, pushback="-1")
    peer = serve(channel_options=options_for({}), flaky=("uu", flaky.unary))
    caught(peer.uu("flaky"), b"x")
    assert flaky.attempts == [None]


def test_many_failures_stop_retries(serve):
    flaky = Flaky(99)
    options = options_for({}, {"maxTokens": 4, "tokenRatio": 0.1})
    peer = serve(channel_options=options, flaky=("uu", flaky.unary))
    caught(peer.uu("flaky"), b"x")
    assert len(flaky.attempts) == 2, "the second failure leaves half of the tokens, and no more is too few"
    caught(peer.uu("flaky"), b"x")
    assert len(flaky.attempts) == 3


def test_a_connection_that_breaks_is_unavailable_too(serve):
    from wires import Wire

    attempts = []

    def cut_first(request, context):
        attempts.append(1)
        if len(attempts) == 1:
            wire.cut()
        return b"at last"

    peer = serve(cut=("uu", cut_first))
    wire = Wire(peer.port)
    with grpc.insecure_channel(f"127.0.0.1:{wire.port}", options_for({})) as channel:
        assert channel.unary_unary("/test/cut")(b"", timeout=LONG) == b"at last"
    wire.close()
    assert len(attempts) == 2


def test_a_config_s_time_out_counts(serve, gate):
    def wait(request, context):
        gate.wait_open()
        return b""

    peer = serve(channel_options=options_for(timeout="0.2s"), wait=("uu", wait))
    assert caught(peer.uu("wait"), b"", timeout=LONG).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert caught(peer.uu("wait"), b"").code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_config_s_wait_for_ready_counts_unless_the_call_says(unused_port):
    options = options_for(waitForReady=True)
    with grpc.insecure_channel(f"127.0.0.1:{unused_port}", options) as channel:
        call = channel.unary_unary("/test/x")
        assert caught(call, b"", timeout=0.3).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        error = caught(call, b"", timeout=LONG, wait_for_ready=False)
        assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_a_config_s_sizes_count(serve):
    echo = ("uu", lambda request, context: request * 2)
    options = options_for(maxRequestMessageBytes=10, maxResponseMessageBytes=10)
    peer = serve(channel_options=options, echo=echo)
    assert peer.uu("echo")(b"12345") == b"1234512345"
    for request, text in ((b"123456", "larger than max (12 vs. 10)"), (bytes(11), "larger than max (11 vs. 10)")):
        error = caught(peer.uu("echo"), request)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED and text in error.details()


@pytest.mark.parametrize("text", ["nonsense", "[]", '{"methodConfig": 3}'])
def test_a_config_that_cannot_be_read_fails_every_call(serve, text):
    peer = serve(channel_options=[("grpc.service_config", text)], echo=("uu", lambda request, context: request))
    error = caught(peer.uu("echo"), b"")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Failed to create channel to" in error.details()
