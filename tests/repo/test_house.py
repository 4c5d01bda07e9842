"""The house stands as ARCHITECTURE.md draws it: directions, what brains may not touch, links that lead somewhere."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

BRAINS = ("core", "engine", "security", "channel", "serving", "schema", "codegen")

# Who may use whom, at run time. A new edge is a decision: change ARCHITECTURE.md with it.
MAY_USE: dict[str, set[str]] = {
    "farcall-core": set(),
    "farcall-engine": {"farcall-core"},
    "farcall-security": set(),
    "farcall-channel": {"farcall-core"},
    "farcall-serving": {"farcall-core"},
    "farcall-schema": set(),
    "farcall-codegen": set(),
    "farcall-net": {"farcall-core", "farcall-engine", "farcall-security", "farcall-channel", "farcall-serving"},
    "farcall": {
        "farcall-core",
        "farcall-engine",
        "farcall-security",
        "farcall-channel",
        "farcall-serving",
        "farcall-net",
    },
    "farcall-build": {"farcall-schema", "farcall-codegen"},
    "farcall-protoc": {"farcall-schema", "farcall-codegen"},
    "farcall-system": {"farcall-core", "farcall-engine", "farcall-security", "farcall-channel"},
    "farcall-blocking": {
        "farcall-core",
        "farcall-engine",
        "farcall-security",
        "farcall-channel",
        "farcall-serving",
        "farcall-system",
    },
    "farcall-python": {
        "farcall-core",
        "farcall-engine",
        "farcall-security",
        "farcall-channel",
        "farcall-serving",
        "farcall-system",
        "farcall-blocking",
    },
    # `farcall-schema` for its diagnostics, which Python gets as exceptions.
    "farcall-python-tools": {"farcall-protoc", "farcall-schema"},
}

# What a brain would need hands for: the clock, threads, files, sockets, a run time.
HANDS = re.compile(
    r"\bInstant::now\b|\bSystemTime\b|\bstd::(thread|fs|process|env)\b|\b(Tcp|Udp|Unix)(Listener|Stream|Socket)\b"
    r"|\btokio::|\bunsafe\s*[{]|\bprintln!|\beprintln!"
)

LONGEST_FILE = 1000


def test_directions() -> None:
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    used = {
        package["name"]: {
            dependency["name"]
            for dependency in package["dependencies"]
            if dependency["name"].startswith("farcall") and dependency["kind"] is None
        }
        for package in json.loads(printed)["packages"]
        if pathlib.Path(package["manifest_path"]).parent.parent == ROOT / "crates"
    }
    unknown = used.keys() - MAY_USE.keys()
    assert not unknown, f"say in MAY_USE, and in ARCHITECTURE.md, whom these may use: {unknown}"
    wrong = {name: names - MAY_USE[name] for name, names in used.items() if names - MAY_USE[name]}
    assert not wrong


def code_lines(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """The lines of a Rust file that are neither comments nor its tests."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip() == "#[cfg(test)]":
            return
        if not line.lstrip().startswith("//"):
            yield number, line


def is_test(path: pathlib.Path) -> bool:
    return path.stem == "tests" or "tests" in path.parts


@pytest.mark.parametrize("brain", BRAINS)
def test_brains_have_no_hands(brain: str) -> None:
    source = ROOT / "crates" / brain / "src"
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sorted(source.rglob("*.rs"))
        if not is_test(path.relative_to(source))
        for number, line in code_lines(path)
        if HANDS.search(line)
    ]
    assert not found, "\n".join(found)


PYTHON = ROOT / "crates" / "python" / "src"

# Where Rust is, and what it may not name there: each kind of hands stands by itself, and only one crate knows Python.
STRANGERS: dict[str, tuple[list[pathlib.Path], re.Pattern[str]]] = {
    "asyncio's half": (
        sorted((PYTHON / "aio").rglob("*.rs")),
        re.compile(r"\bfarcall_blocking\b|\bcrate::(client|server)\b"),
    ),
    "the blocking half": ([PYTHON / "client.rs", PYTHON / "server.rs"], re.compile(r"\baio\b")),
    "hands without Python": (
        [path for crate in ("blocking", "system") for path in sorted((ROOT / "crates" / crate).rglob("*.rs"))],
        re.compile(r"\bpyo3\b|\bPy_GIL_DISABLED\b"),
    ),
    # Whether a call is made again, and where it goes, is decided in crates/channel.
    "hands": (
        [
            path
            for place in (PYTHON / "aio", ROOT / "crates" / "blocking" / "src", ROOT / "crates" / "net" / "src")
            for path in sorted(place.rglob("*.rs"))
        ],
        re.compile(r"\b(Retry|RetryPolicy|HedgingPolicy|Picker|PolicyConfig|ServiceConfig)\b"),
    ),
}


@pytest.mark.parametrize("place", STRANGERS)
def test_hands_do_not_know_each_other(place: str) -> None:
    paths, stranger = STRANGERS[place]
    assert paths
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in code_lines(path)
        if stranger.search(line)
    ]
    assert not found, "\n".join(found)


def test_files_can_be_read_in_a_sitting() -> None:
    sources = [*ROOT.glob("crates/*/src/**/*.rs"), *ROOT.glob("python/*/**/*.py")]
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    long = {str(path.relative_to(ROOT)): count for path, count in lengths.items() if count > LONGEST_FILE}
    assert not long


def test_no_file_of_tests_is_left_out() -> None:
    """Where `autotests = false`, cargo runs what main.rs or the manifest names, and says nothing of other files."""
    left_out = []
    for main in ROOT.glob("crates/*/tests/main.rs"):
        crate = main.parent.parent
        named = set(re.findall(r"^mod (\w+);", main.read_text(encoding="utf-8"), re.MULTILINE)) | {"main"}
        manifest = (crate / "Cargo.toml").read_text(encoding="utf-8")
        named |= set(re.findall(r'^path = "tests/(\w+)\.rs"', manifest, re.MULTILINE))
        left_out += [path for path in main.parent.glob("*.rs") if path.stem not in named]
    assert not left_out, "name these in main.rs"


def documents() -> list[pathlib.Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.splitlines()] or sorted(ROOT.glob("*.md"))


def test_links_lead_somewhere() -> None:
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in documents()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text(encoding="utf-8"))
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert not broken
