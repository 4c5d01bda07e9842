"""The generated modules of the satellites are what our compiler makes of the vendored .proto files."""

import pathlib
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = REPOSITORY / "python" / "farcall" / "farcall" / "_packages"

pytest.importorskip("grpc_tools._protoc_compiler")
pytestmark = pytest.mark.better_than_grpcio("is not the compiler in question")


def generated(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_text()
        for pattern in ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")
        for path in directory.glob(f"grpc_*/**/{pattern}")
    }


def test_up_to_date(tmp_path):
    subprocess.run([sys.executable, REPOSITORY / "scripts" / "generate_satellites.py", tmp_path], check=True)
    new, kept = generated(tmp_path), generated(PACKAGES)
    assert sorted(new) == sorted(kept)
    stale = [name for name, text in new.items() if kept[name] != text]
    assert stale == [], "run scripts/generate_satellites.py"
