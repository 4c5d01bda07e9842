"""Warnings of options and configs that cannot do what they ask for."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings

from grpc import _log as _log

_LOGGER = logging.getLogger(__name__)

# Variables that grpcio's core reads and nothing does here: the values that ask for what is so anyway, and why. Those of
# xDS are not among them: whole clusters set them, and a program that wants xDS is refused its target.
_ENVIRONMENT = {
    "GRPC_ADDRESS_HTTP_PROXY": ((), "use grpc_proxy or the option grpc.http_proxy"),
    "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES": ((), "use grpc_proxy or the option grpc.http_proxy"),
    "GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS": ((), "it tunes grpcio's C core"),
    "GRPC_DNS_RESOLVER": (("native",), "names are looked up by the system's resolver"),
    "GRPC_EXPERIMENTS": ((), "it tunes grpcio's C core"),
    "GRPC_POLL_STRATEGY": ((), "it tunes grpcio's C core"),
    "GRPC_USE_SYSTEM_ROOTS_OVER_LANGUAGE_CALLBACK": (
        (),
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH says which roots are trusted",
    ),
}

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


def warn_of_environment() -> None:
    """Warns, once, of the variables that are set and have no effect."""
    for name, (so_anyway, why) in _ENVIRONMENT.items():
        value = os.environ.get(name)
        if value and value not in so_anyway:
            warn_once(f"the environment's {name} has no effect: {why}")
