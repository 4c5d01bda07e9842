"""Between `google.rpc.Status` and how an RPC ended."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.rpc import status_pb2

_CODE_TO_GRPC_CODE_MAPPING = {code.value[0]: code for code in grpc.StatusCode}

#: The key of the trailing metadata that hold a `google.rpc.Status`.
GRPC_DETAILS_METADATA_KEY = "grpc-status-details-bin"


def code_to_grpc_status_code(code: int) -> grpc.StatusCode:
    """The status code of a number.

    Raises:
      ValueError: there is none.
    """
    try:
        return _CODE_TO_GRPC_CODE_MAPPING[code]
    except KeyError:
        raise ValueError(f"Invalid status code {code}") from None


def rich_status(
    trailing_metadata: Iterable[tuple[str, str | bytes]] | None, code: grpc.StatusCode, details: str | None
) -> status_pb2.Status | None:
    """The status that trailing metadata hold; None if they hold none.

    Raises:
      ValueError: it says something else than the code and details of the RPC.
    """
    for key, value in trailing_metadata or ():
        if key == GRPC_DETAILS_METADATA_KEY:
            status = status_pb2.Status.FromString(value)
            if code.value[0] != status.code:
                raise ValueError(
                    f"Code in Status proto ({code_to_grpc_status_code(status.code)}) doesn't match status code ({code})"
                )
            if details != status.message:
                raise ValueError(f"Message in Status proto ({status.message}) doesn't match status details ({details})")
            return status
    return None
