"""Performs interop cases on grpclib, a gRPC in pure Python over asyncio."""

import asyncio
import sys

import case_io
import grpclib
import grpclib.client
import grpclib.exceptions
import interop_pb2
import peer_tls

SERVICE = "/farcall.interop.Interop/"
METHODS = {
    "unary": (grpclib.client.UnaryUnaryMethod, "Echo"),
    "server_stream": (grpclib.client.UnaryStreamMethod, "ServerStream"),
    "client_stream": (grpclib.client.StreamUnaryMethod, "ClientStream"),
    "bidi": (grpclib.client.StreamStreamMethod, "Bidi"),
    "missing": (grpclib.client.UnaryUnaryMethod, "Missing"),
}


async def watch(channel, tag, state):
    method = grpclib.client.UnaryUnaryMethod(
        channel, SERVICE + "Watch", interop_pb2.WatchRequest, interop_pb2.WatchReply
    )
    await method(interop_pb2.WatchRequest(tag=tag, state=state), timeout=case_io.PAUSE_LIMIT)


async def converse(stream, case, requests, outcome, replied):
    """Sends the requests and reads the replies (at the first, `replied`), side by side unless the case wants turns."""

    await stream.send_request()

    async def send():
        for request in requests:
            await stream.send_message(request)
            if case.get("ping_pong"):
                case_io.describe_reply(await stream.recv_message(), outcome)
        if not case.get("hold"):
            await stream.end()

    async def receive():
        async for reply in stream:
            case_io.describe_reply(reply, outcome)
            replied.set()

    if case.get("ping_pong"):
        await send()
        await receive()
    else:
        sending = asyncio.ensure_future(send())
        try:
            await receive()
            await stream.recv_trailing_metadata()
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def perform(channel, case):
    requests = case_io.requests_of(case)
    outcome = {"replies": []}
    make, name = METHODS[case["kind"]]
    method = make(channel, SERVICE + name, interop_pb2.Request, interop_pb2.Reply)
    stream = method.open(timeout=case.get("timeout", case_io.PAUSE_LIMIT), metadata=case_io.metadata_of(case))
    code, details = "OK", ""
    try:
        async with stream:
            replied = asyncio.Event()
            talking = asyncio.ensure_future(converse(stream, case, requests, outcome, replied))
            if case.get("cancel"):
                # The answer to `watch` may overtake the reply, for it comes on another stream.
                if case["kind"] in ("server_stream", "bidi"):
                    await replied.wait()
                await watch(channel, requests[-1].tag, interop_pb2.WatchRequest.BLOCKED)
                await stream.cancel()
                talking.cancel()
                await asyncio.gather(talking, return_exceptions=True)
                code = "CANCELLED"
            else:
                try:
                    await talking
                except asyncio.CancelledError:
                    talking.cancel()
                    raise
    except grpclib.GRPCError as error:
        code, details = error.status.name, error.message or ""
    except asyncio.TimeoutError:
        code = "DEADLINE_EXCEEDED"
    except grpclib.exceptions.StreamTerminatedError as error:
        code, details = "RESET", str(error)
    if code != "OK" and case["kind"] in ("unary", "client_stream"):
        outcome["replies"] = []  # The one reply of such a method counts only with OK.
    outcome["code"], outcome["details"] = code, details
    outcome["initial"] = case_io.describe_metadata((stream.initial_metadata or {}).items())
    outcome["trailing"] = case_io.describe_metadata((stream.trailing_metadata or {}).items())
    if case.get("watch_end"):
        await watch(channel, requests[-1].tag, interop_pb2.WatchRequest.ENDED)
        outcome["server_saw_end"] = True
    return outcome


async def main(address):
    host, _, port = address.rpartition(":")
    tls = None if peer_tls.folder() is None else peer_tls.context(server=False)
    async with grpclib.client.Channel(host, int(port), ssl=tls) as channel:
        for case in case_io.read_cases():
            if "at_once" in case:
                outcomes = await asyncio.gather(*(perform(channel, case) for _ in range(case["at_once"])))
                alike = all(outcome == outcomes[0] for outcome in outcomes)
                case_io.write_outcome(case, {"all_alike": alike, **outcomes[0]})
            else:
                case_io.write_outcome(case, await perform(channel, case))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
