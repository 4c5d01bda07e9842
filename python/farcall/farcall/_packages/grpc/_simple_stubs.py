"""Calls without a channel of one's own: channels are made when needed, kept for a while, dropped when idle."""

from __future__ import annotations

import collections
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from grpc import _credentials
from grpc._experimental import experimental_api

TYPE_CHECKING = False
if TYPE_CHECKING:
    from grpc._typing import DeserializingFunction, MetadataToSend, SerializingFunction

_LOGGER = logging.getLogger(__name__)


def _setting(variable: str, default: float) -> float:
    value = os.getenv(variable)
    if value is None:
        return default
    try:
        return float(value)
    except ValueError:
        _LOGGER.warning("%s=%r is not a number; %s it is", variable, value, default)
        return default


_EVICTION_SECONDS = _setting("GRPC_PYTHON_MANAGED_CHANNEL_EVICTION_SECONDS", 10 * 60)
_MAXIMUM_CHANNELS = int(_setting("GRPC_PYTHON_MANAGED_CHANNEL_MAXIMUM", 2**8))
_DEFAULT_TIMEOUT = _setting("GRPC_PYTHON_DEFAULT_TIMEOUT_SECONDS", 60.0)

_CacheKey = tuple[str, tuple[Any, ...], Any, Any]

_insecure_credentials = grpc.ChannelCredentials(_credentials.INSECURE)


def insecure_channel_credentials() -> grpc.ChannelCredentials:
    """Channel credentials that secure nothing: plain text. Always the same object."""
    return _insecure_credentials


class ChannelCache:
    """Channels by target, options, credentials and compression. A daemon thread closes those long unused."""

    _singleton: ChannelCache | None = None
    _singleton_lock = threading.RLock()

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._condition = threading.Condition(self._lock)
        # In the order in which they fall due to be closed.
        self._channels: collections.OrderedDict[_CacheKey, tuple[grpc.Channel, float]] = collections.OrderedDict()
        threading.Thread(target=self._evict, name="grpc-channel-eviction", daemon=True).start()

    @staticmethod
    def get() -> ChannelCache:
        """The cache of the process."""
        with ChannelCache._singleton_lock:
            if ChannelCache._singleton is None:
                ChannelCache._singleton = ChannelCache()
            return ChannelCache._singleton

    def get_channel(
        self,
        target: str,
        options: Sequence[tuple[str, Any]],
        channel_credentials: grpc.ChannelCredentials | None,
        insecure: bool,
        compression: grpc.Compression | None,
        method: str,
        _registered_method: bool | None,
    ) -> tuple[grpc.Channel, int | None]:
        """A channel for a call of `method`, kept or new; the second value is grpcio's call handle, here None.

        Raises:
          ValueError: credentials were given for an insecure call.
        """
        if insecure:
            if channel_credentials:
                raise ValueError("The insecure option is mutually exclusive with the channel_credentials option.")
            channel_credentials = _insecure_credentials
        elif channel_credentials is None:
            channel_credentials = grpc.ssl_channel_credentials()
        key = (target, tuple(options), channel_credentials, compression)
        with self._condition:
            kept = self._channels.pop(key, None)
            channel = kept[0] if kept else grpc.secure_channel(target, channel_credentials, options, compression)
            self._channels[key] = (channel, time.monotonic() + _EVICTION_SECONDS)
            if len(self._channels) == 1 or len(self._channels) >= _MAXIMUM_CHANNELS:
                self._condition.notify()
        return channel, None

    def _evict(self) -> None:
        with self._condition:
            while True:
                if not self._channels:
                    self._condition.wait()
                    continue
                key, (channel, due) = next(iter(self._channels.items()))
                remaining = due - time.monotonic()
                if len(self._channels) <= _MAXIMUM_CHANNELS and remaining > 0:
                    self._condition.wait(remaining)
                    continue
                del self._channels[key]
                # Not closed: calls may be going on. It closes when the last of them lets go of it.
                del channel

    def _test_only_channel_count(self) -> int:
        with self._lock:
            return len(self._channels)


def _call(
    kind: str,
    request: Any,
    target: str,
    method: str,
    request_serializer: SerializingFunction | None,
    response_deserializer: DeserializingFunction | None,
    options: Sequence[tuple[str, Any]],
    channel_credentials: grpc.ChannelCredentials | None,
    insecure: bool,
    call_credentials: grpc.CallCredentials | None,
    compression: grpc.Compression | None,
    wait_for_ready: bool | None,
    timeout: float | None,
    metadata: MetadataToSend | None,
    _registered_method: bool | None,
) -> Any:
    channel, _ = ChannelCache.get().get_channel(
        target, options, channel_credentials, insecure, compression, method, _registered_method
    )
    make: Callable[..., Any] = getattr(channel, kind)
    multi_callable = make(method, request_serializer, response_deserializer, _registered_method)
    return multi_callable(
        request,
        metadata=metadata,
        wait_for_ready=True if wait_for_ready is None else wait_for_ready,
        credentials=call_credentials,
        timeout=timeout,
    )


@experimental_api
def unary_unary(
    request: Any,
    target: str,
    method: str,
    request_serializer: SerializingFunction | None = None,
    response_deserializer: DeserializingFunction | None = None,
    options: Sequence[tuple[str, Any]] = (),
    channel_credentials: grpc.ChannelCredentials | None = None,
    insecure: bool = False,
    call_credentials: grpc.CallCredentials | None = None,
    compression: grpc.Compression | None = None,
    wait_for_ready: bool | None = None,
    timeout: float | None = _DEFAULT_TIMEOUT,
    metadata: MetadataToSend | None = None,
    _registered_method: bool | None = False,
) -> Any:
    """Calls a method of one request and one response, without a channel of one's own, and waits for the response.

    Args:
      request: the request message.
      target: where to, as for `grpc.insecure_channel`.
      method: the path, "/package.Service/Method".
      request_serializer: makes bytes of a request; None when requests are bytes.
      response_deserializer: makes a response of bytes; None to get bytes.
      options: the channel's options.
      channel_credentials: the channel's credentials; None for TLS with the default roots.
      insecure: plain text; then there must be no channel_credentials.
      call_credentials: the call's credentials.
      compression: the channel's compression.
      wait_for_ready: whether to wait for a connection rather than fail; None means True here.
      timeout: seconds; None for no limit.
      metadata: (key, value) pairs to send along.
      _registered_method: passed by generated code.
    """
    return _call("unary_unary", **locals())


@experimental_api
def unary_stream(
    request: Any,
    target: str,
    method: str,
    request_serializer: SerializingFunction | None = None,
    response_deserializer: DeserializingFunction | None = None,
    options: Sequence[tuple[str, Any]] = (),
    channel_credentials: grpc.ChannelCredentials | None = None,
    insecure: bool = False,
    call_credentials: grpc.CallCredentials | None = None,
    compression: grpc.Compression | None = None,
    wait_for_ready: bool | None = None,
    timeout: float | None = _DEFAULT_TIMEOUT,
    metadata: MetadataToSend | None = None,
    _registered_method: bool | None = False,
) -> Iterator[Any]:
    """Calls a method of one request and a stream of responses; as `unary_unary`, answers the responses' iterator."""
    responses: Iterator[Any] = _call("unary_stream", **locals())
    return responses


@experimental_api
def stream_unary(
    request_iterator: Iterator[Any],
    target: str,
    method: str,
    request_serializer: SerializingFunction | None = None,
    response_deserializer: DeserializingFunction | None = None,
    options: Sequence[tuple[str, Any]] = (),
    channel_credentials: grpc.ChannelCredentials | None = None,
    insecure: bool = False,
    call_credentials: grpc.CallCredentials | None = None,
    compression: grpc.Compression | None = None,
    wait_for_ready: bool | None = None,
    timeout: float | None = _DEFAULT_TIMEOUT,
    metadata: MetadataToSend | None = None,
    _registered_method: bool | None = False,
) -> Any:
    """Calls a method of a stream of requests and one response; as `unary_unary`."""
    arguments = locals()
    return _call("stream_unary", arguments.pop("request_iterator"), **arguments)


@experimental_api
def stream_stream(
    request_iterator: Iterator[Any],
    target: str,
    method: str,
    request_serializer: SerializingFunction | None = None,
    response_deserializer: DeserializingFunction | None = None,
    options: Sequence[tuple[str, Any]] = (),
    channel_credentials: grpc.ChannelCredentials | None = None,
    insecure: bool = False,
    call_credentials: grpc.CallCredentials | None = None,
    compression: grpc.Compression | None = None,
    wait_for_ready: bool | None = None,
    timeout: float | None = _DEFAULT_TIMEOUT,
    metadata: MetadataToSend | None = None,
    _registered_method: bool | None = False,
) -> Iterator[Any]:
    """Calls a method of streams both ways; as `unary_unary`, answers the responses' iterator."""
    arguments = locals()
    responses: Iterator[Any] = _call("stream_stream", arguments.pop("request_iterator"), **arguments)
    return responses
