"""The benchmark's server on grpcio's asyncio API, for bench/run.py: whichever `grpc` is installed serves.

python aio_server.py LOOP ADDRESS, where LOOP is "asyncio" or "uvloop".

Messages are bytes without a serializer, so that the library is measured and not protobuf.
"""

import asyncio
import sys

import grpc
import grpc.aio

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


async def echo(request, context):
    return request


async def feed(request, context):
    while True:
        yield request


async def drain(requests, context):
    count = 0
    async for _ in requests:
        count += 1
    return b"%d" % count


async def ping_pong(requests, context):
    async for request in requests:
        yield request


async def main(address):
    server = grpc.aio.server(options=UNLIMITED)
    handlers = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo),
        "Feed": grpc.unary_stream_rpc_method_handler(feed),
        "Drain": grpc.stream_unary_rpc_method_handler(drain),
        "PingPong": grpc.stream_stream_rpc_method_handler(ping_pong),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", handlers),))
    port = server.add_insecure_port(address)
    await server.start()
    print(f"LISTENING {port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    if sys.argv[1] == "uvloop":
        import uvloop

        uvloop.install()
    asyncio.run(main(sys.argv[2]))
