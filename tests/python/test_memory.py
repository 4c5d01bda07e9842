"""Large messages neither cost the kernel's pages at each call nor keep them when calls have stopped."""

import json
import pathlib
import platform
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).with_name("memory_program.py")

pytestmark = [
    pytest.mark.better_than_grpcio("maps and keeps what the allocator does by default"),
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of glibc is what is taught"),
]

FACES = ["blocking", "aio"]


def run(*arguments):
    done = subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("face", FACES)
def test_a_large_message_lies_in_memory_that_is_there(face):
    # Eight blocks of 4 MiB, four on each side, are 8,192 pages; a few percent may come and go.
    assert run("faults", face)["faults"] < 400


@pytest.mark.parametrize("face", FACES)
def test_memory_goes_back_when_all_is_quiet(face):
    found = run("burst", face)
    assert found["peak"] > found["before"] + 128, "the burst was one"
    assert found["quiet"] <= found["before"] + 48, found
    assert found["closed"] <= found["before"] + 48, found
