"""The wheels, in an environment that holds nothing else but protobuf: what a user gets.

`make test` builds them unoptimised in build/wheels; FARCALL_WHEELS=dist tests the release ones of `make wheels`.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import textwrap

import programs
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHEELS = ROOT / os.environ.get("FARCALL_WHEELS", "build/wheels")
GREETER = ROOT / "examples" / "python" / "greeter"
CONTRACTS = ROOT / "examples" / "proto"


@pytest.fixture(scope="session")
def wheels() -> list[pathlib.Path]:
    """Ours, and not those that stand in for grpcio."""
    found = sorted(WHEELS.rglob("farcall*.whl"))
    assert len(found) == 2, f"expected a farcall and a farcall-tools wheel under {WHEELS}, found {found}"
    return found


@pytest.fixture(scope="session")
def python(wheels: list[pathlib.Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the wheels and what they ask for, installed by pip from the index."""
    folder = tmp_path_factory.mktemp("empty") / "environment"
    programs.run([sys.executable, "-m", "venv", str(folder)])
    interpreter = str(folder / "bin" / "python")
    programs.run([interpreter, "-m", "pip", "install", "--quiet", *map(str, wheels), "protobuf"], patience=300)
    return interpreter


def run_in(folder: pathlib.Path, command: list[str]) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=60).stdout


def test_wheels_are_for_this_interpreter(wheels: list[pathlib.Path]) -> None:
    """Each for one version, with a global lock or without: docs/decisions says why."""
    version = "cp{}{}".format(*sys.version_info[:2])
    lockless = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    for wheel in wheels:
        assert wheel.name.split("-")[2:4] == [version, version + lockless]


def test_versions(python: str, tmp_path: pathlib.Path) -> None:
    printed = run_in(tmp_path, [python, "-c", "import farcall, grpc; print(grpc.__version__, farcall.__version__)"])
    grpcio_version, own_version = printed.split()
    assert grpcio_version == "1.85.3"
    workspace = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    assert f'version = "{own_version}"' in workspace


def test_nothing_else_is_installed(python: str, tmp_path: pathlib.Path) -> None:
    printed = run_in(tmp_path, [python, "-m", "pip", "list", "--format=freeze"])
    names = {line.split("==")[0].lower() for line in printed.splitlines()}
    ours = {"farcall", "farcall-tools", "protobuf", "typing-extensions"}
    assert names - {"pip", "setuptools", "wheel"} <= ours


@pytest.mark.parametrize(
    ("include", "contract", "module"),
    [
        ("-I.", "greeter.proto", "greeter_pb2_grpc"),
        ("-I../contracts", "greeter.proto", "greeter_pb2_grpc"),
        ("-Ipb=./contracts", "pb/greeter.proto", "pb.greeter_pb2_grpc"),
    ],
)
def test_compile_and_call(python: str, tmp_path: pathlib.Path, include: str, contract: str, module: str) -> None:
    """The include forms of grpcio-tools, then a call through what they made."""
    work = tmp_path / "work"
    work.mkdir()
    for place in (work, work / "contracts", tmp_path / "contracts"):
        place.mkdir(exist_ok=True)
        shutil.copy(CONTRACTS / "greeter.proto", place)
    outputs = [f"--{kind}_out=." for kind in ("python", "pyi", "grpc_python")]
    run_in(work, [python, "-m", "grpc_tools.protoc", include, *outputs, contract])
    program = f"""
        import importlib, sys
        for name in ("greeter_pb2", "greeter_pb2_grpc"):
            sys.modules[name] = importlib.import_module("{module}".replace("greeter_pb2_grpc", name))
        sys.path.insert(0, {str(GREETER)!r})
        import greeter_client, greeter_server, grpc, concurrent.futures
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
        sys.modules["greeter_pb2_grpc"].add_GreeterServicer_to_server(greeter_server.Greeter(), server)
        port = server.add_insecure_port("localhost:0")
        server.start()
        greeter_client.run(f"localhost:{{port}}")
        server.stop(None).wait()
    """
    printed = run_in(work, [python, "-c", textwrap.dedent(program)])
    assert printed == "Greeter client received: Hello, you!\nGreeter client received: Hello again, you!\n"
