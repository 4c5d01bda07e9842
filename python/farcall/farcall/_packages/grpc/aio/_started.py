"""What the four kinds of calls of a client have in common, and the error that they end with."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from grpc import _common
from grpc._cython.cygrpc import ExecuteBatchError
from grpc._rendezvous import debug_string
from grpc.aio._metadata import Metadata
from grpc.aio._starting import split_compression, start
from grpc.aio._typing import DeserializingFunction, DoneCallbackType, SerializingFunction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioChannel, AioClientCall

CANCELLED_HERE = "Locally cancelled by application!"
SERIALIZER_FAILED = "Exception serializing request!"
_DESERIALIZER_FAILED = "Exception deserializing response!"
_INVALID_METADATA = "Invalid metadata"

CANCELLED, INTERNAL, UNIMPLEMENTED = 1, 13, 12


class AioRpcError(grpc.RpcError):
    """An RPC of a client did not end with OK. It is a record of how it ended: nothing waits."""

    # As in grpcio: programs see the name in tracebacks, and keep it in pickles.
    __module__ = "grpc.aio._call"

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


def raise_for_status(native: AioClientCall) -> None:
    """Raises how an ended call ended, unless that is OK."""
    ended = native.status()
    if ended is not None and ended[0] != 0:
        _raise(native, *ended)


def _raise(native: AioClientCall, code: int, details: str, trailing: Any, from_server: bool) -> NoReturn:
    if not from_server:
        if code == CANCELLED and details == CANCELLED_HERE:
            raise asyncio.CancelledError(details)
        if code == INTERNAL and details == _INVALID_METADATA:
            raise ExecuteBatchError("Failed grpc_call_start_batch: metadata has characters that may not be sent")
    raise AioRpcError(
        _common.STATUS_CODES[code],
        Metadata.from_tuple(native.headers()),
        Metadata.from_tuple(trailing),
        details,
        debug_string(code, details, from_server),
    )


def fail(native: AioClientCall, code: int, details: str) -> NoReturn:
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


def deserialized(native: AioClientCall, data: bytes, deserializer: DeserializingFunction[Any] | None) -> Any:
    if deserializer is None:
        return data
    try:
        return deserializer(data)
    except Exception as error:
        _common.log_deserializing()
        try:
            fail(native, INTERNAL, _DESERIALIZER_FAILED)
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
            self._native.cancel(INTERNAL, SERIALIZER_FAILED)

    # The questions.

    def cancelled(self) -> bool:
        ended = self._native.status()
        return ended is not None and ended[0] == CANCELLED

    def done(self) -> bool:
        return self._native.done()

    def cancel(self) -> bool:
        return self._native.cancel(CANCELLED, CANCELLED_HERE)

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
            raise_for_status(self._native)

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
