"""Packages that require grpcio, installed from the index beside our wheel and its stand-ins, run on it.

The environments, below .venvs, are made once; without an index to make them from, these tests are skipped. `make
ecosystem` runs more of them (ecosystem/table.py).
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import grpc
import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent
VERSION = grpc.__version__

sys.path.insert(0, str(HERE / "ecosystem"))

import table  # noqa: E402

GRPCIOS_OWN = [
    "grpcio-health-checking==1.85.1",
    "grpcio-reflection==1.85.1",
    "grpcio-status==1.85.1",
    "grpcio-channelz==1.85.0",
    "grpcio-testing==1.85.0",
    "grpcio-admin==1.85.0",
    "pytest==9.2.0",
    "pytest-timeout==2.4.0",
]

pytestmark = [
    pytest.mark.better_than_grpcio("needs no stand-in"),
    # Installing takes the network's time.
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="session")
def wheel():
    """The wheel of farcall for this Python."""
    return built("farcall")


def built(name):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    wheels = sorted((REPOSITORY / "build" / "wheels" / name).glob(f"*-{tag}-*.whl"))
    if not wheels:
        pytest.skip(f"no wheel of {name} in build/wheels: `make setup` builds it")
    return wheels[-1]


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory):
    """The stand-ins, by the name of the package."""
    directory = tmp_path_factory.mktemp("wheels")
    subprocess.run([sys.executable, REPOSITORY / "scripts" / "stand_in_wheels.py", directory], check=True)
    return {path.name.split("-")[0]: path for path in directory.glob("*.whl")}


def environment(name, wheel, stand_ins, packages):
    """The Python of an environment with the packages of the index and, always new, our wheels."""
    directory = REPOSITORY / ".venvs" / name
    python = directory / "bin" / "python"
    own = [wheel, *stand_ins]
    wanted = f"{packages} {table.REQUIREMENTS.read_text()}"
    ready = directory / f"ready-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        installed = table.pip(python, "install", *own, *packages)
        if installed.returncode != 0:
            pytest.skip(f"cannot install from the index: {installed.stderr.strip().splitlines()[-1]}")
        ready.touch()
    return python, own


@pytest.fixture(scope="session")
def python(wheel, stand_ins):
    names = ("grpcio", "grpcio_tools", "grpcio_status", "grpcio_health_checking", "grpcio_reflection")
    others = [built("farcall-tools"), *(stand_ins[name] for name in names)]
    python, own = environment("ecosystem", wheel, others, ["-r", table.REQUIREMENTS])
    renewed = table.pip(python, "install", "--no-index", "--no-deps", "--force-reinstall", *own)
    assert renewed.returncode == 0, renewed.stderr
    return python


def test_what_is_required_is_there(python):
    assert "No broken requirements found." in table.pip(python, "check").stdout
    versions = "import importlib.metadata as m; print(m.version('grpcio'), m.version('farcall'))"
    installed = subprocess.run([python, "-c", versions], capture_output=True, text=True, check=True).stdout.split()
    assert installed[0] == f"{VERSION}+farcall.{installed[1]}"


def test_stand_ins_go_before_grpcios_own(python, wheel, stand_ins, tmp_path):
    """An installer that may choose takes ours: nothing is written over our package `grpc`."""
    for path in (wheel, *stand_ins.values()):
        (tmp_path / path.name).symlink_to(path)
    options = ["--dry-run", "--ignore-installed", "--find-links", tmp_path]
    found = table.pip(python, "install", *options, f"grpcio=={VERSION}")
    if found.returncode != 0:
        pytest.skip(f"cannot ask the index: {found.stderr.strip().splitlines()[-1]}")
    assert f"grpcio-{VERSION}+farcall.{wheel.name.split('-')[1]}" in found.stdout.splitlines()[-1]


@pytest.mark.parametrize("program", [pytest.param(it, id=it.name) for it in table.PROGRAMS if it.quick])
def test_program(python, program):
    assert table.run(python, program).failure is None


def test_every_program_is_in_the_table():
    written = {path.name for path in (HERE / "ecosystem").glob("with_*.py")}
    assert {program.name for program in table.PROGRAMS} == written
    assert {package for program in table.PROGRAMS for package in program.packages} <= set(table.versions())


def test_grpcios_own_packages_over_ours(wheel, stand_ins):
    """The satellites' tests, with grpcio's pure-Python packages before our modules of the same names."""
    python, own = environment("stock-satellites", wheel, [stand_ins["grpcio"]], GRPCIOS_OWN)
    renewed = table.pip(python, "install", "--no-index", "--no-deps", "--force-reinstall", *own)
    assert renewed.returncode == 0, renewed.stderr
    theirs = [package for package in GRPCIOS_OWN if package.startswith("grpcio-")]
    # Installed, they would come after ours; what PYTHONPATH names comes before.
    directory = python.parents[1] / "theirs"
    shutil.rmtree(directory, ignore_errors=True)
    over = table.pip(python, "install", "--no-deps", "--target", directory, *theirs)
    if over.returncode != 0:
        pytest.skip(f"cannot install from the index: {over.stderr.strip().splitlines()[-1]}")
    tests = [HERE / "satellites", "-q", "-p", "no:cacheprovider"]
    before = {**os.environ, "PYTHONPATH": str(directory)}
    whose = [python, "-c", "import grpc, grpc_health; print(grpc.__path__[0], grpc_health.__path__[0])"]
    paths = subprocess.run(whose, capture_output=True, text=True, check=True, env=before).stdout.split()
    assert "farcall" in paths[0] and paths[1] == str(directory / "grpc_health")
    command = [python, "-m", "pytest", *tests]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, env=before)
    assert done.returncode == 0, done.stdout
