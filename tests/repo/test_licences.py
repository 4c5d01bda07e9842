"""Whatever leaves this repository carries our licence, and the notices that the licences of others ask for."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
LICENCE = (ROOT / "LICENSE").read_bytes()


def test_notices_are_those_of_the_lock_file() -> None:
    script = str(ROOT / "scripts" / "third_party_notices.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_stand_ins_carry_the_licence(tmp_path: pathlib.Path) -> None:
    subprocess.run([sys.executable, str(ROOT / "scripts" / "stand_in_wheels.py"), str(tmp_path)], check=True)
    wheels = list(tmp_path.glob("*.whl"))
    assert wheels
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (path,) = [path for path in archive.namelist() if path.endswith("/licenses/LICENSE")]
            assert archive.read(path) == LICENCE


@pytest.mark.parametrize("manifest", sorted(ROOT.glob("crates/*/Cargo.toml")), ids=lambda path: path.parent.name)
def test_crates_carry_the_licence(manifest: pathlib.Path) -> None:
    """Cargo packs what lies in a crate's directory."""
    assert (manifest.parent / "LICENSE").read_bytes() == LICENCE
    command = ["cargo", "package", "--list", "--allow-dirty", "--offline", "--manifest-path", str(manifest)]
    assert "LICENSE" in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
