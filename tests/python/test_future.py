"""Calls in the background: the object that `future` answers."""

import threading

import grpc
import pytest
from peers import LONG


@pytest.fixture
def held(serve, gate):
    """A call whose handler waits for the gate."""

    def hold(request, context):
        gate.wait_open()
        return request

    return serve(hold=("uu", hold)).uu("hold")


def test_result(peer):
    future = peer.uu("echo").future(b"x", timeout=LONG)
    assert isinstance(future, grpc.Future)
    assert isinstance(future, grpc.Call)
    assert future.result() == b"x"
    assert future.result(timeout=1) == b"x"
    assert future.exception() is None
    assert future.traceback() is None
    assert future.done()
    assert not future.running()
    assert not future.cancelled()
    assert future.code() is grpc.StatusCode.OK


def test_running(held, gate):
    future = held.future(b"x", timeout=LONG)
    gate.wait_entered()
    assert future.running()
    assert not future.done()
    assert future.is_active()
    assert 0 < future.time_remaining() <= LONG
    gate.open.set()
    assert future.result() == b"x"


def test_no_deadline_no_time_remaining(held, gate):
    future = held.future(b"x")
    assert future.time_remaining() is None


def test_result_timeout_leaves_the_call_alone(held, gate):
    future = held.future(b"x", timeout=LONG)
    gate.wait_entered()
    for method in (future.result, future.exception, future.traceback):
        with pytest.raises(grpc.FutureTimeoutError):
            method(timeout=0.01)
    assert future.running()
    gate.open.set()
    assert future.result(timeout=LONG) == b"x"


def test_done_callback(held, gate):
    called = threading.Event()
    got = []

    def done(future):
        got.append(future)
        called.set()

    future = held.future(b"x", timeout=LONG)
    future.add_done_callback(done)
    gate.wait_entered()
    assert not called.is_set()
    gate.open.set()
    assert called.wait(LONG)
    assert got == [future]
    assert future.result() == b"x"


def test_result_inside_done_callback(peer):
    called = threading.Event()
    got = []

    def done(future):
        got.append(future.result())
        called.set()

    peer.uu("echo").future(b"x", timeout=LONG).add_done_callback(done)
    assert called.wait(LONG)
    assert got == [b"x"]


def test_done_callback_of_finished_call_is_called_at_once(peer):
    future = peer.uu("echo").future(b"x", timeout=LONG)
    future.result()
    got = []
    future.add_done_callback(got.append)
    assert got == [future]


def test_raising_callback_is_logged_and_harmless(held, gate, caplog):
    called = threading.Event()
    future = held.future(b"x", timeout=LONG)

    def bad(future):
        raise ValueError("in a callback")

    future.add_done_callback(bad)
    future.add_done_callback(lambda future: called.set())
    gate.open.set()
    assert called.wait(LONG)
    assert future.result() == b"x"


def test_plain_callback(held, gate):
    called = threading.Event()
    future = held.future(b"x", timeout=LONG)
    assert future.add_callback(called.set) is True
    gate.open.set()
    assert called.wait(LONG)
    future.result()
    assert future.add_callback(called.set) is False


def test_error(serve):
    def fail(request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "nothing here")

    future = serve(fail=("uu", fail)).uu("fail").future(b"x", timeout=LONG)
    with pytest.raises(grpc.RpcError) as caught:
        future.result()
    assert caught.value is future
    assert future.exception() is future
    assert future.traceback() is not None
    assert future.code() is grpc.StatusCode.NOT_FOUND
    assert future.details() == "nothing here"
    assert future.debug_error_string() == "NOT_FOUND:nothing here"
    assert repr(future) == (
        "<_MultiThreadedRendezvous of RPC that terminated with:\n\tstatus = StatusCode.NOT_FOUND\n"
        '\tdetails = "nothing here"\n\tdebug_error_string = "NOT_FOUND:nothing here"\n>'
    )


def test_request_stream_future(peer):
    future = peer.su("sum").future(iter([b"1", b"2"]), timeout=LONG)
    assert future.result(timeout=LONG) == b"3"


def test_many_at_once(peer):
    echo = peer.uu("echo")
    futures = [echo.future(b"%d" % number, timeout=LONG) for number in range(200)]
    assert [future.result() for future in futures] == [b"%d" % number for number in range(200)]


def test_waiting_in_many_threads(held, gate):
    future = held.future(b"x", timeout=LONG)
    results = []
    threads = [threading.Thread(target=lambda: results.append(future.result())) for _ in range(8)]
    for thread in threads:
        thread.start()
    gate.open.set()
    for thread in threads:
        thread.join(LONG)
    assert results == [b"x"] * 8
