"""Forks children while calls are in flight; each makes calls on a loop of its own. For test_aio_loops.py.

python forks.py parent|new idle|busy asyncio|uvloop
"""

import asyncio
import os
import sys
import threading
import time

import grpc
import grpc.aio

CHILDREN = 15


def new_loop(kind):
    if kind == "uvloop":
        import uvloop

        return uvloop.new_event_loop()
    return asyncio.new_event_loop()


async def echo(request, context):
    return request


def serve(ready, told):
    async def main():
        server = grpc.aio.server()
        server.add_registered_method_handlers("test", {"echo": grpc.unary_unary_rpc_method_handler(echo)})
        told.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        await server.start()
        ready.set()
        await server.wait_for_termination()

    asyncio.run(main())


async def call(channel, count):
    method = channel.unary_unary("/test/echo")
    for number in range(count):
        message = b"%d" % number
        assert await method(message, timeout=20, wait_for_ready=True) == message


def child(channel, address, whose, kind):
    used = channel if whose == "parent" else grpc.aio.insecure_channel(address)
    new_loop(kind).run_until_complete(call(used, 20))
    return 0


def fork(body):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = body()
        finally:
            os._exit(status)
    return pid


async def main(address, whose, busy, kind):
    channel = grpc.aio.insecure_channel(address)
    await call(channel, 5)
    others = [asyncio.ensure_future(call(channel, 2000)) for _ in range(4)] if busy else []
    children = []
    for _ in range(CHILDREN):
        await asyncio.sleep(0.005)
        # A loop that runs cannot start another: the child leaves it on a thread of its own.
        children.append(fork(lambda: on_a_thread(lambda: child(channel, address, whose, kind))))
    give_up = time.monotonic() + 60
    while children:
        pid = children[0]
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            assert status == 0, f"child ended with {status}"
            children.pop(0)
        assert time.monotonic() < give_up, "a child hangs"
        await asyncio.sleep(0.01)
    await asyncio.gather(*others)
    await call(channel, 5)
    print("parent")


def on_a_thread(body):
    result = []
    thread = threading.Thread(target=lambda: result.append(body()))
    thread.start()
    thread.join()
    return result[0] if result else 1


if __name__ == "__main__":
    ready, told = threading.Event(), []
    threading.Thread(target=serve, args=(ready, told), daemon=True).start()
    assert ready.wait(20)
    new_loop(sys.argv[3]).run_until_complete(main(told[0], sys.argv[1], sys.argv[2] == "busy", sys.argv[3]))
