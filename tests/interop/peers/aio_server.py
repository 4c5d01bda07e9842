"""The interop service on grpcio's asyncio API: run with grpcio it is a peer, run with our wheel it is ours."""

import asyncio
import sys

import grpc
import grpc.aio
import interop_pb2
import interop_pb2_grpc
import peer_tls


class Watched:
    """Which tagged calls have blocked, and which of those have ended."""

    def __init__(self):
        self._changed = asyncio.Condition()
        self._seen = set()

    async def mark(self, tag, state):
        async with self._changed:
            self._seen.add((tag, state))
            self._changed.notify_all()

    async def wait(self, tag, state):
        async with self._changed:
            await self._changed.wait_for(lambda: (tag, state) in self._seen)


class Interop(interop_pb2_grpc.InteropServicer):
    def __init__(self):
        self._watched = Watched()

    async def _begin(self, context):
        received = context.invocation_metadata()
        initial = tuple((key, value) for key, value in received if key == "x-echo-initial")
        trailing = tuple((key, value) for key, value in received if key == "x-echo-trailing-bin")
        if initial:
            await context.send_initial_metadata(initial)
        if trailing:
            context.set_trailing_metadata(trailing)

    def _reply(self, request, context):
        reply = interop_pb2.Reply(payload=request.payload)
        if request.report_deadline:
            reply.time_left_ms = int(context.time_remaining() * 1000)
        return reply

    async def _obey(self, request, context):
        """What a request asks for after its replies; True when the call is over with it."""
        if request.fail:
            raise ValueError("the handler was asked to fail")
        if request.block:
            await self._watched.mark(request.tag, interop_pb2.WatchRequest.BLOCKED)
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await self._watched.mark(request.tag, interop_pb2.WatchRequest.ENDED)
        if request.HasField("status"):
            context.set_code(next(code for code in grpc.StatusCode if code.value[0] == request.status.code))
            context.set_details(request.status.details)
            return True
        return False

    async def Echo(self, request, context):
        await self._begin(context)
        await self._obey(request, context)
        return self._reply(request, context)

    async def ServerStream(self, request, context):
        await self._begin(context)
        for _ in range(request.replies):
            yield self._reply(request, context)
        await self._obey(request, context)

    async def ClientStream(self, request_iterator, context):
        await self._begin(context)
        joined = interop_pb2.Reply()
        async for request in request_iterator:
            if await self._obey(request, context):
                break
            reply = self._reply(request, context)
            joined.payload += reply.payload
            joined.time_left_ms = reply.time_left_ms
        return joined

    async def Bidi(self, request_iterator, context):
        await self._begin(context)
        while (request := await context.read()) is not grpc.aio.EOF:
            for _ in range(request.replies):
                await context.write(self._reply(request, context))
            if await self._obey(request, context):
                return

    async def Watch(self, request, context):
        await self._watched.wait(request.tag, request.state)
        return interop_pb2.WatchReply()


async def serve(address):
    server = grpc.aio.server()
    interop_pb2_grpc.add_InteropServicer_to_server(Interop(), server)
    if peer_tls.folder() is None:
        port = server.add_insecure_port(address)
    else:
        port = server.add_secure_port(address, peer_tls.server_credentials(grpc))
    await server.start()
    print(f"LISTENING {port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
