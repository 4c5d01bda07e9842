"""What a handler holds of its RPC: the context and, for streams, the requests."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import grpc
from grpc import _common, _compression, _credentials
from grpc._cython.cygrpc import EOF, AbortError, InternalError, UsageError
from grpc.aio import _base_server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioServerCall

    from grpc.aio._typing import DeserializingFunction, DoneCallbackType, MetadataType, SerializingFunction

_LOGGER = logging.getLogger("grpc.aio._server")

CANCELLED, UNKNOWN, UNIMPLEMENTED, INTERNAL = 1, 2, 12, 13


class RequestFailed(Exception):
    """The client has gone: nothing is left to say to it."""


def number_of(code: Any) -> int:
    """The number of a status code, which may be a StatusCode or a number.

    Raises:
      ValueError: it is neither.
    """
    if isinstance(code, grpc.StatusCode):
        return int(code.value[0])
    if isinstance(code, int) and 0 <= code < len(_common.STATUS_CODES):
        return int(code)
    raise ValueError(f"{code!r} is no status code")


def checked_trailing(metadata: Any) -> Any:
    """Trailing metadata as they are remembered: an iterator's pairs as a tuple, all else as it is.

    Raises:
      TypeError: these are no pairs of keys and values.
    """
    pairs = tuple(metadata) if isinstance(metadata, Iterator) else metadata
    try:
        _common.metadata_pairs(pairs)
    except ValueError as error:
        raise TypeError(f"trailing metadata should be (key, value) pairs: {error}") from None
    return pairs


class Context(_base_server.ServicerContext[Any, Any]):
    """The context of one RPC over its native call."""

    def __init__(
        self,
        call: AioServerCall,
        deserializer: DeserializingFunction[Any] | None,
        serializer: SerializingFunction[Any] | None,
    ) -> None:
        self._call = call
        self._deserializer = deserializer
        self._serializer = serializer
        self._code: Any = None
        self._details = ""
        self._trailing_metadata: Any = ()
        # What has been said to the client already.
        self._metadata_sent = False
        self._status_sent = False
        self._aborted = False
        self._compress = True

    # Reading and writing.

    async def read(self) -> Any:
        message = await self._receive()
        if message is None:
            return EOF
        return message if self._deserializer is None else self._deserializer(message)

    async def _receive(self) -> bytes | None:
        receive = self._call.receive
        while True:
            got = receive()
            if got is None or got.__class__ is bytes:
                if got is None and not self._status_sent and not self._call.is_active():
                    # This task is about to be cancelled.
                    await asyncio.sleep(0)
                return got
            await got  # type: ignore[misc]

    async def write(self, message: Any) -> None:
        left = self.send(message)
        if left is not None:
            await left

    def send(self, message: Any) -> Any:
        """Sends a message; what to await before the next, if anything.

        Raises:
          UsageError: the status has been sent.
          TypeError: it is not bytes.
        """
        if self._status_sent:
            raise UsageError("write() is called after the RPC has ended")
        data = message if self._serializer is None else self._serializer(message)
        if data.__class__ is not bytes:
            data = _common.as_bytes(data)
        self._metadata_sent = True
        compress, self._compress = self._compress, True
        left = self._call.send(data, compress)
        return left if left is not False else self._gone()

    async def _gone(self) -> None:
        """The client has gone, and this task is about to be cancelled."""
        await asyncio.sleep(0)
        raise RequestFailed()

    async def send_initial_metadata(self, initial_metadata: MetadataType) -> None:
        if self._status_sent:
            raise UsageError("RPC already finished.")
        if self._metadata_sent:
            raise UsageError("Send initial metadata failed: already sent")
        pairs = _common.metadata_pairs(initial_metadata)
        self._metadata_sent = True
        try:
            self._call.send_initial_metadata(pairs)
        except ValueError as error:
            raise InternalError(f"Invalid metadata: {error}") from None

    # Ending.

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: MetadataType = (),
    ) -> NoReturn:
        self._abort(code, details, trailing_metadata)

    def _abort(self, code: Any, details: str, trailing_metadata: Any) -> NoReturn:
        if self._status_sent or self._aborted:
            raise UsageError("Abort already called!")
        number = number_of(code)
        trailing_metadata = self._trailing_metadata if trailing_metadata == () else checked_trailing(trailing_metadata)
        if number == 0:
            _LOGGER.error("abort() called with StatusCode.OK; the RPC ends with UNKNOWN")
            number = UNKNOWN
        self._code = code
        self._details = details or self._details
        self._trailing_metadata = trailing_metadata
        self._aborted = True
        self._end(number, self._details)
        raise AbortError("Locally aborted.")

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._abort(status.code, status.details, status.trailing_metadata or ())

    def _end(self, code: int, details: str, message: bytes | None = None) -> None:
        """Answers, once."""
        if self._status_sent:
            return
        self._status_sent = True
        if not self._trailing_metadata:
            self._call.finish(code, details, (), message, self._compress)
            return
        try:
            trailing = _common.metadata_pairs(self._trailing_metadata)
            self._call.finish(code, details, trailing, message, self._compress)
        except (TypeError, ValueError):
            _LOGGER.exception("Trailing metadata of %s may not be sent", self._call.method)
            self._call.finish(INTERNAL, "Invalid metadata", ())

    def _finish(self, message: bytes | None) -> None:
        """Answers as the handler has asked for; OK when it has not."""
        code = self._code
        if code is None:
            self._end(0, self._details, message)
        else:
            number = number_of(code)
            self._end(number, self._details, message if number == 0 else None)

    def _fail(self, code: int, details: str) -> None:
        """Answers with an error; the code that the handler had set comes before this one."""
        if self._code is not None and number_of(self._code) != 0:
            code = number_of(self._code)
        self._end(code, details)

    # What it knows and is told.

    def set_trailing_metadata(self, trailing_metadata: MetadataType) -> None:
        self._trailing_metadata = checked_trailing(trailing_metadata)

    def trailing_metadata(self) -> Any:
        return self._trailing_metadata

    def invocation_metadata(self) -> Any:
        return self._call.metadata()

    def set_code(self, code: grpc.StatusCode) -> None:
        number_of(code)
        self._code = code

    def code(self) -> Any:
        return self._code

    def set_details(self, details: str) -> None:
        self._details = details

    def details(self) -> str:
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        if self._metadata_sent:
            raise RuntimeError("Compression setting must be specified before sending initial metadata")
        self._call.set_compression(_compression.number(compression))

    def disable_next_message_compression(self) -> None:
        self._compress = False

    def peer(self) -> str:
        return self._call.peer()

    def peer_identities(self) -> Sequence[bytes] | None:
        return _credentials.peer_identities(self._call.auth_context())

    def peer_identity_key(self) -> str | None:
        return _credentials.peer_identity_key(self._call.auth_context())

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return self._call.auth_context()

    def time_remaining(self) -> float | None:
        remaining = self._call.time_remaining()
        return None if remaining is None else max(0.0, remaining)

    def add_done_callback(self, callback: DoneCallbackType) -> None:
        logged = functools.partial(_common.call_logging, callback, "Exception in callback of an RPC", self)
        if not self._call.add_done_callback(functools.partial(contextvars.copy_context().run, logged)):
            callback(self)

    def done(self) -> bool:
        return self._status_sent or not self._call.is_active()

    def cancelled(self) -> bool:
        return self._code is not None and number_of(self._code) == CANCELLED


class SyncContext:
    """The context as handlers get it that are plain functions, on a thread of the pool."""

    def __init__(self, context: Context, event_loop: asyncio.AbstractEventLoop) -> None:
        self._context = context
        self._event_loop = event_loop

    def _on_loop(self, function: Callable[..., Any], *args: Any) -> Any:
        async def run() -> Any:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(run(), self._event_loop).result()

    def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: MetadataType = ()) -> NoReturn:
        """Ends the RPC with this status, and raises what must end the handler."""
        self._on_loop(self._context._abort, code, details, trailing_metadata)
        raise AbortError("Locally aborted.")

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """As `abort`, with a status object."""
        self.abort(status.code, status.details, status.trailing_metadata or ())

    def send_initial_metadata(self, initial_metadata: MetadataType) -> None:
        """Sends initial metadata now."""
        coroutine = self._context.send_initial_metadata(initial_metadata)
        asyncio.run_coroutine_threadsafe(coroutine, self._event_loop).result()

    def set_trailing_metadata(self, trailing_metadata: MetadataType) -> None:
        """Sets what is sent with the status."""
        self._context.set_trailing_metadata(trailing_metadata)

    def invocation_metadata(self) -> Any:
        """The metadata of the request."""
        return self._context.invocation_metadata()

    def set_code(self, code: grpc.StatusCode) -> None:
        """Sets the code that the RPC ends with."""
        self._context.set_code(code)

    def set_details(self, details: str) -> None:
        """Sets the details that the RPC ends with."""
        self._context.set_details(details)

    def set_compression(self, compression: grpc.Compression) -> None:
        """Sets how responses are compressed."""
        self._on_loop(self._context.set_compression, compression)

    def disable_next_message_compression(self) -> None:
        """Has the next response sent as it is."""
        self._context.disable_next_message_compression()

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        """Has `callback()` called when the RPC is over; False if it is."""
        logged = functools.partial(_common.call_logging, callback, "Exception in callback of an RPC")
        return self._context._call.add_done_callback(functools.partial(contextvars.copy_context().run, logged))

    def peer(self) -> str:
        """The client's address."""
        return self._context.peer()

    def peer_identities(self) -> Sequence[bytes] | None:
        """Who the client is, if it has shown that."""
        return self._context.peer_identities()

    def peer_identity_key(self) -> str | None:
        """What of the client's certificate its identities are."""
        return self._context.peer_identity_key()

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What is known of the connection's security."""
        return self._context.auth_context()

    def time_remaining(self) -> float | None:
        """Seconds until the deadline; None without one."""
        return self._context.time_remaining()


class MessageReceiver(AsyncIterator[Any]):
    """The requests of a stream."""

    __slots__ = ("_context", "_deserializer")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._deserializer = context._deserializer

    def __aiter__(self) -> MessageReceiver:
        return self

    async def __anext__(self) -> Any:
        context = self._context
        got: Any = context._call.receive()
        if got.__class__ is not bytes:
            if got is not None:
                await got
            got = await context._receive()
            if got is None:
                raise StopAsyncIteration
        return got if self._deserializer is None else self._deserializer(got)
