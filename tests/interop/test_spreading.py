"""The same program spreads its calls over several servers the same under ours and under grpcio."""

from __future__ import annotations

import json
import pathlib
import sys

import programs
from conftest import PEERS_PYTHON

PROGRAM = str(pathlib.Path(__file__).resolve().parent / "peers" / "spreading.py")


def test_calls_are_spread_as_by_grpcio() -> None:
    ours, theirs = (json.loads(programs.run([python, PROGRAM])) for python in (sys.executable, PEERS_PYTHON))
    assert ours == theirs
    assert ours["round_robin by config"] == {"blocking": [3, 3, True], "asyncio": [3, 3, True]}
