"""Calls of a client: the four kinds, and the error that they end with."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import enum
import functools
import logging
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Sequence
from typing import Any, NoReturn

import grpc
from grpc import _common, _plugin_wrapping
from grpc._cython.cygrpc import EOF, ExecuteBatchError, UsageError
from grpc._rendezvous import debug_string
from grpc.aio import _base_call, _loops
from grpc.aio._metadata import Metadata
from grpc.aio._typing import (
    DeserializingFunction,
    DoneCallbackType,
    RequestIterableType,
    RequestType,
    ResponseType,
    SerializingFunction,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioChannel, AioClientCall

    from grpc._plugin_wrapping import CallSecurity

_LOGGER = logging.getLogger(__name__)

_API_STYLE_ERROR = "The iterator and read/write APIs may not be mixed on a single RPC."
_HALF_CLOSED = 'RPC is half closed after calling "done_writing".'
_FINISHED = "RPC already finished."
_CANCELLED_HERE = "Locally cancelled by application!"
_SERIALIZER_FAILED = "Exception serializing request!"
_DESERIALIZER_FAILED = "Exception deserializing response!"
_INVALID_METADATA = "Invalid metadata"

_CANCELLED, _INTERNAL, _UNIMPLEMENTED = 1, 13, 12

#: The key under which an intercepted call tells the call inside it how to compress.
COMPRESSION_KEY = "grpc-internal-encoding-request"
_COMPRESSIONS = {"identity": 0, "deflate": 1, "gzip": 2}

#: Stands where a response is not known yet.
_UNKNOWN = object()


class AioRpcError(grpc.RpcError):
    """An RPC of a client did not end with OK. It is a record of how it ended: nothing waits."""

    def __init__(
        self,
        code: grpc.StatusCode | str,
        initial_metadata: Metadata | None = None,
        trailing_metadata: Metadata | None = None,
        details: str | None = None,
        debug_error_string: str | None = None,
    ) -> None:
        super().__init__()
        if isinstance(code, str):
            # `type(error)("text")`: programs make errors of the class of another.
            details = code
            code = grpc.StatusCode.UNKNOWN
        self._code = code
        self._initial_metadata = initial_metadata
        self._trailing_metadata = trailing_metadata
        self._details = details
        self._debug_error_string = debug_error_string

    def code(self) -> grpc.StatusCode:
        """How the RPC ended."""
        return self._code

    def details(self) -> str | None:
        """What was said about how it ended, for people to read."""
        return self._details

    def initial_metadata(self) -> Metadata | None:
        """The metadata the server sent first."""
        return self._initial_metadata

    def trailing_metadata(self) -> Metadata | None:
        """The metadata the server sent with the status."""
        return self._trailing_metadata

    def debug_error_string(self) -> str | None:
        """What was said about the error for those who look for its cause."""
        return self._debug_error_string

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {self._code}\n"
            f'\tdetails = "{self._details}"\n'
            f'\tdebug_error_string = "{self._debug_error_string}"\n>'
        )

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self._code,
            self._initial_metadata,
            self._trailing_metadata,
            self._details,
            self._debug_error_string,
        )


# How a call ended.


def _raise_for_status(native: AioClientCall) -> None:
    """Raises how an ended call ended, unless that is OK."""
    ended = native.status()
    if ended is not None and ended[0] != 0:
        _raise(native, *ended)


def _raise(native: AioClientCall, code: int, details: str, trailing: Any, from_server: bool) -> NoReturn:
    if not from_server:
        if code == _CANCELLED and details == _CANCELLED_HERE:
            raise asyncio.CancelledError(details)
        if code == _INTERNAL and details == _INVALID_METADATA:
            raise ExecuteBatchError("Failed grpc_call_start_batch: metadata has characters that may not be sent")
    raise AioRpcError(
        _common.STATUS_CODES[code],
        Metadata.from_tuple(native.headers()),
        Metadata.from_tuple(trailing),
        details,
        debug_string(code, details, from_server),
    )


def _fail(native: AioClientCall, code: int, details: str) -> NoReturn:
    """Ends the call with an error that the server knows nothing of, and raises it."""
    native.fail(code, details)
    _raise(native, code, details, (), False)


def in_context(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """Calls it later in the context of now, as asyncio does: whoever brings the news is in that of somebody else."""
    return functools.partial(contextvars.copy_context().run, function, *arguments)


def serialized(request: Any, serializer: SerializingFunction[Any] | None) -> bytes | None:
    """The bytes of a request; None, logged, if the serializer raises or makes something else of it."""
    try:
        data = request if serializer is None else serializer(request)
        return data if type(data) is bytes else _common.as_bytes(data)
    except Exception:
        _common.log_serializing()
        return None


def _deserialized(native: AioClientCall, data: bytes, deserializer: DeserializingFunction[Any] | None) -> Any:
    if deserializer is None:
        return data
    try:
        return deserializer(data)
    except Exception as error:
        _common.log_deserializing()
        try:
            _fail(native, _INTERNAL, _DESERIALIZER_FAILED)
        except AioRpcError as failure:
            raise failure from error


class Call:
    """What the four kinds have in common: a native call, and questions to it."""

    _native: AioClientCall
    _serializer: SerializingFunction[Any] | None
    _deserializer: DeserializingFunction[Any] | None

    def _begin(
        self,
        request: Any,
        deadline: float | None,
        metadata: Metadata | None,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes | str,
        serializer: SerializingFunction[Any] | None,
        deserializer: DeserializingFunction[Any] | None,
    ) -> None:
        """Starts it, with a request if it is bytes."""
        self._serializer = serializer
        self._deserializer = deserializer
        timeout = None if deadline is None else deadline - time.monotonic()
        pairs, compression = split_compression(metadata)
        self._native = start(
            channel, _common.decode(method), request, pairs, timeout, credentials, wait_for_ready, compression
        )

    def _begin_unary(self, request: Any, *arguments: Any) -> None:
        data = serialized(request, arguments[6])
        self._begin(b"" if data is None else data, *arguments)
        if data is None:
            self._native.cancel(_INTERNAL, _SERIALIZER_FAILED)

    # The questions.

    def cancelled(self) -> bool:
        ended = self._native.status()
        return ended is not None and ended[0] == _CANCELLED

    def done(self) -> bool:
        return self._native.done()

    def cancel(self) -> bool:
        return self._native.cancel(_CANCELLED, _CANCELLED_HERE)

    def add_done_callback(self, callback: DoneCallbackType) -> None:
        if self.done() or not self._call_when_over(in_context(self._call_back, callback)):
            callback(self)

    def _call_when_over(self, callback: Callable[[], object]) -> bool:
        """Has it called when the RPC is over; False if it is."""
        return self._native.add_done_callback(callback)

    def _call_back(self, callback: DoneCallbackType) -> None:
        _common.call_logging(callback, "Exception in callback of an RPC", self)

    def time_remaining(self) -> float | None:
        remaining = self._native.time_remaining()
        return None if remaining is None else max(0.0, remaining)

    async def initial_metadata(self) -> Metadata:
        waiter = self._native.answered()
        if waiter is not None:
            await waiter
        return Metadata.from_tuple(self._native.headers())

    async def _ended(self) -> tuple[int, str, Any, bool]:
        native = self._native
        waiter = native.ended()
        if waiter is not None:
            await waiter
        ended = native.status()
        assert ended is not None
        return ended

    async def trailing_metadata(self) -> Metadata:
        return Metadata.from_tuple((await self._ended())[2])

    async def code(self) -> grpc.StatusCode:
        return _common.STATUS_CODES[(await self._ended())[0]]

    async def details(self) -> str:
        return (await self._ended())[1]

    async def debug_error_string(self) -> str | None:
        """More about the error, for debugging: "CODE:details"; empty for OK, None when it was made on this side."""
        code, details, _, from_server = await self._ended()
        return debug_string(code, details, from_server)

    async def wait_for_connection(self) -> None:
        waiter = self._native.connected()
        if waiter is not None:
            await waiter
        if self.done():
            _raise_for_status(self._native)

    def __repr__(self) -> str:
        ended = self._native.status()
        if ended is None:
            return f"<{type(self).__name__} object>"
        code, details, _, from_server = ended
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {_common.STATUS_CODES[code]}\n"
            f'\tdetails = "{details}"\n'
            + (f'\tdebug_error_string = "{debug_string(code, details, from_server)}"\n>' if code else ">")
        )

    __str__ = __repr__


def start(
    channel: AioChannel | SecuredChannel,
    method: str,
    request: bytes | None,
    pairs: Any,
    timeout: float | None,
    credentials: grpc.CallCredentials | None,
    wait_for_ready: bool | None,
    compression: int | None,
) -> AioClientCall:
    """The native call.

    Raises:
      UsageError: the channel is closed, or credentials were given although it is insecure.
    """
    try:
        if isinstance(channel, SecuredChannel):
            return channel.start(method, request, pairs, timeout, credentials, wait_for_ready, compression)
        if credentials is not None:
            raise UsageError("Call credentials are only valid on secure channels")
        return channel.start(method, request, pairs, timeout, wait_for_ready, compression)
    except ValueError as error:
        raise UsageError(str(error)) from None


class SecuredChannel:
    """A native channel with what its credentials mean to its calls."""

    __slots__ = ("_native", "_security")

    def __init__(self, native: AioChannel, security: CallSecurity) -> None:
        self._native = native
        self._security = security

    def start(
        self,
        method: str,
        request: bytes | None,
        pairs: Any,
        timeout: float | None,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: int | None,
    ) -> AioClientCall:
        """The native call, which goes out once its credentials are there."""

        def begin(pairs: Any, held: bool) -> AioClientCall:
            return self._native.start(method, request, pairs, timeout, wait_for_ready, compression, held)

        security = self._security
        if security.refusal is not None:
            call = begin(pairs, True)
            call.cancel(*security.refusal)
            return call
        plugins = security.plugins_for(credentials)
        fixed = _plugin_wrapping.fixed(plugins)
        if fixed is not None:
            return begin([*(pairs or ()), *fixed] if fixed else pairs, False)
        call = begin(pairs, True)
        event_loop = asyncio.get_running_loop()
        proceed = _plugin_wrapping.proceeding(call)

        def answer(metadata: Sequence[tuple[str, Any]], failed: str | None) -> None:
            # A loop that is closed has no call to go on with.
            with contextlib.suppress(RuntimeError):
                event_loop.call_soon_threadsafe(proceed, metadata, failed)

        security.ask(plugins, method, answer)
        return call


def split_compression(metadata: Iterable[Any] | None) -> tuple[Any, int | None]:
    """Metadata as the native module takes them, and what an intercepted call has hidden among them."""
    if not metadata:
        return None, None
    pairs = _common.metadata_pairs(metadata)
    for pair in pairs:
        if pair[0] == COMPRESSION_KEY:
            return [other for other in pairs if other[0] != COMPRESSION_KEY], _COMPRESSIONS.get(str(pair[1]))
    return pairs, None


class _APIStyle(enum.IntEnum):
    UNKNOWN = 0
    ASYNC_GENERATOR = 1
    READER_WRITER = 2


class _UnaryResponse(Call):
    """The kinds with one response."""

    _response: Any = _UNKNOWN

    def __await__(self) -> Generator[Any, None, Any]:
        native = self._native
        waiter = native.ended()
        if waiter is not None:
            try:
                yield from waiter
            except asyncio.CancelledError:
                self.cancel()
                raise
        if self._response is _UNKNOWN:
            self._settle()
        return self._response

    def _settle(self) -> None:
        """Takes the response of a call that has ended.

        Raises:
          AioRpcError: there is none, and this is how the call ends also for who asks for its code.
        """
        native = self._native
        data = native.response()
        if data is None:
            _raise_for_status(native)
            _fail(native, _UNIMPLEMENTED, "The server sent no response, or more than one.")
        deserializer = self._deserializer
        self._response = data if deserializer is None else _deserialized(native, data, deserializer)

    async def _ended(self) -> tuple[int, str, Any, bool]:
        ended = await super()._ended()
        if ended[0] != 0 or self._response is not _UNKNOWN:
            return ended
        try:
            self._settle()
        except AioRpcError:
            return await super()._ended()
        return ended

    def cancel(self) -> bool:
        # A response that nobody has awaited is there all the same.
        return not self._native.done() and super().cancel()


class _Responses(AsyncIterator[Any]):
    """Iterates over the responses of a call. It does not know the call object, which would never be collected; unless
    that has callbacks, which wait for the end of the responses."""

    __slots__ = ("_deserializer", "_native", "_receive", "watched_by")

    def __init__(self, native: AioClientCall, deserializer: DeserializingFunction[Any] | None) -> None:
        self._native = native
        self._receive = native.receive
        self._deserializer = deserializer
        self.watched_by: _StreamResponse | None = None

    def __aiter__(self) -> _Responses:
        return self

    async def __anext__(self) -> Any:
        while True:
            got = self._receive()
            if got.__class__ is bytes:
                if self.watched_by is not None:
                    self.watched_by._call_back_soon()
                return got if self._deserializer is None else _deserialized(self._native, got, self._deserializer)
            if got is None:
                break
            await _or_cancel(self._native, got)
        if self.watched_by is not None:
            self.watched_by._call_back_if_over()
        _raise_for_status(self._native)
        raise StopAsyncIteration


async def _or_cancel(native: AioClientCall, waiter: Any) -> None:
    """Awaits; who gives that up gives up the RPC."""
    try:
        await waiter
    except asyncio.CancelledError:
        _give_up(native)
        raise


def _give_up(native: AioClientCall) -> None:
    """Cancels an RPC that goes on; one that the server has ended keeps its responses and its status for its reader."""
    if not native.done():
        native.cancel(_CANCELLED, _CANCELLED_HERE)


class _StreamResponse(Call):
    """The kinds with a stream of responses."""

    _responses: _Responses | None = None
    _response_style = _APIStyle.UNKNOWN

    def _choose_response_style(self, style: _APIStyle) -> None:
        if self._response_style is _APIStyle.UNKNOWN:
            self._response_style = style
        elif self._response_style is not style:
            raise UsageError(_API_STYLE_ERROR)

    def done(self) -> bool:
        # Responses that nobody has read are still to come.
        return self._native.done() and not self._native.received()

    def cancel(self) -> bool:
        cancelled = super().cancel()
        self._call_back_soon()
        return cancelled

    def _reader(self) -> _Responses:
        if self._responses is None:
            self._responses = _Responses(self._native, self._deserializer)
            if self._callbacks:
                self._responses.watched_by = self
        return self._responses

    # Callbacks, which wait until the responses are read.

    _callbacks: Sequence[Callable[[], object]] = ()
    _loop_of_callbacks: asyncio.AbstractEventLoop
    _watched = False

    def _call_when_over(self, callback: Callable[[], object]) -> bool:
        self._callbacks = [*self._callbacks, callback]
        if self._responses is not None:
            self._responses.watched_by = self
        if not self._watched:
            # Also when the call has ended, and only its responses have not been read.
            self._watched = True
            self._loop_of_callbacks = _loops.working_loop()
            self._native.add_done_callback(self._call_back_if_over)
        return True

    def _call_back_soon(self) -> None:
        """Has the callbacks called in the loop's next turn if the call is over by now."""
        if self._callbacks and self.done():
            self._loop_of_callbacks.call_soon(self._call_back_if_over)

    def _call_back_if_over(self) -> None:
        if not self._callbacks or not self.done():
            return
        callbacks, self._callbacks = self._callbacks, ()
        if self._responses is not None:
            self._responses.watched_by = None
        for callback in callbacks:
            callback()

    def __del__(self) -> None:
        # Nobody will read what is left. A loop that is closed calls nothing any more.
        if self._callbacks and self._native.done():
            self._native.cancel(_CANCELLED, _CANCELLED_HERE)
            with contextlib.suppress(RuntimeError):
                self._loop_of_callbacks.call_soon_threadsafe(self._call_back_if_over)

    def __aiter__(self) -> AsyncIterator[Any]:
        self._choose_response_style(_APIStyle.ASYNC_GENERATOR)
        return self._reader()

    async def read(self) -> Any:
        if self.done():
            _raise_for_status(self._native)
            return EOF
        self._choose_response_style(_APIStyle.READER_WRITER)
        try:
            return await self._reader().__anext__()
        except StopAsyncIteration:
            return EOF


class _StreamRequest(Call):
    """The kinds with a stream of requests."""

    _request_style: _APIStyle
    _done_writing = False
    _connected = False
    _consumer: asyncio.Task[None] | None = None

    def _consume(
        self, request_iterator: RequestIterableType[Any] | None, event_loop: asyncio.AbstractEventLoop
    ) -> None:
        if request_iterator is None:
            self._request_style = _APIStyle.READER_WRITER
            return
        self._request_style = _APIStyle.ASYNC_GENERATOR
        consumer = event_loop.create_task(_consume(self._native, request_iterator, self._serializer))
        self._consumer = consumer
        # When the RPC is over nobody wants requests: what makes them hears of it, wherever it waits.
        self._native.add_done_callback(consumer.cancel)

    def cancel(self) -> bool:
        cancelled = super().cancel()
        if cancelled and self._consumer is not None:
            # Before it asks for another request.
            self._consumer.cancel()
        return cancelled

    def _refuse_other_style(self) -> None:
        if self._request_style is _APIStyle.ASYNC_GENERATOR:
            raise UsageError(_API_STYLE_ERROR)

    async def write(self, request: Any) -> None:
        self._refuse_other_style()
        if self._native.done():
            if not self._connected and not self.cancelled():
                _raise_for_status(self._native)
            raise asyncio.InvalidStateError(_FINISHED)
        if self._done_writing:
            raise asyncio.InvalidStateError(_HALF_CLOSED)
        if not self._connected:
            waiter = self._native.connected()
            if waiter is not None:
                await _or_cancel(self._native, waiter)
            self._connected = True
        await _send(self._native, request, self._serializer)
        if self._native.done():
            _raise_for_status(self._native)

    async def done_writing(self) -> None:
        self._refuse_other_style()
        if not self._done_writing and not self._native.done():
            self._done_writing = True
            self._native.half_close()


async def _send(native: AioClientCall, request: Any, serializer: SerializingFunction[Any] | None) -> None:
    """Sends a request and waits for room for the next."""
    data = serialized(request, serializer)
    if data is None:
        if not native.done():
            native.cancel(_INTERNAL, _SERIALIZER_FAILED)
        return
    left = native.send(data)
    if left is not None and left is not False:
        await _or_cancel(native, left)


async def _send_next(native: AioClientCall, request: Any, serializer: SerializingFunction[Any] | None) -> bool:
    """Sends a request once there is a connection; whether more are wanted."""
    waiter = native.connected()
    if waiter is not None:
        await waiter
    await _send(native, request, serializer)
    return not native.done()


async def _consume(
    native: AioClientCall, requests: RequestIterableType[Any], serializer: SerializingFunction[Any] | None
) -> None:
    """Sends what an iterator gives; the RPC is cancelled if it raises."""
    try:
        if isinstance(requests, AsyncIterable):
            async for request in requests:
                if not await _send_next(native, request, serializer):
                    return
        else:
            for request in requests:
                if not await _send_next(native, request, serializer):
                    return
        native.half_close()
    except asyncio.CancelledError:
        _give_up(native)
        raise
    except Exception:
        _LOGGER.exception("Client request_iterator raised exception")
        _give_up(native)


class UnaryUnaryCall(_UnaryResponse, _base_call.UnaryUnaryCall[RequestType, ResponseType]):
    """One request, one response."""

    def __init__(
        self,
        request: RequestType,
        deadline: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._begin_unary(
            request,
            deadline,
            metadata,
            credentials,
            wait_for_ready,
            channel,
            method,
            request_serializer,
            response_deserializer,
        )

    async def wait_for_connection(self) -> None:
        waiter = self._native.ended()
        if waiter is not None:
            await _or_cancel(self._native, waiter)
        _raise_for_status(self._native)


class UnaryStreamCall(_StreamResponse, _base_call.UnaryStreamCall[RequestType, ResponseType]):
    """One request, a stream of responses."""

    def __init__(
        self,
        request: RequestType,
        deadline: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._begin_unary(
            request,
            deadline,
            metadata,
            credentials,
            wait_for_ready,
            channel,
            method,
            request_serializer,
            response_deserializer,
        )


class StreamUnaryCall(_UnaryResponse, _StreamRequest, _base_call.StreamUnaryCall[RequestType, ResponseType]):
    """A stream of requests, one response."""

    def __init__(
        self,
        request_iterator: RequestIterableType[RequestType] | None,
        deadline: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._begin(
            None,
            deadline,
            metadata,
            credentials,
            wait_for_ready,
            channel,
            method,
            request_serializer,
            response_deserializer,
        )
        self._consume(request_iterator, loop)


class StreamStreamCall(_StreamRequest, _StreamResponse, _base_call.StreamStreamCall[RequestType, ResponseType]):
    """A stream of requests, a stream of responses."""

    def __init__(
        self,
        request_iterator: RequestIterableType[RequestType] | None,
        deadline: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._begin(
            None,
            deadline,
            metadata,
            credentials,
            wait_for_ready,
            channel,
            method,
            request_serializer,
            response_deserializer,
        )
        self._consume(request_iterator, loop)


# Their names in grpcio, by which packages ask `isinstance`.
_UnaryResponseMixin = _UnaryResponse
_StreamResponseMixin = _StreamResponse
_StreamRequestMixin = _StreamRequest
