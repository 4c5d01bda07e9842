"""Deadlines: on the client, on the wire, in the handler."""

import threading
import time

import grpc
import pytest
from peers import LONG, Arrivals

SHORT = 0.15


@pytest.fixture
def stuck(serve, gate):
    """Methods of each kind whose handlers wait for the gate."""

    def one(request, context):
        gate.wait_open()
        return b""

    def stream(request, context):
        gate.wait_open()
        yield b""

    return serve(uu=("uu", one), us=("us", stream), su=("su", one), ss=("ss", stream))


def expect_deadline_exceeded(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error = caught.value
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "Deadline Exceeded" in error.details()
    return error


def test_blocking(stuck):
    error = expect_deadline_exceeded(lambda: stuck.uu("uu")(b"", timeout=SHORT))
    assert error.details() == "Deadline Exceeded"
    assert error.debug_error_string() == "DEADLINE_EXCEEDED:Deadline Exceeded"
    assert error.trailing_metadata() == ()


def test_with_call(stuck):
    expect_deadline_exceeded(lambda: stuck.uu("uu").with_call(b"", timeout=SHORT))


def test_future(stuck):
    future = stuck.uu("uu").future(b"", timeout=SHORT)
    expect_deadline_exceeded(future.result)
    assert not future.cancelled()


def test_response_stream(stuck):
    expect_deadline_exceeded(lambda: next(stuck.us("us")(b"", timeout=SHORT)))


def test_request_stream(stuck):
    expect_deadline_exceeded(lambda: stuck.su("su")(iter([]), timeout=SHORT))


def test_both_streams(stuck):
    expect_deadline_exceeded(lambda: next(stuck.ss("ss")(iter([]), timeout=SHORT)))


def test_request_iterator_that_never_yields(stuck, gate):
    def requests():
        assert gate.open.wait(LONG)
        yield b""

    expect_deadline_exceeded(lambda: stuck.su("su")(requests(), timeout=SHORT))


def test_negative(peer):
    expect_deadline_exceeded(lambda: peer.uu("echo")(b"", timeout=-1))


def test_not_a_number(peer):
    expect_deadline_exceeded(lambda: peer.uu("echo")(b"", timeout=float("nan")))


@pytest.mark.parametrize("timeout", [1e9, 3600 * 24 * 365, 2**31])
def test_far_away(peer, timeout):
    assert peer.uu("echo")(b"x", timeout=timeout) == b"x"


@pytest.mark.better_than_grpcio("takes what it cannot count for already over")
@pytest.mark.parametrize("timeout", [float("inf"), 1e300])
def test_further_away_than_can_be_counted(peer, timeout):
    assert peer.uu("echo")(b"x", timeout=timeout) == b"x"


def test_no_number_at_all(peer):
    with pytest.raises(TypeError):
        peer.uu("echo")(b"x", timeout="soon")


def test_integer(peer):
    assert peer.uu("echo")(b"x", timeout=10) == b"x"


def test_handler_knows_the_time_remaining(serve):
    remaining = []
    peer = serve(look=("uu", lambda request, context: (remaining.append(context.time_remaining()), request)[1]))
    peer.uu("look")(b"", timeout=LONG)
    peer.uu("look")(b"")
    assert LONG - 10 < remaining[0] < LONG + 1
    assert remaining[1] > 3600 * 24 * 365


def test_handler_is_told_when_time_is_up(serve):
    over = threading.Event()
    active = []

    def wait(request, context):
        assert context.add_callback(over.set)
        active.append(context.is_active())
        assert over.wait(LONG)
        active.append(context.is_active())
        return b""

    # Long enough for the handler to have begun, on however busy a machine.
    expect_deadline_exceeded(lambda: serve(wait=("uu", wait)).uu("wait")(b"", timeout=1.5))
    assert over.wait(LONG)
    assert active[0] is True


def test_calls_that_expire_in_the_queue_are_not_run(serve, gate):
    """One worker, which is busy: what waits for it and expires is never started."""
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
    expect_deadline_exceeded(lambda: peer.uu("run")(b"expired", timeout=SHORT))
    # On the same connection after the expired one: when it has arrived, so has the reset of that one.
    last = peer.uu("run").future(b"last", timeout=LONG)
    arrivals.wait_for(3)
    gate.open.set()
    assert first.result() == b"hold"
    assert last.result() == b"last"
    assert ran == [b"hold", b"last"]


def test_deadline_is_not_passed_on_by_itself(serve):
    """An RPC made in a handler has the deadline it is given, not the handler's."""
    inner = []

    def handler(request, context):
        if request == b"outer":
            inner.append(peer.uu("run")(b"inner"))
        else:
            inner.append(context.time_remaining())
        return b""

    peer = serve(run=("uu", handler))
    peer.uu("run")(b"outer", timeout=LONG)
    assert inner[0] > 3600


def test_others_go_on(stuck, gate):
    """An expired call takes nothing with it that goes over the same connection."""
    slow = stuck.uu("uu").future(b"", timeout=LONG)
    expect_deadline_exceeded(lambda: stuck.uu("uu")(b"", timeout=SHORT))
    gate.open.set()
    assert slow.result(timeout=LONG) == b""


def test_waits_no_longer_than_the_deadline(stuck):
    started = time.monotonic()
    expect_deadline_exceeded(lambda: stuck.uu("uu")(b"", timeout=SHORT))
    # Not a measurement: a wait that forgets its deadline would last until the test is killed.
    assert time.monotonic() - started >= SHORT * 0.9
