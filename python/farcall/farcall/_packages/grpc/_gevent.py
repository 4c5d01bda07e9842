"""The blocking hands under gevent: where a thread would wait, only the greenlet does.

gevent replaces what Python waits by, but the native module waits by itself. `install` puts classes in front of the
native ones that do each wait in a native thread of the hub, and bring what native threads have to say (new calls of a
server, ends of calls) back to greenlets of the hub. Threads without a hub wait as ever.
"""

from __future__ import annotations

import collections
import importlib
import time
import weakref
from collections.abc import Callable
from typing import Any

from farcall import _native

# So many greenlets of one hub may wait in the native module at once; a further one waits for its turn.
_MAX_WAITING = 1000

# How long a thread that nothing waits in is kept, in seconds.
_IDLE_SECONDS = 10.0

_LOCALLY_CANCELLED = 1, "Locally cancelled by application!"

# gevent, which is not everybody's. It has no types that a checker could hold us to.
_gevent: Any = None

_pools: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


def install() -> None:
    """Has channels and servers that are made from now on wait as greenlets do; ImportError without gevent."""
    global _gevent
    for name in ("monkey", "threadpool", "_hub_local"):
        importlib.import_module(f"gevent.{name}")
    _gevent = importlib.import_module("gevent")
    for wrapper in (Channel, Server, Handover):
        setattr(_native, wrapper.__name__, wrapper)


def _outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, BaseException | None]:
    # The pool would print an exception that it is let see.
    try:
        return function(*arguments), None
    except BaseException as exception:
        return None, exception


def _hub_to_wait_in() -> Any:
    """The hub of this thread, if the one who asks can leave it to other greenlets."""
    hub = _gevent._hub_local.get_hub_if_exists()
    return None if hub is None or _gevent.getcurrent() is hub else hub


def _pool_of(hub: Any) -> Any:
    pool = _pools.get(hub)
    if pool is None:
        pool = _pools[hub] = _gevent.threadpool.ThreadPool(_MAX_WAITING, hub, _IDLE_SECONDS)
    return pool


def _wait(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of the native module that may wait answers, or raises."""
    hub = _hub_to_wait_in()
    if hub is None:
        return function(*arguments)
    answer, exception = _pool_of(hub).apply(_outcome, (function, arguments))
    if exception is not None:
        raise exception
    return answer


class _Mailbox:
    """Has a hub call, in greenlets, what any thread posts. The hub does not end while it is open."""

    def __init__(self) -> None:
        # Not gevent's, which would have a native thread switch to greenlets that it does not have.
        self._lock = _gevent.monkey.get_original("_thread", "allocate_lock")()
        self._posted: collections.deque[tuple[Callable[..., object], tuple[Any, ...]]] = collections.deque()
        self._closing = False
        self._watcher: Any = _gevent.get_hub().loop.async_()
        self._watcher.start(self._deliver)

    def post(self, function: Callable[..., object], *arguments: Any) -> None:
        with self._lock:
            if self._watcher is not None:
                self._posted.append((function, arguments))
                self._watcher.send()

    def close(self) -> None:
        """Lets go of the hub once what has been posted is called; on any thread."""
        with self._lock:
            if self._watcher is not None:
                self._closing = True
                self._watcher.send()

    def _deliver(self) -> None:
        while self._posted:
            function, arguments = self._posted.popleft()
            _gevent.spawn(function, *arguments)
        with self._lock:
            if self._closing and not self._posted and self._watcher is not None:
                self._watcher.stop()
                self._watcher.close()
                self._watcher = None


class _Call:
    """A native call: what may wait in it.

    Native threads only wait until there is something; a greenlet takes it. So nothing is lost when one is killed,
    or out of its time, and greenlets that wait for the same share a thread.
    """

    __slots__ = ("_native", "_waiting")

    def __init__(self, native: Any) -> None:
        self._native = native
        # By what is waited for, and the hub that does.
        self._waiting: dict[tuple[str, int], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def _await(self, what: str, timeout: float | None = None) -> bool:
        """Waits with a method of the native call; whether it has come."""
        wait = getattr(self._native, what)
        if wait(0):
            return True
        hub = _hub_to_wait_in()
        if hub is None:
            return bool(wait(timeout))
        until = None if timeout is None else time.monotonic() + timeout
        key = what, id(hub)
        while True:
            waiting = self._waiting.get(key)
            if waiting is None or waiting.ready():
                waiting = self._waiting[key] = _pool_of(hub).spawn(_outcome, wait, (None,))
            waiting.wait(None if until is None else until - time.monotonic())
            if wait(0):
                return True
            if until is not None and until <= time.monotonic():
                return False

    def send(self, *arguments: Any) -> bool:
        self._await("await_room")
        sent: bool = self._native.send(*arguments)
        return sent

    def receive(self) -> bytes | None:
        self._await("await_message")
        message: bytes | None = self._native.receive()
        return message

    def add_done_callback(self, callback: Callable[[], object]) -> bool:
        """As the native one; the callback runs in a greenlet of this thread's hub if it has one."""
        if _hub_to_wait_in() is None:
            return bool(self._native.add_done_callback(callback))
        mailbox = _Mailbox()

        def post() -> None:
            mailbox.post(callback)
            mailbox.close()

        added: bool = self._native.add_done_callback(post)
        if not added:
            mailbox.close()
        return added


class ClientCall(_Call):
    """A call of a client."""

    __slots__ = ()

    def initial_metadata(self) -> Any:
        self._await("await_headers")
        return self._native.initial_metadata()

    def wait(self, timeout: float | None) -> bool:
        return self._await("wait", timeout)

    def requests(self) -> _Call:
        return _Call(self._native.requests())

    def call_back(self, callback: Callable[[], object]) -> None:
        """As the native one; in a greenlet of this thread's hub if it has one."""
        if _hub_to_wait_in() is None:
            self._native.call_back(callback)
        else:
            _gevent.spawn(callback)


class Channel:
    """A native channel."""

    def __init__(self, *arguments: Any) -> None:
        self._native = _NativeChannel(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def start_call(self, *arguments: Any) -> ClientCall:
        return ClientCall(self._native.start_call(*arguments))

    def start_unary(self, *arguments: Any) -> ClientCall:
        return ClientCall(self._native.start_unary(*arguments))

    def unary(
        self, method: str, request: bytes, metadata: Any, timeout: float | None, wait_for_ready: bool | None
    ) -> ClientCall:
        """The call when it is over. A greenlet that is killed, or out of its time, cancels it."""
        call = self.start_unary(method, request, metadata, timeout, wait_for_ready)
        try:
            call.wait(None)
        except BaseException:
            call.cancel(*_LOCALLY_CANCELLED)
            raise
        return call

    def wait_for_state_change(self, last: int, timeout: float | None) -> int:
        state: int = _wait(self._native.wait_for_state_change, last, timeout)
        return state


class Handover:
    """Where a thread of the pool would wait for further calls: a greenlet that did would hold up all the others."""

    def take(self) -> None:
        """None: there are none to be had here."""


class Server:
    """A native server, whose calls begin in greenlets of the hub that starts it."""

    def __init__(self, options: Any, handover: Handover | None = None) -> None:
        self._native = _NativeServer(options)
        self._mailbox: _Mailbox | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)

    def add_port(self, *arguments: Any) -> int:
        port: int = _wait(self._native.add_port, *arguments)
        return port

    def start(self, on_call: Callable[[Any], object]) -> None:
        mailbox = self._mailbox = _Mailbox()
        self._native.start(lambda call: mailbox.post(on_call, _Call(call)))

    def wait_idle(self, timeout: float | None) -> bool:
        return self._native.wait_idle(0) or bool(_wait(self._native.wait_idle, timeout))

    def stop(self) -> None:
        _wait(self._native.stop)
        mailbox, self._mailbox = self._mailbox, None
        if mailbox is not None:
            mailbox.close()


_NativeChannel = _native.Channel
_NativeServer = _native.Server
