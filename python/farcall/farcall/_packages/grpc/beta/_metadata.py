"""Metadata of the beta API: keys and values are bytes. What comes in may be str as well."""

from __future__ import annotations

import collections
from collections.abc import Iterable
from typing import Any

_Metadatum = collections.namedtuple("_Metadatum", ("key", "value"))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _metadatum(key: str | bytes, value: str | bytes) -> _Metadatum:
    name = key.decode() if isinstance(key, bytes) else key
    if not name.endswith("-bin") and isinstance(value, bytes):
        return _Metadatum(name, value.decode())
    return _Metadatum(name, value)


def beta(metadata: Iterable[tuple[Any, Any]] | None) -> tuple[_Metadatum, ...]:
    """Metadata as the beta API has them."""
    return tuple(_Metadatum(_bytes(key), _bytes(value)) for key, value in metadata or ())


def unbeta(beta_metadata: Iterable[tuple[Any, Any]] | None) -> tuple[_Metadatum, ...]:
    """Metadata of the beta API as `grpc` has them."""
    return tuple(_metadatum(key, value) for key, value in beta_metadata or ())
