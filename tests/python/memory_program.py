"""Sends large messages between a server and a client in this process, and prints what that costs, as JSON.

python memory_program.py faults FACE: page faults of a 4 MiB echo of protobuf's messages, once it is warm
python memory_program.py burst FACE: resident MiB before many calls at once, at their peak, when all is quiet with the
channel still open, and when it is closed

FACE is "blocking" or "aio".
"""

import asyncio
import contextlib
import json
import resource
import sys
import time
from concurrent import futures

import grpc
from google.protobuf.wrappers_pb2 import BytesValue

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
ECHO = "/test.Memory/Echo"
DESERIALIZED = (BytesValue.FromString, BytesValue.SerializeToString)
SERIALIZED = DESERIALIZED[::-1]

WORKERS, WARM_UP, CALLS = 4, 60, 20
LARGE = BytesValue(value=b"*" * (4 << 20))

BURSTS, AT_ONCE = 5, 200
# What a client asks for, and so many times that comes back.
PIECE, TIMES = BytesValue(value=b"*" * 1024), 1024
# What may stay, in MiB.
LITTLE = 48
PATIENCE = 20


def echo(request, context):
    return request


def grow(request, context):
    return BytesValue(value=request.value * TIMES)


async def echo_async(request, context):
    return request


async def grow_async(request, context):
    return grow(request, context)


def handlers(echo, grow):
    methods = {
        "Echo": grpc.unary_unary_rpc_method_handler(echo, *DESERIALIZED),
        "Grow": grpc.unary_unary_rpc_method_handler(grow, *DESERIALIZED),
    }
    return (grpc.method_handlers_generic_handler("test.Memory", methods),)


def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() >> 20


@contextlib.contextmanager
def blocking_server():
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS), handlers=handlers(echo, grow), options=UNLIMITED)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None).wait()


@contextlib.asynccontextmanager
async def aio_server():
    server = grpc.aio.server(handlers=handlers(echo_async, grow_async), options=UNLIMITED)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield port
    await server.stop(None)


def faults_blocking():
    with blocking_server() as port, grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED) as channel:
        call = channel.unary_unary(ECHO, *SERIALIZED)
        for _ in range(WARM_UP):
            call(LARGE)
        before = faults()
        for _ in range(CALLS):
            call(LARGE)
        return {"faults": (faults() - before) / CALLS}


async def faults_aio():
    async with aio_server() as port, grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED) as channel:
        call = channel.unary_unary(ECHO, *SERIALIZED)
        for _ in range(WARM_UP):
            await call(LARGE)
        before = faults()
        for _ in range(CALLS):
            await call(LARGE)
        return {"faults": (faults() - before) / CALLS}


def burst_blocking():
    with blocking_server() as port:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED) as channel:
            call = channel.unary_unary("/test.Memory/Grow", *SERIALIZED)
            call(PIECE)
            found = {"before": resident(), "peak": 0}
            for _ in range(BURSTS):
                pending = [call.future(PIECE) for _ in range(AT_ONCE)]
                answers = [future.result() for future in pending]
                found["peak"] = max(found["peak"], resident())
                del pending, answers
            found["quiet"] = settle(found)
        found["closed"] = settle(found)
    return found


async def burst_aio():
    async with aio_server() as port:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=UNLIMITED) as channel:
            call = channel.unary_unary("/test.Memory/Grow", *SERIALIZED)
            await call(PIECE)
            found = {"before": resident(), "peak": 0}
            for _ in range(BURSTS):
                answers = await asyncio.gather(*[call(PIECE) for _ in range(AT_ONCE)])
                found["peak"] = max(found["peak"], resident())
                del answers
            found["quiet"] = await settle_aio(found)
        found["closed"] = await settle_aio(found)
    return found


def is_settled(found):
    return resident() <= found["before"] + LITTLE


def settle(found):
    give_up = time.monotonic() + PATIENCE
    while not is_settled(found) and time.monotonic() < give_up:
        time.sleep(0.05)
    return resident()


async def settle_aio(found):
    give_up = time.monotonic() + PATIENCE
    while not is_settled(found) and time.monotonic() < give_up:
        await asyncio.sleep(0.05)
    return resident()


if __name__ == "__main__":
    what, face = sys.argv[1:]
    result = globals()[f"{what}_{face}"]()
    print(json.dumps(result if face == "blocking" else asyncio.run(result)))
