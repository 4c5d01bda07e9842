"""grpclib in the same process and loop: its client calls our server, our client its server, all kinds of calls."""

import asyncio

import grpc
from google.protobuf.wrappers_pb2 import Int64Value
from grpclib.client import Channel, StreamStreamMethod, StreamUnaryMethod, UnaryStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server

NUMBERS = [Int64Value(value=number) for number in range(5)]
CODEC = (Int64Value.FromString, Int64Value.SerializeToString)


class Ours:
    async def negate(self, request, context):
        if request.value == 0:
            await context.abort(grpc.StatusCode.OUT_OF_RANGE, "zero")
        return Int64Value(value=-request.value)

    async def count(self, request, context):
        for number in range(request.value):
            yield Int64Value(value=number)

    async def add(self, requests, context):
        return Int64Value(value=sum([request.value async for request in requests]))

    async def double(self, requests, context):
        async for request in requests:
            yield Int64Value(value=2 * request.value)

    def handlers(self):
        methods = {
            "Negate": grpc.unary_unary_rpc_method_handler(self.negate, *CODEC),
            "Count": grpc.unary_stream_rpc_method_handler(self.count, *CODEC),
            "Add": grpc.stream_unary_rpc_method_handler(self.add, *CODEC),
            "Double": grpc.stream_stream_rpc_method_handler(self.double, *CODEC),
        }
        return (grpc.method_handlers_generic_handler("test.Numbers", methods),)


class Theirs:
    async def negate(self, stream):
        request = await stream.recv_message()
        if request.value == 0:
            raise GRPCError(Status.OUT_OF_RANGE, "zero")
        await stream.send_message(Int64Value(value=-request.value))

    async def count(self, stream):
        request = await stream.recv_message()
        for number in range(request.value):
            await stream.send_message(Int64Value(value=number))

    async def add(self, stream):
        await stream.send_message(Int64Value(value=sum([request.value async for request in stream])))

    async def double(self, stream):
        async for request in stream:
            await stream.send_message(Int64Value(value=2 * request.value))

    def __mapping__(self):
        kinds = {
            "Negate": (self.negate, Cardinality.UNARY_UNARY),
            "Count": (self.count, Cardinality.UNARY_STREAM),
            "Add": (self.add, Cardinality.STREAM_UNARY),
            "Double": (self.double, Cardinality.STREAM_STREAM),
        }
        return {
            f"/test.Numbers/{name}": Handler(method, kind, Int64Value, Int64Value)
            for name, (method, kind) in kinds.items()
        }


async def their_client(port):
    channel = Channel("127.0.0.1", port)

    def method(kind, name):
        return kind(channel, f"/test.Numbers/{name}", Int64Value, Int64Value)

    negate = method(UnaryUnaryMethod, "Negate")
    assert (await negate(Int64Value(value=7))).value == -7
    try:
        await negate(Int64Value())
        raise AssertionError("no error")
    except GRPCError as error:
        assert (error.status, error.message) == (Status.OUT_OF_RANGE, "zero"), error
    assert await method(UnaryStreamMethod, "Count")(Int64Value(value=5)) == NUMBERS
    assert (await method(StreamUnaryMethod, "Add")(NUMBERS)).value == 10
    doubled = await method(StreamStreamMethod, "Double")(NUMBERS)
    assert [number.value for number in doubled] == [0, 2, 4, 6, 8]
    channel.close()


async def our_client(port):
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        codec = CODEC[::-1]
        negate = channel.unary_unary("/test.Numbers/Negate", *codec)
        assert (await negate(Int64Value(value=7))).value == -7
        try:
            await negate(Int64Value())
            raise AssertionError("no error")
        except grpc.RpcError as error:
            assert (error.code(), error.details()) == (grpc.StatusCode.OUT_OF_RANGE, "zero"), error
        counted = channel.unary_stream("/test.Numbers/Count", *codec)(Int64Value(value=5))
        assert [number async for number in counted] == NUMBERS
        assert (await channel.stream_unary("/test.Numbers/Add", *codec)(iter(NUMBERS))).value == 10
        doubled = channel.stream_stream("/test.Numbers/Double", *codec)(iter(NUMBERS))
        assert [number.value async for number in doubled] == [0, 2, 4, 6, 8]


async def main():
    ours = grpc.aio.server()
    ours.add_generic_rpc_handlers(Ours().handlers())
    our_port = ours.add_insecure_port("127.0.0.1:0")
    await ours.start()
    theirs = Server([Theirs()])
    await theirs.start("127.0.0.1", 0)
    their_port = theirs._server.sockets[0].getsockname()[1]
    await asyncio.gather(their_client(our_port), our_client(their_port), our_client(our_port))
    theirs.close()
    await theirs.wait_closed()
    await ours.stop(None)


asyncio.run(main())
print("done")
