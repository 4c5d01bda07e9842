"""Random messages of the generated types, from Python through Rust and back."""

import os
import pathlib
import subprocess
import sys

from google.protobuf import descriptor_pb2

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RUST_BIN = pathlib.Path(os.environ.get("FARCALL_RUST_BIN", ROOT / "target" / "debug"))

sys.path.insert(0, str(ROOT / "tests" / "golden" / "rust"))

import messages  # noqa: E402

EACH = 10


def corpus() -> tuple[list[str], list[str]]:
    """The include path as options, and the files."""
    lines = (HERE / "corpus.txt").read_text().splitlines()
    return [line for line in lines if line.startswith("-I")], [line for line in lines if not line.startswith("-I")]


def descriptors(scratch: pathlib.Path) -> list[descriptor_pb2.FileDescriptorProto]:
    """The files of the corpus and what they import, by our own compiler."""
    roots, files = corpus()
    out = scratch / "set.pb"
    command = [RUST_BIN / "farcall-protoc", *roots, "--include_imports", f"--descriptor_set_out={out}", *files]
    subprocess.run(command, cwd=HERE, check=True)
    return list(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


def test_what_rust_parses_and_writes_is_what_python_wrote(tmp_path, capsys):
    files = corpus()[1]
    tally = messages.exchange(
        str(RUST_BIN / "farcall-generated"), descriptors(tmp_path), files, EACH, json=True, seed=1, show=10
    )
    assert tally.different == 0, capsys.readouterr().out
    # Types that were left out would not be missed otherwise.
    assert tally.types > 150
    assert tally.messages == EACH * tally.types
