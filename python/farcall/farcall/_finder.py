"""Finds `grpc` and the packages beside it in `farcall/_packages`, wherever grpcio may have put its own.

`farcall-finder.pth` loads this while the interpreter starts (from Python 3.15 on it is `farcall-finder.start`), so it
is small and imports nothing but what is loaded by then. No file of grpcio's is touched: which package a name means is
decided at each start, and FARCALL=0 in the environment leaves the names to grpcio.
"""

# No `from __future__ import annotations`: it loads a module, which the start of every interpreter would pay for.

import os
import sys
from _frozen_importlib_external import PathFinder  # What importlib.machinery has, without importing that.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

#: Where the packages are.
PACKAGES = __file__.rpartition(os.sep)[0] + os.sep + "_packages"
#: The entry of `sys.path` that farcall itself is found in.
HOME = PACKAGES.rsplit(os.sep, 2)[0]
#: The packages' names.
NAMES = frozenset(
    (
        "grpc",
        "grpc_admin",
        "grpc_channelz",
        "grpc_health",
        "grpc_reflection",
        "grpc_status",
        "grpc_testing",
        "grpc_tools",
    )
)

_SITES = ("site-packages", "dist-packages")


class Finder:
    """Stands first on `sys.meta_path`. Takes the place that grpcio would have in `site-packages`, and no other's.

    Attributes:
      always: whether it finds the packages whatever `sys.path` says.
    """

    def __init__(self, always: bool = False) -> None:
        self.always = always

    def find_spec(
        self, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """Where the package of this name is; None for other names, and where the program has its own."""
        if name not in NAMES or not (self.always or self._is_ours(name)):
            return None
        return PathFinder.find_spec(name, [PACKAGES])

    def _is_ours(self, name: str) -> bool:
        # An isolated build takes the environment's directory off the path, and what is installed there with it.
        if HOME not in sys.path:
            return False
        # The program's own directory and PYTHONPATH come before anything installed, as ever.
        before = []
        for entry in sys.path:
            if entry == HOME or (isinstance(entry, str) and entry.endswith(_SITES)):
                break
            before.append(entry)
        spec = PathFinder.find_spec(name, before)
        # A directory without an `__init__.py` gives way to a package that comes later.
        return spec is None or spec.loader is None


def is_on() -> bool:
    """Whether the environment leaves the names to Farcall."""
    return os.environ.get("FARCALL") != "0"


def start() -> None:
    """What the start of the interpreter calls.

    `farcall-finder.pth` also adds the packages' directory to the end of `sys.path`: type checkers, freezers and others
    that look for files there, and know nothing of finders, see them by that.
    """
    if not is_on():
        if PACKAGES in sys.path:
            sys.path.remove(PACKAGES)
    elif not any(type(finder) is Finder for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())


def install() -> None:
    """As `farcall.install`."""
    if not is_on():
        return
    for name in NAMES & sys.modules.keys():
        where = getattr(sys.modules[name], "__file__", None) or ""
        if not where.startswith(PACKAGES):
            raise RuntimeError(f"{name} has been imported from {where} already: call farcall.install() before that")
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder) is not Finder]
    sys.meta_path.insert(0, Finder(always=True))


def become(name: str) -> None:
    """Puts the package of this name in the place of the module that calls this while it is imported.

    Raises:
      ModuleNotFoundError: the package is not there, or the environment leaves the names to grpcio.
    """
    if not is_on():
        raise ModuleNotFoundError(f"FARCALL=0 leaves {name!r} to grpcio, for which only a stand-in is here", name=name)
    spec = PathFinder.find_spec(name, [PACKAGES])
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r} in {PACKAGES}", name=name)
    from importlib.util import module_from_spec

    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
