"""Load reports of a server to those who balance it (ORCA, gRFC A51): with each call, and on a stream of their own.

    load = orca.Load()
    load.set_application_utilization(0.3)  # What holds for the server, set from anywhere.
    server = grpc.server(pool, interceptors=[orca.interceptor(load)])
    orca.add_service(load, server)

    def SayHello(self, request, context):
        orca.call_load(context).set_request_cost("rows", 20)  # What holds for this call.

A server of `grpc.aio` takes `orca.aio_interceptor(load)`. Channels with the policy `weighted_round_robin` send calls
where there is room by these reports. A value that cannot be, NaN among them, is left out: a report fails no call.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import inspect
import itertools
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any, cast

import grpc
import grpc.aio

from farcall import _native
from farcall._native import Load

__all__ = ["Load", "add_service", "aio_interceptor", "call_load", "interceptor"]

_KEY = "endpoint-load-metrics-bin"
_SERVICE = "xds.service.orca.v3.OpenRcaService"
_METHOD = "StreamCoreMetrics"

#: What the calls say that end with a report, by their contexts, which live as long.
_loads: dict[int, Load] = {}


def call_load(context: Any) -> Load:
    """What a call says of load when it ends, over what its server says.

    Args:
      context: the `context` of the call's handler. Nobody reads the report of a call that no interceptor of this
        module saw.
    """
    return _loads.get(id(context)) or Load()


def interceptor(load: Load) -> grpc.ServerInterceptor:
    """An interceptor for `grpc.server` by which calls end with a load report in their trailing metadata.

    Args:
      load: what holds for the server; a call's handler adds to it by `call_load`.
    """
    return _Interceptor(load)


def aio_interceptor(load: Load) -> grpc.aio.ServerInterceptor:
    """The same as `interceptor`, for `grpc.aio.server`."""
    return _AioInterceptor(load)


class _Reported:
    """A call that ends with a report."""

    def __init__(self, load: Load, context: Any) -> None:
        self._load = load
        self._context = context
        self._own = Load()

    def __enter__(self) -> Any:
        _loads[id(self._context)] = self._own
        return self._context

    def __exit__(self, *_: object) -> None:
        del _loads[id(self._context)]
        report = self._own.encode(self._load)
        if report:
            trailers = self._context.trailing_metadata() or ()
            self._context.set_trailing_metadata((*trailers, (_KEY, report)))


class _Context:
    """The context of a call on a loop, which ends at once when it is aborted: the report has to go with that."""

    def __init__(self, load: Load, context: Any) -> None:
        self._load = load
        self._context = context
        self._own = Load()
        self._trailers: Sequence[Any] = ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def __enter__(self) -> _Context:
        _loads[id(self)] = self._own
        return self

    def __exit__(self, *_: object) -> None:
        del _loads[id(self)]
        trailers = self._with_report(self._trailers)
        if trailers is not self._trailers:
            self._context.set_trailing_metadata(trailers)

    def _with_report(self, trailers: Sequence[Any]) -> Sequence[Any]:
        report = self._own.encode(self._load)
        return (*trailers, (_KEY, report)) if report else trailers

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailers = tuple(trailing_metadata)
        self._context.set_trailing_metadata(trailing_metadata)

    def trailing_metadata(self) -> Sequence[Any]:
        return self._trailers

    def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> Any:
        # On a loop this is a coroutine, on a thread it raises.
        return self._context.abort(code, details, self._with_report(tuple(trailing_metadata) or self._trailers))


def _behavior(handler: grpc.RpcMethodHandler) -> tuple[str, Callable[..., Any]]:
    """The kind of a handler, and the function that is its behavior."""
    requests = "stream" if handler.request_streaming else "unary"
    kind = f"{requests}_stream" if handler.response_streaming else f"{requests}_unary"
    return kind, getattr(handler, kind)


def _with_behavior(handler: grpc.RpcMethodHandler, kind: str, behavior: Callable[..., Any]) -> grpc.RpcMethodHandler:
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    made = make(behavior, handler.request_deserializer, handler.response_serializer)
    return cast("grpc.RpcMethodHandler", made)


def _of_threads(reported: Any, load: Load, kind: str, inner: Callable[..., Any]) -> Callable[..., Any]:
    """A behavior on a thread, with a report at its end."""

    @functools.wraps(inner)
    def answer(request: Any, context: Any) -> Any:
        with reported(load, context) as context:
            return inner(request, context)

    @functools.wraps(inner)
    def stream(request: Any, context: Any) -> Iterator[Any]:
        with reported(load, context) as context:
            yield from inner(request, context)

    return stream if kind.endswith("_stream") else answer


class _Interceptor(grpc.ServerInterceptor):
    def __init__(self, load: Load) -> None:
        self._load = load

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        kind, inner = _behavior(handler)
        if getattr(inner, "experimental_non_blocking", False):
            # It ends when it says so, by a callback; it may set trailing metadata itself.
            return handler
        return _with_behavior(handler, kind, _of_threads(_Reported, self._load, kind, inner))


class _AioInterceptor(grpc.aio.ServerInterceptor):
    def __init__(self, load: Load) -> None:
        self._load = load

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        kind, inner = _behavior(handler)
        function = inspect.unwrap(inner.func if isinstance(inner, functools.partial) else inner)
        load = self._load
        if inspect.isasyncgenfunction(function):

            @functools.wraps(inner)
            async def stream(request: Any, context: Any) -> AsyncIterator[Any]:
                with _Context(load, context) as context:
                    async for response in inner(request, context):
                        yield response

            return _with_behavior(handler, kind, stream)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(inner)
            async def answer(request: Any, context: Any) -> Any:
                with _Context(load, context) as context:
                    return await cast("Awaitable[Any]", inner(request, context))

            return _with_behavior(handler, kind, answer)
        # It runs on a thread.
        return _with_behavior(handler, kind, _of_threads(_Context, load, kind, inner))


def add_service(load: Load, server: grpc.Server | grpc.aio.Server, *, least_interval: float = 30.0) -> None:
    """Adds the service `xds.service.orca.v3.OpenRcaService`, by which channels ask for a server's load without a call.

    Args:
      load: what is sent.
      server: a server of `grpc` or `grpc.aio`.
      least_interval: how many seconds are between two reports to a client at least; clients ask for more by themselves.
    """
    if least_interval <= 0:
        raise ValueError(f"least_interval is {least_interval}, and must be more than nothing")
    reports = _AioReports if isinstance(server, grpc.aio.Server) else _Reports
    behavior: Any = reports(load, least_interval).stream
    handlers = {_METHOD: grpc.unary_stream_rpc_method_handler(behavior)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))


class _AioReports:
    def __init__(self, load: Load, least: float) -> None:
        self._load = load
        self._least = least

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            interval = _native.load_interval(request, self._least)
        except ValueError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        while True:
            yield self._load.encode()
            await asyncio.sleep(interval)


class _Reports:
    """Streams that take no thread of the server's pool: one thread sends to all, while there is somebody to send to."""

    def __init__(self, load: Load, least: float) -> None:
        self._load = load
        self._least = least
        self._condition = threading.Condition()
        self._running = False
        self._numbers = itertools.count()
        #: When, a number, how often, and how the next report of a client goes out.
        self._due: list[tuple[float, int, float, Callable[[Any], None]]] = []
        self._over: set[int] = set()
        # An attribute of a function of its own: the method's would be the class's.
        stream: Any = functools.partial(self._stream)
        stream.experimental_non_blocking = True
        self.stream = stream

    def _stream(self, request: bytes, context: Any, send: Callable[[Any], None]) -> None:
        try:
            interval = _native.load_interval(request, self._least)
        except ValueError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        with self._condition:
            number = next(self._numbers)
            heapq.heappush(self._due, (time.monotonic(), number, interval, send))
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="farcall-orca", daemon=True).start()
            self._condition.notify()
        over = functools.partial(self._end, number)
        if not context.add_callback(over):
            over()

    def _end(self, number: int) -> None:
        with self._condition:
            self._over.add(number)
            self._condition.notify()

    def _run(self) -> None:
        while True:
            with self._condition:
                self._due = [due for due in self._due if due[1] not in self._over]
                self._over.clear()
                heapq.heapify(self._due)
                if not self._due:
                    self._running = False
                    return
                left = self._due[0][0] - time.monotonic()
                if left > 0:
                    self._condition.wait(left)
                    continue
                _, number, interval, send = heapq.heappop(self._due)
                heapq.heappush(self._due, (time.monotonic() + interval, number, interval, send))
            send(self._load.encode())
