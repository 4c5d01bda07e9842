"""Rich errors: a `google.rpc.Status` goes with the trailing metadata of an RPC.

On the server:

    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.QuotaFailure(...))
    context.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=code_pb2.RESOURCE_EXHAUSTED, message="...", details=[detail]))
    )

On the client, from an error or a call: `status = rpc_status.from_call(error)`; for calls of `grpc.aio`,
`status = await rpc_status.aio.from_call(call)`. The messages are of the package googleapis-common-protos.
"""

from __future__ import annotations

import collections

import grpc
from google.rpc import status_pb2

from grpc_status import _async as aio
from grpc_status._common import GRPC_DETAILS_METADATA_KEY, code_to_grpc_status_code, rich_status

__all__ = ["aio", "from_call", "to_status"]


class _Status(collections.namedtuple("_Status", ("code", "details", "trailing_metadata")), grpc.Status):
    """What `to_status` makes."""


def from_call(call: grpc.Call) -> status_pb2.Status | None:
    """The status that came with an RPC.

    Args:
      call: a `grpc.Call`, which the errors of blocking calls are too. If the RPC is not over, this waits.

    Returns:
      The `google.rpc.Status`; None if there is none.

    Raises:
      ValueError: it says something else than the code and details of the RPC.
    """
    return rich_status(call.trailing_metadata(), call.code(), call.details())


def to_status(status: status_pb2.Status) -> grpc.Status:
    """A `google.rpc.Status` as what `ServicerContext.abort_with_status` takes.

    Raises:
      ValueError: there is no such code.
    """
    metadata = ((GRPC_DETAILS_METADATA_KEY, status.SerializeToString()),)
    return _Status(code_to_grpc_status_code(status.code), status.message, metadata)
