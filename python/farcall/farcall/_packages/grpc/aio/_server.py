"""Servers of `grpc.aio`."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Mapping, Sequence
from concurrent import futures
from typing import Any, cast

import grpc
from grpc import _common, _compression
from grpc._credentials import INSECURE, server_security
from grpc._cython.cygrpc import UsageError
from grpc._dispatcher import _HandlerCallDetails
from grpc._engine import native
from grpc.aio import _base_server
from grpc.aio._context import UNIMPLEMENTED, UNKNOWN
from grpc.aio._handling import Prepared, handle
from grpc.aio._interceptor import ServerInterceptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioServerCall

_LOGGER = logging.getLogger(__name__)

_RESOURCE_EXHAUSTED, _UNAVAILABLE = 8, 14
_STOPPING = "Cancelling all calls"
_OVER_LIMIT = "Concurrent RPC limit exceeded!"

#: Handlers that interceptors make anew for each RPC are not worth remembering.
_REMEMBERED = 4096


class _LateDetails(grpc.HandlerCallDetails):
    """What is known of an RPC before its handler is chosen; its metadata are made when asked for."""

    def __init__(self, call: AioServerCall) -> None:
        self._call = call
        self.method = call.method

    @property
    def invocation_metadata(self) -> Any:  # type: ignore[override]
        """The metadata of the request."""
        return self._call.metadata()


class _Dispatcher:
    """The handlers of a server, the interceptors around them, and the tasks that run them.

    It does not know the native server, which holds it: neither would ever be collected.
    """

    def __init__(
        self,
        pool: futures.Executor | None,
        interceptors: Sequence[ServerInterceptor],
        maximum_concurrent_rpcs: int | None,
    ) -> None:
        self.generic_handlers: list[grpc.GenericRpcHandler] = []
        self._registered: dict[str, grpc.RpcMethodHandler] = {}
        self._prepared: dict[int, Prepared] = {}
        self._pool = pool
        self._interceptors = interceptors
        self._maximum = maximum_concurrent_rpcs
        self._active = 0
        self._event_loop: asyncio.AbstractEventLoop | None = None
        # The loop holds tasks weakly only.
        self._tasks: set[asyncio.Task[Any]] = set()
        # Of these, and of others, those that wait for all handlers to end: not for each other.
        self._waiting: dict[asyncio.Task[Any] | None, asyncio.Future[None]] = {}

    def register(self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        """Adds the handlers of a service, which come before the generic ones."""
        for method, handler in handlers.items():
            self._registered[_common.fully_qualified_method(service, method)] = handler

    def begin(self, event_loop: asyncio.AbstractEventLoop) -> None:
        """Names the loop that handlers run on."""
        self._event_loop = event_loop

    def on_call(self, call: AioServerCall) -> None:
        """Has a task handle a new RPC."""
        assert self._event_loop is not None
        task = self._event_loop.create_task(self._serve(call))
        self._tasks.add(task)
        task.add_done_callback(self._task_ended)
        call.watch(task)

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._wake_if_ended()

    def _wake_if_ended(self) -> None:
        if self._waiting and not self._tasks - self._waiting.keys():
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_result(None)

    async def handlers_end(self) -> None:
        """Waits until the tasks of all handlers have ended, but those of handlers that wait for just that."""
        task = asyncio.current_task()
        self._waiting[task] = asyncio.get_running_loop().create_future()
        self._wake_if_ended()
        try:
            await self._waiting[task]
        finally:
            del self._waiting[task]

    # One RPC.

    async def _serve(self, call: AioServerCall) -> None:
        try:
            try:
                prepared = await self._intercepted(call) if self._interceptors else self._find(call)
            except Exception:
                _LOGGER.exception("Exception in the choice of a handler for %s", call.method)
                call.finish(UNKNOWN, "Error in service handler!", ())
                return
            if prepared is None:
                call.finish(UNIMPLEMENTED, "Method not found!", ())
            elif call.subtype is not None and _common.reads_protobuf(prepared.deserializer):
                call.refuse_subtype("proto")
            elif self._maximum is not None:
                await self._limited(call, prepared, self._maximum)
            else:
                await handle(call, prepared, self._pool)
        except asyncio.CancelledError:
            # The client has gone, and the handler has been told.
            pass

    async def _limited(self, call: AioServerCall, prepared: Prepared, maximum: int) -> None:
        """Handles an RPC that counts against the limit from when its request is here."""
        counted = False

        def admit() -> bool:
            nonlocal counted
            if self._active >= maximum:
                call.finish(_RESOURCE_EXHAUSTED, _OVER_LIMIT, ())
                return False
            self._active += 1
            counted = True
            return True

        try:
            await handle(call, prepared, self._pool, admit)
        finally:
            if counted:
                self._active -= 1

    def _find(self, call: AioServerCall) -> Prepared | None:
        handler = self._registered.get(call.method)
        if handler is None:
            handler = self._look_up(_LateDetails(call))
        return None if handler is None else self._prepare(handler)

    async def _intercepted(self, call: AioServerCall) -> Prepared | None:
        handler = await self._intercept(0, _HandlerCallDetails(call.method, call.metadata()))
        return None if handler is None else self._prepare(handler)

    async def _intercept(self, index: int, details: Any) -> grpc.RpcMethodHandler | None:
        if index == len(self._interceptors):
            return self._look_up(details)
        continuation = functools.partial(self._intercept, index + 1)
        return await self._interceptors[index].intercept_service(continuation, details)

    def _look_up(self, details: Any) -> grpc.RpcMethodHandler | None:
        handler = self._registered.get(details.method)
        if handler is not None:
            return handler
        for generic_handler in self.generic_handlers:
            handler = generic_handler.service(details)
            if handler is not None:
                return handler
        return None

    def _prepare(self, handler: grpc.RpcMethodHandler) -> Prepared:
        prepared = self._prepared.get(id(handler))
        if prepared is None or prepared.handler is not handler:
            if len(self._prepared) >= _REMEMBERED:
                self._prepared.clear()
            prepared = self._prepared[id(handler)] = Prepared(handler)
        return prepared


class Server(_base_server.Server):
    """A server over a native one."""

    def __init__(
        self,
        thread_pool: futures.Executor | None,
        generic_handlers: Sequence[grpc.GenericRpcHandler] | None,
        interceptors: Sequence[Any] | None,
        options: Sequence[tuple[str, Any]],
        maximum_concurrent_rpcs: int | None,
        compression: grpc.Compression | None,
    ) -> None:
        for interceptor in interceptors or ():
            if not isinstance(interceptor, ServerInterceptor):
                raise ValueError(f"Interceptor must be ServerInterceptor, the following are invalid: {[interceptor]}")
        if maximum_concurrent_rpcs is not None and maximum_concurrent_rpcs <= 0:
            raise ValueError("maximum_concurrent_rpcs should be a positive integer")
        self._dispatcher = _Dispatcher(thread_pool, tuple(interceptors or ()), maximum_concurrent_rpcs)
        given = [*_common.options(options), *_compression.create_channel_option(compression)]
        self._native = native.AioServer(given)
        self._started = False
        self._stopping = False
        self._termination: asyncio.Future[None] | None = None
        self._terminated = False
        if generic_handlers:
            self.add_generic_rpc_handlers(generic_handlers)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._dispatcher.generic_handlers.extend(generic_rpc_handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler]
    ) -> None:
        self._dispatcher.register(service_name, method_handlers)

    def add_insecure_port(self, address: str) -> int:
        return self._add_port(address, INSECURE)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        return self._add_port(address, server_credentials._credentials)

    def _add_port(self, address: str, credentials: Any) -> int:
        name = _common.decode(_common.encode(address))
        try:
            return self._native.add_port(name, server_security(credentials))
        except (OSError, ValueError) as error:
            raise RuntimeError(_common.cannot_bind(name, error)) from error

    async def start(self) -> None:
        if self._stopping:
            raise UsageError("Server not in ready state")
        if self._started:
            return
        self._started = True
        event_loop = asyncio.get_running_loop()
        if self._termination is None:
            self._termination = event_loop.create_future()
        self._dispatcher.begin(event_loop)
        self._native.start(self._dispatcher.on_call)

    async def stop(self, grace: float | None) -> None:
        if not self._started:
            self._stopping = True
            self._native.close_listeners()
            return
        first = not self._stopping
        self._stopping = True
        if first:
            self._native.close_listeners()
        waiter = self._native.wait_idle()
        if waiter is not None and grace is not None and grace > 0:
            # Others who stop it may be less patient: then it is idle sooner.
            await asyncio.wait((cast("asyncio.Future[None]", waiter),), timeout=grace)
        self._native.cancel_all(_UNAVAILABLE, _STOPPING)
        waiter = self._native.wait_idle()
        if waiter is not None:
            await waiter
        # Cancelled handlers may have much to tidy up yet.
        await self._dispatcher.handlers_end()
        self._terminated = True
        if self._termination is not None and not self._termination.done():
            self._termination.set_result(None)

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        if self._termination is None:
            self._termination = asyncio.get_running_loop().create_future()
        if not self._terminated:
            await asyncio.wait((self._termination,), timeout=timeout)
        return not self._terminated


def server(
    migration_thread_pool: futures.Executor | None = None,
    handlers: Sequence[grpc.GenericRpcHandler] | None = None,
    interceptors: Sequence[Any] | None = None,
    options: Sequence[tuple[str, Any]] | None = None,
    maximum_concurrent_rpcs: int | None = None,
    compression: grpc.Compression | None = None,
) -> _base_server.Server:
    """A server, not started. It serves on the event loop on which it is started.

    Args:
      migration_thread_pool: runs handlers that are plain functions; None for the loop's own pool.
      handlers: the first generic handlers.
      interceptors: stand around the choice of handlers, the first outermost.
      options: (key, value) pairs, for example ("grpc.so_reuseport", 0).
      maximum_concurrent_rpcs: how many RPCs may be handled at once; those beyond end with RESOURCE_EXHAUSTED.
        None for no limit.
      compression: the default for all responses.

    Raises:
      ValueError: an option is not a pair, an interceptor is none, or the maximum is not positive.
    """
    return Server(
        migration_thread_pool,
        handlers,
        interceptors,
        () if options is None else options,
        maximum_concurrent_rpcs,
        compression,
    )
