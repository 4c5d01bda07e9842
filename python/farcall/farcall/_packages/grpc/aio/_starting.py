"""How a call of a client begins: its credentials, its compression."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from grpc import _common, _plugin_wrapping
from grpc._cython.cygrpc import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import AioChannel, AioClientCall

    from grpc._plugin_wrapping import CallSecurity

#: The key under which an intercepted call tells the call inside it how to compress.
COMPRESSION_KEY = "grpc-internal-encoding-request"
_COMPRESSIONS = {"identity": 0, "deflate": 1, "gzip": 2}


def start(
    channel: AioChannel | SecuredChannel,
    method: str,
    request: bytes | None,
    pairs: Any,
    timeout: float | None,
    credentials: grpc.CallCredentials | None,
    wait_for_ready: bool | None,
    compression: int | None,
) -> AioClientCall:
    """The native call.

    Raises:
      UsageError: the channel is closed, or credentials were given although it is insecure.
    """
    try:
        if isinstance(channel, SecuredChannel):
            return channel.start(method, request, pairs, timeout, credentials, wait_for_ready, compression)
        if credentials is not None:
            raise UsageError("Call credentials are only valid on secure channels")
        return channel.start(method, request, pairs, timeout, wait_for_ready, compression)
    except ValueError as error:
        raise UsageError(str(error)) from None


class SecuredChannel:
    """A native channel with what its credentials mean to its calls."""

    __slots__ = ("_native", "_security")

    def __init__(self, native: AioChannel, security: CallSecurity) -> None:
        self._native = native
        self._security = security

    def start(
        self,
        method: str,
        request: bytes | None,
        pairs: Any,
        timeout: float | None,
        credentials: grpc.CallCredentials | None,
        wait_for_ready: bool | None,
        compression: int | None,
    ) -> AioClientCall:
        """The native call, which goes out once its credentials are there."""

        def begin(pairs: Any, held: bool) -> AioClientCall:
            return self._native.start(method, request, pairs, timeout, wait_for_ready, compression, held)

        security = self._security
        if security.refusal is not None:
            call = begin(pairs, True)
            call.cancel(*security.refusal)
            return call
        plugins = security.plugins_for(credentials)
        fixed = _plugin_wrapping.fixed(plugins)
        if fixed is not None:
            return begin([*(pairs or ()), *fixed] if fixed else pairs, False)
        call = begin(pairs, True)
        event_loop = asyncio.get_running_loop()
        proceed = _plugin_wrapping.proceeding(call)

        def answer(metadata: Sequence[tuple[str, Any]], failed: str | None) -> None:
            # A loop that is closed has no call to go on with.
            with contextlib.suppress(RuntimeError):
                event_loop.call_soon_threadsafe(proceed, metadata, failed)

        security.ask(plugins, method, answer)
        return call


def split_compression(metadata: Iterable[Any] | None) -> tuple[Any, int | None]:
    """Metadata as the native module takes them, and what an intercepted call has hidden among them."""
    if not metadata:
        return None, None
    pairs = _common.metadata_pairs(metadata)
    for pair in pairs:
        if pair[0] == COMPRESSION_KEY:
            return [other for other in pairs if other[0] != COMPRESSION_KEY], _COMPRESSIONS.get(str(pair[1]))
    return pairs, None
