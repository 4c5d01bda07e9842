"""An echo server on grpcio's blocking API, for bench/run.py: whichever `grpc` is installed serves.

Messages are bytes without a serializer, so that the library is measured and not protobuf.
"""

import sys
from concurrent import futures

import grpc


def echo(request, context):
    return request


def main(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    handlers = {"Echo": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", handlers),))
    port = server.add_insecure_port(address)
    server.start()
    print(f"LISTENING {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(sys.argv[1])
