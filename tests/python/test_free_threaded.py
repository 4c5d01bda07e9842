"""Many threads at once on the same channel, call and server: nothing is lost or hangs, and only what may raises.

On an interpreter with a global lock these hold threads against each other now and then; without one, all the time.
"""

import subprocess
import sys
import sysconfig
import threading
from concurrent import futures

import grpc
import pytest
from peers import LONG

THREADS = 8
ROUNDS = 50


def together(*works, rounds=ROUNDS, each=THREADS):
    """Has `each` threads do each of `works(thread, round)`, all beginning at once; raises the first thing raised."""
    begin = threading.Barrier(len(works) * each)

    def run(work, thread):
        begin.wait(LONG)
        for number in range(rounds):
            work(thread, number)

    with futures.ThreadPoolExecutor(len(works) * each) as pool:
        running = [pool.submit(run, work, thread) for work in works for thread in range(each)]
        for done in futures.as_completed(running, timeout=3 * LONG):
            done.result()


@pytest.mark.better_than_grpcio("has no such promise")
@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this interpreter has a global lock")
def test_importing_leaves_the_global_lock_off():
    modules = "grpc, grpc.aio, grpc.experimental, grpc.beta.implementations, grpc_testing"
    try:
        import google.protobuf  # noqa: F401
    except ImportError:
        pass
    else:
        modules += ", grpc_health.v1.health, grpc_reflection.v1alpha.reflection, grpc_channelz.v1.channelz, grpc_admin"
    program = f"import sys, {modules}; grpc.insecure_channel('localhost:1').close(); print(sys._is_gil_enabled())"
    # A warning would say that a module has turned it on.
    command = [sys.executable, "-W", "error", "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=True).stdout == "False\n"


def test_every_call_gets_its_own_answer(peer):
    echo, count, double = peer.uu("echo"), peer.us("count"), peer.ss("double")

    def unary(thread, number):
        request = b"%d of %d" % (number, thread)
        assert echo(request, timeout=LONG) == request

    def stream(thread, number):
        assert list(count(b"20", timeout=LONG)) == [b"%d" % index for index in range(20)]

    def both_ways(thread, number):
        requests = [b"%d" % (thread + index) for index in range(5)]
        assert list(double(iter(requests), timeout=LONG)) == [b"%d" % (2 * (thread + index)) for index in range(5)]

    together(unary, stream, both_ways, each=4)


def test_a_channel_closes_while_calls_are_made(serve):
    peer = serve(echo=("uu", lambda request, context: request))
    for _ in range(5):
        channel = grpc.insecure_channel(peer.address)
        echo = channel.unary_unary("/test/echo")
        assert echo(b"x", timeout=LONG) == b"x"
        closing = threading.Semaphore(0)

        def call(thread, number, echo=echo, closing=closing):
            closing.release()
            try:
                assert echo(b"x", timeout=LONG) == b"x"
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.CANCELLED
            except ValueError as error:
                assert "closed" in str(error)

        def close(thread, number, channel=channel, closing=closing):
            closing.acquire(timeout=LONG)
            if number == ROUNDS - 1:
                channel.close()

        together(call, close, each=4)
        with pytest.raises(ValueError):
            echo(b"x")


def test_a_call_ends_once_whoever_ends_it(peer, gate):
    """Cancellations, the answer and the deadline race; all threads see one outcome."""
    for number in range(ROUNDS):
        future = peer.uu("echo").future(b"x", timeout=LONG if number % 2 else 0.001)
        ended = []
        told = threading.Semaphore(0)
        future.add_done_callback(lambda future, ended=ended, told=told: (ended.append(future), told.release()))
        outcomes = []

        def end(thread, number, future=future, outcomes=outcomes):
            if thread % 2:
                future.cancel()
            outcomes.append((future.code(), future.details()))

        together(end, rounds=1)
        assert len(outcomes) == THREADS
        assert len(set(outcomes)) == 1
        assert told.acquire(timeout=LONG)
        assert ended == [future]


def test_many_threads_read_one_stream(peer):
    """Each message goes to one of them."""
    total = 2000
    responses = peer.us("count")(b"%d" % total, timeout=LONG)
    seen = []

    def read(thread, number):
        seen.extend(responses)

    together(read, rounds=1)
    assert sorted(map(int, seen)) == list(range(total))
    assert responses.code() is grpc.StatusCode.OK


def test_subscribers_come_and_go(peer):
    echo = peer.uu("echo")
    told = [threading.Event() for _ in range(THREADS)]

    def subscribe(thread, number):
        def tell(state):
            told[thread].set()

        peer.channel.subscribe(tell, try_to_connect=True)
        assert told[thread].wait(LONG)
        peer.channel.unsubscribe(tell)
        # Once too often, which is nothing.
        peer.channel.unsubscribe(tell)

    def ready(thread, number):
        future = grpc.channel_ready_future(peer.channel)
        if thread % 2:
            future.result(timeout=LONG)
        else:
            future.cancel()

    def call(thread, number):
        assert echo(b"x", timeout=LONG) == b"x"

    together(subscribe, ready, call, rounds=5)


class _Counting(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor):
    def __init__(self):
        self.lock = threading.Lock()
        self.calls = 0

    def _intercept(self, continuation, details, request):
        with self.lock:
            self.calls += 1
        metadata = (("number", request.decode()),)
        return continuation(details._replace(metadata=metadata), request)

    intercept_unary_unary = intercept_unary_stream = _intercept


class _Checking(grpc.ServerInterceptor):
    def intercept_service(self, continuation, handler_call_details):
        assert dict(handler_call_details.invocation_metadata)["number"]
        return continuation(handler_call_details)


def test_interceptors_of_both_sides(serve):
    def number(request, context):
        (value,) = [value for key, value in context.invocation_metadata() if key == "number"]
        context.set_trailing_metadata((("number", value),))
        return request

    peer = serve(number=("uu", number), server_arguments={"interceptors": [_Checking()]})
    counting = _Counting()
    intercepted = grpc.intercept_channel(peer.channel, counting)
    method = intercepted.unary_unary("/test/number")

    def call(thread, number):
        request = b"%d" % (thread * ROUNDS + number)
        response, call = method.with_call(request, timeout=LONG)
        assert (response, dict(call.trailing_metadata())) == (request, {"number": request.decode()})

    together(call)
    assert counting.calls == THREADS * ROUNDS


def test_handlers_are_added_while_calls_come(serve):
    peer = serve(echo=("uu", lambda request, context: request))
    echo = peer.uu("echo")

    class Own(grpc.GenericRpcHandler):
        """One that has to be asked, beside those that are dictionaries."""

        def service(self, handler_call_details):
            return None

    def add(thread, number):
        name = f"more{thread}_{number}"
        peer.add(name, grpc.unary_unary_rpc_method_handler(lambda request, context: name.encode()))
        if number % 5 == 0:
            peer.server.add_generic_rpc_handlers((Own(),))
        assert peer.uu(name)(b"", timeout=LONG) == name.encode()

    def call(thread, number):
        assert echo(b"x", timeout=LONG) == b"x"

    together(add, call, each=4)


def test_the_limit_of_calls_is_counted_right(serve):
    """The client may make its next call as soon as it has an answer, and never finds the place taken by the last."""
    peer = serve(echo=("uu", lambda request, context: request), server_arguments={"maximum_concurrent_rpcs": THREADS})
    echo = peer.uu("echo")

    def call(thread, number):
        assert echo(b"x", timeout=LONG) == b"x"

    together(call)


def test_a_server_is_stopped_by_many_while_calls_come(serve):
    for grace in (None, 0.0, LONG):
        peer = serve(
            echo=("uu", lambda request, context: request), count=("us", lambda request, context: iter([b""] * 10))
        )
        begun = threading.Event()

        def call(thread, number, peer=peer, begun=begun):
            try:
                assert peer.uu("echo")(b"x", timeout=LONG) == b"x"
                assert len(list(peer.us("count")(b"", timeout=LONG))) == 10
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            begun.set()

        def stop(thread, number, peer=peer, begun=begun, grace=grace):
            assert begun.wait(LONG)
            if number == ROUNDS // 2:
                assert peer.server.stop(grace).wait(LONG)
                assert not peer.server.wait_for_termination(LONG)

        together(call, stop, each=4)


def test_many_loops_share_a_channel(peer):
    """Each thread has a loop of its own, and one connection for it."""
    import asyncio

    import grpc.aio

    channel = grpc.aio.insecure_channel(peer.address)
    echo, count = channel.unary_unary("/test/echo"), channel.unary_stream("/test/count")

    async def calls(thread):
        requests = [b"%d of %d" % (number, thread) for number in range(20)]
        assert await asyncio.gather(*(echo(request, timeout=LONG) for request in requests)) == requests
        assert [response async for response in count(b"20", timeout=LONG)] == [b"%d" % number for number in range(20)]

    def run(thread, number):
        asyncio.run(calls(thread))

    together(run, rounds=5)


def test_calls_without_a_channel_share_one(peer):
    import warnings

    from grpc import experimental

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", experimental.ExperimentalApiWarning)

        def call(thread, number):
            request = b"%d of %d" % (number, thread)
            answer = experimental.unary_unary(request, peer.address, "/test/echo", insecure=True, timeout=LONG)
            assert answer == request

        together(call)


def test_collections_while_calls_are_made(peer):
    """A collection stops all threads where they are, and finds channels, calls and servers among the garbage."""
    import gc

    echo = peer.uu("echo")
    large = bytes(1 << 17)

    def call(thread, number):
        assert echo(large, timeout=LONG) == large

    def litter(thread, number):
        channel = grpc.insecure_channel(peer.address)
        circle = [channel, channel.unary_unary("/test/echo").future(b"x", timeout=LONG)]
        circle.append(circle)

    def collect(thread, number):
        gc.collect()

    together(call, litter, collect, each=4, rounds=10)
