"""The face interface: RPCs as the beta API knows them."""

from __future__ import annotations

import abc
import collections
import enum
from collections.abc import Callable, Iterator
from typing import Any


class NoSuchMethodError(Exception):
    """An RPC method was asked for that the servicer does not have.

    Attributes:
      group: the group, which is the service's full name.
      method: the method's name.
    """

    def __init__(self, group: str, method: str) -> None:
        super().__init__(group, method)
        self.group = group
        self.method = method

    def __repr__(self) -> str:
        return f"face.NoSuchMethodError({self.group}, {self.method})"


class Abortion(
    collections.namedtuple("Abortion", ("kind", "initial_metadata", "terminal_metadata", "code", "details"))
):
    """How an RPC ended that did not end well.

    Attributes:
      kind: a Kind.
      initial_metadata: the other side's, or None.
      terminal_metadata: the other side's, or None.
      code: the other side's, or None.
      details: the other side's, or None.
    """

    @enum.unique
    class Kind(enum.Enum):
        """The ways an RPC can end badly."""

        CANCELLED = "cancelled"
        EXPIRED = "expired"
        LOCAL_SHUTDOWN = "local shutdown"
        REMOTE_SHUTDOWN = "remote shutdown"
        NETWORK_FAILURE = "network failure"
        LOCAL_FAILURE = "local failure"
        REMOTE_FAILURE = "remote failure"


class AbortionError(Exception):
    """An RPC did not end well.

    Attributes:
      initial_metadata: the other side's, or None.
      terminal_metadata: the other side's, or None.
      code: the other side's, or None.
      details: the other side's, or None.
    """

    def __init__(self, initial_metadata: Any, terminal_metadata: Any, code: Any, details: Any) -> None:
        super().__init__(initial_metadata, terminal_metadata, code, details)
        self.initial_metadata = initial_metadata
        self.terminal_metadata = terminal_metadata
        self.code = code
        self.details = details

    def __str__(self) -> str:
        return f'{type(self).__name__}(code={self.code}, details="{self.details}")'


class CancellationError(AbortionError):
    """It was cancelled."""


class ExpirationError(AbortionError):
    """Its time ran out."""


class LocalShutdownError(AbortionError):
    """This side stopped."""


class RemoteShutdownError(AbortionError):
    """The other side stopped."""


class NetworkError(AbortionError):
    """The network failed."""


class LocalError(AbortionError):
    """This side failed."""


class RemoteError(AbortionError):
    """The other side failed."""


class RpcContext(abc.ABC):
    """An RPC in progress."""

    @abc.abstractmethod
    def is_active(self) -> bool:
        """Whether it goes on."""
        raise NotImplementedError()

    @abc.abstractmethod
    def time_remaining(self) -> float:
        """The seconds left to it."""
        raise NotImplementedError()

    @abc.abstractmethod
    def add_abortion_callback(self, abortion_callback: Callable[[Abortion], Any]) -> Abortion | None:
        """Has `abortion_callback(abortion)` called if it ends badly; answers the Abortion instead if it has."""
        raise NotImplementedError()

    @abc.abstractmethod
    def cancel(self) -> Any:
        """Cancels it."""
        raise NotImplementedError()

    @abc.abstractmethod
    def protocol_context(self) -> Any:
        """What is special to gRPC."""
        raise NotImplementedError()


class Call(RpcContext):
    """An RPC as its client sees it."""

    @abc.abstractmethod
    def initial_metadata(self) -> Any:
        """The server's initial metadata; waits."""
        raise NotImplementedError()

    @abc.abstractmethod
    def terminal_metadata(self) -> Any:
        """The server's terminal metadata; waits."""
        raise NotImplementedError()

    @abc.abstractmethod
    def code(self) -> Any:
        """The code; waits."""
        raise NotImplementedError()

    @abc.abstractmethod
    def details(self) -> Any:
        """The details; waits."""
        raise NotImplementedError()


class ServicerContext(RpcContext):
    """An RPC as its handler sees it."""

    @abc.abstractmethod
    def invocation_metadata(self) -> Any:
        """The client's metadata."""
        raise NotImplementedError()

    @abc.abstractmethod
    def initial_metadata(self, initial_metadata: Any) -> None:
        """Sends initial metadata."""
        raise NotImplementedError()

    @abc.abstractmethod
    def terminal_metadata(self, terminal_metadata: Any) -> None:
        """Sets the metadata that go with the status."""
        raise NotImplementedError()

    @abc.abstractmethod
    def code(self, code: Any) -> None:
        """Sets the code."""
        raise NotImplementedError()

    @abc.abstractmethod
    def details(self, details: Any) -> None:
        """Sets the details."""
        raise NotImplementedError()


class ResponseReceiver(abc.ABC):
    """Takes what a server sends."""

    @abc.abstractmethod
    def initial_metadata(self, initial_metadata: Any) -> None:
        """Takes initial metadata."""
        raise NotImplementedError()

    @abc.abstractmethod
    def response(self, response: Any) -> None:
        """Takes a response."""
        raise NotImplementedError()

    @abc.abstractmethod
    def complete(self, terminal_metadata: Any, code: Any, details: Any) -> None:
        """Learns that the RPC is complete."""
        raise NotImplementedError()


class UnaryUnaryMultiCallable(abc.ABC):
    """Calls a method of one request and one response."""

    @abc.abstractmethod
    def __call__(
        self, request: Any, timeout: float, metadata: Any = None, with_call: bool = False, protocol_options: Any = None
    ) -> Any:
        """Waits for the response; with `with_call`, answers it and the Call. Raises AbortionError."""
        raise NotImplementedError()

    @abc.abstractmethod
    def future(self, request: Any, timeout: float, metadata: Any = None, protocol_options: Any = None) -> Any:
        """Starts an RPC; answers a future.Future that is a Call too."""
        raise NotImplementedError()

    @abc.abstractmethod
    def event(
        self,
        request: Any,
        receiver: ResponseReceiver,
        abortion_callback: Callable[[Abortion], Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC whose responses go to a receiver."""
        raise NotImplementedError()


class UnaryStreamMultiCallable(abc.ABC):
    """Calls a method of one request and a stream of responses."""

    @abc.abstractmethod
    def __call__(self, request: Any, timeout: float, metadata: Any = None, protocol_options: Any = None) -> Any:
        """Starts an RPC; answers a Call that iterates over responses and raises AbortionErrors."""
        raise NotImplementedError()

    @abc.abstractmethod
    def event(
        self,
        request: Any,
        receiver: ResponseReceiver,
        abortion_callback: Callable[[Abortion], Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC whose responses go to a receiver."""
        raise NotImplementedError()


class StreamUnaryMultiCallable(abc.ABC):
    """Calls a method of a stream of requests and one response."""

    @abc.abstractmethod
    def __call__(
        self,
        request_iterator: Iterator[Any],
        timeout: float,
        metadata: Any = None,
        with_call: bool = False,
        protocol_options: Any = None,
    ) -> Any:
        """Waits for the response; with `with_call`, answers it and the Call. Raises AbortionError."""
        raise NotImplementedError()

    @abc.abstractmethod
    def future(
        self, request_iterator: Iterator[Any], timeout: float, metadata: Any = None, protocol_options: Any = None
    ) -> Any:
        """Starts an RPC; answers a future.Future that is a Call too."""
        raise NotImplementedError()

    @abc.abstractmethod
    def event(
        self,
        receiver: ResponseReceiver,
        abortion_callback: Callable[[Abortion], Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC whose responses go to a receiver."""
        raise NotImplementedError()


class StreamStreamMultiCallable(abc.ABC):
    """Calls a method of streams both ways."""

    @abc.abstractmethod
    def __call__(
        self, request_iterator: Iterator[Any], timeout: float, metadata: Any = None, protocol_options: Any = None
    ) -> Any:
        """Starts an RPC; answers a Call that iterates over responses and raises AbortionErrors."""
        raise NotImplementedError()

    @abc.abstractmethod
    def event(
        self,
        receiver: ResponseReceiver,
        abortion_callback: Callable[[Abortion], Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC whose responses go to a receiver."""
        raise NotImplementedError()


class MethodImplementation(abc.ABC):  # noqa: B024
    """The implementation of a method. `grpc.framework.interfaces.face.utilities` makes them.

    Attributes:
      cardinality: a cardinality.Cardinality.
      style: a style.Service.
      unary_unary_inline, unary_stream_inline, stream_unary_inline, stream_stream_inline, unary_unary_event,
        unary_stream_event, stream_unary_event, stream_stream_event: the one that goes with both is a function.
    """


class MultiMethodImplementation(abc.ABC):
    """The implementation of several methods."""

    @abc.abstractmethod
    def service(self, group: str, method: str, response_consumer: Any, context: ServicerContext) -> Any:
        """Serves an RPC; answers a stream.Consumer of its requests, or None. Raises NoSuchMethodError."""
        raise NotImplementedError()


class GenericStub(abc.ABC):
    """Calls any method."""

    @abc.abstractmethod
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
        """Waits for the response; with `with_call`, answers it and the Call. Raises AbortionError."""
        raise NotImplementedError()

    @abc.abstractmethod
    def future_unary_unary(
        self, group: str, method: str, request: Any, timeout: float, metadata: Any = None, protocol_options: Any = None
    ) -> Any:
        """Starts an RPC; answers a future.Future that is a Call too."""
        raise NotImplementedError()

    @abc.abstractmethod
    def inline_unary_stream(
        self, group: str, method: str, request: Any, timeout: float, metadata: Any = None, protocol_options: Any = None
    ) -> Any:
        """Starts an RPC; answers a Call that iterates over responses."""
        raise NotImplementedError()

    @abc.abstractmethod
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
        """Waits for the response; with `with_call`, answers it and the Call. Raises AbortionError."""
        raise NotImplementedError()

    @abc.abstractmethod
    def future_stream_unary(
        self,
        group: str,
        method: str,
        request_iterator: Iterator[Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC; answers a future.Future that is a Call too."""
        raise NotImplementedError()

    @abc.abstractmethod
    def inline_stream_stream(
        self,
        group: str,
        method: str,
        request_iterator: Iterator[Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC; answers a Call that iterates over responses."""
        raise NotImplementedError()

    @abc.abstractmethod
    def event_unary_unary(
        self,
        group: str,
        method: str,
        request: Any,
        receiver: ResponseReceiver,
        abortion_callback: Callable[[Abortion], Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC whose responses go to a receiver."""
        raise NotImplementedError()

    @abc.abstractmethod
    def event_unary_stream(
        self,
        group: str,
        method: str,
        request: Any,
        receiver: ResponseReceiver,
        abortion_callback: Callable[[Abortion], Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC whose responses go to a receiver."""
        raise NotImplementedError()

    @abc.abstractmethod
    def event_stream_unary(
        self,
        group: str,
        method: str,
        receiver: ResponseReceiver,
        abortion_callback: Callable[[Abortion], Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC whose responses go to a receiver."""
        raise NotImplementedError()

    @abc.abstractmethod
    def event_stream_stream(
        self,
        group: str,
        method: str,
        receiver: ResponseReceiver,
        abortion_callback: Callable[[Abortion], Any],
        timeout: float,
        metadata: Any = None,
        protocol_options: Any = None,
    ) -> Any:
        """Starts an RPC whose responses go to a receiver."""
        raise NotImplementedError()

    @abc.abstractmethod
    def unary_unary(self, group: str, method: str) -> UnaryUnaryMultiCallable:
        """What calls a method."""
        raise NotImplementedError()

    @abc.abstractmethod
    def unary_stream(self, group: str, method: str) -> UnaryStreamMultiCallable:
        """What calls a method."""
        raise NotImplementedError()

    @abc.abstractmethod
    def stream_unary(self, group: str, method: str) -> StreamUnaryMultiCallable:
        """What calls a method."""
        raise NotImplementedError()

    @abc.abstractmethod
    def stream_stream(self, group: str, method: str) -> StreamStreamMultiCallable:
        """What calls a method."""
        raise NotImplementedError()


class DynamicStub(abc.ABC):  # noqa: B024
    """Calls the methods of one group, each of which is an attribute: a multicallable of its kind."""
