#!/usr/bin/env python3
"""Compiles the Rust generated for a directory of .proto files, warnings being errors, and sends messages through it.

    tests/golden/rust/corpus.py DIRECTORY [-I ROOT]... [--every N | --package NAME...] [--crates N] [--work DIR]
                                [--ours "target/debug/farcall-protoc"] [--clippy] [--doc] [--messages N]
                                [--data DIRECTORY] [--json]

Run it by a Python that has `protobuf`. All files of every Nth package (of all, by default) are compiled, with what
they import; `google/protobuf/*.proto` are generated only where the Rust crates do not have them. The packages are
spread over N crates. With `--messages`, each message type is sent N random messages (`messages.py`): Python
serializes, Rust parses and serializes, and Python must find the same, unknown fields included. With `--json` the
same happens with JSON in the place of bytes, in both directions. `--data` does it with messages from files, of types
that all crates have.
Prints counts; exits 0 if nothing is wrong.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import messages
from google.protobuf import descriptor_pb2

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]

PACKAGE = re.compile(r"^\s*package\s+([\w.\s]+?)\s*;", re.MULTILINE)
# Files whose types the crates `buffa-types` and `buffa-descriptor` have.
AT_HOME = {
    f"google/protobuf/{name}.proto"
    for name in (
        *("any", "api", "compiler/plugin", "descriptor", "duration", "empty", "field_mask", "source_context"),
        *("struct", "timestamp", "type", "wrappers"),
    )
}


# Those of them that have no JSON there.
WITHOUT_JSON = {f"google/protobuf/{name}.proto" for name in ("api", "source_context", "type")}


@dataclass
class Crate:
    """Some of the packages, and where their Rust is."""

    root: Path
    inputs: list[str]
    files: list[descriptor_pb2.FileDescriptorProto] = field(default_factory=list)
    generated: list[str] = field(default_factory=list)


def proto_files(directory: Path) -> dict[str, list[str]]:
    """The files below `directory`, by package."""
    packages = defaultdict(list)
    for path in sorted(directory.rglob("*.proto")):
        found = PACKAGE.search(path.read_text(errors="replace"))
        packages[found[1] if found else ""].append(str(path.relative_to(directory)))
    return dict(sorted(packages.items()))


def generate(crate: Crate, protoc: list[str], roots: list[str], json: bool) -> str:
    """Writes the crate's sources. Returns what went wrong."""
    source = crate.root / "src"
    (source / "proto").mkdir(parents=True, exist_ok=True)
    for old in (source / "proto").iterdir():
        old.unlink()
    includes = [f"-I{root}" for root in roots]
    descriptors = crate.root / "set.pb"
    command = [*protoc, *includes, "--include_imports", f"--descriptor_set_out={descriptors}"]
    done = subprocess.run([*command, *crate.inputs], capture_output=True, text=True, check=False)
    if done.returncode:
        return errors(done.stderr)
    crate.files = list(descriptor_pb2.FileDescriptorSet.FromString(descriptors.read_bytes()).file)
    at_home = AT_HOME - WITHOUT_JSON if json else AT_HOME
    crate.generated = [file.name for file in crate.files if file.name not in at_home or file.name in crate.inputs]
    option = "json:" if json else ""
    command = [*protoc, *includes, f"--rust_out={option}{source / 'proto'}"]
    done = subprocess.run([*command, *crate.generated], capture_output=True, text=True, check=False)
    if done.returncode:
        return errors(done.stderr)
    template = (HERE / "crate" / "Cargo.toml.in").read_text()
    manifest = template.replace("@NAME@", crate.root.name).replace("@REPOSITORY@", str(REPOSITORY))
    write_if_new(crate.root / "Cargo.toml", manifest)
    for name in ("lib.rs", "main.rs", "trips.rs"):
        write_if_new(source / name, (HERE / "crate" / name).read_text().replace("@NAME@", crate.root.name))
    write_if_new(source / "table.rs", table(source / "proto", json))
    write_if_new(source / "registration.rs", registration(source / "proto") if json else "{ _ = registry; }\n")
    return ""


def errors(stderr: str) -> str:
    return "\n".join(line for line in stderr.splitlines() if ": warning: " not in line)


def write_if_new(path: Path, text: str) -> None:
    """Leaves the file's time alone where nothing changes, for Cargo's sake."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def registration(directory: Path) -> str:
    """Rust that makes the messages and extensions of each package known to JSON."""
    packages = [
        path
        for path in sorted(directory.glob("*.rs"))
        if "\npub use self::__buffa::register_types;" in path.read_text()
    ]
    calls = [f"    {'::'.join(module(path))}::register_types(registry);" for path in packages]
    return "\n".join(["{", "    buffa_types::register_wkt_types(registry);", *calls, "}", ""])


def module(path: Path) -> list[str]:
    """Where the generated code of the package whose file this is has its place."""
    return ["crate", "proto", *([] if path.stem == "_" else map(escaped, path.stem.split(".")))]


def table(directory: Path, json: bool) -> str:
    """Rust that names each message of the generated code beside the functions for it."""
    of = "trips::of_json" if json else "trips::of"
    rows = [f'    ("{name}", {of}::<{path}>()),' for name, path in sorted(rust_paths(directory))]
    return "\n".join(["&[", *rows, "]", ""])


def rust_paths(directory: Path) -> list[tuple[str, str]]:
    """Full names of the messages in the generated code, and where it has them: read from the code itself."""
    found = []
    for path in directory.glob("*.rs"):
        if path.name == "mod.rs":
            continue
        modules: list[str] = []
        rust = ""
        for line in path.read_text().splitlines():
            text = line.lstrip(" ")
            if text.startswith("pub mod "):
                del modules[(len(line) - len(text)) // 4 :]
                modules.append(text.split()[2])
            elif text.startswith("impl ::buffa::MessageName for "):
                del modules[(len(line) - len(text)) // 4 :]
                rust = "::".join([*module(path), *modules, text.split()[3]])
            elif text.startswith("const FULL_NAME:") and rust:
                found.append((text.split('"')[1], rust))
                rust = ""
    return found


def escaped(name: str) -> str:
    keywords = {"abstract", "as", "async", "box", "const", "do", "dyn", "enum", "extern", "final", "for", "gen", "in"}
    keywords |= {"loop", "macro", "match", "mod", "move", "override", "priv", "pub", "ref", "static", "struct", "trait"}
    keywords |= {"try", "type", "typeof", "unsafe", "use", "virtual", "where", "yield"}
    return f"{name}_" if name in {"crate", "self", "super"} else f"r#{name}" if name in keywords else name


WITH = {"clippy": ("--", "-Dwarnings"), "doc": ("--no-deps",)}


def cargo(work: Path, *arguments: str) -> tuple[bool, str]:
    verb, *rest = arguments
    command = ["cargo", verb, "--quiet", "--workspace", "--manifest-path", str(work / "Cargo.toml"), *rest]
    environment = {**os.environ, "RUSTDOCFLAGS": "-Dwarnings"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.returncode == 0, done.stderr


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("-I", dest="roots", action="append", default=[], help="more roots for imports")
    parser.add_argument("--ours", default="target/debug/farcall-protoc")
    parser.add_argument("--every", type=int, default=1, help="compile only every Nth package")
    parser.add_argument("--package", action="append", help="compile only this package (may be repeated)")
    parser.add_argument("--leave-out", action="append", default=[], help="a regular expression of file names")
    parser.add_argument("--crates", type=int, default=1)
    parser.add_argument("--work", type=Path, help="where the crates go, and stay")
    parser.add_argument("--clippy", action="store_true", help="clippy instead of check")
    parser.add_argument("--doc", action="store_true", help="rustdoc, too")
    parser.add_argument("--messages", type=int, default=0, help="random messages for each type")
    parser.add_argument("--data", type=Path, help="a directory of messages: full.name.of.Type/NAME.binpb")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10, help="how many differences to describe")
    args = parser.parse_args()

    packages = proto_files(args.directory)
    left_out = re.compile("|".join(args.leave_out) or "$^")
    chosen = args.package or list(packages)[:: args.every]
    protoc, roots = shlex.split(args.ours), [str(args.directory), *args.roots]
    with tempfile.TemporaryDirectory() as scratch:
        work = args.work or Path(scratch)
        crates = []
        for index in range(args.crates):
            inputs = [name for package in chosen[index :: args.crates] for name in packages[package]]
            inputs = [name for name in inputs if not left_out.search(name)]
            if inputs:
                crates.append(Crate(work / f"corpus{index}", inputs))
        members = ", ".join(f'"{crate.root.name}"' for crate in crates)
        work.mkdir(parents=True, exist_ok=True)
        profile = "[profile.dev]\ndebug = false\nincremental = false\n"
        write_if_new(work / "Cargo.toml", f'[workspace]\nresolver = "3"\nmembers = [{members}]\n{profile}')
        return run(args, work, crates, protoc, roots)


def run(args: argparse.Namespace, work: Path, crates: list[Crate], protoc: list[str], roots: list[str]) -> int:
    started = time.monotonic()
    for crate in crates:
        if problem := generate(crate, protoc, roots, args.json):
            print(problem)
            return 1
    lines = sum(path.read_bytes().count(b"\n") for path in work.glob("corpus*/src/proto/*.rs"))
    asked = {name for crate in crates for name in crate.inputs}
    names = {name for crate in crates for name in crate.generated}
    packages = {file.package for crate in crates for file in crate.files if file.name in names}
    seconds = time.monotonic() - started
    print(
        f"generated: {len(names)} files ({len(asked)} asked for) of {len(packages)} packages, "
        f"{lines} lines, {seconds:.0f} s"
    )
    for verb in verbs(args):
        started = time.monotonic()
        good, stderr = cargo(work, verb, *WITH.get(verb, ()))
        if not good:
            print(stderr[-20000:])
            print(f"cargo {verb}: not clean")
            return 1
        print(f"cargo {verb}: clean, {time.monotonic() - started:.0f} s")
    if not (args.messages or args.data):
        return 0
    wrong = 0
    for crate in crates:
        binary = target_directory(work) / "debug" / crate.root.name
        tally = messages.exchange(
            str(binary), crate.files, crate.generated, args.messages, args.json, args.seed, args.show
        )
        print(f"{crate.root.name}: {tally}")
        wrong += tally.different
        if args.data:
            tally = messages.exchange_files(str(binary), crate.files, args.data, args.json, args.show)
            print(f"{crate.root.name}, {args.data}: {tally}")
            wrong += tally.different
    return 1 if wrong else 0


def verbs(args: argparse.Namespace) -> list[str]:
    """What Cargo is to do: what is built need not be checked."""
    asked = [
        verb
        for verb, wanted in (("clippy", args.clippy), ("doc", args.doc), ("build", args.messages or args.data))
        if wanted
    ]
    return asked or ["check"]


def target_directory(work: Path) -> Path:
    import json

    if directory := os.environ.get("CARGO_TARGET_DIR"):
        return Path(directory)
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps", "--manifest-path", str(work / "Cargo.toml")]
    return Path(json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["target_directory"])


if __name__ == "__main__":
    sys.exit(main())
