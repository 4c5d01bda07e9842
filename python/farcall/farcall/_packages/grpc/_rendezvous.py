"""Calls of a client, while they go on and after: the objects that are Call, Future, iterator and exception at once.

The truth about a call is in the native ClientCall; these objects put names on it, turn bytes into messages and
remember the outcome. The threads and callables that make them are in `grpc._channel`.
"""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable

from grpc import _common
from grpc._client_api import Call, Future, RpcContext
from grpc._vocabulary import FutureCancelledError, FutureTimeoutError, RpcError, StatusCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, NoReturn

    from farcall._native import ClientCall

    from grpc._typing import DeserializingFunction, DoneCallbackType, Metadata, NullaryCallbackType

_LOGGER = logging.getLogger("grpc._channel")

CANCELLED, UNKNOWN, UNIMPLEMENTED, INTERNAL, UNAUTHENTICATED = 1, 2, 12, 13, 16

LOCALLY_CANCELLED = "Locally cancelled by application!"
GARBAGE_COLLECTED = "Cancelled upon garbage collection!"
BAD_REQUEST = "Exception serializing request!"
BAD_RESPONSE = "Exception deserializing response!"
BAD_ITERATOR = "Exception iterating requests!"
MORE_RESPONSES = "the server sent more than one response message"
INVALID_METADATA = "Invalid metadata"

# The debug strings of errors that were made on this side and not by the connection.
_LOCAL_DEBUG_STRINGS: dict[str, str | None] = {
    LOCALLY_CANCELLED: None,
    GARBAGE_COLLECTED: None,
    BAD_REQUEST: None,
    BAD_RESPONSE: None,
    BAD_ITERATOR: None,
    INVALID_METADATA: "",
}


class _RPCState:
    """The outcome of an RPC. (Programs' tests make them too, hence the order and `due`, which says nothing here.)"""

    __slots__ = (
        "cancelled",
        "code",
        "debug_error_string",
        "details",
        "initial_metadata",
        "trailing_metadata",
    )

    def __init__(
        self,
        due: Any,
        initial_metadata: Metadata | None,
        trailing_metadata: Metadata | None,
        code: StatusCode | None,
        details: str | None,
        debug_error_string: str | None = None,
        cancelled: bool = False,
    ) -> None:
        self.initial_metadata = initial_metadata
        self.trailing_metadata = trailing_metadata
        self.code = code
        self.details = details
        self.debug_error_string = debug_error_string
        self.cancelled = cancelled


def debug_string(number: int, details: str, from_server: bool) -> str | None:
    """What `debug_error_string()` answers for a call that has ended so."""
    if number == 0:
        return ""
    name = _common.STATUS_CODES[number].name
    debug = f"{name}:{details}" if details else name
    return debug if from_server else _LOCAL_DEBUG_STRINGS.get(details, debug)


def state_of(call: ClientCall | EndedCall) -> _RPCState:
    """The outcome of a call that is over."""
    status = call.status()
    assert status is not None, "asked for the outcome of a call that goes on"
    number, details, trailing_metadata, from_server = status
    return _RPCState(
        (),
        call.initial_metadata(),
        trailing_metadata,
        _common.STATUS_CODES[number],
        details,
        debug_string(number, details, from_server),
        number == CANCELLED and not from_server and details == LOCALLY_CANCELLED,
    )


def failed_state(number: int, details: str, cancelled: bool = False) -> _RPCState:
    """The outcome of an RPC that failed on this side."""
    return _RPCState((), (), (), _common.STATUS_CODES[number], details, None, cancelled)


def _nothing() -> None:
    """What a cancelled call receives, whatever had arrived."""


class EndedCall:
    """Stands in for a native ClientCall when an RPC has failed before there was one."""

    __slots__ = ("_code", "_details")

    def __init__(self, code: int, details: str) -> None:
        self._code = code
        self._details = details

    def receive(self) -> bytes | None:
        return None

    def initial_metadata(self) -> Metadata:
        return ()

    def wait(self, timeout: float | None) -> bool:
        return True

    def done(self) -> bool:
        return True

    def unread(self) -> int:
        return 0

    def status(self) -> tuple[int, str, Metadata, bool] | None:
        return self._code, self._details, (), False

    def call_back(self, callback: Callable[[], object]) -> None:
        callback()

    def cancel(self, code: int, details: str) -> bool:
        return False

    def add_done_callback(self, callback: Callable[[], object]) -> bool:
        return False

    def time_remaining(self) -> float | None:
        return None


def _report(name: str, state: _RPCState | None) -> str:
    if state is None or state.code is None:
        return f"<{name} object>"
    lines = f'\n\tstatus = {state.code}\n\tdetails = "{state.details}"'
    if state.code is not StatusCode.OK:
        lines += f'\n\tdebug_error_string = "{state.debug_error_string}"'
    return f"<{name} of RPC that terminated with:{lines}\n>"


def _traceback_of(error: BaseException) -> TracebackType | None:
    try:
        raise error
    except BaseException:
        return sys.exc_info()[2]


class _InactiveRpcError(RpcError, Call, Future):
    """What a blocking call raises. The RPC is over, so nothing here waits."""

    __module__ = "grpc._channel"

    def __init__(self, state: _RPCState | str) -> None:
        if isinstance(state, str):
            # `type(error)("text")`: programs make errors of the class of another.
            state = _RPCState((), (), (), StatusCode.UNKNOWN, state)
        # A copy, so that the error does not change with its source.
        self._state = _RPCState(
            (),
            state.initial_metadata,
            state.trailing_metadata,
            state.code,
            _common.decode(state.details or ""),
            getattr(state, "debug_error_string", None),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._state,)

    def initial_metadata(self) -> Any:
        return self._state.initial_metadata

    def trailing_metadata(self) -> Any:
        return self._state.trailing_metadata

    def code(self) -> Any:
        return self._state.code

    def details(self) -> str:
        return _common.decode(self._state.details or "")

    def debug_error_string(self) -> str | None:
        """More about the error, for debugging: "CODE:details"; None when it was made on this side."""
        return self._state.debug_error_string

    def __repr__(self) -> str:
        return _report(type(self).__name__, self._state)

    def __str__(self) -> str:
        return self.__repr__()

    def is_active(self) -> bool:
        return False

    def time_remaining(self) -> float | None:
        return None

    def add_callback(self, callback: NullaryCallbackType) -> bool:
        return False

    def cancel(self) -> bool:
        return False

    def cancelled(self) -> bool:
        return False

    def running(self) -> bool:
        return False

    def done(self) -> bool:
        return True

    def result(self, timeout: float | None = None) -> NoReturn:
        raise self

    def exception(self, timeout: float | None = None) -> _InactiveRpcError:
        return self

    def traceback(self, timeout: float | None = None) -> TracebackType | None:
        return _traceback_of(self)

    def add_done_callback(self, fn: DoneCallbackType, timeout: float | None = None) -> None:
        fn(self)


class _Rendezvous(RpcError, RpcContext):
    """A call in progress, as far as it is an iterator and an exception."""

    __module__ = "grpc._channel"

    def __init__(
        self,
        call: ClientCall | EndedCall | str,
        response_deserializer: DeserializingFunction | None = None,
        response_streaming: bool = False,
    ) -> None:
        if isinstance(call, str):
            # `type(error)("text")`: programs make errors of the class of another.
            call = EndedCall(UNKNOWN, call)
        self._call = call
        self._receive: Callable[[], bytes | None] = call.receive
        self._response_deserializer = response_deserializer
        self._response_streaming = response_streaming
        self._lock = threading.Lock()
        # Both are known once the call is over and somebody asked.
        self._state: _RPCState | None = None
        self._response: Any = None
        # Responses that nobody will read are left.
        self._gave_up = False
        # Of a stream of responses: what to call once they are read, and whether it is given the call.
        self._callbacks: list[tuple[Callable[..., object], bool]] = []
        self._watched = False

    def _settled(self) -> _RPCState:
        """The outcome of the call, which is over."""
        if self._state is None:
            with self._lock:
                if self._state is None:
                    self._state = self._conclude()
        return self._state

    def _conclude(self) -> _RPCState:
        state = state_of(self._call)
        if self._response_streaming or state.code is not StatusCode.OK:
            return state
        message = self._receive()
        if message is not None:
            if self._receive() is not None:
                return failed_state(UNIMPLEMENTED, MORE_RESPONSES)
            self._response = _common.deserialize(message, self._response_deserializer)
            if self._response is None:
                return failed_state(INTERNAL, BAD_RESPONSE)
        return state

    def _is_over(self) -> bool:
        """Whether the call is over for whoever reads it: responses that wait to be read keep it going."""
        call = self._call
        return call.done() and (not self._response_streaming or self._gave_up or call.unread() == 0)

    def _call_when_over(self, callback: Callable[..., object], with_call: bool) -> bool:
        """Has `callback` called once the call is over for its reader; False, and nothing, if it is."""
        if not self._response_streaming:
            return self._call.add_done_callback(functools.partial(self._call_back, callback, with_call))
        with self._lock:
            if self._is_over():
                return False
            self._callbacks.append((callback, with_call))
            watched, self._watched = self._watched, True
        # As long as the call goes on this keeps its object: programs do not all keep a future that they have given a
        # callback.
        if not watched and not self._call.add_done_callback(self._call_back_if_over):
            self._call_back_soon()
        return True

    def _call_back(self, callback: Callable[..., object], with_call: bool) -> None:
        _common.call_logging(callback, "Exception calling callback!", *((self,) if with_call else ()))

    def _call_back_if_over(self) -> None:
        with self._lock:
            if not self._is_over():
                return
            callbacks, self._callbacks = self._callbacks, []
        for callback, with_call in callbacks:
            self._call_back(callback, with_call)

    def _call_back_soon(self) -> None:
        """Runs the callbacks where callbacks run, if the call is over by now."""
        if self._callbacks and self._is_over():
            self._call.call_back(self._call_back_if_over)

    def is_active(self) -> bool:
        return not self._is_over()

    def time_remaining(self) -> float | None:
        return self._call.time_remaining()

    def cancel(self) -> bool:
        if not self._call.cancel(CANCELLED, LOCALLY_CANCELLED):
            # The server may have ended the call, but whoever reads a stream does not know before it is read.
            if not self._response_streaming:
                return False
            with self._lock:
                if self._state is not None or self._is_over():
                    return False
                self._state = failed_state(CANCELLED, LOCALLY_CANCELLED, cancelled=True)
                self._gave_up = True
        self._receive = _nothing
        self._call_back_soon()
        return True

    def add_callback(self, callback: NullaryCallbackType) -> bool:
        return self._call_when_over(callback, False)

    def __iter__(self) -> _Rendezvous:
        return self

    def __next__(self) -> Any:
        message = self._receive()
        if self._callbacks:
            self._call_back_soon()
        if message is None:
            self._end()
        deserializer = self._response_deserializer
        if deserializer is None:
            return message
        response = _common.deserialize(message, deserializer)
        if response is None:
            self._call.cancel(INTERNAL, BAD_RESPONSE)
            # Also when the server had ended the call with OK by then.
            with self._lock:
                self._state = failed_state(INTERNAL, BAD_RESPONSE)
                self._gave_up = True
            self._receive = _nothing
            self._call_back_soon()
            raise self
        return response

    def next(self) -> Any:
        """The next response."""
        return self.__next__()

    def _end(self) -> NoReturn:
        if self._settled().code is StatusCode.OK:
            raise StopIteration()
        raise self

    def debug_error_string(self) -> str | None:
        """More about the error, for debugging: "CODE:details"; None when it was made on this side. Waits."""
        self._call.wait(None)
        return self._settled().debug_error_string

    def __repr__(self) -> str:
        return _report(type(self).__name__, self._settled() if self._is_over() else None)

    def __str__(self) -> str:
        return self.__repr__()

    def __reduce__(self) -> tuple[Any, ...]:
        """What travels, or is a copy, is a record of how the call ended."""
        if not self._call.done():
            raise TypeError("an RPC that goes on can be neither pickled nor copied")
        return _InactiveRpcError, (self._settled(),)

    def __del__(self) -> None:
        if getattr(self, "_watched", None) is None:
            return
        # Credentials that have not answered may keep the native call alive, so it would not cancel itself.
        if self._state is None:
            self._call.cancel(CANCELLED, GARBAGE_COLLECTED)
        self._gave_up = True
        self._call_back_soon()


class _MultiThreadedRendezvous(_Rendezvous, Call, Future):
    """A call in progress: Call, Future, iterator over responses, and the exception it may raise.

    Any thread may use any of it.
    """

    __module__ = "grpc._channel"

    def initial_metadata(self) -> Metadata:
        return self._call.initial_metadata()

    def trailing_metadata(self) -> Any:
        self._call.wait(None)
        return self._settled().trailing_metadata

    def code(self) -> Any:
        self._call.wait(None)
        return self._settled().code

    def details(self) -> Any:
        self._call.wait(None)
        return self._settled().details

    def cancelled(self) -> bool:
        return self.done() and self._settled().cancelled

    def running(self) -> bool:
        return not self._is_over()

    def done(self) -> bool:
        return self._is_over()

    def _finished(self, timeout: float | None) -> _RPCState:
        """Waits for the end.

        Raises:
          FutureTimeoutError: the time is up.
          FutureCancelledError: the call was cancelled on this side.
        """
        if not self._call.wait(timeout):
            raise FutureTimeoutError()
        state = self._settled()
        if state.cancelled:
            raise FutureCancelledError()
        return state

    def result(self, timeout: float | None = None) -> Any:
        """Waits for the end and answers the response (None for a stream of responses), or raises this object."""
        if self._finished(timeout).code is StatusCode.OK:
            return self._response
        raise self

    def exception(self, timeout: float | None = None) -> Any:
        return None if self._finished(timeout).code is StatusCode.OK else self

    def traceback(self, timeout: float | None = None) -> Any:
        return None if self._finished(timeout).code is StatusCode.OK else _traceback_of(self)

    def add_done_callback(self, fn: DoneCallbackType) -> None:
        if not self._call_when_over(fn, True):
            fn(self)


class _SingleThreadedRendezvous(_MultiThreadedRendezvous):
    """A stream of responses read by one thread: what would have to wait for the end of the call raises instead.

    Timeouts mean nothing, as nothing waits.
    """

    __module__ = "grpc._channel"

    def _demand_end(self, complaint: str) -> None:
        if not self._is_over():
            from grpc.experimental import UsageError

            raise UsageError(complaint)

    def trailing_metadata(self) -> Any:
        self._demand_end("Cannot get trailing metadata until RPC is completed.")
        return super().trailing_metadata()

    def code(self) -> Any:
        self._demand_end("Cannot get code until RPC is completed.")
        return super().code()

    def details(self) -> Any:
        self._demand_end("Cannot get details until RPC is completed.")
        return super().details()

    def debug_error_string(self) -> str | None:
        self._demand_end("Cannot get debug error string until RPC is completed.")
        return super().debug_error_string()

    def result(self, timeout: float | None = None) -> Any:
        self._demand_end("_SingleThreadedRendezvous only supports result() when the RPC is complete.")
        return super().result()

    def exception(self, timeout: float | None = None) -> Any:
        self._demand_end("_SingleThreadedRendezvous only supports exception() when the RPC is complete.")
        return super().exception()

    def traceback(self, timeout: float | None = None) -> Any:
        self._demand_end("_SingleThreadedRendezvous only supports traceback() when the RPC is complete.")
        return super().traceback()
