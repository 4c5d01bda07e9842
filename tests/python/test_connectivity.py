"""Watching a channel's connection."""

import queue
import threading
from concurrent import futures

import grpc
import pytest
from peers import LONG

IDLE, CONNECTING, READY, FAILURE, _ = grpc.ChannelConnectivity


class Watch:
    """Takes what a channel tells, in order."""

    def __init__(self):
        self.states = queue.Queue()

    def __call__(self, state):
        self.states.put(state)

    def until(self, wanted):
        seen = []
        while not seen or seen[-1] is not wanted:
            seen.append(self.states.get(timeout=LONG))
        return seen


def test_idle_channel_says_so_and_stays(peer):
    watch = Watch()
    with grpc.insecure_channel(peer.address) as channel:
        channel.subscribe(watch)
        assert watch.until(IDLE) == [IDLE]


def test_connecting(peer):
    watch = Watch()
    with grpc.insecure_channel(peer.address) as channel:
        channel.subscribe(watch, try_to_connect=True)
        seen = watch.until(READY)
        assert seen[0] in (IDLE, CONNECTING)
        assert FAILURE not in seen


def test_connected_by_a_call(peer):
    watch = Watch()
    with grpc.insecure_channel(peer.address) as channel:
        channel.subscribe(watch)
        watch.until(IDLE)
        channel.unary_unary("/test/echo")(b"", timeout=LONG)
        watch.until(READY)


def test_late_subscriber_is_told_the_state(peer):
    peer.uu("echo")(b"", timeout=LONG)
    watch = Watch()
    peer.channel.subscribe(watch)
    assert watch.until(READY) == [READY]


def test_failure(unused_port):
    watch = Watch()
    with grpc.insecure_channel(f"127.0.0.1:{unused_port}") as channel:
        channel.subscribe(watch, try_to_connect=True)
        assert READY not in watch.until(FAILURE)


def test_server_goes_away(serve):
    peer = serve()
    watch = Watch()
    peer.channel.subscribe(watch, try_to_connect=True)
    watch.until(READY)
    peer.server.stop(None)
    assert watch.states.get(timeout=LONG) is not READY


def test_raising_subscriber_does_not_harm_the_others(peer):
    watch = Watch()

    def bad(state):
        raise ValueError("in a callback")

    peer.channel.subscribe(bad)
    peer.channel.subscribe(watch, try_to_connect=True)
    watch.until(READY)


def test_unsubscribed_hears_no_more(peer):
    watch, other = Watch(), Watch()
    peer.channel.subscribe(watch)
    watch.until(IDLE)
    peer.channel.unsubscribe(watch)
    peer.channel.unsubscribe(watch)
    peer.channel.subscribe(other, try_to_connect=True)
    other.until(READY)
    assert watch.states.empty()


def test_ready_future(peer):
    future = grpc.channel_ready_future(peer.channel)
    assert isinstance(future, grpc.Future)
    done = threading.Event()
    future.add_done_callback(lambda future: done.set())
    assert future.result(timeout=LONG) is None
    assert done.wait(LONG)
    assert future.exception() is None
    assert future.traceback() is None
    assert future.done()
    assert not future.running()
    assert not future.cancelled()
    assert not future.cancel()
    late = []
    future.add_done_callback(late.append)
    assert late == [future]


def test_ready_future_of_what_never_is(unused_port):
    with grpc.insecure_channel(f"127.0.0.1:{unused_port}") as channel:
        future = grpc.channel_ready_future(channel)
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(timeout=0.05)
        assert future.running()
        assert future.cancel()
        assert future.cancelled()
        assert future.done()
        for method in (future.result, future.exception, future.traceback):
            with pytest.raises(grpc.FutureCancelledError):
                method()


def test_wait_for_ready_waits_for_the_server():
    pool = futures.ThreadPoolExecutor(1)
    reserved = grpc.server(pool)
    port = reserved.add_insecure_port("127.0.0.1:0")
    address = f"127.0.0.1:{port}"
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 200)]
    # Closes the port again: nothing listens until the next server takes it.
    reserved.start()
    reserved.stop(None)
    with grpc.insecure_channel(address, options=options) as channel:
        watch = Watch()
        channel.subscribe(watch, try_to_connect=True)
        watch.until(FAILURE)
        future = channel.unary_unary("/test/echo").future(b"x", wait_for_ready=True, timeout=LONG)
        server = grpc.server(pool)
        handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"echo": handler}),))
        assert server.add_insecure_port(address) == port
        server.start()
        assert future.result() == b"x"
        server.stop(None)


def test_reconnects(serve):
    """After the server has gone and another is there, the same channel works again."""
    pool = futures.ThreadPoolExecutor(1)
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
    handlers = (grpc.method_handlers_generic_handler("test", {"echo": handler}),)
    first = grpc.server(pool, handlers=handlers)
    port = first.add_insecure_port("127.0.0.1:0")
    first.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        echo = channel.unary_unary("/test/echo")
        assert echo(b"1", timeout=LONG) == b"1"
        first.stop(None)
        second = grpc.server(pool, handlers=handlers)
        assert second.add_insecure_port(f"127.0.0.1:{port}") == port
        second.start()
        assert echo(b"2", wait_for_ready=True, timeout=LONG) == b"2"
        second.stop(None)
