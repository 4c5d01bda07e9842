"""The Greeter client.

python greeter_client.py [ADDRESS]      (default: localhost:50051)
"""

import logging
import sys

import greeter_pb2
import greeter_pb2_grpc
import grpc


def run(address):
    with grpc.insecure_channel(address) as channel:
        stub = greeter_pb2_grpc.GreeterStub(channel)
        response = stub.SayHello(greeter_pb2.HelloRequest(name="you"))
        print("Greeter client received: " + response.message)
        response = stub.SayHelloAgain(greeter_pb2.HelloRequest(name="you"))
        print("Greeter client received: " + response.message)


if __name__ == "__main__":
    logging.basicConfig()
    run(sys.argv[1] if len(sys.argv) > 1 else "localhost:50051")
