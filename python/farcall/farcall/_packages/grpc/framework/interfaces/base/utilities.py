"""Values of the base interface."""

from __future__ import annotations

import collections
from typing import Any

from grpc.framework.interfaces.base import base


class _Completion(base.Completion, collections.namedtuple("_Completion", ("terminal_metadata", "code", "message"))):
    """A Completion as a named tuple."""


class _Subscription(
    base.Subscription,
    collections.namedtuple(
        "_Subscription", ("kind", "termination_callback", "allowance", "operator", "protocol_receiver")
    ),
):
    """A Subscription as a named tuple."""


def completion(terminal_metadata: Any, code: Any, message: Any) -> base.Completion:
    """The end of one side's part of an operation."""
    return _Completion(terminal_metadata, code, message)


def full_subscription(operator: base.Operator, protocol_receiver: base.ProtocolReceiver) -> base.Subscription:
    """A Subscription of kind FULL."""
    return _Subscription(base.Subscription.Kind.FULL, None, None, operator, protocol_receiver)
