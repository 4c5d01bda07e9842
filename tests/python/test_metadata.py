"""Metadata, both ways."""

import grpc
import pytest
from peers import LONG


@pytest.fixture
def mirror(serve):
    """A method that sends back what it is sent, twice, and says what it saw."""
    seen = []

    def handler(request, context):
        received = [pair for pair in context.invocation_metadata() if pair.key != "user-agent"]
        seen.extend(received)
        context.send_initial_metadata(received)
        context.set_trailing_metadata(received)
        return request

    peer = serve(mirror=("uu", handler))
    peer.seen = seen
    return peer


@pytest.mark.parametrize(
    "sent",
    [
        [("key", "value")],
        (("key", "value"), ("key", "other"), ("key", "value")),
        [("data-bin", b"\x00\x01\xff")],
        [("data-bin", b"")],
        [("empty", "")],
        [("with.all_the-signs09", 'a value with spaces, commas; and "signs" ~')],
        [["key", "value"]],
        [(f"many-{number}", "value") for number in range(50)],
    ],
)
def test_round_trip(mirror, sent):
    _, call = mirror.uu("mirror").with_call(b"", metadata=sent, timeout=LONG)
    expected = [tuple(pair) for pair in sent]
    assert sorted(mirror.seen) == sorted(expected)
    assert sorted(call.initial_metadata()) == sorted(expected)
    assert sorted(call.trailing_metadata()) == sorted(expected)


def test_order_within_a_key(mirror):
    _, call = mirror.uu("mirror").with_call(b"", metadata=[("k", "1"), ("k", "2"), ("k", "3")], timeout=LONG)
    assert [value for _, value in call.trailing_metadata()] == ["1", "2", "3"]


def test_received_pairs_have_names(mirror):
    _, call = mirror.uu("mirror").with_call(b"", metadata=[("k", "v"), ("k-bin", b"v")], timeout=LONG)
    for metadata in (call.initial_metadata(), call.trailing_metadata(), tuple(mirror.seen)):
        assert isinstance(metadata, tuple)
        values = {pair.key: pair.value for pair in metadata}
        assert values == {"k": "v", "k-bin": b"v"}


@pytest.mark.better_than_grpcio("sends them, which HTTP/2 forbids")
def test_surrounding_spaces_are_not_sent(mirror):
    _, call = mirror.uu("mirror").with_call(b"", metadata=[("k", " v w ")], timeout=LONG)
    assert call.trailing_metadata() == (("k", "v w"),)


def test_bytes_are_taken_for_text(mirror):
    _, call = mirror.uu("mirror").with_call(b"", metadata=[(b"k", b"v"), (b"k-bin", b"b")], timeout=LONG)
    assert sorted(call.trailing_metadata()) == [("k", "v"), ("k-bin", b"b")]


def test_any_iterable_of_pairs(mirror):
    pairs = {"a": "1", "b": "2"}
    _, call = mirror.uu("mirror").with_call(b"", metadata=pairs.items(), timeout=LONG)
    assert sorted(call.trailing_metadata()) == [("a", "1"), ("b", "2")]


def test_reserved_looking_keys_pass(mirror):
    _, call = mirror.uu("mirror").with_call(b"", metadata=[("grpc-foo", "v")], timeout=LONG)
    assert call.trailing_metadata() == (("grpc-foo", "v"),)


def test_server_sees_a_user_agent(serve):
    seen = []
    peer = serve(look=("uu", lambda request, context: (seen.extend(context.invocation_metadata()), request)[1]))
    peer.uu("look")(b"", timeout=LONG)
    assert [pair.key for pair in seen] == ["user-agent"]
    assert seen[0].value.startswith(f"grpc-python/{grpc.__version__} ")


def test_user_agent_of_the_channel(serve):
    seen = []
    peer = serve(
        look=("uu", lambda request, context: (seen.extend(context.invocation_metadata()), request)[1]),
        channel_options=[("grpc.primary_user_agent", "mine/1.0"), ("grpc.secondary_user_agent", "last/2.0")],
    )
    peer.uu("look")(b"", timeout=LONG)
    assert seen[0].value.startswith(f"mine/1.0 grpc-python/{grpc.__version__} ")
    assert seen[0].value.endswith(" last/2.0")


def test_none_when_the_server_sends_none(peer):
    _, call = peer.uu("echo").with_call(b"", timeout=LONG)
    assert call.initial_metadata() == ()
    assert call.trailing_metadata() == ()


def test_with_an_error(serve):
    def fail(request, context):
        context.send_initial_metadata([("first", "1")])
        context.set_trailing_metadata([("last", "2"), ("last-bin", b"\x00")])
        context.abort(grpc.StatusCode.ABORTED, "no")

    with pytest.raises(grpc.RpcError) as caught:
        serve(fail=("uu", fail)).uu("fail")(b"", timeout=LONG)
    assert caught.value.initial_metadata() == (("first", "1"),)
    assert caught.value.trailing_metadata() == (("last", "2"), ("last-bin", b"\x00"))


def test_initial_metadata_before_any_response(serve, gate):
    def slow(request, context):
        context.send_initial_metadata([("first", "1")])
        gate.wait_open()
        yield b"response"

    call = serve(slow=("us", slow)).us("slow")(b"", timeout=LONG)
    assert call.initial_metadata() == (("first", "1"),)
    gate.open.set()
    assert list(call) == [b"response"]


def test_initial_metadata_only_once(serve):
    def twice(request, context):
        context.send_initial_metadata([("a", "1")])
        try:
            context.send_initial_metadata([("b", "1")])
        except ValueError as error:
            return str(error).encode()

    assert serve(twice=("uu", twice)).uu("twice")(b"", timeout=LONG) == b"Initial metadata no longer allowed!"


def test_initial_metadata_not_after_a_response(serve):
    def late(request, context):
        yield b"response"
        try:
            context.send_initial_metadata([("b", "1")])
        except ValueError as error:
            yield str(error).encode()

    responses = list(serve(late=("us", late)).us("late")(b"", timeout=LONG))
    assert responses == [b"response", b"Initial metadata no longer allowed!"]


def test_last_trailing_metadata_count(serve):
    def change(request, context):
        assert context.trailing_metadata() is None
        context.set_trailing_metadata([("a", "1")])
        assert context.trailing_metadata() == [("a", "1")]
        context.set_trailing_metadata([("b", "2")])
        return request

    _, call = serve(change=("uu", change)).uu("change").with_call(b"", timeout=LONG)
    assert call.trailing_metadata() == (("b", "2"),)


@pytest.mark.parametrize(
    "bad",
    [
        [("UPPER", "v")],
        [("k", "é")],
        [("k", "two\nlines")],
        [("", "v")],
        [(":path", "v")],
        [("k ", "v")],
        [("k", b"\xff")],
    ],
)
def test_what_may_not_be_sent_fails_the_call(peer, bad):
    with pytest.raises(grpc.RpcError) as caught:
        peer.uu("echo")(b"", metadata=bad, timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "Invalid metadata"
    assert caught.value.debug_error_string() == ""
    future = peer.uu("echo").future(b"", metadata=bad, timeout=LONG)
    assert future.code() is grpc.StatusCode.INTERNAL
    call = peer.us("count")(b"1", metadata=bad, timeout=LONG)
    with pytest.raises(grpc.RpcError):
        next(call)
    assert peer.uu("echo")(b"goes on", timeout=LONG) == b"goes on"


@pytest.mark.parametrize(
    ("bad", "error", "text"),
    [
        ({"a": "b"}, ValueError, None),
        ([("a", "b", "c")], ValueError, None),
        ([("a",)], ValueError, None),
        (5, TypeError, None),
        ([("a", 5)], TypeError, "Expected str, not <class 'int'>"),
        ([(5, "a")], TypeError, "Expected str, not <class 'int'>"),
        ([("a-bin", "text")], TypeError, "Binary metadata key=\"a-bin\" expected bytes, got <class 'str'>"),
    ],
)
def test_what_are_no_pairs_of_text_raises(peer, bad, error, text):
    for call in (peer.uu("echo"), peer.uu("echo").with_call, peer.uu("echo").future, peer.us("count")):
        with pytest.raises(error) as caught:
            call(b"1", metadata=bad, timeout=LONG)
        if text is not None:
            assert str(caught.value) == text


def test_handler_sends_what_may_not_be_sent(serve):
    def initial(request, context):
        context.send_initial_metadata([("UPPER", "v")])
        return request

    def trailing(request, context):
        context.set_trailing_metadata([("UPPER", "v")])
        return request

    peer = serve(initial=("uu", initial), trailing=("uu", trailing))
    for name in ("initial", "trailing"):
        with pytest.raises(grpc.RpcError) as caught:
            peer.uu(name)(b"", timeout=LONG)
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert caught.value.details() == "Invalid metadata"


def test_handler_sends_initial_metadata_of_wrong_types(serve):
    def initial(request, context):
        try:
            context.send_initial_metadata([("a-bin", "text")])
        except TypeError as error:
            return str(error).encode()

    response = serve(initial=("uu", initial)).uu("initial")(b"", timeout=LONG)
    assert response == b"Binary metadata key=\"a-bin\" expected bytes, got <class 'str'>"


@pytest.mark.better_than_grpcio("the client waits for its deadline")
@pytest.mark.parametrize("bad", [[("a-bin", "text")], 5, [("a",)], {"a": "b"}])
def test_handler_sets_trailing_metadata_of_wrong_types(serve, bad):
    def trailing(request, context):
        context.set_trailing_metadata(bad)
        return request

    with pytest.raises(grpc.RpcError) as caught:
        serve(trailing=("uu", trailing)).uu("trailing")(b"", timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert caught.value.details() == "Invalid metadata"
