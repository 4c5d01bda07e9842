"""Consumers of streams."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

from grpc.framework.foundation import stream

_LOGGER = logging.getLogger(__name__)


class TransformingConsumer(stream.Consumer):
    """Passes each value on, transformed."""

    def __init__(self, transformation: Callable[[Any], Any], downstream: stream.Consumer) -> None:
        self._transformation = transformation
        self._downstream = downstream

    def consume(self, value: Any) -> None:
        self._downstream.consume(self._transformation(value))

    def terminate(self) -> None:
        self._downstream.terminate()

    def consume_and_terminate(self, value: Any) -> None:
        self._downstream.consume_and_terminate(self._transformation(value))


class IterableConsumer(stream.Consumer):
    """Is an iterator of the values it takes, which waits for them."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._values: deque[Any] = deque()
        self._active = True

    def consume(self, value: Any) -> None:
        with self._condition:
            if self._active:
                self._values.append(value)
                self._condition.notify()

    def terminate(self) -> None:
        with self._condition:
            self._active = False
            self._condition.notify_all()

    def consume_and_terminate(self, value: Any) -> None:
        self.consume(value)
        self.terminate()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """The next value; waits for it."""
        with self._condition:
            self._condition.wait_for(lambda: self._values or not self._active)
            if not self._values:
                raise StopIteration
            return self._values.popleft()

    next = __next__


class ThreadSwitchingConsumer(stream.Consumer):
    """Passes values on from a thread of a pool, in their order."""

    def __init__(self, sink: stream.Consumer, pool: futures.Executor) -> None:
        self._lock = threading.Lock()
        self._sink = sink
        self._pool = pool
        self._waiting: deque[Callable[[], Any]] = deque()
        self._spinning = False

    def _pass_on(self, call: Callable[[], Any]) -> None:
        with self._lock:
            self._waiting.append(call)
            if self._spinning:
                return
            self._spinning = True
        self._pool.submit(self._spin)

    def _spin(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._spinning = False
                    return
                call = self._waiting.popleft()
            try:
                call()
            except Exception:
                _LOGGER.exception("Exception passing a value on!")

    def consume(self, value: Any) -> None:
        self._pass_on(lambda: self._sink.consume(value))

    def terminate(self) -> None:
        self._pass_on(self._sink.terminate)

    def consume_and_terminate(self, value: Any) -> None:
        self._pass_on(lambda: self._sink.consume_and_terminate(value))
