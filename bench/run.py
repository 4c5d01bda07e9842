"""`make bench`: Farcall beside tonic and grpcio, client and server each a process, all in turns in one run.

Machines are noisy and differ; the ratios within one run are what to look at. Each figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
from typing import NamedTuple

from footprint import footprints
from measure import Contender, can_count, measure, programs
from report import Figures, Footprint, Outcome, chart, footprint_table, table

ROOT = pathlib.Path(__file__).resolve().parents[1]
PYTHON_PROGRAMS = ROOT / "bench" / "python"

CONNECTIONS = 10_000
# What a process needs besides its connections.
SPARE_FILES = 200
# What a message in a DATA frame of gRPC takes besides its bytes.
FRAMING = 9 + 5


class Work(NamedTuple):
    """Something to measure, and who does it: ours first, then the one it is compared with, then others, then floors."""

    key: str
    title: str
    contenders: list[Contender]
    target: float | None = None
    target_of_floor: float | None = None
    memory_counts: bool = False
    floors: int = 0


def rust(folder: pathlib.Path, library: str, work: str, threads: int) -> Contender:
    server = [str(folder / f"{library}-server"), "{address}", str(threads)]
    return Contender(library, server, [str(folder / f"{library}-client"), "{address}", str(threads), work, "{seconds}"])


def rust_floor(folder: pathlib.Path, kind: str, message: int) -> Contender:
    exchange = ["{address}", kind, str(FRAMING + message)]
    server, client = [str(folder / "sockets-server"), *exchange], [str(folder / "sockets-client"), *exchange]
    return Contender(f"{kind} socket", server, [*client, "{seconds}"])


def rust_works(folder: pathlib.Path, connections: int) -> list[Work]:
    # Key, title, work, against tonic, of the bare tokio socket (the targets that the project has set itself), and the
    # message that sockets echo, where that is a floor.
    rows: list[tuple[str, str, str, float | None, float | None, int | None]] = [
        ("unary-1", "unary, 1 in flight", "unary:1", 1.6, 0.7, 32),
        ("unary-100", "unary, 100 in flight", "unary:100", 3, None, None),
        ("server-stream", "server streaming, 32 B", "server-stream", 1.5, None, None),
        ("client-stream", "client streaming, 32 B", "client-stream", 1.5, None, None),
        ("bidi-stream", "bidi streaming, 32 B", "bidi-stream", 1.5, None, None),
        ("ping-pong", "bidi ping-pong, 32 B", "ping-pong", 1.5, 0.7, 32),
        ("echo-64k", "64 KiB echo", f"echo:{64 << 10}", None, None, 64 << 10),
        ("echo-4m", "4 MiB echo", f"echo:{4 << 20}", 6, None, 4 << 20),
    ]
    works = []
    for threads in (1, 2):
        for key, title, work, target, of_floor, floor in rows:
            contenders = [rust(folder, library, work, threads) for library in ("farcall", "tonic")]
            floors = (
                [rust_floor(folder, kind, floor) for kind in ("blocking", "tokio")] if floor and threads == 1 else []
            )
            title = f"Rust {title}" + ("" if threads == 1 else ", 2 threads")
            of_floor = of_floor if threads == 1 else None
            contenders += floors
            works.append(Work(f"rust-{key}-{threads}t", title, contenders, target, of_floor, floors=len(floors)))
    idle = [rust(folder, library, f"idle:{connections}", 1) for library in ("farcall", "tonic")]
    works.append(Work("rust-idle-1t", f"Rust {connections:,} idle connections", idle, 2, None, memory_counts=True))
    return works


def python(interpreter: str, name: str, work: str, *generated: str) -> Contender:
    server, client = ([interpreter, str(PYTHON_PROGRAMS / f"echo_{role}.py")] for role in ("server", "client"))
    return Contender(name, [*server, "{address}", *generated], [*client, "{address}", work, "{seconds}", *generated])


def python_floor(interpreter: str, message: int, *generated: str) -> Contender:
    program, size = [interpreter, str(PYTHON_PROGRAMS / "sockets.py")], str(FRAMING + message)
    name = "socket and protobuf" if generated else "Python socket"
    server = [*program, "serve", size, *generated]
    return Contender(name, server, [*program, "call", "{address}", size, "{seconds}", *generated])


def python_works(ours: str, peers: str, connections: int) -> list[Work]:
    # Key, title, work, against grpcio, of the bare socket, and the message that sockets echo, where that is a floor.
    rows: list[tuple[str, str, str, float, float | None, int | None]] = [
        ("unary-1", "unary, 1 thread", "unary:1", 6, 0.35, 32),
        ("unary-16", "unary, 16 threads", "unary:16", 4, None, None),
        ("server-stream", "server streaming, 32 B", "server-stream", 15, None, None),
        ("client-stream", "client streaming, 32 B", "client-stream", 15, None, None),
        ("ping-pong", "bidi ping-pong, 32 B", "ping-pong", 5, None, 32),
        ("echo-4m", "4 MiB echo", f"echo:{4 << 20}", 3, None, 4 << 20),
    ]
    works = []
    for key, title, work, target, of_floor, floor in rows:
        floors = [python_floor(peers, floor)] if floor else []
        contenders = [python(ours, "farcall", work), python(peers, "grpcio", work), *floors]
        title = f"Python blocking {title}"
        works.append(Work(f"python-{key}", title, contenders, target, of_floor, floors=len(floors)))
    idle = [python(ours, "farcall", f"idle:{connections}"), python(peers, "grpcio", f"idle:{connections}")]
    title = f"Python blocking {connections:,} idle connections"
    works.append(Work("python-idle", title, idle, 2, None, memory_counts=True))
    return works


def python_aio(interpreter: str, name: str, loop: str, work: str, *generated: str) -> Contender:
    server, client = ([interpreter, str(PYTHON_PROGRAMS / f"aio_{role}.py"), loop] for role in ("server", "client"))
    return Contender(name, [*server, "{address}", *generated], [*client, "{address}", work, "{seconds}", *generated])


def python_aio_floor(interpreter: str, loop: str, count: int) -> Contender:
    program = [interpreter, str(PYTHON_PROGRAMS / "aio_sockets.py")]
    return Contender(
        f"bare {loop}", [*program, "serve", loop], [*program, "call", loop, "{address}", str(count), "{seconds}"]
    )


def grpclib(interpreter: str, loop: str, work: str) -> Contender:
    program = [interpreter, str(PYTHON_PROGRAMS / "grpclib_peer.py")]
    return Contender("grpclib", [*program, "serve", loop], [*program, "call", loop, "{address}", work, "{seconds}"])


def python_aio_works(ours: str, peers: str) -> list[Work]:
    # Key, title, work, against grpcio on asyncio and on uvloop, and how many calls the floor has in flight.
    rows: list[tuple[str, str, str, float, float, int | None]] = [
        ("unary-1", "unary, 1 in flight", "unary:1", 5, 9, 1),
        ("unary-100", "unary, 100 in flight", "unary:100", 8, 8, 100),
        ("server-stream", "server streaming, 32 B", "server-stream", 15, 15, None),
        ("client-stream", "client streaming, 32 B", "client-stream", 15, 15, None),
        ("ping-pong", "bidi ping-pong, 32 B", "ping-pong", 4, 4, None),
        ("echo-4m", "4 MiB echo", f"echo:{4 << 20}", 4, 4, None),
    ]
    works = []
    for loop in ("asyncio", "uvloop"):
        for key, title, work, on_asyncio, on_uvloop, floor in rows:
            contenders = [python_aio(ours, "farcall", loop, work), python_aio(peers, "grpcio", loop, work)]
            if work in ("server-stream", "client-stream", "ping-pong"):
                contenders.append(grpclib(peers, loop, work))
            floors = [python_aio_floor(ours, loop, floor)] if floor else []
            contenders += floors
            target = on_asyncio if loop == "asyncio" else on_uvloop
            title = f"Python {loop} {title}"
            works.append(Work(f"python-{loop}-{key}", title, contenders, target, floors=len(floors)))
    return works


def python_generated_works(ours: str, peers: str, out: pathlib.Path) -> list[Work]:
    """What is measured with protobuf's messages and generated stubs, each by the contender's own tools."""
    # Key, title, work, and what it is to be against grpcio.
    blocking: list[tuple[str, str, str, float | None]] = [
        ("unary-1", "unary, 1 thread", "unary:1", None),
        ("unary-16", "unary, 16 threads", "unary:16", None),
        ("server-stream", "server streaming, 32 B", "server-stream", None),
        ("client-stream", "client streaming, 32 B", "client-stream", None),
        ("ping-pong", "bidi ping-pong, 32 B", "ping-pong", None),
        ("echo-4m", "4 MiB echo", f"echo:{4 << 20}", 4),
    ]
    aio: list[tuple[str, str, str, float | None]] = [
        ("unary-1", "unary, 1 in flight", "unary:1", None),
        ("unary-100", "unary, 100 in flight", "unary:100", None),
        *blocking[2:],
    ]
    contenders = [("farcall", ours, generated(ours, out / "ours")), ("grpcio", peers, generated(peers, out / "peers"))]
    works = []
    for key, title, work, target in blocking:
        everyone = [python(interpreter, name, work, stubs) for name, interpreter, stubs in contenders]
        floors = [python_floor(peers, 4 << 20, contenders[1][2])] if key == "echo-4m" else []
        title = f"Python blocking, generated stubs: {title}"
        works.append(Work(f"python-generated-{key}", title, everyone + floors, target, floors=len(floors)))
    for key, title, work, target in aio:
        both = [python_aio(interpreter, name, "asyncio", work, stubs) for name, interpreter, stubs in contenders]
        title = f"Python asyncio, generated stubs: {title}"
        works.append(Work(f"python-asyncio-generated-{key}", title, both, target))
    return works


def generated(interpreter: str, directory: pathlib.Path) -> str:
    """Where the tools of `interpreter` have written what they make of bench.proto."""
    directory.mkdir(parents=True, exist_ok=True)
    outputs = [f"--{kind}_out={directory}" for kind in ("python", "grpc_python")]
    command = [interpreter, "-m", "grpc_tools.protoc", f"-I{PYTHON_PROGRAMS}", *outputs, "bench.proto"]
    subprocess.run(command, check=True)
    return str(directory)


def outcome(work: Work, rounds: int, seconds: float, counting: bool) -> Outcome:
    """The medians of everyone; who goes first changes from round to round."""
    taken: dict[str, list[Figures]] = {contender.name: [] for contender in work.contenders}
    for turn in range(1 if work.memory_counts else rounds):
        for contender in work.contenders[:: -1 if turn % 2 else 1]:
            taken[contender.name].append(measure(contender, seconds))
    medians = {name: {key: median(each[key] for each in rounds_of) for key in rounds_of[0]}
               for name, rounds_of in taken.items()}  # fmt: skip
    if counting and not work.memory_counts:
        for contender in work.contenders:
            counted = measure(contender, min(seconds, 1), count_syscalls=True)
            medians[contender.name] |= {key: counted[key] for key in ("client_syscalls", "server_syscalls")}
    return Outcome(work.title, medians, work.target, work.target_of_floor, work.memory_counts, work.floors)


def median(values) -> float | None:  # type: ignore[no-untyped-def]
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def connections_allowed() -> int:
    """As many as the system lets one process have, up to what is wanted; the limit goes on to the programs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + SPARE_FILES
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return files - SPARE_FILES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours-python", help="an interpreter that has our release wheels")
    parser.add_argument("--peers-python", help="an interpreter that has grpcio")
    parser.add_argument("--wheel", type=pathlib.Path, help="our wheel, to be weighed")
    parser.add_argument("--rust-bin", type=pathlib.Path, help="where the release programs of bench/rust are")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each measurement")
    parser.add_argument("--only", default="", help="words with commas; works whose key has one of them")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "bench")
    arguments = parser.parse_args()

    works = []
    if arguments.rust_bin:
        works += rust_works(arguments.rust_bin, connections_allowed())
    if arguments.ours_python and arguments.peers_python:
        works += python_works(arguments.ours_python, arguments.peers_python, min(2000, connections_allowed()))
        works += python_aio_works(arguments.ours_python, arguments.peers_python)
        works += python_generated_works(arguments.ours_python, arguments.peers_python, arguments.out / "generated")
    works = [work for work in works if any(word in work.key for word in arguments.only.split(","))]
    weighs = arguments.ours_python and any(word in "python-footprint" for word in arguments.only.split(","))
    if not works and not weighs:
        sys.exit(f"bench: no work has one of {arguments.only!r} in its key")

    counting = can_count()
    outcomes: list[Outcome] = []
    weighed: list[Footprint] = []
    if weighs:
        print("python-footprint ...", file=sys.stderr, flush=True)
        weighed = footprints(arguments.ours_python, arguments.peers_python, arguments.wheel)
        write(arguments, outcomes, weighed)
    for work in works:
        print(f"{work.key} ...", file=sys.stderr, flush=True)
        outcomes.append(outcome(work, arguments.rounds, arguments.seconds, counting))
        if work.memory_counts and work.key.startswith("python"):
            weighed += idle_footprints(outcomes[-1])
        # Written after each, so that a run that is stopped leaves what it has.
        write(arguments, outcomes, weighed)
    print((arguments.out / "table.md").read_text())
    print(f"also in {arguments.out}: table.md, chart.svg")


def idle_footprints(outcome: Outcome) -> list[Footprint]:
    """What a connection that has made one call costs its client and its server."""
    ours, theirs = list(outcome.results.values())[:2]
    sides = {"client": "idle channel with a connection", "server": "idle connection of a server"}
    found = [(title, ours[f"{side}_kib_each"], theirs[f"{side}_kib_each"]) for side, title in sides.items()]
    return [Footprint(title, "KiB", mine, other, 1 / 2) for title, mine, other in found if mine is not None]


def write(arguments: argparse.Namespace, outcomes: list[Outcome], weighed: list[Footprint]) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    head = f"{platform.platform()}, {os.cpu_count()} processors; {arguments.rounds} rounds of {arguments.seconds} s"
    parts = [head, table(outcomes) if outcomes else "", footprint_table(weighed) if weighed else ""]
    (arguments.out / "table.md").write_text("\n\n".join(part.rstrip() for part in parts if part) + "\n")
    (arguments.out / "chart.svg").write_text(chart(outcomes, weighed))


if __name__ == "__main__":
    try:
        main()
    except programs.ProgramFailed as failure:
        sys.exit(f"bench failed: {failure}")
