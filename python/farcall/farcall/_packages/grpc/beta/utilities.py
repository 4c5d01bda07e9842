"""Helpers of the beta API."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import grpc
from grpc.beta import implementations
from grpc.framework.foundation import future


class _ChannelReadyFuture(future.Future):
    """A future of `grpc` that speaks the beta API."""

    def __init__(self, ready: grpc.Future) -> None:
        self._ready = ready

    def cancel(self) -> bool:
        return self._ready.cancel()

    def cancelled(self) -> bool:
        return self._ready.cancelled()

    def running(self) -> bool:
        return self._ready.running()

    def done(self) -> bool:
        return self._ready.done()

    def result(self, timeout: float | None = None) -> None:
        try:
            self._ready.result(timeout=timeout)
        except grpc.FutureTimeoutError:
            raise future.TimeoutError() from None
        except grpc.FutureCancelledError:
            raise future.CancelledError() from None

    def exception(self, timeout: float | None = None) -> BaseException | None:
        return self.result(timeout)  # type: ignore[func-returns-value]

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        return self.result(timeout)  # type: ignore[func-returns-value]

    def add_done_callback(self, fn: Callable[[Any], Any]) -> None:
        self._ready.add_done_callback(lambda _: fn(self))


def channel_ready_future(channel: implementations.Channel) -> future.Future:
    """A future that is done when the channel is connected, which this makes it try. Its result is None."""
    return _ChannelReadyFuture(grpc.channel_ready_future(channel._channel))
