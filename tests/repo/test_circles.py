"""Files of a crate depend on each other in one direction. Circles that are there still may only shrink."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import pytest

CRATES = pathlib.Path(__file__).resolve().parents[2] / "crates"

# How many files stand in circles, by crate. A crate that is not here has none.
IN_CIRCLES = {
    "blocking": 13,
    "channel": 44,
    "codegen": 9,
    "engine": 4,
    "net": 9,
    "python": 15,
    "schema": 10,
}

Module = tuple[str, ...]


def modules(source: pathlib.Path) -> dict[Module, str]:
    """The text of each module of a crate without comments and tests; the crate's own is ()."""
    found: dict[Module, str] = {}
    for path in source.rglob("*.rs"):
        parts = path.relative_to(source).with_suffix("").parts
        if "tests" in parts:
            continue
        if parts[-1] == "mod":
            parts = parts[:-1]
        text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
        found[() if parts in (("lib",), ("main",)) else parts] = text.split("#[cfg(test)]")[0]
    return found


def leaves(tree: str, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of what stands behind `use`: `a::{b, c::d as e}` is a::b and a::c::d."""
    depth, item = 0, ""
    for letter in tree + ",":
        depth += (letter == "{") - (letter == "}")
        if letter != "," or depth:
            item += letter
            continue
        head, brace, body = item.strip().partition("{")
        path = before + tuple(part for part in re.sub(r"\s+as\s+\w+|\s", "", head).split("::") if part)
        if brace:
            yield from leaves(body.rsplit("}", 1)[0], path)
        elif path != before:
            yield path
        item = ""


USE = re.compile(r"\b(pub(?:\([a-z ]+\))?\s+)?use\s+([^;]*);")


def names(text: str) -> Iterator[tuple[str, ...]]:
    """Every path into the crate that a module names."""
    for _, tree in USE.findall(text):
        yield from (path for path in leaves(tree) if path[0] in ("crate", "super", "self"))
    for path in re.findall(r"\b(?:crate|super)(?:::\w+)+", USE.sub("", text)):
        yield tuple(path.split("::"))


def module_of(path: tuple[str, ...], module: Module, texts: dict[Module, str], depth: int = 0) -> Module | None:
    """The module where the thing lives that `path` means in `module`, also when others hand it on."""
    at, left = list(module), list(path)
    if left[0] == "crate":
        at, left = [], left[1:]
    while left and left[0] in ("super", "self"):
        at = at[:-1] if left.pop(0) == "super" else at
    while left and (*at, left[0]) in texts:
        at.append(left.pop(0))
    here = tuple(at)
    if here not in texts:
        return None
    for public, tree in USE.findall(texts[here]):
        for handed_on in leaves(tree):
            if public and left and depth < 9 and handed_on[-1] == left[0]:
                inside = handed_on if handed_on[0] in ("crate", "super", "self") else ("self", *handed_on)
                return module_of(inside, here, texts, depth + 1) or here
    return here


def reached(start: Module, edges: dict[Module, set[Module]]) -> set[Module]:
    """All modules that one depends on, directly or by others."""
    seen: set[Module] = set()
    todo = [start]
    while todo:
        for module in edges[todo.pop()] - seen:
            seen.add(module)
            todo.append(module)
    return seen


@pytest.mark.parametrize("crate", sorted(path.name for path in CRATES.iterdir()))
def test_circles_of_files(crate: str) -> None:
    texts = modules(CRATES / crate / "src")
    edges = {
        module: {found for path in names(text) if (found := module_of(path, module, texts)) not in (None, module)}
        for module, text in texts.items()
    }
    circular = sorted("::".join(module) for module in texts if module in reached(module, edges))
    assert len(circular) == IN_CIRCLES.get(crate, 0), f"they are {len(circular)}: {circular}"
