"""The interop service on grpcio's blocking API: run with grpcio it is a peer, run with our wheel it is ours."""

import sys
import threading
from concurrent import futures

import grpc
import interop_pb2
import interop_pb2_grpc
import peer_tls


class Watched:
    """Which tagged calls have blocked, and which of those have ended."""

    def __init__(self):
        self._changed = threading.Condition()
        self._seen = set()

    def mark(self, tag, state):
        with self._changed:
            self._seen.add((tag, state))
            self._changed.notify_all()

    def wait(self, tag, state, timeout):
        with self._changed:
            return self._changed.wait_for(lambda: (tag, state) in self._seen, timeout)


class Interop(interop_pb2_grpc.InteropServicer):
    def __init__(self):
        self._watched = Watched()

    def _begin(self, context):
        received = context.invocation_metadata()
        initial = [(key, value) for key, value in received if key == "x-echo-initial"]
        trailing = [(key, value) for key, value in received if key == "x-echo-trailing-bin"]
        if initial:
            context.send_initial_metadata(initial)
        if trailing:
            context.set_trailing_metadata(trailing)

    def _reply(self, request, context):
        reply = interop_pb2.Reply(payload=request.payload)
        if request.report_deadline:
            reply.time_left_ms = int(context.time_remaining() * 1000)
        return reply

    def _obey(self, request, context):
        """What a request asks for after its replies; True when the call is over with it."""
        if request.fail:
            raise ValueError("the handler was asked to fail")
        if request.block:
            ended = threading.Event()
            if not context.add_callback(ended.set):
                ended.set()
            self._watched.mark(request.tag, interop_pb2.WatchRequest.BLOCKED)
            ended.wait()
            self._watched.mark(request.tag, interop_pb2.WatchRequest.ENDED)
            return True
        if request.HasField("status"):
            context.set_code(next(code for code in grpc.StatusCode if code.value[0] == request.status.code))
            context.set_details(request.status.details)
            return True
        return False

    def Echo(self, request, context):
        self._begin(context)
        self._obey(request, context)
        return self._reply(request, context)

    def ServerStream(self, request, context):
        self._begin(context)
        for _ in range(request.replies):
            yield self._reply(request, context)
        self._obey(request, context)

    def ClientStream(self, request_iterator, context):
        self._begin(context)
        joined = interop_pb2.Reply()
        for request in request_iterator:
            if self._obey(request, context):
                break
            reply = self._reply(request, context)
            joined.payload += reply.payload
            joined.time_left_ms = reply.time_left_ms
        return joined

    def Bidi(self, request_iterator, context):
        self._begin(context)
        for request in request_iterator:
            for _ in range(request.replies):
                yield self._reply(request, context)
            if self._obey(request, context):
                return

    def Watch(self, request, context):
        self._watched.wait(request.tag, request.state, context.time_remaining())
        return interop_pb2.WatchReply()


def serve(address):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    interop_pb2_grpc.add_InteropServicer_to_server(Interop(), server)
    if peer_tls.folder() is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, peer_tls.server_credentials(grpc))
    server.start()
    print(f"LISTENING {port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    serve(sys.argv[1])
