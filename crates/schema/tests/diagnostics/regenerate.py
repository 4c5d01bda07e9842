"""Writes the expected text of the pages beside this file anew: python regenerate.py (needs grpcio-tools)."""

import pathlib
import re
import subprocess
import sys
import tempfile

CASE = re.compile(r"(## .*?\n)(.*?)(?=\n## |\Z)", re.S)
FILE = re.compile(r"`([^`\n]+)`:\n+```proto\n(.*?)```\n", re.S)


def reference(files: dict[str, str]) -> str:
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", "--descriptor_set_out=out", next(iter(files))]
        result = subprocess.run(command, cwd=root, capture_output=True, check=False)
    lines = result.stderr.decode().splitlines()
    return "".join(f"{line}\n" for line in lines if "absl::InitializeLog" not in line and "parser.cc" not in line)


def renew(match: re.Match) -> str:
    heading, body = match.groups()
    files = dict(FILE.findall(body))
    shown = "".join(f"`{name}`:\n\n```proto\n{text}```\n\n" for name, text in files.items())
    return f"{heading}\n{shown}```text\n{reference(files)}```\n"


for page in sorted(pathlib.Path(__file__).parent.glob("*.md")):
    page.write_text(CASE.sub(renew, page.read_text()))
