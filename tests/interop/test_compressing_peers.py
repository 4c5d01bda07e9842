"""Compressed messages between ours and grpcio, both ways; a wire between them sees that they are."""

from __future__ import annotations

import pathlib
import sys

import programs
import pytest
from conftest import PEERS_PYTHON
from wires import Wire

HERE = pathlib.Path(__file__).resolve().parent / "peers"
PYTHON = {"ours": sys.executable, "grpcio": PEERS_PYTHON}

SIZE = 64_000
MESSAGES = 4
ALGORITHMS = {"identity": 0, "deflate": 1, "gzip": 2}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(("client", "server"), [("ours", "grpcio"), ("grpcio", "ours"), ("ours", "ours")])
def test_messages_arrive_and_are_compressed(client: str, server: str, algorithm: str) -> None:
    number = str(ALGORITHMS[algorithm])
    serving = programs.Server([PYTHON[server], str(HERE / "compressing_server.py"), "127.0.0.1:0", number])
    wire = Wire(serving.port)
    try:
        calling = [PYTHON[client], str(HERE / "compressing_client.py"), f"127.0.0.1:{wire.port}", number, str(SIZE)]
        assert programs.run(calling).strip() == f"{MESSAGES} of {MESSAGES}"
        whole = SIZE * MESSAGES
        for count in (wire.sent, wire.received):
            assert count > whole if algorithm == "identity" else count < whole / 10
    finally:
        wire.close()
        serving.stop()
