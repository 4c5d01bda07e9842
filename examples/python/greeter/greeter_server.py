"""The Greeter server.

python greeter_server.py [ADDRESS]      (default: localhost:50051; port 0 picks a free one)
"""

import logging
import sys
from concurrent import futures

import greeter_pb2
import greeter_pb2_grpc
import grpc


class Greeter(greeter_pb2_grpc.GreeterServicer):
    def SayHello(self, request, context):
        return greeter_pb2.HelloReply(message=f"Hello, {request.name}!")

    def SayHelloAgain(self, request, context):
        return greeter_pb2.HelloReply(message=f"Hello again, {request.name}!")


def serve(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=10))
    greeter_pb2_grpc.add_GreeterServicer_to_server(Greeter(), server)
    port = server.add_insecure_port(address)
    server.start()
    print(f"LISTENING {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    logging.basicConfig()
    try:
        serve(sys.argv[1] if len(sys.argv) > 1 else "localhost:50051")
    except KeyboardInterrupt:
        pass
