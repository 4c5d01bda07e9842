"""The health service: whether this server, and each of its services, serves.

    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    servicer.set("package.Service", health_pb2.HealthCheckResponse.SERVING)

`health.aio.HealthServicer` is the one for servers of `grpc.aio`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc

from grpc_health.v1 import _async as aio
from grpc_health.v1 import health_pb2 as _health_pb2
from grpc_health.v1 import health_pb2_grpc as _health_pb2_grpc
from grpc_health.v1._statuses import OVERALL_HEALTH, TOO_MANY, Statuses

__all__ = ["OVERALL_HEALTH", "SERVICE_NAME", "HealthServicer", "aio"]

#: The name of the health service, for reflection.
SERVICE_NAME = _health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class _Watcher:
    """The changes of one service's status, as an iterator that waits for them. Only the latest counts."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._response: _health_pb2.HealthCheckResponse | None = None
        self._open = True

    def __iter__(self) -> _Watcher:
        return self

    def __next__(self) -> _health_pb2.HealthCheckResponse:
        with self._condition:
            while self._response is None and self._open:
                self._condition.wait()
            response, self._response = self._response, None
            if response is None:
                raise StopIteration
            return response

    def add(self, response: _health_pb2.HealthCheckResponse | None) -> None:
        """Lets the iterator go on with a response; None ends it."""
        with self._condition:
            if response is None:
                self._open = False
            else:
                self._response = response
            self._condition.notify()


class HealthServicer(_health_pb2_grpc.HealthServicer):
    """Answers for the health of services, as the application sets it. May be used from any thread.

    The server itself, which is the service named "", serves from the start.
    """

    def __init__(
        self,
        experimental_non_blocking: bool = True,
        experimental_thread_pool: futures.ThreadPoolExecutor | None = None,
    ) -> None:
        """Makes a servicer.

        Args:
          experimental_non_blocking: whether those who watch a service hold no thread of the server's pool.
          experimental_thread_pool: a pool to use instead of the server's for calls of Watch.
        """
        # Changes and what is sent of them are in the same order; a callback may come back in.
        self._lock = threading.RLock()
        self._statuses = Statuses()
        self._send_response_callbacks: dict[str, set[Callable[[Any], None]]] = {}
        # Attributes of this servicer's own Watch, and not of the class: another may have other ones.
        watch = functools.partial(self.Watch)
        watch.experimental_non_blocking = experimental_non_blocking  # type: ignore[attr-defined]
        watch.experimental_thread_pool = experimental_thread_pool  # type: ignore[attr-defined]
        self.Watch = watch  # type: ignore[method-assign]

    def Check(
        self, request: _health_pb2.HealthCheckRequest, context: grpc.ServicerContext
    ) -> _health_pb2.HealthCheckResponse:
        """Answers the status of a service; NOT_FOUND if none was ever set."""
        with self._lock:
            response = self._statuses.of(request.service)
        if response is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return _health_pb2.HealthCheckResponse()
        return response

    def List(
        self, request: _health_pb2.HealthListRequest, context: grpc.ServicerContext
    ) -> _health_pb2.HealthListResponse:
        """Answers the status of every service; RESOURCE_EXHAUSTED if there are more than 100."""
        with self._lock:
            response = self._statuses.all()
        if response is None:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, TOO_MANY)
        return response

    def Watch(
        self,
        request: _health_pb2.HealthCheckRequest,
        context: grpc.ServicerContext,
        send_response_callback: Callable[[Any], None] | None = None,
    ) -> Iterator[_health_pb2.HealthCheckResponse] | None:
        """Answers the status of a service, SERVICE_UNKNOWN if there is none, and then each change."""
        watcher = None if send_response_callback else _Watcher()
        send = send_response_callback or watcher.add  # type: ignore[union-attr]
        with self._lock:
            send(self._statuses.watched(request.service))
            self._send_response_callbacks.setdefault(request.service, set()).add(send)
        over = functools.partial(self._on_close_callback, send, request.service)
        if not context.add_callback(over):
            over()
        return watcher

    def _on_close_callback(self, send_response_callback: Callable[[Any], None], service: str) -> None:
        with self._lock:
            watching = self._send_response_callbacks.get(service, set())
            watching.discard(send_response_callback)
            if not watching:
                self._send_response_callbacks.pop(service, None)
        send_response_callback(None)

    def set(self, service: str, status: _health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Sets the status of a service, and tells it those who watch.

        Args:
          service: its full name; "" for the server as a whole.
          status: a `HealthCheckResponse.ServingStatus`, for example `HealthCheckResponse.SERVING`.
        """
        with self._lock:
            self._tell(self._statuses.set(service, status))

    def enter_graceful_shutdown(self) -> None:
        """Sets all services to NOT_SERVING, for good: what `set` says later is ignored."""
        with self._lock:
            self._tell(self._statuses.shut_down())

    def _tell(self, changes: dict[str, _health_pb2.HealthCheckResponse]) -> None:
        for service, response in changes.items():
            for send in tuple(self._send_response_callbacks.get(service, ())):
                send(response)
