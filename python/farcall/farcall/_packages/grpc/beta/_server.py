"""Servers of the beta API, over a server of `grpc`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from types import TracebackType
from typing import Any, Literal

import grpc
from grpc.beta import _metadata, interfaces
from grpc.framework.common import cardinality, style
from grpc.framework.foundation import abandonment, logging_pool, stream, stream_util
from grpc.framework.interfaces.face import face

_DEFAULT_POOL_SIZE = 8


class _ServerProtocolContext(interfaces.GRPCServicerContext):
    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context

    def peer(self) -> str:
        return self._context.peer()

    def disable_next_response_compression(self) -> None:
        self._context.disable_next_message_compression()


class _FaceServicerContext(face.ServicerContext):
    """The context of a handler: that of `grpc`, which speaks the beta API."""

    def __init__(self, context: grpc.ServicerContext) -> None:
        self._context = context

    def is_active(self) -> bool:
        return self._context.is_active()

    def time_remaining(self) -> float:
        remaining = self._context.time_remaining()
        return float("inf") if remaining is None else remaining

    def add_abortion_callback(self, abortion_callback: Callable[[face.Abortion], Any]) -> face.Abortion | None:
        raise NotImplementedError("add_abortion_callback no longer supported server-side!")

    def cancel(self) -> None:
        self._context.cancel()

    def protocol_context(self) -> interfaces.GRPCServicerContext:
        return _ServerProtocolContext(self._context)

    def invocation_metadata(self) -> Any:
        return _metadata.beta(self._context.invocation_metadata())

    def initial_metadata(self, initial_metadata: Any) -> None:
        self._context.send_initial_metadata(_metadata.unbeta(initial_metadata))

    def terminal_metadata(self, terminal_metadata: Any) -> None:
        self._context.set_trailing_metadata(_metadata.unbeta(terminal_metadata))

    def code(self, code: grpc.StatusCode) -> None:
        self._context.set_code(code)

    def details(self, details: str) -> None:
        self._context.set_details(details)


class _Responses(stream_util.IterableConsumer):
    """What the event style passes its responses to: a consumer, or a callback with one of them."""

    def __call__(self, response: Any) -> None:
        self.consume_and_terminate(response)

    def one(self) -> Any:
        for response in self:
            return response
        raise abandonment.Abandoned()


def _feed(requests: Iterator[Any], consumer: stream.Consumer) -> None:
    """Passes requests on to a consumer, from a thread of its own."""

    def run() -> None:
        try:
            for request in requests:
                consumer.consume(request)
        except grpc.RpcError:
            return  # The client has gone, which ends the responses too.
        consumer.terminate()

    threading.Thread(target=run, name="grpc.beta requests", daemon=True).start()


def _by_event(kind: cardinality.Cardinality, behavior: Callable[..., Any]) -> Callable[..., Any]:
    """A behavior of the event style as one of the inline style."""
    streams_requests = kind in (cardinality.Cardinality.STREAM_UNARY, cardinality.Cardinality.STREAM_STREAM)
    streams_responses = kind in (cardinality.Cardinality.UNARY_STREAM, cardinality.Cardinality.STREAM_STREAM)

    def adapted(request: Any, context: grpc.ServicerContext) -> Any:
        responses = _Responses()
        if not context.add_callback(responses.terminate):
            raise abandonment.Abandoned()
        if streams_requests:
            _feed(request, behavior(responses, _FaceServicerContext(context)))
        else:
            behavior(request, responses, _FaceServicerContext(context))
        return responses if streams_responses else responses.one()

    return adapted


def _handler(implementation: Any, deserializer: Any, serializer: Any) -> grpc.RpcMethodHandler:
    """A method's implementation as a handler of `grpc`."""
    name = implementation.cardinality.name.lower()
    if implementation.style is style.Service.INLINE:
        behavior = getattr(implementation, f"{name}_inline")

        def adapted(request: Any, context: grpc.ServicerContext) -> Any:
            return behavior(request, _FaceServicerContext(context))
    else:
        adapted = _by_event(implementation.cardinality, getattr(implementation, f"{name}_event"))
    make = getattr(grpc, f"{name}_rpc_method_handler")
    handler: grpc.RpcMethodHandler = make(adapted, deserializer, serializer)
    return handler


class _GenericRpcHandler(grpc.GenericRpcHandler):
    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(handler_call_details.method)


class _Server(interfaces.Server):
    def __init__(self, server: grpc.Server) -> None:
        self._server = server

    def add_insecure_port(self, address: str) -> int:
        return self._server.add_insecure_port(address)

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        return self._server.add_secure_port(address, server_credentials)

    def start(self) -> None:
        self._server.start()

    def stop(self, grace: float | None) -> Any:
        return self._server.stop(grace)

    def __enter__(self) -> _Server:
        self._server.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> Literal[False]:
        self._server.stop(None)
        return False


def server(
    implementations: Mapping[tuple[str, str], Any],
    request_deserializers: Mapping[tuple[str, str], Any] | None,
    response_serializers: Mapping[tuple[str, str], Any] | None,
    thread_pool: futures.Executor | None,
    thread_pool_size: int | None,
) -> interfaces.Server:
    """A server of method implementations by (group, method)."""
    handlers = {
        f"/{group}/{method}": _handler(
            implementation,
            (request_deserializers or {}).get((group, method)),
            (response_serializers or {}).get((group, method)),
        )
        for (group, method), implementation in implementations.items()
    }
    pool = thread_pool or logging_pool.pool(thread_pool_size or _DEFAULT_POOL_SIZE)
    return _Server(grpc.server(pool, handlers=(_GenericRpcHandler(handlers),)))
