"""Many large messages at once between ours and grpcio, both ways: they wait, and none fails."""

from __future__ import annotations

import pathlib
import sys

import programs
import pytest
from conftest import PEERS_PYTHON

HERE = pathlib.Path(__file__).resolve().parent / "peers"
PYTHON = {"ours": sys.executable, "grpcio": PEERS_PYTHON}


@pytest.mark.parametrize(("client", "server"), [("ours", "grpcio"), ("grpcio", "ours")])
def test_all_calls_come_to_their_end(client: str, server: str) -> None:
    serving = programs.Server([PYTHON[server], str(HERE / "holding_server.py"), "127.0.0.1:0"])
    try:
        calling = [PYTHON[client], str(HERE / "holding_client.py"), f"127.0.0.1:{serving.port}"]
        assert programs.run(calling).strip() == "381 of 381"
    finally:
        serving.stop()
