"""Rich errors of calls of `grpc.aio`."""

from __future__ import annotations

import grpc
from google.rpc import status_pb2

from grpc_status._common import rich_status

__all__ = ["from_call"]


async def from_call(call: grpc.aio.Call) -> status_pb2.Status | None:
    """The status that came with an RPC, once it is over.

    Args:
      call: a call of `grpc.aio`.

    Returns:
      The `google.rpc.Status`; None if there is none.

    Raises:
      ValueError: it says something else than the code and details of the RPC.
    """
    return rich_status(await call.trailing_metadata(), await call.code(), await call.details())
