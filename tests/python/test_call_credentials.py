"""Credentials of calls: plugins that answer now, later, twice, never, or raise."""

from __future__ import annotations

import contextvars
import threading
from concurrent import futures

import grpc
import pytest
from certificates import Authority
from peers import LONG

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def received(_request, context):
    return repr([tuple(pair) for pair in context.invocation_metadata() if pair.key != "user-agent"]).encode()


@pytest.fixture(scope="module")
def secure():
    """Port and channel credentials of a server that tells the metadata it gets."""
    authority = Authority()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    handlers = {
        "uu": grpc.unary_unary_rpc_method_handler(received),
        "us": grpc.unary_stream_rpc_method_handler(lambda request, context: iter([received(request, context)])),
        "su": grpc.stream_unary_rpc_method_handler(received),
        "ss": grpc.stream_stream_rpc_method_handler(lambda request, context: iter([received(request, context)])),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_secure_port(
        "localhost:0", grpc.ssl_server_credentials([authority.issue("server", "DNS:localhost")])
    )
    server.start()
    yield port, grpc.ssl_channel_credentials(authority.root)
    server.stop(None)


@pytest.fixture
def channel(secure):
    port, credentials = secure
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        yield channel


class Plugin(grpc.AuthMetadataPlugin):
    def __init__(self, behavior):
        self.behavior = behavior

    def __call__(self, context, callback):
        self.behavior(context, callback)


def plugin(behavior):
    return grpc.metadata_call_credentials(Plugin(behavior))


def answering(*pairs):
    return plugin(lambda _context, callback: callback(pairs, None))


def failure(channel, credentials, timeout=LONG):
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/test/uu")(b"", timeout=timeout, credentials=credentials)
    return raised.value.code(), raised.value.details()


def test_plugins_go_with_calls_of_every_kind(channel):
    credentials = answering(("key", "value"))
    given = {"credentials": credentials, "timeout": LONG, "metadata": (("own", "first"),)}
    expected = [("own", "first"), ("key", "value")]
    assert eval(channel.unary_unary("/test/uu")(b"", **given)) == expected
    assert eval(channel.unary_unary("/test/uu").future(b"", **given).result(LONG)) == expected
    assert eval(next(channel.unary_stream("/test/us")(b"", **given))) == expected
    assert eval(channel.stream_unary("/test/su")(iter([b"", b""]), **given)) == expected
    assert eval(next(channel.stream_stream("/test/ss")(iter([b"", b""]), **given))) == expected


def test_plugins_are_told_what_is_called(channel, secure):
    seen = []
    credentials = plugin(lambda context, callback: (seen.append(context), callback((), None)))
    assert eval(channel.unary_unary("/test/uu")(b"", timeout=LONG, credentials=credentials)) == []
    assert (seen[0].service_url, seen[0].method_name) == (f"https://localhost:{secure[0]}/test", "uu")
    assert isinstance(seen[0], grpc.AuthMetadataContext)


def test_a_plugin_may_answer_later_on_another_thread(channel):
    def later(_context, callback):
        threading.Timer(0.05, callback, ((("key", "late"),), None)).start()

    assert eval(channel.unary_unary("/test/uu")(b"", timeout=LONG, credentials=plugin(later))) == [("key", "late")]
    call = channel.unary_unary("/test/uu").future(b"", timeout=LONG, credentials=plugin(later))
    assert eval(call.result(LONG)) == [("key", "late")]


def test_a_second_answer_is_an_error_of_the_plugin(channel):
    raised = []

    def twice(_context, callback):
        callback((("key", "once"),), None)
        with pytest.raises(RuntimeError, match="invoked more than once") as error:
            callback((("key", "twice"),), None)
        raised.append(error)

    assert eval(channel.unary_unary("/test/uu")(b"", timeout=LONG, credentials=plugin(twice))) == [("key", "once")]
    assert raised


def test_a_plugin_that_never_answers_waits_for_the_deadline(channel):
    never = plugin(lambda _context, _callback: None)
    assert failure(channel, never, 0.2)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    # Nor does one that does not even return.
    gate = threading.Event()
    stuck = plugin(lambda _context, _callback: gate.wait(LONG))
    assert failure(channel, stuck, 0.2)[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    call = channel.unary_unary("/test/uu").future(b"", credentials=stuck)
    assert call.cancel() and call.cancelled()
    gate.set()


def test_a_plugin_that_fails_fails_the_call_with_its_words(channel):
    text = "Getting metadata from plugin failed with error: "
    says_no = plugin(lambda _context, callback: callback((), ValueError("nope")))
    assert failure(channel, says_no) == (UNAVAILABLE, text + "nope")

    def raises(_context, _callback):
        raise ValueError("boom")

    assert failure(channel, plugin(raises)) == (UNAVAILABLE, text + "boom")

    def answers_and_raises(_context, callback):
        callback((("key", "value"),), None)
        raise ValueError("too late")

    credentials = plugin(answers_and_raises)
    assert eval(channel.unary_unary("/test/uu")(b"", timeout=LONG, credentials=credentials)) == [("key", "value")]


def test_metadata_that_may_not_be_sent_is_refused(channel):
    assert failure(channel, answering(("A key", "value"))) == (UNAVAILABLE, "Illegal metadata")
    assert failure(channel, answering(("key", "a\nb"))) == (UNAVAILABLE, "Illegal metadata")


@pytest.mark.better_than_grpcio("waits for the deadline")
def test_what_is_no_metadata_fails_at_once(channel):
    for nonsense in (5, [5], [("key",)], "ab"):
        code, details = failure(channel, plugin(lambda _context, callback, it=nonsense: callback(it, None)))
        assert code is UNAVAILABLE and details.startswith("Getting metadata from plugin failed with error: ")


def test_plugins_know_the_context_in_which_they_were_made(channel):
    name = contextvars.ContextVar("name", default="nobody")
    name.set("somebody")
    credentials = plugin(lambda _context, callback: callback((("key", name.get()),), None))
    name.set("somebody else")
    assert eval(channel.unary_unary("/test/uu")(b"", timeout=LONG, credentials=credentials)) == [("key", "somebody")]


def test_a_plugin_may_be_any_callable(channel):
    credentials = grpc.metadata_call_credentials(lambda _context, callback: callback((("key", "value"),), None))
    assert eval(channel.unary_unary("/test/uu")(b"", timeout=LONG, credentials=credentials)) == [("key", "value")]


def test_those_of_the_channel_come_before_those_of_the_call(secure):
    port, credentials = secure
    first = grpc.access_token_call_credentials("one")
    second = grpc.composite_call_credentials(answering(("key", "two")), grpc.access_token_call_credentials("three"))
    with grpc.secure_channel(f"localhost:{port}", grpc.composite_channel_credentials(credentials, first)) as channel:
        method = channel.unary_unary("/test/uu")
        assert eval(method(b"", timeout=LONG)) == [("authorization", "Bearer one")]
        expected = [("authorization", "Bearer one"), ("key", "two"), ("authorization", "Bearer three")]
        assert eval(method(b"", timeout=LONG, credentials=second)) == expected
        given = {"timeout": LONG, "credentials": second}
        assert eval(channel.stream_unary("/test/su")(iter([b""]), **given)) == expected


def test_plain_text_carries_no_credentials(peer):
    token = grpc.access_token_call_credentials("token")
    insecure = grpc.experimental.insecure_channel_credentials()
    credentials = grpc.composite_channel_credentials(insecure, token)
    text = "Established channel does not have a sufficient security level to transfer call credential."
    with grpc.secure_channel(peer.address, credentials) as channel, pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/test/echo")(b"", timeout=LONG)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, text)
    with pytest.raises(grpc.RpcError) as raised:
        peer.uu("echo")(b"", timeout=LONG, credentials=token)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.UNAUTHENTICATED, text)


def test_closing_the_channel_ends_calls_that_wait_for_credentials(secure):
    port, credentials = secure
    channel = grpc.secure_channel(f"localhost:{port}", credentials)
    asked = threading.Event()
    call = channel.unary_unary("/test/uu").future(
        b"", credentials=plugin(lambda _context, callback: asked.set()), timeout=LONG
    )
    assert asked.wait(LONG)
    channel.close()
    assert call.code() is grpc.StatusCode.CANCELLED
