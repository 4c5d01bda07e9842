"""Attempts one after the other: retry policies of service configs, for calls with one request and with a stream of
them, in programs that block and on loops."""

from __future__ import annotations

import concurrent.futures
import json

import grpc
import pytest
from faces import FACES


class Server:
    """A server whose calls fail so many times before they are answered with the length of their requests, which are all
    read before. It keeps what each attempt has said of those before it."""

    def __init__(self, failures, pushback=None, code=grpc.StatusCode.UNAVAILABLE):
        self.failures, self.pushback, self.code = failures, pushback, code
        self.attempts = []
        self._server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        handlers = {
            "one": grpc.unary_unary_rpc_method_handler(lambda request, context: self._answer(len(request), context)),
            "stream": grpc.stream_stream_rpc_method_handler(self._stream),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.stop(None).wait()

    def _answer(self, total, context):
        self.attempts.append(dict(context.invocation_metadata()).get("grpc-previous-rpc-attempts"))
        if len(self.attempts) <= self.failures:
            if self.pushback is not None:
                context.set_trailing_metadata([("grpc-retry-pushback-ms", self.pushback)])
            context.abort(self.code, f"failure {len(self.attempts)}")
        return str(total).encode()

    def _stream(self, requests, context):
        yield self._answer(sum(map(len, requests)), context)


def one(channel, *requests):
    return int(channel.ask("one", b"".join(requests)))


def stream(channel, *requests):
    (response,) = channel.converse("stream", requests)
    return int(response)


@pytest.fixture(params=FACES)
def face(request):
    return FACES[request.param]


@pytest.fixture(params=[one, stream], ids=["one", "stream"])
def call(request):
    return request.param


def retrying(*options, backoff="0.001s", **config):
    policy = {
        "maxAttempts": 4,
        "initialBackoff": backoff,
        "maxBackoff": backoff,
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}], **config}
    return [("grpc.service_config", json.dumps(config)), *options]


def channel_of(face, server, options):
    return face(f"127.0.0.1:{server.port}", options)


def failing(call, *arguments):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value.code(), caught.value.details()


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_calls_are_made_again_whole_and_the_server_is_told(face, call, failures):
    with Server(failures) as server, channel_of(face, server, retrying()) as channel:
        assert call(channel, b"abc", b"", b"defg") == 7
        assert server.attempts == [None, "1", "2", "3"][: failures + 1]


def test_attempts_run_out(face, call):
    with Server(99) as server, channel_of(face, server, retrying()) as channel:
        assert failing(call, channel, b"x") == (grpc.StatusCode.UNAVAILABLE, "failure 4")
        assert len(server.attempts) == 4


def test_other_codes_are_final(face, call):
    with Server(1, code=grpc.StatusCode.INTERNAL) as server, channel_of(face, server, retrying()) as channel:
        assert failing(call, channel, b"x") == (grpc.StatusCode.INTERNAL, "failure 1")


@pytest.mark.parametrize(("pushback", "attempts"), [("1", [None, "1"]), ("-1", [None]), ("soon", [None])])
def test_a_server_says_when_to_come_and_not_to(face, call, pushback, attempts):
    with Server(1, pushback) as server, channel_of(face, server, retrying(backoff="3600s")) as channel:
        if len(attempts) == 1:
            assert failing(call, channel, b"x")[1] == "failure 1"
        else:
            assert call(channel, b"x") == 1
        assert server.attempts == attempts


def test_what_is_more_than_is_kept_is_not_sent_again(face, call):
    options = retrying(("grpc.per_rpc_retry_buffer_size", 1000))
    with Server(1) as server, channel_of(face, server, options) as channel:
        assert failing(call, channel, bytes(600), bytes(401))[1] == "failure 1"
        server.attempts.clear()
        assert call(channel, bytes(600), bytes(400)) == 1000
        assert server.attempts == [None, "1"]


def test_many_failures_stop_them_until_calls_succeed(face, call):
    options = retrying(retryThrottling={"maxTokens": 4, "tokenRatio": 1})
    with Server(99) as server, channel_of(face, server, options) as channel:
        failing(call, channel, b"x")
        assert len(server.attempts) == 2, "the second failure leaves half of the tokens, and no more is too few"
        failing(call, channel, b"x")
        assert len(server.attempts) == 3
        server.failures = 0
        for _ in range(3):
            assert call(channel, b"x") == 1
        server.attempts.clear()
        server.failures = 1
        assert call(channel, b"x") == 1
        assert server.attempts == [None, "1"]
