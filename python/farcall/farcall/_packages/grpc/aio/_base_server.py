"""What a server of `grpc.aio` and the context of its handlers can do: abstract classes."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic, NoReturn

import grpc
from grpc.aio._typing import DoneCallbackType, EOFType, MetadataType, RequestType, ResponseType


class Server(abc.ABC):
    """Serves RPCs on the event loop."""

    @abc.abstractmethod
    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Adds handlers, which are asked for each RPC in the order in which they were added.

        It must happen before the server is started.
        """

    @abc.abstractmethod
    def add_insecure_port(self, address: str) -> int:
        """Opens a port for plain text; before the server is started.

        Args:
          address: "host:port", "[::]:port", "unix:path" or "unix-abstract:name"; port 0 for any that is free.

        Returns:
          The port; 1 for unix sockets.

        Raises:
          RuntimeError: it could not be opened.
        """

    @abc.abstractmethod
    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """As `add_insecure_port`, with credentials."""

    @abc.abstractmethod
    async def start(self) -> None:
        """Begins to serve.

        Raises:
          UsageError: the server was stopped.
        """

    @abc.abstractmethod
    async def stop(self, grace: float | None) -> None:
        """Stops serving: no new RPCs at once, and those in progress are cancelled after `grace` seconds.

        It may be called again, and then the shortest grace counts. It waits until the server has stopped.

        Args:
          grace: seconds, or None to cancel at once.
        """

    @abc.abstractmethod
    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Waits until the server has stopped.

        Args:
          timeout: seconds to wait at most; None for no limit.

        Returns:
          Whether the time ran out: False if the server has stopped.
        """

    def add_registered_method_handlers(  # noqa: B027
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler]
    ) -> None:
        """Adds the handlers of one service, which come before generic ones; before the server is started.

        Args:
          service_name: the service's full name, "package.Service".
          method_handlers: a handler for each method, by the method's bare name.
        """


class ServicerContext(Generic[RequestType, ResponseType], abc.ABC):
    """An RPC as its handler sees it."""

    @abc.abstractmethod
    async def read(self) -> EOFType | RequestType:
        """Reads one request, for methods with a stream of requests.

        Returns:
          The request, or `grpc.aio.EOF` when there are no more.
        """

    @abc.abstractmethod
    async def write(self, message: ResponseType) -> None:
        """Writes one response, for methods with a stream of responses."""

    @abc.abstractmethod
    async def send_initial_metadata(self, initial_metadata: MetadataType) -> None:
        """Sends the initial metadata now rather than with the first response.

        Raises:
          UsageError: they were sent already.
        """

    @abc.abstractmethod
    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: MetadataType = ()) -> NoReturn:
        """Ends the RPC with an error, at once.

        Args:
          code: any but OK.
          details: for people to read.
          trailing_metadata: a tuple of (key, value) pairs that goes with the status.

        Raises:
          AbortError: always, to leave the handler.
          UsageError: the RPC was aborted already.
        """

    @abc.abstractmethod
    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        """As `abort`, with the code, details and trailing metadata of a `grpc.Status`."""

    @abc.abstractmethod
    def set_trailing_metadata(self, trailing_metadata: MetadataType) -> None:
        """Sets the metadata that will go with the status; the last one counts."""

    @abc.abstractmethod
    def invocation_metadata(self) -> MetadataType | None:
        """The metadata the client sent."""

    @abc.abstractmethod
    def set_code(self, code: grpc.StatusCode) -> None:
        """Sets the code the RPC will end with when the handler returns."""

    @abc.abstractmethod
    def set_details(self, details: str) -> None:
        """Sets what will be said about how the RPC ended."""

    @abc.abstractmethod
    def set_compression(self, compression: grpc.Compression) -> None:
        """Sets how responses are compressed; before anything is sent.

        Raises:
          RuntimeError: the initial metadata have been sent.
        """

    @abc.abstractmethod
    def disable_next_message_compression(self) -> None:
        """Sends the next response uncompressed."""

    @abc.abstractmethod
    def peer(self) -> str:
        """The client's address, as "ipv4:127.0.0.1:5000", "ipv6:%5B::1%5D:5000" or "unix:..."."""

    @abc.abstractmethod
    def peer_identities(self) -> Iterable[bytes] | None:
        """Who the client has proved to be; None if it has not."""

    @abc.abstractmethod
    def peer_identity_key(self) -> str | None:
        """The property of `auth_context()` that holds the identities; None if there are none."""

    @abc.abstractmethod
    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """What is known of the connection's security, by property."""

    def time_remaining(self) -> float | None:
        """The seconds until the RPC times out, 0 at least; None if it has no deadline."""
        raise NotImplementedError()

    def trailing_metadata(self) -> MetadataType:
        """The trailing metadata that have been set."""
        raise NotImplementedError()

    def code(self) -> grpc.StatusCode | None:
        """The code that has been set; None if none was."""
        raise NotImplementedError()

    def details(self) -> str:
        """The details that have been set; empty if none were."""
        raise NotImplementedError()

    def add_done_callback(self, callback: DoneCallbackType) -> None:
        """Has `callback(self)` called when the RPC is over; at once if it is."""

    def cancelled(self) -> bool:
        """Whether the RPC was cancelled."""
        raise NotImplementedError()

    def done(self) -> bool:
        """Whether the RPC is over."""
        raise NotImplementedError()
