"""The client: a channel over the native one, and the four kinds of callables.

What a call is once it has been started is in `grpc._rendezvous`, whose names programs import from here.
"""

from __future__ import annotations

import contextvars
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence

from grpc import _client_api, _common, _compression, _grpcio_metadata, _plugin_wrapping
from grpc._connectivity import Subscriptions
from grpc._credentials import ChannelSecurity
from grpc._engine import native
from grpc._plugin_wrapping import INSUFFICIENT as _INSECURE_CALL_CREDENTIALS
from grpc._plugin_wrapping import CallSecurity
from grpc._rendezvous import (
    BAD_ITERATOR,
    BAD_REQUEST,
    BAD_RESPONSE,
    INTERNAL,
    UNAUTHENTICATED,
    UNKNOWN,
    EndedCall,
    _InactiveRpcError,
    _MultiThreadedRendezvous,
    _Rendezvous,
    _RPCState,
    _SingleThreadedRendezvous,
    failed_state,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Literal

    from farcall._native import ClientCall, ClientRequests

    from grpc._client_api import Call
    from grpc._credentials import CallCredentials
    from grpc._typing import DeserializingFunction, MetadataToSend, SerializingFunction
    from grpc._vocabulary import ChannelConnectivity, Compression

__all__ = [
    "Channel",
    "_InactiveRpcError",
    "_MultiThreadedRendezvous",
    "_RPCState",
    "_Rendezvous",
]

_LOGGER = logging.getLogger(__name__)

_USER_AGENT = f"grpc-python/{_grpcio_metadata.__version__}"

# For all channels, whatever their options say.
_ALL_SINGLE_THREADED = os.getenv("GRPC_SINGLE_THREADED_UNARY_STREAM") is not None

_CLOSED = "Cannot invoke RPC: Channel closed!"
_CLOSED_BLOCKING = "Cannot invoke RPC on closed channel!"


def _send_requests(requests: Iterator[Any], call: ClientRequests, serializer: SerializingFunction | None) -> None:
    """Sends what an iterator yields until it ends or the call does."""
    send = call.send
    while True:
        try:
            request = next(requests)
        except StopIteration:
            break
        # Also what is no Exception: nobody else would ever end the call.
        except BaseException:
            _LOGGER.exception(BAD_ITERATOR)
            call.cancel(UNKNOWN, BAD_ITERATOR)
            return
        data = _common.serialize(request, serializer)
        if type(data) is not bytes:
            if data is not None and not isinstance(data, bytes):
                _LOGGER.error("Requests must be bytes, not %s", type(data))
            if not isinstance(data, bytes):
                call.cancel(INTERNAL, BAD_REQUEST)
                return
            data = bytes(data)
        if not send(data):
            return
    call.half_close()


class _MultiCallable:
    """One method of one channel; what the four kinds have in common."""

    def __init__(
        self,
        channel: native.Channel,
        method: str,
        request_serializer: SerializingFunction | None,
        response_deserializer: DeserializingFunction | None,
    ) -> None:
        self._channel = channel
        self._method = method
        self._request_serializer = request_serializer
        self._response_deserializer = response_deserializer

    #: What the channel's credentials mean to its calls; None for plain text.
    _security: CallSecurity | None = None

    def _secured(
        self, credentials: CallCredentials | None, pairs: Any, start: Callable[[Any, bool], ClientCall]
    ) -> ClientCall | EndedCall:
        """Starts a call with its metadata and that of credentials, once that is there."""
        security = self._security
        if security is None:
            if credentials is not None:
                return EndedCall(UNAUTHENTICATED, _INSECURE_CALL_CREDENTIALS)
            return start(pairs, False)
        if security.refusal is not None:
            return EndedCall(*security.refusal)
        plugins = security.plugins_for(credentials)
        fixed = _plugin_wrapping.fixed(plugins)
        if fixed is not None:
            return start([*(pairs or ()), *fixed] if fixed else pairs, False)
        call = start(pairs, True)
        security.ask(plugins, self._method, _plugin_wrapping.proceeding(call))
        return call

    def _serialized(self, request: Any) -> bytes:
        serializer = self._request_serializer
        try:
            data = request if serializer is None else serializer(request)
        except Exception:
            _common.log_serializing()
            data = None
        if type(data) is bytes:
            return data
        if data is None:
            raise _InactiveRpcError(failed_state(INTERNAL, BAD_REQUEST))
        return _common.as_bytes(data)

    def _refusal(self, error: ValueError, text: str) -> ValueError:
        """The ValueError to raise for one that the native channel raised."""
        closed = self._channel.state(False) == _client_shutdown
        return ValueError(text) if closed else error

    def _start_unary(
        self,
        request: Any,
        timeout: float | None,
        metadata: MetadataToSend | None,
        credentials: CallCredentials | None,
        wait_for_ready: bool | None,
        compression: Compression | None,
        closed: str,
    ) -> ClientCall | EndedCall:
        data = self._serialized(request)
        pairs = None if metadata is None else _common.metadata_pairs(metadata)

        def start(pairs: Any, held: bool) -> ClientCall:
            return self._channel.start_unary(self._method, data, pairs, timeout, wait_for_ready, compression, held)

        try:
            return self._secured(credentials, pairs, start)
        except ValueError as error:
            raise self._refusal(error, closed) from None

    def _start_stream(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None,
        metadata: MetadataToSend | None,
        credentials: CallCredentials | None,
        wait_for_ready: bool | None,
        compression: Compression | None,
        closed: str,
    ) -> ClientCall | EndedCall:
        pairs = None if metadata is None else _common.metadata_pairs(metadata)

        def start(pairs: Any, held: bool) -> ClientCall:
            return self._channel.start_call(self._method, pairs, timeout, wait_for_ready, compression, held)

        try:
            call = self._secured(credentials, pairs, start)
        except ValueError as error:
            raise self._refusal(error, closed) from None
        if isinstance(call, EndedCall):
            return call
        threading.Thread(
            target=contextvars.copy_context().run,
            args=(_send_requests, request_iterator, call.requests(), self._request_serializer),
            name="grpc-requests",
            daemon=True,
        ).start()
        return call

    def _wait(self, call: ClientCall | EndedCall) -> tuple[Any, Call]:
        """Waits for the end of a call of one response; the response and the call, or its error."""
        rendezvous = _MultiThreadedRendezvous(call, self._response_deserializer, False)
        try:
            call.wait(None)
        except BaseException:
            # A signal handler raised. Tracebacks keep the call alive, so dropping it would not end it.
            rendezvous.cancel()
            raise
        state = rendezvous._settled()
        if state.code is not _OK:
            raise _InactiveRpcError(state)
        return rendezvous._response, rendezvous


_OK = _common.STATUS_CODES[0]
_client_shutdown = 4


class _UnaryUnaryMultiCallable(_MultiCallable, _client_api.UnaryUnaryMultiCallable):
    def __init__(
        self,
        channel: native.Channel,
        method: str,
        request_serializer: SerializingFunction | None,
        response_deserializer: DeserializingFunction | None,
    ) -> None:
        super().__init__(channel, method, request_serializer, response_deserializer)
        self._unary = channel.unary

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        # The path most calls take: as little as possible happens here, and in few functions.
        if credentials is not None or compression is not None:
            return self.with_call(request, timeout, metadata, credentials, wait_for_ready, compression)[0]
        if metadata is not None:
            metadata = _common.metadata_pairs(metadata)
        data = self._serialized(request)
        try:
            response = self._unary(self._method, data, metadata, timeout, wait_for_ready)
        except ValueError as error:
            raise self._refusal(error, _CLOSED_BLOCKING) from None
        if type(response) is not bytes:
            # An error, or OK without a response, or with several.
            return self._wait(response)[0]  # type: ignore[arg-type]
        deserializer = self._response_deserializer
        if deserializer is None:
            return response
        try:
            message = deserializer(response)
        except Exception:
            _common.log_deserializing()
            message = None
        if message is None:
            raise _InactiveRpcError(failed_state(INTERNAL, BAD_RESPONSE))
        return message

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> tuple[Any, Call]:
        return self._wait(
            self._start_unary(request, timeout, metadata, credentials, wait_for_ready, compression, _CLOSED_BLOCKING)
        )

    def future(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> _MultiThreadedRendezvous:
        call = self._start_unary(request, timeout, metadata, credentials, wait_for_ready, compression, _CLOSED)
        return _MultiThreadedRendezvous(call, self._response_deserializer, False)


class _SecuredUnaryUnaryMultiCallable(_UnaryUnaryMultiCallable):
    """One whose calls carry credentials of the channel."""

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        return self.with_call(request, timeout, metadata, credentials, wait_for_ready, compression)[0]


class _UnaryStreamMultiCallable(_MultiCallable, _client_api.UnaryStreamMultiCallable):
    _rendezvous: type[_MultiThreadedRendezvous] = _MultiThreadedRendezvous

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> _MultiThreadedRendezvous:
        call = self._start_unary(request, timeout, metadata, credentials, wait_for_ready, compression, _CLOSED)
        return self._rendezvous(call, self._response_deserializer, True)


class _SingleThreadedUnaryStreamMultiCallable(_UnaryStreamMultiCallable):
    _rendezvous = _SingleThreadedRendezvous


class _StreamUnaryMultiCallable(_MultiCallable, _client_api.StreamUnaryMultiCallable):
    def __call__(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        return self.with_call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)[0]

    def with_call(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> tuple[Any, Call]:
        return self._wait(
            self._start_stream(
                request_iterator,
                timeout,
                metadata,
                credentials,
                wait_for_ready,
                compression,
                _CLOSED_BLOCKING,
            )
        )

    def future(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> _MultiThreadedRendezvous:
        call = self._start_stream(
            request_iterator, timeout, metadata, credentials, wait_for_ready, compression, _CLOSED
        )
        return _MultiThreadedRendezvous(call, self._response_deserializer, False)


class _StreamStreamMultiCallable(_MultiCallable, _client_api.StreamStreamMultiCallable):
    def __call__(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> _MultiThreadedRendezvous:
        call = self._start_stream(
            request_iterator, timeout, metadata, credentials, wait_for_ready, compression, _CLOSED
        )
        return _MultiThreadedRendezvous(call, self._response_deserializer, True)


class Channel(_client_api.Channel):
    """A channel over a native one. It closes when it, its callables and its calls are all referred to no more."""

    def __init__(
        self,
        target: str,
        options: Sequence[tuple[str, Any]],
        credentials: Any | None,
        compression: Compression | None,
    ) -> None:
        """Makes the channel; nothing is connected yet.

        Args:
          target: where to, for example "localhost:50051", "dns:///name:443", "unix:/path".
          options: (key, value) pairs.
          credentials: the `_credentials` of a ChannelCredentials, or None for plain text.
          compression: the default for all calls.
        """
        self._subscriptions = Subscriptions()
        name = self._target = _common.decode(_common.encode(target))
        given = [
            *_common.options(options),
            *_compression.create_channel_option(compression),
            ("grpc.primary_user_agent", _USER_AGENT),
        ]
        core, single_threaded = _split_options(given)
        self._unary_stream: type[_UnaryStreamMultiCallable] = (
            _SingleThreadedUnaryStreamMultiCallable
            if single_threaded or _ALL_SINGLE_THREADED
            else _UnaryStreamMultiCallable
        )
        security = ChannelSecurity(credentials, core)
        self._channel = native.Channel(name, core, security.native)
        self._security = None if security.is_plain else CallSecurity(security, self._channel.authority, name)
        self._unary_unary: type[_UnaryUnaryMultiCallable] = (
            _SecuredUnaryUnaryMultiCallable if security.plugins or security.unusable else _UnaryUnaryMultiCallable
        )

    def _callable(
        self,
        kind: Callable[..., Any],
        method: str,
        request_serializer: SerializingFunction | None,
        response_deserializer: DeserializingFunction | None,
    ) -> Any:
        path = _common.decode(_common.encode(method))
        made = kind(self._channel, path, request_serializer, response_deserializer)
        if self._security is not None:
            made._security = self._security
        return made

    def subscribe(self, callback: Callable[[ChannelConnectivity], None], try_to_connect: bool | None = None) -> None:
        self._subscriptions.add(self._channel, callback, bool(try_to_connect))

    def unsubscribe(self, callback: Callable[[ChannelConnectivity], None]) -> None:
        self._subscriptions.remove(callback)

    def unary_unary(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: DeserializingFunction | None = None,
        _registered_method: bool | None = False,
    ) -> _client_api.UnaryUnaryMultiCallable:
        multi_callable: _client_api.UnaryUnaryMultiCallable = self._callable(
            self._unary_unary, method, request_serializer, response_deserializer
        )
        return multi_callable

    def unary_stream(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: DeserializingFunction | None = None,
        _registered_method: bool | None = False,
    ) -> _client_api.UnaryStreamMultiCallable:
        multi_callable: _client_api.UnaryStreamMultiCallable = self._callable(
            self._unary_stream, method, request_serializer, response_deserializer
        )
        return multi_callable

    def stream_unary(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: DeserializingFunction | None = None,
        _registered_method: bool | None = False,
    ) -> _client_api.StreamUnaryMultiCallable:
        multi_callable: _client_api.StreamUnaryMultiCallable = self._callable(
            _StreamUnaryMultiCallable, method, request_serializer, response_deserializer
        )
        return multi_callable

    def stream_stream(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: DeserializingFunction | None = None,
        _registered_method: bool | None = False,
    ) -> _client_api.StreamStreamMultiCallable:
        multi_callable: _client_api.StreamStreamMultiCallable = self._callable(
            _StreamStreamMultiCallable, method, request_serializer, response_deserializer
        )
        return multi_callable

    def close(self) -> None:
        self._subscriptions.clear()
        self._channel.close("Channel closed!")

    def __repr__(self) -> str:
        return _common.describe_channel(self, self._target, self._channel.state(False))

    def __enter__(self) -> Channel:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Literal[False]:
        self.close()
        return False

    def __del__(self) -> None:
        # The subscribers' threads hold the native channel.
        self._subscriptions.clear()


def _split_options(options: list[tuple[str, Any]]) -> tuple[list[tuple[str, Any]], bool]:
    """The options but the one that only the Python side knows, and whether that one was there."""
    core = [option for option in options if option[0] != "SingleThreadedUnaryStream"]
    return core, len(core) < len(options)


_EMPTY_FLAGS = 0


def __getattr__(name: str) -> Any:
    # Packages that build calls by hand take these from grpcio's module, which drives the C core by them.
    if name not in ("_event_handler", "_handle_event"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from grpc._cython import _core

    return globals().setdefault(name, _core.absent(__name__, name))
