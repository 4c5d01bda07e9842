"""Writes THIRD-PARTY-NOTICES.txt for each wheel: whose code is in it, and the licences that ask to be passed on.

    python scripts/third_party_notices.py [--check]

From `cargo metadata`: every crate that is built into a wheel for any platform, with the licence files of its source. A
crate that may be used under Apache-2.0 is used under that, whose text is LICENSE; of the others all is kept. `--check`
writes nothing and fails when a file is not what it should be.
"""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]

# The crate that is a wheel's native module, and the directory of the wheel.
WHEELS = {"farcall-python": "farcall", "farcall-python-tools": "farcall-tools"}

# Where a crate keeps the licence of what it carries besides its own code.
CARRIED = {"aws-lc-sys": ["aws-lc/LICENSE", "aws-lc/third_party/fiat/LICENSE"]}

RULE = "=" * 100

PROTOS = """google/protobuf/*.proto (in grpc_tools/_proto and in the compiler) are of Protocol Buffers:

{licence}
"""


def metadata() -> dict:
    """What Cargo knows of the workspace and of all it depends on."""
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def built_in(cargo: dict, name: str) -> list[dict]:
    """The crates of others that are built into the crate of this name, by name and version."""
    packages = {package["id"]: package for package in cargo["packages"]}
    needs = {
        node["id"]: [need["pkg"] for need in node["deps"] if any(kind["kind"] is None for kind in need["dep_kinds"])]
        for node in cargo["resolve"]["nodes"]
    }
    (root,) = [key for key, package in packages.items() if package["name"] == name]
    seen, todo = {root}, [root]
    while todo:
        new = set(needs[todo.pop()]) - seen
        seen |= new
        todo += new
    return sorted(
        (packages[key] for key in seen if packages[key]["source"]),
        key=lambda package: (package["name"], package["version"]),
    )


def is_apache(licence: str) -> bool:
    """Whether Apache-2.0 alone is one of the choices."""
    choices = re.split(r" OR |/", licence)
    return "(" not in licence and "Apache-2.0" in (choice.strip() for choice in choices)


def texts(package: dict, names: str) -> list[str]:
    """The files of a crate's source that are called so."""
    source = pathlib.Path(package["manifest_path"]).parent
    found = [path for path in source.iterdir() if path.is_file() and re.match(names, path.name, re.IGNORECASE)]
    found += [source / carried for carried in CARRIED.get(package["name"], [])]
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in sorted(found)]


def notices(packages: list[dict], carried: str) -> str:
    """The file."""
    under_apache, users = [], {}
    for package in packages:
        title = f"{package['name']} {package['version']}"
        licence = package["license"] or ""
        if is_apache(licence):
            under_apache.append(title)
            kept = texts(package, "NOTICE")
        else:
            kept = texts(package, "LICEN[SC]E|COPYING|NOTICE|COPYRIGHT|UNLICENSE")
            if not kept:
                raise SystemExit(f"{title} ({licence}) has no licence file: say in {__file__} where its text is")
        for text in kept:
            users.setdefault(text, []).append(f"{title} ({licence})")
    parts = ["This wheel is Apache-2.0 (LICENSE). It has in it code of others, with thanks:\n"]
    parts.append("Under Apache-2.0, the text of LICENSE:\n\n" + "".join(f"    {title}\n" for title in under_apache))
    for text, titles in sorted(users.items(), key=lambda item: item[1]):
        parts.append("".join(f"{title}\n" for title in titles) + f"\n{text}\n")
    if carried:
        parts.append(carried)
    return f"\n{RULE}\n".join(parts)


def protobuf_licence() -> str:
    """What is said of the .proto files that the compiler carries."""
    return PROTOS.format(
        licence=(ROOT / "proto" / "google" / "protobuf" / "LICENSE").read_text(encoding="utf-8").strip()
    )


def main() -> int:
    """Writes both files, or with --check compares them."""
    cargo = metadata()
    for crate, wheel in WHEELS.items():
        path = ROOT / "python" / wheel / "THIRD-PARTY-NOTICES.txt"
        carried = protobuf_licence() if wheel == "farcall-tools" else ""
        text = notices(built_in(cargo, crate), carried)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path} is not what Cargo.lock says: run python scripts/third_party_notices.py", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
