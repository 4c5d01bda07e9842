"""The faces of grpc_tools that builds use: console script, setuptools command, help; and what an import takes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

GOOD = 'syntax = "proto3"; import "google/protobuf/any.proto"; message A { google.protobuf.Any a = 1; }'
BAD = 'syntax = "proto3"; message A { B b = 1; }'
SERVICE = 'syntax = "proto3"; package g; message R {} service Greeter { rpc Say(R) returns (R); }'
OUTPUTS = ["good_pb2.py", "good_pb2.pyi", "good_pb2_grpc.py"]

needs_grpc = pytest.mark.skipif(importlib.util.find_spec("grpc") is None, reason="needs the package grpc")
needs_setuptools = pytest.mark.skipif(importlib.util.find_spec("setuptools") is None, reason="needs setuptools")


def run(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def python(directory: Path, code: str) -> subprocess.CompletedProcess[str]:
    return run(directory, sys.executable, "-c", code)


def test_help_and_version_go_to_standard_output(tmp_path: Path) -> None:
    for argument, start in [("--version", "libprotoc 35.1\n"), ("--help", "Usage: "), ("-h", "Usage: ")]:
        done = run(tmp_path, sys.executable, "-m", "grpc_tools.protoc", argument)
        assert done.returncode == 0
        assert done.stderr == ""
        assert done.stdout.startswith(start)
    first = done.stdout.splitlines()[0]
    assert first.endswith("protoc.py [OPTION] PROTO_FILES"), "the program is called as it was"
    for option in ["--python_out=", "--pyi_out=", "--grpc_python_out=", "--descriptor_set_out=", "--proto_path="]:
        assert option in done.stdout


def test_the_console_script_finds_the_bundled_files(tmp_path: Path) -> None:
    (tmp_path / "good.proto").write_text(GOOD)
    script = os.path.join(sysconfig.get_path("scripts"), "farcall-protoc")
    outputs = ["--python_out=.", "--pyi_out=.", "--grpc_python_out=."]
    done = run(tmp_path, script, "-I.", *outputs, "good.proto")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sorted(path.name for path in tmp_path.glob("good_*")) == OUTPUTS
    assert run(tmp_path, script, "-I.", "--python_out=.", "nope.proto").returncode == 1


SETUP = """
from setuptools import setup
from grpc_tools.command import BuildPackageProtos
setup(name="x", version="1", package_dir={package_dir}, py_modules=[], cmdclass={{"protos": BuildPackageProtos}})
"""


@needs_setuptools
def test_setuptools_compiles_a_package(tmp_path: Path) -> None:
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/sub/good.proto").write_text(GOOD)
    (tmp_path / "setup.py").write_text(SETUP.format(package_dir={"": "src"}))
    done = run(tmp_path, sys.executable, "setup.py", "protos", "--strict-mode")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "src/sub").glob("good_*")) == OUTPUTS

    (tmp_path / "src/bad.proto").write_text(BAD)
    done = run(tmp_path, sys.executable, "setup.py", "protos")
    assert done.returncode == 0
    assert 'bad.proto:1:32: "B" is not defined.' in done.stderr
    assert "warning: ['grpc_tools.protoc', '--proto_path=src'" in done.stderr
    for strict in ["--strict-mode", "-s"]:
        done = run(tmp_path, sys.executable, "setup.py", "protos", strict)
        assert done.returncode != 0
        assert "error: ['grpc_tools.protoc', '--proto_path=src'" in done.stderr


@needs_setuptools
def test_the_setuptools_command_wants_a_root(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(SETUP.format(package_dir={}))
    done = run(tmp_path, sys.executable, "setup.py", "protos")
    assert done.returncode != 0
    assert "KeyError: ''" in done.stderr


def test_main_may_run_in_many_threads(tmp_path: Path) -> None:
    (tmp_path / "good.proto").write_text(GOOD)
    code = """
import threading
from grpc_tools import protoc
include = protoc._get_resource_file_name("grpc_tools", "_proto")
codes = []
def compile(out):
    codes.append(protoc.main(["", "-I.", f"-I{include}", f"--descriptor_set_out={out}", "good.proto"]))
threads = [threading.Thread(target=compile, args=[f"{number}.pb"]) for number in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(codes, len({open(f"{number}.pb", "rb").read() for number in range(8)}))
"""
    done = python(tmp_path, code)
    assert done.stdout == f"{[0] * 8} 1\n", done.stderr


def test_an_import_warns_of_what_the_file_warns_of(tmp_path: Path) -> None:
    (tmp_path / "odd.proto").write_text('syntax = "proto3"; message A { reserved "a b"; }')
    code = """
import warnings
from grpc_tools import protoc, _protoc_compiler
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    protoc._protos("odd.proto")
for warning in caught:
    print(warning.category is _protoc_compiler.ProtocWarning, warning.message)
"""
    done = python(tmp_path, code)
    assert done.stdout.startswith("True odd.proto:0:40 warning: Reserved name"), done.stderr


def test_importing_the_compiler_imports_little_else(tmp_path: Path) -> None:
    code = "import sys, grpc_tools.protoc; print([name for name in {} if name in sys.modules])"
    heavy = ["importlib.abc", "importlib.resources", "tempfile", "typing", "pathlib", "re", "asyncio"]
    alone = run(tmp_path, sys.executable, "-S", "-c", "import sys; print(*sys.modules)").stdout.split()
    site = python(tmp_path, "import sys; print(*sys.modules)").stdout.split()
    heavy = [name for name in heavy if name not in alone and name not in site]
    assert python(tmp_path, code.format(heavy)).stdout == "[]\n"


@needs_grpc
def test_grpc_compiles_at_run_time(tmp_path: Path) -> None:
    (tmp_path / "greet.proto").write_text(SERVICE)
    (tmp_path / "bad.proto").write_text(BAD)
    code = """
import sys
import grpc
from grpc_tools import _protoc_compiler
services = grpc.services("greet.proto")
messages = grpc.protos("greet.proto")
print(services.GreeterServicer.__name__, messages.R.DESCRIPTOR.full_name, "greet_pb2" in sys.modules)
try:
    grpc.protos("bad.proto")
except _protoc_compiler.ProtocErrors as errors:
    print(errors)
try:
    grpc.protos("nope.proto")
except ModuleNotFoundError as error:
    print(error.name)
"""
    done = python(tmp_path, code)
    assert done.stdout.splitlines() == [
        "GreeterServicer g.R True",
        'bad.proto:0:31 error: "B" is not defined.',
        "nope_pb2",
    ], done.stderr


@needs_grpc
def test_grpc_says_what_to_install(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["grpc_tools"] = None
import grpc
for name in ["protos", "services", "protos_and_services"]:
    try:
        getattr(grpc, name)("greet.proto")
    except NotImplementedError as error:
        print(str(error).startswith("Install the grpcio-tools package"))
"""
    assert python(tmp_path, code).stdout == "True\n" * 3
