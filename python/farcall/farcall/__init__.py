"""The engine behind the package `grpc` of this wheel. Programs use `grpc`; what is public here stands below.

`python -m farcall` says which `grpc` a program gets, and why.
"""

# No `from __future__ import annotations`: the start of every interpreter loads this, and would pay for that module.

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["__version__", "install"]


def install() -> None:
    """Has `import grpc`, and the packages beside it, mean Farcall's from now on.

    An environment that farcall is installed in does so by itself. A program calls this first where nothing is done when
    the interpreter starts: under `python -S`, frozen or zipped into one file, or in a directory of PYTHONPATH that
    `pip install --target` has filled. With FARCALL=0 in the environment it does nothing.

    Raises:
      RuntimeError: another `grpc` has been imported already.
    """
    from farcall import _finder

    _finder.install()


def __getattr__(name: str) -> "Any":
    # Asked of the installed metadata, which is slow, only when somebody wants to know.
    if name == "__version__":
        from importlib import metadata

        return metadata.version("farcall")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
