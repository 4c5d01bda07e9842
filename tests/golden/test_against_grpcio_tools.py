"""A sample of what `compare.py` and `mutate.py` count over corpora: our compiler beside grpcio-tools, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).resolve().parent
ROOT = GOLDEN.parents[1]
RUST_BIN = Path(os.environ.get("FARCALL_RUST_BIN", ROOT / "target" / "debug"))
PEERS_PYTHON = os.environ.get("FARCALL_PEERS_PYTHON", str(ROOT / ".venvs" / "peers" / "bin" / "python"))
WHERE = "import grpc_tools, pathlib; print(pathlib.Path(grpc_tools.__file__).parent / '_proto')"


@pytest.fixture(scope="module")
def bundled() -> Path:
    """The directory of the .proto files that come with grpcio-tools."""
    try:
        done = subprocess.run([PEERS_PYTHON, "-c", WHERE], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"no Python with grpcio-tools: {error}; `make peers` makes one")
    if done.returncode != 0:
        pytest.skip(f"{PEERS_PYTHON} has no grpcio-tools; `make peers` installs it")
    return Path(done.stdout.strip())


def holds(script: str, *arguments: str | Path) -> None:
    """Runs a script of this directory, which fails if the two compilers differ more than it allows."""
    compilers = ["--ours", str(RUST_BIN / "farcall-protoc"), "--reference", PEERS_PYTHON]
    command = [sys.executable, str(GOLDEN / script), *map(str, arguments), *compilers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_bundled_files_give_the_same_bytes(bundled: Path) -> None:
    holds("compare.py", bundled)


def test_our_samples_give_the_same_bytes(bundled: Path) -> None:
    # With this option all that is written without it is written too.
    holds("compare.py", GOLDEN / "in", "--option", "grpc_1_0")


@pytest.mark.parametrize("way", ["set", "set-info"])
def test_our_samples_give_the_same_bytes_from_descriptor_sets(bundled: Path, way: str) -> None:
    holds("compare.py", GOLDEN / "in", "--way", way)


@pytest.mark.parametrize(("kind", "count"), [("tokens", "60"), ("grammar", "40")])
def test_broken_and_made_up_files_give_the_same_text(bundled: Path, kind: str, count: str) -> None:
    holds("mutate.py", GOLDEN / "in", "--kind", kind, "--count", count)
