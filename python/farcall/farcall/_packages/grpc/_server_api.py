"""What a server's author sees: the context of an RPC, handlers, interceptors and the server (abstract).

The implementations are in `grpc._server`, `grpc._context` and `grpc._utilities`. All names are exported by `grpc`.
"""

from __future__ import annotations

import abc
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

from grpc._client_api import RpcContext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from grpc._credentials import ServerCredentials
    from grpc._typing import DeserializingFunction, Metadata, MetadataToSend, SerializingFunction
    from grpc._vocabulary import Compression, Status, StatusCode


class ServicerContext(RpcContext):
    """An RPC as its handler sees it."""

    __module__ = "grpc"
    __slots__ = ()

    @abc.abstractmethod
    def invocation_metadata(self) -> Metadata:
        """The metadata the client sent."""
        raise NotImplementedError()

    @abc.abstractmethod
    def peer(self) -> str:
        """Where the client is, for example "ipv4:127.0.0.1:41234"."""
        raise NotImplementedError()

    @abc.abstractmethod
    def peer_identities(self) -> Sequence[bytes] | None:
        """Who the client proved to be; None when it proved nothing."""
        raise NotImplementedError()

    @abc.abstractmethod
    def peer_identity_key(self) -> str | None:
        """The key of `auth_context()` under which the identities are; None when there are none."""
        raise NotImplementedError()

    @abc.abstractmethod
    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """What is known about the connection's security, by name."""
        raise NotImplementedError()

    def set_compression(self, compression: Compression) -> None:
        """Chooses the compression of all responses; before initial metadata are sent."""
        raise NotImplementedError()

    @abc.abstractmethod
    def send_initial_metadata(self, initial_metadata: MetadataToSend) -> None:
        """Sends metadata now, ahead of any response. At most once; without it they go with the first response.

        Raises:
          ValueError: they were sent before.
          RpcError: the client has gone.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def set_trailing_metadata(self, trailing_metadata: MetadataToSend) -> None:
        """Sets the metadata to go with the status. The last call counts."""
        raise NotImplementedError()

    def trailing_metadata(self) -> Any:
        """What `set_trailing_metadata` was given last, or None."""
        raise NotImplementedError()

    @abc.abstractmethod
    def abort(self, code: StatusCode, details: str) -> typing.NoReturn:
        """Ends the RPC with a status by raising an exception that the handler must let pass.

        Args:
          code: not OK.
          details: for the client's people to read.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def abort_with_status(self, status: Status) -> typing.NoReturn:
        """As `abort`, with a Status, which brings its own trailing metadata."""
        raise NotImplementedError()

    @abc.abstractmethod
    def set_code(self, code: StatusCode) -> None:
        """Sets the status code to end with; OK without it."""
        raise NotImplementedError()

    @abc.abstractmethod
    def set_details(self, details: str) -> None:
        """Sets what to say about the status."""
        raise NotImplementedError()

    def code(self) -> StatusCode | None:
        """The code set, or None."""
        raise NotImplementedError()

    def details(self) -> bytes | None:
        """The details set, encoded, or None."""
        raise NotImplementedError()

    def disable_next_message_compression(self) -> None:
        """Has the next response sent as it is."""
        raise NotImplementedError()


class RpcMethodHandler(abc.ABC):
    """How one method is served.

    Attributes:
      request_streaming: whether there is a stream of requests.
      response_streaming: whether there is a stream of responses.
      request_deserializer: makes a request of bytes; None to get bytes.
      response_serializer: makes bytes of a response; None when responses are bytes.
      unary_unary: `f(request, context)` answers a response, if neither streams.
      unary_stream: `f(request, context)` answers an iterator of responses, if only responses stream.
      stream_unary: `f(request_iterator, context)` answers a response, if only requests stream.
      stream_stream: `f(request_iterator, context)` answers an iterator of responses, if both stream.
    """

    __module__ = "grpc"

    request_streaming: bool
    response_streaming: bool
    request_deserializer: DeserializingFunction | None
    response_serializer: SerializingFunction | None
    unary_unary: Callable[[Any, ServicerContext], Any] | None
    unary_stream: Callable[[Any, ServicerContext], Iterator[Any]] | None
    stream_unary: Callable[[Iterator[Any], ServicerContext], Any] | None
    stream_stream: Callable[[Iterator[Any], ServicerContext], Iterator[Any]] | None


@typing.runtime_checkable
class HandlerCallDetails(typing.Protocol):
    """What is known of an RPC before its handler is chosen.

    Attributes:
      method: the path, "/package.Service/Method".
      invocation_metadata: the metadata the client sent.
    """

    __module__: str = "grpc"

    method: str
    invocation_metadata: Metadata


class GenericRpcHandler(abc.ABC):
    """Chooses handlers for any number of methods."""

    __module__ = "grpc"

    @abc.abstractmethod
    def service(self, handler_call_details: HandlerCallDetails) -> RpcMethodHandler | None:
        """The handler for an RPC, or None when it is not for this object to serve.

        Runs for each RPC on the server's own thread, which waits for it.
        """
        raise NotImplementedError()


class ServiceRpcHandler(GenericRpcHandler):
    """A GenericRpcHandler for the methods of one service."""

    __module__ = "grpc"

    @abc.abstractmethod
    def service_name(self) -> str:
        """The service's full name, "package.Service"."""
        raise NotImplementedError()


class ServerInterceptor(abc.ABC):
    """Stands between an RPC and the choice of its handler."""

    __module__ = "grpc"

    @abc.abstractmethod
    def intercept_service(
        self,
        continuation: Callable[[HandlerCallDetails], RpcMethodHandler | None],
        handler_call_details: HandlerCallDetails,
    ) -> RpcMethodHandler | None:
        """Chooses the handler of one RPC.

        Args:
          continuation: `continuation(handler_call_details)` asks the next interceptor, at last the server's handlers.
          handler_call_details: what the RPC is.

        Returns:
          A handler, usually what `continuation` answered or one around it; None for "no such method".
        """
        raise NotImplementedError()


class Server(abc.ABC):
    """Serves RPCs."""

    __module__ = "grpc"

    @abc.abstractmethod
    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[GenericRpcHandler]) -> None:
        """Adds handlers, which are asked in order."""
        raise NotImplementedError()

    # Not abstract: servers written before it existed do without it.
    def add_registered_method_handlers(  # noqa: B027
        self, service_name: str, method_handlers: Mapping[str, RpcMethodHandler]
    ) -> None:
        """Adds the handlers of a service by method name. They come before the generic handlers."""

    @abc.abstractmethod
    def add_insecure_port(self, address: str) -> int:
        """Listens on an address: "host:port", "[v6]:port", "unix:path" or "unix-abstract:name".

        Port 0 lets the system choose.

        Returns:
          The port; 1 for unix sockets.

        Raises:
          RuntimeError: the address cannot be listened on.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def add_secure_port(self, address: str, server_credentials: ServerCredentials) -> int:
        """As `add_insecure_port`, with credentials."""
        raise NotImplementedError()

    @abc.abstractmethod
    def start(self) -> None:
        """Starts to serve.

        Raises:
          ValueError: it has been started before.
        """
        raise NotImplementedError()

    @abc.abstractmethod
    def stop(self, grace: float | None) -> Any:
        """Stops: accepts no new RPCs from now on and cancels those that go on when the grace is over.

        Args:
          grace: seconds; None for no grace, then the call waits for the end. The shortest grace given counts.

        Returns:
          A threading.Event that is set when all RPCs are over.
        """
        raise NotImplementedError()

    def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped.

        Args:
          timeout: seconds to wait at most; None waits as long as it takes.

        Returns:
          True when the time ran out, False when the server has stopped.
        """
        raise NotImplementedError()
