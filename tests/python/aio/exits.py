"""Ends the interpreter while a daemon thread is in the middle of Python code that the library called.
For test_aio_loops.py.

python exits.py server|client asyncio|uvloop
"""

import sys
import threading
import time
import types

import grpc
import grpc.aio
from forks import new_loop


class SlowToGo:
    """Lets other threads try to go on while the interpreter ends."""

    def __del__(self, sleep=time.sleep):
        sleep(0.2)


def on_a_loop(kind, coroutine):
    loop = new_loop(kind)
    threading.Thread(target=loop.run_until_complete, args=(coroutine,), daemon=True).start()


def spin(begun):
    begun.set()
    while True:
        pass


async def serve(address, ready, spins):
    async def echo(requests, context):
        async for request in requests:
            yield request
            if request == b"second":
                spins()

    server = grpc.aio.server()
    server.add_registered_method_handlers("test", {"echo": grpc.stream_stream_rpc_method_handler(echo)})
    address.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    await server.start()
    ready.set()
    await server.wait_for_termination()


async def call(address, spins):
    async with grpc.aio.insecure_channel(address) as channel:
        stream = channel.stream_stream("/test/echo")()
        for message in (b"first", b"second"):
            await stream.write(message)
            await stream.read()
        spins()
        await stream.read()


def main(side, kind):
    ready, begun, address = threading.Event(), threading.Event(), []

    def spins(whose):
        return lambda *_: spin(begun) if whose == side else None

    on_a_loop(kind, serve(address, ready, spins("server")))
    assert ready.wait(20)
    on_a_loop(kind, call(address[0], spins("client")))
    assert begun.wait(20)
    # A module of its own: functions that still run keep this one's names alive.
    sys.modules["slow_to_go"] = types.ModuleType("slow_to_go")
    sys.modules["slow_to_go"].it = SlowToGo()
    print("end")


if __name__ == "__main__":
    main(*sys.argv[1:])
