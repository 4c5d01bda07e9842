"""What a channel of `grpc.aio` and its multicallables can do: abstract classes."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import TYPE_CHECKING, Generic

import grpc
from grpc.aio import _base_call
from grpc.aio._typing import (
    DeserializingFunction,
    MetadataType,
    RequestIterableType,
    RequestType,
    ResponseType,
    SerializingFunction,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class UnaryUnaryMultiCallable(Generic[RequestType, ResponseType], abc.ABC):
    """Calls one method: one request, one response."""

    @abc.abstractmethod
    def __call__(
        self,
        request: RequestType,
        *,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.UnaryUnaryCall[RequestType, ResponseType]:
        """Starts an RPC.

        Args:
          request: the request message.
          timeout: seconds until the RPC ends with DEADLINE_EXCEEDED; None for no limit.
          metadata: what to send along; bytes values for keys that end in "-bin".
          credentials: call credentials; only for secure channels.
          wait_for_ready: True to wait for a connection rather than fail when there is none.
          compression: how to compress the request.

        Returns:
          The call, to be awaited for the response.

        Raises:
          UsageError: the channel is closed, or call credentials were given for an insecure one.
        """


class UnaryStreamMultiCallable(Generic[RequestType, ResponseType], abc.ABC):
    """Calls one method: one request, a stream of responses."""

    @abc.abstractmethod
    def __call__(
        self,
        request: RequestType,
        *,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.UnaryStreamCall[RequestType, ResponseType]:
        """Starts an RPC, as that of UnaryUnaryMultiCallable; the call is iterated over or read from."""


class StreamUnaryMultiCallable(Generic[RequestType, ResponseType], abc.ABC):
    """Calls one method: a stream of requests, one response."""

    @abc.abstractmethod
    def __call__(
        self,
        request_iterator: RequestIterableType[RequestType] | None = None,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.StreamUnaryCall[RequestType, ResponseType]:
        """Starts an RPC.

        Args:
          request_iterator: an iterable or async iterable of requests; None to write them with `call.write()`.
          timeout, metadata, credentials, wait_for_ready, compression: as those of UnaryUnaryMultiCallable.

        Returns:
          The call, to be awaited for the response.

        Raises:
          UsageError: the channel is closed, or call credentials were given for an insecure one.
        """


class StreamStreamMultiCallable(Generic[RequestType, ResponseType], abc.ABC):
    """Calls one method: a stream of requests, a stream of responses."""

    @abc.abstractmethod
    def __call__(
        self,
        request_iterator: RequestIterableType[RequestType] | None = None,
        timeout: float | None = None,
        metadata: MetadataType | None = None,
        credentials: grpc.CallCredentials | None = None,
        wait_for_ready: bool | None = None,
        compression: grpc.Compression | None = None,
    ) -> _base_call.StreamStreamCall[RequestType, ResponseType]:
        """Starts an RPC, as that of StreamUnaryMultiCallable; the call is iterated over or read from."""


class Channel(abc.ABC):
    """The way to a server. `async with` closes it."""

    @abc.abstractmethod
    async def __aenter__(self) -> Self:
        """The channel itself."""

    @abc.abstractmethod
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        """Closes the channel at once."""

    @abc.abstractmethod
    async def close(self, grace: float | None = None) -> None:
        """Closes the channel: no new calls, and those in progress are cancelled after `grace` seconds (None: at once).

        It may be called again.

        Raises:
          ValueError: `grace` is negative.
        """

    @abc.abstractmethod
    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """What the channel is doing about its connection.

        Args:
          try_to_connect: whether an idle channel shall start to connect.
        """

    @abc.abstractmethod
    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Waits until the state is another than the one given.

        Raises:
          UsageError: the channel is closed.
        """

    @abc.abstractmethod
    async def channel_ready(self) -> None:
        """Waits until the channel is connected, which this makes it try."""

    @abc.abstractmethod
    def unary_unary(
        self,
        method: str,
        request_serializer: SerializingFunction[RequestType] | None = None,
        response_deserializer: DeserializingFunction[ResponseType] | None = None,
        _registered_method: bool | None = False,
    ) -> UnaryUnaryMultiCallable[RequestType, ResponseType]:
        """What calls a method of one request and one response.

        Args:
          method: its path, "/package.Service/Method".
          request_serializer: makes bytes of a request; None when requests are bytes.
          response_deserializer: makes a response of bytes; None to get bytes.
          _registered_method: said by generated code; it makes no difference here.
        """

    @abc.abstractmethod
    def unary_stream(
        self,
        method: str,
        request_serializer: SerializingFunction[RequestType] | None = None,
        response_deserializer: DeserializingFunction[ResponseType] | None = None,
        _registered_method: bool | None = False,
    ) -> UnaryStreamMultiCallable[RequestType, ResponseType]:
        """What calls a method of one request and a stream of responses. Arguments as for `unary_unary`."""

    @abc.abstractmethod
    def stream_unary(
        self,
        method: str,
        request_serializer: SerializingFunction[RequestType] | None = None,
        response_deserializer: DeserializingFunction[ResponseType] | None = None,
        _registered_method: bool | None = False,
    ) -> StreamUnaryMultiCallable[RequestType, ResponseType]:
        """What calls a method of a stream of requests and one response. Arguments as for `unary_unary`."""

    @abc.abstractmethod
    def stream_stream(
        self,
        method: str,
        request_serializer: SerializingFunction[RequestType] | None = None,
        response_deserializer: DeserializingFunction[ResponseType] | None = None,
        _registered_method: bool | None = False,
    ) -> StreamStreamMultiCallable[RequestType, ResponseType]:
        """What calls a method of streams both ways. Arguments as for `unary_unary`."""
