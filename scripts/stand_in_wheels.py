"""Writes wheels named grpcio, grpcio-tools, ... that depend on farcall, and constraints.txt that names them.

    python scripts/stand_in_wheels.py DIRECTORY

They are for environments that shall hold no grpcio at all: what requires `grpcio` is then content with farcall. The
versions are those of the packages farcall stands in for, with a local label: an installer that knows both prefers them
to grpcio's own of that version. Each holds a package of the right name that leads to Farcall's, for where nothing that
would find it runs when the interpreter starts (PYTHONPATH, `python -S`).
"""

import argparse
import base64
import dataclasses
import hashlib
import pathlib
import re
import zipfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]
PACKAGES = REPOSITORY / "python" / "farcall" / "farcall" / "_packages"

# A fixed time, so that the same wheel is the same bytes.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def found(path: pathlib.Path, pattern: str) -> str:
    """What the pattern's group matches in a file."""
    match = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    assert match, f"{path} has {pattern}"
    return match[1]


OURS = found(REPOSITORY / "python" / "farcall" / "pyproject.toml", r'^version = "(.+)"$')
# The grpcio that `grpc.__version__` says we are; its satellites have numbers of their own.
GRPCIO = found(PACKAGES / "grpc" / "_grpcio_metadata.py", r'^__version__ = """(.+)"""$')


@dataclasses.dataclass
class StandIn:
    """A distribution of grpcio's: its name and version, its package, our wheel that has it, and what it requires."""

    name: str
    version: str
    package: str
    ours: str = "farcall"
    requires: tuple[str, ...] = ()
    script: str = ""

    @property
    def labelled(self) -> str:
        """The version with our label."""
        return f"{self.version}+farcall.{OURS}"


PROTOBUF = "protobuf>=5.29,<8"

STAND_INS = (
    StandIn("grpcio", GRPCIO, "grpc"),
    StandIn(
        "grpcio-tools",
        "1.85.1",
        "grpc_tools",
        ours="farcall-tools",
        requires=("grpcio>=1.85.1", "protobuf>=7.35.1,<8"),
        script="python-grpc-tools-protoc = grpc_tools.protoc:entrypoint",
    ),
    StandIn(
        "grpcio-status",
        GRPCIO,
        "grpc_status",
        requires=(f"grpcio>={GRPCIO}", "protobuf>=5.29,<8", "googleapis-common-protos>=1.5.5"),
    ),
    StandIn("grpcio-health-checking", "1.85.1", "grpc_health", requires=("grpcio>=1.85.1", PROTOBUF)),
    StandIn("grpcio-reflection", "1.85.1", "grpc_reflection", requires=("grpcio>=1.85.1", PROTOBUF)),
    StandIn("grpcio-channelz", "1.85.0", "grpc_channelz", requires=("grpcio>=1.85.0", PROTOBUF)),
    StandIn("grpcio-testing", "1.85.0", "grpc_testing", requires=("grpcio>=1.85.0", PROTOBUF)),
    StandIn("grpcio-admin", "1.85.0", "grpc_admin", requires=("grpcio-channelz>=1.85.0",)),
)

PACKAGE = '''"""Leads to Farcall's package of this name. An interpreter that finds that one itself never loads this."""

from farcall import _finder

_finder.become(__name__)
'''


def metadata(it: StandIn) -> str:
    """The METADATA file."""
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {it.name}",
        f"Version: {it.labelled}",
        f"Summary: Stands in for {it.name}: what it brings is in {it.ours}",
        "License: Apache-2.0",
        "License-File: LICENSE",
        "Requires-Python: >=3.10",
        *(f"Requires-Dist: {requirement}" for requirement in (f"{it.ours}>={OURS}", *it.requires)),
    ]
    if it.name == "grpcio":
        lines += ["Provides-Extra: protobuf", 'Requires-Dist: grpcio-tools>=1.85.1; extra == "protobuf"']
    return "\n".join(lines) + f"\n\n`{it.ours}` has what programs import from {it.name}.\n"


def write(directory: pathlib.Path, it: StandIn) -> pathlib.Path:
    """Writes one wheel."""
    stem = f"{it.name.replace('-', '_')}-{it.labelled}"
    info = f"{stem}.dist-info"
    files = {
        f"{it.package}/__init__.py": PACKAGE,
        f"{info}/METADATA": metadata(it),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: farcall\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/licenses/LICENSE": (REPOSITORY / "LICENSE").read_text(encoding="utf-8"),
    }
    if it.script:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{it.script}\n"
    record = ""
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{file},sha256={digest},{len(text.encode())}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    path = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(zipfile.ZipInfo(file, TIMESTAMP), text)
    return path


def write_all(directory: pathlib.Path) -> list[pathlib.Path]:
    """Writes all of them, and the constraints by which installers keep to them."""
    directory.mkdir(parents=True, exist_ok=True)
    constraints = directory / "constraints.txt"
    constraints.write_text("".join(f"{it.name}=={it.labelled}\n" for it in STAND_INS), encoding="utf-8")
    return [*(write(directory, it) for it in STAND_INS), constraints]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    for written in write_all(parser.parse_args().directory):
        print(written)
