"""Writes wheels named grpcio, grpcio-tools, grpcio-status, ... that hold nothing and depend on farcall.

    python scripts/stand_in_wheels.py DIRECTORY

What requires `grpcio` is then content with farcall. The versions are those of the packages farcall stands in for, with
a local label: an installer that knows both prefers them to grpcio's own of that version.
"""

import argparse
import base64
import hashlib
import pathlib
import re
import zipfile

REPOSITORY = pathlib.Path(__file__).resolve().parents[1]

PROTOBUF = "protobuf>=7.35.1,<8"

# Name, version of grpcio's package, our wheel, what else it needs.
STAND_INS = (
    ("grpcio", "1.85.1", "farcall", ()),
    ("grpcio-tools", "1.85.1", "farcall-tools", ("grpcio>=1.85.1", PROTOBUF)),
    (
        "grpcio-status",
        "1.85.1",
        "farcall",
        ("grpcio>=1.85.1", "protobuf>=6.33.5,<8", "googleapis-common-protos>=1.5.5"),
    ),
    ("grpcio-health-checking", "1.85.1", "farcall", ("grpcio>=1.85.1", PROTOBUF)),
    ("grpcio-reflection", "1.85.1", "farcall", ("grpcio>=1.85.1", PROTOBUF)),
    ("grpcio-channelz", "1.85.0", "farcall", ("grpcio>=1.85.0", PROTOBUF)),
    ("grpcio-testing", "1.85.0", "farcall", ("grpcio>=1.85.0", PROTOBUF)),
    ("grpcio-admin", "1.85.0", "farcall", ("grpcio-channelz>=1.85.0",)),
)

# A fixed time, so that the same wheel is the same bytes.
TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def our_version() -> str:
    """The version of farcall and farcall-tools."""
    text = (REPOSITORY / "python" / "farcall" / "pyproject.toml").read_text()
    match = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert match, "python/farcall/pyproject.toml has a version"
    return match[1]


def metadata(name: str, version: str, ours: str, requirements: tuple[str, ...]) -> str:
    """The METADATA file."""
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        f"Summary: Stands in for {name}: what it brings is in {ours}",
        "License: Apache-2.0",
        "Requires-Python: >=3.10",
        *(f"Requires-Dist: {requirement}" for requirement in (f"{ours}>={our_version()}", *requirements)),
    ]
    if name == "grpcio":
        lines += ["Provides-Extra: protobuf", 'Requires-Dist: grpcio-tools>=1.85.1; extra == "protobuf"']
    return "\n".join(lines) + f"\n\nAn empty package. `{ours}` has what programs import from {name}.\n"


def write(directory: pathlib.Path, name: str, version: str, ours: str, requirements: tuple[str, ...]) -> pathlib.Path:
    """Writes one wheel."""
    labelled = f"{version}+farcall.{our_version()}"
    stem = f"{name.replace('-', '_')}-{labelled}"
    files = {
        "METADATA": metadata(name, labelled, ours, requirements),
        "WHEEL": "Wheel-Version: 1.0\nGenerator: farcall\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for file, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{stem}.dist-info/{file},sha256={digest},{len(text.encode())}\n"
    files["RECORD"] = f"{record}{stem}.dist-info/RECORD,,\n"
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{file}", TIMESTAMP), text)
    return path


def write_all(directory: pathlib.Path) -> list[pathlib.Path]:
    """Writes all of them."""
    return [write(directory, *stand_in) for stand_in in STAND_INS]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=pathlib.Path)
    for written in write_all(parser.parse_args().directory):
        print(written)
