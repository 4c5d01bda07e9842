"""The benchmark's server on grpcio's blocking API: whichever `grpc` is installed serves.

Messages are bytes without a serializer, so that the library is measured and not protobuf.
"""

import itertools
import sys
from concurrent import futures

import grpc

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def echo(request, context):
    return request


def feed(request, context):
    return itertools.repeat(request)


def drain(requests, context):
    return b"%d" % sum(1 for _ in requests)


def ping_pong(requests, context):
    yield from requests


def main(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=UNLIMITED)
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Feed": grpc.unary_stream_rpc_method_handler(feed),
        "Drain": grpc.stream_unary_rpc_method_handler(drain),
        "PingPong": grpc.stream_stream_rpc_method_handler(ping_pong),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", handlers),))
    port = server.add_insecure_port(address)
    server.start()
    print(f"LISTENING {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
