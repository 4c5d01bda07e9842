"""What a call of `grpc.aio` can do, by its kind: abstract classes."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import AsyncIterator, Generator
from typing import Any, Generic

import grpc
from grpc.aio._metadata import Metadata
from grpc.aio._typing import DoneCallbackType, EOFType, RequestType, ResponseType

__all__ = (
    "Call",
    "RpcContext",
    "StreamStreamCall",
    "StreamUnaryCall",
    "UnaryStreamCall",
    "UnaryUnaryCall",
)


class RpcContext(metaclass=ABCMeta):
    """An RPC in progress or ended, as either side sees it."""

    @abstractmethod
    def cancelled(self) -> bool:
        """Whether the RPC was cancelled."""

    @abstractmethod
    def done(self) -> bool:
        """Whether the RPC is over: it ended, timed out or was cancelled."""

    @abstractmethod
    def time_remaining(self) -> float | None:
        """The seconds until the RPC times out, 0 at least; None if it has no deadline."""

    @abstractmethod
    def cancel(self) -> bool:
        """Cancels the RPC.

        Returns:
          Whether this is what cancelled it: False if it was over already.
        """

    @abstractmethod
    def add_done_callback(self, callback: DoneCallbackType) -> None:
        """Has `callback(self)` called when the RPC is over; at once if it is.

        Exceptions of the callback are logged.
        """


class Call(RpcContext, metaclass=ABCMeta):
    """An RPC as its client sees it. The coroutines wait until what they answer is known."""

    @abstractmethod
    async def initial_metadata(self) -> Metadata:
        """The metadata the server sent first."""

    @abstractmethod
    async def trailing_metadata(self) -> Metadata:
        """The metadata the server sent with the status."""

    @abstractmethod
    async def code(self) -> grpc.StatusCode:
        """How the RPC ended."""

    @abstractmethod
    async def details(self) -> str:
        """What was said about how it ended, for people to read."""

    @abstractmethod
    async def wait_for_connection(self) -> None:
        """Waits until the RPC is on a connection.

        Raises:
          AioRpcError: there was none.
        """


class UnaryUnaryCall(Generic[RequestType, ResponseType], Call, metaclass=ABCMeta):
    """One request, one response: `response = await call`."""

    @abstractmethod
    def __await__(self) -> Generator[Any, None, ResponseType]:
        """Waits for the response; may be awaited again.

        Raises:
          AioRpcError: the RPC did not end with OK.
          asyncio.CancelledError: it was cancelled on this side.
        """


class UnaryStreamCall(Generic[RequestType, ResponseType], Call, metaclass=ABCMeta):
    """One request, a stream of responses: `async for response in call`, or `read()` until it answers EOF, not both."""

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[ResponseType]:
        """The responses. Iteration raises what `read` raises."""

    @abstractmethod
    async def read(self) -> EOFType | ResponseType:
        """Reads one response.

        Returns:
          The response, or `grpc.aio.EOF` when there are no more.

        Raises:
          AioRpcError: the RPC did not end with OK.
          UsageError: the call is being iterated over.
        """


class StreamUnaryCall(Generic[RequestType, ResponseType], Call, metaclass=ABCMeta):
    """A stream of requests, one response: `response = await call`.

    The requests come from the iterator given, or from `write()` and `done_writing()` if none was.
    """

    @abstractmethod
    async def write(self, request: RequestType) -> None:
        """Writes one request.

        Raises:
          UsageError: the call has an iterator of requests.
          asyncio.InvalidStateError: after `done_writing()`, or the RPC is over.
        """

    @abstractmethod
    async def done_writing(self) -> None:
        """Says that there are no more requests; it may be said again."""

    @abstractmethod
    def __await__(self) -> Generator[Any, None, ResponseType]:
        """Waits for the response; may be awaited again. Raises as that of UnaryUnaryCall."""


class StreamStreamCall(Generic[RequestType, ResponseType], Call, metaclass=ABCMeta):
    """A stream of requests, a stream of responses.

    The requests come from the iterator given, or from `write()` and `done_writing()` if none was; the responses by
    `async for response in call`, or by `read()` until it answers EOF.
    """

    @abstractmethod
    def __aiter__(self) -> AsyncIterator[ResponseType]:
        """The responses. Iteration raises what `read` raises."""

    @abstractmethod
    async def read(self) -> EOFType | ResponseType:
        """Reads one response, as that of UnaryStreamCall."""

    @abstractmethod
    async def write(self, request: RequestType) -> None:
        """Writes one request, as that of StreamUnaryCall."""

    @abstractmethod
    async def done_writing(self) -> None:
        """Says that there are no more requests; it may be said again."""
