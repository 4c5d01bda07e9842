"""How many messages an RPC has each way."""

from __future__ import annotations

import enum


@enum.unique
class Cardinality(enum.Enum):
    """The four kinds of RPC methods."""

    UNARY_UNARY = "request-unary/response-unary"
    UNARY_STREAM = "request-unary/response-streaming"
    STREAM_UNARY = "request-streaming/response-unary"
    STREAM_STREAM = "request-streaming/response-streaming"
