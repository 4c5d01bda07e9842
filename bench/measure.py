"""One measurement: a server and a client process, looked at from outside at the begin and at the end."""

from __future__ import annotations

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "testkit"))

import programs  # it lives with the tests, which use it most

SYSCALLS = "raw_syscalls:sys_enter"


class Contender(NamedTuple):
    """How a server and a client are started: `{address}` and `{seconds}` are filled in."""

    name: str
    server: list[str]
    client: list[str]


class Look(NamedTuple):
    """A process at one moment: processor seconds used, memory in bytes now and at its peak, pages got on touch."""

    cpu: float
    memory: int
    peak: int
    faults: int


def look(pid: int) -> Look:
    # The clock of another process's processor time (clock_getcpuclockid of libc): exact, ended threads included.
    cpu = time.clock_gettime((~pid << 3) | 2)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    # After the name, which may hold blanks: the state is the first field, the count of minor faults the eighth.
    faults = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])
    return Look(cpu, kilobytes(fields["VmRSS"]), kilobytes(fields["VmHWM"]), faults)


def kilobytes(text: str) -> int:
    return int(text.split()[0]) * 1024


class Counter:
    """Counts the system calls of a process with perf from now on."""

    def __init__(self, pid: int) -> None:
        command = ["perf", "stat", "-x,", "-e", SYSCALLS, "-p", str(pid)]
        self._perf = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def count(self) -> int:
        self._perf.send_signal(signal.SIGINT)
        printed = self._perf.communicate(timeout=30)[1]
        lines = [line for line in printed.splitlines() if SYSCALLS in line]
        return int(lines[0].split(",")[0])


def can_count() -> bool:
    if shutil.which("perf") is None:
        return False
    tried = subprocess.run(["perf", "stat", "-x,", "-e", SYSCALLS, "true"], capture_output=True, text=True)
    return tried.returncode == 0 and any(SYSCALLS in line and line[0].isdigit() for line in tried.stderr.splitlines())


def measure(contender: Contender, seconds: float, *, count_syscalls: bool = False) -> dict[str, float | None]:
    """The figures of one run. Counting system calls slows a run, so its other figures are not to be used."""
    fill = {"seconds": str(seconds)}
    with programs.Server([word.format(address="127.0.0.1:0", **fill) for word in contender.server]) as server:
        fill["address"] = f"127.0.0.1:{server.port}"
        command = [word.format(**fill) for word in contender.client]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            try:
                return observe(client, server.pid, count_syscalls)
            except BaseException:
                client.kill()
                print(server.output(), file=sys.stderr)
                raise


def observe(client: subprocess.Popen[str], server_pid: int, count_syscalls: bool) -> dict[str, float | None]:
    pids = {"client": client.pid, "server": server_pid}
    expect(client, "BEGIN")
    counters = {side: Counter(pid) for side, pid in pids.items()} if count_syscalls else {}
    if counters:
        # perf does not say when it has begun; what it misses of a second is no matter for calls per operation.
        time.sleep(0.3)
    before = {side: look(pid) for side, pid in pids.items()}
    answer(client)
    expect(client, "END")
    after = {side: look(pid) for side, pid in pids.items()}
    counts = {side: counter.count() for side, counter in counters.items()}
    answer(client)
    assert client.stdout is not None
    told: dict[str, Any] = json.loads(client.stdout.readline())
    operations = told["operations"]
    figures: dict[str, float | None] = {
        "rate": operations / told["seconds"],
        "p50_us": told["p50_us"],
        "p99_us": told["p99_us"],
    }
    for side in pids:
        figures[f"{side}_cpu_us"] = (after[side].cpu - before[side].cpu) / operations * 1e6
        figures[f"{side}_faults"] = (after[side].faults - before[side].faults) / operations
        figures[f"{side}_peak_mib"] = after[side].peak / 2**20
        figures[f"{side}_kib_each"] = (after[side].memory - before[side].memory) / operations / 2**10
        figures[f"{side}_syscalls"] = counts[side] / operations if counts else None
    return figures


def expect(client: subprocess.Popen[str], word: str) -> None:
    assert client.stdout is not None
    line = client.stdout.readline().strip()
    if line != word:
        raise programs.ProgramFailed(f"{client.args!r}\nsaid {line!r} and not {word}")


def answer(client: subprocess.Popen[str]) -> None:
    assert client.stdin is not None
    client.stdin.write("go on\n")
    client.stdin.flush()
