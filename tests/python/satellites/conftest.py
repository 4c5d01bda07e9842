"""Tests of the packages grpcio has besides grpc. They also pass with grpcio's own, over ours or over grpcio's grpc."""

import asyncio
from concurrent import futures

import grpc
import pytest

LONG = 20


@pytest.fixture
def serve():
    """Starts a server: serve(lambda server: add_...(servicer, server)) answers a channel to it."""
    started = []

    def start(*add):
        server = grpc.server(futures.ThreadPoolExecutor(8))
        for one in add:
            one(server)
        port = server.add_insecure_port("localhost:0")
        server.start()
        channel = grpc.insecure_channel(f"localhost:{port}")
        started.append((server, channel))
        return channel

    yield start
    for server, channel in started:
        channel.close()
        server.stop(None)


@pytest.fixture
def on_a_loop():
    """Runs a test on asyncio: on_a_loop(test, add) awaits test(channel) with a server of grpc.aio at the other end."""

    def run(test, *add):
        async def main():
            server = grpc.aio.server()
            for one in add:
                one(server)
            port = server.add_insecure_port("localhost:0")
            await server.start()
            try:
                async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
                    await asyncio.wait_for(test(channel), LONG)
            finally:
                await server.stop(None)

        asyncio.run(main())

    return run
