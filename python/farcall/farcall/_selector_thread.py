"""Watches descriptors for event loops that cannot (Windows' proactor): a thread that selects, one for each such loop.

The native module asks for it when a loop's `add_reader` raises NotImplementedError. Callbacks run on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import socket
import threading
import weakref
from collections.abc import Callable

_watchers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, SelectorThread] = weakref.WeakKeyDictionary()


def of(event_loop: asyncio.AbstractEventLoop) -> SelectorThread:
    """What watches for this loop."""
    watcher = _watchers.get(event_loop)
    if watcher is None:
        watcher = _watchers[event_loop] = SelectorThread(event_loop)
    return watcher


class SelectorThread:
    """`add_reader` and its relatives. A descriptor that is ready is not looked at again before its callback has run."""

    def __init__(self, event_loop: asyncio.AbstractEventLoop) -> None:
        self._event_loop = weakref.ref(event_loop)
        self._lock = threading.Lock()
        self._wanted: dict[int, dict[int, Callable[[], object]]] = {}
        # Told and not yet run.
        self._told: set[tuple[int, int]] = set()
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)
        self._running = False

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        """Has `callback()` run on the loop whenever there is something to read."""
        self._add(fd, selectors.EVENT_READ, callback)

    def add_writer(self, fd: int, callback: Callable[[], object]) -> None:
        """Has `callback()` run on the loop whenever there is room to write."""
        self._add(fd, selectors.EVENT_WRITE, callback)

    def remove_reader(self, fd: int) -> bool:
        """Ends that."""
        return self._remove(fd, selectors.EVENT_READ)

    def remove_writer(self, fd: int) -> bool:
        """Ends that."""
        return self._remove(fd, selectors.EVENT_WRITE)

    def _add(self, fd: int, event: int, callback: Callable[[], object]) -> None:
        with self._lock:
            self._wanted.setdefault(fd, {})[event] = callback
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="farcall-selector", daemon=True).start()
        self._wake()

    def _remove(self, fd: int, event: int) -> bool:
        with self._lock:
            events = self._wanted.get(fd, {})
            known = events.pop(event, None) is not None
            if not events:
                self._wanted.pop(fd, None)
        self._wake()
        return known

    def _wake(self) -> None:
        # It is awake already if there is no room.
        with contextlib.suppress(BlockingIOError):
            self._waker.send(b"\0")

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._wanted:
                    self._running = False
                    return
                selector = selectors.DefaultSelector()
                selector.register(self._woken, selectors.EVENT_READ)
                for fd, events in self._wanted.items():
                    mask = sum(event for event in events if (fd, event) not in self._told)
                    if mask:
                        with contextlib.suppress(OSError, ValueError):
                            selector.register(fd, mask)
            with selector:
                ready = [(key.fd, mask) for key, mask in selector.select() if key.fileobj is not self._woken]
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            for fd, mask in ready:
                for event in (selectors.EVENT_READ, selectors.EVENT_WRITE):
                    if mask & event and not self._tell(fd, event):
                        return

    def _tell(self, fd: int, event: int) -> bool:
        """Has the loop run a callback; whether the loop is still there."""
        event_loop = self._event_loop()
        if event_loop is None:
            return False
        with self._lock:
            self._told.add((fd, event))
        try:
            event_loop.call_soon_threadsafe(self._call, fd, event)
        except RuntimeError:
            # It is closed.
            return False
        return True

    def _call(self, fd: int, event: int) -> None:
        with self._lock:
            callback = self._wanted.get(fd, {}).get(event)
            self._told.discard((fd, event))
        try:
            if callback is not None:
                callback()
        finally:
            self._wake()
