"""What real programs do with calls, each over the four kinds, plain and with an interceptor around them."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
from concurrent import futures

import grpc
import pytest
from peers import LONG, ON_GRPCIO

KINDS = ("uu", "us", "su", "ss")
#: Those with a stream of responses.
STREAMS = ("us", "ss")
MESSAGES = [b"0", b"1", b"2"]


class Through(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Changes nothing."""

    def _intercept(self, continuation, details, request):
        return continuation(details, request)

    intercept_unary_unary = intercept_unary_stream = _intercept
    intercept_stream_unary = intercept_stream_stream = _intercept


@pytest.fixture(params=["plain", "intercepted"])
def around(request):
    """What a program makes of its channel before it uses it."""
    return (lambda channel: channel) if request.param == "plain" else lambda c: grpc.intercept_channel(c, Through())


def start(channel, kind, name=None):
    """The call: a future, or a stream of responses."""
    path = "/test/" + (name or kind)
    if kind == "uu":
        return channel.unary_unary(path).future(b"")
    if kind == "us":
        return channel.unary_stream(path)(b"")
    if kind == "su":
        return channel.stream_unary(path).future(iter([b""]))
    return channel.stream_stream(path)(iter([b""]))


def responses(call, kind):
    return list(call) if kind in STREAMS else [call.result(LONG)]


def expected(kind):
    return MESSAGES if kind in STREAMS else [b"ok"]


class Ended:
    """Handlers of the four kinds, which answer once the gate is open, and say when the RPC has ended for the server."""

    def __init__(self, gate=None, code=None):
        self.gate = gate
        self.code = code
        self.over = threading.Event()

    def _begin(self, context):
        context.add_callback(self.over.set)
        if self.gate is not None:
            self.gate.wait_open()

    def _end(self, context):
        if self.code is not None:
            context.abort(self.code, "moved")

    def one(self, request, context):
        if not isinstance(request, bytes):
            list(request)
        self._begin(context)
        self._end(context)
        return b"ok"

    def many(self, request, context):
        if not isinstance(request, bytes):
            list(request)
        self._begin(context)
        yield from MESSAGES
        self._end(context)

    def handlers(self):
        return {"uu": ("uu", self.one), "us": ("us", self.many), "su": ("su", self.one), "ss": ("ss", self.many)}


@pytest.fixture
def arrived(serve):
    """`arrived(code)` makes a peer with handlers of the four kinds; its `settle()` waits until the client has all."""

    def make(code=None):
        ended = Ended(code=code)
        peer = serve(echo=("uu", lambda request, context: request), **ended.handlers())

        def settle():
            assert ended.over.wait(LONG)
            # What comes on the same connection comes in order.
            assert peer.uu("echo")(b"x", timeout=LONG) == b"x"

        peer.settle = settle
        return peer

    return make


# A call outlives the names of its channel and of its stub.


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_outlives_its_channel(serve, gate, around, kind):
    peer = serve(**Ended(gate).handlers())
    call = start(around(grpc.insecure_channel(peer.address)), kind)
    gate.wait_entered()
    gc.collect()
    gate.open.set()
    assert responses(call, kind) == expected(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_has_no_connection_yet_outlives_its_channel(serve, around, kind):
    peer = serve(**Ended().handlers())
    call = start(around(grpc.insecure_channel(peer.address)), kind)
    gc.collect()
    assert responses(call, kind) == expected(kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_callback_outlives_call_and_channel(serve, gate, around, kind):
    peer = serve(**Ended(gate).handlers())
    seen = []
    called = threading.Event()

    def callback(call):
        seen.append(call.code())
        called.set()

    if kind in STREAMS:
        call = start(around(grpc.insecure_channel(peer.address)), kind)
        call.add_done_callback(callback)
        threading.Thread(target=list, args=(call,)).start()
        del call
    else:
        start(around(grpc.insecure_channel(peer.address)), kind).add_done_callback(callback)
    gate.wait_entered()
    gc.collect()
    gate.open.set()
    assert called.wait(LONG)
    assert seen == [grpc.StatusCode.OK]


@pytest.mark.better_than_grpcio("a call that is dropped goes on while its requests are made")
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_is_dropped_is_cancelled(serve, gate, around, kind):
    ended = Ended(gate)
    peer = serve(**ended.handlers())
    channel = around(grpc.insecure_channel(peer.address))
    call = start(channel, kind)
    gate.wait_entered()
    del call
    gc.collect()
    assert ended.over.wait(LONG)
    channel.close()


@pytest.mark.skipif(ON_GRPCIO, reason="looks at what the native module holds")
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_call_closes_its_channel(serve, around, kind):
    from farcall import _native

    def channels():
        gc.collect()
        return sum(row[1] == "channel" for row in _native.channelz())

    peer = serve(**Ended().handlers())
    floor = channels()
    call = start(around(grpc.insecure_channel(peer.address)), kind)
    assert channels() == floor + 1
    assert responses(call, kind) == expected(kind)
    del call
    over = threading.Event()
    for _ in range(int(LONG * 100)):
        if channels() == floor:
            break
        over.wait(0.01)
    assert channels() == floor


# Callbacks of a stream come once its responses are read.


def each_way_to_register(call, callback):
    call.add_done_callback(lambda _: callback())
    assert call.add_callback(callback)


@pytest.mark.parametrize("code", [None, grpc.StatusCode.UNAVAILABLE])
@pytest.mark.parametrize("kind", STREAMS)
def test_callbacks_wait_for_the_reader(arrived, around, kind, code):
    peer = arrived(code)
    call = start(around(peer.channel), kind)
    read, at = [], []
    both = threading.Semaphore(0)

    def callback():
        at.append(len(read))
        both.release()

    each_way_to_register(call, callback)
    peer.settle()
    assert at == []
    assert not call.done()
    assert call.is_active()
    try:
        for response in call:
            read.append(response)
    except grpc.RpcError as error:
        assert error.code() is code
    assert read == MESSAGES
    assert both.acquire(timeout=LONG)
    assert both.acquire(timeout=LONG)
    # The last may be on its way from the call to the reader.
    assert min(at) >= len(MESSAGES) - 1
    assert call.done()


@pytest.mark.parametrize("kind", STREAMS)
def test_callbacks_added_when_all_has_come_wait_for_the_reader_too(arrived, around, kind):
    peer = arrived()
    call = start(around(peer.channel), kind)
    assert next(call) == b"0"
    peer.settle()
    called = threading.Event()
    each_way_to_register(call, called.set)
    assert not called.is_set()
    assert list(call) == MESSAGES[1:]
    assert called.wait(LONG)


@pytest.mark.parametrize("kind", STREAMS)
def test_cancelling_what_is_left_unread_calls_back(arrived, around, kind):
    peer = arrived()
    call = start(around(peer.channel), kind)
    called = threading.Event()
    each_way_to_register(call, called.set)
    peer.settle()
    assert call.cancel()
    assert called.wait(LONG)
    assert call.cancelled()
    assert call.code() is grpc.StatusCode.CANCELLED


@pytest.mark.better_than_grpcio(
    "whoever drops a stream that it has not read has callbacks only when the channel closes"
)
@pytest.mark.parametrize("kind", STREAMS)
def test_dropping_what_is_left_unread_calls_back(arrived, around, kind):
    peer = arrived()
    call = start(around(peer.channel), kind)
    called = threading.Event()
    each_way_to_register(call, called.set)
    assert next(call) == b"0"
    peer.settle()
    del call
    gc.collect()
    assert called.wait(LONG)


# Errors travel.


def broken(arrived, around, kind):
    """The error that a call of this kind raises."""
    peer = arrived(grpc.StatusCode.UNAVAILABLE)
    call = start(around(peer.channel), kind)
    with pytest.raises(grpc.RpcError) as raised:
        responses(call, kind)
    return raised.value


def same(error, other):
    assert isinstance(other, grpc.RpcError)
    assert isinstance(other, grpc.Call)
    assert other.code() is error.code() is grpc.StatusCode.UNAVAILABLE
    assert other.details() == error.details() == "moved"
    assert tuple(other.trailing_metadata()) == tuple(error.trailing_metadata())
    assert other.debug_error_string() == error.debug_error_string()
    assert "moved" in str(other)


@pytest.mark.better_than_grpcio("the errors of futures and streams hold locks and threads")
@pytest.mark.parametrize("kind", KINDS)
def test_errors_travel(arrived, around, kind):
    error = broken(arrived, around, kind)
    same(error, pickle.loads(pickle.dumps(error)))
    same(error, copy.copy(error))
    same(error, copy.deepcopy(error))


def fails_elsewhere(address, kind):
    with grpc.insecure_channel(address) as channel:
        responses(start(channel, kind), kind)


@pytest.mark.better_than_grpcio("the errors of futures and streams hold locks and threads")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", KINDS)
def test_errors_come_back_from_a_process_pool(arrived, kind):
    import multiprocessing

    peer = arrived(grpc.StatusCode.UNAVAILABLE)
    with futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        failed = pool.submit(fails_elsewhere, peer.address, kind)
        with pytest.raises(grpc.RpcError) as raised:
            failed.result(LONG * 3)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert raised.value.details() == "moved"


@pytest.mark.better_than_grpcio("AttributeError")
@pytest.mark.parametrize("kind", KINDS)
def test_the_class_of_an_error_makes_errors_of_a_text(arrived, around, kind):
    error = broken(arrived, around, kind)
    made = type(error)("another text")
    assert isinstance(made, grpc.RpcError)
    assert "another text" in str(made)
    assert made.details() == "another text"
    assert made.code() is grpc.StatusCode.UNKNOWN
    assert "another text" in str(pickle.loads(pickle.dumps(made)))


@pytest.mark.better_than_grpcio("a call that goes on cannot be pickled there either, but for another reason")
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_goes_on_does_not_travel(serve, gate, kind):
    peer = serve(**Ended(gate).handlers())
    call = start(peer.channel, kind)
    gate.wait_entered()
    with pytest.raises(TypeError, match="goes on"):
        pickle.dumps(call)
    gate.open.set()
    assert responses(call, kind) == expected(kind)


# Metadata in whatever holds pairs.

PAIRS = [("k", "v"), ("k-bin", b"\x00")]
SHAPES = {"list": list, "tuple": tuple, "iterator": iter, "dict_items": lambda pairs: dict(pairs).items()}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_metadata_of_any_shape(serve, around, kind, shape):
    if ON_GRPCIO and shape == "iterator":
        pytest.skip("grpcio asks for a length")
    seen = []

    def note(context):
        seen.extend(item for item in context.invocation_metadata() if item[0].startswith("k"))
        context.send_initial_metadata(SHAPES[shape](PAIRS))
        context.set_trailing_metadata(SHAPES[shape](PAIRS))

    def one(request, context):
        note(context)
        return b"ok"

    def many(request, context):
        note(context)
        yield from MESSAGES

    peer = serve(uu=("uu", one), us=("us", many), su=("su", one), ss=("ss", many))
    channel = around(peer.channel)
    multi = getattr(
        channel, {"uu": "unary_unary", "us": "unary_stream", "su": "stream_unary", "ss": "stream_stream"}[kind]
    )
    argument = b"" if kind[0] == "u" else iter([b""])
    invoke = multi("/test/" + kind)
    call = (invoke if kind in STREAMS else invoke.future)(argument, metadata=SHAPES[shape](PAIRS))
    assert responses(call, kind) == expected(kind)
    for found in (seen, call.initial_metadata(), call.trailing_metadata()):
        assert [tuple(item) for item in found if item[0].startswith("k")] == PAIRS


@pytest.mark.better_than_grpcio("says neither")
def test_a_channel_says_where_to_and_in_which_state(serve):
    peer = serve(echo=("uu", lambda request, context: request))
    assert f"to '{peer.address}', IDLE" in repr(peer.channel)
    assert peer.uu("echo")(b"x") == b"x"
    assert f"to '{peer.address}', READY" in repr(peer.channel)
    peer.channel.close()
    assert f"to '{peer.address}', SHUTDOWN" in repr(peer.channel)
