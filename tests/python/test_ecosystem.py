"""Packages that require grpcio, installed from the index beside our wheel and its stand-ins, run on it.

The environment, .venvs/ecosystem, is made once; without an index to make it from, these tests are skipped.
"""

import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
ENVIRONMENT = REPOSITORY / ".venvs" / "ecosystem"
PROGRAMS = pathlib.Path(__file__).with_name("ecosystem")
PACKAGES = [
    "google-api-core[grpc]==2.44.0",
    "opentelemetry-exporter-otlp-proto-grpc==1.45.2",
    "opentelemetry-sdk==1.45.2",
    "grpc-interceptor==0.15.4",
]

pytestmark = [
    pytest.mark.better_than_grpcio("needs no stand-in"),
    # Installing takes the network's time.
    pytest.mark.timeout(600),
]


def pip(*arguments):
    command = [ENVIRONMENT / "bin" / "python", "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    wheels = list((REPOSITORY / "build" / "wheels" / "farcall").glob(f"farcall-*-{tag}-*.whl"))
    if not wheels:
        pytest.skip("no wheel of farcall in build/wheels: `make setup` builds it")
    stand_ins = tmp_path_factory.mktemp("wheels")
    subprocess.run([sys.executable, REPOSITORY / "scripts" / "stand_in_wheels.py", stand_ins], check=True)
    links = ["--find-links", stand_ins, "--find-links", wheels[0].parent]
    if not (ENVIRONMENT / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        installed = pip("install", *links, *PACKAGES)
        if installed.returncode != 0:
            pytest.skip(f"cannot install from the index: {installed.stderr.strip().splitlines()[-1]}")
        (ENVIRONMENT / "ready").touch()
    own = [*wheels, *stand_ins.glob("grpcio-*.whl"), *stand_ins.glob("grpcio_status-*.whl")]
    renewed = pip("install", "--no-index", "--no-deps", "--force-reinstall", *own)
    assert renewed.returncode == 0, renewed.stderr
    return ENVIRONMENT / "bin" / "python"


def test_what_is_required_is_there(python):
    assert "No broken requirements found." in pip("check").stdout
    versions = "import importlib.metadata as m; print(m.version('grpcio'), m.version('farcall'))"
    installed = subprocess.run([python, "-c", versions], capture_output=True, text=True, check=True).stdout.split()
    assert installed[0] == f"1.85.1+farcall.{installed[1]}"


@pytest.mark.parametrize("program", sorted(path.name for path in PROGRAMS.glob("with_*.py")))
def test_program(python, program):
    done = subprocess.run([python, PROGRAMS / program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n", done.stderr
