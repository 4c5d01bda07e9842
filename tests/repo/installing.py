"""Environments to install into, and small wheels to install: for the tests of what pip and uv leave behind."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What the environment's Python sees: whose packages it imports, whether every file is there and has one owner.
LOOK = """
import collections, importlib.metadata as metadata, json, os
owners, missing, installed = collections.Counter(), [], {}
for one in metadata.distributions():
    if "grpc" not in one.name and "farcall" not in one.name:
        continue
    installed[one.name] = one.version
    for file in one.files:
        owners[os.path.normpath(file.locate())] += 1
        if not file.name.endswith(".pyc") and not os.path.exists(file.locate()):
            missing.append(str(file))
found = {}
for name in ("grpc", "grpc_tools", "grpc_health", "grpc_status"):
    try:
        module = __import__(name)
    except ModuleNotFoundError:
        found[name] = None
    else:
        found[name] = getattr(module, "FROM", "farcall")
if found["grpc"] == "farcall":
    import grpc._common, grpc._simple_stubs
elif found["grpc"]:
    import grpc._common, grpc.aio
shared = [file for file, count in owners.items() if count > 1]
print(json.dumps({"found": found, "missing": missing, "shared": shared, "installed": installed}))
"""


def look(python: pathlib.Path, **environment: str) -> dict:
    """What LOOK prints in an environment."""
    command = [str(python), "-c", LOOK]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return json.loads(done.stdout)


def venv(directory: pathlib.Path, *options: str) -> pathlib.Path:
    """The Python of a new environment, which has no pip of its own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *options, str(directory)], check=True, timeout=60)
    return directory / "bin" / "python"


def pack(directory: pathlib.Path, name: str, version: str, tag: str, files: dict[str, bytes]) -> pathlib.Path:
    """Writes a wheel of these files, to which RECORD and WHEEL are added."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    files = {**files, f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()}
    record = ""
    for file, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record += f"{file},sha256={digest},{len(content)}\n"
    path = directory / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for file, content in files.items():
            wheel.writestr(file, content)
        wheel.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return path


def theirs(directory: pathlib.Path, name: str, version: str, package: str, *requires: str) -> pathlib.Path:
    """A wheel laid out as one of grpcio's is: the package says whose it is."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    files = {f"{package}/__init__.py": f"FROM = {name + ' ' + version!r}\n".encode()}
    if package == "grpc":
        files |= {"grpc/_common.py": b"", "grpc/aio/__init__.py": b"", "grpc/_cython/cygrpc.py": b""}
    files[f"{name.replace('-', '_')}-{version}.dist-info/METADATA"] = metadata.encode()
    return pack(directory, name, version, "py3-none-any", files)


def ours(directory: pathlib.Path, wheel: pathlib.Path, version: str) -> pathlib.Path:
    """One of our wheels under another version and without its native module, which is most of it."""
    name, old, *_ = wheel.name.split("-")
    files = {}
    with zipfile.ZipFile(wheel) as archive:
        for file in archive.namelist():
            if file.endswith((".so", "/RECORD", "/WHEEL")):
                continue
            content = archive.read(file)
            if file.endswith(".dist-info/METADATA"):
                content = re.sub(rb"(?m)^Version: .*$", f"Version: {version}".encode(), content, count=1)
                # Nothing of the index is needed here.
                content = re.sub(rb"(?m)^Requires-Dist: (?!farcall|grpcio).*\n", b"", content)
            files[file.replace(f"{name}-{old}.dist-info", f"{name}-{version}.dist-info")] = content
    return pack(directory, name, version, "py3-none-any", files)
