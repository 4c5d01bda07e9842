"""GRPC_VERBOSITY and GRPC_TRACE, which turned knobs of grpcio's C core, as levels of `logging`.

Nothing is ever written to standard error from here: what becomes of the records is the program's to say.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

_LEVELS = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "ERROR": logging.ERROR,
    "NONE": logging.CRITICAL + 1,
}

# What is traced here; other names mean parts that there are only in the C core.
_TRACERS = ("call", "connectivity_state", "http")


def apply(environment: Mapping[str, str]) -> None:
    """Sets the level of the logger "grpc", and starts the tracers that are asked for ("grpc.trace", DEBUG)."""
    verbosity = environment.get("GRPC_VERBOSITY", "").upper()
    if verbosity in _LEVELS:
        logging.getLogger("grpc").setLevel(_LEVELS[verbosity])
    traced = _chosen(environment.get("GRPC_TRACE", ""))
    if traced:
        logger = logging.getLogger("grpc.trace")
        logger.setLevel(logging.DEBUG)
        from grpc._engine import native

        native.trace(logger.debug, sorted(traced))


def _chosen(names: str) -> set[str]:
    """The tracers that a list like "all,-timer" or "connectivity_*" asks for."""
    import fnmatch

    chosen: set[str] = set()
    for name in filter(None, (name.strip() for name in names.split(","))):
        off, pattern = name.startswith("-"), name.lstrip("-")
        matching = {tracer for tracer in _TRACERS if pattern == "all" or fnmatch.fnmatch(tracer, pattern)}
        chosen = chosen - matching if off else chosen | matching
    return chosen
