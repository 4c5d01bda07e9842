"""Parts of the API that may change, and calls without a channel of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from grpc._experimental import ExperimentalApiWarning
from grpc._experimental import experimental_api as experimental_api
from grpc._simple_stubs import (
    insecure_channel_credentials,
    stream_stream,
    stream_unary,
    unary_stream,
    unary_unary,
)


def __getattr__(name: str) -> Any:
    if name == "aio":
        import importlib

        return importlib.import_module("grpc.experimental.aio")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class ChannelOptions:
    """Channel options that only the Python API knows."""

    #: Have response streams without a thread behind them.
    SingleThreadedUnaryStream = "SingleThreadedUnaryStream"


class UsageError(Exception):
    """An object was used in a way its state does not allow."""


def wrap_server_method_handler(wrapper: Callable[[Callable[..., Any]], Callable[..., Any]], handler: Any) -> Any:
    """The handler with its behavior replaced by `wrapper(behavior)`; None for None.

    Args:
      wrapper: takes the behavior and answers one with the same arguments.
      handler: an RpcMethodHandler made by the functions of this package.
    """
    if not handler:
        return None
    kind = (
        ("stream" if handler.request_streaming else "unary")
        + "_"
        + ("stream" if handler.response_streaming else "unary")
    )
    return handler._replace(**{kind: wrapper(getattr(handler, kind))})


def ssl_channel_credentials_with_custom_signer(
    *,
    private_key_sign_fn: Any,
    root_certificates: bytes | None = None,
    certificate_chain: bytes,
) -> grpc.ChannelCredentials:
    """Channel credentials for TLS whose private key is used by `private_key_sign_fn` only."""
    raise NotImplementedError(
        "ssl_channel_credentials_with_custom_signer (TLS) is not available in this release of farcall"
    )


__all__ = (
    "ChannelOptions",
    "ExperimentalApiWarning",
    "UsageError",
    "insecure_channel_credentials",
    "ssl_channel_credentials_with_custom_signer",
    "stream_stream",
    "stream_unary",
    "unary_stream",
    "unary_unary",
    "wrap_server_method_handler",
)
