"""The double of a channel: the test plays the server."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Literal

import grpc

import grpc_testing
from grpc_testing._rpc import End, Rpc, received

_LOGGER = logging.getLogger(__name__)


class _RpcErrorCall(grpc.RpcError, grpc.Call):
    """An RPC that did not end with OK."""

    def __init__(self, rpc: Rpc, end: End) -> None:
        super().__init__(f"{end.code}: {end.details}")
        self._rpc = rpc
        self._end = end

    def code(self) -> grpc.StatusCode:
        return self._end.code

    def details(self) -> str:
        return self._end.details

    def initial_metadata(self) -> Any:
        return self._rpc.initial_metadata()

    def trailing_metadata(self) -> Any:
        return self._end.trailing_metadata

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float | None:
        return self._rpc.time_remaining()

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        return False


class _Call(grpc.Call, grpc.Future):
    """An RPC as its client sees it, and the iterator of its responses."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def _ended(self, timeout: float | None = None) -> End:
        end = self._rpc.wait(timeout)
        if end is None:
            raise grpc.FutureTimeoutError()
        return end

    def code(self) -> grpc.StatusCode:
        return self._ended().code

    def details(self) -> str:
        return self._ended().details

    def initial_metadata(self) -> Any:
        return self._rpc.initial_metadata()

    def trailing_metadata(self) -> Any:
        return self._ended().trailing_metadata

    def is_active(self) -> bool:
        return self._rpc.end is None

    def time_remaining(self) -> float | None:
        return self._rpc.time_remaining()

    def cancel(self) -> bool:
        return self._rpc.cancel("Locally cancelled!")

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        return self._rpc.add_callback(callback)

    def cancelled(self) -> bool:
        end = self._rpc.end
        return end is not None and end.by_client and end.code is grpc.StatusCode.CANCELLED

    def running(self) -> bool:
        return self._rpc.end is None

    def done(self) -> bool:
        return self._rpc.end is not None

    def result(self, timeout: float | None = None) -> Any:
        error = self.exception(timeout)
        if error is not None:
            raise error
        return self._rpc.last_response()

    def exception(self, timeout: float | None = None) -> _RpcErrorCall | None:
        end = self._ended(timeout)
        return None if end.code is grpc.StatusCode.OK else _RpcErrorCall(self._rpc, end)

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        try:
            self.result(timeout)
        except grpc.RpcError as error:
            return error.__traceback__
        return None

    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        if not self._rpc.add_callback(lambda: fn(self)):
            fn(self)

    def __iter__(self) -> _Call:
        return self

    def __next__(self) -> Any:
        try:
            return self._rpc.take_response()
        except EOFError:
            error = self.exception()
        raise StopIteration if error is None else error


def _consume(requests: Iterator[Any], rpc: Rpc) -> None:
    """Takes requests from the system under test until it has no more or the RPC has ended."""
    while True:
        try:
            request = next(requests)
        except StopIteration:
            rpc.close_requests()
            return
        except Exception:
            _LOGGER.exception("Exception iterating requests!")
            rpc.finish(grpc.StatusCode.UNKNOWN, "Exception iterating requests!", (), by_client=True)
            return
        if not rpc.add_request(request):
            return


class _MultiCallable:
    """Makes RPCs of one method; what the four kinds have in common."""

    def __init__(self, channel: TestingChannel, method: str) -> None:
        self._channel = channel
        self._method = method

    def _unary(self, request: Any, timeout: float | None, metadata: Any) -> _Call:
        rpc = self._channel.rpc(timeout, metadata)
        rpc.add_request(request)
        rpc.close_requests()
        self._channel.made(self._method, rpc)
        return _Call(rpc)

    def _stream(self, requests: Iterator[Any], timeout: float | None, metadata: Any) -> _Call:
        rpc = self._channel.rpc(timeout, metadata)
        threading.Thread(target=_consume, args=(requests, rpc), name="grpc_testing requests", daemon=True).start()
        self._channel.made(self._method, rpc)
        return _Call(rpc)


class _UnaryUnary(_MultiCallable, grpc.UnaryUnaryMultiCallable):
    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        return self._unary(request, timeout, metadata).result()

    def with_call(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> tuple[Any, grpc.Call]:
        call = self._unary(request, timeout, metadata)
        return call.result(), call

    def future(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> _Call:
        return self._unary(request, timeout, metadata)


class _UnaryStream(_MultiCallable, grpc.UnaryStreamMultiCallable):
    def __call__(
        self,
        request: Any,
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> _Call:
        return self._unary(request, timeout, metadata)


class _StreamUnary(_MultiCallable, grpc.StreamUnaryMultiCallable):
    def __call__(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> Any:
        return self._stream(request_iterator, timeout, metadata).result()

    def with_call(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> tuple[Any, grpc.Call]:
        call = self._stream(request_iterator, timeout, metadata)
        return call.result(), call

    def future(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> _Call:
        return self._stream(request_iterator, timeout, metadata)


class _StreamStream(_MultiCallable, grpc.StreamStreamMultiCallable):
    def __call__(
        self,
        request_iterator: Iterator[Any],
        timeout: float | None = None,
        metadata: Any = None,
        credentials: Any = None,
        wait_for_ready: bool | None = None,
        compression: Any = None,
    ) -> _Call:
        return self._stream(request_iterator, timeout, metadata)


class _ChannelRpc(
    grpc_testing.UnaryUnaryChannelRpc,
    grpc_testing.StreamUnaryChannelRpc,
):
    """An RPC as the test sees it that plays the server, for methods with one response."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        self._rpc.send_initial_metadata(initial_metadata)

    def take_request(self) -> Any:
        try:
            return self._rpc.take_request()
        except EOFError:
            raise ValueError(f"there are no more requests: {_why(self._rpc)}") from None

    def requests_closed(self) -> None:
        if not self._rpc.wait_for_requests_closed():
            raise ValueError(f"the requests were not closed: {_why(self._rpc)}")

    def cancelled(self) -> None:
        end = self._rpc.wait()
        if end is None or end.code is not grpc.StatusCode.CANCELLED:
            raise ValueError(f"the RPC was not cancelled: {_why(self._rpc)}")

    def terminate(self, response: Any, trailing_metadata: Any, code: grpc.StatusCode, details: str) -> None:
        if response is not None:
            self._rpc.send_response(response)
        self._rpc.finish(code, details, trailing_metadata)


class _StreamChannelRpc(grpc_testing.UnaryStreamChannelRpc, grpc_testing.StreamStreamChannelRpc):
    """As _ChannelRpc, for methods with a stream of responses."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    send_initial_metadata = _ChannelRpc.send_initial_metadata
    take_request = _ChannelRpc.take_request
    requests_closed = _ChannelRpc.requests_closed
    cancelled = _ChannelRpc.cancelled

    def send_response(self, response: Any) -> None:
        self._rpc.send_response(response)

    def terminate(self, trailing_metadata: Any, code: grpc.StatusCode, details: str) -> None:
        self._rpc.finish(code, details, trailing_metadata)


def _why(rpc: Rpc) -> str:
    end = rpc.end
    return "the system under test closed them" if end is None else f"the RPC ended with {end.code} ({end.details})"


class TestingChannel(grpc_testing.Channel):
    """A channel whose RPCs wait for the test to take them."""

    __test__ = False  # Not a test, whatever its name says.

    def __init__(self, service_descriptors: Iterable[Any], time: grpc_testing.Time) -> None:
        self._services = tuple(service_descriptors)
        self._time = time
        self._condition = threading.Condition()
        self._waiting: dict[str, deque[Rpc]] = {}

    def rpc(self, timeout: float | None, metadata: Any) -> Rpc:
        """A new RPC."""
        return Rpc(received(metadata), timeout, self._time)

    def made(self, method: str, rpc: Rpc) -> None:
        """Lets the test take an RPC."""
        with self._condition:
            self._waiting.setdefault(method, deque()).append(rpc)
            self._condition.notify_all()

    def _take(self, method_descriptor: Any) -> Rpc:
        method = f"/{method_descriptor.containing_service.full_name}/{method_descriptor.name}"
        with self._condition:
            self._condition.wait_for(lambda: self._waiting.get(method))
            return self._waiting[method].popleft()

    def take_unary_unary(self, method_descriptor: Any) -> tuple[Any, Any, grpc_testing.UnaryUnaryChannelRpc]:
        rpc = self._take(method_descriptor)
        return rpc.invocation_metadata, rpc.take_request(), _ChannelRpc(rpc)

    def take_unary_stream(self, method_descriptor: Any) -> tuple[Any, Any, grpc_testing.UnaryStreamChannelRpc]:
        rpc = self._take(method_descriptor)
        return rpc.invocation_metadata, rpc.take_request(), _StreamChannelRpc(rpc)

    def take_stream_unary(self, method_descriptor: Any) -> tuple[Any, grpc_testing.StreamUnaryChannelRpc]:
        rpc = self._take(method_descriptor)
        return rpc.invocation_metadata, _ChannelRpc(rpc)

    def take_stream_stream(self, method_descriptor: Any) -> tuple[Any, grpc_testing.StreamStreamChannelRpc]:
        rpc = self._take(method_descriptor)
        return rpc.invocation_metadata, _StreamChannelRpc(rpc)

    def subscribe(
        self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool | None = False
    ) -> None:
        # It is always connected, and says so from a thread of its own, as a channel does.
        ready = (grpc.ChannelConnectivity.READY,)
        threading.Thread(target=callback, args=ready, name="grpc_testing connectivity", daemon=True).start()

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        pass

    def unary_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> grpc.UnaryUnaryMultiCallable:
        return _UnaryUnary(self, method)

    def unary_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> grpc.UnaryStreamMultiCallable:
        return _UnaryStream(self, method)

    def stream_unary(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> grpc.StreamUnaryMultiCallable:
        return _StreamUnary(self, method)

    def stream_stream(
        self,
        method: str,
        request_serializer: Any = None,
        response_deserializer: Any = None,
        _registered_method: bool | None = False,
    ) -> grpc.StreamStreamMultiCallable:
        return _StreamStream(self, method)

    def close(self) -> None:
        """Does nothing: a test may give one double to several systems, each of which closes it."""

    def __enter__(self) -> TestingChannel:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Literal[False]:
        return False
