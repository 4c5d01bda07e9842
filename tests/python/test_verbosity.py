"""GRPC_VERBOSITY and GRPC_TRACE are levels of `logging`, and nothing but warnings is printed by itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from peers import ON_GRPCIO

pytestmark = pytest.mark.skipif(ON_GRPCIO, reason="its core prints")

CALL_NOBODY = """
import grpc
with grpc.insecure_channel("127.0.0.1:1", [("grpc.no_such_option", 1)]) as channel:
    try:
        channel.unary_unary("/a/b")(b"")
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    else:
        raise AssertionError
    call = channel.unary_unary("/a/b").future(b"")
    call.exception()
"""


def run(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("verbosity", ["", "DEBUG", "info", "ERROR", "NONE", "nonsense"])
def test_nothing_is_printed_without_logging(verbosity):
    # A warning of an option goes by `warnings`, unless the level is above it.
    printed = run(CALL_NOBODY, GRPC_VERBOSITY=verbosity, GRPC_TRACE="all").splitlines()
    warned = [] if verbosity in ("ERROR", "NONE") else ["grpc.no_such_option"]
    assert [line.split('"')[1] for line in printed] == warned
    assert run(CALL_NOBODY, GRPC_VERBOSITY=verbosity, GRPC_TRACE="all", PYTHONWARNINGS="ignore") == ""


@pytest.mark.parametrize(
    ("verbosity", "level"),
    [("debug", "DEBUG"), ("INFO", "INFO"), ("ERROR", "ERROR"), ("NONE", "Level 51"), ("", "NOTSET"), ("x", "NOTSET")],
)
def test_verbosity_is_a_level(verbosity, level):
    program = "import grpc, logging; print(logging.getLevelName(logging.getLogger('grpc').level))"
    assert run(program, GRPC_VERBOSITY=verbosity).strip() == level


LOGGING = "import logging; logging.basicConfig(level=logging.DEBUG)\n"

# Lines come from a thread of their own, which the end of the program does not wait for.
WAITING = """
import logging, threading
told = threading.Event()
class Told(logging.Handler):
    def emit(self, record):
        if "TransientFailure" in record.getMessage():
            told.set()
logging.basicConfig(level=logging.DEBUG)
logging.getLogger().addHandler(Told())
"""


@pytest.mark.parametrize("trace", ["connectivity_state", "all", "connectivity_*", "nothing,all"])
def test_what_channels_do_can_be_traced(trace):
    printed = run(WAITING + CALL_NOBODY + "\nassert told.wait(20)", GRPC_TRACE=trace)
    assert "DEBUG:grpc.trace:channel" in printed and "TransientFailure" in printed


# A call, blocking and on a loop, to a server that ends once the lines are there.
CALL_SOMEBODY = """
import asyncio, logging, threading, time
from concurrent import futures
import grpc, grpc.aio
lines = []
class Keep(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())
logging.getLogger("grpc.trace").addHandler(Keep())
server = grpc.server(futures.ThreadPoolExecutor(2))
handler = grpc.unary_unary_rpc_method_handler(lambda request, context: request)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("a", {"b": handler}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
async def call_on_a_loop():
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.unary_unary("/a/b")(b"")
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    channel.unary_unary("/a/b")(b"")
asyncio.run(call_on_a_loop())
until = time.monotonic() + 20
while WANTED and sum(WANTED in line for line in lines) < COUNT and time.monotonic() < until:
    time.sleep(0.01)
print("\\n".join(lines))
"""


@pytest.mark.parametrize(
    ("trace", "wanted", "count"),
    [
        # Of each connection both ends, of each call its begin and its end at both.
        ("http", "SETTINGS received: INITIAL_WINDOW_SIZE ", 4),
        ("call", ": /a/b begun", 2),
        ("call", ": /a/b received", 2),
        ("all", ": ended: Ok ", 4),
    ],
)
def test_connections_and_calls_can_be_traced(trace, wanted, count):
    program = f"WANTED, COUNT = {wanted!r}, {count}\n" + CALL_SOMEBODY
    printed = run(program, GRPC_TRACE=trace)
    assert printed.count(wanted) == count


@pytest.mark.parametrize("trace", ["", "connectivity_state", "all,-http,-call"])
def test_connections_and_calls_are_not_traced_unasked(trace):
    printed = run("WANTED, COUNT = None, 0\n" + CALL_SOMEBODY, GRPC_TRACE=trace)
    assert "SETTINGS" not in printed and "/a/b" not in printed


@pytest.mark.parametrize("trace", ["", "timer", "all,-connectivity_state,-http,-call"])
def test_what_is_not_asked_for_is_not_traced(trace):
    assert "grpc.trace" not in run(LOGGING + CALL_NOBODY, GRPC_TRACE=trace)


def test_no_warnings_when_they_are_not_wanted():
    assert "no_such_option" in run(LOGGING + CALL_NOBODY)
    assert "no_such_option" not in run(LOGGING + CALL_NOBODY, GRPC_VERBOSITY="ERROR")
