"""Whatever leaves this repository carries our licence, and the notices that the licences of others ask for."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHEELS = ROOT / os.environ.get("FARCALL_WHEELS", "build/wheels")
LICENCE = (ROOT / "LICENSE").read_bytes()


def test_notices_are_those_of_the_lock_file() -> None:
    script = str(ROOT / "scripts" / "third_party_notices.py")
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["farcall", "farcall_tools"])
def test_wheels_carry_them(name: str) -> None:
    (wheel,) = WHEELS.rglob(f"{name}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        carried = {path.rpartition("/")[2]: archive.read(path) for path in archive.namelist() if "/licenses/" in path}
    assert carried["LICENSE"] == LICENCE
    notices = (ROOT / "python" / name.replace("_", "-") / "THIRD-PARTY-NOTICES.txt").read_bytes()
    assert carried["THIRD-PARTY-NOTICES.txt"] == notices


@pytest.mark.parametrize("name", ["farcall", "farcall-tools"])
def test_source_distributions_carry_them(name: str, tmp_path: pathlib.Path) -> None:
    """And all that a wheel is built from: what starts the finder, and the place that says which grpcio this is."""
    command = [sys.executable, "-m", "maturin", "sdist", "--out", str(tmp_path)]
    subprocess.run(command, cwd=ROOT / "python" / name, check=True, capture_output=True)
    (sdist,) = tmp_path.iterdir()
    with tarfile.open(sdist) as archive:
        files = {path.partition("/")[2] for path in archive.getnames()}
    assert {"LICENSE", "THIRD-PARTY-NOTICES.txt"} <= files
    if name == "farcall":
        version = "farcall/_packages/grpc/_grpcio_metadata.py"
        assert {"farcall-finder.pth", "farcall-finder.start", version} <= files


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
