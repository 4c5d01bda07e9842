"""Channels of `grpc.aio`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
from grpc import _common, _compression, _grpcio_metadata
from grpc._credentials import ChannelSecurity
from grpc._cython.cygrpc import UsageError
from grpc._engine import native
from grpc._plugin_wrapping import CallSecurity
from grpc.aio import _base_call, _base_channel, _interceptor, _loops
from grpc.aio._call import StreamStreamCall, StreamUnaryCall, UnaryStreamCall, UnaryUnaryCall
from grpc.aio._interceptor import ClientInterceptor
from grpc.aio._metadata import Metadata
from grpc.aio._started import CANCELLED_HERE, INTERNAL, SERIALIZER_FAILED, serialized
from grpc.aio._starting import COMPRESSION_KEY, SecuredChannel, start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from grpc.aio._typing import (
        ChannelArgumentType,
        DeserializingFunction,
        MetadataType,
        RequestIterableType,
        SerializingFunction,
    )

_USER_AGENT = f"grpc-python-asyncio/{_grpcio_metadata.__version__}"

_new = object.__new__


class _MultiCallable:
    """A method of a server, ready to be called."""

    __slots__ = ("_channel", "_deserializer", "_method", "_native", "_serializer", "_start")

    def __init__(
        self,
        channel: Channel,
        method: str,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
    ) -> None:
        # Held, so that a stub keeps the channel that it was made with.
        self._channel = channel
        self._native = channel._starter
        self._start = channel._native.start
        self._method = method
        self._serializer = request_serializer
        self._deserializer = response_deserializer

    def _intercepted(
        self,
        kind: Any,
        interceptors: Sequence[Any],
        request: Any,
        timeout: float | None,
        metadata: MetadataType | None,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: grpc.Compression | None,
    ) -> Any:
        given = Metadata._create(metadata)
        if compression is not None:
            given = Metadata(*given)
            given.add(COMPRESSION_KEY, _compression._METADATA_STRING_MAPPING[compression])
        return kind(
            interceptors,
            request,
            timeout,
            given,
            credentials,
            wait_for_ready,
            self._native,
            self._method.encode(),
            self._serializer,
            self._deserializer,
            _loops.working_loop(),
        )

    def _begin(
        self,
        call: Any,
        request: bytes | None,
        timeout: float | None,
        metadata: MetadataType | None,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: grpc.Compression | None,
    ) -> Any:
        pairs = None if metadata is None else _common.metadata_pairs(metadata)
        call._serializer = self._serializer
        call._deserializer = self._deserializer
        call._native = start(
            self._native, self._method, request, pairs, timeout, credentials, wait_for_ready, compression
        )
        return call

    def _begin_unary(self, call: Any, request: Any, *arguments: Any) -> Any:
        data = serialized(request, self._serializer)
        self._begin(call, b"" if data is None else data, *arguments)
        if data is None:
            call._native.cancel(INTERNAL, SERIALIZER_FAILED)
        return call


class UnaryUnaryMultiCallable(_MultiCallable, _base_channel.UnaryUnaryMultiCallable[Any, Any]):
    """A method of one request and one response."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.UnaryUnaryCall[Any, Any]:
        interceptors = self._channel._unary_unary_interceptors
        if interceptors:
            given = (timeout, metadata, credentials, wait_for_ready, compression)
            return self._intercepted(_interceptor.InterceptedUnaryUnaryCall, interceptors, request, *given)  # type: ignore[no-any-return]
        # The path most calls take: as little as possible happens here, and in few functions.
        serializer = self._serializer
        try:
            data = request if serializer is None else serializer(request)
        except Exception:
            data = None
        if data.__class__ is not bytes or credentials is not None:
            given = (timeout, metadata, credentials, wait_for_ready, compression)
            return self._begin_unary(UnaryUnaryCall.__new__(UnaryUnaryCall), request, *given)  # type: ignore[no-any-return]
        if metadata is not None:
            metadata = _common.metadata_pairs(metadata)
        call = _new(UnaryUnaryCall)
        call._deserializer = self._deserializer
        try:
            call._native = self._start(self._method, data, metadata, timeout, wait_for_ready, compression)
        except ValueError as error:
            raise UsageError(str(error)) from None
        return call


class _SecuredUnaryUnaryMultiCallable(UnaryUnaryMultiCallable):
    """One whose calls carry credentials of the channel."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.UnaryUnaryCall[Any, Any]:
        given = (timeout, metadata, credentials, wait_for_ready, compression)
        interceptors = self._channel._unary_unary_interceptors
        if interceptors:
            return self._intercepted(_interceptor.InterceptedUnaryUnaryCall, interceptors, request, *given)  # type: ignore[no-any-return]
        return self._begin_unary(UnaryUnaryCall.__new__(UnaryUnaryCall), request, *given)  # type: ignore[no-any-return]


class UnaryStreamMultiCallable(_MultiCallable, _base_channel.UnaryStreamMultiCallable[Any, Any]):
    """A method of one request and a stream of responses."""

    def __call__(
        self,
        request: Any,
        *,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.UnaryStreamCall[Any, Any]:
        given = (timeout, metadata, credentials, wait_for_ready, compression)
        interceptors = self._channel._unary_stream_interceptors
        if interceptors:
            call = self._intercepted(_interceptor.InterceptedUnaryStreamCall, interceptors, request, *given)
        else:
            call = self._begin_unary(UnaryStreamCall.__new__(UnaryStreamCall), request, *given)
        return call  # type: ignore[no-any-return]


class StreamUnaryMultiCallable(_MultiCallable, _base_channel.StreamUnaryMultiCallable[Any, Any]):
    """A method of a stream of requests and one response."""

    def __call__(
        self,
        request_iterator: RequestIterableType[Any] | None = None,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.StreamUnaryCall[Any, Any]:
        given = (timeout, metadata, credentials, wait_for_ready, compression)
        interceptors = self._channel._stream_unary_interceptors
        if interceptors:
            call = self._intercepted(_interceptor.InterceptedStreamUnaryCall, interceptors, request_iterator, *given)
        else:
            call = self._begin(StreamUnaryCall.__new__(StreamUnaryCall), None, *given)
            call._consume(request_iterator, _loops.working_loop())
        return call  # type: ignore[no-any-return]


class StreamStreamMultiCallable(_MultiCallable, _base_channel.StreamStreamMultiCallable[Any, Any]):
    """A method of a stream of requests and a stream of responses."""

    def __call__(
        self,
        request_iterator: RequestIterableType[Any] | None = None,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.StreamStreamCall[Any, Any]:
        given = (timeout, metadata, credentials, wait_for_ready, compression)
        interceptors = self._channel._stream_stream_interceptors
        if interceptors:
            call = self._intercepted(_interceptor.InterceptedStreamStreamCall, interceptors, request_iterator, *given)
        else:
            call = self._begin(StreamStreamCall.__new__(StreamStreamCall), None, *given)
            call._consume(request_iterator, _loops.working_loop())
        return call  # type: ignore[no-any-return]


class Channel(_base_channel.Channel):
    """A channel over a native one, which has a connection for each loop that uses it."""

    def __init__(
        self,
        target: str,
        options: ChannelArgumentType,
        credentials: Any,
        compression: grpc.Compression | None,
        interceptors: Sequence[ClientInterceptor] | None,
    ) -> None:
        # By these names other packages' clients append to them and replace them, also after the first callable is made.
        (
            self._unary_unary_interceptors,
            self._unary_stream_interceptors,
            self._stream_unary_interceptors,
            self._stream_stream_interceptors,
        ) = _by_kind(interceptors or ())
        self._closing: asyncio.Future[None] | None = None
        self._closed = False
        name = self._target = _common.decode(_common.encode(target))
        given = [
            *_common.options(options),
            *_compression.create_channel_option(compression),
            ("grpc.primary_user_agent", _USER_AGENT),
        ]
        security = ChannelSecurity(credentials, given)
        self._native = native.AioChannel(name, given, _loops.resolve, security.native)
        #: Starts the calls.
        self._starter: native.AioChannel | SecuredChannel = self._native
        if not security.is_plain:
            self._starter = SecuredChannel(self._native, CallSecurity(security, self._native.authority, name))
        self._unary_unary: type[UnaryUnaryMultiCallable] = (
            _SecuredUnaryUnaryMultiCallable if security.plugins or security.unusable else UnaryUnaryMultiCallable
        )

    def __repr__(self) -> str:
        # Its state is that of the loop that runs.
        state = self._native.state(False) if asyncio._get_running_loop() else None
        return _common.describe_channel(self, self._target, state)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        await self.close()
        return None

    async def close(self, grace: float | None = None) -> None:
        if grace is not None and grace < 0:
            raise ValueError("the grace period must not be negative")
        if self._closed:
            return
        self._closed = True
        self._native.refuse()
        if grace:
            waiter = self._native.wait_idle()
            if waiter is not None:
                await asyncio.wait((asyncio.ensure_future(waiter),), timeout=grace)
        self._native.close(CANCELLED_HERE)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return _common.CONNECTIVITIES[self._native.state(try_to_connect)]

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        if self._closed:
            raise UsageError("Channel is closed.")
        waiter = self._native.wait_for_state_change(last_observed_state.value[0])
        if waiter is not None:
            await waiter

    async def channel_ready(self) -> None:
        state = self.get_state(try_to_connect=True)
        while state is not grpc.ChannelConnectivity.READY:
            await self.wait_for_state_change(state)
            state = self.get_state(try_to_connect=True)

    def unary_unary(
        self,
        method: str,
        request_serializer: SerializingFunction[Any] | None = None,
        response_deserializer: DeserializingFunction[Any] | None = None,
        _registered_method: bool | None = False,
    ) -> UnaryUnaryMultiCallable:
        return self._unary_unary(self, method, request_serializer, response_deserializer)

    def unary_stream(
        self,
        method: str,
        request_serializer: SerializingFunction[Any] | None = None,
        response_deserializer: DeserializingFunction[Any] | None = None,
        _registered_method: bool | None = False,
    ) -> UnaryStreamMultiCallable:
        return UnaryStreamMultiCallable(self, method, request_serializer, response_deserializer)

    def stream_unary(
        self,
        method: str,
        request_serializer: SerializingFunction[Any] | None = None,
        response_deserializer: DeserializingFunction[Any] | None = None,
        _registered_method: bool | None = False,
    ) -> StreamUnaryMultiCallable:
        return StreamUnaryMultiCallable(self, method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: SerializingFunction[Any] | None = None,
        response_deserializer: DeserializingFunction[Any] | None = None,
        _registered_method: bool | None = False,
    ) -> StreamStreamMultiCallable:
        return StreamStreamMultiCallable(self, method, request_serializer, response_deserializer)


_KINDS = (
    _interceptor.UnaryUnaryClientInterceptor,
    _interceptor.UnaryStreamClientInterceptor,
    _interceptor.StreamUnaryClientInterceptor,
    _interceptor.StreamStreamClientInterceptor,
)


def _by_kind(interceptors: Sequence[ClientInterceptor]) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """The interceptors of each kind. One that is of several kinds counts for the first.

    Raises:
      ValueError: one is of no kind.
    """
    sorted_: tuple[list[Any], list[Any], list[Any], list[Any]] = ([], [], [], [])
    for interceptor in interceptors:
        for kind, those in zip(_KINDS, sorted_, strict=True):
            if isinstance(interceptor, kind):
                those.append(interceptor)
                break
        else:
            names = " or ".join(kind.__name__ for kind in _KINDS)
            raise ValueError(f"Interceptor {interceptor} must be {names}")
    return sorted_


def insecure_channel(
    target: str,
    options: Sequence[tuple[str, Any]] | None = None,
    compression: grpc.Compression | None = None,
    interceptors: Sequence[ClientInterceptor] | None = None,
) -> _base_channel.Channel:
    """A channel in plain text. It connects when it is first used, once for each event loop that uses it.

    Args:
      target: where to, for example "localhost:50051", "dns:///name:443", "[::1]:50051", "unix:/path".
      options: (key, value) pairs, for example ("grpc.max_receive_message_length", -1).
      compression: the default for all calls of the channel.
      interceptors: stand around its calls, the first outermost.

    Raises:
      ValueError: an option is not a pair, or an interceptor is of no kind.
      TypeError: an option's key or value is of a wrong type.
    """
    return Channel(target, () if options is None else options, None, compression, interceptors)


def secure_channel(
    target: str,
    credentials: grpc.ChannelCredentials,
    options: Sequence[tuple[str, Any]] | None = None,
    compression: grpc.Compression | None = None,
    interceptors: Sequence[ClientInterceptor] | None = None,
) -> _base_channel.Channel:
    """As `insecure_channel`, with credentials."""
    return Channel(target, () if options is None else options, credentials._credentials, compression, interceptors)
