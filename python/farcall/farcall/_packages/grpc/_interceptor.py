"""Interceptors of both sides, over the public API only."""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from grpc import _client_api
from grpc._client_api import (
    Call,
    ClientCallDetails,
    StreamStreamClientInterceptor,
    StreamUnaryClientInterceptor,
    UnaryStreamClientInterceptor,
    UnaryUnaryClientInterceptor,
)
from grpc._outcome import _FailureOutcome, _UnaryOutcome
from grpc._vocabulary import ChannelConnectivity, RpcError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from grpc._client_api import Channel
    from grpc._credentials import CallCredentials
    from grpc._server_api import HandlerCallDetails, RpcMethodHandler, ServerInterceptor
    from grpc._typing import (
        DeserializingFunction,
        MetadataToSend,
        SerializingFunction,
    )
    from grpc._vocabulary import Compression


class _ServicePipeline:
    """Server interceptors in a row; the first is the outermost."""

    def __init__(self, interceptors: Sequence[ServerInterceptor]) -> None:
        self.interceptors = tuple(interceptors)

    def _continuation(
        self, thunk: Callable[[HandlerCallDetails], RpcMethodHandler | None], index: int
    ) -> Callable[[HandlerCallDetails], RpcMethodHandler | None]:
        return lambda details: self._intercept_at(thunk, index, details)

    def _intercept_at(
        self,
        thunk: Callable[[HandlerCallDetails], RpcMethodHandler | None],
        index: int,
        details: HandlerCallDetails,
    ) -> RpcMethodHandler | None:
        if index == len(self.interceptors):
            return thunk(details)
        return self.interceptors[index].intercept_service(self._continuation(thunk, index + 1), details)

    def execute(
        self, thunk: Callable[[HandlerCallDetails], RpcMethodHandler | None], details: HandlerCallDetails
    ) -> RpcMethodHandler | None:
        """The handler the interceptors choose, of those that `thunk` knows."""
        return self._intercept_at(thunk, 0, details)


def service_pipeline(interceptors: Sequence[ServerInterceptor] | None) -> _ServicePipeline | None:
    """The interceptors in a row; None when there are none."""
    return _ServicePipeline(interceptors) if interceptors else None


class _ClientCallDetails(
    collections.namedtuple(
        "_ClientCallDetails",
        ("method", "timeout", "metadata", "credentials", "wait_for_ready", "compression"),
    ),
    ClientCallDetails,
):
    """What an interceptor sees of an RPC: a named tuple, so `_replace` makes variations."""


def _call_arguments(details: Any, default: _ClientCallDetails) -> dict[str, Any]:
    """The arguments to call with; what the interceptor's details lack is as it was."""
    return {name: getattr(details, name, getattr(default, name)) for name in _ClientCallDetails._fields[1:]}


class _Intercepted:
    """A callable with an interceptor around it; what the four kinds have in common."""

    def __init__(self, thunk: Callable[[str], Any], method: str, interceptor: Any) -> None:
        self._thunk = thunk
        self._method = method
        self._interceptor = interceptor

    def _run(
        self,
        intercept: Callable[..., Any],
        proceed: Callable[[Any, Any, dict[str, Any]], Any],
        request: Any,
        timeout: float | None,
        metadata: MetadataToSend | None,
        credentials: CallCredentials | None,
        wait_for_ready: bool | None,
        compression: Compression | None,
    ) -> Any:
        """Has `intercept` handle the RPC; `proceed(callable, request, arguments)` is how the RPC goes on."""
        details = _ClientCallDetails(self._method, timeout, metadata, credentials, wait_for_ready, compression)

        def continuation(new_details: Any, new_request: Any) -> Any:
            multi_callable = self._thunk(getattr(new_details, "method", details.method))
            return proceed(multi_callable, new_request, _call_arguments(new_details, details))

        return intercept(continuation, details, request)


def _proceed_blocking(multi_callable: Any, request: Any, arguments: dict[str, Any]) -> Any:
    """Calls and waits; answers the outcome, whatever it is."""
    try:
        response, call = multi_callable.with_call(request, **arguments)
    except RpcError as rpc_error:
        return rpc_error
    except Exception as exception:
        return _FailureOutcome(exception, sys.exc_info()[2])
    return _UnaryOutcome(response, call)


def _proceed_future(multi_callable: Any, request: Any, arguments: dict[str, Any]) -> Any:
    return multi_callable.future(request, **arguments)


def _proceed_stream(multi_callable: Any, request: Any, arguments: dict[str, Any]) -> Any:
    return multi_callable(request, **arguments)


class _InterceptedUnaryResponse(_Intercepted):
    """The kinds with one response."""

    def _intercept(self) -> Callable[..., Any]:
        raise NotImplementedError()

    def _blocking(self, request: Any, arguments: tuple[Any, ...]) -> Any:
        return self._run(self._intercept(), _proceed_blocking, request, *arguments)

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        arguments = (timeout, metadata, credentials, wait_for_ready, compression)
        return self._blocking(request, arguments).result()

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> tuple[Any, Call]:
        arguments = (timeout, metadata, credentials, wait_for_ready, compression)
        call = self._blocking(request, arguments)
        return call.result(), call

    def future(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        try:
            return self._run(
                self._intercept(),
                _proceed_future,
                request,
                timeout,
                metadata,
                credentials,
                wait_for_ready,
                compression,
            )
        except Exception as exception:
            return _FailureOutcome(exception, sys.exc_info()[2])


class _InterceptedStreamResponse(_Intercepted):
    """The kinds with a stream of responses."""

    def _intercept(self) -> Callable[..., Any]:
        raise NotImplementedError()

    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        try:
            return self._run(
                self._intercept(),
                _proceed_stream,
                request,
                timeout,
                metadata,
                credentials,
                wait_for_ready,
                compression,
            )
        except Exception as exception:
            return _FailureOutcome(exception, sys.exc_info()[2])


class _UnaryUnaryMultiCallable(_InterceptedUnaryResponse, _client_api.UnaryUnaryMultiCallable):
    def _intercept(self) -> Callable[..., Any]:
        intercept: Callable[..., Any] = self._interceptor.intercept_unary_unary
        return intercept


class _UnaryStreamMultiCallable(_InterceptedStreamResponse, _client_api.UnaryStreamMultiCallable):
    def _intercept(self) -> Callable[..., Any]:
        intercept: Callable[..., Any] = self._interceptor.intercept_unary_stream
        return intercept


class _StreamUnaryMultiCallable(_InterceptedUnaryResponse, _client_api.StreamUnaryMultiCallable):
    def _intercept(self) -> Callable[..., Any]:
        intercept: Callable[..., Any] = self._interceptor.intercept_stream_unary
        return intercept

    # The same again, because callers may name the argument.
    def __call__(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        return super().__call__(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)

    def with_call(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> tuple[Any, Call]:
        return super().with_call(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)

    def future(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        return super().future(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)


class _StreamStreamMultiCallable(_InterceptedStreamResponse, _client_api.StreamStreamMultiCallable):
    def _intercept(self) -> Callable[..., Any]:
        intercept: Callable[..., Any] = self._interceptor.intercept_stream_stream
        return intercept

    def __call__(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        return super().__call__(request_iterator, timeout, metadata, credentials, wait_for_ready, compression)


class _Channel(_client_api.Channel):
    """A channel with one interceptor around it."""

    def __init__(self, channel: Channel, interceptor: Any) -> None:
        self._channel = channel
        self._interceptor = interceptor

    def subscribe(self, callback: Callable[[ChannelConnectivity], None], try_to_connect: bool | None = False) -> None:
        self._channel.subscribe(callback, try_to_connect=try_to_connect)

    def unsubscribe(self, callback: Callable[[ChannelConnectivity], None]) -> None:
        self._channel.unsubscribe(callback)

    def _callable(
        self,
        interceptor_kind: type,
        kind: Callable[..., Any],
        of_channel: Callable[..., Any],
        method: str,
        request_serializer: SerializingFunction | None,
        response_deserializer: DeserializingFunction | None,
        registered: bool | None,
    ) -> Any:
        def thunk(path: str) -> Any:
            return of_channel(path, request_serializer, response_deserializer, registered)

        if isinstance(self._interceptor, interceptor_kind):
            return kind(thunk, method, self._interceptor)
        return thunk(method)

    def unary_unary(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: DeserializingFunction | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._callable(
            UnaryUnaryClientInterceptor,
            _UnaryUnaryMultiCallable,
            self._channel.unary_unary,
            method,
            request_serializer,
            response_deserializer,
            _registered_method,
        )

    def unary_stream(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: DeserializingFunction | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._callable(
            UnaryStreamClientInterceptor,
            _UnaryStreamMultiCallable,
            self._channel.unary_stream,
            method,
            request_serializer,
            response_deserializer,
            _registered_method,
        )

    def stream_unary(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: DeserializingFunction | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._callable(
            StreamUnaryClientInterceptor,
            _StreamUnaryMultiCallable,
            self._channel.stream_unary,
            method,
            request_serializer,
            response_deserializer,
            _registered_method,
        )

    def stream_stream(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: DeserializingFunction | None = None,
        _registered_method: bool | None = False,
    ) -> Any:
        return self._callable(
            StreamStreamClientInterceptor,
            _StreamStreamMultiCallable,
            self._channel.stream_stream,
            method,
            request_serializer,
            response_deserializer,
            _registered_method,
        )

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> _Channel:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Literal[False]:
        self.close()
        return False


def intercept_channel(channel: Channel, *interceptors: Any) -> Channel:
    """The channel with interceptors around it, the first outermost.

    Raises:
      TypeError: one of them is no client interceptor.
    """
    for interceptor in reversed(list(interceptors)):
        if not isinstance(
            interceptor,
            (
                UnaryUnaryClientInterceptor,
                UnaryStreamClientInterceptor,
                StreamUnaryClientInterceptor,
                StreamStreamClientInterceptor,
            ),
        ):
            raise TypeError(
                "interceptor must be "
                "grpc.UnaryUnaryClientInterceptor or "
                "grpc.UnaryStreamClientInterceptor or "
                "grpc.StreamUnaryClientInterceptor or "
                "grpc.StreamStreamClientInterceptor"
            )
        channel = _Channel(channel, interceptor)
    return channel
