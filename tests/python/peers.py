"""What the tests of the package `grpc` have in common."""

from __future__ import annotations

import importlib.util
import threading
from concurrent import futures

import grpc

#: Whether the package under test is grpcio itself.
ON_GRPCIO = importlib.util.find_spec("farcall") is None

#: Far more than anything takes, so that a test that hangs fails.
LONG = 20.0

_KINDS = {
    "uu": grpc.unary_unary_rpc_method_handler,
    "us": grpc.unary_stream_rpc_method_handler,
    "su": grpc.stream_unary_rpc_method_handler,
    "ss": grpc.stream_stream_rpc_method_handler,
}


class Peer:
    """A server with the handlers given by method name, and a channel to it."""

    def __init__(self, handlers, workers=8, channel_options=None, registered=None, pool=None, **server_arguments):
        self.pool = pool or futures.ThreadPoolExecutor(max_workers=workers)
        self.server = grpc.server(self.pool, **server_arguments)
        for name, (kind, behavior) in handlers.items():
            self.add(name, _KINDS[kind](behavior))
        self.server.add_registered_method_handlers("test", registered or {})
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()
        self.channel = grpc.insecure_channel(self.address, options=channel_options)

    def add(self, name, handler):
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {name: handler}),))

    def close(self):
        self.channel.close()
        self.server.stop(None)
        self.pool.shutdown(wait=False)

    def uu(self, name, *coders):
        return self.channel.unary_unary("/test/" + name, *coders)

    def us(self, name, *coders):
        return self.channel.unary_stream("/test/" + name, *coders)

    def su(self, name, *coders):
        return self.channel.stream_unary("/test/" + name, *coders)

    def ss(self, name, *coders):
        return self.channel.stream_stream("/test/" + name, *coders)


class Gate:
    """Lets a handler wait for its test, and the test for its handler."""

    def __init__(self):
        self.entered = threading.Event()
        self.open = threading.Event()

    def wait_open(self):
        self.entered.set()
        assert self.open.wait(LONG)

    def wait_entered(self):
        assert self.entered.wait(LONG)


class Arrivals(grpc.ServerInterceptor):
    """Lets a test wait until the server has seen a number of calls, whether or not they are run."""

    def __init__(self):
        self._seen = threading.Semaphore(0)

    def intercept_service(self, continuation, handler_call_details):
        self._seen.release()
        return continuation(handler_call_details)

    def wait_for(self, number):
        for _ in range(number):
            assert self._seen.acquire(timeout=LONG)
