"""Times: one that only moves when told to, and the real one."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time as _time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc

import grpc_testing

_LOGGER = logging.getLogger(__name__)


class _Planned(grpc.Future):
    """A behavior that is to be called at a time, and what became of it."""

    def __init__(self, behavior: Callable[[], Any], time: float, agenda: _Agenda) -> None:
        self.time = time
        self._behavior = behavior
        self._agenda = agenda
        self._condition = threading.Condition()
        self._state = "pending"
        self._result: Any = None
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[grpc.Future], Any]] = []

    def run(self) -> None:
        with self._condition:
            if self._state != "pending":
                return
            self._state = "running"
        try:
            self._result = self._behavior()
        except Exception as exception:
            self._exception = exception
            _LOGGER.exception('Exception calling behavior "%r"!', self._behavior)
        self._settle("done")

    def _settle(self, state: str) -> None:
        with self._condition:
            self._state = state
            callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        for callback in callbacks:
            self._tell(callback)

    def _tell(self, callback: Callable[[grpc.Future], Any]) -> None:
        try:
            callback(self)
        except Exception:
            _LOGGER.exception("Exception calling callback!")

    def cancel(self) -> bool:
        with self._condition:
            if self._state != "pending":
                return self._state == "cancelled"
            self._state = "cancelled"
        self._settle("cancelled")
        self._agenda.look_again()
        return True

    def cancelled(self) -> bool:
        return self._state == "cancelled"

    def running(self) -> bool:
        return self._state == "running"

    def done(self) -> bool:
        return self._state in ("done", "cancelled")

    def _wait(self, timeout: float | None) -> None:
        with self._condition:
            if not self._condition.wait_for(self.done, timeout):
                raise grpc.FutureTimeoutError()
            if self._state == "cancelled":
                raise grpc.FutureCancelledError()

    def result(self, timeout: float | None = None) -> Any:
        self._wait(timeout)
        if self._exception is not None:
            raise self._exception
        return self._result

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._wait(timeout)
        return self._exception

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        self._wait(timeout)
        return None if self._exception is None else self._exception.__traceback__

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        with self._condition:
            if not self.done():
                self._callbacks.append(fn)
                return
        self._tell(fn)


class _Agenda:
    """What is to be called when. Whoever finds that time has come calls it; one at a time, in order."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self._planned: list[tuple[float, int, _Planned]] = []
        self._numbers = itertools.count()
        self._caller: int | None = None

    def add(self, behavior: Callable[[], Any], time: float) -> _Planned:
        planned = _Planned(behavior, time, self)
        with self.condition:
            heapq.heappush(self._planned, (time, next(self._numbers), planned))
            self.condition.notify_all()
        return planned

    def look_again(self) -> None:
        with self.condition:
            self.condition.notify_all()

    def next_time(self) -> float | None:
        """When the next call is due. With the condition held."""
        while self._planned and self._planned[0][2].cancelled():
            heapq.heappop(self._planned)
        return self._planned[0][0] if self._planned else None

    def _take(self, through: float) -> _Planned | None:
        with self.condition:
            due = self.next_time()
            if due is None or due > through:
                return None
            return heapq.heappop(self._planned)[2]

    def call_through(self, through: float, when_at: Callable[[float], None]) -> None:
        """Calls all that is due until then; `when_at(time)` before each. Waits for calls that another thread makes."""
        me = threading.get_ident()
        with self.condition:
            if self._caller == me:  # What is called asks for the time: it has not moved.
                return
            self.condition.wait_for(lambda: self._caller is None)
            self._caller = me
        try:
            while (planned := self._take(through)) is not None:
                when_at(planned.time)
                planned.run()
        finally:
            with self.condition:
                self._caller = None
                self.condition.notify_all()


class StrictFakeTime(grpc_testing.Time):
    """Moves when somebody sleeps, at once."""

    def __init__(self, time: float) -> None:
        self._agenda = _Agenda()
        self._now = time

    def _move_to(self, time: float) -> None:
        with self._agenda.condition:
            self._now = max(self._now, time)

    def time(self) -> float:
        return self._now

    def call_in(self, behavior: Callable[[], Any], delay: float) -> grpc.Future:
        return self.call_at(behavior, self._now + delay)

    def call_at(self, behavior: Callable[[], Any], time: float) -> grpc.Future:
        planned = self._agenda.add(behavior, time)
        if time <= self._now:
            self._agenda.call_through(self._now, self._move_to)
        return planned

    def sleep_for(self, duration: float) -> None:
        self.sleep_until(self._now + duration)

    def sleep_until(self, time: float) -> None:
        self._agenda.call_through(time, self._move_to)
        self._move_to(time)


class StrictRealTime(grpc_testing.Time):
    """The time of the interpreter. A thread runs while calls are planned."""

    def __init__(self) -> None:
        self._agenda = _Agenda()
        self._runs = False

    def _run(self) -> None:
        while True:
            with self._agenda.condition:
                due = self._agenda.next_time()
                if due is None:
                    self._runs = False
                    return
                wait = due - _time.time()
                if wait > 0:
                    self._agenda.condition.wait(min(wait, threading.TIMEOUT_MAX))
                    continue
            self.time()

    def time(self) -> float:
        now = _time.time()
        self._agenda.call_through(now, lambda _: None)
        return now

    def call_in(self, behavior: Callable[[], Any], delay: float) -> grpc.Future:
        return self.call_at(behavior, _time.time() + delay)

    def call_at(self, behavior: Callable[[], Any], time: float) -> grpc.Future:
        planned = self._agenda.add(behavior, time)
        with self._agenda.condition:
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="grpc_testing time", daemon=True).start()
        return planned

    def sleep_for(self, duration: float) -> None:
        self.sleep_until(_time.time() + duration)

    def sleep_until(self, time: float) -> None:
        while (remaining := time - _time.time()) > 0:
            _time.sleep(remaining)
        self.time()
