"""Handlers as objects, waiting for a channel, and comparing versions."""

from __future__ import annotations

import collections
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from grpc import _common
from grpc._client_api import Future
from grpc._server_api import RpcMethodHandler as RpcMethodHandlerBase
from grpc._server_api import ServiceRpcHandler
from grpc._vocabulary import ChannelConnectivity, FutureCancelledError, FutureTimeoutError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from grpc._client_api import Channel
    from grpc._server_api import HandlerCallDetails

_LOGGER = logging.getLogger(__name__)


class RpcMethodHandler(
    collections.namedtuple(
        "_RpcMethodHandler",
        (
            "request_streaming",
            "response_streaming",
            "request_deserializer",
            "response_serializer",
            "unary_unary",
            "unary_stream",
            "stream_unary",
            "stream_stream",
        ),
    ),
    RpcMethodHandlerBase,
):
    """How one method is served: a named tuple, so `_replace` makes variations."""


class DictionaryGenericHandler(ServiceRpcHandler):
    """Serves the methods of one service from a dictionary."""

    def __init__(self, service: str, method_handlers: Mapping[str, RpcMethodHandlerBase]) -> None:
        self._name = service
        self._method_handlers = {
            _common.fully_qualified_method(service, method): handler for method, handler in method_handlers.items()
        }

    def service_name(self) -> str:
        return self._name

    def service(self, handler_call_details: HandlerCallDetails) -> RpcMethodHandlerBase | None:
        return self._method_handlers.get(handler_call_details.method)


class _ChannelReadyFuture(Future):
    """Done when the channel has been READY once."""

    def __init__(self, channel: Channel) -> None:
        self._condition = threading.Condition()
        self._channel = channel
        self._matured = False
        self._cancelled = False
        self._done_callbacks: list[Callable[[Any], None]] = []

    def start(self) -> None:
        """Makes the channel connect and watches it."""
        self._channel.subscribe(self._update, try_to_connect=True)

    def _update(self, connectivity: ChannelConnectivity) -> None:
        with self._condition:
            if self._cancelled or self._matured or connectivity is not ChannelConnectivity.READY:
                return
            self._matured = True
            callbacks = self._end()
        self._channel.unsubscribe(self._update)
        for callback in callbacks:
            _common.call_logging(callback, "Exception calling connectivity future done callback!", self)

    def _end(self) -> list[Callable[[Any], None]]:
        self._condition.notify_all()
        callbacks, self._done_callbacks = self._done_callbacks, []
        return callbacks

    def _wait(self, timeout: float | None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        with self._condition:
            while not (self._cancelled or self._matured):
                remaining = _common.WAIT_SLICE_SECONDS
                if until is not None:
                    remaining = min(remaining, until - time.monotonic())
                if remaining <= 0:
                    raise FutureTimeoutError()
                self._condition.wait(remaining)
            if self._cancelled:
                raise FutureCancelledError()

    def cancel(self) -> bool:
        with self._condition:
            if self._cancelled or self._matured:
                return False
            self._cancelled = True
            callbacks = self._end()
        self._channel.unsubscribe(self._update)
        for callback in callbacks:
            _common.call_logging(callback, "Exception calling connectivity future done callback!", self)
        return True

    def cancelled(self) -> bool:
        with self._condition:
            return self._cancelled

    def running(self) -> bool:
        with self._condition:
            return not (self._cancelled or self._matured)

    def done(self) -> bool:
        with self._condition:
            return self._cancelled or self._matured

    def result(self, timeout: float | None = None) -> None:
        self._wait(timeout)

    def exception(self, timeout: float | None = None) -> None:
        self._wait(timeout)

    def traceback(self, timeout: float | None = None) -> None:
        self._wait(timeout)

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        with self._condition:
            if not (self._cancelled or self._matured):
                self._done_callbacks.append(fn)
                return
        fn(self)

    def __del__(self) -> None:
        with self._condition:
            over = self._cancelled or self._matured
        if not over:
            self._channel.unsubscribe(self._update)


def channel_ready_future(channel: Channel) -> Future:
    """A Future that is done when the channel is READY."""
    future = _ChannelReadyFuture(channel)
    future.start()
    return future


def first_version_is_lower(version1: str, version2: str) -> bool:
    """Whether one version is older than another; asked by generated code at import.

    Numbers are compared from the left; where a part is no number (a development version) the answer is False.
    """
    try:
        for first, second in zip(version1.split("."), version2.split("."), strict=False):
            if int(first) != int(second):
                return int(first) < int(second)
    except ValueError:
        pass
    return False
