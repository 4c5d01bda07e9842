"""The interop service on grpclib, a gRPC in pure Python over asyncio."""

import asyncio
import sys

import grpclib
import grpclib.const
import grpclib.server
import interop_pb2
import peer_tls

SERVICE = "/farcall.interop.Interop/"
Cardinality = grpclib.const.Cardinality


class Watched:
    """Which tagged calls have blocked, and which of those have ended."""

    def __init__(self):
        self._events = {}

    def event(self, tag, state):
        return self._events.setdefault((tag, state), asyncio.Event())


class Interop:
    def __init__(self):
        self._watched = Watched()

    async def _begin(self, stream):
        initial = stream.metadata.getall("x-echo-initial", [])
        if initial:
            await stream.send_initial_metadata(metadata=[("x-echo-initial", value) for value in initial])

    async def _end(self, stream, status=None):
        trailing = [("x-echo-trailing-bin", value) for value in stream.metadata.getall("x-echo-trailing-bin", [])]
        if status is not None:
            code, details = grpclib.const.Status(status.code), status.details
            await stream.send_trailing_metadata(status=code, status_message=details, metadata=trailing)
        else:
            await stream.send_trailing_metadata(metadata=trailing)

    def _reply(self, request, stream):
        reply = interop_pb2.Reply(payload=request.payload)
        if request.report_deadline:
            reply.time_left_ms = int(stream.deadline.time_remaining() * 1000)
        return reply

    async def _obey(self, request, stream):
        """What a request asks for after its replies; True when the call is over with it."""
        if request.fail:
            raise ValueError("the handler was asked to fail")
        if request.block:
            self._watched.event(request.tag, interop_pb2.WatchRequest.BLOCKED).set()
            try:
                await asyncio.Event().wait()
            finally:
                self._watched.event(request.tag, interop_pb2.WatchRequest.ENDED).set()
        if request.HasField("status"):
            await self._end(stream, request.status)
            return True
        return False

    async def echo(self, stream):
        await self._begin(stream)
        request = await stream.recv_message()
        if await self._obey(request, stream):
            return
        await stream.send_message(self._reply(request, stream))
        await self._end(stream)

    async def server_stream(self, stream):
        await self._begin(stream)
        request = await stream.recv_message()
        for _ in range(request.replies):
            await stream.send_message(self._reply(request, stream))
        if not await self._obey(request, stream):
            await self._end(stream)

    async def client_stream(self, stream):
        await self._begin(stream)
        joined = interop_pb2.Reply()
        async for request in stream:
            if await self._obey(request, stream):
                return
            reply = self._reply(request, stream)
            joined.payload += reply.payload
            joined.time_left_ms = reply.time_left_ms
        await stream.send_message(joined)
        await self._end(stream)

    async def bidi(self, stream):
        await self._begin(stream)
        async for request in stream:
            for _ in range(request.replies):
                await stream.send_message(self._reply(request, stream))
            if await self._obey(request, stream):
                return
        await self._end(stream)

    async def watch(self, stream):
        request = await stream.recv_message()
        await self._watched.event(request.tag, request.state).wait()
        await stream.send_message(interop_pb2.WatchReply())

    def __mapping__(self):
        request, reply = interop_pb2.Request, interop_pb2.Reply

        def handler(method, cardinality, request=request, reply=reply):
            return grpclib.const.Handler(method, cardinality, request, reply)

        return {
            SERVICE + "Echo": handler(self.echo, Cardinality.UNARY_UNARY),
            SERVICE + "ServerStream": handler(self.server_stream, Cardinality.UNARY_STREAM),
            SERVICE + "ClientStream": handler(self.client_stream, Cardinality.STREAM_UNARY),
            SERVICE + "Bidi": handler(self.bidi, Cardinality.STREAM_STREAM),
            SERVICE + "Watch": handler(
                self.watch, Cardinality.UNARY_UNARY, interop_pb2.WatchRequest, interop_pb2.WatchReply
            ),
        }


async def serve(address):
    host, _, port = address.rpartition(":")
    server = grpclib.server.Server([Interop()])
    await server.start(host, int(port), ssl=None if peer_tls.folder() is None else peer_tls.context(server=True))
    sockets = server._server.sockets
    print(f"LISTENING {sockets[0].getsockname()[1]}", flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
