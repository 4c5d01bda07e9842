#!/usr/bin/env python3
"""Compares this project's compiler with grpcio-tools over any directory of .proto files.

    tests/golden/compare.py DIRECTORY [-I ROOT]... [--ours "target/debug/farcall-protoc"]
                            [--reference "python -m grpc_tools.protoc"] [--option grpc_1_0] [--show 5]

Each file is compiled on its own by both, for Python, .pyi, gRPC Python and a descriptor set with imports and source
information. A file counts as identical if the exit code, standard error and every output byte are the same.
Exits 0 if all are.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
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


def compile_one(command: list[str], roots: list[str], option: str, name: str) -> Result:
    with tempfile.TemporaryDirectory() as out:
        arguments = [*command, *(f"-I{root}" for root in roots)]
        arguments += [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={option}{out}"]
        arguments += [f"--descriptor_set_out={out}/set.pb", "--include_imports", "--include_source_info", name]
        done = subprocess.run(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        stderr = done.stderr.decode(errors="replace").replace(out, "OUT").replace(LOG_PREAMBLE, "")
        files = {str(path.relative_to(out)): path.read_bytes() for path in Path(out).rglob("*") if path.is_file()}
        return Result(done.returncode, LOG_PREFIX.sub("", stderr), files)


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
    parser.add_argument("--reference", default=f"{sys.executable} -m grpc_tools.protoc")
    parser.add_argument("--option", default="", help="option of --grpc_python_out")
    parser.add_argument("--show", type=int, default=5, help="how many differing files to describe")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args()

    roots = [str(args.directory), *args.roots]
    option = f"{args.option}:" if args.option else ""
    names = sorted(str(path.relative_to(args.directory)) for path in args.directory.rglob("*.proto"))

    def compare(name: str) -> list[str]:
        ours = compile_one(shlex.split(args.ours), roots, option, name)
        return differences(ours, compile_one(shlex.split(args.reference), roots, option, name))

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
    print(f"{len(names)} files: {identical} identical, {len(names) - identical} different")
    for kind, count in kinds.most_common():
        print(f"  {count} differ in {kind}")
    return int(identical != len(names))


if __name__ == "__main__":
    sys.exit(main())
