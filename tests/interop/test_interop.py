"""Every client against every server over real sockets: ours in Python and Rust, grpcio and grpclib.

Pairs that do not involve us are run too: they show that the cases are right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cases
import programs
import pytest

OURS = ("ours-python", "ours-rust")
PAIRS = [
    *((client, server) for client in OURS for server in OURS),
    *((ours, theirs) for ours in OURS for theirs in ("grpcio", "grpclib")),
    *((theirs, ours) for ours in OURS for theirs in ("grpcio", "grpclib")),
    *((client, server) for client in ("grpcio", "grpclib") for server in ("grpcio", "grpclib")),
    *(("ours-aio", server) for server in ("ours-aio", *OURS, "grpcio", "grpcio-aio", "grpclib")),
    *((client, "ours-aio") for client in (*OURS, "grpcio", "grpcio-aio", "grpclib")),
    ("grpcio-aio", "grpcio-aio"),
    ("ours-python-their-code", "ours-python-their-code"),
    ("grpcio-our-code", "ours-python"),
    ("ours-python", "grpcio-our-code"),
]
CASES = {case["name"]: {**case, "requests": case.get("requests", [{}])} for case in cases.all_cases()}

# Where a peer is known not to do what the protocol says; each with its reason.
KNOWN = {
    ("grpclib", "grpclib", "no_such_method"): "grpclib's server leaves out content-type, which grpclib's client wants",
}

# What a client is known to make of some calls now and then, with its own server too: the details, and the reason.
AT_TIMES = {
    ("grpcio-aio", f"{kind}_early_status"): (
        "Internal error from Core",
        "grpc.aio's client says so of one call in ten that ends while it writes",
    )
    for kind in ("client_stream", "bidi")
}

# A failed call with one response is an `Err(Status)` in Rust, on both sides, and a status has trailing metadata only.
NO_INITIAL_METADATA_IN_RUST = ("unary_status_with_metadata", "client_stream_status_with_metadata")


def tagged(client: str, case: dict[str, Any]) -> dict[str, Any]:
    """The case as the client gets it, with a tag by which the server can tell this call from all others."""
    requests = [{**request, "tag": f"{client} {case['name']}"} for request in case["requests"]]
    return {**{key: value for key, value in case.items() if key != "expect"}, "requests": requests}


@pytest.fixture(scope="session")
def outcomes(servers: Callable[[str], programs.Server], perform: Any) -> Callable[[str, str], dict[str, Any]]:
    """What a client saw of a server: all cases in one run of the client, by name of the case."""
    seen: dict[tuple[str, str], dict[str, Any] | str] = {}

    def outcome(client: str, server: str) -> dict[str, Any]:
        if (client, server) not in seen:
            try:
                ordered = [tagged(client, case) for case in CASES.values()]
                seen[client, server] = perform(client, servers(server).port, ordered)
            except programs.ProgramFailed as failure:
                seen[client, server] = str(failure)
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
    expected = CASES[case]["expect"]
    if "ours-rust" in (client, server) and case in NO_INITIAL_METADATA_IN_RUST:
        expected = {key: value for key, value in expected.items() if key != "initial"}
    wrong = cases.mismatch(expected, outcome)
    if wrong and (client, server, case) in KNOWN:
        pytest.xfail(KNOWN[client, server, case])
    details, reason = AT_TIMES.get((client, case), (None, None))
    if wrong and reason and outcome.get("details") == details:
        pytest.xfail(reason)
    assert not wrong, "\n".join(wrong)
