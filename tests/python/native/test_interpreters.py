"""Interpreters inside another: what they leave open ends with the process."""

from __future__ import annotations

import subprocess
import sys

import pytest
from echo import Echo

PROGRAM = """
import {module} as interpreters
inner = interpreters.create()
interpreters.run_string(inner, '''
import grpc
channel = grpc.insecure_channel("{target}")
assert channel.unary_unary("/unary")(b"x") == b"x"
future = channel.unary_unary("/unary").future(b"x")
future.add_done_callback(lambda _: None)
future.result()
''')
{end}
print("the end", flush=True)
"""


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="imports it into the main interpreter only")
@pytest.mark.parametrize("end", ["", "interpreters.destroy(inner)"])
def test_a_channel_left_open_in_an_inner_interpreter_lets_the_process_end(echo: Echo, end: str) -> None:
    program = PROGRAM.format(module="_xxsubinterpreters", target=echo.target, end=end)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout, done.returncode) == ("the end\n", 0), done.stderr
