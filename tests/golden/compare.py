#!/usr/bin/env python3
"""Compares this project's compiler with grpcio-tools over any directory of .proto files.

    tests/golden/compare.py DIRECTORY [-I ROOT]... [--way text]... [--ours "target/debug/farcall-protoc"]
                            [--reference PYTHON] [--option grpc_1_0] [--flag=--retain_options] [--show 5] [--every N]

PYTHON is one that has grpcio-tools (default: the one that runs this). Each file is compiled on its own by both, for
Python, .pyi, gRPC Python and a descriptor set with imports and source information. A file counts as identical if the
exit code, standard error and every output byte are the same. --way says how it gets in: as text, in a descriptor set
(`set`), in one with source information (`set-info`), or all of these after each other (`all`). Sets are those that
grpcio-tools makes; files that it refuses have none.
Exits 0 if all are the same.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import shlex
import sys
from collections import Counter
from pathlib import Path

from ways import SETS, WAYS, Ours, Reference, compile_set, compile_text, differences, make_set


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("-I", dest="roots", action="append", default=[], help="more roots for imports")
    parser.add_argument("--way", dest="ways", action="append", choices=[*WAYS, "all"], help="default: text")
    parser.add_argument("--ours", default="target/debug/farcall-protoc")
    parser.add_argument("--reference", default=sys.executable)
    parser.add_argument("--option", default="", help="option of --grpc_python_out")
    parser.add_argument("--flag", dest="flags", action="append", default=[], help="one more flag for both")
    parser.add_argument("--show", type=int, default=5, help="how many differing files to describe, of each way")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--every", type=int, default=1, help="compare only every Nth file")
    args = parser.parse_args()

    roots = [str(args.directory), *args.roots]
    option = f"{args.option}:" if args.option else ""
    names = sorted(str(path.relative_to(args.directory)) for path in args.directory.rglob("*.proto"))
    names = names[:: args.every]
    ours, reference = Ours(shlex.split(args.ours)), Reference(args.reference, args.jobs)

    def compare(way: str, name: str) -> list[str] | None:
        """What differs; None if there is nothing to compare."""
        if way not in SETS:
            mine, theirs = (compile_text(who, roots, name, option, args.flags) for who in (ours, reference))
            return differences(mine, theirs)
        content = make_set(reference, roots, name, way)
        if content is None:
            return None
        mine, theirs = (compile_set(who, content, name, option, args.flags) for who in (ours, reference))
        return differences(mine, theirs)

    ways = args.ways or ["text"]
    same = True
    for way in WAYS if "all" in ways else ways:
        compared = identical = shown = 0
        kinds: Counter[str] = Counter()
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for name, found in zip(names, pool.map(compare, [way] * len(names), names), strict=True):
                compared += found is not None
                identical += found == []
                if found:
                    kinds.update({difference.split(":")[0] for difference in found})
                    if shown < args.show:
                        shown += 1
                        print(f"{name}:", *found, sep="\n  ")
        print(f"{way}: {compared} files: {identical} identical, {compared - identical} different")
        for kind, count in kinds.most_common():
            print(f"  {count} differ in {kind}")
        same &= identical == compared
    reference.close()
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
