"""The benchmark's server on grpcio's asyncio API, for bench/run.py: whichever `grpc` is installed serves.

python aio_server.py LOOP ADDRESS [GENERATED], where LOOP is "asyncio" or "uvloop", and GENERATED a directory with the
stubs of bench.proto; without one messages are bytes.
"""

import asyncio
import sys

import grpc
import grpc.aio
import messages

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class Servicer:
    def __init__(self, kind):
        self._kind = kind

    async def Echo(self, request, context):
        return request

    async def Feed(self, request, context):
        while True:
            yield request

    async def Drain(self, requests, context):
        count = 0
        async for _ in requests:
            count += 1
        return self._kind.of_number(count)

    async def PingPong(self, requests, context):
        async for request in requests:
            yield request


async def main(address, generated=None):
    kind = messages.kind(generated)
    server = grpc.aio.server(options=UNLIMITED)
    kind.serve(Servicer(kind), server)
    port = server.add_insecure_port(address)
    await server.start()
    print(f"LISTENING {port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(main(*sys.argv[2:]))
