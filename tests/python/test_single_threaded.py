"""Response streams that one thread reads: nothing about them waits for the end."""

from __future__ import annotations

import grpc
import pytest
from grpc import experimental

OPTIONS = [(experimental.ChannelOptions.SingleThreadedUnaryStream, 1)]
NEEDS_END = ["code", "details", "trailing_metadata", "debug_error_string", "result", "exception", "traceback"]


def count(request, context):
    context.send_initial_metadata([("first", "1")])
    for number in range(int(request)):
        yield b"%d" % number
    if request == b"2":
        context.abort(grpc.StatusCode.ABORTED, "enough")


@pytest.fixture
def counting(serve):
    return serve(channel_options=OPTIONS, count=("us", count)).us("count")


@pytest.mark.parametrize("name", NEEDS_END)
def test_what_needs_the_end_raises_before_it(counting, gate, serve, name):
    def wait(request, context):
        yield b""
        gate.wait_open()

    call = serve(channel_options=OPTIONS, wait=("us", wait)).us("wait")(b"")
    assert next(call) == b""
    with pytest.raises(experimental.UsageError, match=r"when the RPC is complete|until RPC is completed"):
        getattr(call, name)()
    assert not call.done() and call.running()
    gate.open.set()
    assert list(call) == []
    assert call.done() and not call.running()


def test_responses_and_what_is_known_at_the_end(counting):
    call = counting(b"5")
    assert dict(call.initial_metadata()) == {"first": "1"}
    assert list(call) == [b"0", b"1", b"2", b"3", b"4"]
    assert call.code() is grpc.StatusCode.OK
    assert call.result() is None and call.exception() is None and call.traceback() is None


def test_errors(counting):
    call = counting(b"2")
    with pytest.raises(grpc.RpcError) as caught:
        list(call)
    assert caught.value is call and call.code() is grpc.StatusCode.ABORTED and call.details() == "enough"
    assert call.exception() is call
    with pytest.raises(grpc.RpcError):
        call.result()


def test_cancellation(counting):
    call = counting(b"1000000")
    next(call)
    assert call.cancel()
    assert call.code() is grpc.StatusCode.CANCELLED and call.cancelled()
    with pytest.raises(grpc.FutureCancelledError):
        call.result()


def test_other_kinds_are_as_ever(serve):
    peer = serve(channel_options=OPTIONS, echo=("uu", lambda request, context: request))
    assert peer.uu("echo").future(b"x").code() is grpc.StatusCode.OK
