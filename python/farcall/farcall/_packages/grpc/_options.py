"""Warnings of options and configs that cannot do what they ask for."""

from __future__ import annotations

import logging
import sys
import threading
import warnings

from grpc import _log as _log

_LOGGER = logging.getLogger(__name__)

_said: set[str] = set()
_lock = threading.Lock()


def _depth() -> int:
    """The `stacklevel` by which a warning of the caller's points at the program and not at this package."""
    level = 2
    frame = sys._getframe(2) if hasattr(sys, "_getframe") else None
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("grpc", "farcall"):
        frame = frame.f_back
        level += 1
    return level


def warn(text: str) -> None:
    """Says it by `warnings`, where users see it, and by `logging`, where operators do.

    Whoever silences the logger, as GRPC_VERBOSITY=ERROR does, silences both.

    Raises:
      RuntimeWarning: the program makes errors of warnings.
    """
    if not _LOGGER.isEnabledFor(logging.WARNING):
        return
    _LOGGER.warning("%s", text)
    warnings.warn(f"grpc: {text}", RuntimeWarning, stacklevel=_depth())


def warn_once(text: str) -> None:
    """As `warn`, the first time only."""
    with _lock:
        if text in _said:
            return
        _said.add(text)
    warn(text)
