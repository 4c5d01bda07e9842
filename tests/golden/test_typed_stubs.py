"""`--grpc_python_out=typed_stubs:DIR`: what a type checker makes of programs that use the stubs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy checks the stubs")

ROOT = Path(__file__).resolve().parents[2]
RUST_BIN = Path(os.environ.get("FARCALL_RUST_BIN", ROOT / "target" / "debug"))
PROGRAMS = Path(__file__).parent / "typed"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the programs and the stubs that they import."""
    directory = tmp_path_factory.mktemp("typed")
    for program in PROGRAMS.iterdir():
        shutil.copy(program, directory)
    command = [str(RUST_BIN / "farcall-protoc"), "-I.", "--grpc_python_out=typed_stubs:.", "kinds.proto"]
    subprocess.run(command, cwd=directory, check=True)
    return directory


def mypy(directory: Path, *files: str) -> tuple[int, str]:
    environment = {**os.environ, "MYPYPATH": f"{directory}{os.pathsep}{ROOT / 'python/farcall/farcall/_packages'}"}
    # An empty configuration: not that of whoever runs this.
    options = ["--strict", "--python-version=3.10", "--config-file=", "--hide-error-context", "--no-pretty"]
    command = [sys.executable, "-m", "mypy", *options, *files]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_program_with_blocking_and_async_stubs_and_servicers_is_accepted(place: Path) -> None:
    code, output = mypy(place, "good.py", "kinds_pb2_grpc.pyi")
    assert code == 0, output


def test_every_mistake_is_found(place: Path) -> None:
    _, output = mypy(place, "bad.py")
    found = re.findall(r"^bad\.py:(\d+): error: .*\[([a-z-]+)\]$", output, re.MULTILINE)
    lines = (place / "bad.py").read_text().splitlines()
    wrong = [(str(number), line.split("  # ")[1]) for number, line in enumerate(lines, 1) if "  # " in line]
    assert sorted(found) == sorted(wrong), output


def test_the_stubs_say_what_the_module_holds(place: Path) -> None:
    names = re.compile(r"^(?:class|def) (\w+)|^([A-Z]\w+):", re.MULTILINE)
    module, stubs = ((place / f"kinds_pb2_grpc.{suffix}").read_text() for suffix in ("py", "pyi"))
    public = {a or b for a, b in names.findall(stubs)} - {"OracleAsyncStub"}
    real = {a or b for a, b in names.findall(module)} | {"GRPC_GENERATED_VERSION", "GRPC_VERSION"}
    assert {name for name in public if not name.startswith("_")} == real
