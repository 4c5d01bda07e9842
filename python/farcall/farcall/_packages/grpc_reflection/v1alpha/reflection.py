"""Reflection: a server tells its services and their messages, so that tools need no `.proto` files.

    reflection.enable_server_reflection(["package.Service", reflection.SERVICE_NAME], server)

`reflection.aio.ReflectionServicer` is the one for servers of `grpc.aio`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import grpc

from grpc_reflection.v1alpha import _async as aio
from grpc_reflection.v1alpha import reflection_pb2 as _reflection_pb2
from grpc_reflection.v1alpha import reflection_pb2_grpc as _reflection_pb2_grpc
from grpc_reflection.v1alpha._base import BaseReflectionServicer

__all__ = ["SERVICE_NAME", "ReflectionServicer", "aio", "enable_server_reflection"]

#: The name of the reflection service.
SERVICE_NAME = _reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"].full_name


class ReflectionServicer(BaseReflectionServicer):
    """Tells the services of a server and what their messages are."""

    def ServerReflectionInfo(
        self, request_iterator: Iterator[_reflection_pb2.ServerReflectionRequest], context: grpc.ServicerContext
    ) -> Iterator[_reflection_pb2.ServerReflectionResponse]:
        """Answers one response to each request."""
        for request in request_iterator:
            yield self._answer(request)


def enable_server_reflection(
    service_names: Iterable[str], server: grpc.Server | grpc.aio.Server, pool: Any = None
) -> None:
    """Adds reflection to a server that is not started.

    Args:
      service_names: the full names of the services to tell of, this one's included if it shall be.
      server: a server of `grpc` or of `grpc.aio`.
      pool: the DescriptorPool to look in; None for the default one.
    """
    kind = aio.ReflectionServicer if isinstance(server, grpc.aio.Server) else ReflectionServicer
    _reflection_pb2_grpc.add_ServerReflectionServicer_to_server(kind(service_names, pool=pool), server)
