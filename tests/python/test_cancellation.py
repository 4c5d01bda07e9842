"""Cancelling, from either side."""

import gc
import threading

import grpc
import pytest
from peers import LONG, Arrivals


@pytest.fixture
def attentive(serve, gate):
    """A method that waits until it is cancelled, and says so by `ended`."""
    ended = threading.Event()

    def one(request, context):
        context.add_callback(ended.set)
        gate.entered.set()
        assert ended.wait(LONG)
        return b""

    def stream(request, context):
        context.add_callback(ended.set)
        yield b"first"
        gate.entered.set()
        assert ended.wait(LONG)

    peer = serve(uu=("uu", one), us=("us", stream), su=("su", one), ss=("ss", stream))
    peer.ended = ended
    return peer


def expect_locally_cancelled(call):
    assert call.cancelled()
    assert call.done()
    assert not call.running()
    assert not call.is_active()
    assert call.code() is grpc.StatusCode.CANCELLED
    assert call.details() == "Locally cancelled by application!"
    assert call.trailing_metadata() == ()
    for method in (call.result, call.exception, call.traceback):
        with pytest.raises(grpc.FutureCancelledError):
            method()


def test_future(attentive, gate):
    future = attentive.uu("uu").future(b"", timeout=LONG)
    gate.wait_entered()
    assert future.cancel() is True
    expect_locally_cancelled(future)
    assert future.cancel() is False
    assert attentive.ended.wait(LONG)


def test_response_stream(attentive, gate):
    call = attentive.us("us")(b"", timeout=LONG)
    assert next(call) == b"first"
    gate.wait_entered()
    assert call.cancel() is True
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert caught.value is call
    expect_locally_cancelled(call)
    assert attentive.ended.wait(LONG)


def test_responses_that_have_arrived_are_not_read_any_more(serve):
    peer = serve(two=("us", lambda request, context: iter([b"1", b"2", b"3"])))
    call = peer.us("two")(b"", timeout=LONG)
    assert next(call) == b"1"
    # Of another call of the connection, after whose end all of this one has arrived.
    assert list(peer.us("two")(b"", timeout=LONG)) == [b"1", b"2", b"3"]
    assert call.cancel() is True
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert caught.value is call
    expect_locally_cancelled(call)
    assert call.cancel() is False


def test_stream_that_was_read_cannot_be_cancelled(serve):
    call = serve(two=("us", lambda request, context: iter([b"1", b"2"]))).us("two")(b"", timeout=LONG)
    assert list(call) == [b"1", b"2"]
    assert call.cancel() is False
    assert not call.cancelled()
    assert call.code() is grpc.StatusCode.OK


def test_request_stream(attentive, gate):
    def requests():
        assert gate.open.wait(LONG)
        yield b""

    future = attentive.su("su").future(requests(), timeout=LONG)
    gate.wait_entered()
    future.cancel()
    expect_locally_cancelled(future)
    assert attentive.ended.wait(LONG)


def test_both_streams(attentive, gate):
    call = attentive.ss("ss")(iter([b"1"]), timeout=LONG)
    assert next(call) == b"first"
    call.cancel()
    expect_locally_cancelled(call)
    assert attentive.ended.wait(LONG)


def test_repr(attentive, gate):
    future = attentive.uu("uu").future(b"", timeout=LONG)
    future.cancel()
    assert repr(future) == (
        "<_MultiThreadedRendezvous of RPC that terminated with:\n\tstatus = StatusCode.CANCELLED\n"
        '\tdetails = "Locally cancelled by application!"\n\tdebug_error_string = "None"\n>'
    )


@pytest.mark.better_than_grpcio("waits for ever")
def test_debug_error_string_of_a_cancelled_call(attentive):
    future = attentive.uu("uu").future(b"", timeout=LONG)
    future.cancel()
    assert future.debug_error_string() is None


def test_while_somebody_waits(attentive, gate):
    call = attentive.us("us")(b"", timeout=LONG)
    assert next(call) == b"first"
    raised = []

    def read():
        try:
            next(call)
        except grpc.RpcError as error:
            raised.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    gate.wait_entered()
    call.cancel()
    reader.join(LONG)
    assert raised == [call]


def test_done_callback_of_a_cancelled_call(attentive, gate):
    called = threading.Event()
    future = attentive.uu("uu").future(b"", timeout=LONG)
    future.add_done_callback(lambda future: called.set())
    future.cancel()
    assert called.wait(LONG)


def test_cancel_from_a_callback(attentive, gate):
    """No lock is held while callbacks run."""
    called = threading.Event()
    future = attentive.uu("uu").future(b"", timeout=LONG)

    def done(future):
        future.cancel()
        assert future.code() is grpc.StatusCode.CANCELLED
        called.set()

    future.add_done_callback(done)
    future.cancel()
    assert called.wait(LONG)


def test_dropping_a_future_cancels(attentive, gate):
    future = attentive.uu("uu").future(b"", timeout=LONG)
    gate.wait_entered()
    del future
    gc.collect()
    assert attentive.ended.wait(LONG)


def test_dropping_a_response_stream_cancels(attentive, gate):
    call = attentive.us("us")(b"", timeout=LONG)
    gate.wait_entered()
    del call
    gc.collect()
    assert attentive.ended.wait(LONG)


def test_dropping_a_call_whose_requests_never_end_cancels(attentive, gate):
    def requests():
        yield b"1"
        assert gate.open.wait(LONG)

    call = attentive.ss("ss")(requests(), timeout=LONG)
    assert next(call) == b"first"
    del call
    gc.collect()
    assert attentive.ended.wait(LONG)


def test_request_iterator_that_raises_cancels(attentive, gate):
    def requests():
        yield b"1"
        gate.wait_entered()
        raise ValueError("no more")

    with pytest.raises(grpc.RpcError) as caught:
        attentive.su("su")(requests(), timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == "Exception iterating requests!"
    assert caught.value.debug_error_string() is None
    assert attentive.ended.wait(LONG)


def test_handler_cancels(serve):
    def give_up(request, context):
        context.cancel()
        return b"never seen"

    with pytest.raises(grpc.RpcError) as caught:
        serve(give_up=("uu", give_up)).uu("give_up")(b"", timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.CANCELLED
    assert caught.value.details() == "CANCELLED"


def test_cancelled_by_the_server_is_not_a_cancelled_future(serve):
    def give_up(request, context):
        context.abort(grpc.StatusCode.CANCELLED, "by the server")

    future = serve(give_up=("uu", give_up)).uu("give_up").future(b"", timeout=LONG)
    with pytest.raises(grpc.RpcError) as caught:
        future.result()
    assert caught.value is future
    assert not future.cancelled()
    assert future.code() is grpc.StatusCode.CANCELLED


def test_handler_sees_it(serve, gate):
    seen = []
    over = threading.Event()

    def watch(request, context):
        context.add_callback(over.set)
        seen.append(context.is_active())
        gate.entered.set()
        assert over.wait(LONG)
        seen.append(context.is_active())
        seen.append(context.add_callback(lambda: None))
        gate.open.set()
        return b""

    future = serve(watch=("uu", watch)).uu("watch").future(b"", timeout=LONG)
    gate.wait_entered()
    future.cancel()
    assert gate.open.wait(LONG)
    assert seen == [True, False, False]


def test_requests_end_with_a_bare_error_when_the_client_goes(serve, gate):
    raised = []
    done = threading.Event()

    def read(requests, context):
        try:
            for _ in requests:
                gate.entered.set()
        except Exception as error:
            raised.append(error)
        done.set()
        return b""

    def requests():
        yield b"1"
        assert gate.open.wait(LONG)

    future = serve(read=("su", read)).su("read").future(requests(), timeout=LONG)
    gate.wait_entered()
    future.cancel()
    assert done.wait(LONG)
    assert type(raised[0]) is grpc.RpcError


def test_response_generator_is_closed(serve, gate):
    closed = threading.Event()

    def endless(request, context):
        try:
            while True:
                yield bytes(1000)
        finally:
            closed.set()

    call = serve(endless=("us", endless)).us("endless")(b"", timeout=LONG)
    next(call)
    call.cancel()
    assert closed.wait(LONG)


def test_calls_cancelled_in_the_queue_are_not_run(serve, gate):
    ran = []

    def handler(request, context):
        if request == b"hold":
            gate.wait_open()
        ran.append(request)
        return request

    arrivals = Arrivals()
    peer = serve(workers=1, server_arguments={"interceptors": (arrivals,)}, run=("uu", handler))
    first = peer.uu("run").future(b"hold", timeout=LONG)
    gate.wait_entered()
    second = peer.uu("run").future(b"cancelled", timeout=LONG)
    # A call that is cancelled before the server has looked at it is never seen.
    arrivals.wait_for(2)
    second.cancel()
    # On the same connection after the cancelled one: when it has arrived, so has the cancellation.
    third = peer.uu("run").future(b"last", timeout=LONG)
    arrivals.wait_for(1)
    gate.open.set()
    assert first.result() == b"hold"
    assert third.result() == b"last"
    assert ran == [b"hold", b"last"]


def test_channel_close_cancels(attentive, gate):
    future = attentive.uu("uu").future(b"", timeout=LONG)
    gate.wait_entered()
    attentive.channel.close()
    assert future.code() is grpc.StatusCode.CANCELLED
    assert "Channel closed!" in future.details()
    assert attentive.ended.wait(LONG)


def test_channel_close_ends_streams(attentive, gate):
    call = attentive.us("us")(b"", timeout=LONG)
    assert next(call) == b"first"
    attentive.channel.close()
    with pytest.raises(grpc.RpcError):
        next(call)
    assert call.code() is grpc.StatusCode.CANCELLED
    assert "Channel closed!" in call.details()


def test_channel_close_ends_a_blocking_call(attentive, gate):
    raised = []

    def call():
        try:
            attentive.uu("uu")(b"", timeout=LONG)
        except grpc.RpcError as error:
            raised.append(error.code())

    caller = threading.Thread(target=call)
    caller.start()
    gate.wait_entered()
    attentive.channel.close()
    caller.join(LONG)
    assert raised == [grpc.StatusCode.CANCELLED]
