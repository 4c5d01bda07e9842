"""Writes the modules of the health, reflection and channelz services, by our compiler, from the `.proto` files.

    python scripts/generate_satellites.py [--protoc COMMAND] [DIRECTORY]

DIRECTORY is `python/farcall/farcall/_packages`; COMMAND is `python -m grpc_tools.protoc`, of the Python that runs this.
"""

import argparse
import pathlib
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

# Modules for 5.26 and before check no version of the runtime, so one wheel does for protobuf 5, 6 and 7.
RUNTIME = "protobuf_runtime=5.26"


def generate(directory: pathlib.Path, protoc: list[str]) -> None:
    """Writes `*_pb2.py`, `*_pb2.pyi` and `*_pb2_grpc.py` into the packages below the directory."""
    with tempfile.TemporaryDirectory() as sources:
        for vendored, name in FILES.items():
            source = pathlib.Path(sources, name)
            source.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / "proto" / vendored, source)
        paths = [f"-I{sources}", f"-I{REPOSITORY / 'proto'}"]
        outputs = [
            f"--python_out={RUNTIME}:{directory}",
            *(f"--{kind}_out={directory}" for kind in ("pyi", "grpc_python")),
        ]
        subprocess.run([*protoc, *paths, *outputs, *FILES.values()], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="?", type=pathlib.Path, default=PACKAGES)
    parser.add_argument("--protoc", type=shlex.split, default=[sys.executable, "-m", "grpc_tools.protoc"])
    arguments = parser.parse_args()
    generate(arguments.directory, arguments.protoc)
