"""The fork matrix and the soak, shorter."""

from __future__ import annotations

import json
import pathlib
import socket
import struct
import subprocess
import sys

import pytest
from wires import Wire

HERE = pathlib.Path(__file__).resolve().parent


def run(program: str, *arguments: str) -> str:
    command = [sys.executable, str(HERE / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("face", ["blocking", "aio"])
@pytest.mark.parametrize("state", ["idle", "busy"])
@pytest.mark.parametrize("uses", ["new", "parent"])
def test_children_of_a_fork_can_call(face: str, state: str, uses: str) -> None:
    run("forks.py", "--children", "4", "--face", face, "--state", state, "--uses", uses)


@pytest.mark.parametrize("face", ["blocking", "aio"])
def test_nothing_is_left_behind(face: str) -> None:
    # So short a run has not seen the most that is ever in flight, so memory may still grow: what leaks by the call, or
    # stays for ever, shows all the same.
    outcome = json.loads(run("soak.py", "--seconds", "8", "--warm-up", "8", "--slack", "24", "--face", face))
    assert outcome["calls"]["StatusCode.OK"] > 0


def test_the_wire_tells_the_server_of_a_reset() -> None:
    """If it did not, the server would seem to leak the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire(listener.getsockname()[1])
        client = socket.create_connection(("127.0.0.1", wire.port))
        server, _ = listener.accept()
        server.settimeout(20)
        client.sendall(b"x")
        assert server.recv(1) == b"x"
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        assert server.recv(1) == b""
        server.close()
        wire.close()


PROCESSES = """
import multiprocessing, sys
import grpc
import forks

def call(number):
    # Forked, it has its parent's channel; spawned, it makes one.
    global channel
    if channel is None:
        channel = grpc.insecure_channel(number[1])
    return channel.unary_unary("/fork/Echo")(b"%d" % number[0], timeout=20) == b"%d" % number[0]

channel = None

if __name__ == "__main__":
    server, address = forks.serve()
    channel = grpc.insecure_channel(address)
    assert call((0, address))
    with multiprocessing.get_context(sys.argv[1]).Pool(3) as pool:
        assert all(pool.map(call, [(number, address) for number in range(60)]))
    assert call((0, address))
    server.stdin.close()
    server.wait()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "processes.py"
    program.write_text(PROCESSES)
    command = [sys.executable, str(program), method]
    done = subprocess.run(command, env={"PYTHONPATH": str(HERE)}, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0 and done.stderr == "", done.stderr
