#!/usr/bin/env python3
"""Compiles made-up files of many shapes, each at one size and at four times that, and tells how time and memory grow.

    tests/golden/growth.py [--ours "target/release/farcall-protoc"] [--include DIRECTORY] [SHAPE]...

DIRECTORY has google/protobuf/descriptor.proto (default: proto). Time is that of the processor, so a busy machine does
little harm. Exits 0 if no shape takes more than seven times as long at four times the size, nor 60 seconds or 6 GiB.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from shapes import SHAPES, Files

# Less than this is mostly starting.
NOTICEABLE = 0.3
SLOWEST_GROWTH = 7.0


def bounded() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))


def measure(command: list[str], files: Files) -> tuple[float, float, int]:
    """Seconds, MiB and exit code (negative for a signal)."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory, "out")
        out.mkdir()
        for name, text in files.items():
            Path(directory, name).write_text(text)
        arguments = [f"-I{directory}", f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}"]
        arguments += [f"--descriptor_set_out={out}/set.pb", "--include_source_info", "--include_imports", "a.proto"]
        with open(f"{directory}/stderr", "wb") as stderr:
            child = subprocess.Popen(
                [command[0], *arguments[:1], *command[1:], *arguments[1:]], stderr=stderr, preexec_fn=bounded
            )
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, child.returncode


def grow(command: list[str], name: str, shape: Callable[[int], Files], size: int) -> bool:
    small, large = shape(size), shape(4 * size)
    (first, _, first_code), (last, memory, last_code) = measure(command, small), measure(command, large)
    growth = last / max(first, 0.001)
    is_fine = {first_code, last_code} <= {0, 1} and (last < NOTICEABLE or growth < SLOWEST_GROWTH)
    size_of_large = sum(map(len, large.values())) / 1e6
    print(
        f"{name:26} {size_of_large:6.2f} MB {first:6.2f} s {last:6.2f} s x{growth:4.1f} {memory:6.0f} MiB "
        f"exit {last_code}{'' if is_fine else '   <-- '}",
        flush=True,
    )
    return is_fine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shapes", nargs="*", metavar="SHAPE", help=", ".join(SHAPES))
    parser.add_argument("--ours", default="target/release/farcall-protoc")
    parser.add_argument("--include", default="proto")
    args = parser.parse_args()
    command = [args.ours, f"-I{args.include}"]
    started = time.monotonic()
    names: list[str] = args.shapes or list(SHAPES)
    if unknown := [name for name in names if name not in SHAPES]:
        parser.error(f"no such shape: {unknown[0]}")
    slow = [name for name in names if not grow(command, name, *SHAPES[name])]
    print(f"{len(names)} shapes in {time.monotonic() - started:.0f} s; {len(slow)} grow too fast: {', '.join(slow)}")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
