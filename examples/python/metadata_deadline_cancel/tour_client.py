"""Metadata both ways, an error status, a deadline and a cancellation, each in a few lines.

python tour_client.py [ADDRESS]      (default: localhost:50053)
"""

import logging
import sys

import greeter_pb2
import greeter_pb2_grpc
import grpc


def metadata(stub):
    response, call = stub.SayHello.with_call(
        greeter_pb2.HelloRequest(name="you"),
        metadata=(("from", "tour_client"), ("token-bin", b"\x00\x01\x02\xff")),
    )
    print(response.message)
    for key, value in call.initial_metadata():
        print(f"before the answer: {key} = {value}")
    for key, value in call.trailing_metadata():
        print(f"after the answer: {key} = {value!r}")


def error_status(stub):
    try:
        stub.SayHello(greeter_pb2.HelloRequest(name="nobody"))
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}")
        print(f"reason: {dict(error.trailing_metadata())['reason']}")


def deadline(stub):
    try:
        stub.SayHello(greeter_pb2.HelloRequest(name="slow"), timeout=0.2)
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}")


def cancellation(stub):
    future = stub.SayHello.future(greeter_pb2.HelloRequest(name="slow"), timeout=30)
    print(f"cancelled: {future.cancel()}")
    try:
        future.result()
    except grpc.FutureCancelledError:
        print(f"{future.code().name}: {future.details()}")


def run(address):
    with grpc.insecure_channel(address) as channel:
        stub = greeter_pb2_grpc.GreeterStub(channel)
        for title, tour in (
            ("metadata", metadata),
            ("error status", error_status),
            ("deadline", deadline),
            ("cancellation", cancellation),
        ):
            print(f"-------------- {title} --------------")
            tour(stub)


if __name__ == "__main__":
    logging.basicConfig()
    run(sys.argv[1] if len(sys.argv) > 1 else "localhost:50053")
