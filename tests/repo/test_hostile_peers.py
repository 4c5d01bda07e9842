"""The table of attacks in docs/hostile-peers.md names tests and bounds that exist."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENGINE = ROOT / "crates" / "engine"
TABLE = ROOT / "docs" / "hostile-peers.md"


def rows() -> list[list[str]]:
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row for row in cells if row[0] != "attack or bug" and not row[0].startswith("---")]


def sources(modules: list[str]) -> list[pathlib.Path]:
    """Where the tests of a module may stand."""
    path = pathlib.Path(*modules)
    inner = path.parent if modules[-1] == "tests" else path
    tests = [ENGINE / "tests" / path.with_suffix(".rs")]
    own = [ENGINE / "src" / each for each in (path.with_suffix(".rs"), path / "mod.rs", inner.with_suffix(".rs"))]
    return [source for source in tests + own if source.is_file()]


def exists(test: str) -> bool:
    *modules, name = test.split("::")
    declared = re.compile(rf"#\[test\]\s+fn {name}\(")
    return any(declared.search(source.read_text(encoding="utf-8")) for source in sources(modules))


def test_every_row_is_whole_and_has_a_test() -> None:
    assert len(rows()) > 50
    assert not [row for row in rows() if len(row) != 5 or not all(row)]
    assert not [row[0] for row in rows() if not re.findall(r"`[a-z_:]+::[a-z0-9_]+`", row[4])]


def test_the_tests_exist() -> None:
    named = {name for row in rows() for name in re.findall(r"`([^`]+)`", row[4])}
    assert sorted(name for name in named if not exists(name)) == []


def test_the_bounds_exist() -> None:
    fields = set(re.findall(r"^    pub (\w+):", (ENGINE / "src" / "limits.rs").read_text(encoding="utf-8"), re.M))
    named = {name for row in rows() for name in re.findall(r"`([^`]+)`", row[3])}
    assert named - fields == set()
