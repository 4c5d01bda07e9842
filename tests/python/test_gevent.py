"""Programs of greenlets: what waits for gRPC holds up its own greenlet and nobody else's.

gevent patches a whole process, so each test is a program of its own.
"""

import importlib.util
import subprocess
import sys
import textwrap

import pytest
from peers import LONG

pytestmark = pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="there is no gevent here")

PRELUDE = """
from gevent import monkey

monkey.patch_all()
from grpc.experimental import gevent as grpc_gevent

grpc_gevent.init_gevent()

import threading
from concurrent import futures

import gevent
import gevent.event
import grpc

# By which handlers and tests tell each other how far they are; all of them greenlets of one thread.
opened, arrived = gevent.event.Event(), gevent.event.Event()

def held(request, context):
    context.add_callback(arrived.clear)
    arrived.set()
    opened.wait()
    return request

def count(request, context):
    for number in range(int(request)):
        yield b"%d" % number

def last_words(request, context):
    yield request
    arrived.set()
    opened.wait()
    yield b"last"

def double(requests, context):
    for request in requests:
        yield b"%d" % (2 * int(request))

def total(requests, context):
    return b"%d" % sum(len(request) for request in requests)

def serve(pool, **arguments):
    server = grpc.server(pool, **arguments)
    kinds = {
        "echo": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
        "held": grpc.unary_unary_rpc_method_handler(held),
        "count": grpc.unary_stream_rpc_method_handler(count),
        "last_words": grpc.unary_stream_rpc_method_handler(last_words),
        "double": grpc.stream_stream_rpc_method_handler(double),
        "total": grpc.stream_unary_rpc_method_handler(total),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", kinds),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, grpc.insecure_channel(f"127.0.0.1:{port}")

server, channel = serve(futures.ThreadPoolExecutor(100))
unary = lambda name: channel.unary_unary("/test/" + name)
stream = lambda name: channel.unary_stream("/test/" + name)
"""

EPILOGUE = """
channel.close()
server.stop(None).wait()
print("end")
"""


def run(program):
    """Runs a program of greenlets, which has a server with 100 workers and a channel to it."""
    code = PRELUDE + textwrap.dedent(program) + EPILOGUE
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=2 * LONG)
    assert (done.stdout, done.stderr, done.returncode) == ("end\n", "", 0)


def test_a_call_waits_for_a_handler_that_another_greenlet_lets_go():
    run("""
        caller = gevent.spawn(unary("held"), b"x")
        arrived.wait()
        assert not caller.ready()
        opened.set()
        assert caller.get() == b"x"
    """)


def test_handlers_are_greenlets_of_the_thread_that_started_the_server():
    run("""
        seen = []
        def see(request, context):
            seen.append(gevent.get_hub())
            return b""
        handler = grpc.method_handlers_generic_handler("more", {"see": grpc.unary_unary_rpc_method_handler(see)})
        server.add_generic_rpc_handlers((handler,))
        channel.unary_unary("/more/see")(b"")
        assert seen == [gevent.get_hub()]
    """)


def test_more_greenlets_wait_than_gevents_own_pool_has_threads():
    run("""
        callers = [gevent.spawn(unary("held"), b"%d" % number) for number in range(60)]
        arrived.wait()
        assert unary("echo")(b"meanwhile") == b"meanwhile"
        opened.set()
        assert [caller.get() for caller in callers] == [b"%d" % number for number in range(60)]
    """)


def test_streams():
    run("""
        assert list(stream("count")(b"1000")) == [b"%d" % number for number in range(1000)]
        numbers = (b"%d" % number for number in range(100))
        answers = channel.stream_stream("/test/double")(numbers)
        assert list(answers) == [b"%d" % (2 * number) for number in range(100)]
        # More than a send buffer holds: the greenlet that sends waits for room.
        big = (bytes(1 << 20) for _ in range(8))
        assert channel.stream_unary("/test/total")(big) == b"%d" % (8 << 20)
    """)


def test_a_greenlet_out_of_time_misses_no_message():
    run("""
        answers = stream("last_words")(b"first")
        assert next(answers) == b"first"
        arrived.wait()
        for _ in range(5):
            with gevent.Timeout(0.01, False):
                next(answers)
                raise AssertionError("there is nothing yet")
        opened.set()
        assert next(answers) == b"last"
        assert list(answers) == []
    """)


def test_a_killed_greenlet_cancels_its_call():
    run("""
        caller = gevent.spawn(unary("held"), b"x")
        arrived.wait()
        caller.kill()
        # The handler's callback clears it when the call is over.
        while arrived.is_set():
            gevent.sleep(0.001)
        opened.set()
    """)


def test_futures_and_their_callbacks():
    run("""
        future = unary("held").future(b"x")
        called = gevent.event.AsyncResult()
        future.add_done_callback(lambda future: called.set(gevent.get_hub()))
        try:
            future.result(timeout=0.01)
            raise AssertionError("the handler waits")
        except grpc.FutureTimeoutError:
            pass
        opened.set()
        assert future.result() == b"x"
        assert called.get() is gevent.get_hub()
        ready = grpc.channel_ready_future(channel)
        assert ready.result() is None
    """)


def test_errors_deadlines_and_metadata():
    run("""
        try:
            unary("held")(b"x", timeout=0.05)
            raise AssertionError("the handler waits")
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        opened.set()
        try:
            unary("missing")(b"")
            raise AssertionError("there is no such method")
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNIMPLEMENTED
        response, call = unary("echo").with_call(b"x")
        assert response == b"x" and call.code() is grpc.StatusCode.OK
        assert list(call.initial_metadata()) == []
        channel.close()
        try:
            unary("echo")(b"x")
            raise AssertionError("the channel is closed")
        except ValueError:
            pass
    """)


def test_connectivity_is_told_in_greenlets():
    run("""
        states, told = [], gevent.event.Event()
        def tell(state):
            states.append(state)
            if state is grpc.ChannelConnectivity.READY:
                told.set()
        channel.subscribe(tell, try_to_connect=True)
        told.wait()
        assert states[-1] is grpc.ChannelConnectivity.READY
        channel.unsubscribe(tell)
    """)


def test_stopping_waits_for_handlers_that_finish_within_the_grace():
    run("""
        caller = gevent.spawn(unary("held"), b"x")
        arrived.wait()
        stopped = server.stop(grace=20)
        assert not stopped.is_set()
        opened.set()
        stopped.wait()
        assert caller.get() == b"x"
    """)


def test_handlers_in_gevents_pool_of_native_threads():
    run("""
        from gevent.threadpool import ThreadPoolExecutor
        native, to_it = serve(ThreadPoolExecutor(2))
        with to_it:
            assert to_it.unary_unary("/test/echo")(b"x") == b"x"
            assert list(to_it.unary_stream("/test/count")(b"3")) == [b"0", b"1", b"2"]
            assert list(to_it.stream_stream("/test/double")(iter([b"1", b"2"]))) == [b"2", b"4"]
        native.stop(None).wait()
    """)
