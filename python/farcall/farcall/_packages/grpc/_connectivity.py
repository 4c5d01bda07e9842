"""Tells subscribers of a channel what its connection is doing."""

from __future__ import annotations

import threading
from collections.abc import Callable

from grpc import _common
from grpc._vocabulary import ChannelConnectivity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from farcall._native import Channel as NativeChannel

# How long a subscriber's thread may live on after it has been unsubscribed.
_CHECK_SECONDS = 0.2


class _Subscription:
    """One subscriber and the thread that waits and calls on its behalf."""

    __slots__ = ("_channel", "callback", "ended")

    def __init__(self, channel: NativeChannel, callback: Callable[[ChannelConnectivity], None]) -> None:
        self._channel = channel
        self.callback = callback
        self.ended = False

    def start(self, try_to_connect: bool) -> None:
        threading.Thread(target=self._run, args=(try_to_connect,), name="grpc-connectivity", daemon=True).start()

    def _run(self, try_to_connect: bool) -> None:
        channel = self._channel
        state = channel.state(try_to_connect)
        told = None
        while not self.ended:
            if state != told:
                told = state
                connectivity = _common.CONNECTIVITIES[state]
                _common.call_logging(self.callback, "Exception calling channel subscription callback!", connectivity)
                if connectivity is ChannelConnectivity.SHUTDOWN:
                    return
            state = channel.wait_for_state_change(told, _CHECK_SECONDS)


class Subscriptions:
    """The subscribers of one channel."""

    __slots__ = ("_lock", "_subscriptions")

    def __init__(self) -> None:
        # Taken again when the collector happens to run the end of a subscriber on a thread that has it.
        self._lock = threading.RLock()
        self._subscriptions: list[_Subscription] = []

    def add(
        self, channel: NativeChannel, callback: Callable[[ChannelConnectivity], None], try_to_connect: bool
    ) -> None:
        """Starts to tell `callback` the state now, and each change."""
        subscription = _Subscription(channel, callback)
        with self._lock:
            self._subscriptions.append(subscription)
        subscription.start(try_to_connect)

    def remove(self, callback: Callable[[ChannelConnectivity], None]) -> None:
        """Ends one subscription of `callback`, if there is one."""
        with self._lock:
            found = next((one for one in self._subscriptions if one.callback == callback and not one.ended), None)
            if found is not None:
                found.ended = True
                self._subscriptions = [one for one in self._subscriptions if not one.ended]

    def clear(self) -> None:
        """Ends all."""
        with self._lock:
            subscriptions, self._subscriptions = self._subscriptions, []
            for subscription in subscriptions:
                subscription.ended = True
