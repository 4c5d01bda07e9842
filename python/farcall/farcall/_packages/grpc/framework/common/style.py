"""How control flows in the implementation of an RPC method."""

from __future__ import annotations

import enum


@enum.unique
class Service(enum.Enum):
    """INLINE: the implementation returns its response or responses. EVENT: it passes them to a callback or consumer."""

    INLINE = "inline"
    EVENT = "event"
