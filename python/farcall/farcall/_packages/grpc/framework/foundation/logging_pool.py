"""A thread pool that logs what its tasks raise."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent import futures
from typing import Any, TypeVar

_LOGGER = logging.getLogger(__name__)

_T = TypeVar("_T")


class _LoggingPool(futures.ThreadPoolExecutor):
    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> futures.Future[_T]:
        return super().submit(_logging(fn), *args, **kwargs)

    def map(self, fn: Callable[..., _T], *iterables: Any, **kwargs: Any) -> Any:
        return super().map(_logging(fn), *iterables, **kwargs)


def _logging(fn: Callable[..., _T]) -> Callable[..., _T]:
    def run(*args: Any, **kwargs: Any) -> _T:
        try:
            return fn(*args, **kwargs)
        except Exception:
            _LOGGER.exception("Unexpected exception from %s executed in logging pool!", fn)
            raise

    return run


def pool(max_workers: int) -> futures.ThreadPoolExecutor:
    """A ThreadPoolExecutor that logs what its tasks raise.

    Args:
      max_workers: how many threads it has at most.
    """
    return _LoggingPool(max_workers)
