"""Runs the handler of one RPC, of whatever kind, and answers as it says."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
from collections.abc import AsyncIterable, Callable, Iterator
from concurrent import futures
from typing import Any

from grpc import _common
from grpc._cython.cygrpc import AbortError
from grpc.aio._context import UNIMPLEMENTED, UNKNOWN, Context, MessageReceiver, RequestFailed, SyncContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioServerCall

    import grpc

_LOGGER = logging.getLogger("grpc.aio._server")

#: Ends a plain iterator, which may give None.
_END = object()


def _is(question: Callable[[Any], bool], behavior: Any) -> bool:
    """What `inspect` says of a function, or of what an object does when it is called."""
    return question(behavior) or question(type(behavior).__call__)


class Prepared:
    """A handler, and how to run it: found out once, as asking `inspect` costs more than a call."""

    __slots__ = ("behavior", "deserializer", "handler", "request_streaming", "run", "serializer")

    def __init__(self, handler: grpc.RpcMethodHandler) -> None:
        self.handler = handler
        self.request_streaming = bool(handler.request_streaming)
        self.deserializer = handler.request_deserializer
        self.serializer = handler.response_serializer
        self.behavior, self.run = _behavior(handler)


def _behavior(handler: Any) -> tuple[Any, Callable[..., Any]]:
    if handler.response_streaming:
        behavior = handler.stream_stream if handler.request_streaming else handler.unary_stream
        if _is(inspect.isasyncgenfunction, behavior):
            return behavior, _async_generator
        if _is(inspect.iscoroutinefunction, behavior):
            return behavior, _writer
        return behavior, _plain_generator
    behavior = handler.stream_unary if handler.request_streaming else handler.unary_unary
    return behavior, _coroutine if _is(inspect.iscoroutinefunction, behavior) else _plain


async def handle(
    call: AioServerCall,
    prepared: Prepared,
    pool: futures.Executor | None,
    admit: Callable[[], bool] | None = None,
) -> None:
    """Runs the handler of an RPC in the current task. Only cancellation leaves it, and what is no Exception.

    `admit` is asked once the RPC has what it begins with, whether it may begin; if not, it has been answered.
    """
    context = Context(call, prepared.deserializer, prepared.serializer)
    try:
        if prepared.request_streaming:
            if admit is not None and not admit():
                return
            request: Any = MessageReceiver(context)
        else:
            # Most RPCs have their request when they begin.
            data: Any = call.receive()
            if data.__class__ is not bytes:
                if data is not None:
                    await data
                data = await context._receive()
            # None, or a second one; one that comes later does no harm, and is not waited for.
            if data is None or call.received():
                context._end(UNIMPLEMENTED, f'"{call.method}" requires exactly one request message.')
                return
            if admit is not None and not admit():
                return
            request = data if prepared.deserializer is None else prepared.deserializer(data)
        if prepared.run is _coroutine:
            # Most RPCs; without one coroutine more.
            _answer(context, await prepared.behavior(request, context))
        else:
            await prepared.run(context, prepared.behavior, request, pool)
        if context._aborted:
            _LOGGER.error("Abort error unexpectedly suppressed: %s", call.method)
    except AbortError as error:
        if not context._aborted:
            context._fail(UNKNOWN, _unexpected(error))
    except RequestFailed:
        pass
    except asyncio.CancelledError:
        if call.is_active():
            # Somebody but the client has cancelled the task.
            context._fail(UNKNOWN, "The handler was cancelled.")
        raise
    except (KeyboardInterrupt, SystemExit):
        context._fail(UNKNOWN, "The server ends.")
        raise
    except BaseException as error:
        if call.is_active() or context._aborted:
            _LOGGER.exception("Unexpected [%s] raised by servicer method [%s]", type(error).__name__, call.method)
        context._fail(UNKNOWN, _unexpected(error))


def _unexpected(error: BaseException) -> str:
    try:
        return f"Unexpected {type(error)}: {error}"
    except Exception:
        return f"Unexpected {type(error)}"


def _answer(context: Context, response: Any) -> None:
    """The last message and the status in one write."""
    if context._status_sent:
        return
    serializer = context._serializer
    if serializer is not None:
        data = serializer(response)
    elif response is None:
        data = b""
    else:
        data = response
    if data.__class__ is not bytes:
        data = _common.as_bytes(data)
    if context._code is None and not context._trailing_metadata:
        # Most RPCs; the other way would end here too.
        context._status_sent = True
        context._call.finish(0, context._details, (), data, context._compress)
    else:
        context._finish(data)


# A response of its own.


async def _coroutine(context: Context, behavior: Any, request: Any, pool: Any) -> None:
    _answer(context, await behavior(request, context))


async def _plain(context: Context, behavior: Any, request: Any, pool: futures.Executor | None) -> None:
    event_loop = asyncio.get_running_loop()
    if isinstance(request, AsyncIterable):
        request = _BlockingIterator(request, event_loop)
    response = await _in_pool(event_loop, pool, behavior, request, SyncContext(context, event_loop))
    _answer(context, response)


# A stream of responses.


async def _async_generator(context: Context, behavior: Any, request: Any, pool: Any) -> None:
    responses = behavior(request, context)
    try:
        send = context.send
        async for response in responses:
            left = send(response)
            if left is not None:
                await left
    finally:
        # What the generator still has to tidy up it does now, and not when it is collected.
        await responses.aclose()
    context._finish(None)


async def _writer(context: Context, behavior: Any, request: Any, pool: Any) -> None:
    await behavior(request, context)
    context._finish(None)


async def _plain_generator(context: Context, behavior: Any, request: Any, pool: futures.Executor | None) -> None:
    event_loop = asyncio.get_running_loop()
    if isinstance(request, AsyncIterable):
        request = _BlockingIterator(request, event_loop)
    responses = await _in_pool(event_loop, pool, behavior, request, SyncContext(context, event_loop))
    if hasattr(responses, "__aiter__"):
        async for response in responses:
            await context.write(response)
    else:
        responses = iter(responses)
        while (response := await _in_pool(event_loop, pool, next, responses, _END)) is not _END:
            await context.write(response)
    context._finish(None)


def _in_pool(
    event_loop: asyncio.AbstractEventLoop, pool: futures.Executor | None, function: Callable[..., Any], *args: Any
) -> asyncio.Future[Any]:
    variables = contextvars.copy_context()
    return event_loop.run_in_executor(pool, functools.partial(variables.run, function, *args))


class _BlockingIterator(Iterator[Any]):
    """The requests of a stream for a plain function, on a thread of the pool."""

    def __init__(self, requests: AsyncIterable[Any], event_loop: asyncio.AbstractEventLoop) -> None:
        self._requests = requests.__aiter__()
        self._event_loop = event_loop

    async def _next(self) -> Any:
        try:
            return await self._requests.__anext__()
        except StopAsyncIteration:
            return _END

    def __next__(self) -> Any:
        request = asyncio.run_coroutine_threadsafe(self._next(), self._event_loop).result()
        if request is _END:
            raise StopIteration
        return request
