"""What interceptors get for an RPC that is over: an object that is a Call and a Future."""

from __future__ import annotations

from typing import Any, NoReturn

from grpc._client_api import Call, Future
from grpc._vocabulary import RpcError, StatusCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from grpc._typing import DoneCallbackType, Metadata, NullaryCallbackType


class _FailureOutcome(RpcError, Future, Call):
    """The outcome of an RPC whose interceptor raised: a failed Call whose result raises that exception."""

    __module__ = "grpc._interceptor"

    def __init__(self, exception: Exception | str, traceback: TracebackType | None = None) -> None:
        super().__init__()
        # `type(error)("text")`: programs make errors of the class of another.
        self._exception = RpcError(exception) if isinstance(exception, str) else exception
        self._traceback = traceback

    def __reduce__(self) -> tuple[Any, ...]:
        # Tracebacks do not travel.
        return type(self), (self._exception,)

    def initial_metadata(self) -> Any:
        return None

    def trailing_metadata(self) -> Any:
        return None

    def code(self) -> StatusCode:
        return StatusCode.INTERNAL

    def details(self) -> str:
        return "Exception raised while intercepting the RPC"

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float | None:
        return None

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, ignored_timeout: float | None = None) -> NoReturn:
        raise self._exception

    def exception(self, ignored_timeout: float | None = None) -> Exception:
        return self._exception

    def traceback(self, ignored_timeout: float | None = None) -> TracebackType | None:
        return self._traceback

    def add_callback(self, unused_callback: NullaryCallbackType) -> bool:
        return False

    def add_done_callback(self, fn: DoneCallbackType) -> None:
        fn(self)

    def __iter__(self) -> _FailureOutcome:
        return self

    def __next__(self) -> NoReturn:
        raise self._exception

    def next(self) -> NoReturn:
        """Raises what the interceptor raised."""
        raise self._exception


class _UnaryOutcome(Call, Future):
    """The outcome of an RPC that an interceptor sees to have ended OK."""

    __module__ = "grpc._interceptor"

    def __init__(self, response: Any, call: Call) -> None:
        self._response = response
        self._call = call

    def initial_metadata(self) -> Metadata:
        return self._call.initial_metadata()

    def trailing_metadata(self) -> Metadata:
        return self._call.trailing_metadata()

    def code(self) -> StatusCode:
        return self._call.code()

    def details(self) -> str:
        return self._call.details()

    def is_active(self) -> bool:
        return self._call.is_active()

    def time_remaining(self) -> float | None:
        return self._call.time_remaining()

    def cancel(self) -> bool:
        return bool(self._call.cancel())

    def add_callback(self, callback: NullaryCallbackType) -> bool:
        return self._call.add_callback(callback)

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, ignored_timeout: float | None = None) -> Any:
        return self._response

    def exception(self, ignored_timeout: float | None = None) -> None:
        return None

    def traceback(self, ignored_timeout: float | None = None) -> None:
        return None

    def add_done_callback(self, fn: DoneCallbackType) -> None:
        fn(self)
