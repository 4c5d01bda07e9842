"""Requests and responses of calls: one, or a stream of them."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Sequence
from typing import Any

from grpc._cython.cygrpc import EOF, UsageError
from grpc.aio import _loops
from grpc.aio._started import (
    CANCELLED,
    CANCELLED_HERE,
    INTERNAL,
    SERIALIZER_FAILED,
    UNIMPLEMENTED,
    AioRpcError,
    Call,
    deserialized,
    fail,
    raise_for_status,
    serialized,
)
from grpc.aio._typing import DeserializingFunction, RequestIterableType, SerializingFunction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioClientCall

_LOGGER = logging.getLogger("grpc.aio._call")

_API_STYLE_ERROR = "The iterator and read/write APIs may not be mixed on a single RPC."
_HALF_CLOSED = 'RPC is half closed after calling "done_writing".'
_FINISHED = "RPC already finished."

#: Stands where a response is not known yet.
_UNKNOWN = object()


class _APIStyle(enum.IntEnum):
    UNKNOWN = 0
    ASYNC_GENERATOR = 1
    READER_WRITER = 2


class UnaryResponse(Call):
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
            raise_for_status(native)
            fail(native, UNIMPLEMENTED, "The server sent no response, or more than one.")
        deserializer = self._deserializer
        self._response = data if deserializer is None else deserialized(native, data, deserializer)

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
        self.watched_by: StreamResponse | None = None

    def __aiter__(self) -> _Responses:
        return self

    async def __anext__(self) -> Any:
        while True:
            got = self._receive()
            if got.__class__ is bytes:
                if self.watched_by is not None:
                    self.watched_by._call_back_soon()
                return got if self._deserializer is None else deserialized(self._native, got, self._deserializer)
            if got is None:
                break
            await or_cancel(self._native, got)
        if self.watched_by is not None:
            self.watched_by._call_back_if_over()
        raise_for_status(self._native)
        raise StopAsyncIteration


async def or_cancel(native: AioClientCall, waiter: Any) -> None:
    """Awaits; who gives that up gives up the RPC."""
    try:
        await waiter
    except asyncio.CancelledError:
        _give_up(native)
        raise


def _give_up(native: AioClientCall) -> None:
    """Cancels an RPC that goes on; one that the server has ended keeps its responses and its status for its reader."""
    if not native.done():
        native.cancel(CANCELLED, CANCELLED_HERE)


class StreamResponse(Call):
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
            self._native.cancel(CANCELLED, CANCELLED_HERE)
            with contextlib.suppress(RuntimeError):
                self._loop_of_callbacks.call_soon_threadsafe(self._call_back_if_over)

    def __aiter__(self) -> AsyncIterator[Any]:
        self._choose_response_style(_APIStyle.ASYNC_GENERATOR)
        return self._reader()

    async def read(self) -> Any:
        if self.done():
            raise_for_status(self._native)
            return EOF
        self._choose_response_style(_APIStyle.READER_WRITER)
        try:
            return await self._reader().__anext__()
        except StopAsyncIteration:
            return EOF


class StreamRequest(Call):
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
                raise_for_status(self._native)
            raise asyncio.InvalidStateError(_FINISHED)
        if self._done_writing:
            raise asyncio.InvalidStateError(_HALF_CLOSED)
        if not self._connected:
            waiter = self._native.connected()
            if waiter is not None:
                await or_cancel(self._native, waiter)
            self._connected = True
        await _send(self._native, request, self._serializer)
        if self._native.done():
            raise_for_status(self._native)

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
            native.cancel(INTERNAL, SERIALIZER_FAILED)
        return
    left = native.send(data)
    if left is not None and left is not False:
        await or_cancel(native, left)


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
