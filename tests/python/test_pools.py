"""Whose threads run handlers: the pool's, which must get them back."""

from __future__ import annotations

import contextvars
import threading
from concurrent import futures

import grpc
import pytest
from peers import LONG, Peer


@pytest.fixture
def on_pool():
    """on_pool(pool, **handlers): a Peer whose server runs its handlers on that pool."""
    peers = []

    def make(pool, **handlers):
        peer = Peer(handlers, pool=pool)
        peers.append(peer)
        return peer

    yield make
    for peer in peers:
        peer.close()


def name_of_thread(request, context):
    return threading.current_thread().name.encode()


def test_handlers_run_on_threads_of_the_pool(on_pool):
    peer = on_pool(futures.ThreadPoolExecutor(2, thread_name_prefix="mine"), name=("uu", name_of_thread))
    for _ in range(100):
        assert peer.uu("name")(b"").startswith(b"mine")


def test_no_more_threads_than_the_pool_has(on_pool):
    pool = futures.ThreadPoolExecutor(3)
    names = set()
    running, most, lock = [0], [0], threading.Lock()

    def note(request, context):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
            names.add(threading.current_thread().name)
        with lock:
            running[0] -= 1
        return b""

    peer = on_pool(pool, note=("uu", note))

    def call_often():
        for _ in range(200):
            peer.uu("note")(b"", timeout=LONG)

    callers = [threading.Thread(target=call_often) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(names) <= 3 and most[0] <= 3


def test_the_pool_s_other_work_gets_its_turn(on_pool):
    pool = futures.ThreadPoolExecutor(1)
    stop = threading.Event()
    peer = on_pool(pool, echo=("uu", lambda request, context: request))

    def call_on():
        while not stop.is_set():
            peer.uu("echo")(b"", timeout=LONG)

    caller = threading.Thread(target=call_on)
    caller.start()
    try:
        # The only thread is as good as always busy with calls.
        for number in range(20):
            assert pool.submit(lambda number=number: number).result(LONG) == number
    finally:
        stop.set()
        caller.join()


@pytest.mark.better_than_grpcio("its server never answers again")
def test_a_pool_that_is_shut_down_is_let_go(on_pool):
    pool = futures.ThreadPoolExecutor(2)
    stop = threading.Event()
    peer = on_pool(pool, echo=("uu", lambda request, context: request))
    ended = []

    def call_on():
        while not stop.is_set():
            try:
                peer.uu("echo")(b"", timeout=LONG)
            except grpc.RpcError as error:
                ended.append(error.code())
                return

    callers = [threading.Thread(target=call_on) for _ in range(2)]
    for caller in callers:
        caller.start()
    # Returns although calls keep coming.
    pool.shutdown(wait=True)
    for caller in callers:
        caller.join(LONG)
    stop.set()
    assert ended == [grpc.StatusCode.UNKNOWN] * 2


class Counting(futures.ThreadPoolExecutor):
    """A pool that must see every call."""

    submitted = 0

    def submit(self, *arguments, **keywords):
        self.submitted += 1
        return super().submit(*arguments, **keywords)


class Wrapping(futures.Executor):
    def __init__(self):
        self.pool = futures.ThreadPoolExecutor(1)
        self.submitted = 0

    def submit(self, *arguments, **keywords):
        self.submitted += 1
        return self.pool.submit(*arguments, **keywords)

    def shutdown(self, wait=True, **keywords):
        self.pool.shutdown(wait)


@pytest.mark.parametrize("kind", [lambda: Counting(1), Wrapping])
def test_a_pool_of_one_s_own_sees_every_call(on_pool, kind):
    pool = kind()
    peer = on_pool(pool, echo=("uu", lambda request, context: request))
    for _ in range(50):
        peer.uu("echo")(b"")
    assert pool.submitted == 50


def test_variables_of_one_call_are_not_seen_by_the_next(on_pool):
    variable = contextvars.ContextVar("variable", default=b"unset")

    def swap(request, context):
        before = variable.get()
        variable.set(request)
        return before

    peer = on_pool(futures.ThreadPoolExecutor(1), swap=("uu", swap))
    assert [peer.uu("swap")(b"%d" % number) for number in range(20)] == [b"unset"] * 20


def test_a_behavior_s_own_pool_runs_it(on_pool):
    own = futures.ThreadPoolExecutor(1, thread_name_prefix="own")
    peer = on_pool(futures.ThreadPoolExecutor(1, thread_name_prefix="main"), main=("uu", name_of_thread))

    handler = grpc.unary_stream_rpc_method_handler(lambda request, context: iter([name_of_thread(request, context)]))
    handler.unary_stream.experimental_thread_pool = own
    peer.add("stream", handler)
    for _ in range(20):
        assert peer.uu("main")(b"").startswith(b"main")
        (name,) = peer.us("stream")(b"")
        assert name.startswith(b"own")
    own.shutdown()


def test_the_limit_of_calls_holds_while_threads_wait_for_more(serve):
    entered, leave = threading.Semaphore(0), threading.Semaphore(0)

    def wait(request, context):
        entered.release()
        leave.acquire()
        return b""

    peer = serve(workers=8, wait=("uu", wait), server_arguments={"maximum_concurrent_rpcs": 2})
    for _ in range(20):
        two = [peer.uu("wait").future(b"", timeout=LONG) for _ in range(2)]
        for _ in two:
            assert entered.acquire(timeout=LONG)
        with pytest.raises(grpc.RpcError) as caught:
            peer.uu("wait")(b"", timeout=LONG)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        leave.release(2)
        for call in two:
            call.result()
        # What the pool counts is given back a moment after the client has its answer.
        while True:
            probe = peer.uu("wait").future(b"", timeout=LONG)
            leave.release()
            if probe.code() is grpc.StatusCode.OK:
                break
            leave.acquire()
        assert entered.acquire(timeout=LONG)
