"""The double of a server: the test plays the client."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

import grpc

import grpc_testing
from grpc_testing._rpc import Rpc

_LOGGER = logging.getLogger(__name__)

# What a real server's context answers when there is no deadline.
_NO_DEADLINE = float(2**63 - 1)


class _Aborted(Exception):
    """Leaves a handler that has aborted its RPC."""


class _Context(grpc.ServicerContext):
    """The context of an RPC in the system under test."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
        self._code: grpc.StatusCode | None = None
        self._details: str | None = None
        self._trailing_metadata: Any = ()
        self._aborted = False

    def is_active(self) -> bool:
        return self._rpc.end is None

    def time_remaining(self) -> float:
        remaining = self._rpc.time_remaining()
        return _NO_DEADLINE if remaining is None else remaining

    def cancel(self) -> None:
        self._rpc.finish(grpc.StatusCode.CANCELLED, "Cancelled by server-side application!", self._trailing_metadata)

    def add_callback(self, callback: Callable[[], Any]) -> bool:
        return self._rpc.add_callback(callback)

    def invocation_metadata(self) -> Any:
        return self._rpc.invocation_metadata

    def peer(self) -> str:
        return "unix:grpc_testing"

    def peer_identities(self) -> None:
        return None

    def peer_identity_key(self) -> None:
        return None

    def auth_context(self) -> dict[str, list[bytes]]:
        return {}

    def set_compression(self, compression: grpc.Compression) -> None:
        pass

    def disable_next_message_compression(self) -> None:
        pass

    def send_initial_metadata(self, initial_metadata: Any) -> None:
        if not self._rpc.send_initial_metadata(initial_metadata):
            raise ValueError("ServicerContext.send_initial_metadata called too late!")

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._trailing_metadata = trailing_metadata

    def trailing_metadata(self) -> Any:
        return self._trailing_metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def code(self) -> grpc.StatusCode | None:
        return self._code

    def set_details(self, details: str) -> None:
        self._details = details

    def details(self) -> bytes | None:
        return None if self._details is None else self._details.encode()

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        self._aborted = True
        if code is grpc.StatusCode.OK:
            _LOGGER.error("abort() called with StatusCode.OK; returning UNKNOWN")
            code, details = grpc.StatusCode.UNKNOWN, ""
        self._code, self._details = code, details
        raise _Aborted()

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._trailing_metadata = status.trailing_metadata
        self.abort(status.code, status.details)

    # Said by the server, when the handler is done.

    def returned(self, response: Any = None) -> None:
        code = self._code or grpc.StatusCode.OK
        if response is not None and not self._aborted:
            self._rpc.send_response(response)
        self._rpc.finish(code, self._details or "", self._trailing_metadata)

    def raised(self, exception: BaseException) -> None:
        if not self._aborted and self.is_active():
            _LOGGER.exception("Exception calling application!")
            self._code = self._code or grpc.StatusCode.UNKNOWN
            self._details = self._details or f"Exception calling application: {exception}"
        self.returned()


class _Requests:
    """The requests of an RPC, as its handler gets them."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return self._rpc.take_request()
        except EOFError:
            if self._rpc.end is None:
                raise StopIteration from None
        raise grpc.RpcError()


def _serve(behavior: Callable[[Any, Any], Any], argument: Any, context: _Context, streams: bool) -> None:
    """Runs a handler to its end."""
    try:
        answer = behavior(argument, context)
        if not streams:
            context.returned(answer)
            return
        while context.is_active():
            try:
                response = next(answer)
            except StopIteration:
                break
            context._rpc.send_response(response)
        else:
            close = getattr(answer, "close", None)
            if close is not None:
                close()
        context.returned()
    except BaseException as exception:  # Whatever it is, the client has an answer.
        context.raised(exception)


class _ServerRpc(grpc_testing.UnaryUnaryServerRpc, grpc_testing.StreamUnaryServerRpc):
    """An RPC as the test sees it that plays the client, for methods with one response."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def initial_metadata(self) -> Any:
        return self._rpc.initial_metadata()

    def send_request(self, request: Any) -> None:
        self._rpc.add_request(request)

    def requests_closed(self) -> None:
        self._rpc.close_requests()

    def cancel(self) -> None:
        self._rpc.cancel("Cancelled by client!")

    def termination(self) -> tuple[Any, Any, grpc.StatusCode, str]:
        status = _status(self._rpc)
        return (self._rpc.last_response(), *status)


class _StreamServerRpc(grpc_testing.UnaryStreamServerRpc, grpc_testing.StreamStreamServerRpc):
    """As _ServerRpc, for methods with a stream of responses."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    initial_metadata = _ServerRpc.initial_metadata
    send_request = _ServerRpc.send_request
    requests_closed = _ServerRpc.requests_closed
    cancel = _ServerRpc.cancel

    def take_response(self) -> Any:
        try:
            return self._rpc.take_response()
        except EOFError:
            raise ValueError("No more responses!") from None

    def termination(self) -> tuple[Any, grpc.StatusCode, str]:
        return _status(self._rpc)


def _status(rpc: Rpc) -> tuple[Any, grpc.StatusCode, str]:
    end = rpc.wait()
    assert end is not None, "waiting without a limit ends with the RPC"
    return end.trailing_metadata, end.code, end.details


class TestingServer(grpc_testing.Server):
    """Runs handlers, each in a thread of its own, on RPCs that the test invokes."""

    __test__ = False  # Not a test, whatever its name says.

    def __init__(self, descriptors_to_servicers: Mapping[Any, Any], time: grpc_testing.Time) -> None:
        self._servicers = {descriptor.full_name: servicer for descriptor, servicer in descriptors_to_servicers.items()}
        self._time = time

    def _invoke(self, method: Any, metadata: Any, timeout: float | None, streams: bool, *request: Any) -> Rpc:
        try:
            servicer = self._servicers[method.containing_service.full_name]
        except KeyError:
            raise KeyError(f"no servicer was given for {method.containing_service.full_name}") from None
        rpc = Rpc(metadata, timeout, self._time)
        behavior = getattr(servicer, method.name, None)
        if behavior is None:
            rpc.finish(grpc.StatusCode.UNIMPLEMENTED, "Method not found!", ())
            return rpc
        argument = request[0] if request else _Requests(rpc)
        arguments = (behavior, argument, _Context(rpc), streams)
        threading.Thread(target=_serve, args=arguments, name="grpc_testing handler", daemon=True).start()
        return rpc

    def invoke_unary_unary(
        self, method_descriptor: Any, invocation_metadata: Any, request: Any, timeout: float | None
    ) -> grpc_testing.UnaryUnaryServerRpc:
        return _ServerRpc(self._invoke(method_descriptor, invocation_metadata, timeout, False, request))

    def invoke_unary_stream(
        self, method_descriptor: Any, invocation_metadata: Any, request: Any, timeout: float | None
    ) -> grpc_testing.UnaryStreamServerRpc:
        return _StreamServerRpc(self._invoke(method_descriptor, invocation_metadata, timeout, True, request))

    def invoke_stream_unary(
        self, method_descriptor: Any, invocation_metadata: Any, timeout: float | None
    ) -> grpc_testing.StreamUnaryServerRpc:
        return _ServerRpc(self._invoke(method_descriptor, invocation_metadata, timeout, False))

    def invoke_stream_stream(
        self, method_descriptor: Any, invocation_metadata: Any, timeout: float | None
    ) -> grpc_testing.StreamStreamServerRpc:
        return _StreamServerRpc(self._invoke(method_descriptor, invocation_metadata, timeout, True))
