"""The package grpc_tools as its users meet it: the command, `main`, the import hook, setuptools."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent

BAD = """syntax = "proto3";
message A { B b = 1; }
message A { }
"""
BAD_ERRORS = ['bad.proto:2:8 error: "A" is already defined.', 'bad.proto:1:12 error: "B" is not defined.']


def python(directory: Path, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in `directory`, in a fresh interpreter: the import hook changes the one it is in."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def prints(directory: Path, code: str, **environment: str) -> str:
    done = python(directory, code, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def protoc(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grpc_tools.protoc", *arguments]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)


def test_the_command_writes_what_grpcio_tools_writes(tmp_path: Path) -> None:
    outputs = [f"--{name}_out={tmp_path}" for name in ("python", "pyi", "grpc_python")]
    done = protoc(GOLDEN / "in", "-I.", *outputs, "hello.proto", "legacy2.proto")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(
        f"{stem}_pb2{suffix}" for stem in ("hello", "legacy2") for suffix in (".py", ".pyi", "_grpc.py")
    )
    for name in written:
        assert (tmp_path / name).read_bytes() == (GOLDEN / "out/default" / name).read_bytes()


def test_the_command_finds_the_bundled_files_after_everything_else(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text(
        'syntax = "proto3"; import "google/protobuf/empty.proto"; message A { google.protobuf.Empty e = 1; }'
    )
    assert protoc(tmp_path, "-I.", "--python_out=.", "a.proto").returncode == 0
    mine = tmp_path / "google/protobuf/empty.proto"
    mine.parent.mkdir(parents=True)
    mine.write_text('syntax = "proto3"; package google.protobuf;')
    done = protoc(tmp_path, "-I.", "--python_out=.", "a.proto")
    assert done.returncode == 1
    assert '"google.protobuf.Empty" is not defined' in done.stderr


def test_all_fifteen_bundled_files_are_there() -> None:
    from grpc_tools import protoc

    include = Path(protoc._get_resource_file_name("grpc_tools", "_proto"))
    found = sorted(str(path.relative_to(include)) for path in include.rglob("*") if path.is_file())
    names = "any api descriptor duration empty field_mask source_context struct timestamp type wrappers"
    names += " cpp_features go_features java_features compiler/plugin"
    assert found == sorted(f"google/protobuf/{name}.proto" for name in names.split())


def test_main_returns_the_exit_code_and_adds_no_include_directory(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text('syntax = "proto3"; import "google/protobuf/empty.proto";')
    code = """
from grpc_tools import protoc
include = protoc._get_resource_file_name("grpc_tools", "_proto")
print(protoc.main(["ignored", "-I.", "--python_out=.", "a.proto"]),
      protoc.main(["ignored", "-I.", "-I" + include, "--python_out=.", "a.proto"]))
try:
    protoc.main([b"protoc"])
except AttributeError:
    print("text only")
"""
    done = python(tmp_path, code)
    assert done.stdout.split("\n")[:2] == ["1 0", "text only"]
    assert done.stderr.startswith("google/protobuf/empty.proto: File not found.\n")


def test_proto_files_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/dep.proto").write_text('syntax = "proto3"; package sub; message Dep { int32 n = 1; }')
    (tmp_path / "main.proto").write_text(
        'syntax = "proto3"; import "sub/dep.proto"; import "google/protobuf/timestamp.proto";'
        "message M { sub.Dep dep = 1; google.protobuf.Timestamp at = 2; }"
    )
    code = """
import grpc_tools.protoc
import main_pb2
message = main_pb2.M(dep={"n": 3}, at={"seconds": 4})
print(main_pb2.M.FromString(message.SerializeToString()) == message, hasattr(main_pb2, "__file__"))
print(type(main_pb2.__spec__.loader).__name__, __import__("sub.dep_pb2").dep_pb2.Dep is type(message.dep))
"""
    assert prints(tmp_path, code) == "True False\nProtoLoader True"


def test_the_import_hook_can_be_turned_off(tmp_path: Path) -> None:
    (tmp_path / "a.proto").write_text('syntax = "proto3";')
    code = "import grpc_tools.protoc\ntry:\n    import a_pb2\nexcept ModuleNotFoundError as error:\n    print(error)"
    assert prints(tmp_path, code, GRPC_PYTHON_DISABLE_DYNAMIC_STUBS="1") == "No module named 'a_pb2'"
    assert prints(tmp_path, "import grpc_tools.protoc, a_pb2") == ""


def test_a_missing_proto_file_is_a_missing_module(tmp_path: Path) -> None:
    code = "import grpc_tools.protoc\ntry:\n    import nope_pb2\nexcept ModuleNotFoundError as error:\n    print(error)"
    assert prints(tmp_path, code) == "No module named 'nope_pb2'"


def test_an_import_raises_the_errors_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "bad.proto").write_text(BAD)
    code = """
from grpc_tools import protoc, _protoc_compiler
try:
    import bad_pb2
except _protoc_compiler.ProtocErrors as errors:
    print(errors)
    first = errors.errors()[0]
    print(first.filename, first.line, first.column, first.message, isinstance(first, _protoc_compiler.ProtocError))
"""
    *lines, first = prints(tmp_path, code).splitlines()
    assert lines == BAD_ERRORS
    assert first == """b'bad.proto' 2 8 b'"A" is already defined.' True"""


def test_build_package_protos_warns_or_raises(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    (tmp_path / "package").mkdir()
    (tmp_path / "package/good.proto").write_text(
        'syntax = "proto3"; import "google/protobuf/any.proto"; message A { google.protobuf.Any a = 1; }'
    )
    code = "from grpc_tools import command; command.build_package_protos('package', {strict})"
    assert prints(tmp_path, code.format(strict=True)) == ""
    assert sorted(path.name for path in (tmp_path / "package").glob("*_pb2*")) == [
        "good_pb2.py",
        "good_pb2.pyi",
        "good_pb2_grpc.py",
    ]
    (tmp_path / "package/bad.proto").write_text(BAD)
    done = python(tmp_path, code.format(strict=False))
    assert done.returncode == 0
    assert "warning: ['grpc_tools.protoc', '--proto_path=package'" in done.stderr
    done = python(tmp_path, code.format(strict=True))
    assert done.returncode == 1
    assert "Exception: error: ['grpc_tools.protoc'" in done.stderr


@pytest.mark.skipif(importlib.util.find_spec("grpc") is None, reason="needs the package grpc")
def test_grpc_protos_and_services(tmp_path: Path) -> None:
    (tmp_path / "greet.proto").write_text(
        'syntax = "proto3"; package g; message R {} service Greeter { rpc Say(R) returns (R); }'
    )
    code = """
import grpc
messages, services = grpc.protos_and_services("greet.proto")
print(messages.R.DESCRIPTOR.full_name, services.GreeterStub.__name__, grpc.protos("greet.proto") is messages)
"""
    assert prints(tmp_path, code) == "g.R GreeterStub True"
