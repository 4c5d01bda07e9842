#!/usr/bin/env python3
"""Compares this project's compiler with grpcio-tools over any directory of .proto files.

    tests/golden/compare.py DIRECTORY [-I ROOT]... [--ours "target/debug/farcall-protoc"]
                            [--reference PYTHON] [--option grpc_1_0] [--flag=--retain_options] [--show 5] [--every N]

PYTHON is one that has grpcio-tools (default: the one that runs this). Each file is compiled on its own by both, for
Python, .pyi, gRPC Python and a descriptor set with imports and source information. A file counts as identical if the
exit code, standard error and every output byte are the same.
Exits 0 if all are.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import itertools
import json
import os
import queue
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# abseil's log line has the time and the thread in it.
LOG_PREAMBLE = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
LOG_PREFIX = re.compile(r"^W0000 \S+ +\d+ \S+\] ", re.MULTILINE)


@dataclass
class Result:
    code: int
    stderr: str
    files: dict[str, bytes]


# Starting Python and loading grpcio-tools takes longer than compiling: one process loads it and forks for each file.
WORKER = """
import json, os, sys
from grpc_tools import protoc
include = protoc._get_resource_file_name("grpc_tools", "_proto")
for line in sys.stdin:
    request = json.loads(line)
    child = os.fork()
    if child == 0:
        stderr = os.open(request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(stderr, 1)
        os.dup2(stderr, 2)
        os._exit(protoc.main(["protoc", *request["arguments"], "-I" + include]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Reference:
    """A pool of workers that run grpcio-tools."""

    def __init__(self, python: str, size: int) -> None:
        self.idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        for _ in range(size):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
            self.idle.put(subprocess.Popen([python, "-c", WORKER], **pipes))

    def __call__(self, arguments: list[str], stderr: str) -> int:
        worker = self.idle.get()
        worker.stdin.write(json.dumps({"arguments": arguments, "stderr": stderr}) + "\n")
        worker.stdin.flush()
        code = int(worker.stdout.readline())
        self.idle.put(worker)
        return code

    def close(self) -> None:
        while not self.idle.empty():
            self.idle.get().stdin.close()


def run_ours(command: list[str], arguments: list[str], stderr: str) -> int:
    with open(stderr, "wb") as file:
        return subprocess.run([*command, *arguments], stdout=file, stderr=file, check=False).returncode


def compile_one(
    run: Callable[[list[str], str], int], roots: list[str], option: str, name: str, flags: Sequence[str] = ()
) -> Result:
    with tempfile.TemporaryDirectory() as directory:
        out = f"{directory}/out"
        os.mkdir(out)
        arguments = [f"-I{root}" for root in roots]
        arguments += [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={option}{out}"]
        arguments += [f"--descriptor_set_out={out}/set.pb", "--include_imports", "--include_source_info"]
        arguments += [*flags, name]
        code = run(arguments, f"{directory}/stderr")
        stderr = Path(f"{directory}/stderr").read_text(errors="replace").replace(out, "OUT").replace(LOG_PREAMBLE, "")
        files = {str(path.relative_to(out)): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
        return Result(code, in_order(LOG_PREFIX.sub("", stderr)), files)


def in_order(stderr: str) -> str:
    """Sorts runs of unused imports, which protoc prints in the order of a hash table."""
    lines = stderr.splitlines()
    for key, run in itertools.groupby(range(len(lines)), lambda index: lines[index].endswith(" is unused.")):
        indexes = list(run)
        if key:
            lines[indexes[0] : indexes[-1] + 1] = sorted(lines[index] for index in indexes)
    return "\n".join(lines)


def differences(ours: Result, reference: Result) -> list[str]:
    """What differs, in words that begin with the kind of thing."""
    found = []
    if ours.code != reference.code:
        found.append(f"exit code: {ours.code}, not {reference.code}")
    if ours.stderr != reference.stderr:
        found.append(f"stderr:\n  ours:      {ours.stderr.strip()}\n  reference: {reference.stderr.strip()}")
    for name in sorted(ours.files.keys() | reference.files.keys()):
        if ours.files.get(name) != reference.files.get(name):
            kind = "descriptor set" if name == "set.pb" else re.sub(r".*(_pb2.*)", r"\1", name)
            state = "missing" if name not in ours.files else "extra" if name not in reference.files else "differs"
            found.append(f"{kind}: {name} {state}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("-I", dest="roots", action="append", default=[], help="more roots for imports")
    parser.add_argument("--ours", default="target/debug/farcall-protoc")
    parser.add_argument("--reference", default=sys.executable)
    parser.add_argument("--option", default="", help="option of --grpc_python_out")
    parser.add_argument("--flag", dest="flags", action="append", default=[], help="one more flag for both")
    parser.add_argument("--show", type=int, default=5, help="how many differing files to describe")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--every", type=int, default=1, help="compare only every Nth file")
    args = parser.parse_args()

    roots = [str(args.directory), *args.roots]
    option = f"{args.option}:" if args.option else ""
    names = sorted(str(path.relative_to(args.directory)) for path in args.directory.rglob("*.proto"))
    names = names[:: args.every]
    ours_command, reference = shlex.split(args.ours), Reference(args.reference, args.jobs)

    def compare(name: str) -> list[str]:
        def run(arguments: list[str], stderr: str) -> int:
            return run_ours(ours_command, arguments, stderr)

        ours = compile_one(run, roots, option, name, args.flags)
        return differences(ours, compile_one(reference, roots, option, name, args.flags))

    identical, kinds, shown = 0, Counter(), 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, found in zip(names, pool.map(compare, names), strict=True):
            if not found:
                identical += 1
                continue
            kinds.update({difference.split(":")[0] for difference in found})
            if shown < args.show:
                shown += 1
                print(f"{name}:", *found, sep="\n  ")
    reference.close()
    print(f"{len(names)} files: {identical} identical, {len(names) - identical} different")
    for kind, count in kinds.most_common():
        print(f"  {count} differ in {kind}")
    return int(identical != len(names))


if __name__ == "__main__":
    sys.exit(main())
