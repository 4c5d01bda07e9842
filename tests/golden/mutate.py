#!/usr/bin/env python3
"""Compares this project's compiler with grpcio-tools over broken .proto files.

    tests/golden/mutate.py DIRECTORY [--way text|set|set-info] [--kind tokens|bytes|lines|grammar] [--count 2000]
                           [--seed 1] [--ours "target/debug/farcall-protoc"] [--reference PYTHON] [--show 5]
                           [--keep DIRECTORY]

Takes files below DIRECTORY and breaks each: tokens dropped, doubled or swapped, bytes or lines changed; or, with --kind
grammar, makes files up. With --way set or set-info, grpcio-tools makes a descriptor set of the file first, and fields
of the set are dropped, doubled, swapped or changed instead. Then compiles the result with both. Counts how often the
exit code and how often the text on standard error is the same, and how often the outputs are where both compiled it.
The same seed makes the same files.
Exits 0 if every exit code and output and at least 95% of the texts are the same.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import random
import shlex
import sys
import tempfile
from pathlib import Path

from grammar import made_up
from mutations import MUTATIONS, change_message
from ways import SETS, WAYS, Ours, Reference, Result, compile_set, compile_text, make_set

# Larger files take long and hold nothing that smaller ones do not.
LARGEST = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("-I", dest="roots", action="append", default=[], help="more roots for imports")
    parser.add_argument("--way", choices=WAYS, default="text")
    parser.add_argument("--kind", choices=[*MUTATIONS, "grammar"], default="tokens")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ours", default="target/debug/farcall-protoc")
    parser.add_argument("--reference", default=sys.executable)
    parser.add_argument("--show", type=int, default=5, help="how many differing files to describe")
    parser.add_argument("--keep", type=Path, help="directory for the files that make a difference")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()

    paths = sorted(path for path in args.directory.rglob("*.proto") if path.stat().st_size <= LARGEST)
    if not paths:
        parser.error(f"no .proto files below {args.directory}")
    roots = [str(args.directory), *args.roots]
    reference, command = Reference(args.reference, args.jobs), Ours(shlex.split(args.ours))

    def compare_text(name: str, text: bytes) -> list[Result]:
        with tempfile.TemporaryDirectory() as root:
            broken = Path(root, name)
            broken.parent.mkdir(parents=True, exist_ok=True)
            broken.write_bytes(text)
            results = [compile_text(who, [root, *roots], name) for who in (command, reference)]
        for result in results:
            result.stderr = result.stderr.replace(root, "ROOT")
        return results

    def compare(number: int) -> tuple[str, bytes, Result, Result]:
        chance = random.Random(f"{args.seed} {number}")
        path = chance.choice(paths)
        name = str(path.relative_to(args.directory))
        if args.way in SETS:
            # A file that does not compile has an empty set.
            broken = change_message(make_set(reference, roots, name, args.way) or b"", chance)
            ours, theirs = (compile_set(who, broken, name) for who in (command, reference))
        elif args.kind == "grammar":
            name, broken = "made_up.proto", made_up(chance)
            ours, theirs = compare_text(name, broken)
        else:
            broken = MUTATIONS[args.kind](path.read_bytes(), chance)
            ours, theirs = compare_text(name, broken)
        return f"{name}, mutation {number}", broken, ours, theirs

    codes = texts = outputs = failing = shown = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for number, (label, text, ours, theirs) in enumerate(pool.map(compare, range(args.count))):
            codes += ours.code == theirs.code
            texts += ours.stderr == theirs.stderr
            failing += theirs.code != 0
            outputs += ours.files == theirs.files
            if ours != theirs and args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                kind, suffix = (args.way, "pb") if args.way in SETS else (args.kind, "proto")
                Path(args.keep, f"{kind}_{args.seed}_{number}.{suffix}").write_bytes(text)
            if ours != theirs and shown < args.show:
                shown += 1
                print(
                    f"{label}:",
                    f"ours: {ours.code} {ours.stderr}",
                    f"reference: {theirs.code} {theirs.stderr}",
                    f"outputs: {'the same' if ours.files == theirs.files else 'different'}",
                    sep="\n  ",
                )
    reference.close()
    print(
        f"{args.count} mutations, {failing} of them refused: {codes} same exit code, {texts} same text, "
        f"{outputs} same outputs"
    )
    return int(min(codes, outputs) != args.count or texts < 0.95 * args.count)


if __name__ == "__main__":
    sys.exit(main())
