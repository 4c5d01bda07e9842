"""A missing prerequisite is named together with the command that installs it."""

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "check-prerequisites.sh"

GOOD = {
    "cargo": 'echo "cargo 1.95.0 (abc 2026-01-01)"',
    "cc": "exit 0",
    "python3": 'case "$2" in *print*) echo /opt/python3;; esac; exit 0',
}


@pytest.fixture
def check(tmp_path):
    """Runs the script with a PATH that holds only the tools it uses and the programs given."""

    def run(programs, **environment):
        for tool in ("sed", "printf"):
            found = shutil.which(tool)
            if found:
                os.symlink(found, tmp_path / tool)
        for name, body in programs.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(0o755)
        return subprocess.run(
            ["/bin/sh", str(SCRIPT)],
            env={"PATH": str(tmp_path), **environment},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )

    return run


def test_everything_there(check):
    done = check(GOOD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "/opt/python3\n", "")


@pytest.mark.parametrize(
    ("without", "named", "command"),
    [
        ("cargo", "missing: cargo (Rust)", "sh.rustup.rs"),
        ("cc", "missing: cc (a C linker, which Rust needs)", "apt-get install -y gcc"),
        ("python3", "missing: Python 3.10 or newer", "apt-get install -y python3 python3-venv"),
    ],
)
def test_one_missing(check, without, named, command):
    done = check({"apt-get": "exit 0", **{name: body for name, body in GOOD.items() if name != without}})
    assert done.returncode == 1
    assert done.stdout == ""
    assert named in done.stderr
    assert command in done.stderr
    assert done.stderr.count("missing:") == 1


def test_all_missing_are_named_at_once(check):
    assert check({}).stderr.count("missing:") == 3


def test_old_rust(check):
    done = check({**GOOD, "cargo": 'echo "cargo 1.75.0"'})
    assert done.returncode == 1
    assert "Rust 1.88 or newer (this is cargo 1.75.0)" in done.stderr


def test_old_python_is_passed_over_for_a_newer_one(check):
    done = check({**GOOD, "python3": "exit 1", "python3.12": GOOD["python3"]})
    assert (done.returncode, done.stdout) == (0, "/opt/python3\n")


def test_python_without_venv(check):
    without_venv = 'case "$2" in *venv*) exit 1;; esac; exit 0'
    done = check({**GOOD, "python3": without_venv, "apt-get": "exit 0"})
    assert done.returncode == 1
    assert "missing: the venv module of python3\n    install it with: apt-get install -y python3-venv" in done.stderr


def test_chosen_python_that_is_too_old(check):
    done = check({**GOOD, "old": "exit 1"}, PYTHON="old")
    assert done.returncode == 1
    assert "missing: Python 3.10 or newer at PYTHON=old" in done.stderr
