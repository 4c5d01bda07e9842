"""The server: its ports, starting and stopping.

How an RPC finds its handler is in `grpc._dispatcher`, how that runs in `grpc._behaviors`, what it holds of its RPC
in `grpc._context`.
"""

from __future__ import annotations

import enum
import functools
import os
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from grpc import _common, _compression, _options, _server_api
from grpc._context import _Context, _RequestIterator
from grpc._credentials import INSECURE, server_security
from grpc._dispatcher import Dispatcher, _HandlerCallDetails
from grpc._engine import native

TYPE_CHECKING = False
if TYPE_CHECKING:
    from concurrent import futures

    from grpc._credentials import ServerCredentials
    from grpc._server_api import GenericRpcHandler, RpcMethodHandler, ServerInterceptor
    from grpc._vocabulary import Compression

__all__ = ["_Context", "_HandlerCallDetails", "_RequestIterator", "_Server", "_ServerStage", "create_server"]


_UNAVAILABLE = 14
_STOPPING = "Cancelling all calls"

# Seconds that RPCs have to end in once the program's main thread has.
_LAST_ANSWERS = 1.0


class _ServerStage(enum.Enum):
    STOPPED = "stopped"
    STARTED = "started"
    GRACE = "grace"


class _ServerState:
    """All of a server but the object its user holds, whose collection stops it."""

    def __init__(self, server: native.Server, dispatcher: Dispatcher) -> None:
        # Taken again when the collector happens to run `abandon` on a thread that has it.
        self.lock = threading.RLock()
        self.server = server
        self.dispatcher = dispatcher
        self.stage = _ServerStage.STOPPED
        self.started_before = False
        self.termination = threading.Event()
        self.shutdown_events: list[threading.Event] = []

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


#: The servers that this process has started.
_started: weakref.WeakSet[_ServerState] = weakref.WeakSet()


def _stop_all() -> None:
    """Has servers stop because the program's main thread has ended.

    The interpreter waits for the threads of pools, and handlers of streams may go on for as long as their clients do.
    Those that take no longer than that may still answer.
    """
    states = list(_started)
    for state in states:
        state.server.close_listeners()
    until = time.monotonic() + _LAST_ANSWERS
    for state in states:
        state.server.wait_idle(max(0.0, until - time.monotonic()))
        state.abandon()


@functools.cache
def _stop_all_at_exit() -> None:
    # Of no public name. The last to be registered is called first: before the pools' own, as a server has a pool.
    register = getattr(threading, "_register_atexit", None)
    if register is not None:
        register(_stop_all)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_started.clear)


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
            _options.warn_once("xds=True has no effect: there is no xDS, and no control plane configures the server")
        _validate_generic_rpc_handlers(generic_handlers)
        given = [*_common.options(options), *_compression.create_channel_option(compression)]
        dispatcher = Dispatcher(thread_pool, generic_handlers, interceptors, maximum_concurrent_rpcs)
        self._state = _ServerState(native.Server(given, dispatcher.handover), dispatcher)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[GenericRpcHandler]) -> None:
        handlers = list(generic_rpc_handlers)
        _validate_generic_rpc_handlers(handlers)
        self._state.dispatcher.add_generic_handlers(handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, RpcMethodHandler]
    ) -> None:
        self._state.dispatcher.add_registered_handlers(service_name, method_handlers)

    def add_insecure_port(self, address: str) -> int:
        return self._add_port(address, INSECURE)

    def add_secure_port(self, address: str, server_credentials: ServerCredentials) -> int:
        return self._add_port(address, server_credentials._credentials)

    def _add_port(self, address: str, credentials: Any) -> int:
        name = _common.decode(_common.encode(address))
        try:
            return self._state.server.add_port(name, server_security(credentials))
        except (OSError, ValueError) as error:
            raise RuntimeError(_common.cannot_bind(name, error)) from error

    def start(self) -> None:
        state = self._state
        with state.lock:
            if state.started_before:
                if state.stage is _ServerStage.STOPPED:
                    raise ValueError("the server has already started")
                raise ValueError("Cannot start already-started server!")
            state.server.start(state.dispatcher.on_call)
            state.started_before = True
            state.stage = _ServerStage.STARTED
            _started.add(state)
            _stop_all_at_exit()

    def wait_for_termination(self, timeout: float | None = None) -> bool:
        return not _common.wait(self._state.termination, timeout)

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
