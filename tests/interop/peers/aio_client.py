"""Performs interop cases on grpcio's asyncio API: run with grpcio it is a peer, run with our wheel it is ours."""

import asyncio
import contextlib
import sys

import case_io
import grpc
import grpc.aio
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
STREAMED = ("server_stream", "bidi")


class RequestFeed:
    """Requests as an iterator: all at once, or the next only when a reply came; held open if asked."""

    def __init__(self, requests, case):
        self._waiting = iter(requests)
        self._hold = case.get("hold", False)
        self._go = asyncio.Queue() if case.get("ping_pong") else None
        self._over = asyncio.Event()
        self.reply_came()

    def reply_came(self):
        if self._go is not None:
            self._go.put_nowait(None)

    def end(self):
        self._over.set()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self._go is not None:
            await asyncio.wait_for(self._go.get(), case_io.PAUSE_LIMIT)
        for request in self._waiting:
            return request
        if self._hold:
            await asyncio.wait_for(self._over.wait(), case_io.PAUSE_LIMIT)
        raise StopAsyncIteration


def start(stub, case, feed, requests):
    kind = case["kind"]
    method = getattr(stub, METHODS[kind])
    arguments = {"metadata": case_io.metadata_of(case), "timeout": case.get("timeout", case_io.PAUSE_LIMIT)}
    return method(feed if kind in ("client_stream", "bidi") else requests[0], **arguments)


async def watch(stub, tag, state):
    await stub.Watch(interop_pb2.WatchRequest(tag=tag, state=state), timeout=case_io.PAUSE_LIMIT)


async def receive(call, case, feed, outcome):
    try:
        if case["kind"] in STREAMED:
            async for reply in call:
                case_io.describe_reply(reply, outcome)
                feed.reply_came()
        else:
            case_io.describe_reply(await call, outcome)
    except (grpc.RpcError, asyncio.CancelledError):
        pass


async def perform(stub, case):
    requests = case_io.requests_of(case)
    feed = RequestFeed(requests, case)
    outcome = {"replies": []}
    call = start(stub, case, feed, requests)
    if case.get("cancel"):
        if case["kind"] in STREAMED:
            case_io.describe_reply(await call.__aiter__().__anext__(), outcome)
        await watch(stub, requests[-1].tag, interop_pb2.WatchRequest.BLOCKED)
        call.cancel()
    await receive(call, case, feed, outcome)
    feed.end()
    outcome["code"] = (await call.code()).name
    outcome["details"] = await call.details()
    outcome["initial"] = case_io.describe_metadata(await call.initial_metadata())
    outcome["trailing"] = case_io.describe_metadata(await call.trailing_metadata())
    if case.get("watch_end"):
        await watch(stub, requests[-1].tag, interop_pb2.WatchRequest.ENDED)
        outcome["server_saw_end"] = True
    return outcome


async def perform_many(stub, case):
    outcomes = await asyncio.gather(*[perform(stub, case) for _ in range(case["at_once"])])
    return {"all_alike": all(outcome == outcomes[0] for outcome in outcomes), **outcomes[0]}


def open_channel(address):
    if peer_tls.folder() is None:
        return grpc.aio.insecure_channel(address)
    return grpc.aio.secure_channel(address, peer_tls.channel_credentials(grpc))


async def main(address):
    async with open_channel(address) as channel:
        for case in case_io.read_cases():
            async with open_channel(case["target"]) if "target" in case else contextlib.nullcontext(channel) as used:
                stub = interop_pb2_grpc.InteropStub(used)
                outcome = await (perform_many if "at_once" in case else perform)(stub, case)
            case_io.write_outcome(case, outcome)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
