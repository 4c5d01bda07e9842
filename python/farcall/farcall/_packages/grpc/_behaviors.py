"""Running handlers: one function for each kind of method, on a thread of the pool, each answering its own RPC."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from grpc import _common
from grpc._context import INTERNAL, _Context, _RequestIterator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import ServerCall

    from grpc._typing import SerializingFunction

_LOGGER = logging.getLogger("grpc._server")

UNIMPLEMENTED = 12

_NO_REQUEST = object()


def _unary_request(call: ServerCall, context: _Context, handler: Any) -> Any:
    """The only request of an RPC, or _NO_REQUEST when the RPC has been answered or is over."""
    data = call.receive()
    if data is None:
        if call.is_active():
            method = call.method.encode()
            context._end(UNIMPLEMENTED, f'"{method!r}" requires exactly one request message.')
        return _NO_REQUEST
    # One that comes later does no harm, and is not waited for.
    if call.received():
        context._end(UNIMPLEMENTED, f'"{call.method.encode()!r}" requires exactly one request message.')
        return _NO_REQUEST
    deserializer = handler.request_deserializer
    if deserializer is None:
        return data
    request = _common.deserialize(data, deserializer)
    if request is None:
        context._end(INTERNAL, "Exception deserializing request!")
        return _NO_REQUEST
    return request


def _serialized(context: _Context, response: Any, serializer: SerializingFunction | None) -> bytes | None:
    """The response as bytes, or None when the RPC has been answered because it has none."""
    data = _common.serialize(response, serializer)
    if type(data) is bytes:
        return data
    if isinstance(data, bytes):
        return bytes(data)
    if data is not None:
        _LOGGER.error("Responses must be bytes, not %s", type(data))
    context._fail(INTERNAL, "Failed to serialize response!")
    return None


def _answer(context: _Context, behavior: Callable[..., Any], argument: Any, handler: Any) -> None:
    """Runs a behavior that makes one response."""
    try:
        response = behavior(argument, context)
    # Also what is no Exception: the client waits for an answer, and the pool's thread lives on.
    except BaseException as exception:
        context._raised(exception, "calling application")
        return
    if context._answered:
        return
    data = _serialized(context, response, handler.response_serializer)
    if data is not None:
        context._finish(data)


def unary_unary(call: ServerCall, handler: Any) -> None:
    """Serves an RPC of one request and one response."""
    context = _Context(call)
    request = _unary_request(call, context, handler)
    if request is not _NO_REQUEST:
        _answer(context, handler.unary_unary, request, handler)


def stream_unary(call: ServerCall, handler: Any) -> None:
    """Serves an RPC of a stream of requests and one response."""
    if not call.is_active():
        return
    context = _Context(call)
    _answer(context, handler.stream_unary, _RequestIterator(context, handler.request_deserializer), handler)


def unary_stream(call: ServerCall, handler: Any) -> None:
    """Serves an RPC of one request and a stream of responses."""
    context = _Context(call)
    request = _unary_request(call, context, handler)
    if request is not _NO_REQUEST:
        _stream(context, handler.unary_stream, request, handler)


def stream_stream(call: ServerCall, handler: Any) -> None:
    """Serves an RPC of streams both ways."""
    if not call.is_active():
        return
    context = _Context(call)
    _stream(context, handler.stream_stream, _RequestIterator(context, handler.request_deserializer), handler)


def _stream(context: _Context, behavior: Callable[..., Any], argument: Any, handler: Any) -> None:
    """Runs a behavior that makes a stream of responses."""
    if getattr(behavior, "experimental_non_blocking", False):
        _stream_by_callback(context, behavior, argument, handler)
        return
    try:
        responses = behavior(argument, context)
    except BaseException as exception:
        context._raised(exception, "calling application")
        return
    _send_all(context, responses, handler.response_serializer)


def _send_all(context: _Context, responses: Iterator[Any], serializer: SerializingFunction | None) -> None:
    send = context._send
    while True:
        try:
            response = next(responses)
        except StopIteration:
            response = None
        except BaseException as exception:
            context._raised(exception, "iterating responses")
            return
        if context._answered:
            return
        if response is None:
            context._finish(None)
            return
        data = _serialized(context, response, serializer)
        if data is None:
            return
        if not send(data):
            return


def _stream_by_callback(context: _Context, behavior: Callable[..., Any], argument: Any, handler: Any) -> None:
    """Runs a behavior that hands its responses to a callback, from whichever thread; None ends the stream."""

    def send_response(response: Any) -> None:
        if context._answered or not context._call.is_active():
            return
        if response is None:
            context._finish(None)
            return
        data = _serialized(context, response, handler.response_serializer)
        if data is not None:
            context._send(data)

    try:
        behavior(argument, context, send_response)
    except BaseException as exception:
        context._raised(exception, "calling application")


def of(handler: Any) -> tuple[Callable[[Any, Any], None], Any]:
    """The function that serves a handler's RPCs, and the handler's own behavior."""
    if handler.request_streaming:
        if handler.response_streaming:
            return stream_stream, handler.stream_stream
        return stream_unary, handler.stream_unary
    if handler.response_streaming:
        return unary_stream, handler.unary_stream
    return unary_unary, handler.unary_unary
