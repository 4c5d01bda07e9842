"""The future of the beta API."""

from __future__ import annotations

import abc
from collections.abc import Callable
from types import TracebackType
from typing import Any


class TimeoutError(Exception):
    """The time given to a method of a Future ran out; the computation goes on."""


class CancelledError(Exception):
    """The value of a Future was asked for that had been cancelled."""


class Future(abc.ABC):
    """A computation on its way."""

    @abc.abstractmethod
    def cancel(self) -> bool:
        """Tries to cancel the computation; whether it was done."""
        raise NotImplementedError()

    @abc.abstractmethod
    def cancelled(self) -> bool:
        """Whether it was cancelled, as far as can be told without waiting."""
        raise NotImplementedError()

    @abc.abstractmethod
    def running(self) -> bool:
        """Whether it is on its way."""
        raise NotImplementedError()

    @abc.abstractmethod
    def done(self) -> bool:
        """Whether it is over, cancelled included."""
        raise NotImplementedError()

    @abc.abstractmethod
    def result(self, timeout: float | None = None) -> Any:
        """Waits for the value.

        Args:
          timeout: seconds to wait at most; None for no limit.

        Raises:
          TimeoutError: the time ran out.
          CancelledError: the computation was cancelled.
          Exception: what the computation raised.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits for what the computation raised; None if nothing. Raises TimeoutError and CancelledError."""
        raise NotImplementedError()

    @abc.abstractmethod
    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        """Waits for the traceback of what the computation raised. Raises TimeoutError and CancelledError."""
        raise NotImplementedError()

    @abc.abstractmethod
    def add_done_callback(self, fn: Callable[[Any], Any]) -> None:
        """Has `fn(self)` called when the computation is over; at once if it is."""
        raise NotImplementedError()
