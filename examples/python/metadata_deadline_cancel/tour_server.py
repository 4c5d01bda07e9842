"""A Greeter that shows metadata, errors, deadlines and cancellation.

What it does depends on the name it is asked to greet:
    anything else   a greeting, with metadata before and after it
    "nobody"        an error status with details and trailing metadata
    "slow"          waits for ever: until the deadline passes or the client cancels

    python tour_server.py [ADDRESS]      (default: localhost:50053; port 0 picks a free one)
"""

import logging
import sys
import threading
from concurrent import futures

import greeter_pb2
import greeter_pb2_grpc
import grpc


class Tour(greeter_pb2_grpc.GreeterServicer):
    def SayHello(self, request, context):
        received = dict(context.invocation_metadata())
        if request.name == "nobody":
            context.set_trailing_metadata((("reason", "no name"),))
            context.abort(grpc.StatusCode.NOT_FOUND, "there is nobody of that name")
        if request.name == "slow":
            ended = threading.Event()
            if context.add_callback(ended.set):
                print(f"waiting, with {context.time_remaining():.0f} s or less to go", flush=True)
                ended.wait()
            print("the slow call ended", flush=True)
            return greeter_pb2.HelloReply()
        context.send_initial_metadata((("seen-by", "tour_server"),))
        context.set_trailing_metadata(
            (
                ("answered-to", received.get("from", "a stranger")),
                ("digest-bin", bytes(reversed(received.get("token-bin", b"")))),
            )
        )
        return greeter_pb2.HelloReply(message=f"Hello, {request.name}!")


def serve(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    greeter_pb2_grpc.add_GreeterServicer_to_server(Tour(), server)
    port = server.add_insecure_port(address)
    server.start()
    print(f"LISTENING {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    logging.basicConfig()
    try:
        serve(sys.argv[1] if len(sys.argv) > 1 else "localhost:50053")
    except KeyboardInterrupt:
        pass
