"""Writes the modules of the health, reflection and channelz services, by our compiler, from the `.proto` files.

    python scripts/generate_satellites.py [--protoc COMMAND] [DIRECTORY]

DIRECTORY is `python/farcall/farcall/_packages`; COMMAND is `python -m grpc_tools.protoc`, of the Python that runs this.
"""

import argparse
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = REPOSITORY / "python" / "farcall" / "farcall" / "_packages"

# The file in proto/, and its name in grpcio's packages: a file descriptor goes by the name it was compiled as.
FILES = {
    "grpc/health/v1/health.proto": "grpc_health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto": "grpc_reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto": "grpc_reflection/v1alpha/reflection.proto",
    "grpc/channelz/v1/channelz.proto": "grpc_channelz/v1/channelz.proto",
}


def generate(directory: pathlib.Path, protoc: list[str]) -> None:
    """Writes `*_pb2.py`, `*_pb2.pyi` and `*_pb2_grpc.py` into the packages below the directory."""
    with tempfile.TemporaryDirectory() as sources:
        for vendored, name in FILES.items():
            source = pathlib.Path(sources, name)
            source.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / "proto" / vendored, source)
        paths = [f"-I{sources}", f"-I{REPOSITORY / 'proto'}"]
        outputs = [f"--{kind}_out={directory}" for kind in ("python", "pyi", "grpc_python")]
        subprocess.run([*protoc, *paths, *outputs, *FILES.values()], check=True)
    for name in FILES.values():
        module = directory / name.replace(".proto", "_pb2.py")
        module.write_text(for_any_runtime(module.read_text(encoding="utf-8")), encoding="utf-8")


# What a module asks of the runtime when it is imported: to be as new as the compiler, and of its major version or the
# next. These few messages use nothing that protobuf 5 has not, and one wheel is to do for 5, 6 and 7.
RUNTIME_CHECK = re.compile(
    r"^from google\.protobuf import runtime_version as _runtime_version\n"
    r"|^_runtime_version\.ValidateProtobufRuntimeVersion\((?:\n    .*)*\n\)\n",
    re.MULTILINE,
)


def for_any_runtime(code: str) -> str:
    """The code of a `_pb2.py` without the check of the runtime's version."""
    code, checks = RUNTIME_CHECK.subn("", code)
    if checks != 2:
        raise SystemExit("the compiler writes the check of the runtime's version in another way: see RUNTIME_CHECK")
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=pathlib.Path, default=PACKAGES)
    parser.add_argument("--protoc", type=shlex.split, default=[sys.executable, "-m", "grpc_tools.protoc"])
    arguments = parser.parse_args()
    generate(arguments.directory, arguments.protoc)
