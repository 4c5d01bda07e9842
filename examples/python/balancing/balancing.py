"""Balancing and retries, in one program: three servers, and a client that uses them in turn.

python balancing.py
"""

import collections
import json
from concurrent import futures

import greeter_pb2
import greeter_pb2_grpc
import grpc

# How calls are to be made, as the service's owner has it: in turn to all servers, and failed ones again.
SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [
        {
            "name": [{"service": "helloworld.Greeter", "method": "SayHelloAgain"}],
            "timeout": "10s",
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.01s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}


class Named(greeter_pb2_grpc.GreeterServicer):
    """A server that says who it is."""

    def __init__(self, name):
        self.name = name

    def SayHello(self, request, context):
        return greeter_pb2.HelloReply(message=self.name)

    def SayHelloAgain(self, request, context):
        """Fails the first attempt of each call."""
        before = dict(context.invocation_metadata()).get("grpc-previous-rpc-attempts")
        if before is None:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return greeter_pb2.HelloReply(message=f"after {before} failed attempt")


def start(name):
    server = grpc.server(futures.ThreadPoolExecutor(4))
    greeter_pb2_grpc.add_GreeterServicer_to_server(Named(name), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


def settle(stub, count):
    """Calls until so many servers in a row were the only ones to answer, each as often as the others; who they were."""
    while True:
        answers = collections.Counter()
        for _ in range(count * 10):
            try:
                answers[stub.SayHello(greeter_pb2.HelloRequest()).message] += 1
            except grpc.RpcError as error:
                # It was on its way to a server that has stopped.
                assert error.code() is grpc.StatusCode.UNAVAILABLE, error
        if len(answers) == count and set(answers.values()) == {10}:
            return ", ".join(sorted(answers))


def run():
    servers, addresses = zip(*(start(name) for name in "abc"), strict=True)
    options = [("grpc.service_config", json.dumps(SERVICE_CONFIG))]
    with grpc.insecure_channel("ipv4:" + ",".join(addresses), options) as channel:
        stub = greeter_pb2_grpc.GreeterStub(channel)
        print("in turn to " + settle(stub, 3))

        servers[2].stop(grace=None).wait()
        print("in turn to " + settle(stub, 2))

        print("answered " + stub.SayHelloAgain(greeter_pb2.HelloRequest()).message)
    for server in servers:
        server.stop(grace=None).wait()


if __name__ == "__main__":
    run()
