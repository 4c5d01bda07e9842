"""`make bench`: Farcall beside grpcio and tonic, client and server each a process, the two in turns in one run.

Machines are noisy and differ; the ratios within one run are what to look at. Each figure is the median of the
rounds. Processor time is what each process used while it was measured (user and system), per call.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import statistics
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "testkit"))

import programs  # noqa: E402  (it lives with the tests, which use it most)

PYTHON_PROGRAMS = ROOT / "bench" / "python"


class Contender(NamedTuple):
    """One library: how its server and its client are started (an address and the work's arguments follow)."""

    name: str
    server: list[str]
    client: list[str]


class Work(NamedTuple):
    """Something to measure, and who does it: ours first, then the one it is compared with."""

    title: str
    arguments: list[str]
    ours: Contender
    theirs: Contender


def python_contender(name: str, python: str) -> Contender:
    server, client = ([python, str(PYTHON_PROGRAMS / f"echo_{role}.py")] for role in ("server", "client"))
    return Contender(name, server, client)


def rust_contender(name: str, folder: pathlib.Path) -> Contender:
    return Contender(name, [str(folder / f"{name}-server")], [str(folder / f"{name}-client")])


def measure(contender: Contender, work: Work, seconds: float) -> dict[str, float]:
    with programs.Server([*contender.server, "127.0.0.1:0"]) as server:
        command = [*contender.client, f"127.0.0.1:{server.port}", *work.arguments, str(seconds)]
        result: dict[str, float] = json.loads(programs.run(command, patience=seconds + 60))
        return result


def compare(work: Work, rounds: int, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """The medians of ours and of theirs; who goes first changes from round to round."""
    results: dict[str, list[dict[str, float]]] = {work.ours.name: [], work.theirs.name: []}
    for turn in range(rounds):
        pair = (work.ours, work.theirs) if turn % 2 == 0 else (work.theirs, work.ours)
        for contender in pair:
            results[contender.name].append(measure(contender, work, seconds))
    ours, theirs = (
        {
            key: statistics.median(result[key] for result in results[contender.name])
            for key in results[contender.name][0]
        }
        for contender in (work.ours, work.theirs)
    )
    return ours, theirs


def row(work: Work, contender: Contender, result: dict[str, float], against: dict[str, float] | None) -> str:
    cpu = result["client_cpu_us"] + result["server_cpu_us"]
    cells = [
        work.title,
        contender.name,
        f"{result['rate']:,.0f}",
        f"{result['p50_us']:,.0f}",
        f"{result['p99_us']:,.0f}",
        f"{result['client_cpu_us']:.1f}",
        f"{result['server_cpu_us']:.1f}",
    ]
    if against is None:
        cells += ["", ""]
    else:
        their_cpu = against["client_cpu_us"] + against["server_cpu_us"]
        cells += [f"{result['rate'] / against['rate']:.2f}x", f"{cpu / their_cpu:.2f}x"]
    return "| " + " | ".join(cells) + " |"


HEADER = """\
| work | library | calls/s | p50 us | p99 us | client CPU us/call | server CPU us/call | rate ratio | CPU ratio |
|---|---|---|---|---|---|---|---|---|"""


def works(arguments: argparse.Namespace) -> list[Work]:
    chosen = []
    if arguments.ours_python and arguments.peers_python:
        ours = python_contender("farcall-python", arguments.ours_python)
        theirs = python_contender("grpcio", arguments.peers_python)
        for threads in (1, 16):
            chosen.append(Work(f"Python blocking unary, 32 B, {threads} thread(s)", [str(threads)], ours, theirs))
    if arguments.rust_bin:
        ours = rust_contender("farcall", arguments.rust_bin)
        theirs = rust_contender("tonic", arguments.rust_bin)
        for in_flight in (1, 100):
            chosen.append(Work(f"Rust unary, 32 B, {in_flight} in flight", [str(in_flight)], ours, theirs))
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours-python", help="an interpreter that has our release wheels")
    parser.add_argument("--peers-python", help="an interpreter that has grpcio")
    parser.add_argument("--rust-bin", type=pathlib.Path, help="where the release programs of bench/rust are")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    arguments = parser.parse_args()

    print(f"{platform.platform()}, {os.cpu_count()} processors; {arguments.rounds} rounds of {arguments.seconds} s\n")
    print(HEADER)
    for work in works(arguments):
        ours, theirs = compare(work, arguments.rounds, arguments.seconds)
        print(row(work, work.ours, ours, theirs))
        print(row(work, work.theirs, theirs, None), flush=True)


if __name__ == "__main__":
    try:
        main()
    except programs.ProgramFailed as failure:
        sys.exit(f"bench failed: {failure}")
