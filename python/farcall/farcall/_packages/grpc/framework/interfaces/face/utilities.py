"""Method implementations, made of functions."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

from grpc.framework.common import cardinality, style
from grpc.framework.interfaces.face import face


class _MethodImplementation(
    face.MethodImplementation,
    collections.namedtuple(
        "_MethodImplementation",
        (
            "cardinality",
            "style",
            "unary_unary_inline",
            "unary_stream_inline",
            "stream_unary_inline",
            "stream_stream_inline",
            "unary_unary_event",
            "unary_stream_event",
            "stream_unary_event",
            "stream_stream_event",
        ),
        defaults=(None, None, None, None, None, None, None, None),
    ),
):
    """A MethodImplementation as a named tuple."""


def _implementation(name: str, kind: style.Service, behavior: Callable[..., Any]) -> face.MethodImplementation:
    return _MethodImplementation(cardinality.Cardinality[name.upper()], kind, **{f"{name}_{kind.value}": behavior})


def unary_unary_inline(behavior: Callable[[Any, face.ServicerContext], Any]) -> face.MethodImplementation:
    """`behavior(request, context)` answers the response."""
    return _implementation("unary_unary", style.Service.INLINE, behavior)


def unary_stream_inline(behavior: Callable[[Any, face.ServicerContext], Any]) -> face.MethodImplementation:
    """`behavior(request, context)` answers an iterator of responses."""
    return _implementation("unary_stream", style.Service.INLINE, behavior)


def stream_unary_inline(behavior: Callable[[Any, face.ServicerContext], Any]) -> face.MethodImplementation:
    """`behavior(request_iterator, context)` answers the response."""
    return _implementation("stream_unary", style.Service.INLINE, behavior)


def stream_stream_inline(behavior: Callable[[Any, face.ServicerContext], Any]) -> face.MethodImplementation:
    """`behavior(request_iterator, context)` answers an iterator of responses."""
    return _implementation("stream_stream", style.Service.INLINE, behavior)


def unary_unary_event(behavior: Callable[[Any, Any, face.ServicerContext], Any]) -> face.MethodImplementation:
    """`behavior(request, response_callback, context)` has the callback called with the response, some time."""
    return _implementation("unary_unary", style.Service.EVENT, behavior)


def unary_stream_event(behavior: Callable[[Any, Any, face.ServicerContext], Any]) -> face.MethodImplementation:
    """`behavior(request, response_consumer, context)` passes responses to a stream.Consumer."""
    return _implementation("unary_stream", style.Service.EVENT, behavior)


def stream_unary_event(behavior: Callable[[Any, face.ServicerContext], Any]) -> face.MethodImplementation:
    """`behavior(response_callback, context)` answers a stream.Consumer of requests."""
    return _implementation("stream_unary", style.Service.EVENT, behavior)


def stream_stream_event(behavior: Callable[[Any, face.ServicerContext], Any]) -> face.MethodImplementation:
    """`behavior(response_consumer, context)` answers a stream.Consumer of requests."""
    return _implementation("stream_stream", style.Service.EVENT, behavior)
