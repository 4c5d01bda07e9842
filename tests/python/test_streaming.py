"""Streams of requests, of responses, of both."""

import threading

import grpc
import pytest
from peers import LONG


def test_response_stream(peer):
    assert list(peer.us("count")(b"5")) == [b"0", b"1", b"2", b"3", b"4"]


def test_empty_response_stream(peer):
    assert list(peer.us("count")(b"0")) == []


def test_request_stream(peer):
    assert peer.su("sum")(iter([b"1", b"2", b"3"])) == b"6"


def test_empty_request_stream(peer):
    assert peer.su("sum")(iter([])) == b"0"


def test_both_streams(peer):
    assert list(peer.ss("double")(iter([b"1", b"2", b"3"]))) == [b"2", b"4", b"6"]


def test_ping_pong(peer):
    """Each request is made of the response before."""
    asked = threading.Semaphore(1)
    value = 1

    def requests():
        for _ in range(10):
            assert asked.acquire(timeout=LONG)
            yield b"%d" % value

    seen = []
    for response in peer.ss("double")(requests(), timeout=LONG):
        value = int(response)
        seen.append(value)
        asked.release()
    assert seen == [2**n for n in range(1, 11)]


def test_long_streams_both_ways(peer):
    numbers = range(3000)
    responses = peer.ss("double")((b"%d" % n for n in numbers), timeout=LONG)
    assert [int(response) for response in responses] == [2 * n for n in numbers]


def test_stream_larger_than_any_window(serve):
    chunk = bytes(256 * 1024)

    def flood(request, context):
        for _ in range(64):
            yield chunk

    peer = serve(flood=("us", flood))
    assert sum(len(part) for part in peer.us("flood")(b"", timeout=LONG)) == 64 * len(chunk)


def test_flood_to_the_server(serve):
    chunk = bytes(256 * 1024)

    def measure(requests, context):
        return b"%d" % sum(len(request) for request in requests)

    peer = serve(measure=("su", measure))
    assert peer.su("measure")((chunk for _ in range(64)), timeout=LONG) == b"%d" % (64 * len(chunk))


def test_stream_call_is_everything_at_once(peer):
    call = peer.us("count")(b"2", timeout=LONG)
    assert isinstance(call, grpc.Call)
    assert isinstance(call, grpc.Future)
    assert isinstance(call, grpc.RpcError)
    assert iter(call) is call
    assert next(call) == b"0"
    assert call.next() == b"1"
    with pytest.raises(StopIteration):
        next(call)
    with pytest.raises(StopIteration):
        next(call)
    assert call.code() is grpc.StatusCode.OK
    assert call.done()
    assert call.result() is None
    assert call.exception() is None


def test_repr(peer):
    call = peer.us("count")(b"0", timeout=LONG)
    list(call)
    assert call.code() is grpc.StatusCode.OK
    expected = '<_MultiThreadedRendezvous of RPC that terminated with:\n\tstatus = StatusCode.OK\n\tdetails = ""\n>'
    assert repr(call) == expected
    assert str(call) == expected


def test_repr_of_call_in_progress(serve, gate):
    def wait(request, context):
        gate.wait_open()
        yield b""

    peer = serve(wait=("us", wait))
    call = peer.us("wait")(b"", timeout=LONG)
    gate.wait_entered()
    assert repr(call) == "<_MultiThreadedRendezvous object>"
    assert call.is_active()
    assert call.running()
    assert not call.done()


def test_error_after_some_responses(serve):
    def half(request, context):
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, "no more")

    peer = serve(half=("us", half))
    call = peer.us("half")(b"", timeout=LONG)
    assert next(call) == b"one"
    with pytest.raises(grpc.RpcError) as caught:
        next(call)
    assert caught.value is call
    assert call.code() is grpc.StatusCode.DATA_LOSS
    with pytest.raises(grpc.RpcError):
        next(call)
    with pytest.raises(grpc.RpcError) as caught:
        call.result()
    assert caught.value is call
    assert call.exception() is call
    assert call.traceback() is not None


def test_starts_without_being_read(serve, gate):
    peer = serve(enter=("us", lambda request, context: iter((gate.entered.set(), [])[1])))
    call = peer.us("enter")(b"", timeout=LONG)
    gate.wait_entered()
    assert list(call) == []


def test_server_runs_ahead_of_reader(serve):
    produced = threading.Event()

    def run_ahead(request, context):
        yield b"1"
        yield b"2"
        produced.set()

    peer = serve(run_ahead=("us", run_ahead))
    call = peer.us("run_ahead")(b"", timeout=LONG)
    assert produced.wait(LONG)
    assert list(call) == [b"1", b"2"]


def test_server_may_end_before_the_requests_do(serve, gate):
    def first(requests, context):
        return next(requests)

    def endless():
        yield b"first"
        assert gate.open.wait(LONG)
        yield b"second"

    peer = serve(first=("su", first))
    assert peer.su("first")(endless(), timeout=LONG) == b"first"


def test_handler_yields_none_ends_the_stream(serve):
    def odd(request, context):
        yield b"1"
        yield None
        yield b"2"

    peer = serve(odd=("us", odd))
    assert list(peer.us("odd")(b"", timeout=LONG)) == [b"1"]


def test_handler_returns_a_list_iterator(serve):
    peer = serve(letters=("us", lambda request, context: iter([b"a", b"b"])))
    assert list(peer.us("letters")(b"", timeout=LONG)) == [b"a", b"b"]


def test_with_call_of_request_stream(peer):
    response, call = peer.su("sum").with_call(iter([b"1"]), timeout=LONG)
    assert response == b"1"
    assert call.code() is grpc.StatusCode.OK


def test_request_iterator_by_name(peer):
    assert peer.su("sum")(request_iterator=iter([b"4"]), timeout=LONG) == b"4"
    assert list(peer.ss("double")(request_iterator=iter([b"4"]), timeout=LONG)) == [b"8"]


def test_requests_are_taken_on_another_thread(peer):
    threads = []

    def requests():
        threads.append(threading.current_thread())
        yield b"1"

    peer.su("sum")(requests(), timeout=LONG)
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon


def test_request_iterator_sees_context_variables(peer):
    import contextvars

    variable = contextvars.ContextVar("variable", default=b"0")
    variable.set(b"7")

    def requests():
        yield variable.get()

    assert peer.su("sum")(requests(), timeout=LONG) == b"7"


def test_non_blocking_handler(serve):
    def count(request, context, send):
        for number in range(3):
            send(b"%d" % number)
        send(None)

    count.experimental_non_blocking = True
    peer = serve(count=("us", count))
    assert list(peer.us("count")(b"", timeout=LONG)) == [b"0", b"1", b"2"]
    assert list(peer.us("count")(b"", timeout=LONG)) == [b"0", b"1", b"2"]


def test_call_goes_on_until_its_responses_are_read(serve):
    """As programs rely on that read for as long as the call is active."""

    def three(request, context):
        yield from (b"1", b"2", b"3")
        if request:
            context.abort(grpc.StatusCode.DATA_LOSS, "lost")

    peer = serve(three=("us", three))
    for request in (b"", b"abort"):
        call = peer.us("three")(request, timeout=LONG)
        # Of another call of the connection, after whose end all of this one has arrived.
        assert list(peer.us("three")(b"", timeout=LONG)) == [b"1", b"2", b"3"]
        for expected in (b"1", b"2", b"3"):
            assert call.is_active()
            assert call.running()
            assert not call.done()
            assert not call.cancelled()
            assert repr(call) == "<_MultiThreadedRendezvous object>"
            assert next(call) == expected
        with pytest.raises(grpc.RpcError if request else StopIteration):
            next(call)
        assert not call.is_active()
        assert call.done()


def test_status_can_be_known_before_responses_are_read(serve):
    """And the responses can still be read then."""
    peer = serve(two=("us", lambda request, context: iter([b"1", b"2"])))
    call = peer.us("two")(b"", timeout=LONG)
    assert next(call) == b"1"
    assert next(call) == b"2"
    assert call.code() is grpc.StatusCode.OK


@pytest.mark.better_than_grpcio("waits for the deadline")
def test_status_does_not_wait_for_responses_to_be_read(serve):
    peer = serve(two=("us", lambda request, context: iter([b"1", b"2"])))
    call = peer.us("two")(b"", timeout=LONG)
    assert call.code() is grpc.StatusCode.OK
    assert list(call) == [b"1", b"2"]
