"""Who takes part in the interoperation tests, and how their programs are started."""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import programs
import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS_PYTHON = os.environ.get("FARCALL_PEERS_PYTHON", str(ROOT / ".venvs" / "peers" / "bin" / "python"))
RUST_BIN = pathlib.Path(os.environ.get("FARCALL_RUST_BIN", ROOT / "target" / "debug"))

sys.path.insert(0, str(ROOT / "tests" / "python"))

from certificates import Authority  # noqa: E402

Outcome = dict[str, Any]

# name -> (interpreter, program, whose compiler made the messages and stubs)
PYTHON_PEERS = {
    "grpcio": (PEERS_PYTHON, "grpcio", "theirs"),
    "grpclib": (PEERS_PYTHON, "grpclib", "theirs"),
    "grpcio-aio": (PEERS_PYTHON, "aio", "theirs"),
    "ours-python": (sys.executable, "grpcio", "ours"),
    "ours-aio": (sys.executable, "aio", "ours"),
    # Generated code that exists already, made by grpcio-tools, imported by our `grpc`.
    "ours-python-their-code": (sys.executable, "grpcio", "theirs"),
    # And the other way round: what our compiler makes, under grpcio.
    "grpcio-our-code": (PEERS_PYTHON, "grpcio", "ours"),
}


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Messages and stubs of interop.proto, by our compiler and by grpcio-tools."""
    made = {}
    for whose, python in (("ours", sys.executable), ("theirs", PEERS_PYTHON)):
        folder = tmp_path_factory.mktemp(f"generated-{whose}")
        outputs = [f"--{kind}_out={folder}" for kind in ("python", "grpc_python")]
        programs.run([python, "-m", "grpc_tools.protoc", f"-I{HERE / 'proto'}", *outputs, "interop.proto"])
        made[whose] = folder
    return made


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority()
    (folder / "roots.pem").write_bytes(authority.root)
    for name, pair in (
        ("server", authority.issue("server", "DNS:localhost", "IP:127.0.0.1")),
        ("client", authority.issue("client", "DNS:client.example")),
    ):
        (folder / f"{name}.key").write_bytes(pair.key)
        (folder / f"{name}.pem").write_bytes(pair.chain)
    return folder


def command_for(peer: str, role: str, generated: dict[str, pathlib.Path]) -> tuple[list[str], dict[str, str]]:
    if peer == "ours-rust":
        return [str(RUST_BIN / f"interop-{role}")], {}
    python, program, whose = PYTHON_PEERS[peer]
    return [python, str(HERE / "peers" / f"{program}_{role}.py")], {"PYTHONPATH": str(generated[whose])}


@pytest.fixture(scope="session")
def servers(generated: dict[str, pathlib.Path]) -> Iterator[Callable[[str], programs.Server]]:
    """One running server of each kind, started when first asked for."""
    running: dict[str, programs.Server] = {}

    def server(peer: str) -> programs.Server:
        if peer not in running:
            command, env = command_for(peer, "server", generated)
            running[peer] = programs.Server([*command, "127.0.0.1:0"], env=env)
        return running[peer]

    yield server
    for each in running.values():
        each.stop()


@pytest.fixture(scope="session")
def perform(generated: dict[str, pathlib.Path]) -> Callable[..., dict[str, Outcome]]:
    """Has a client perform cases at a port of this machine, or a target; answers the outcomes by name of the case."""

    def run_client(
        client: str, server: int | str, cases: Sequence[dict[str, Any]], **environment: str
    ) -> dict[str, Outcome]:
        command, env = command_for(client, "client", generated)
        stdin = "\n".join(map(json.dumps, cases))
        target = f"127.0.0.1:{server}" if isinstance(server, int) else server
        printed = programs.run([*command, target], env={**env, **environment}, stdin=stdin)
        return {outcome["name"]: outcome for outcome in map(json.loads, printed.splitlines())}

    return run_client
