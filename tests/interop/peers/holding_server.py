"""Takes and gives large messages on the blocking API, two uploads at a time: run with grpcio it is a peer, run with our
wheel it is ours.

python holding_server.py ADDRESS
"""

import sys
import threading
from concurrent import futures

import grpc

TURNS = threading.Semaphore(2)


def count(requests, context):
    with TURNS:
        return b"%d" % sum(len(request) for request in requests)


def length(request, context):
    return b"%d" % len(request)


def give(request, context):
    return bytes(int(request))


def many(request, context):
    for size in map(int, request.split()):
        yield bytes(size)


def serve(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=100))
    handlers = {
        "count": grpc.stream_unary_rpc_method_handler(count),
        "length": grpc.unary_unary_rpc_method_handler(length),
        "give": grpc.unary_unary_rpc_method_handler(give),
        "many": grpc.unary_stream_rpc_method_handler(many),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    print(f"LISTENING {server.add_insecure_port(address)}", flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(sys.argv[1])
