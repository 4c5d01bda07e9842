"""What a client sees: futures, calls, channels and the interceptors around them (abstract).

The implementations are in `grpc._channel` and `grpc._interceptor`. All names are exported by `grpc`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Generic

    from typing_extensions import Self, TypeVar

    from grpc._credentials import CallCredentials
    from grpc._typing import (
        Metadata,
        MetadataToSend,
        SerializingFunction,
    )
    from grpc._vocabulary import ChannelConnectivity, Compression, StatusCode

    _Request = TypeVar("_Request", default=Any)
    _Response = TypeVar("_Response", default=Any)

    class _Typed(abc.ABC, Generic[_Request, _Response]):
        """With the types of requests and responses, which stubs for checkers name."""

else:
    from types import GenericAlias

    class _Typed(abc.ABC):  # noqa: B024
        # As above, without the cost of importing typing.
        __class_getitem__ = classmethod(GenericAlias)

    _Request = _Response = None


class Future(abc.ABC):
    """The result of a computation that may still be going on. Not a `concurrent.futures.Future`."""

    __module__ = "grpc"

    @abc.abstractmethod
    def cancel(self) -> bool:
        """Tries to cancel; True if that is what ends the computation."""
        raise NotImplementedError()

    @abc.abstractmethod
    def cancelled(self) -> bool:
        """Whether it was cancelled on this side."""
        raise NotImplementedError()

    @abc.abstractmethod
    def running(self) -> bool:
        """Whether it goes on."""
        raise NotImplementedError()

    @abc.abstractmethod
    def done(self) -> bool:
        """Whether it is over, in whatever way."""
        raise NotImplementedError()

    @abc.abstractmethod
    def result(self, timeout: float | None = None) -> Any:
        """Waits for the value.

        Args:
          timeout: seconds to wait at most; None waits as long as it takes.

        Raises:
          FutureTimeoutError: the time is up; the computation goes on.
          FutureCancelledError: it was cancelled on this side.
          Exception: whatever the computation raised.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def exception(self, timeout: float | None = None) -> Any:
        """Waits for the end; the exception raised, or None. Raises as `result` does for time and cancellation."""
        raise NotImplementedError()

    @abc.abstractmethod
    def traceback(self, timeout: float | None = None) -> Any:
        """Waits for the end; the traceback of the exception raised, or None."""
        raise NotImplementedError()

    @abc.abstractmethod
    def add_done_callback(self, fn: Callable[[Any], None]) -> None:
        """Has `fn(self)` called at the end, or at once if it is over. What `fn` raises is logged."""
        raise NotImplementedError()


class RpcContext(abc.ABC):
    """What both sides can ask of an RPC."""

    __module__ = "grpc"
    __slots__ = ()

    @abc.abstractmethod
    def is_active(self) -> bool:
        """Whether the RPC goes on."""
        raise NotImplementedError()

    @abc.abstractmethod
    def time_remaining(self) -> float | None:
        """Seconds until the deadline, not below 0; None when there is no deadline."""
        raise NotImplementedError()

    @abc.abstractmethod
    def cancel(self) -> Any:
        """Cancels the RPC. Nothing happens when it is over."""
        raise NotImplementedError()

    @abc.abstractmethod
    def add_callback(self, callback: Callable[[], object]) -> bool:
        """Has `callback()` called at the end of the RPC; False (and it never is) when it is over already."""
        raise NotImplementedError()


class Call(RpcContext):
    """An RPC as its caller sees it. Every method here waits until its answer is known."""

    __module__ = "grpc"

    @abc.abstractmethod
    def initial_metadata(self) -> Metadata:
        """The metadata the server sent first."""
        raise NotImplementedError()

    @abc.abstractmethod
    def trailing_metadata(self) -> Metadata:
        """The metadata the server sent with the status."""
        raise NotImplementedError()

    @abc.abstractmethod
    def code(self) -> StatusCode:
        """How the RPC ended."""
        raise NotImplementedError()

    @abc.abstractmethod
    def details(self) -> str:
        """What was said about how it ended, for people to read."""
        raise NotImplementedError()


class ClientCallDetails(abc.ABC):  # noqa: B024
    """What a client interceptor sees of an RPC, and may change in the one it passes on.

    Attributes:
      method: the path, "/package.Service/Method".
      timeout: seconds, or None.
      metadata: (key, value) pairs, or None.
      credentials: CallCredentials, or None.
      wait_for_ready: True, False, or None for the default.
      compression: a grpc.Compression, or None.
    """

    __module__ = "grpc"

    # Programs have classes of their own, named tuples mostly, that need not hold all of this.
    if TYPE_CHECKING:

        @property
        def method(self) -> str: ...
        @property
        def timeout(self) -> float | None: ...
        @property
        def metadata(self) -> MetadataToSend | None: ...
        @property
        def credentials(self) -> CallCredentials | None: ...
        @property
        def wait_for_ready(self) -> bool | None: ...
        @property
        def compression(self) -> Compression | None: ...


class UnaryUnaryClientInterceptor(abc.ABC):
    """Stands around RPCs of one request and one response."""

    __module__ = "grpc"

    @abc.abstractmethod
    def intercept_unary_unary(
        self,
        continuation: Callable[[ClientCallDetails, Any], Any],
        client_call_details: ClientCallDetails,
        request: Any,
    ) -> Any:
        """Handles one RPC.

        Args:
          continuation: `continuation(client_call_details, request)` goes on with the RPC and answers an object that
            is both a Call and a Future; it does not raise when the RPC fails.
          client_call_details: what the RPC is.
          request: the request message.

        Returns:
          An object that is a Call and a Future, usually what `continuation` answered.
        """
        raise NotImplementedError()


class UnaryStreamClientInterceptor(abc.ABC):
    """Stands around RPCs of one request and a stream of responses."""

    __module__ = "grpc"

    @abc.abstractmethod
    def intercept_unary_stream(
        self,
        continuation: Callable[[ClientCallDetails, Any], Any],
        client_call_details: ClientCallDetails,
        request: Any,
    ) -> Any:
        """Handles one RPC; answers a Call that iterates over responses, usually what `continuation` answered."""
        raise NotImplementedError()


class StreamUnaryClientInterceptor(abc.ABC):
    """Stands around RPCs of a stream of requests and one response."""

    __module__ = "grpc"

    @abc.abstractmethod
    def intercept_stream_unary(
        self,
        continuation: Callable[[ClientCallDetails, Iterator[Any]], Any],
        client_call_details: ClientCallDetails,
        request_iterator: Iterator[Any],
    ) -> Any:
        """Handles one RPC; answers an object that is a Call and a Future, as for `intercept_unary_unary`."""
        raise NotImplementedError()


class StreamStreamClientInterceptor(abc.ABC):
    """Stands around RPCs of a stream of requests and a stream of responses."""

    __module__ = "grpc"

    @abc.abstractmethod
    def intercept_stream_stream(
        self,
        continuation: Callable[[ClientCallDetails, Iterator[Any]], Any],
        client_call_details: ClientCallDetails,
        request_iterator: Iterator[Any],
    ) -> Any:
        """Handles one RPC; answers a Call that iterates over responses, usually what `continuation` answered."""
        raise NotImplementedError()


class UnaryUnaryMultiCallable(_Typed[_Request, _Response]):
    """Calls one method: one request, one response."""

    __module__ = "grpc"

    @abc.abstractmethod
    def __call__(
        self,
        request: _Request,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> _Response:
        """Calls and waits for the response.

        Args:
          request: the request message.
          timeout: seconds until the RPC ends with DEADLINE_EXCEEDED; None for no limit.
          metadata: (key, value) pairs to send along; bytes values for keys that end in "-bin".
          credentials: call credentials; only for secure channels.
          wait_for_ready: True to wait for a connection rather than fail when there is none.
          compression: how to compress the request.

        Returns:
          The response message.

        Raises:
          RpcError: the RPC did not end with OK; the exception is also a grpc.Call.
          ValueError: the channel is closed.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def with_call(
        self,
        request: _Request,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> tuple[_Response, Call]:
        """As `__call__`, but answers the response and the Call, which knows the metadata."""
        raise NotImplementedError()

    @abc.abstractmethod
    def future(
        self,
        request: _Request,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        """Starts the RPC and answers an object that is a Call and a Future; dropping it cancels the RPC."""
        raise NotImplementedError()


class UnaryStreamMultiCallable(_Typed[_Request, _Response]):
    """Calls one method: one request, a stream of responses."""

    __module__ = "grpc"

    @abc.abstractmethod
    def __call__(
        self,
        request: _Request,
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        """Starts the RPC and answers a Call (and Future) that iterates over the responses.

        The iterator raises the RpcError (itself) when the RPC does not end with OK; dropping it cancels the RPC.
        The arguments are those of `UnaryUnaryMultiCallable.__call__`.
        """
        raise NotImplementedError()


class StreamUnaryMultiCallable(_Typed[_Request, _Response]):
    """Calls one method: a stream of requests, one response."""

    __module__ = "grpc"

    @abc.abstractmethod
    def __call__(
        self,
        request_iterator: Iterator[_Request],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> _Response:
        """Calls and waits for the response.

        `request_iterator` is consumed on a thread of its own. The other arguments, and what is raised, are those of
        `UnaryUnaryMultiCallable.__call__`.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def with_call(
        self,
        request_iterator: Iterator[_Request],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> tuple[_Response, Call]:
        """As `__call__`, but answers the response and the Call, which knows the metadata."""
        raise NotImplementedError()

    @abc.abstractmethod
    def future(
        self,
        request_iterator: Iterator[_Request],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        """Starts the RPC and answers an object that is a Call and a Future; dropping it cancels the RPC."""
        raise NotImplementedError()


class StreamStreamMultiCallable(_Typed[_Request, _Response]):
    """Calls one method: a stream of requests, a stream of responses."""

    __module__ = "grpc"

    @abc.abstractmethod
    def __call__(
        self,
        request_iterator: Iterator[_Request],
        timeout: float | None = None,
        metadata: MetadataToSend | None = None,
        credentials: CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: Compression | None = None,
    ) -> Any:
        """Starts the RPC and answers a Call (and Future) that iterates over the responses.

        As `UnaryStreamMultiCallable.__call__`, with requests as in `StreamUnaryMultiCallable.__call__`.
        """
        raise NotImplementedError()


class Channel(abc.ABC):
    """A way to a server, shared by all threads. A context manager that closes it at the end."""

    __module__ = "grpc"

    @abc.abstractmethod
    def subscribe(self, callback: Callable[[ChannelConnectivity], None], try_to_connect: bool | None = False) -> None:
        """Has `callback(connectivity)` called with the state now and at every change, from another thread.

        Args:
          callback: what to call; what it raises is logged.
          try_to_connect: whether an idle channel shall connect.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def unsubscribe(self, callback: Callable[[ChannelConnectivity], None]) -> None:
        """Undoes `subscribe`."""
        raise NotImplementedError()

    @abc.abstractmethod
    def unary_unary(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: Callable[[bytes], _Response] | None = None,
        _registered_method: bool | None = False,
    ) -> UnaryUnaryMultiCallable[Any, _Response]:
        """A callable for a method of one request and one response.

        Args:
          method: the path, "/package.Service/Method".
          request_serializer: makes bytes of a request; None when requests are bytes.
          response_deserializer: makes a response of bytes; None to get bytes.
          _registered_method: passed by generated code.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def unary_stream(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: Callable[[bytes], _Response] | None = None,
        _registered_method: bool | None = False,
    ) -> UnaryStreamMultiCallable[Any, _Response]:
        """A callable for a method of one request and a stream of responses; arguments as for `unary_unary`."""
        raise NotImplementedError()

    @abc.abstractmethod
    def stream_unary(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: Callable[[bytes], _Response] | None = None,
        _registered_method: bool | None = False,
    ) -> StreamUnaryMultiCallable[Any, _Response]:
        """A callable for a method of a stream of requests and one response; arguments as for `unary_unary`."""
        raise NotImplementedError()

    @abc.abstractmethod
    def stream_stream(
        self,
        method: str,
        request_serializer: SerializingFunction | None = None,
        response_deserializer: Callable[[bytes], _Response] | None = None,
        _registered_method: bool | None = False,
    ) -> StreamStreamMultiCallable[Any, _Response]:
        """A callable for a method of streams both ways; arguments as for `unary_unary`."""
        raise NotImplementedError()

    @abc.abstractmethod
    def close(self) -> None:
        """Closes the channel and ends its RPCs with CANCELLED. Idempotent."""
        raise NotImplementedError()

    def __enter__(self) -> Self:
        """The channel."""
        raise NotImplementedError()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> Any:
        """Closes the channel."""
        raise NotImplementedError()
