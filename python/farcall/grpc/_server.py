"""The server: finding the handler of an RPC, handing it to the pool, starting and stopping.

How a handler runs is in `grpc._behaviors`, what it holds of its RPC in `grpc._context`.
"""

from __future__ import annotations

import collections
import contextvars
import enum
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from grpc import _behaviors, _common, _interceptor, _server_api
from grpc._context import UNKNOWN, _Context, _RequestIterator
from grpc._credentials import INSECURE
from grpc._engine import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent import futures

    from farcall._native import ServerCall

    from grpc._credentials import ServerCredentials
    from grpc._server_api import GenericRpcHandler, RpcMethodHandler, ServerInterceptor
    from grpc._vocabulary import Compression

__all__ = ["_Context", "_RequestIterator", "_Server", "_ServerStage", "create_server"]

_LOGGER = logging.getLogger(__name__)

_RESOURCE_EXHAUSTED, _UNIMPLEMENTED, _UNAVAILABLE = 8, 12, 14
_STOPPING = "Cancelling all calls"


class _HandlerCallDetails(
    collections.namedtuple("_HandlerCallDetails", ("method", "invocation_metadata")),
    _server_api.HandlerCallDetails,
):
    """What is known of an RPC before its handler is chosen."""


class _ServerStage(enum.Enum):
    STOPPED = "stopped"
    STARTED = "started"
    GRACE = "grace"


class _ServerState:
    """All of a server but the object its user holds, whose collection stops it."""

    def __init__(
        self,
        server: native.Server,
        thread_pool: futures.Executor,
        generic_handlers: Iterable[GenericRpcHandler],
        interceptors: Sequence[ServerInterceptor] | None,
        maximum_concurrent_rpcs: int | None,
    ) -> None:
        self.lock = threading.RLock()
        self.server = server
        self.thread_pool = thread_pool
        self.generic_handlers = list(generic_handlers)
        self.registered_method_handlers: dict[str, RpcMethodHandler] = {}
        self.pipeline = _interceptor.service_pipeline(interceptors)
        self.maximum_concurrent_rpcs = maximum_concurrent_rpcs
        self.active_rpc_count = 0
        self.stage = _ServerStage.STOPPED
        self.started_before = False
        self.termination = threading.Event()
        self.shutdown_events: list[threading.Event] = []

    # On the reactor thread: nothing here may wait.

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
            pool = _pool_of(behavior) or self.thread_pool
            if self.maximum_concurrent_rpcs is None:
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
        if self.pipeline is not None:
            details = _HandlerCallDetails(call.method, call.metadata())
            return self.pipeline.execute(self._look_up, details)
        handler = self.registered_method_handlers.get(call.method)
        if handler is not None or not self.generic_handlers:
            return handler
        return self._look_up(_HandlerCallDetails(call.method, call.metadata()))

    def _look_up(self, details: Any) -> RpcMethodHandler | None:
        handler = self.registered_method_handlers.get(details.method)
        if handler is not None:
            return handler
        for generic_handler in self.generic_handlers:
            handler = generic_handler.service(details)
            if handler is not None:
                return handler
        return None

    def _admit(self) -> bool:
        with self.lock:
            assert self.maximum_concurrent_rpcs is not None
            if self.active_rpc_count >= self.maximum_concurrent_rpcs:
                return False
            self.active_rpc_count += 1
            return True

    def _discharge(self) -> None:
        with self.lock:
            self.active_rpc_count -= 1

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

    # On the users' threads.

    def stop(self, grace: float | None) -> threading.Event:
        """Begins to stop; answers the event that says it is done."""
        event = threading.Event()
        with self.lock:
            if self.stage is _ServerStage.STOPPED:
                event.set()
                return event
            self.stage = _ServerStage.GRACE
            self.shutdown_events.append(event)
        self.server.close_listeners()
        if grace is None or self.server.wait_idle(0):
            self._end_calls(0)
        else:
            # One thread for each call of stop: the shortest grace ends first, and for all.
            threading.Thread(target=self._end_calls, args=(grace,), name="grpc-server-grace", daemon=True).start()
        return event

    def _end_calls(self, grace: float) -> None:
        if not self.server.wait_idle(grace):
            self.server.cancel_all(_UNAVAILABLE, _STOPPING)
            self.server.wait_idle(None)
        self.server.stop()
        with self.lock:
            self.stage = _ServerStage.STOPPED
            events, self.shutdown_events = self.shutdown_events, []
        self.termination.set()
        for event in events:
            event.set()

    def abandon(self) -> None:
        """Stops because nobody holds the server any more. Does not wait: it may run on any thread."""
        with self.lock:
            if self.stage is not _ServerStage.STARTED:
                return
            self.stage = _ServerStage.GRACE
        self.server.close_listeners()
        self.server.cancel_all(_UNAVAILABLE, _STOPPING)
        self.server.stop()
        with self.lock:
            self.stage = _ServerStage.STOPPED
        self.termination.set()


def _pool_of(behavior: Any) -> Any:
    """The pool that a behavior asks to be run in, if it does."""
    pool = getattr(behavior, "experimental_thread_pool", None)
    return pool if pool is not None and hasattr(pool, "submit") else None


def _validate_generic_rpc_handlers(generic_rpc_handlers: Iterable[GenericRpcHandler]) -> None:
    for handler in generic_rpc_handlers:
        if getattr(handler, "service", None) is None:
            raise AttributeError(
                f'"{handler}" must conform to grpc.GenericRpcHandler type but does not have "service" method!'
            )


class _Server(_server_api.Server):
    """A server over a native one."""

    def __init__(
        self,
        thread_pool: futures.Executor,
        generic_handlers: Sequence[GenericRpcHandler],
        interceptors: Sequence[ServerInterceptor] | None,
        options: Sequence[tuple[str, Any]] | None,
        maximum_concurrent_rpcs: int | None,
        compression: Compression | None,
        xds: bool,
    ) -> None:
        if xds:
            raise NotImplementedError("xDS servers are not available in this release of farcall")
        _common.refuse_compression(compression)
        _validate_generic_rpc_handlers(generic_handlers)
        self._state = _ServerState(
            native.Server(_common.options(options)),
            thread_pool,
            generic_handlers,
            interceptors,
            maximum_concurrent_rpcs,
        )

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[GenericRpcHandler]) -> None:
        handlers = list(generic_rpc_handlers)
        _validate_generic_rpc_handlers(handlers)
        state = self._state
        with state.lock:
            # A new list, because the reactor may be walking the old one.
            state.generic_handlers = [*state.generic_handlers, *handlers]

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, RpcMethodHandler]
    ) -> None:
        state = self._state
        with state.lock:
            for method, handler in method_handlers.items():
                path = _common.fully_qualified_method(service_name, method)
                state.registered_method_handlers[path] = handler

    def add_insecure_port(self, address: str) -> int:
        name = _common.decode(_common.encode(address))
        try:
            return self._state.server.add_port(name)
        except (OSError, ValueError) as error:
            raise RuntimeError(
                f"Failed to bind to address {name}; set GRPC_VERBOSITY=debug environment "
                "variable to see detailed error message."
            ) from error

    def add_secure_port(self, address: str, server_credentials: ServerCredentials) -> int:
        if server_credentials._credentials is not INSECURE:
            raise NotImplementedError("secure ports (TLS) are not available in this release of farcall")
        return self.add_insecure_port(address)

    def start(self) -> None:
        state = self._state
        with state.lock:
            if state.started_before:
                if state.stage is _ServerStage.STOPPED:
                    raise ValueError("the server has already started")
                raise ValueError("Cannot start already-started server!")
            state.server.start(state.on_call)
            state.started_before = True
            state.stage = _ServerStage.STARTED

    def wait_for_termination(self, timeout: float | None = None) -> bool:
        return not self._state.termination.wait(timeout)

    def stop(self, grace: float | None) -> threading.Event:
        return self._state.stop(grace)

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self._state.abandon()


def create_server(
    thread_pool: futures.Executor,
    generic_rpc_handlers: Sequence[GenericRpcHandler],
    interceptors: Sequence[ServerInterceptor] | None,
    options: Sequence[tuple[str, Any]] | None,
    maximum_concurrent_rpcs: int | None,
    compression: Compression | None,
    xds: bool,
) -> _Server:
    """What `grpc.server` answers."""
    return _Server(
        thread_pool,
        generic_rpc_handlers,
        interceptors,
        options,
        maximum_concurrent_rpcs,
        compression,
        xds,
    )
