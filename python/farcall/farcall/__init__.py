"""The engine behind the package `grpc` of this wheel. Programs use `grpc`; nothing here but the version is public."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["__version__"]


def __getattr__(name: str) -> Any:
    # Asked of the installed metadata, which is slow, only when somebody wants to know.
    if name == "__version__":
        from importlib import metadata

        return metadata.version("farcall")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
