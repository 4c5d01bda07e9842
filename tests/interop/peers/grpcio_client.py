"""Performs interop cases on grpcio's blocking API: run with grpcio it is a peer, run with our wheel it is ours."""

import contextlib
import queue
import sys
import threading

import case_io
import grpc
import interop_pb2
import interop_pb2_grpc
import peer_tls

METHODS = {
    "unary": "Echo",
    "server_stream": "ServerStream",
    "client_stream": "ClientStream",
    "bidi": "Bidi",
    "missing": "Missing",
}


class RequestFeed:
    """Requests as an iterator: all at once, or the next only when a reply came; held open if asked."""

    def __init__(self, requests, case):
        self._waiting = iter(requests)
        self._hold = case.get("hold", False)
        self._go = queue.Queue() if case.get("ping_pong") else None
        self._over = threading.Event()
        self.reply_came()

    def reply_came(self):
        if self._go is not None:
            self._go.put(None)

    def end(self):
        self._over.set()

    def __iter__(self):
        return self

    def __next__(self):
        if self._go is not None:
            self._go.get(timeout=case_io.PAUSE_LIMIT)
        for request in self._waiting:
            return request
        if self._hold:
            self._over.wait(case_io.PAUSE_LIMIT)
        raise StopIteration


def start(stub, case, feed, requests):
    kind = case["kind"]
    method = getattr(stub, METHODS[kind])
    arguments = {"metadata": case_io.metadata_of(case), "timeout": case.get("timeout", case_io.PAUSE_LIMIT)}
    if kind in ("unary", "missing"):
        return method.future(requests[0], **arguments)
    if kind == "server_stream":
        return method(requests[0], **arguments)
    if kind == "client_stream":
        return method.future(feed, **arguments)
    return method(feed, **arguments)


def watch(stub, tag, state):
    stub.Watch(interop_pb2.WatchRequest(tag=tag, state=state), timeout=case_io.PAUSE_LIMIT)


def perform(stub, case):
    requests = case_io.requests_of(case)
    feed = RequestFeed(requests, case)
    outcome = {"replies": []}
    call = start(stub, case, feed, requests)
    if case.get("cancel"):
        if case["kind"] in ("server_stream", "bidi"):
            case_io.describe_reply(next(call), outcome)
        watch(stub, requests[-1].tag, interop_pb2.WatchRequest.BLOCKED)
        call.cancel()
    try:
        if case["kind"] in ("server_stream", "bidi"):
            for reply in call:
                case_io.describe_reply(reply, outcome)
                feed.reply_came()
        else:
            case_io.describe_reply(call.result(), outcome)
    except (grpc.RpcError, grpc.FutureCancelledError):
        pass
    feed.end()
    outcome["code"] = call.code().name
    outcome["details"] = call.details()
    outcome["initial"] = case_io.describe_metadata(call.initial_metadata())
    outcome["trailing"] = case_io.describe_metadata(call.trailing_metadata())
    if case.get("watch_end"):
        watch(stub, requests[-1].tag, interop_pb2.WatchRequest.ENDED)
        outcome["server_saw_end"] = True
    return outcome


def perform_many(stub, case):
    outcomes = [None] * case["at_once"]

    def one(index):
        outcomes[index] = perform(stub, case)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(len(outcomes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"all_alike": all(outcome == outcomes[0] for outcome in outcomes), **outcomes[0]}


def open_channel(address):
    if peer_tls.folder() is None:
        return grpc.insecure_channel(address)
    return grpc.secure_channel(address, peer_tls.channel_credentials(grpc))


def main(address):
    with open_channel(address) as channel:
        for case in case_io.read_cases():
            with open_channel(case["target"]) if "target" in case else contextlib.nullcontext(channel) as used:
                stub = interop_pb2_grpc.InteropStub(used)
                outcome = perform_many(stub, case) if "at_once" in case else perform(stub, case)
            case_io.write_outcome(case, outcome)


if __name__ == "__main__":
    main(sys.argv[1])
