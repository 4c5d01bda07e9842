"""Calls of a client: the four kinds, and the error that they end with."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc.aio import _base_call
from grpc.aio._call_streams import StreamRequest, StreamResponse, UnaryResponse, or_cancel
from grpc.aio._metadata import Metadata
from grpc.aio._started import AioRpcError as AioRpcError
from grpc.aio._started import raise_for_status
from grpc.aio._typing import (
    DeserializingFunction,
    RequestIterableType,
    RequestType,
    ResponseType,
    SerializingFunction,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioChannel


class UnaryUnaryCall(UnaryResponse, _base_call.UnaryUnaryCall[RequestType, ResponseType]):
    """One request, one response."""

    def __init__(
        self,
        request: RequestType,
        deadline: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._begin_unary(
            request,
            deadline,
            metadata,
            credentials,
            wait_for_ready,
            channel,
            method,
            request_serializer,
            response_deserializer,
        )

    async def wait_for_connection(self) -> None:
        waiter = self._native.ended()
        if waiter is not None:
            await or_cancel(self._native, waiter)
        raise_for_status(self._native)


class UnaryStreamCall(StreamResponse, _base_call.UnaryStreamCall[RequestType, ResponseType]):
    """One request, a stream of responses."""

    def __init__(
        self,
        request: RequestType,
        deadline: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._begin_unary(
            request,
            deadline,
            metadata,
            credentials,
            wait_for_ready,
            channel,
            method,
            request_serializer,
            response_deserializer,
        )


class StreamUnaryCall(UnaryResponse, StreamRequest, _base_call.StreamUnaryCall[RequestType, ResponseType]):
    """A stream of requests, one response."""

    def __init__(
        self,
        request_iterator: RequestIterableType[RequestType] | None,
        deadline: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._begin(
            None,
            deadline,
            metadata,
            credentials,
            wait_for_ready,
            channel,
            method,
            request_serializer,
            response_deserializer,
        )
        self._consume(request_iterator, loop)


class StreamStreamCall(StreamRequest, StreamResponse, _base_call.StreamStreamCall[RequestType, ResponseType]):
    """A stream of requests, a stream of responses."""

    def __init__(
        self,
        request_iterator: RequestIterableType[RequestType] | None,
        deadline: float | None,
        metadata: Metadata,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        channel: AioChannel,
        method: bytes,
        request_serializer: SerializingFunction[Any] | None,
        response_deserializer: DeserializingFunction[Any] | None,
        loop: asyncio.AbstractEventLoop,
        registered_call_handle: int = 0,
    ) -> None:
        self._begin(
            None,
            deadline,
            metadata,
            credentials,
            wait_for_ready,
            channel,
            method,
            request_serializer,
            response_deserializer,
        )
        self._consume(request_iterator, loop)


# Their names in grpcio, by which packages ask `isinstance`.
_UnaryResponseMixin = UnaryResponse
_StreamResponseMixin = StreamResponse
_StreamRequestMixin = StreamRequest
