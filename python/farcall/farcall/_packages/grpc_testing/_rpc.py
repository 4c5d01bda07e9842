"""One RPC between a system under test and the test that plays the other side: messages, metadata and how it ended."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc

import grpc_testing

#: What tests must be ready for: metadata may arrive with more than was sent.
ADDED_METADATA = (("grpc.metadata_added_by_runtime", "gRPC is allowed to add metadata in transmission and does so."),)

# Requests that wait to be taken: an endless iterator of them goes no further ahead.
_REQUESTS_AHEAD = 1000


def received(metadata: Any) -> tuple[Any, ...]:
    """Metadata as they arrive."""
    return (*metadata, *ADDED_METADATA) if metadata else ADDED_METADATA


class End(NamedTuple):
    """How an RPC ended."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[Any, ...]
    #: Whether the client's side ended it: it cancelled, or its time was over.
    by_client: bool


class Rpc:
    """The state of an RPC. Whoever waits, waits here; the end lets all of them go."""

    def __init__(self, invocation_metadata: Any, timeout: float | None, time: grpc_testing.Time) -> None:
        self.invocation_metadata = invocation_metadata
        self._condition = threading.Condition()
        self._initial_metadata: tuple[Any, ...] | None = None
        self._requests: deque[Any] = deque()
        self._requests_closed = False
        self._all_requests_wanted = False
        self._responses: deque[Any] = deque()
        self.end: End | None = None
        self._callbacks: list[Callable[[], Any]] = []
        self._time = time
        self._deadline = None if timeout is None else time.time() + timeout
        self._expiry = None if timeout is None else time.call_in(self._expire, timeout)

    def _expire(self) -> None:
        self.finish(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded", (), by_client=True)

    def time_remaining(self) -> float | None:
        """Seconds of the test's time until the deadline; None without one."""
        return None if self._deadline is None else max(0.0, self._deadline - self._time.time())

    # The end.

    def finish(self, code: grpc.StatusCode, details: str, trailing_metadata: Any, by_client: bool = False) -> bool:
        """Ends the RPC; whether it had not ended before."""
        with self._condition:
            if self.end is not None:
                return False
            if self._initial_metadata is None:
                self._initial_metadata = ADDED_METADATA
            self.end = End(code, details, received(trailing_metadata), by_client)
            callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        if self._expiry is not None:
            self._expiry.cancel()
        for callback in callbacks:
            callback()
        return True

    def cancel(self, details: str) -> bool:
        """Ends the RPC from the client's side."""
        return self.finish(grpc.StatusCode.CANCELLED, details, (), by_client=True)

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        """Has it called at the end; False if that has come."""
        with self._condition:
            if self.end is None:
                self._callbacks.append(callback)
                return True
        return False

    def wait(self, timeout: float | None = None) -> End | None:
        """Waits for the end; None if it has not come in (real) time."""
        with self._condition:
            self._condition.wait_for(lambda: self.end is not None, timeout)
            return self.end

    # Initial metadata.

    def send_initial_metadata(self, metadata: Any) -> bool:
        """Sends them; False if they were sent or the RPC has ended."""
        with self._condition:
            if self._initial_metadata is not None:
                return False
            self._initial_metadata = received(metadata)
            self._condition.notify_all()
            return True

    def initial_metadata(self) -> tuple[Any, ...]:
        """Waits for them."""
        with self._condition:
            self._condition.wait_for(lambda: self._initial_metadata is not None)
            return self._initial_metadata or ()

    # Requests.

    def add_request(self, request: Any) -> bool:
        """Adds one, when those before it have been taken but for some; False if the RPC has ended."""
        with self._condition:
            self._condition.wait_for(
                lambda: self.end or self._all_requests_wanted or len(self._requests) < _REQUESTS_AHEAD
            )
            if self.end is not None:
                return False
            self._requests.append(copy.deepcopy(request))
            self._condition.notify_all()
            return True

    def close_requests(self) -> None:
        """Says that there are no more."""
        with self._condition:
            self._requests_closed = True
            self._condition.notify_all()

    def take_request(self) -> Any:
        """Waits for a request.

        Raises:
          EOFError: there are no more, or the RPC has ended.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._requests or self._requests_closed or self.end)
            if not self._requests:
                raise EOFError()
            self._condition.notify_all()
            return self._requests.popleft()

    def wait_for_requests_closed(self) -> bool:
        """Waits until there are no more; False if the RPC has ended instead."""
        with self._condition:
            self._all_requests_wanted = True
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._requests_closed or self.end)
            return self._requests_closed

    # Responses.

    def send_response(self, response: Any) -> bool:
        """Adds one, with initial metadata before it; False if the RPC has ended."""
        self.send_initial_metadata(())
        with self._condition:
            if self.end is not None:
                return False
            self._responses.append(copy.deepcopy(response))
            self._condition.notify_all()
            return True

    def take_response(self) -> Any:
        """Waits for a response.

        Raises:
          EOFError: there are no more: the RPC has ended.
        """
        with self._condition:
            self._condition.wait_for(lambda: self._responses or self.end)
            # What the client has ended is of no use to it any more.
            if not self._responses or (self.end is not None and self.end.by_client):
                raise EOFError()
            return self._responses.popleft()

    def last_response(self) -> Any:
        """The response of an RPC that has one and has ended; None if there is none."""
        with self._condition:
            return self._responses[-1] if self._responses else None
