"""The base interface: operations between a front end and a back end. Nothing here implements it."""

from __future__ import annotations

import abc
import enum
from collections.abc import Callable
from typing import Any


class NoSuchMethodError(Exception):
    """An operation was asked for that the servicer does not have.

    Attributes:
      code: a code for the other side, or None.
      details: words for the other side, or None.
    """

    def __init__(self, code: Any, details: Any) -> None:
        super().__init__(code, details)
        self.code = code
        self.details = details


class Outcome:
    """How an operation ended.

    Attributes:
      kind: a Kind.
      code: a code of the application, or None.
      details: words of the application, or None.
    """

    @enum.unique
    class Kind(enum.Enum):
        """The ways an operation can end."""

        COMPLETED = "completed"
        CANCELLED = "cancelled"
        EXPIRED = "expired"
        LOCAL_SHUTDOWN = "local shutdown"
        REMOTE_SHUTDOWN = "remote shutdown"
        RECEPTION_FAILURE = "reception failure"
        TRANSMISSION_FAILURE = "transmission failure"
        LOCAL_FAILURE = "local failure"
        REMOTE_FAILURE = "remote failure"


class Completion(abc.ABC):  # noqa: B024
    """The end of one side's part of an operation.

    Attributes:
      terminal_metadata: metadata for the other side, or None.
      code: a code for the other side, or None.
      message: words for the other side, or None.
    """


class OperationContext(abc.ABC):
    """An operation in progress."""

    @abc.abstractmethod
    def outcome(self) -> Outcome | None:
        """How it ended; None if it has not."""
        raise NotImplementedError()

    @abc.abstractmethod
    def add_termination_callback(self, callback: Callable[[Outcome], Any]) -> Outcome | None:
        """Has `callback(outcome)` called at the end; answers the outcome instead if that has come."""
        raise NotImplementedError()

    @abc.abstractmethod
    def time_remaining(self) -> float:
        """The seconds left to the operation."""
        raise NotImplementedError()

    @abc.abstractmethod
    def cancel(self) -> None:
        """Cancels it."""
        raise NotImplementedError()

    @abc.abstractmethod
    def fail(self, exception: Exception) -> None:
        """Says that it has failed on this side."""
        raise NotImplementedError()


class Operator(abc.ABC):
    """Takes part in an operation."""

    @abc.abstractmethod
    def advance(
        self,
        initial_metadata: Any = None,
        payload: Any = None,
        completion: Completion | None = None,
        allowance: Any = None,
    ) -> None:
        """Takes a step: metadata, a payload, the completion, an allowance to send more."""
        raise NotImplementedError()


class ProtocolReceiver(abc.ABC):
    """Takes what a protocol has to say of itself."""

    @abc.abstractmethod
    def context(self, protocol_context: Any) -> None:
        """Takes the protocol's context for an operation."""
        raise NotImplementedError()


class Subscription(abc.ABC):  # noqa: B024
    """What somebody wants to learn of an operation.

    Attributes:
      kind: a Kind.
      termination_callback: called with the outcome, for TERMINATION_ONLY.
      allowance: called with how many more payloads may be sent, unless FULL.
      operator: an Operator, for FULL.
      protocol_receiver: a ProtocolReceiver, for FULL.
    """

    @enum.unique
    class Kind(enum.Enum):
        """How much somebody wants to learn."""

        NONE = "none"
        TERMINATION_ONLY = "termination only"
        FULL = "full"


class Servicer(abc.ABC):
    """Serves operations."""

    @abc.abstractmethod
    def service(self, group: str, method: str, context: OperationContext, output_operator: Operator) -> Subscription:
        """Serves one operation. Raises NoSuchMethodError."""
        raise NotImplementedError()


class End(abc.ABC):
    """One end of operations."""

    @abc.abstractmethod
    def start(self) -> None:
        """Begins."""
        raise NotImplementedError()

    @abc.abstractmethod
    def stop(self, grace: float) -> Any:
        """Stops after some seconds at most; answers an event that is set then."""
        raise NotImplementedError()

    @abc.abstractmethod
    def operate(
        self,
        group: str,
        method: str,
        subscription: Subscription,
        timeout: float,
        initial_metadata: Any = None,
        payload: Any = None,
        completion: Completion | None = None,
        protocol_options: Any = None,
    ) -> tuple[OperationContext, Operator]:
        """Begins an operation."""
        raise NotImplementedError()

    @abc.abstractmethod
    def operation_stats(self) -> Any:
        """How many operations have ended, by the kind of their outcome."""
        raise NotImplementedError()

    @abc.abstractmethod
    def add_idle_action(self, action: Callable[[], Any]) -> None:
        """Has `action()` called when no operation is in progress."""
        raise NotImplementedError()
