#!/usr/bin/env python3
"""Compares this project's compiler with grpcio-tools over broken .proto files.

    tests/golden/mutate.py DIRECTORY [--count 2000] [--seed 1] [--ours "target/debug/farcall-protoc"]
                           [--reference PYTHON] [--show 5]

Takes files below DIRECTORY and in each drops, doubles or swaps tokens, then compiles the result with both. Counts how
often the exit code and how often the text on standard error is the same. The same seed makes the same mutations.
Exits 0 if every exit code and at least 95% of the texts are the same.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import random
import re
import shlex
import sys
import tempfile
from pathlib import Path

from compare import Reference, Result, compile_one, run_ours

TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/|\w+|\s+|.', re.DOTALL)

# Larger files take long and hold nothing that smaller ones do not.
LARGEST = 20_000


def mutated(text: str, chance: random.Random) -> str:
    """The text with a token dropped, doubled or swapped with the next, comments and spaces left alone."""
    tokens = TOKEN.findall(text)
    places = [index for index, token in enumerate(tokens) if not token.isspace() and not token.startswith(("//", "/*"))]
    if len(places) < 2:
        return text
    at = chance.randrange(len(places) - 1)
    here, there = places[at], places[at + 1]
    match chance.choice(["drop", "double", "swap"]):
        case "drop":
            tokens[here] = ""
        case "double":
            tokens[here] += f" {tokens[here]}"
        case _:
            tokens[here], tokens[there] = tokens[there], tokens[here]
    return "".join(tokens)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("-I", dest="roots", action="append", default=[], help="more roots for imports")
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--ours", default="target/debug/farcall-protoc")
    parser.add_argument("--reference", default=sys.executable)
    parser.add_argument("--show", type=int, default=5, help="how many differing files to describe")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()

    paths = sorted(path for path in args.directory.rglob("*.proto") if path.stat().st_size <= LARGEST)
    if not paths:
        parser.error(f"no .proto files below {args.directory}")
    reference, command = Reference(args.reference, args.jobs), shlex.split(args.ours)

    def compare(number: int) -> tuple[str, Result, Result]:
        chance = random.Random(f"{args.seed} {number}")
        path = chance.choice(paths)
        name = str(path.relative_to(args.directory))
        with tempfile.TemporaryDirectory() as root:
            broken = Path(root, name)
            broken.parent.mkdir(parents=True, exist_ok=True)
            broken.write_text(mutated(path.read_text(errors="replace"), chance))
            roots = [root, str(args.directory), *args.roots]
            ours = compile_one(lambda arguments, stderr: run_ours(command, arguments, stderr), roots, "", name)
            theirs = compile_one(reference, roots, "", name)
        for result in (ours, theirs):
            result.stderr = result.stderr.replace(root, "ROOT")
        return f"{name}, mutation {number}", ours, theirs

    codes = texts = failing = shown = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for label, ours, theirs in pool.map(compare, range(args.count)):
            codes += ours.code == theirs.code
            texts += ours.stderr == theirs.stderr
            failing += theirs.code != 0
            if (ours.code, ours.stderr) != (theirs.code, theirs.stderr) and shown < args.show:
                shown += 1
                print(
                    f"{label}:",
                    f"ours: {ours.code} {ours.stderr}",
                    f"reference: {theirs.code} {theirs.stderr}",
                    sep="\n  ",
                )
    reference.close()
    print(f"{args.count} mutations, {failing} of them refused: {codes} same exit code, {texts} same text")
    return int(codes != args.count or texts < 0.95 * args.count)


if __name__ == "__main__":
    sys.exit(main())
