"""An echo service on the native module alone: what `grpc` is built on, without `grpc`."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from echo import Echo
from farcall import _native


@pytest.fixture
def echo() -> Iterator[Echo]:
    with ThreadPoolExecutor(32) as pool:
        server = Echo(pool)
        try:
            yield server
        finally:
            server.end()


@pytest.fixture
def channel(echo: Echo) -> Iterator[_native.Channel]:
    channel = _native.Channel(echo.target, [])
    yield channel
    channel.close("Channel closed!")
