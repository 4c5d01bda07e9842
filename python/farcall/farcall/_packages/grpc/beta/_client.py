"""Stubs of the beta API, over a channel of `grpc`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Literal

import grpc
from grpc.beta import _metadata, interfaces
from grpc.framework.common import cardinality
from grpc.framework.foundation import future
from grpc.framework.interfaces.face import face

_ABORTIONS: dict[grpc.StatusCode, tuple[face.Abortion.Kind, type[face.AbortionError]]] = {
    grpc.StatusCode.CANCELLED: (face.Abortion.Kind.CANCELLED, face.CancellationError),
    grpc.StatusCode.UNKNOWN: (face.Abortion.Kind.REMOTE_FAILURE, face.RemoteError),
    grpc.StatusCode.DEADLINE_EXCEEDED: (face.Abortion.Kind.EXPIRED, face.ExpirationError),
    grpc.StatusCode.UNIMPLEMENTED: (face.Abortion.Kind.LOCAL_FAILURE, face.LocalError),
}
_OTHER = (face.Abortion.Kind.LOCAL_FAILURE, face.AbortionError)


def _error(call: Any) -> face.AbortionError:
    _, kind = _ABORTIONS.get(call.code(), _OTHER)
    initial, trailing = _metadata.beta(call.initial_metadata()), _metadata.beta(call.trailing_metadata())
    return kind(initial, trailing, call.code(), call.details())


def _abortion(call: Any) -> face.Abortion:
    kind, _ = _ABORTIONS.get(call.code(), _OTHER)
    initial, trailing = _metadata.beta(call.initial_metadata()), _metadata.beta(call.trailing_metadata())
    return face.Abortion(kind, initial, trailing, call.code(), call.details())


class _InvocationProtocolContext(interfaces.GRPCInvocationContext):
    def disable_next_request_compression(self) -> None:
        pass  # Requests are compressed as the channel says; there is no word for one of them.


class _Rendezvous(future.Future, face.Call):
    """An RPC: a call of `grpc` that speaks the beta API."""

    def __init__(self, call: Any) -> None:
        self._call = call

    def cancel(self) -> bool:
        return bool(self._call.cancel())

    def cancelled(self) -> bool:
        return bool(self._call.cancelled())

    def running(self) -> bool:
        return bool(self._call.running())

    def done(self) -> bool:
        return bool(self._call.done())

    def _answer(self, question: Callable[..., Any], timeout: float | None) -> Any:
        try:
            return question(timeout=timeout)
        except grpc.RpcError as error:
            raise _error(error) from None
        except grpc.FutureTimeoutError:
            raise future.TimeoutError() from None
        except grpc.FutureCancelledError:
            raise future.CancelledError() from None

    def result(self, timeout: float | None = None) -> Any:
        return self._answer(self._call.result, timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        error = self._answer(self._call.exception, timeout)
        return _error(error) if isinstance(error, grpc.RpcError) else error

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        traceback: TracebackType | None = self._answer(self._call.traceback, timeout)
        return traceback

    def add_done_callback(self, fn: Callable[[Any], Any]) -> None:
        self._call.add_done_callback(lambda _: fn(self))

    def __iter__(self) -> _Rendezvous:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise _error(error) from None

    next = __next__

    def is_active(self) -> bool:
        return bool(self._call.is_active())

    def time_remaining(self) -> float:
        remaining: float = self._call.time_remaining()
        return remaining

    def add_abortion_callback(self, abortion_callback: Callable[[face.Abortion], Any]) -> face.Abortion | None:
        def ended() -> None:
            if self._call.code() is not grpc.StatusCode.OK:
                abortion_callback(_abortion(self._call))

        if not self._call.add_callback(ended):
            ended()
        return None

    def protocol_context(self) -> interfaces.GRPCInvocationContext:
        return _InvocationProtocolContext()

    def initial_metadata(self) -> Any:
        return _metadata.beta(self._call.initial_metadata())

    def terminal_metadata(self) -> Any:
        return _metadata.beta(self._call.trailing_metadata())

    def code(self) -> grpc.StatusCode:
        code: grpc.StatusCode = self._call.code()
        return code

    def details(self) -> str:
        details: str = self._call.details()
        return details


class _MultiCallable:
    """Calls one method; what the four kinds have in common."""

    def __init__(self, multi_callable: Any, transform: Callable[[Any], Any] | None) -> None:
        self._multi_callable = multi_callable
        self._transform = transform

    def _arguments(self, timeout: float, metadata: Any, options: Any) -> dict[str, Any]:
        if self._transform is not None:
            metadata = self._transform(() if metadata is None else metadata)
        return {
            "timeout": timeout,
            "metadata": _metadata.unbeta(metadata),
            "credentials": None if options is None else options.credentials,
            "compression": grpc.Compression.NoCompression if options and options.disable_compression else None,
        }

    def _blocking(self, request: Any, timeout: float, metadata: Any, with_call: bool, options: Any) -> Any:
        try:
            response, call = self._multi_callable.with_call(request, **self._arguments(timeout, metadata, options))
        except grpc.RpcError as error:
            raise _error(error) from None
        return (response, _Rendezvous(call)) if with_call else response

    def _start(self, start: Callable[..., Any], request: Any, timeout: float, metadata: Any, options: Any) -> Any:
        return _Rendezvous(start(request, **self._arguments(timeout, metadata, options)))

    def event(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("the beta API's event style was never implemented for clients")


class _UnaryUnaryMultiCallable(_MultiCallable, face.UnaryUnaryMultiCallable):
    def __call__(
        self,
        request: Any,
        timeout: float,
        metadata: Any = None,
        with_call: bool = False,
        protocol_options: Any = None,
    ) -> Any:
        return self._blocking(request, timeout, metadata, with_call, protocol_options)

    def future(self, request: Any, timeout: float, metadata: Any = None, protocol_options: Any = None) -> Any:
        return self._start(self._multi_callable.future, request, timeout, metadata, protocol_options)


class _UnaryStreamMultiCallable(_MultiCallable, face.UnaryStreamMultiCallable):
    def __call__(self, request: Any, timeout: float, metadata: Any = None, protocol_options: Any = None) -> Any:
        return self._start(self._multi_callable, request, timeout, metadata, protocol_options)


class _StreamUnaryMultiCallable(_MultiCallable, face.StreamUnaryMultiCallable):
    def __call__(
        self,
        request_iterator: Iterator[Any],
        timeout: float,
        metadata: Any = None,
        with_call: bool = False,
        protocol_options: Any = None,
    ) -> Any:
        return self._blocking(request_iterator, timeout, metadata, with_call, protocol_options)

    def future(
        self, request_iterator: Iterator[Any], timeout: float, metadata: Any = None, protocol_options: Any = None
    ) -> Any:
        return self._start(self._multi_callable.future, request_iterator, timeout, metadata, protocol_options)


class _StreamStreamMultiCallable(_MultiCallable, face.StreamStreamMultiCallable):
    def __call__(
        self, request_iterator: Iterator[Any], timeout: float, metadata: Any = None, protocol_options: Any = None
    ) -> Any:
        return self._start(self._multi_callable, request_iterator, timeout, metadata, protocol_options)


class _Scope:
    """What `with` does with stubs: nothing, as a stub holds nothing that must be given back."""

    def __enter__(self) -> Any:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> Literal[False]:
        return False


class _GenericStub(_Scope, face.GenericStub):
    """Calls any method of a channel."""

    def __init__(
        self,
        channel: grpc.Channel,
        metadata_transformer: Callable[[Any], Any] | None,
        request_serializers: Mapping[tuple[str, str], Any],
        response_deserializers: Mapping[tuple[str, str], Any],
    ) -> None:
        self._channel = channel
        self._transformer = metadata_transformer
        self._request_serializers = request_serializers or {}
        self._response_deserializers = response_deserializers or {}

    def _made(self, kind: Any, of_channel: Callable[..., Any], group: str, method: str) -> Any:
        serializer = self._request_serializers.get((group, method))
        deserializer = self._response_deserializers.get((group, method))
        return kind(of_channel(f"/{group}/{method}", serializer, deserializer), self._transformer)

    def unary_unary(self, group: str, method: str) -> face.UnaryUnaryMultiCallable:
        made: face.UnaryUnaryMultiCallable = self._made(
            _UnaryUnaryMultiCallable, self._channel.unary_unary, group, method
        )
        return made

    def unary_stream(self, group: str, method: str) -> face.UnaryStreamMultiCallable:
        made: face.UnaryStreamMultiCallable = self._made(
            _UnaryStreamMultiCallable, self._channel.unary_stream, group, method
        )
        return made

    def stream_unary(self, group: str, method: str) -> face.StreamUnaryMultiCallable:
        made: face.StreamUnaryMultiCallable = self._made(
            _StreamUnaryMultiCallable, self._channel.stream_unary, group, method
        )
        return made

    def stream_stream(self, group: str, method: str) -> face.StreamStreamMultiCallable:
        made: face.StreamStreamMultiCallable = self._made(
            _StreamStreamMultiCallable, self._channel.stream_stream, group, method
        )
        return made

    def blocking_unary_unary(
        self,
        group: str,
        method: str,
        request: Any,
        timeout: float,
        metadata: Any = None,
        with_call: bool = False,
        protocol_options: Any = None,
    ) -> Any:
        return self.unary_unary(group, method)(request, timeout, metadata, with_call, protocol_options)

    def future_unary_unary(
        self,
        group: str,
        method: str,
        request: Any,
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        return self.unary_unary(group, method).future(request, timeout, metadata, protocol_options)

    def inline_unary_stream(
        self,
        group: str,
        method: str,
        request: Any,
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        return self.unary_stream(group, method)(request, timeout, metadata, protocol_options)

    def blocking_stream_unary(
        self,
        group: str,
        method: str,
        request_iterator: Iterator[Any],
        timeout: float,
        metadata: Any = None,
        with_call: bool = False,
        protocol_options: Any = None,
    ) -> Any:
        return self.stream_unary(group, method)(request_iterator, timeout, metadata, with_call, protocol_options)

    def future_stream_unary(
        self,
        group: str,
        method: str,
        request_iterator: Iterator[Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        return self.stream_unary(group, method).future(request_iterator, timeout, metadata, protocol_options)

    def inline_stream_stream(
        self,
        group: str,
        method: str,
        request_iterator: Iterator[Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        return self.stream_stream(group, method)(request_iterator, timeout, metadata, protocol_options)

    event_unary_unary = _MultiCallable.event
    event_unary_stream = _MultiCallable.event
    event_stream_unary = _MultiCallable.event
    event_stream_stream = _MultiCallable.event


class _DynamicStub(_Scope, face.DynamicStub):
    """The methods of one group, as attributes."""

    def __init__(self, stub: _GenericStub, group: str, cardinalities: Mapping[str, cardinality.Cardinality]) -> None:
        self._stub = stub
        self._group = group
        self._cardinalities = cardinalities

    def __getattr__(self, name: str) -> Any:
        kind = self._cardinalities.get(name)
        if kind is None:
            raise AttributeError(f'_DynamicStub object has no attribute "{name}"!')
        return getattr(self._stub, kind.name.lower())(self._group, name)


def generic_stub(
    channel: grpc.Channel,
    metadata_transformer: Callable[[Any], Any] | None,
    request_serializers: Any,
    response_deserializers: Any,
) -> _GenericStub:
    """A stub that calls any method."""
    return _GenericStub(channel, metadata_transformer, request_serializers, response_deserializers)


def dynamic_stub(
    channel: grpc.Channel,
    group: str,
    cardinalities: Mapping[str, cardinality.Cardinality],
    metadata_transformer: Callable[[Any], Any] | None,
    request_serializers: Any,
    response_deserializers: Any,
) -> face.DynamicStub:
    """A stub whose attributes call the methods of a group."""
    stub = _GenericStub(channel, metadata_transformer, request_serializers, response_deserializers)
    return _DynamicStub(stub, group, cardinalities)
