"""Finding the handler of a new RPC and handing it to a thread of the pool.

A thread of the pool that has served one RPC waits a moment for the next, and gets it without the pool having a part in
it; when none waits, the server's reactor thread finds the handler, which must not wait, and the pool runs it. An RPC of
one request goes to a thread only once that request is here. How a handler then runs is in `grpc._behaviors`.
"""

from __future__ import annotations

import collections
import contextvars
import functools
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from grpc import _behaviors, _common, _interceptor, _server_api
from grpc._context import UNKNOWN
from grpc._engine import native
from grpc._utilities import DictionaryGenericHandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent import futures

    from farcall._native import ServerCall

    from grpc._server_api import GenericRpcHandler, RpcMethodHandler, ServerInterceptor

    # Variables, function, handler and pool of a call.
    _Found = tuple[contextvars.Context, Callable[..., None], RpcMethodHandler, Any]

_LOGGER = logging.getLogger("grpc._server")

_RESOURCE_EXHAUSTED, _UNIMPLEMENTED = 8, 12


# So many calls a thread of the pool serves before the pool has it back.
_LEASE = 1000


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
        self._generic_handlers: list[GenericRpcHandler] = []
        # What they are, as long as all of them are dictionaries, which need not be asked with all that is known.
        self._dictionaries: list[Mapping[str, RpcMethodHandler]] | None = []
        self._registered_handlers: dict[str, RpcMethodHandler] = {}
        self._pipeline = _interceptor.service_pipeline(interceptors)
        self._maximum_concurrent_rpcs = maximum_concurrent_rpcs
        self._active_rpcs = 0
        #: Where the pool's threads get further calls from the native server.
        self.handover = native.Handover()
        self._spare = _spare_time_of(thread_pool)
        self.add_generic_handlers(generic_handlers)

    def add_generic_handlers(self, handlers: Iterable[GenericRpcHandler]) -> None:
        """Adds handlers to be asked after those there are."""
        with self._lock:
            # New lists, because the reactor may be walking the old ones.
            self._generic_handlers = [*self._generic_handlers, *handlers]
            if all(type(handler) is DictionaryGenericHandler for handler in self._generic_handlers):
                self._dictionaries = [handler._method_handlers for handler in self._generic_handlers]  # type: ignore[attr-defined]
            else:
                self._dictionaries = None

    def add_registered_handlers(self, service: str, handlers: Mapping[str, RpcMethodHandler]) -> None:
        """Adds the handlers of a service, which come before the generic ones."""
        for method, handler in handlers.items():
            self._registered_handlers[_common.fully_qualified_method(service, method)] = handler

    def on_call(self, call: ServerCall) -> None:
        """Finds the handler of a new RPC and hands it to the pool. Never raises. Runs on the reactor's thread."""
        found = self._find(call)
        if found is not None:
            self._submit(found, call)

    def _submit(self, found: _Found, call: ServerCall) -> None:
        variables, serve, handler, pool = found
        work = self._run if self._spare is None or pool is not self._thread_pool else self._run_and_wait
        try:
            pool.submit(work, variables, serve, call, handler)
        except BaseException as exception:
            # The pool has been shut down.
            self._discharge()
            self._give_up(call, exception)

    def _find(self, call: ServerCall) -> _Found | None:
        """What serves a call: with which variables, by which function and handler, in which pool.

        None when the call has been answered already, or its only request is not here yet: no thread waits for a client
        that may never go on, and `_asked` has the call served once it has.
        """
        variables = contextvars.Context()
        try:
            handler = variables.run(self._find_handler, call)
            if handler is None:
                call.finish(_UNIMPLEMENTED, "Method not found!", ())
                return None
            if call.subtype is not None and _common.reads_protobuf(handler.request_deserializer):
                call.refuse_subtype("proto")
                return None
            serve, behavior = _behaviors.of(handler)
            found = variables, serve, handler, _pool_of(behavior) or self._thread_pool
            if not (handler.request_streaming or call.is_receivable()):
                asked = functools.partial(self._asked, found, call)
                if call.when_receivable(asked):
                    return None
        # Also what is no Exception: a handler's author cannot be allowed to end the reactor.
        except BaseException as exception:
            self._give_up(call, exception)
            return None
        return found if self._admit(call) else None

    def _asked(self, found: _Found, call: ServerCall) -> None:
        """The request of a call has come, or the call is over. Runs on the reactor's thread."""
        if call.is_active() and self._admit(call):
            self._submit(found, call)

    def _give_up(self, call: ServerCall, exception: BaseException) -> None:
        _LOGGER.exception("Exception servicing handler: %s", exception)
        call.finish(UNKNOWN, "Error in service handler!", ())

    def _run_and_wait(
        self, variables: contextvars.Context, serve: Callable[..., None], call: ServerCall, handler: RpcMethodHandler
    ) -> None:
        """Serves a call, and further ones as long as they come at once. Runs on a thread of the pool."""
        self._run(variables, serve, call, handler)
        # What waits must not keep alive what is over.
        del variables, serve, call, handler
        spare, take = self._spare, self.handover.take
        assert spare is not None
        for _ in range(_LEASE):
            next_call = take() if spare() else None
            if next_call is None:
                return
            self._serve_here(next_call)
            del next_call

    def _serve_here(self, call: ServerCall) -> None:
        """Serves a call on this thread of the pool, unless it is to be run elsewhere."""
        found = self._find(call)
        if found is None:
            return
        variables, serve, handler, pool = found
        if pool is self._thread_pool:
            self._run(variables, serve, call, handler)
        else:
            self._submit(found, call)

    def _run(
        self, variables: contextvars.Context, serve: Callable[..., None], call: ServerCall, handler: RpcMethodHandler
    ) -> None:
        limited = None
        if self._maximum_concurrent_rpcs is not None:
            call = limited = _Limited(call, self._discharge)  # type: ignore[assignment]
        try:
            variables.run(serve, call, handler)
        # What no handler raises, as that is answered for: a serializer's SystemExit.
        except BaseException as exception:
            self._give_up(call, exception)
            raise
        finally:
            if limited is not None:
                limited.discharge()

    def _find_handler(self, call: ServerCall) -> RpcMethodHandler | None:
        if self._pipeline is not None:
            details = _HandlerCallDetails(call.method, call.metadata())
            return self._pipeline.execute(self._look_up, details)
        method = call.method
        handler = self._registered_handlers.get(method)
        if handler is not None:
            return handler
        # Read once: handlers may be added meanwhile.
        dictionaries = self._dictionaries
        if dictionaries is not None:
            for dictionary in dictionaries:
                handler = dictionary.get(method)
                if handler is not None:
                    return handler
            return None
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

    def _admit(self, call: ServerCall) -> bool:
        """Counts a call that is about to be served; one too many is answered."""
        if self._maximum_concurrent_rpcs is None:
            return True
        with self._lock:
            if self._active_rpcs < self._maximum_concurrent_rpcs:
                self._active_rpcs += 1
                return True
        call.finish(_RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!", ())
        return False

    def _discharge(self) -> None:
        if self._maximum_concurrent_rpcs is not None:
            with self._lock:
                self._active_rpcs -= 1


class _Limited:
    """A call that counts against the limit until its answer goes out: with that the client may make the next one."""

    __slots__ = ("_call", "_discharge")

    def __init__(self, call: ServerCall, discharge: Callable[[], None]) -> None:
        self._call = call
        self._discharge: Callable[[], None] | None = discharge

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    def finish(self, *arguments: Any) -> bool:
        self.discharge()
        return self._call.finish(*arguments)

    def discharge(self) -> None:
        discharge, self._discharge = self._discharge, None
        if discharge is not None:
            discharge()


def _spare_time_of(pool: Any) -> Callable[[], bool] | None:
    """What says whether a pool's thread has time for another call; None when the pool must see every one.

    A thread has time while nothing else waits for the pool, and the pool and the program go on. That can be known of a
    ThreadPoolExecutor only, and of one whose `submit` is its own.
    """
    from concurrent.futures import thread

    if getattr(getattr(pool, "submit", None), "__func__", None) is not thread.ThreadPoolExecutor.submit:
        return None
    queue = getattr(pool, "_work_queue", None)
    known = queue is not None and hasattr(queue, "qsize")
    if not (known and hasattr(pool, "_shutdown") and hasattr(thread, "_shutdown")):
        return None
    assert queue is not None
    waiting = queue.qsize

    def has_time() -> bool:
        return not (waiting() or pool._shutdown or thread._shutdown)

    return has_time


def _pool_of(behavior: Any) -> Any:
    """The pool that a behavior asks to be run in, if it does."""
    pool = getattr(behavior, "experimental_thread_pool", None)
    return pool if pool is not None and hasattr(pool, "submit") else None
