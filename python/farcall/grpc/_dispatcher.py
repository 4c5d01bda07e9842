"""Finding the handler of a new RPC and handing it to a thread of the pool.

All of this runs on the server's reactor thread and must not wait. How a handler then runs is in `grpc._behaviors`.
"""

from __future__ import annotations

import collections
import contextvars
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from grpc import _behaviors, _common, _interceptor, _server_api
from grpc._context import UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent import futures

    from farcall._native import ServerCall

    from grpc._server_api import GenericRpcHandler, RpcMethodHandler, ServerInterceptor

_LOGGER = logging.getLogger("grpc._server")

_RESOURCE_EXHAUSTED, _UNIMPLEMENTED = 8, 12


class _HandlerCallDetails(
    collections.namedtuple("_HandlerCallDetails", ("method", "invocation_metadata")),
    _server_api.HandlerCallDetails,
):
    """What is known of an RPC before its handler is chosen."""

    __module__ = "grpc._server"


class Dispatcher:
    """The handlers of a server, the interceptors around them, and the pool that runs them.

    It does not know the native server, which holds it: neither would ever be collected.
    """

    def __init__(
        self,
        thread_pool: futures.Executor,
        generic_handlers: Iterable[GenericRpcHandler],
        interceptors: Sequence[ServerInterceptor] | None,
        maximum_concurrent_rpcs: int | None,
    ) -> None:
        self._lock = threading.Lock()
        self._thread_pool = thread_pool
        self._generic_handlers = list(generic_handlers)
        self._registered_handlers: dict[str, RpcMethodHandler] = {}
        self._pipeline = _interceptor.service_pipeline(interceptors)
        self._maximum_concurrent_rpcs = maximum_concurrent_rpcs
        self._active_rpcs = 0

    def add_generic_handlers(self, handlers: Iterable[GenericRpcHandler]) -> None:
        """Adds handlers to be asked after those there are."""
        with self._lock:
            # A new list, because the reactor may be walking the old one.
            self._generic_handlers = [*self._generic_handlers, *handlers]

    def add_registered_handlers(self, service: str, handlers: Mapping[str, RpcMethodHandler]) -> None:
        """Adds the handlers of a service, which come before the generic ones."""
        for method, handler in handlers.items():
            self._registered_handlers[_common.fully_qualified_method(service, method)] = handler

    def on_call(self, call: ServerCall) -> None:
        """Finds the handler of a new RPC and hands it to the pool. Never raises."""
        variables = contextvars.Context()
        try:
            handler = variables.run(self._find_handler, call)
        # Also what is no Exception: a handler's author cannot be allowed to end the reactor.
        except BaseException as exception:
            _LOGGER.exception("Exception servicing handler: %s", exception)
            call.finish(UNKNOWN, "Error in service handler!", ())
            return
        if handler is None:
            call.finish(_UNIMPLEMENTED, "Method not found!", ())
            return
        try:
            serve, behavior = _behaviors.of(handler)
            pool = _pool_of(behavior) or self._thread_pool
            if self._maximum_concurrent_rpcs is None:
                pool.submit(variables.run, serve, call, handler)
            elif self._admit():
                self._submit_counted(pool, variables, serve, call, handler)
            else:
                call.finish(_RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", ())
        except BaseException as exception:
            # The pool has been shut down, or what was found is no handler.
            _LOGGER.exception("Exception servicing handler: %s", exception)
            call.finish(UNKNOWN, "Error in service handler!", ())

    def _find_handler(self, call: ServerCall) -> RpcMethodHandler | None:
        if self._pipeline is not None:
            details = _HandlerCallDetails(call.method, call.metadata())
            return self._pipeline.execute(self._look_up, details)
        handler = self._registered_handlers.get(call.method)
        if handler is not None or not self._generic_handlers:
            return handler
        return self._look_up(_HandlerCallDetails(call.method, call.metadata()))

    def _look_up(self, details: Any) -> RpcMethodHandler | None:
        handler = self._registered_handlers.get(details.method)
        if handler is not None:
            return handler
        for generic_handler in self._generic_handlers:
            handler = generic_handler.service(details)
            if handler is not None:
                return handler
        return None

    def _admit(self) -> bool:
        with self._lock:
            assert self._maximum_concurrent_rpcs is not None
            if self._active_rpcs >= self._maximum_concurrent_rpcs:
                return False
            self._active_rpcs += 1
            return True

    def _discharge(self) -> None:
        with self._lock:
            self._active_rpcs -= 1

    def _submit_counted(
        self,
        pool: futures.Executor,
        variables: contextvars.Context,
        serve: Callable[[Any, Any], None],
        call: ServerCall,
        handler: RpcMethodHandler,
    ) -> None:
        def run() -> None:
            try:
                variables.run(serve, call, handler)
            finally:
                self._discharge()

        try:
            pool.submit(run)
        except BaseException:
            self._discharge()
            raise


def _pool_of(behavior: Any) -> Any:
    """The pool that a behavior asks to be run in, if it does."""
    pool = getattr(behavior, "experimental_thread_pool", None)
    return pool if pool is not None and hasattr(pool, "submit") else None
