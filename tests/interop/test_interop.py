"""Every client against every server over real sockets: ours in Python and Rust, grpcio and grpclib.

Pairs that do not involve us are run too: they show that the cases are right.
"""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import cases
import programs
import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PEERS_PYTHON = os.environ.get("FARCALL_PEERS_PYTHON", str(ROOT / ".venvs" / "peers" / "bin" / "python"))
RUST_BIN = pathlib.Path(os.environ.get("FARCALL_RUST_BIN", ROOT / "target" / "debug"))

# name -> (interpreter, program, whose compiler made the messages and stubs)
PYTHON_PEERS = {
    "grpcio": (PEERS_PYTHON, "grpcio", "theirs"),
    "grpclib": (PEERS_PYTHON, "grpclib", "theirs"),
    "ours-python": (sys.executable, "grpcio", "ours"),
    # Generated code that exists already, made by grpcio-tools, imported by our `grpc`.
    "ours-python-their-code": (sys.executable, "grpcio", "theirs"),
    # And the other way round: what our compiler makes, under grpcio.
    "grpcio-our-code": (PEERS_PYTHON, "grpcio", "ours"),
}
OURS = ("ours-python", "ours-rust")
PAIRS = [
    *((client, server) for client in OURS for server in OURS),
    *((ours, theirs) for ours in OURS for theirs in ("grpcio", "grpclib")),
    *((theirs, ours) for ours in OURS for theirs in ("grpcio", "grpclib")),
    *((client, server) for client in ("grpcio", "grpclib") for server in ("grpcio", "grpclib")),
    ("ours-python-their-code", "ours-python-their-code"),
    ("grpcio-our-code", "ours-python"),
    ("ours-python", "grpcio-our-code"),
]
CASES = {case["name"]: {**case, "requests": case.get("requests", [{}])} for case in cases.all_cases()}

# Where a peer is known not to do what the protocol says; each with its reason.
KNOWN = {
    ("grpclib", "grpclib", "no_such_method"): "grpclib's server leaves out content-type, which grpclib's client wants",
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


def command_for(peer: str, role: str, generated: dict[str, pathlib.Path]) -> tuple[list[str], dict[str, str]]:
    if peer == "ours-rust":
        return [str(RUST_BIN / f"interop-{role}")], {}
    python, program, whose = PYTHON_PEERS[peer]
    return [python, str(HERE / "peers" / f"{program}_{role}.py")], {"PYTHONPATH": str(generated[whose])}


@pytest.fixture(scope="session")
def servers(generated: dict[str, pathlib.Path]) -> Iterator[Any]:
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
def outcomes(generated: dict[str, pathlib.Path], servers: Any) -> Any:
    """What a client saw of a server, all cases in one run of the client, by name of the case."""
    seen: dict[tuple[str, str], dict[str, Any] | str] = {}

    def perform(client: str, server: str) -> dict[str, Any] | str:
        command, env = command_for(client, "client", generated)
        lines = []
        for case in CASES.values():
            tagged = [{**request, "tag": f"{client} {case['name']}"} for request in case["requests"]]
            wanted = {key: value for key, value in case.items() if key != "expect"}
            lines.append(json.dumps({**wanted, "requests": tagged}))
        try:
            printed = programs.run([*command, f"127.0.0.1:{servers(server).port}"], env=env, stdin="\n".join(lines))
        except programs.ProgramFailed as failure:
            return str(failure)
        return {outcome["name"]: outcome for outcome in map(json.loads, printed.splitlines())}

    def outcome(client: str, server: str) -> dict[str, Any]:
        if (client, server) not in seen:
            seen[client, server] = perform(client, server)
        result = seen[client, server]
        if isinstance(result, str):
            pytest.fail(result, pytrace=False)
        return result

    return outcome


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("client", "server"), PAIRS, ids=[f"{client}->{server}" for client, server in PAIRS])
def test_interop(client: str, server: str, case: str, outcomes: Any) -> None:
    outcome = outcomes(client, server).get(case)
    assert outcome is not None, "the client wrote no outcome for this case"
    wrong = cases.mismatch(CASES[case]["expect"], outcome)
    if wrong and (client, server, case) in KNOWN:
        pytest.xfail(KNOWN[client, server, case])
    assert not wrong, "\n".join(wrong)
