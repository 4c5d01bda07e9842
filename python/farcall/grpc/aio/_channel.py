"""Channels of `grpc.aio`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
from grpc.aio import _base_channel
from grpc.aio._interceptor import ClientInterceptor


def insecure_channel(
    target: str,
    options: Sequence[tuple[str, Any]] | None = None,
    compression: grpc.Compression | None = None,
    interceptors: Sequence[ClientInterceptor] | None = None,
) -> _base_channel.Channel:
    """A channel in plain text. It connects when it is first used."""
    raise NotImplementedError("grpc.aio.insecure_channel is not available in this release of farcall")


def secure_channel(
    target: str,
    credentials: grpc.ChannelCredentials,
    options: Sequence[tuple[str, Any]] | None = None,
    compression: grpc.Compression | None = None,
    interceptors: Sequence[ClientInterceptor] | None = None,
) -> _base_channel.Channel:
    """As `insecure_channel`, with credentials."""
    raise NotImplementedError("grpc.aio.secure_channel is not available in this release of farcall")
