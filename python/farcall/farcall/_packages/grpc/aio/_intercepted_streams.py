"""The streams of a call whose interceptors have not answered yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from grpc._cython.cygrpc import UsageError

_API_STYLE_ERROR = "The iterator and read/write APIs may not be mixed on a single RPC."
_RPC_ALREADY_FINISHED_DETAILS = "RPC already finished."
_RPC_HALF_CLOSED_DETAILS = 'RPC is half closed after calling "done_writing".'

_NOTHING = object()


class LateResponses:
    """The responses of a call that is still to come: the result of a task."""

    def __init__(self, call: asyncio.Task[Any]) -> None:
        self._call = call
        self._responses: AsyncIterator[Any] | None = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    def __anext__(self) -> Awaitable[Any]:
        # Not a coroutine: once the call is there, its own iterator is what is awaited.
        return self._first() if self._responses is None else self._responses.__anext__()

    async def _first(self) -> Any:
        call = await self._call
        if self._responses is None:
            self._responses = call.__aiter__()
        return await self._responses.__anext__()


class WrittenRequests:
    """What the application writes to a call, as the iterator of requests that its interceptors are given.

    It holds one request at a time: writing waits until somebody reads, or the RPC is over.
    """

    def __init__(self) -> None:
        self._request: Any = _NOTHING
        self._is_read = False
        self._finished = False
        self._followed: asyncio.Task[Any] | None = None
        self._over = False
        self._waiting: list[asyncio.Future[None]] = []

    @staticmethod
    def of(written: WrittenRequests | None) -> WrittenRequests:
        """The requests themselves.

        Raises:
          UsageError: there are none, because the call was given an iterator.
        """
        if written is None:
            raise UsageError(_API_STYLE_ERROR)
        return written

    async def write(self, request: Any, call: asyncio.Task[Any]) -> None:
        """Writes one request.

        Args:
          request: the message.
          call: the task that answers the call which will read it.

        Raises:
          asyncio.InvalidStateError: there were to be no more, or the RPC is over.
          Exception: what ended the interceptors.
        """
        self._follow(call)
        while not self._finished and not self._over and (self._request is not _NOTHING or not self._may_begin(call)):
            await self._change()
        self._raise_if_over(call)
        if self._finished:
            raise asyncio.InvalidStateError(_RPC_HALF_CLOSED_DETAILS)
        self._request = request
        self._wake()

    async def finish(self, call: asyncio.Task[Any]) -> None:
        """Says that there are no more requests; waits until the last one is being read.

        Raises:
          Exception: what ended the interceptors.
        """
        self._follow(call)
        self._finished = True
        self._wake()
        while not self._over and self._request is not _NOTHING:
            await self._change()
        if call.done() and not call.cancelled():
            error = call.exception()
            if error is not None:
                raise error

    def _may_begin(self, call: asyncio.Task[Any]) -> bool:
        """Whether interceptors have answered, or are reading requests before they do."""
        return self._is_read or call.done()

    def _raise_if_over(self, call: asyncio.Task[Any]) -> None:
        if not self._over:
            return
        error = None if call.cancelled() else call.exception()
        if error is not None and not hasattr(error, "code"):
            raise error
        raise asyncio.InvalidStateError(_RPC_ALREADY_FINISHED_DETAILS)

    def _follow(self, call: asyncio.Task[Any]) -> None:
        """Has the end of the RPC noticed."""
        if self._followed is None:
            self._followed = call
            if call.done():
                self._call_is_there(call)
            else:
                call.add_done_callback(self._call_is_there)

    def _call_is_there(self, call: asyncio.Task[Any]) -> None:
        if call.cancelled() or call.exception() is not None:
            self._end()
        else:
            call.result().add_done_callback(self._end)
            self._wake()

    def _end(self, _: Any = None) -> None:
        self._over = True
        self._wake()

    async def _change(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self._is_read:
            self._is_read = True
            self._wake()
        while self._request is _NOTHING:
            if self._finished or self._over:
                raise StopAsyncIteration
            await self._change()
        request, self._request = self._request, _NOTHING
        self._wake()
        return request
