"""Every client against every server over TLS, with and without certificates of clients."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import cases
import programs
import pytest
from conftest import command_for

PEERS = ("ours-python", "grpcio", "grpclib")
PAIRS = [
    *(("ours-python", server) for server in PEERS),
    *((client, "ours-python") for client in PEERS if client != "ours-python"),
    *(("ours-aio", server) for server in ("ours-aio", "grpcio", "grpclib")),
    *((client, "ours-aio") for client in ("ours-python", "grpcio", "grpclib")),
]
# What passes through TLS is the business of the other tests: some of each kind, and what is large.
KINDS = ("unary", "server_stream", "client_stream", "bidi")


def chosen() -> list[dict[str, Any]]:
    some: list[dict[str, Any]] = []
    for kind in KINDS:
        of_kind = [case for case in cases.all_cases() if case["kind"] == kind and "at_once" not in case]
        large = [case for case in of_kind if any("size" in request for request in case.get("requests", []))]
        some += [*of_kind[:2], *(case for case in large if case not in of_kind[:2])]
    return [{**case, "requests": case.get("requests", [{}])} for case in some]


@pytest.mark.parametrize("mutual", [False, True], ids=["tls", "mtls"])
@pytest.mark.parametrize(("client", "server"), PAIRS, ids=[f"{client}->{server}" for client, server in PAIRS])
def test_interop_over_tls(
    client: str, server: str, mutual: bool, certificates: pathlib.Path, generated: dict[str, pathlib.Path]
) -> None:
    tls = {"INTEROP_TLS": str(certificates), "INTEROP_MUTUAL": "yes" if mutual else ""}
    asked = chosen()
    command, env = command_for(server, "server", generated)
    with programs.Server([*command, "127.0.0.1:0"], env={**env, **tls}) as running:
        command, env = command_for(client, "client", generated)
        stdin = "\n".join(json.dumps({key: case[key] for key in case if key != "expect"}) for case in asked)
        printed = programs.run([*command, f"localhost:{running.port}"], env={**env, **tls}, stdin=stdin)
    outcomes = {outcome["name"]: outcome for outcome in map(json.loads, printed.splitlines())}
    assert len(asked) > 8
    for case in asked:
        wrong = cases.mismatch(case["expect"], outcomes[case["name"]])
        assert not wrong, (case["name"], wrong)
