"""Servers whose program ends, and handlers that have not."""

from __future__ import annotations

import subprocess
import sys

import grpc
import pytest
from peers import LONG

KINDS = ("uu", "us", "su", "ss")

#: A server whose main thread ends by `END` while an RPC of each kind is in flight.
PROGRAM = """
import signal, sys, threading
from concurrent import futures
import grpc

entered = threading.Semaphore(0)

def forever(context):
    entered.release()
    done = threading.Event()
    context.add_callback(done.set)
    done.wait()

def one(request, context):
    forever(context)
    return b""

def many(request, context):
    forever(context)
    yield b""

def reads(requests, context):
    entered.release()
    for request in requests:
        pass
    return b""

def reads_and_writes(requests, context):
    entered.release()
    for request in requests:
        yield request

server = grpc.server(futures.ThreadPoolExecutor(8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {
    "uu": grpc.unary_unary_rpc_method_handler(one),
    "us": grpc.unary_stream_rpc_method_handler(many),
    "su": grpc.stream_unary_rpc_method_handler(reads),
    "ss": grpc.stream_stream_rpc_method_handler(reads_and_writes),
}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
for _ in range(4):
    entered.acquire()
print("entered", flush=True)
sys.stdin.readline()
END
"""

ENDS = {
    "raises": "raise RuntimeError('the end')",
    "returns": "",
    "exits": "sys.exit(3)",
    "is interrupted": "signal.raise_signal(signal.SIGINT)",
    "waits and is interrupted": "signal.setitimer(signal.ITIMER_REAL, 0.2)\n"
    "signal.signal(signal.SIGALRM, signal.default_int_handler)\nserver.wait_for_termination()",
}


@pytest.mark.better_than_grpcio("the process never ends")
@pytest.mark.parametrize("end", ENDS)
def test_a_server_ends_with_its_main_thread(gate, end):
    program = PROGRAM.replace("END", ENDS[end])
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:

                def requests():
                    yield b""
                    gate.wait_open()

                calls = [
                    channel.unary_unary("/test/uu").future(b""),
                    channel.unary_stream("/test/us")(b""),
                    channel.stream_unary("/test/su").future(requests()),
                    channel.stream_stream("/test/ss")(requests()),
                ]
                assert process.stdout.readline() == "entered\n"
                _, errors = process.communicate("end\n", timeout=LONG)
                for call in calls:
                    assert call.exception(LONG) is not None
                gate.open.set()
        finally:
            process.kill()
    assert ("the end" in errors) == (end == "raises")
    assert ("KeyboardInterrupt" in errors) == ("interrupted" in end)
    assert "Exception ignored" not in errors


@pytest.mark.better_than_grpcio("nobody hears of it")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_raised_after_an_abort_is_logged(serve, caplog, kind):
    def abort(context):
        try:
            context.abort(grpc.StatusCode.ABORTED, "first")
        finally:
            raise ValueError("second")

    def one(request, context):
        abort(context)

    def many(request, context):
        yield abort(context)

    peer = serve(uu=("uu", one), us=("us", many), su=("su", one), ss=("ss", many))
    invoke = getattr(peer, kind)(kind)
    with pytest.raises(grpc.RpcError) as raised:
        answer = invoke(b"" if kind[0] == "u" else iter([b""]))
        list(answer)
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.ABORTED, "first")
    peer.server.stop(LONG).wait(LONG)
    assert any("second" in str(record.exc_info) for record in caplog.records)


@pytest.mark.parametrize("kind", KINDS)
def test_an_abort_alone_is_not_logged(serve, caplog, kind):
    def one(request, context):
        context.abort(grpc.StatusCode.ABORTED, "first")

    def many(request, context):
        yield one(request, context)

    peer = serve(uu=("uu", one), us=("us", many), su=("su", one), ss=("ss", many))
    with pytest.raises(grpc.RpcError):
        list(getattr(peer, kind)(kind)(b"" if kind[0] == "u" else iter([b""])))
    peer.server.stop(LONG).wait(LONG)
    assert caplog.records == []
