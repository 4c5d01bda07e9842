"""Reflection for servers of `grpc.aio`."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2 as _reflection_pb2
from grpc_reflection.v1alpha._base import BaseReflectionServicer

__all__ = ["ReflectionServicer"]


class ReflectionServicer(BaseReflectionServicer):
    """Tells the services of a server and what their messages are, on an event loop."""

    async def ServerReflectionInfo(
        self, request_iterator: AsyncIterable[_reflection_pb2.ServerReflectionRequest], unused_context: Any
    ) -> AsyncIterator[_reflection_pb2.ServerReflectionResponse]:
        """Answers one response to each request."""
        async for request in request_iterator:
            yield self._answer(request)
