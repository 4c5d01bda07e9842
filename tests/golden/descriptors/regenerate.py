"""Writes the descriptor sets in out/ anew from in/: python regenerate.py (needs grpcio-tools)."""

import pathlib
import subprocess
import sys

here = pathlib.Path(__file__).parent
variants = {
    "": [],
    ".source_info": ["--include_source_info"],
    ".retained": ["--include_source_info", "--retain_options"],
}
(here / "out").mkdir(exist_ok=True)
for proto in sorted((here / "in").glob("*.proto")):
    for suffix, flags in variants.items():
        out = here / "out" / f"{proto.stem}{suffix}.ds"
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{here / 'in'}", f"--descriptor_set_out={out}"]
        subprocess.run([*command, *flags, proto.name], check=True)
