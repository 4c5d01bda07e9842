"""The error that calls of `grpc.aio` end with."""

from __future__ import annotations

from typing import Any

import grpc
from grpc.aio._metadata import Metadata


class AioRpcError(grpc.RpcError):
    """An RPC of a client did not end with OK. It is a record of how it ended: nothing waits."""

    def __init__(
        self,
        code: grpc.StatusCode,
        initial_metadata: Metadata | None = None,
        trailing_metadata: Metadata | None = None,
        details: str | None = None,
        debug_error_string: str | None = None,
    ) -> None:
        super().__init__()
        self._code = code
        self._initial_metadata = initial_metadata
        self._trailing_metadata = trailing_metadata
        self._details = details
        self._debug_error_string = debug_error_string

    def code(self) -> grpc.StatusCode:
        """How the RPC ended."""
        return self._code

    def details(self) -> str | None:
        """What was said about how it ended, for people to read."""
        return self._details

    def initial_metadata(self) -> Metadata | None:
        """The metadata the server sent first."""
        return self._initial_metadata

    def trailing_metadata(self) -> Metadata | None:
        """The metadata the server sent with the status."""
        return self._trailing_metadata

    def debug_error_string(self) -> str | None:
        """What was said about the error for those who look for its cause."""
        return self._debug_error_string

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} of RPC that terminated with:\n"
            f"\tstatus = {self._code}\n"
            f'\tdetails = "{self._details}"\n'
            f'\tdebug_error_string = "{self._debug_error_string}"\n>'
        )

    __str__ = __repr__

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self._code,
            self._initial_metadata,
            self._trailing_metadata,
            self._details,
            self._debug_error_string,
        )
