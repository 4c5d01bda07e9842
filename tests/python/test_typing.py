"""What type checkers make of a program: `typed/program.py` must be found without a fault, by the strictest rules."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers import ON_GRPCIO

PROGRAM = Path(__file__).parent / "typed" / "program.py"
PACKAGE = Path(__file__).resolve().parents[2] / "python" / "farcall"
PACKAGES = [str(PACKAGE), str(PACKAGE / "farcall" / "_packages")]

pytestmark = pytest.mark.skipif(ON_GRPCIO, reason="grpcio has no types")


def checked(*command: str, **environment: str) -> str:
    """What a checker says of the program; nothing, if it finds no fault."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=PROGRAM.parent,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_mypy(version, tmp_path):
    pytest.importorskip("mypy")
    # A configuration of its own, not that of whoever runs this. What is imported is not checked itself: without types
    # of protobuf, generated stubs have faults.
    config = tmp_path / "mypy.ini"
    config.write_text(
        "[mypy]\nstrict = True\nignore_missing_imports = True\n"
        "follow_imports = silent\nfollow_imports_for_stubs = True\n"
    )
    options = [f"--config-file={config}", f"--python-version={version}", f"--cache-dir={os.devnull}"]
    assert checked("mypy", *options, PROGRAM.name, MYPYPATH=os.pathsep.join(PACKAGES)) == ""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_pyright(version, tmp_path):
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright checks the program where it is installed")
    config = {
        "include": [str(PROGRAM)],
        "extraPaths": [str(PROGRAM.parent), *PACKAGES],
        "pythonVersion": version,
        "reportMissingModuleSource": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    assert checked("pyright", "--project", str(tmp_path)) == ""
