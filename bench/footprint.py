"""What a program pays before it makes a call: `import grpc`, a channel that does nothing, the wheel."""

from __future__ import annotations

import pathlib
import statistics
import subprocess

from report import Footprint

RUNS = 15
CHANNELS = 2000

IMPORT = "import time; t = time.perf_counter(); import grpc; print((time.perf_counter() - t) * 1000)"

# What is loaded late must be paid some time.
FIRST_CHANNEL = (
    "import time; t = time.perf_counter(); import grpc; channel = grpc.insecure_channel('localhost:1'); "
    "grpc.StatusCode; print((time.perf_counter() - t) * 1000); channel.close()"
)

IDLE_CHANNELS = f"""
import grpc
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4
made = [grpc.insecure_channel(f"127.0.0.1:{{port}}") for port in range(1, 200)]
before = resident()
made += [grpc.insecure_channel(f"127.0.0.1:{{port}}") for port in range(1000, 1000 + {CHANNELS})]
print((resident() - before) / {CHANNELS})
"""


def run(python: str, program: str) -> float:
    return float(subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout)


def in_turns(pythons: list[str], program: str, runs: int = RUNS) -> list[float]:
    """The medians, after one run of each that fills the caches."""
    taken: list[list[float]] = [[] for _ in pythons]
    for turn in range(runs + 1):
        for figures, python in zip(taken, pythons, strict=True):
            figure = run(python, program)
            if turn:
                figures.append(figure)
    return [statistics.median(figures) for figures in taken]


def footprints(ours: str, peers: str, wheel: pathlib.Path | None) -> list[Footprint]:
    pythons = [ours, peers]
    rows = [
        Footprint("`import grpc`", "ms", *in_turns(pythons, IMPORT), 1 / 4),
        Footprint("import and a first channel", "ms", *in_turns(pythons, FIRST_CHANNEL), 1),
        Footprint("channel that never connected", "KiB", *in_turns(pythons, IDLE_CHANNELS, 1), 1 / 2),
    ]
    if wheel:
        rows.append(Footprint("wheel", "MB", wheel.stat().st_size / 1e6, None, 4, target_is_share=False))
    return rows
