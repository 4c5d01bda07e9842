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

# The defaults of features, from one edition to another.
features = [f"google/protobuf/{name}.proto" for name in ("descriptor", "cpp_features", "go_features", "java_features")]
for first, last, inputs in [
    ("PROTO2", "2024", features[:1]),
    ("PROTO3", "2023", features),
    ("2023", "UNSTABLE", features),
]:
    out = here / "out" / f"edition_defaults.{first}.{last}.pb"
    bounds = [f"--edition_defaults_minimum={first}", f"--edition_defaults_maximum={last}"]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--edition_defaults_out={out}", *bounds, *inputs]
    subprocess.run(command, check=True)
