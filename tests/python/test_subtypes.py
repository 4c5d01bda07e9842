"""Requests that say what their messages are: `application/grpc+proto`, `application/grpc+json`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import grpc
import pytest
from google.protobuf import wrappers_pb2
from peers import LONG
from serving import DATA, END_STREAM, HEADERS, KINDS, Wire, frame, message, request_headers, serving

Value = wrappers_pb2.StringValue

HELLO = Value(value="hello").SerializeToString()

# What reads and writes the messages of a method: generated code, the program's own, or nothing.
CODECS = {
    "proto": (Value.FromString, Value.SerializeToString),
    "json": (json.loads, lambda message: json.dumps(message).encode()),
    "lambda": (lambda data: Value.FromString(data), lambda message: message.SerializeToString()),
    "bytes": (None, None),
}

BEHAVIORS = {
    "uu": lambda request, _context: request,
    "us": lambda request, _context: iter([request]),
    "su": lambda requests, _context: next(requests),
    "ss": lambda requests, _context: requests,
}

METHODS = {
    f"{codec}-{kind}": (kind, behavior, *functions)
    for codec, functions in CODECS.items()
    for kind, behavior in BEHAVIORS.items()
}

#: `:status 200`, as a header block begins with it; every other status is a literal there.
STATUS_200 = b"\x88"


def ask(wire, stream, method, content_type):
    """The first HEADERS of the answer to a request, and whether they are all of it."""
    body = b'"hello"' if method.startswith(b"json") else HELLO
    wire.send(
        request_headers(b"/test/" + method, stream, content_type=content_type),
        message(body, stream, END_STREAM),
    )
    _, flags, _, block = wire.read_until(HEADERS, stream)
    return block, bool(flags & END_STREAM)


@pytest.mark.better_than_grpcio("serves requests of any content-type")
@pytest.mark.parametrize("call", BEHAVIORS)
@pytest.mark.parametrize("server", KINDS)
def test_generated_code_refuses_other_codecs_and_what_reads_for_itself_does_not(server, call):
    with serving(server, METHODS) as port, Wire(port) as wire:
        wire.greet()
        stream = 1
        for codec in CODECS:
            for subtype in (b"", b"+", b"+proto", b"+PROTO; charset=utf-8", b";charset=utf-8", b"+json", b"+foo"):
                method = f"{codec}-{call}".encode()
                block, only = ask(wire, stream, method, b"application/grpc" + subtype)
                served = codec != "proto" or subtype not in (b"+json", b"+foo")
                assert block.startswith(STATUS_200) is served, (method, subtype)
                assert only is not served, (method, subtype)
                stream += 2
        # The connection is well.
        block, _ = ask(wire, stream, f"proto-{call}".encode(), b"application/grpc")
        assert block.startswith(STATUS_200)


@pytest.mark.better_than_grpcio("serves requests of any content-type")
@pytest.mark.parametrize("server", KINDS)
def test_a_refused_request_holds_nothing(server):
    with serving(server, METHODS, workers=1, maximum_concurrent_rpcs=1) as port, Wire(port) as wire:
        wire.greet()
        for number in range(10):
            stream = 1 + 2 * number
            # It never comes whole.
            headers = request_headers(b"/test/proto-ss", stream, content_type=b"application/grpc+json")
            wire.send(headers, frame(DATA, 0, stream, b"\0\0\0\0\5"))
            _, flags, _, block = wire.read_until(HEADERS, stream)
            assert flags & END_STREAM
            assert not block.startswith(STATUS_200)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            echo = channel.unary_unary("/test/proto-uu", Value.SerializeToString, Value.FromString)
            assert echo(Value(value="after"), timeout=LONG).value == "after"


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_generated_code_is_known_by_its_deserializer(implementation):
    program = """
from google.protobuf import empty_pb2
from google.protobuf.internal import api_implementation
from grpc import _common
assert _common.reads_protobuf(empty_pb2.Empty.FromString)
for other in (None, bytes, lambda data: empty_pb2.Empty.FromString(data)):
    assert not _common.reads_protobuf(other), other
print(api_implementation.Type())
"""
    if not hasattr(grpc._common, "reads_protobuf"):
        pytest.skip("a matter of ours")
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=LONG)
    assert run.stdout.strip() == implementation, run.stderr
