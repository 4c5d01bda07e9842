"""Signals, forks, and the end of the interpreter."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable

import pytest
from echo import Echo
from farcall import _native

HERE = pathlib.Path(__file__).parent


def run(program: str, *arguments: str, interrupt_at: str | None = None) -> str:
    """Runs a program, interrupts it when it prints that line, and answers what it printed after a clean end."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-X", "faulthandler", "-c", textwrap.dedent(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=HERE,
    )
    printed = []
    assert process.stdout is not None
    with process:
        killer = threading.Timer(30, process.kill)
        killer.start()
        for line in process.stdout:
            printed.append(line)
            if line.strip() == interrupt_at:
                time.sleep(0.2)  # Let it get from printing to waiting; the outcome is the same if it does not.
                process.send_signal(signal.SIGINT)
        killer.cancel()
    output = "".join(printed)
    assert process.returncode == 0, output
    return output


CLIENT = """
import sys, signal, threading
from echo import _native
signal.signal(signal.SIGINT, signal.default_int_handler)
channel = _native.Channel(sys.argv[1], [])
assert channel.unary("/unary", b"x", None, 20, None) == b"x"
"""

WAITS = {
    "unary": 'channel.unary("/hang", b"", None, None, None)',
    "receive": 'channel.start_call("/hang", None, None, None).receive() or call.receive()',
    "wait": 'channel.start_call("/hang", None, None, None).wait(None)',
    "connecting": '_native.Channel("127.0.0.1:1", []).unary("/hang", b"", None, None, True)',
    "state": "channel.wait_for_state_change(2, None)",
    "following": 'threading.Thread(target=channel.unary, args=("/hang", b"", None, None, None), daemon=True).start(); '
    'channel.unary("/hang", b"", None, None, None)',
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_control_c_ends_a_wait(echo: Echo, wait: str) -> None:
    program = f"""
call = channel.start_call("/hang", None, None, None)
print("WAITING")
try:
    {wait}
except KeyboardInterrupt:
    print("INTERRUPTED")
    if channel.state(False) == 2:
        assert channel.unary("/unary", b"y", None, 20, None) == b"y"
"""
    assert "INTERRUPTED" in run(CLIENT + program, echo.target, interrupt_at="WAITING")


def test_control_c_ends_a_server() -> None:
    program = """
        import signal, sys, threading
        signal.signal(signal.SIGINT, signal.default_int_handler)
        import echo
        sys.argv = ["echo"]
        print("WAITING")
        echo.main()
    """
    assert "INTERRUPTED" in run(program, interrupt_at="WAITING")


ENDS = {
    "an idle channel": "",
    "a call in flight": 'call = channel.start_call("/hang", None, None, None)',
    "a callback that never runs": 'call = channel.start_call("/hang", None, None, None); call.add_done_callback(print)',
    "a daemon thread that waits": (
        'threading.Thread(target=channel.unary, args=("/hang", b"", None, None, None), daemon=True).start()'
    ),
    "a server": "from echo import Echo\nfrom concurrent.futures import ThreadPoolExecutor\n"
    "server = Echo(ThreadPoolExecutor(2))\n"
    'own = _native.Channel(server.target, []); assert own.unary("/unary", b"x", None, 20, None) == b"x"',
    "calls under way on daemon threads": """
def work():
    while True:
        channel.unary("/unary", b"x", None, None, None)
for _ in range(4):
    threading.Thread(target=work, daemon=True).start()
import time; time.sleep(0.1)
""",
    "callbacks under way": """
def again():
    call = channel.start_unary("/unary", b"x", None, None, None)
    calls.append(call)
    if not call.add_done_callback(again):
        threading.Thread(target=again, daemon=True).start()
calls = []
again()
import time; time.sleep(0.1)
""",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_the_interpreter_ends_with(echo: Echo, end: str) -> None:
    assert run(CLIENT + end + '\nprint("LAST")', echo.target).strip().endswith("LAST")


def in_child(work: Callable[[], object]) -> int:
    """Forks; the child does the work and is gone. Answers its process id."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)
            work()
            code = 0
        finally:
            os._exit(code)
    return child


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@pytest.mark.parametrize("fresh", [False, True], ids=["parents channel", "new channel"])
def test_a_child_can_call(fresh: bool, busy: bool, tmp_path: pathlib.Path) -> None:
    with subprocess.Popen([sys.executable, "echo.py"], stdout=subprocess.PIPE, text=True, cwd=HERE) as server:
        assert server.stdout is not None
        target = f"127.0.0.1:{server.stdout.readline().split()[1]}"
        channel = _native.Channel(target, [])
        over = threading.Event()
        failures: list[object] = []

        def work() -> None:
            while not over.is_set():
                answer = channel.unary("/unary", b"parent", None, 20, None)
                if answer != b"parent":
                    failures.append(answer)
                    return

        def child() -> None:
            mine = _native.Channel(target, []) if fresh else channel
            for _ in range(20):
                assert mine.unary("/unary", b"child", None, 20, None) == b"child"

        threads = [threading.Thread(target=work) for _ in range(4 if busy else 0)]
        call = channel.start_call("/chat", None, None, None)
        try:
            for thread in threads:
                thread.start()
            call.send(b"before")
            assert call.receive() == b"before"
            for _ in range(15):
                assert os.waitpid(in_child(child), 0)[1] == 0
            # The parent's connection is as it was.
            call.send(b"after")
            assert call.receive() == b"after"
        finally:
            over.set()
            for thread in threads:
                thread.join()
            server.kill()
        assert not failures


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_parents_call_is_over_in_the_child(echo: Echo, channel: _native.Channel) -> None:
    call = channel.start_call("/hang", None, None, None)
    call.initial_metadata()

    def child() -> None:
        ended = call.status()
        assert ended is not None
        assert ended[0] == 1
        assert call.receive() is None
        assert not call.send(b"x")
        assert not call.cancel(1, "")
        assert call.wait(None)
        assert call.initial_metadata() == ()

    assert os.waitpid(in_child(child), 0)[1] == 0
    assert call.status() is None
    assert call.cancel(1, "")
