"""Starting, listening, stopping; how many RPCs at once; finding handlers."""

import gc
import socket
import threading
from concurrent import futures

import grpc
import pytest
from peers import LONG, ON_GRPCIO


@pytest.fixture
def server():
    """A server, not started."""
    pool = futures.ThreadPoolExecutor(2)
    server = grpc.server(pool)
    yield server
    server.stop(None)
    pool.shutdown(wait=False)


def echo_handlers(name="echo", behavior=lambda request, context: request):
    handler = grpc.unary_unary_rpc_method_handler(behavior)
    return (grpc.method_handlers_generic_handler("test", {name: handler}),)


def call(address, name="echo", request=b"x", **named):
    named.setdefault("timeout", LONG)
    with grpc.insecure_channel(address) as channel:
        return channel.unary_unary("/test/" + name)(request, **named)


# Ports


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", "0.0.0.0:0", "[::]:0"])
def test_port_is_chosen(server, address):
    port = server.add_insecure_port(address)
    assert 0 < port < 65536
    server.add_generic_rpc_handlers(echo_handlers())
    server.start()
    assert call(f"127.0.0.1:{port}") == b"x"


def test_port_is_taken_at_its_word(server):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port


def test_several_ports(server, tmp_path):
    first = server.add_insecure_port("127.0.0.1:0")
    second = server.add_insecure_port("127.0.0.1:0")
    unix = f"unix:{tmp_path}/socket"
    assert server.add_insecure_port(unix) == 1
    server.add_generic_rpc_handlers(echo_handlers())
    server.start()
    for address in (f"127.0.0.1:{first}", f"127.0.0.1:{second}", unix):
        assert call(address) == b"x"


@pytest.mark.better_than_grpcio("takes the port and does not serve it")
def test_port_after_start(server):
    server.add_generic_rpc_handlers(echo_handlers())
    server.start()
    port = server.add_insecure_port("127.0.0.1:0")
    assert call(f"127.0.0.1:{port}") == b"x"


def test_insecure_credentials_are_no_credentials(server):
    port = server.add_secure_port("127.0.0.1:0", grpc.insecure_server_credentials())
    server.add_generic_rpc_handlers(echo_handlers())
    server.start()
    assert call(f"127.0.0.1:{port}") == b"x"


@pytest.mark.parametrize("address", ["nonsense", "999.1.1.1:1", "", "a b:0", "unix:/nonexistent/socket", ":0"])
def test_address_that_cannot_be_listened_on(server, address):
    with pytest.raises(RuntimeError) as caught:
        server.add_insecure_port(address)
    assert str(caught.value).startswith(
        f"Failed to bind to address {address}; set GRPC_VERBOSITY=debug environment variable "
        "to see detailed error message."
    )


def test_port_in_use():
    pool = futures.ThreadPoolExecutor(1)
    servers = [grpc.server(pool, options=[("grpc.so_reuseport", 0)]) for _ in range(2)]
    port = servers[0].add_insecure_port("127.0.0.1:0")
    servers[0].start()
    with pytest.raises(RuntimeError, match="Failed to bind to address"):
        servers[1].add_insecure_port(f"127.0.0.1:{port}")
    servers[0].stop(None)


def test_port_in_use_by_somebody_else(server):
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(RuntimeError, match="Failed to bind to address") as caught:
            server.add_insecure_port(address)
    assert ON_GRPCIO or str(caught.value).endswith("(Address already in use)")


def test_ports_are_shared_by_default():
    pool = futures.ThreadPoolExecutor(1)
    servers = [grpc.server(pool) for _ in range(2)]
    port = servers[0].add_insecure_port("127.0.0.1:0")
    assert servers[1].add_insecure_port(f"127.0.0.1:{port}") == port
    for server in servers:
        server.start()
        server.stop(None)


def test_address_is_no_text(server):
    with pytest.raises((AttributeError, TypeError)):
        server.add_insecure_port(5)


# Start and stop


def test_start_twice(server):
    server.start()
    with pytest.raises(ValueError, match="Cannot start already-started server!"):
        server.start()


def test_start_after_stop(server):
    server.start()
    server.stop(None)
    with pytest.raises(ValueError, match="the server has already started"):
        server.start()


def test_stop_before_start(server):
    assert server.stop(None).is_set()
    assert server.stop(5).is_set()


def test_stop_answers_an_event(server):
    server.start()
    assert server.stop(0.1).wait(LONG)
    assert server.stop(None).is_set()
    assert server.stop(5).is_set()


def test_stopped_server_refuses(server):
    port = server.add_insecure_port("127.0.0.1:0")
    server.add_generic_rpc_handlers(echo_handlers())
    server.start()
    assert call(f"127.0.0.1:{port}") == b"x"
    server.stop(None)
    with pytest.raises(grpc.RpcError) as caught:
        call(f"127.0.0.1:{port}")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_stop_without_grace_cancels(serve, gate):
    def wait(request, context):
        gate.wait_open()
        return b""

    peer = serve(wait=("uu", wait))
    future = peer.uu("wait").future(b"", timeout=LONG)
    gate.wait_entered()
    # Does not wait for the handler, which is stuck, but for its RPC.
    assert peer.server.stop(None).is_set()
    assert future.code() is grpc.StatusCode.UNAVAILABLE
    assert "Cancelling all calls" in future.details()


def test_stop_with_grace_lets_calls_end(serve, gate):
    def wait(request, context):
        gate.wait_open()
        return b"done"

    peer = serve(wait=("uu", wait))
    future = peer.uu("wait").future(b"", timeout=LONG)
    gate.wait_entered()
    stopped = peer.server.stop(LONG)
    assert not stopped.is_set()
    gate.open.set()
    assert future.result(timeout=LONG) == b"done"
    assert stopped.wait(LONG)


def test_new_calls_fail_during_grace(serve, gate):
    def wait(request, context):
        gate.wait_open()
        return b"done"

    peer = serve(wait=("uu", wait))
    future = peer.uu("wait").future(b"", timeout=LONG)
    gate.wait_entered()
    stopped = peer.server.stop(LONG)
    with pytest.raises(grpc.RpcError) as caught:
        call(peer.address, "wait")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    gate.open.set()
    assert future.result(timeout=LONG) == b"done"
    assert stopped.wait(LONG)


def test_grace_runs_out(serve, gate):
    def wait(request, context):
        gate.wait_open()

    peer = serve(wait=("uu", wait))
    future = peer.uu("wait").future(b"", timeout=LONG)
    gate.wait_entered()
    assert peer.server.stop(0.1).wait(LONG)
    assert future.code() is grpc.StatusCode.UNAVAILABLE


def test_shortest_grace_counts(serve, gate):
    def wait(request, context):
        gate.wait_open()

    peer = serve(wait=("uu", wait))
    future = peer.uu("wait").future(b"", timeout=LONG)
    gate.wait_entered()
    long = peer.server.stop(3600)
    assert not long.is_set()
    assert peer.server.stop(0.05).wait(LONG)
    assert long.wait(LONG)
    assert future.code() is grpc.StatusCode.UNAVAILABLE


def test_wait_for_termination(server):
    server.start()
    assert server.wait_for_termination(timeout=0.01) is True
    results = []
    waiter = threading.Thread(target=lambda: results.append(server.wait_for_termination()))
    waiter.start()
    server.stop(None)
    waiter.join(LONG)
    assert results == [False]
    assert server.wait_for_termination(timeout=LONG) is False


def test_stop_from_a_handler(serve):
    stopped = []

    def stop(request, context):
        stopped.append(peer.server.stop(LONG))
        return b"last"

    peer = serve(stop=("uu", stop))
    assert peer.uu("stop")(b"", timeout=LONG) == b"last"
    assert stopped[0].wait(LONG)


def test_dropped_server_stops():
    pool = futures.ThreadPoolExecutor(1)
    server = grpc.server(pool)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        grpc.channel_ready_future(channel).result(timeout=LONG)
        lost = threading.Event()
        channel.subscribe(lambda state: state is not grpc.ChannelConnectivity.READY and lost.set())
        del server
        gc.collect()
        assert lost.wait(LONG)


def test_stopping_many_servers():
    pool = futures.ThreadPoolExecutor(1)
    for _ in range(20):
        server = grpc.server(pool)
        server.add_insecure_port("127.0.0.1:0")
        server.start()
        server.stop(None).wait(LONG)


# How many at once


def test_limit_on_concurrent_rpcs(serve, gate):
    def wait(request, context):
        gate.wait_open()
        return b"done"

    peer = serve(server_arguments={"maximum_concurrent_rpcs": 1}, wait=("uu", wait))
    first = peer.uu("wait").future(b"", timeout=LONG)
    gate.wait_entered()
    with pytest.raises(grpc.RpcError) as caught:
        peer.uu("wait")(b"", timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == "Concurrent RPC limit exceeded!"
    with pytest.raises(grpc.RpcError) as caught:
        peer.uu("nothing")(b"", timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    gate.open.set()
    assert first.result(timeout=LONG) == b"done"


def test_limit_counts_what_is_over_no_more(serve):
    """Also what failed. With one worker a call is only answered when those before it have left the pool."""

    def fail(request, context):
        raise ValueError("boom")

    peer = serve(
        workers=1,
        server_arguments={"maximum_concurrent_rpcs": 3},
        fail=("uu", fail),
        echo=("uu", lambda request, context: request),
    )
    for _ in range(20):
        with pytest.raises(grpc.RpcError) as caught:
            peer.uu("fail")(b"", timeout=LONG)
        assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert peer.uu("echo")(b"x", timeout=LONG) == b"x"


def test_surplus_waits_for_a_worker(serve, gate):
    def wait(request, context):
        if request == b"first":
            gate.wait_open()
        return request

    peer = serve(workers=1, wait=("uu", wait))
    first = peer.uu("wait").future(b"first", timeout=LONG)
    gate.wait_entered()
    others = [peer.uu("wait").future(b"%d" % number, timeout=LONG) for number in range(10)]
    gate.open.set()
    assert first.result(timeout=LONG) == b"first"
    assert [other.result(timeout=LONG) for other in others] == [b"%d" % number for number in range(10)]


def test_behavior_with_a_pool_of_its_own(serve):
    def name(request, context):
        return threading.current_thread().name.encode()

    name.experimental_thread_pool = futures.ThreadPoolExecutor(1, thread_name_prefix="mine")
    assert serve(name=("uu", name)).uu("name")(b"", timeout=LONG).startswith(b"mine")


@pytest.mark.better_than_grpcio("the server dies silently and its clients hang")
def test_pool_that_was_shut_down(serve):
    peer = serve(echo=("uu", lambda request, context: request))
    peer.pool.shutdown()
    with pytest.raises(grpc.RpcError) as caught:
        peer.uu("echo")(b"", timeout=LONG)
    assert caught.value.code() is grpc.StatusCode.UNKNOWN
    assert caught.value.details() == "Error in service handler!"


# Finding handlers


def test_generic_handlers_are_asked_in_order(server):
    seen = []

    class Handler(grpc.GenericRpcHandler):
        def __init__(self, name, handler):
            self.name = name
            self.handler = handler

        def service(self, handler_call_details):
            seen.append((self.name, handler_call_details.method, tuple(handler_call_details.invocation_metadata)))
            return self.handler

    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"second")
    server.add_generic_rpc_handlers((Handler("first", None), Handler("second", handler)))
    server.add_generic_rpc_handlers((Handler("third", handler),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert call(f"127.0.0.1:{port}", metadata=[("key", "value")]) == b"second"
    assert [(name, method) for name, method, _ in seen] == [("first", "/test/echo"), ("second", "/test/echo")]
    assert ("key", "value") in seen[0][2]


def test_handlers_given_at_construction():
    pool = futures.ThreadPoolExecutor(1)
    server = grpc.server(pool, handlers=echo_handlers())
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert call(f"127.0.0.1:{port}") == b"x"
    server.stop(None)


def test_registered_handlers_come_first(server):
    server.add_generic_rpc_handlers(echo_handlers(behavior=lambda request, context: b"generic"))
    server.add_registered_method_handlers(
        "test", {"echo": grpc.unary_unary_rpc_method_handler(lambda request, context: b"registered")}
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    assert call(f"127.0.0.1:{port}") == b"registered"


def test_handlers_added_after_start(server):
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    server.add_generic_rpc_handlers(echo_handlers())
    assert call(f"127.0.0.1:{port}") == b"x"


def test_what_is_no_handler(server):
    with pytest.raises(AttributeError, match="must conform to"):
        server.add_generic_rpc_handlers((5,))
    with pytest.raises(AttributeError, match="must conform to"):
        grpc.server(futures.ThreadPoolExecutor(1), handlers=[5])
    with pytest.raises(TypeError):
        server.add_generic_rpc_handlers(5)


def test_service_name():
    (handler,) = echo_handlers()
    assert isinstance(handler, grpc.ServiceRpcHandler)
    assert handler.service_name() == "test"


def test_client_that_vanishes(peer):
    """Connections that end in the middle of a call leave nothing behind that stops the server from serving."""
    for _ in range(5):
        channel = grpc.insecure_channel(peer.address)
        call = channel.stream_stream("/test/double")(iter([b"1"]), timeout=LONG)
        assert next(call) == b"2"
        channel.close()
    assert peer.uu("echo")(b"on", timeout=LONG) == b"on"
