"""What the servicers of reflection, blocking and asyncio, have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grpc_reflection._answers import Answers
from grpc_reflection.v1alpha import reflection_pb2 as _reflection_pb2
from grpc_reflection.v1alpha import reflection_pb2_grpc as _reflection_pb2_grpc

__all__ = ["BaseReflectionServicer"]


class BaseReflectionServicer(_reflection_pb2_grpc.ServerReflectionServicer):
    """Knows what to answer."""

    def __init__(self, service_names: Iterable[str], pool: Any = None) -> None:
        """Makes a servicer.

        Args:
          service_names: the full names of the services to tell of.
          pool: the DescriptorPool to look in; None for the default one, which has all generated modules loaded so far.
        """
        self._answers = Answers(service_names, pool)

    def _answer(self, request: _reflection_pb2.ServerReflectionRequest) -> _reflection_pb2.ServerReflectionResponse:
        return _reflection_pb2.ServerReflectionResponse(
            valid_host=request.host, original_request=request, **self._answers.to(request)
        )
