"""The benchmark's server on grpcio's blocking API: whichever `grpc` is installed serves.

python echo_server.py ADDRESS [GENERATED], where GENERATED is a directory with the stubs of bench.proto; without one
messages are bytes.
"""

import itertools
import sys
from concurrent import futures

import grpc
import messages

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Servicer:
    def __init__(self, kind):
        self._kind = kind

    def Echo(self, request, context):
        return request

    def Feed(self, request, context):
        return itertools.repeat(request)

    def Drain(self, requests, context):
        return self._kind.of_number(sum(1 for _ in requests))

    def PingPong(self, requests, context):
        yield from requests


def main(address, generated=None):
    kind = messages.kind(generated)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), options=UNLIMITED)
    kind.serve(Servicer(kind), server)
    port = server.add_insecure_port(address)
    server.start()
    print(f"LISTENING {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
