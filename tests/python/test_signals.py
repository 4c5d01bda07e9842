"""Ctrl-C while something waits. Each program runs on its own, so that nothing else gets the signal."""

import signal
import subprocess
import sys
import textwrap

import pytest
from peers import LONG

# A server whose handlers never answer; `interrupted(wait)` says whether KeyboardInterrupt came out of `wait()`.
COMMON = """
import os, signal, sys, threading
from concurrent import futures
import grpc

entered, release = threading.Event(), threading.Event()

def hang(request, context):
    entered.set()
    release.wait(20)
    return b""

def hang_stream(request, context):
    entered.set()
    release.wait(20)
    yield b""

handlers = grpc.method_handlers_generic_handler("test", {
    "uu": grpc.unary_unary_rpc_method_handler(hang),
    "us": grpc.unary_stream_rpc_method_handler(hang_stream),
    "su": grpc.stream_unary_rpc_method_handler(hang),
    "ss": grpc.stream_stream_rpc_method_handler(hang_stream),
    "ok": grpc.unary_unary_rpc_method_handler(lambda request, context: request),
})
server = grpc.server(futures.ThreadPoolExecutor(4), handlers=(handlers,))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
channel = grpc.insecure_channel(f"127.0.0.1:{port}")

def interrupt_when_entered():
    entered.wait(20)
    os.kill(os.getpid(), signal.SIGINT)

def interrupted(wait):
    try:
        wait()
    except KeyboardInterrupt:
        print("interrupted")
    print(channel.unary_unary("/test/ok")(b"still there", timeout=20).decode())
    release.set()
    channel.close()
    server.stop(None)
    print("stopped", flush=True)

threading.Thread(target=interrupt_when_entered, daemon=True).start()
"""


def run(program):
    done = subprocess.run(
        [sys.executable, "-c", COMMON + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=LONG * 2,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    "wait",
    [
        'channel.unary_unary("/test/uu")(b"")',
        'channel.unary_unary("/test/uu").with_call(b"")',
        'channel.unary_unary("/test/uu").future(b"").result()',
        'channel.unary_unary("/test/uu").future(b"").code()',
        'channel.unary_unary("/test/uu").future(b"").trailing_metadata()',
        'next(channel.unary_stream("/test/us")(b""))',
        'channel.unary_stream("/test/us")(b"").initial_metadata()',
        'channel.stream_unary("/test/su")(iter([]))',
        'next(channel.stream_stream("/test/ss")(iter([])))',
    ],
)
def test_call(wait):
    assert run(f"interrupted(lambda: {wait})") == ["interrupted", "still there", "stopped"]


def test_handler_of_the_signal_may_return():
    """Then the call goes on."""
    program = """
    signal.signal(signal.SIGINT, lambda number, frame: (print("handled"), release.set()))
    print(repr(channel.unary_unary("/test/uu")(b"")))
    server.stop(None)
    """
    assert run(program) == ["handled", "b''"]


def test_wait_for_termination():
    program = """
    interrupted(lambda: (entered.set(), server.wait_for_termination()))
    """
    assert run(program) == ["interrupted", "still there", "stopped"]


@pytest.mark.better_than_grpcio("may sleep through a signal that comes just before it blocks")
def test_wait_for_a_channel():
    program = """
    never = grpc.insecure_channel("127.0.0.1:1")
    future = grpc.channel_ready_future(never)
    interrupted(lambda: (entered.set(), future.result()))
    """
    assert run(program) == ["interrupted", "still there", "stopped"]


@pytest.mark.parametrize(
    "leave",
    [
        "",
        'call = channel.unary_unary("/test/uu").future(b"")',
        'call = channel.unary_stream("/test/us")(b"")',
        'call = channel.stream_stream("/test/ss")(iter(entered.wait, None)); entered.clear()',
        "channel.subscribe(lambda state: None, try_to_connect=True)",
        'threading.Thread(target=channel.unary_unary("/test/uu"), args=(b"",), daemon=True).start()',
    ],
)
def test_exit_without_cleaning_up(leave):
    """A process that ends with things in flight ends, and quietly."""
    program = f"""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert channel.unary_unary("/test/ok")(b"x", timeout=20) == b"x"
    {leave}
    print("end", flush=True)
    release.set()
    """
    done = subprocess.run(
        [sys.executable, "-c", COMMON + textwrap.dedent(program)], capture_output=True, text=True, timeout=LONG * 2
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "end\n"


def test_sigterm_ends_a_server():
    """The default action of SIGTERM is not in anybody's way."""
    program = COMMON + "print('ready', flush=True); server.wait_for_termination()"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.wait(LONG) == -signal.SIGTERM
