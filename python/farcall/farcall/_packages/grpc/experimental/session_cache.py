"""TLS sessions that channels resume, so that connecting again costs less."""

from __future__ import annotations

from typing import Any

from grpc._engine import native


def ssl_session_cache_lru(capacity: int) -> SSLSessionCache:
    """A cache for the sessions of `capacity` servers, as the value of the channel option `grpc.ssl_session_cache`."""
    return SSLSessionCache(native.SessionCache(capacity))


class SSLSessionCache:
    """A cache of TLS sessions. Channels resume those of the credentials that they share."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def __int__(self) -> int:
        return id(self._cache)
