"""The health service for servers of `grpc.aio`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from grpc_health.v1 import health_pb2 as _health_pb2
from grpc_health.v1 import health_pb2_grpc as _health_pb2_grpc
from grpc_health.v1._statuses import TOO_MANY, Statuses

__all__ = ["HealthServicer"]


class HealthServicer(_health_pb2_grpc.HealthServicer):
    """Answers for the health of services, as the application sets it. For one event loop.

    The server itself, which is the service named "", serves from the start.
    """

    def __init__(self) -> None:
        self._statuses = Statuses()
        self._server_watchers: dict[str, set[asyncio.Event]] = {}

    async def Check(
        self, request: _health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> _health_pb2.HealthCheckResponse:
        """Answers the status of a service; NOT_FOUND if none was ever set."""
        response = self._statuses.of(request.service)
        if response is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return response

    async def List(
        self, request: _health_pb2.HealthListRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> _health_pb2.HealthListResponse:
        """Answers the status of every service; RESOURCE_EXHAUSTED if there are more than 100."""
        response = self._statuses.all()
        if response is None:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY)
        return response

    async def Watch(
        self, request: _health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[_health_pb2.HealthCheckResponse]:
        """Answers the status of a service, SERVICE_UNKNOWN if there is none, and then each change."""
        changed = asyncio.Event()
        self._server_watchers.setdefault(request.service, set()).add(changed)
        last = None
        try:
            while True:
                changed.clear()
                response = self._statuses.watched(request.service)
                if response != last:
                    yield response
                    last = response
                # What has changed while the response was on its way is seen in the next turn.
                await changed.wait()
        finally:
            watching = self._server_watchers[request.service]
            watching.discard(changed)
            if not watching:
                del self._server_watchers[request.service]

    async def set(self, service: str, status: _health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Sets the status of a service, and tells it those who watch.

        Args:
          service: its full name; "" for the server as a whole.
          status: a `HealthCheckResponse.ServingStatus`, for example `HealthCheckResponse.SERVING`.
        """
        self._tell(self._statuses.set(service, status))

    async def enter_graceful_shutdown(self) -> None:
        """Sets all services to NOT_SERVING, for good: what `set` says later is ignored."""
        self._tell(self._statuses.shut_down())

    def _tell(self, changes: dict[str, _health_pb2.HealthCheckResponse]) -> None:
        for service in changes:
            for changed in self._server_watchers.get(service, ()):
                changed.set()
