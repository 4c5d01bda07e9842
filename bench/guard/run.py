"""Counts the instructions of the engine and of picks at fixed works, and of calls through the hands; holds them against
counts.json.

Callgrind counts, so a busy machine changes nothing. What libc does (memcpy, malloc) is left out, for it picks its code
by the processor; allocations are counted beside. A count over the one in the file by more than TOLERANCE fails;
`--write` makes the file anew, after a change that is meant.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from typing import NamedTuple

HERE = pathlib.Path(__file__).parent
COUNTS = HERE / "counts.json"
TOLERANCE = 0.05

# How often each work is done; what a connection does only once (tables that grow) is spread over them.
WORKS = {
    "connect": 20,
    "unary": 200,
    "metadata": 50,
    "echo-64k": 20,
    "echo-4m": 4,
    "upload-32": 20_000,
    "download-32": 20_000,
    "runs-32": 20_000,
    "gzip-1k": 50,
}
# What only a client does.
PICKS = {"pick-1": 10_000, "pick-1000": 10_000}
SIDES = ("client", "server")

# Unary calls over loopback through the hands: only what the thread that calls does is counted.
CALLS = {
    "call-blocking": 200,
    "call-tokio": 200,
}


class Cost(NamedTuple):
    """What one time costs."""

    instructions: float
    allocations: float


def count(binary: pathlib.Path, work: str, side: str) -> Cost:
    """Runs one work under callgrind."""
    times = (WORKS | PICKS | CALLS)[work]
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=*measured*"]
        done = subprocess.run([*command, str(binary), work, side, str(times)], capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{work}, {side}:\n{done.stderr}")
        instructions, allocations = read(out.read_text(), binary.name)
    return Cost(round(instructions / times, 1), round(allocations / times, 3))


def read(text: str, name: str) -> tuple[int, int]:
    """Of callgrind's output: the instructions of the program's own functions, and how often it allocated."""
    instructions = allocations = 0
    names: dict[str, str] = {}

    def resolve(value: str) -> str:
        number, _, rest = value.partition(" ")
        return names.setdefault(number, rest)

    own = is_call = False
    callee = ""
    functions: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith(("ob=", "cob=")):
            path = resolve(line.partition("=")[2])
            if line.startswith("ob="):
                own = path.endswith(name)
        elif line.startswith("cfn="):
            number, _, rest = line[4:].partition(" ")
            callee = functions.setdefault(number, rest)
        elif line.startswith("fn="):
            number, _, rest = line[3:].partition(" ")
            functions.setdefault(number, rest)
        elif line.startswith("calls="):
            is_call = True
            if own and re.match(r"(malloc|calloc|realloc|posix_memalign|aligned_alloc)\b", callee):
                allocations += int(line[6:].split()[0])
        elif line[:1] in "0123456789+-*" and line:
            if own and not is_call:
                instructions += int(line.split()[1])
            is_call = False
    return instructions, allocations


def main() -> int:
    """Says 1 when a count is over its tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--write", action="store_true", help="make the file of counts anew")
    arguments = parser.parse_args()
    alone = [(work, "client") for work in PICKS | CALLS]
    keys = [(work, side) for work in WORKS for side in SIDES] + alone
    with concurrent.futures.ThreadPoolExecutor() as pool:
        costs = pool.map(lambda key: count(arguments.binary, *key), keys)
    now = {f"{work} {side}": cost for (work, side), cost in zip(keys, costs, strict=True)}
    kept: dict[str, dict[str, float]] = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    worse = 0
    print(f"{'':22}{'instructions':>14}{'kept':>14}{'':>8}{'allocations':>14}{'kept':>10}")
    for key, cost in now.items():
        before = Cost(**kept[key]) if key in kept else cost
        over = cost.instructions > before.instructions * (1 + TOLERANCE)
        over |= cost.allocations > before.allocations * (1 + TOLERANCE) + 0.01
        worse += over
        change = f"{cost.instructions / before.instructions - 1:+.1%}"
        print(
            f"{key:22}{cost.instructions:>14,.1f}{before.instructions:>14,.1f}{change:>8}"
            f"{cost.allocations:>14,.3f}{before.allocations:>10,.3f}{'  WORSE' if over else ''}"
        )
    if arguments.write:
        COUNTS.write_text(json.dumps({key: cost._asdict() for key, cost in now.items()}, indent=2) + "\n")
        return 0
    if worse:
        print(
            f"guard: {worse} of {len(now)} are worse by more than {TOLERANCE:.0%}; `make guard WRITE=1` if it is meant"
        )
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
