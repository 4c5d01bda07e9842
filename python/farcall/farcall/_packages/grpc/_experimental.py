"""Warning of APIs that may change, once for each."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

_EXPERIMENTAL_APIS_USED: set[str] = set()
_lock = threading.Lock()

_F = TypeVar("_F", bound=Callable[..., Any])


class ExperimentalApiWarning(Warning):
    """An API was used that may change."""

    __module__ = "grpc.experimental"


def _warn_experimental(api_name: str, stack_offset: int) -> None:
    if api_name in _EXPERIMENTAL_APIS_USED:
        return
    with _lock:
        if api_name in _EXPERIMENTAL_APIS_USED:
            return
        _EXPERIMENTAL_APIS_USED.add(api_name)
    warnings.warn(
        f"'{api_name}' is an experimental API. It is subject to change or "
        "removal between minor releases. Proceed with caution.",
        ExperimentalApiWarning,
        stacklevel=2 + stack_offset,
    )


def experimental_api(f: _F) -> _F:
    """Has the first use of a function warn that it may change."""

    @functools.wraps(f)
    def _wrapper(*args: Any, **kwargs: Any) -> Any:
        _warn_experimental(f.__name__, 1)
        return f(*args, **kwargs)

    return _wrapper  # type: ignore[return-value]
