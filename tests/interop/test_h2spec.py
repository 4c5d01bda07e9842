"""`h2spec` against the server of the Rust face, and `h2specd` against its client: every test, the strict ones too.

They are Go programs, so the tests are skipped where there is no Go. With Go they are installed into .tools on first
use, or by hand, from the top of the repository, with

    GOBIN="$PWD/.tools/bin" go install github.com/summerwind/h2spec/cmd/{h2spec,h2specd}@VERSION

where VERSION is the one below.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import socket
from contextlib import ExitStack

import programs
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUST_BIN = pathlib.Path(os.environ.get("FARCALL_RUST_BIN", ROOT / "target" / "debug"))
TOOLS = ROOT / ".tools" / "bin"
MODULE = "github.com/summerwind/h2spec/cmd"
# v2.6.0 is commit 70ac2294010887f48b18e2d64f5cccd48421fad1. Its go.mod lacks the /v2 that Go asks of such a tag, so
# module proxies refuse the tag and the bare commit, and it goes by the pseudo-version of the commit.
VERSION = "v0.0.0-20200804131034-70ac22940108"

SERVER_TESTS = 147
CLIENT_TESTS = 57

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def tool(name: str) -> pathlib.Path:
    go, program = shutil.which("go"), TOOLS / name
    if not program.exists():
        if go is None:
            pytest.skip(f"{name} is a Go program, and there is no `go` on the PATH to install it with")
        programs.run([go, "install", f"{MODULE}/{name}@{VERSION}"], env={"GOBIN": str(TOOLS)}, patience=110)
    return program


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody listens on: `h2specd` takes one for each test."""
    for first in range(20_000, 60_000, count):
        with ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return first
    pytest.fail("no range of free ports")


def check(printed: str, tests: int) -> None:
    printed = COLOUR.sub("", printed)
    summary = f"{tests} tests, {tests} passed, 0 skipped, 0 failed"
    assert summary in printed, printed.partition("Failures:")[2] or printed


def test_the_server() -> None:
    h2spec = tool("h2spec")
    with programs.Server([str(RUST_BIN / "h2spec-server"), "127.0.0.1:0"]) as server:
        # It ends with 1 when a test failed, which is told better by what it printed.
        command = f'"{h2spec}" --strict --host 127.0.0.1 --port {server.port} --timeout 5 || [ $? -eq 1 ]'
        check(programs.run(["sh", "-c", command], patience=100), SERVER_TESTS)


def test_the_client() -> None:
    h2specd = tool("h2specd")
    command = [str(h2specd), "--strict", "--host", "127.0.0.1", "--from-port", str(free_ports(CLIENT_TESTS))]
    check(programs.run([*command, "--exec", str(RUST_BIN / "h2specd-client")], patience=100), CLIENT_TESTS)
