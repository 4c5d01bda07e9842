"""Where grpcio has its native module; here only the names that programs import from it."""

from __future__ import annotations

from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    # An attribute after `import grpc` alone, as in grpcio; loaded when somebody looks.
    if name != "cygrpc":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return importlib.import_module(f"{__name__}.cygrpc")
