"""Echoes on the blocking API, compressing as it is told: run with grpcio it is a peer, run with our wheel it is ours.

python compressing_server.py ADDRESS ALGORITHM
"""

import sys
from concurrent import futures

import grpc


def one(request, context):
    return request


def each(requests, context):
    yield from requests


def serve(address, algorithm):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), compression=grpc.Compression(algorithm))
    handlers = {"one": grpc.unary_unary_rpc_method_handler(one), "each": grpc.stream_stream_rpc_method_handler(each)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    print(f"LISTENING {server.add_insecure_port(address)}", flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))
