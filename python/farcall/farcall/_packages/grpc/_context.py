"""What a handler holds of its RPC: the context and, for streams, the requests."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from grpc import _common, _compression, _credentials
from grpc._server_api import ServicerContext
from grpc._vocabulary import RpcError, StatusCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import ServerCall

    from grpc._typing import DeserializingFunction, Metadata, MetadataToSend, NullaryCallbackType
    from grpc._vocabulary import Compression, Status

_LOGGER = logging.getLogger("grpc._server")

CANCELLED, UNKNOWN, INTERNAL = 1, 2, 13

# The answer of `time_remaining` when there is no deadline; programs compare it with numbers.
_NO_DEADLINE = float(2**63 - 1)


class _Context(ServicerContext):
    """The context of one RPC over its native call."""

    __module__ = "grpc._server"

    __slots__ = (
        "_aborted",
        "_answered",
        "_call",
        "_code",
        "_compress",
        "_details",
        "_initial_metadata_allowed",
        "_trailing_metadata",
    )

    def __init__(self, call: ServerCall) -> None:
        self._call = call
        self._code: Any = None
        # Whether the next message may be compressed.
        self._compress = True
        self._details: bytes | None = None
        self._trailing_metadata: Any = None
        self._aborted = False
        self._answered = False
        self._initial_metadata_allowed = True

    # What the handler does with it.

    def is_active(self) -> bool:
        return self._call.is_active()

    def time_remaining(self) -> float:
        remaining = self._call.time_remaining()
        return _NO_DEADLINE if remaining is None else remaining

    def cancel(self) -> None:
        self._call.cancel(CANCELLED, "CANCELLED")

    def add_callback(self, callback: NullaryCallbackType) -> bool:
        return self._call.add_done_callback(
            functools.partial(_common.call_logging, callback, "Exception calling callback!")
        )

    def disable_next_message_compression(self) -> None:
        self._compress = False

    def set_compression(self, compression: Compression) -> None:
        self._call.set_compression(_compression.number(compression))

    def invocation_metadata(self) -> Metadata:
        return self._call.metadata()

    def peer(self) -> str:
        return self._call.peer()

    def peer_identities(self) -> Sequence[bytes] | None:
        return _credentials.peer_identities(self._call.auth_context())

    def peer_identity_key(self) -> str | None:
        return _credentials.peer_identity_key(self._call.auth_context())

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        return self._call.auth_context()

    def send_initial_metadata(self, initial_metadata: MetadataToSend) -> None:
        if not self._initial_metadata_allowed:
            if not self._call.is_active():
                self._raise_gone()
            raise ValueError("Initial metadata no longer allowed!")
        pairs = _common.metadata_pairs(initial_metadata)
        self._initial_metadata_allowed = False
        try:
            sent = self._call.send_initial_metadata(pairs)
        except ValueError:
            # The client hears of it; the handler does not, as with grpcio.
            _LOGGER.error("Initial metadata of %s may not be sent: %r", self._call.method, pairs)
            self._end(INTERNAL, "Invalid metadata")
            return
        if not sent:
            self._raise_gone()

    def set_trailing_metadata(self, trailing_metadata: MetadataToSend) -> None:
        self._trailing_metadata = trailing_metadata

    def trailing_metadata(self) -> Any:
        return self._trailing_metadata

    def abort(self, code: StatusCode, details: str) -> NoReturn:
        if code == StatusCode.OK:
            _LOGGER.error("abort() called with StatusCode.OK; returning UNKNOWN")
            code = StatusCode.UNKNOWN
            details = ""
        self._details = _common.encode_details(details)
        self._code = code
        self._aborted = True
        abortion = Exception()
        abortion._aborted_on = self._call  # type: ignore[attr-defined]
        raise abortion

    def abort_with_status(self, status: Status) -> NoReturn:
        self._trailing_metadata = status.trailing_metadata
        self.abort(status.code, status.details)

    def set_code(self, code: StatusCode) -> None:
        self._code = code

    def code(self) -> Any:
        return self._code

    def set_details(self, details: str) -> None:
        self._details = _common.encode_details(details)

    def details(self) -> bytes | None:
        return self._details

    @property
    def _state(self) -> _RPCState:
        return _RPCState(self)

    # What the server does with it.

    def _raise_gone(self) -> NoReturn:
        error = RpcError()
        # On the error and not here: several threads may work on one RPC.
        error._gone_from = self._call  # type: ignore[attr-defined]
        raise error

    def _send(self, message: bytes) -> bool:
        """Sends one message of a stream; whether the client is still there."""
        self._initial_metadata_allowed = False
        compress, self._compress = self._compress, True
        return self._call.send(message, compress)

    def _end(self, code: int, details: str, message: bytes | None = None) -> None:
        """Answers with a status and the trailing metadata."""
        self._answered = True
        trailing: Any = ()
        try:
            if self._trailing_metadata is not None:
                trailing = _common.metadata_pairs(self._trailing_metadata)
            self._call.finish(code, details, trailing, message, self._compress)
        except (TypeError, ValueError):
            _LOGGER.exception("Trailing metadata of %s may not be sent", self._call.method)
            self._call.finish(INTERNAL, "Invalid metadata", ())

    def _finish(self, message: bytes | None) -> None:
        """Answers as the handler has asked for; OK when it has not."""
        code = self._code
        if code is None and self._trailing_metadata is None:
            # Most RPCs; the other ways would end here too.
            self._answered = True
            self._call.finish(0, "", (), message, self._compress)
        elif code is None or code is StatusCode.OK:
            self._end(0, "", message)
        else:
            details = _common.decode(self._details) if self._details is not None else ""
            self._end(_common.status_number(code), details, message)

    def _fail(self, code: int, details: str) -> None:
        """Answers with an error; what code and details the handler had set come before these."""
        if self._code is not None and self._code is not StatusCode.OK:
            code = _common.status_number(self._code)
        if self._details is not None:
            details = _common.decode(self._details)
        self._end(code, details)

    def _raised(self, exception: BaseException, doing: str) -> None:
        """Answers for a handler that raised; to be called while the exception is handled."""
        if self._aborted:
            if getattr(exception, "_aborted_on", None) is not self._call:
                # The client hears of the abort all the same; whoever reads the log, of this.
                _LOGGER.exception("Exception %s after the RPC was aborted", doing)
            self._fail(UNKNOWN, "RPC Aborted")
            return
        if getattr(exception, "_gone_from", None) is self._call:
            # The client has gone, which is why the handler raised.
            return
        try:
            details = f"Exception {doing}: {exception}"
        except Exception:
            details = f"{doing[0].upper()}{doing[1:]} raised unprintable Exception!"
        _LOGGER.exception(details)
        self._fail(UNKNOWN, details)


class _RPCState:
    """An RPC as grpcio keeps it, to be read: interceptors of packages look here for the code that a handler has set."""

    __module__ = "grpc._server"

    __slots__ = ("_context",)

    def __init__(self, context: _Context) -> None:
        self._context = context

    @property
    def client(self) -> str:
        """ "cancelled" once the client is gone or the call has failed, else "open"."""
        gone = not self._context._answered and not self._context.is_active()
        return "cancelled" if gone else "open"

    @property
    def code(self) -> Any:
        return self._context._code

    @property
    def details(self) -> bytes | None:
        return self._context._details

    @property
    def trailing_metadata(self) -> Any:
        return self._context._trailing_metadata

    @property
    def aborted(self) -> bool:
        return self._context._aborted

    @property
    def statused(self) -> bool:
        return self._context._answered

    @property
    def initial_metadata_allowed(self) -> bool:
        return self._context._initial_metadata_allowed


class _RequestIterator(Iterator[Any]):
    """The requests of a stream. Raises a bare RpcError when the client has gone."""

    __slots__ = ("_context", "_deserializer", "_receive")

    def __init__(self, context: _Context, deserializer: DeserializingFunction | None) -> None:
        self._context = context
        self._receive: Callable[[], bytes | None] = context._call.receive
        self._deserializer = deserializer

    def __iter__(self) -> _RequestIterator:
        return self

    def __next__(self) -> Any:
        context = self._context
        if context._answered:
            raise StopIteration()
        message = self._receive()
        if message is None:
            if context._answered or context._call.is_active():
                raise StopIteration()
            context._raise_gone()
        if self._deserializer is None:
            return message
        request = _common.deserialize(message, self._deserializer)
        if request is None:
            context._fail(INTERNAL, "Exception deserializing request!")
            raise StopIteration()
        return request

    def next(self) -> Any:
        """The next request."""
        return self.__next__()
