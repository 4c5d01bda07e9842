"""Calls whose exceptions are logged."""

from __future__ import annotations

import abc
import collections
import enum
import functools
import logging
from collections.abc import Callable
from typing import Any

_LOGGER = logging.getLogger(__name__)


class Outcome(abc.ABC):  # noqa: B024
    """How a call ended.

    Attributes:
      kind: RETURNED or RAISED.
      return_value: what was returned, or None.
      exception: what was raised, or None.
    """

    @enum.unique
    class Kind(enum.Enum):
        """Whether a call returned or raised."""

        RETURNED = enum.auto()
        RAISED = enum.auto()


class _Outcome(collections.namedtuple("_Outcome", ("kind", "return_value", "exception")), Outcome):
    """An outcome as a named tuple."""


def call_logging_exceptions(behavior: Callable[..., Any], message: str, *args: Any, **kwargs: Any) -> Outcome:
    """Calls the behavior with the arguments; what it raises is logged under the message."""
    try:
        return _Outcome(Outcome.Kind.RETURNED, behavior(*args, **kwargs), None)
    except Exception as exception:
        _LOGGER.exception(message)
        return _Outcome(Outcome.Kind.RAISED, None, exception)


def with_exceptions_logged(behavior: Callable[..., Any], message: str) -> Callable[..., Outcome]:
    """The behavior, so that what it raises is logged under the message, and calls answer an Outcome."""

    @functools.wraps(behavior)
    def wrapped(*args: Any, **kwargs: Any) -> Outcome:
        return call_logging_exceptions(behavior, message, *args, **kwargs)

    return wrapped
