"""Handlers that misbehave never take the server down, lose a call, or keep a thread of the pool."""

from __future__ import annotations

import _thread
import gc
import sys
import threading
import weakref

import grpc
import pytest
from peers import LONG, ON_GRPCIO

pytestmark = pytest.mark.skipif(ON_GRPCIO, reason="clients hang, or its server never stops again")

KINDS = ["uu", "us", "su", "ss"]


def call(peer, kind, name="bad"):
    """One call of any kind; the error it ends with, or None."""
    request = b"" if kind[0] == "u" else iter([b""])
    try:
        answer = getattr(peer, kind)(name)(request, timeout=LONG)
        if kind[1] == "s":
            list(answer)
    except grpc.RpcError as error:
        return error
    return None


def echoes(peer):
    return peer.uu("echo")(b"still here", timeout=LONG) == b"still here"


@pytest.fixture
def bad(serve):
    """bad(kind, behavior): a server of one pool thread with a bad handler and a good one."""
    return lambda kind, behavior: serve(workers=1, bad=(kind, behavior), echo=("uu", lambda request, context: request))


def raiser(error):
    def behavior(request, context):
        raise error

    return behavior


class Strange(BaseException):
    """No Exception."""


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "error",
    [ValueError("v"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), StopIteration(), Strange(), Unprintable()],
)
def test_whatever_a_handler_raises_the_call_ends(bad, kind, error):
    peer = bad(kind, raiser(error))
    failure = call(peer, kind)
    assert failure.code() is grpc.StatusCode.UNKNOWN
    assert echoes(peer)


@pytest.mark.parametrize("kind", ["us", "ss"])
@pytest.mark.parametrize("error", [ValueError("v"), KeyboardInterrupt(), SystemExit(3), Strange()])
def test_whatever_a_generator_raises_the_call_ends(bad, kind, error):
    def behavior(request, context):
        yield b"one"
        raise error

    peer = bad(kind, behavior)
    assert call(peer, kind).code() is grpc.StatusCode.UNKNOWN
    assert echoes(peer)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", [sys.exit, _thread.exit])
def test_a_handler_that_ends_its_thread_does_not(bad, kind, ending):
    def behavior(request, context):
        ending()

    peer = bad(kind, behavior)
    assert call(peer, kind).code() is grpc.StatusCode.UNKNOWN
    assert echoes(peer)


@pytest.mark.parametrize("kind", ["uu", "su"])
@pytest.mark.parametrize("value", [None, 5, "text", [b"x"], bytearray(b"x"), object()])
def test_a_response_that_is_no_bytes_is_an_error(bad, kind, value):
    peer = bad(kind, lambda request, context: value)
    failure = call(peer, kind)
    assert (failure.code(), failure.details()) == (grpc.StatusCode.INTERNAL, "Failed to serialize response!")
    assert echoes(peer)


@pytest.mark.parametrize("kind", ["us", "ss"])
@pytest.mark.parametrize("value", [5, "text", [b"x"], object()])
def test_a_streamed_response_that_is_no_bytes_is_an_error(bad, kind, value):
    def behavior(request, context):
        yield b"fine"
        yield value

    peer = bad(kind, behavior)
    assert call(peer, kind).code() is grpc.StatusCode.INTERNAL
    assert echoes(peer)


@pytest.mark.parametrize("kind", ["us", "ss"])
@pytest.mark.parametrize("value", [None, 5, [b"x"], b"bytes"])
def test_what_is_no_iterator_is_an_error(bad, kind, value):
    peer = bad(kind, lambda request, context: value)
    assert call(peer, kind).code() is grpc.StatusCode.UNKNOWN
    assert echoes(peer)


def test_a_serializer_that_raises_what_is_no_exception(serve):
    def serializer(response):
        raise Strange()

    peer = serve(workers=1, echo=("uu", lambda request, context: request))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request, response_serializer=serializer)
    peer.add("bad", handler)
    failure = call(peer, "uu")
    assert failure is not None and failure.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    assert echoes(peer)


def test_a_generator_that_goes_on_after_cancellation_is_ended(serve):
    yielded = threading.Semaphore(0)
    ended = threading.Event()

    def endless(request, context):
        try:
            while True:
                yielded.release()
                yield bytes(1000)
        except GeneratorExit:
            ended.set()

    peer = serve(workers=1, bad=("us", endless), echo=("uu", lambda request, context: request))
    responses = peer.us("bad")(b"")
    next(responses)
    responses.cancel()
    assert ended.wait(LONG), "the generator is closed, which a thread that yields sees"
    assert echoes(peer)


def test_a_generator_that_ignores_its_end_does_not_keep_the_thread(serve):
    def stubborn(request, context):
        while True:
            try:
                yield bytes(1000)
            except GeneratorExit:
                context.add_callback(lambda: None)
                return

    peer = serve(workers=1, bad=("us", stubborn), echo=("uu", lambda request, context: request))
    responses = peer.us("bad")(b"")
    next(responses)
    responses.cancel()
    assert echoes(peer)


def test_handlers_that_block_hold_up_only_their_own_calls(serve, gate):
    def block(request, context):
        gate.wait_open()
        return b"at last"

    peer = serve(workers=2, bad=("uu", block), echo=("uu", lambda request, context: request))
    blocked = peer.uu("bad").future(b"", timeout=LONG)
    gate.wait_entered()
    for _ in range(50):
        assert echoes(peer)
    gate.open.set()
    assert blocked.result() == b"at last"


def test_a_call_that_is_over_before_its_handler_runs_is_not_answered(serve, gate):
    ran = []

    def block(request, context):
        gate.wait_open()
        return b""

    def note(request, context):
        ran.append(request)
        return b""

    peer = serve(workers=1, block=("uu", block), note=("uu", note))
    blocked = peer.uu("block").future(b"", timeout=LONG)
    gate.wait_entered()
    late = peer.uu("note").future(b"late", timeout=0.2)
    assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    gate.open.set()
    blocked.result()
    assert peer.uu("note")(b"on time", timeout=LONG) == b""
    assert ran == [b"on time"]


def test_no_call_is_kept_alive_when_it_is_over(serve):
    contexts = []

    class Held:
        pass

    def hold(request, context):
        held = Held()
        contexts.append(weakref.ref(held))
        context.add_callback(lambda held=held: None)
        return b""

    peer = serve(hold=("uu", hold))
    for _ in range(10):
        peer.uu("hold")(b"")
    peer.close()
    peer.pool.shutdown(wait=True)
    gc.collect()
    assert [held() for held in contexts] == [None] * 10
