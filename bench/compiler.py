"""`make bench ONLY=compiler`: our protobuf compiler beside grpcio-tools', over a corpus and over one small file.

Everyone takes turns within one run, and each figure is the median of the rounds. Nothing is measured that did not end
well, and output goes to a fresh directory each time.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from report import at_least, cell, quotient, times

SMALL = 'syntax = "proto3"; package g; message R { string name = 1; } service Greeter { rpc Say(R) returns (R); }\n'

COLUMNS = ["work", "who", "wall s", "CPU s", "peak MiB", "as fast as", "target", "CPU", "peak"]


class Compiler(NamedTuple):
    name: str
    command: list[str]


class Work(NamedTuple):
    """Options with `{out}` to be filled in, what they compile, and how many times as fast we mean to be."""

    title: str
    options: list[str]
    inputs: list[str]
    target: float | None
    turns: int = 1
    # Whether a loop that only writes the files is measured, too: no compiler can be faster.
    floor: bool = False


class Run(NamedTuple):
    wall: float
    cpu: float
    peak_mib: float | None


def compile_once(compiler: Compiler, work: Work, folder: pathlib.Path) -> Run:
    out = folder / "out"
    out.mkdir()
    run = compile_into(out, compiler, work, folder)
    shutil.rmtree(out)
    return run


def compile_into(out: pathlib.Path, compiler: Compiler, work: Work, folder: pathlib.Path) -> Run:
    command = [*compiler.command, *(option.format(out=out) for option in work.options), *work.inputs]
    with open(folder / "errors", "wb") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        lines = (folder / "errors").read_text(errors="replace").splitlines()
        sys.exit("\n".join([f"bench failed: {compiler.name}: {work.title}", *lines[-5:]]))
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def medians(compilers: list[Compiler], work: Work, rounds: int) -> dict[str, Run]:
    """Who goes first changes from round to round. A round before the first fills the caches."""
    taken: dict[str, list[Run]] = {compiler.name: [] for compiler in compilers}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(rounds * work.turns + 1):
            for compiler in compilers[:: -1 if turn % 2 else 1]:
                run = compile_once(compiler, work, pathlib.Path(folder))
                if turn:
                    taken[compiler.name].append(run)
    return {name: Run(*map(statistics.median, zip(*runs, strict=True))) for name, runs in taken.items()}


def write_once(files: list[tuple[str, bytes]], out: pathlib.Path) -> Run:
    """A plain loop: directories, then each file opened, written and closed."""
    out.mkdir()
    begin, begin_cpu = time.perf_counter(), time.process_time()
    for directory in sorted({os.path.dirname(name) for name, _ in files} - {""}):
        os.makedirs(out / directory, exist_ok=True)
    for name, content in files:
        handle = os.open(f"{out}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(handle, content)
        os.close(handle)
    run = Run(time.perf_counter() - begin, time.process_time() - begin_cpu, None)
    shutil.rmtree(out)
    return run


def floor(compiler: Compiler, work: Work, rounds: int) -> tuple[str, Run]:
    """What writing the outputs of a compiler takes, without making them."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        out = folder / "out"
        out.mkdir()
        compile_into(out, compiler, work, folder)
        paths = [path for path in sorted(out.rglob("*")) if path.is_file()]
        files = [(path.relative_to(out).as_posix(), path.read_bytes()) for path in paths]
        shutil.rmtree(out)
        runs = [write_once(files, out) for _ in range(rounds + 1)][1:]
    wall, cpu = (statistics.median(figures) for figures in ([run.wall for run in runs], [run.cpu for run in runs]))
    return f"a loop that writes these {len(files):,} files", Run(wall, cpu, None)


def lines_of(work: Work, results: dict[str, Run], theirs: Run) -> list[str]:
    """A line for each; ours say how they compare with theirs."""
    lines = []
    for name, run in results.items():
        cells = [work.title, name, cell(run.wall, 3), cell(run.cpu, 3), cell(run.peak_mib)]
        if run is theirs:
            cells += [""] * 4
        else:
            cells += [times(quotient(theirs.wall, run.wall)), at_least(work.target)]
            cells += [times(quotient(run.cpu, theirs.cpu)), times(quotient(run.peak_mib, theirs.peak_mib))]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def corpus_files(corpus: pathlib.Path) -> list[str]:
    """All but protobuf's own, which everyone brings along."""
    found = (path.relative_to(corpus).as_posix() for path in corpus.rglob("*.proto"))
    return sorted(name for name in found if not name.startswith("google/protobuf/"))


def works(corpus: pathlib.Path, folder: pathlib.Path) -> list[Work]:
    names = corpus_files(corpus)
    if not names:
        sys.exit(f"bench failed: no .proto files under {corpus}")
    (folder / "corpus.txt").write_text("\n".join(names))
    inputs = [f"-I{corpus}", f"@{folder / 'corpus.txt'}"]
    small = folder / "small.proto"
    small.write_text(SMALL)
    python = ["--python_out={out}", "--pyi_out={out}", "--grpc_python_out={out}"]
    descriptors = ["--descriptor_set_out={out}/set.pb"]
    count = f"{len(names):,} files"
    # With fewer, what is measured is how long Python takes to start.
    target = 4 if len(names) >= 1000 else None
    return [
        Work(f"{count}: Python outputs", python, inputs, 6 if target else None, floor=True),
        Work(f"{count}: descriptor set", descriptors, inputs, target),
        Work(
            f"{count}: descriptor set, source info and imports",
            [*descriptors, "--include_source_info", "--include_imports"],
            inputs,
            target,
        ),
        Work("one small file: Python outputs", python, [f"-I{folder}", str(small)], 1, turns=10),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ours-python", required=True, help="an interpreter that has our release wheel of the tools")
    parser.add_argument("--peers-python", required=True, help="an interpreter that has grpcio-tools")
    parser.add_argument("--protoc", help="our command, built for release")
    parser.add_argument("--corpus", type=pathlib.Path, required=True, help="a directory that .proto files lie under")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the directory for compiler.md")
    arguments = parser.parse_args()

    module = ["-m", "grpc_tools.protoc"]
    compilers = [Compiler("farcall-tools", [arguments.ours_python, *module])]
    if arguments.protoc:
        compilers.append(Compiler("farcall-protoc", [arguments.protoc]))
    compilers.append(Compiler("grpcio-tools", [arguments.peers_python, *module]))

    arguments.out.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    head = f"{platform.platform()}, {os.cpu_count()} processors, load {load:.1f}; {arguments.rounds} rounds"
    lines = [head, "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    with tempfile.TemporaryDirectory() as folder:
        for work in works(arguments.corpus.resolve(), pathlib.Path(folder)):
            print(f"{work.title} ...", file=sys.stderr, flush=True)
            results = medians(compilers, work, arguments.rounds)
            theirs = results[compilers[-1].name]
            if work.floor:
                name, run = floor(compilers[0], work, arguments.rounds)
                results[name] = run
            lines += lines_of(work, results, theirs)
            # Written after each, so that a run that is stopped leaves what it has.
            (arguments.out / "compiler.md").write_text("\n".join(lines) + "\n")
    print((arguments.out / "compiler.md").read_text())
    print(f"also in {arguments.out}: compiler.md")


if __name__ == "__main__":
    main()
