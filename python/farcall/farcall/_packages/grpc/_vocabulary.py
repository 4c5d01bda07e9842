"""The words of an RPC: status codes, connectivity states, and the exceptions everything else raises.

They belong to the package `grpc` (and say so in `__module__`, which pickles and tracebacks show).
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from grpc._typing import Metadata


class StatusCode(enum.Enum):
    """How an RPC ended. The value is the number on the wire and its lower-case words."""

    __module__ = "grpc"

    OK = (0, "ok")
    CANCELLED = (1, "cancelled")
    UNKNOWN = (2, "unknown")
    INVALID_ARGUMENT = (3, "invalid argument")
    DEADLINE_EXCEEDED = (4, "deadline exceeded")
    NOT_FOUND = (5, "not found")
    ALREADY_EXISTS = (6, "already exists")
    PERMISSION_DENIED = (7, "permission denied")
    RESOURCE_EXHAUSTED = (8, "resource exhausted")
    FAILED_PRECONDITION = (9, "failed precondition")
    ABORTED = (10, "aborted")
    OUT_OF_RANGE = (11, "out of range")
    UNIMPLEMENTED = (12, "unimplemented")
    INTERNAL = (13, "internal")
    UNAVAILABLE = (14, "unavailable")
    DATA_LOSS = (15, "data loss")
    UNAUTHENTICATED = (16, "unauthenticated")


class ChannelConnectivity(enum.Enum):
    """What a channel is doing about its connection. SHUTDOWN is final."""

    __module__ = "grpc"

    IDLE = (0, "idle")
    CONNECTING = (1, "connecting")
    READY = (2, "ready")
    TRANSIENT_FAILURE = (3, "transient failure")
    SHUTDOWN = (4, "shutdown")


class Compression(enum.IntEnum):
    """How messages are compressed on the wire."""

    __module__ = "grpc"

    NoCompression = 0
    Deflate = 1
    Gzip = 2


class LocalConnectionType(enum.Enum):
    """The kinds of connection that local credentials vouch for."""

    __module__ = "grpc"

    UDS = 0
    LOCAL_TCP = 1


class RpcError(Exception):
    """An RPC failed.

    What a client's blocking call raises is also a `grpc.Call`, so `code()`, `details()` and the metadata can be
    asked of it. In a handler a bare RpcError says that the client has gone.
    """

    __module__ = "grpc"

    if TYPE_CHECKING:
        # Every error of a call has them, so type checkers allow `except grpc.RpcError as error: error.code()`.
        def code(self) -> StatusCode:
            """How the RPC ended."""

        def details(self) -> str | None:
            """What was said about how it ended, for people to read."""


class FutureTimeoutError(Exception):
    """The time given to a method of a Future ran out; the RPC goes on."""

    __module__ = "grpc"


class FutureCancelledError(Exception):
    """The value of a Future was asked for that had been cancelled on this side."""

    __module__ = "grpc"


class Status(abc.ABC):
    """A status to end an RPC with, for `ServicerContext.abort_with_status`.

    Attributes:
      code: a StatusCode.
      details: a str for people to read.
      trailing_metadata: the metadata that goes with it.
    """

    __module__ = "grpc"

    code: StatusCode
    details: str
    trailing_metadata: Metadata | Sequence[tuple[str, str | bytes]] | None
