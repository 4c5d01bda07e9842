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

import installing
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


SERVES_ITSELF = """
    import concurrent.futures, sys
    import grpc, google.protobuf
    from grpc_channelz.v1 import channelz, channelz_pb2, channelz_pb2_grpc
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc
    from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
    from grpc_status import rpc_status

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    reflection.enable_server_reflection(["grpc.health.v1.Health"], server)
    channelz.add_channelz_servicer(server)
    port = server.add_insecure_port("localhost:0")
    server.start()
    with grpc.insecure_channel(f"localhost:{port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        assert stub.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        try:
            stub.Check(health_pb2.HealthCheckRequest(service="none"))
        except grpc.RpcError as error:
            assert rpc_status.from_call(error) is None
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]))
        assert answer.list_services_response.service[0].name == "grpc.health.v1.Health"
        if "farcall" in grpc.__path__[0]:
            servers = channelz_pb2_grpc.ChannelzStub(channel).GetServers(channelz_pb2.GetServersRequest())
            assert len(servers.server) == 1
    server.stop(None).wait()
    print(google.protobuf.__version__, "farcall" if "farcall" in grpc.__path__[0] else "grpcio")
"""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("protobuf", ["5.29.6", "6.33.6", "7.36.2"])
def test_the_services_load_under_every_protobuf(
    wheels: list[pathlib.Path], tmp_path: pathlib.Path, protobuf: str
) -> None:
    """Those that the wheel claims: the generated modules of 7.35 ask for 7.35."""
    interpreter = installing.venv(tmp_path / "environment")
    command = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet"]
    programs.run([*command, f"{wheels[0]}[health,reflection,channelz,status]", f"protobuf=={protobuf}"], patience=300)
    printed = run_in(tmp_path, [str(interpreter), "-W", "error", "-c", textwrap.dedent(SERVES_ITSELF)])
    assert printed == f"{protobuf} farcall\n"


@pytest.mark.timeout(600)
def test_one_variable_runs_a_program_on_grpcio(wheels: list[pathlib.Path], tmp_path: pathlib.Path) -> None:
    """grpcio itself and its packages beside ours, from the index; then ours goes and grpcio is whole."""
    interpreter = str(installing.venv(tmp_path / "environment"))
    pip = [sys.executable, "-m", "pip", "--python", interpreter]
    theirs = [f"grpcio{name}" for name in ("", "-health-checking", "-reflection", "-channelz", "-status")]
    programs.run([*pip, "install", "--quiet", *map(str, wheels), *theirs], patience=300)
    program = [interpreter, "-c", textwrap.dedent(SERVES_ITSELF)]
    assert run_in(tmp_path, program).endswith(" farcall\n")
    assert programs.run(program, env={"FARCALL": "0"}).endswith(" grpcio\n")
    programs.run([*pip, "uninstall", "--quiet", "--yes", "farcall", "farcall-tools"])
    assert run_in(tmp_path, program).endswith(" grpcio\n")
    assert "No broken requirements found." in programs.run([*pip, "check"])
