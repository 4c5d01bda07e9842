"""Streams of values."""

from __future__ import annotations

import abc
from typing import Any


class Consumer(abc.ABC):
    """Takes the values of a stream."""

    @abc.abstractmethod
    def consume(self, value: Any) -> None:
        """Takes one value."""
        raise NotImplementedError()

    @abc.abstractmethod
    def terminate(self) -> None:
        """Learns that there are no more."""
        raise NotImplementedError()

    @abc.abstractmethod
    def consume_and_terminate(self, value: Any) -> None:
        """Takes the last value."""
        raise NotImplementedError()
