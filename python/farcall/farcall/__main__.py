"""`python -m farcall`: which `grpc` this interpreter imports, whose files those are, and what else claims them."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib import metadata

from farcall import _finder


def _claims() -> dict[str, dict[str, list[metadata.PackagePath]]]:
    """For each name, the installed distributions that have files of it, Farcall's own left out."""
    claims: dict[str, dict[str, list[metadata.PackagePath]]] = {}
    for distribution in metadata.distributions():
        title = f"{distribution.name} {distribution.version}"
        for file in distribution.files or ():
            if file.parts[0] in _finder.NAMES:
                claims.setdefault(file.parts[0], {}).setdefault(title, []).append(file)
    return claims


def _missing(files: list[metadata.PackagePath]) -> int:
    return sum(not os.path.exists(file.locate()) for file in files if file.suffix != ".pyc")


def _place(name: str) -> str | None:
    """The directory that `import name` loads from; None where there is none."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(iter(spec.submodule_search_locations))


def _why_not(place: str) -> str:
    """Why `grpc` is found in that place and not in ours, and what to do."""
    if not _finder.is_on():
        return "FARCALL=0 is set in the environment: unset it"
    if not any(isinstance(finder, _finder.Finder) for finder in sys.meta_path):
        return (
            f"nothing in {_finder.HOME} is run when the interpreter starts (python -S, or a directory of PYTHONPATH): "
            "call farcall.install() first in the program, or install farcall into the environment itself"
        )
    return f"{os.path.dirname(place)} comes before {_finder.HOME} on sys.path: take the package out of it, or rename it"


def main() -> int:
    """Prints the report; answers 1 if there is something to repair, else 0."""
    claims = _claims()
    switch = (
        "left to grpcio, for FARCALL=0 is set" if not _finder.is_on() else "Farcall's (FARCALL=0 leaves them to grpcio)"
    )
    print(f"farcall {metadata.version('farcall')} in {os.path.dirname(_finder.PACKAGES)}")
    print(f"the names are {switch}\n")
    repairs = []
    for name in sorted(_finder.NAMES):
        place = _place(name)
        ours = place is not None and place.startswith(_finder.PACKAGES)
        print(f"{name}: {'not installed' if place is None else place}{' (Farcall)' if ours else ''}")
        if name == "grpc" and not ours:
            repairs.append(_why_not(place) if place else "pip install --force-reinstall --no-deps farcall")
        for title, files in claims.get(name, {}).items():
            missing = _missing(files)
            state = f"{missing} of its {len(files)} files are missing" if missing else "whole"
            print(f"    {title} has {name} too: {state}{', not used' if ours else ''}")
            if missing:
                repairs.append(f"pip install --force-reinstall --no-deps {title.replace(' ', '==')}")
    print("\nNothing to repair." if not repairs else "\nTo repair:")
    for repair in dict.fromkeys(repairs):
        print(f"    {repair}")
    return 1 if repairs else 0


if __name__ == "__main__":
    sys.exit(main())
