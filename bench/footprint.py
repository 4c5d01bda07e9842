"""What a program pays before it makes a call: `import grpc`, and memory for channels and connections that do nothing.

python footprint.py OURS_PYTHON PEERS_PYTHON [WHEEL]
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys

RUNS = 15
CHANNELS = 2000

IMPORT = "import time; t = time.perf_counter(); import grpc; print(time.perf_counter() - t)"

IDLE_CHANNELS = f"""
import grpc, json
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4
made = [grpc.insecure_channel(f"127.0.0.1:{{port}}") for port in range(1, 200)]
before = resident()
made += [grpc.insecure_channel(f"127.0.0.1:{{port}}") for port in range(1000, 1000 + {CHANNELS})]
print((resident() - before) / {CHANNELS})
"""


def run(python, program):
    return float(subprocess.run([python, "-c", program], check=True, capture_output=True, text=True).stdout)


def import_seconds(pythons):
    """In turns, after one that fills the caches."""
    taken = {name: [] for name in pythons}
    for turn in range(RUNS + 1):
        for name, python in pythons.items():
            seconds = run(python, IMPORT)
            if turn:
                taken[name].append(seconds)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def main(ours, peers, wheel=None):
    pythons = {"farcall": ours, "grpcio": peers}
    figures = {
        "import grpc, ms": {name: round(seconds * 1000, 1) for name, seconds in import_seconds(pythons).items()},
        "idle channel, KiB": {name: round(run(python, IDLE_CHANNELS), 1) for name, python in pythons.items()},
    }
    if wheel:
        figures["wheel, MB"] = {"farcall": round(os.path.getsize(wheel) / 1e6, 2)}
        figures["wheel"] = pathlib.Path(wheel).name
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
