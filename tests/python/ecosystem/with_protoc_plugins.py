"""grpc_tools runs the plugins of mypy-protobuf and grpclib; the stubs of all of them call one server."""

import ast
import asyncio
import os
import pathlib
import sys
import tempfile

import grpc
from grpc_tools import protoc

CONTRACT = """
syntax = "proto3";
package test;
message Number { int64 value = 1; }
service Numbers {
  rpc Negate(Number) returns (Number);
  rpc Count(Number) returns (stream Number);
}
"""
OUTPUTS = ("python", "pyi", "grpc_python", "mypy_grpc", "grpclib_python")

# The plugins are programs of this environment.
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")

directory = tempfile.TemporaryDirectory()
out = pathlib.Path(directory.name)
(out / "tally.proto").write_text(CONTRACT)
for outputs in (OUTPUTS, ("mypy",)):
    flags = [f"--{output}_out={out}" for output in outputs]
    assert protoc.main(["protoc", f"-I{out}", *flags, "tally.proto"]) == 0, outputs
for stub in ("tally_pb2.pyi", "tally_pb2_grpc.pyi"):
    names = {node.name for node in ast.walk(ast.parse((out / stub).read_text())) if isinstance(node, ast.ClassDef)}
    assert names & {"Number", "NumbersStub"}, (stub, names)

sys.path.insert(0, str(out))

import tally_grpc  # noqa: E402
import tally_pb2  # noqa: E402
import tally_pb2_grpc  # noqa: E402
from grpclib.client import Channel  # noqa: E402

Number = tally_pb2.Number


class Numbers(tally_pb2_grpc.NumbersServicer):
    async def Negate(self, request, context):
        return Number(value=-request.value)

    async def Count(self, request, context):
        for number in range(request.value):
            yield Number(value=number)


async def main():
    server = grpc.aio.server()
    tally_pb2_grpc.add_NumbersServicer_to_server(Numbers(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    counted = [Number(value=0), Number(value=1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ours = tally_pb2_grpc.NumbersStub(channel)
        assert await ours.Negate(Number(value=7)) == Number(value=-7)
        assert [number async for number in ours.Count(Number(value=2))] == counted
    channel = Channel("127.0.0.1", port)
    theirs = tally_grpc.NumbersStub(channel)
    assert await theirs.Negate(Number(value=7)) == Number(value=-7)
    assert await theirs.Count(Number(value=2)) == counted
    channel.close()
    await server.stop(None)


asyncio.run(main())
print("done")
