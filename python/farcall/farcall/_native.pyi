"""The native module of the farcall wheel: bytes in, bytes out, no decisions about Python types.

Everything here is private. `grpc` is the public face and is written on top of this.
Every method that waits releases the interpreter while it waits, wakes at least every 100 ms to run signal
handlers when called on the main thread, and lets their exception (KeyboardInterrupt) out.

Metadata goes in as any sequence of (key, value) pairs and comes out as a tuple of `Metadatum(key, value)`
with str values, bytes for keys that end in "-bin".
Codes are ints 0..16. Timeouts are seconds; None and anything too large to count are "no limit"; negative, zero
and NaN are "already over".

The face checks types (str keys without bytes values, except bytes for "-bin"; bytes messages); what characters
metadata may hold is decided here: a call with metadata that may not be sent ends with INTERNAL "Invalid metadata".
Callbacks handed in never raise.
"""

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextvars import Context
from typing import Any, Literal

Metadata = tuple[tuple[str, str | bytes], ...]
Pairs = Sequence[tuple[str, str | bytes]]

def configure(metadatum: type) -> None:
    """Tells the module the (key, value) namedtuple class that received metadata is made of."""

def trace(tracer: Callable[[str], object], topics: Sequence[str]) -> None:
    """Has what is traced under these names ("call", "connectivity_state", "http") given to `tracer(line)`."""

def memory_budget() -> tuple[int, int, int]:
    """What servers and channels without a budget of their own may have of messages together, in bytes; what they have;
    and what they have and may still get."""

def option_table() -> list[tuple[str, str, str, str]]:
    """The options of channels and servers: key, "int", "str" or "object", "channel", "server" or "both", and why
    it changes nothing here, "" when it does change something."""

def channelz() -> list[tuple[int, str, int, str, int, int, list[int], str]]:
    """The process's channels, servers, connections and listeners, as `grpc._channelz` names their columns."""

def watched() -> list[int]:
    """How much the reactor of the process's blocking clients looks after: connections, timers, connections that may
    soon rest. For tests: what is over must be in none of them."""

class Channel:
    """A channel: target, connectivity, connection. Shared by all threads. Closed when collected."""

    def __new__(
        cls, target: str, options: Sequence[tuple[str, Any]], security: ChannelSecurity | None = None
    ) -> Channel: ...
    def authority(self) -> str:
        """`:authority` of its calls."""

    def start_call(
        self,
        method: str,
        metadata: Pairs | None,
        timeout: float | None,
        wait_for_ready: bool | None,
        compression: int | None = None,
        held: bool = False,
    ) -> ClientCall:
        """Starts a call; never waits. `compression` is grpc.Compression's number, None the channel's default.

        Raises ValueError when the channel is closed. A `held` call goes nowhere until `ClientCall.proceed`."""

    def start_unary(
        self,
        method: str,
        request: bytes,
        metadata: Pairs | None,
        timeout: float | None,
        wait_for_ready: bool | None,
        compression: int | None = None,
        held: bool = False,
    ) -> ClientCall:
        """start_call + send + half_close in one crossing (and one write); never waits."""

    def unary(
        self,
        method: str,
        request: bytes,
        metadata: Pairs | None,
        timeout: float | None,
        wait_for_ready: bool | None,
    ) -> bytes | ClientCall:
        """start_unary, then waits for the end on the calling thread, which reads the socket itself.

        Answers the response message when the call ended OK with exactly one (the hot path: no call object is made),
        and the finished call otherwise, whose messages can still be received. An exception out of the wait
        (KeyboardInterrupt) cancels the call."""

    def state(self, try_to_connect: bool) -> int:
        """The connectivity state (grpc.ChannelConnectivity's number); never waits."""

    def wait_for_state_change(self, last: int, timeout: float | None) -> int:
        """Waits until the state is not `last` or the time is up; answers the state."""

    def close(self, details: str) -> None:
        """Ends every call with CANCELLED and `details`; idempotent."""

class ClientCall:
    """One call of a client. It keeps its channel open; when collected before its end it is cancelled."""

    def send(self, message: bytes) -> bool:
        """Sends a message; waits while the send buffer is full. False: the call is over, nothing was sent."""

    def requests(self) -> ClientRequests: ...
    def proceed(self, metadata: Pairs) -> bool:
        """Goes on with a held call, with this metadata besides its own; False when it was not held, or is over.

        Metadata that may not be sent ends it with UNAVAILABLE."""

    def half_close(self) -> None: ...
    def receive(self) -> bytes | None:
        """The next message; waits. None: there are no more (the call is over; see status)."""

    def await_message(self, timeout: float | None) -> bool:
        """Waits until `receive` would not wait; whether that is so. With 0 it only looks."""

    def await_room(self, timeout: float | None) -> bool:
        """The same for `send`."""

    def await_headers(self, timeout: float | None) -> bool:
        """The same for `initial_metadata`."""

    def initial_metadata(self) -> Metadata:
        """Waits for response headers or the end of the call."""

    def wait(self, timeout: float | None) -> bool:
        """Waits for the end of the call; whether it is over."""

    def done(self) -> bool:
        """Whether it is over."""

    def unread(self) -> int:
        """How many messages nobody has taken."""

    def status(self) -> tuple[int, str, Metadata, bool] | None:
        """(code, details, trailing metadata, whether it came from the server); None while the call goes on."""

    def cancel(self, code: int, details: str) -> bool:
        """Ends the call; False when it is over already."""

    def add_done_callback(self, callback: Callable[[], object]) -> bool:
        """Calls `callback()` once at the end, on whichever thread sees it; False (and no call) when over already."""

    def call_back(self, callback: Callable[[], object]) -> None:
        """Calls `callback()` where the callbacks of the end are called."""

    def time_remaining(self) -> float | None: ...
    def peer(self) -> str | None: ...

class ClientRequests:
    """The requests of a call, for who makes them: this keeps neither the call nor its channel going."""

    def send(self, message: bytes) -> bool:
        """As `ClientCall.send`."""

    def await_room(self, timeout: float | None) -> bool:
        """As `ClientCall.await_room`."""

    def half_close(self) -> None: ...
    def cancel(self, code: int, details: str) -> bool:
        """Ends the call; False when it is over already."""

class Server:
    """A server with its own reactor thread, started by `start`."""

    def __new__(cls, options: Sequence[tuple[str, Any]], handover: Handover | None = None) -> Server: ...
    def add_port(self, address: str, security: ServerSecurity | None = None) -> int:
        """Binds now; the port (1 for unix sockets). OSError or ValueError says why not."""

    def start(self, on_call: Callable[[ServerCall], object]) -> None:
        """Serves: `on_call(call)` runs on the reactor thread for each new call and must not wait."""

    def close_listeners(self) -> None:
        """Accepts no more connections, sends GOAWAY on those there are; calls in flight go on."""

    def cancel_all(self, code: int, details: str) -> None:
        """Ends every call with this status and closes the connections."""

    def wait_idle(self, timeout: float | None) -> bool:
        """Waits until the listeners are closed and no call is in flight; whether that is so."""

    def stop(self) -> None:
        """Writes out what is already answered, then ends the reactor thread; idempotent.

        Never joins the thread it is called on (a garbage collection on the reactor thread may end up here)."""

class Handover:
    """Where threads that have served a call of a server get the next one, before `on_call` gets it."""

    def __new__(cls) -> Handover: ...
    def take(self) -> ServerCall | None:
        """Waits a moment for a call; None when none came, or the server has stopped."""

class ServerCall:
    """One call as the server sees it."""

    @property
    def method(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def subtype(self) -> str | None:
        """What the client says its messages are; None: protobuf, or it does not say."""

    def refuse_subtype(self, codec: str) -> None:
        """Ends the call with HTTP's 415 and UNIMPLEMENTED: its method reads messages of this codec."""

    def metadata(self) -> Metadata: ...
    def peer(self) -> str: ...
    def auth_context(self) -> dict[str, list[bytes]]: ...
    def time_remaining(self) -> float | None: ...
    def is_active(self) -> bool:
        """False once the call is cancelled, past its deadline, disconnected or answered."""

    def receive(self) -> bytes | None:
        """The next request message; waits. None: the client half-closed, or the call is over (see is_active).

        Once the call is cancelled, past its deadline or disconnected the answer is None even if messages are queued."""

    def is_receivable(self) -> bool:
        """Whether `receive` would not wait."""

    def when_receivable(self, callback: Callable[[], object]) -> bool:
        """Has `callback` called once `receive` would not wait, the call's end included. False: it would not now."""

    def received(self) -> int:
        """How many messages nobody has taken."""

    def await_message(self, timeout: float | None) -> bool:
        """Waits until `receive` would not wait; whether that is so. With 0 it only looks."""

    def await_room(self, timeout: float | None) -> bool:
        """The same for `send`."""

    def set_compression(self, compression: int) -> None:
        """grpc.Compression's number, for the messages from now on; nothing happens once initial metadata are sent."""

    def send_initial_metadata(self, metadata: Pairs) -> bool: ...
    def send(self, message: bytes, compress: bool = True) -> bool:
        """Sends a message; waits while the send buffer is full. False: the call is over.

        It is compressed if the call is and `compress` does not say otherwise."""

    def finish(
        self, code: int, details: str, trailing: Pairs, message: bytes | None = None, compress: bool = True
    ) -> bool:
        """Answers, with a last message before the status if given, in one write."""

    def cancel(self, code: int, details: str) -> None: ...
    def add_done_callback(self, callback: Callable[[], object]) -> bool:
        """Calls `callback()` once when the call ends for whatever reason; False when over already."""

# On an asyncio loop. Nothing here waits: what is not there yet is a `Waiter` to be awaited, and then asked for again.

def configure_aio(working_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Tells the module how to find a loop when none is running."""

class Waiter:
    """A future of asyncio without a value. A task that awaits it may be resumed before the turn of the loop ends."""

    def __new__(cls) -> Waiter:
        """One of the running loop."""

    def wake(self) -> None:
        """Marks it done and resumes who awaits it."""

    def get_loop(self) -> asyncio.AbstractEventLoop: ...
    def add_done_callback(self, callback: Callable[[Any], object], *, context: Context | None = None) -> None: ...
    def remove_done_callback(self, callback: Callable[[Any], object]) -> int: ...
    def cancel(self, msg: Any = None) -> bool: ...
    def done(self) -> bool: ...
    def cancelled(self) -> bool: ...
    def result(self) -> None: ...
    def exception(self) -> None: ...
    def __await__(self) -> Generator[Any]: ...
    def __iter__(self) -> Generator[Any]: ...

class AioResolution:
    """Told what the lookup of a name has found."""

    def found(self, addresses: list[tuple[str, int]]) -> None: ...
    def failed(self, why: str) -> None: ...

class AioChannel:
    """A channel with a connection for each loop that uses it. Closed when collected."""

    def __new__(
        cls,
        target: str,
        options: Sequence[tuple[str, Any]],
        resolve: Callable[[asyncio.AbstractEventLoop, str, int, AioResolution], None],
        security: ChannelSecurity | None = None,
    ) -> AioChannel: ...
    def authority(self) -> str:
        """:authority of its calls."""

    def start(
        self,
        method: str,
        request: bytes | None,
        metadata: Pairs | None,
        timeout: float | None,
        wait_for_ready: bool | None,
        compression: int | None,
        held: bool = False,
    ) -> AioClientCall:
        """Starts a call, with its only request if that is given. A held one waits for `proceed`.

        Raises ValueError when the channel is closed. A `held` call goes nowhere until `ClientCall.proceed`."""

    def state(self, try_to_connect: bool) -> int: ...
    def wait_for_state_change(self, last: int) -> Waiter | None:
        """None: the state is not `last`."""

    def refuse(self) -> None:
        """Takes no new calls from now on; those in flight go on."""

    def wait_idle(self) -> Waiter | None:
        """None: no call is in flight on this loop."""

    def close(self, details: str) -> None:
        """Ends every call on every loop with CANCELLED and `details`; idempotent."""

class AioClientCall:
    """One call of a client. It keeps its channel open; when collected before its end it is cancelled."""

    def send(self, message: bytes, compress: bool = True) -> Waiter | Literal[False] | None:
        """Sends a message. None: there is room for the next; a Waiter: there will be; False: the call is over."""

    def proceed(self, metadata: Pairs) -> bool:
        """Goes on with a held call, with these metadata besides its own; False when it was not held any more."""

    def half_close(self) -> None: ...
    def receive(self) -> bytes | Waiter | None:
        """The next message. None: there are no more; see status."""

    def response(self) -> bytes | None:
        """The only message of a call that ended with OK; None otherwise."""

    def received(self) -> int:
        """How many messages nobody has taken."""

    def headers(self) -> Metadata:
        """Initial metadata; empty before they have come."""

    def done(self) -> bool: ...
    def ended(self) -> Waiter | None:
        """None: the call is over."""

    def answered(self) -> Waiter | None:
        """None: initial metadata have come, or never will."""

    def connected(self) -> Waiter | None:
        """None: the call has a connection, or never will."""

    def status(self) -> tuple[int, str, Metadata, bool] | None:
        """(code, details, trailing metadata, whether it came from the server); None while the call goes on."""

    def cancel(self, code: int, details: str) -> bool:
        """Ends the call; False when it is over already and no message is left to be taken."""

    def fail(self, code: int, details: str) -> None:
        """Has it end with this status, whatever the server says or has said; messages nobody has taken are dropped."""

    def add_done_callback(self, callback: Callable[[], object]) -> bool:
        """Calls `callback()` at the end, before who waits for it goes on; False (and no call) when over already."""

    def time_remaining(self) -> float | None: ...
    def peer(self) -> str | None: ...

class AioServer:
    """A server on the loop on which it is started."""

    def __new__(cls, options: Sequence[tuple[str, Any]]) -> AioServer: ...
    def add_port(self, address: str, security: ServerSecurity | None = None) -> int:
        """Binds now; the port (1 for unix sockets). OSError or ValueError says why not."""

    def start(self, on_call: Callable[[AioServerCall], object]) -> bool:
        """Serves: `on_call(call)` is called for each new call, and may run a task. False: it was started before."""

    def close_listeners(self) -> None:
        """Accepts no more connections, sends GOAWAY on those there are; calls in flight go on."""

    def cancel_all(self, code: int, details: str) -> None:
        """Ends every call with this status and closes the connections."""

    def wait_idle(self) -> Waiter | None:
        """None: no call is in flight."""

class AioServerCall:
    """One call as the server sees it. When collected without an answer it ends with UNKNOWN."""

    @property
    def method(self) -> str: ...
    @property
    def authority(self) -> str: ...
    @property
    def subtype(self) -> str | None:
        """What the client says its messages are; None: protobuf, or it does not say."""

    def refuse_subtype(self, codec: str) -> None:
        """Ends the call with HTTP's 415 and UNIMPLEMENTED: its method reads messages of this codec."""

    def metadata(self) -> Metadata: ...
    def peer(self) -> str: ...
    def auth_context(self) -> dict[str, list[bytes]]: ...
    def time_remaining(self) -> float | None: ...
    def is_active(self) -> bool:
        """False once the call is cancelled, past its deadline, disconnected or answered."""

    def watch(self, task: asyncio.Task[Any]) -> bool:
        """Names the task that is cancelled when the client gives up; False when it has."""

    def receive(self) -> bytes | Waiter | None:
        """The next message. None: the client half-closed, or the call is over (see is_active)."""

    def received(self) -> int:
        """How many messages nobody has taken."""

    def set_compression(self, compression: int) -> None: ...
    def send_initial_metadata(self, metadata: Pairs) -> bool: ...
    def send(self, message: bytes, compress: bool = True) -> Waiter | Literal[False] | None:
        """Sends a message. None: there is room for the next; a Waiter: there will be; False: the call is over."""

    def finish(
        self, code: int, details: str, trailing: Pairs, message: bytes | None = None, compress: bool = True
    ) -> bool:
        """Answers, with a last message before the status if given, in one write."""

    def ended(self) -> Waiter | None:
        """None: the call is over."""

    def add_done_callback(self, callback: Callable[[], object]) -> bool: ...

class ChannelSecurity:
    """How a channel's connections are secured. What is wrong with it shows when they are made."""

    @staticmethod
    def local(kind: str) -> ChannelSecurity:
        """Nothing is encrypted, but the server must be on this machine: "uds" or "local_tcp"."""

    @staticmethod
    def tls(
        roots: bytes | None,
        key: bytes | None,
        chain: bytes | None,
        *,
        sign: Callable[[bytes, int], bytes] | None = None,
        identity: Callable[[], tuple[bytes, bytes] | None] | None = None,
        verify: str = "full",
        check: Callable[[list[bytes]], object] | None = None,
    ) -> ChannelSecurity:
        """TLS. Everything in PEM; None for `roots` are the default ones.

        `sign(data, algorithm)` signs in the place of `key`, `algorithm` by its number in TLS. `identity()` is asked at
        each handshake for (key, chain). `verify` is "full", "chain" (not the name) or "none". `check(certificates)`,
        in DER, raises when it does not like them. All these run on a thread of their own."""

    def with_sessions(self, cache: SessionCache) -> ChannelSecurity:
        """The same, resuming the sessions in `cache`."""

class SessionCache:
    """TLS sessions that channels may resume."""

    def __new__(cls, capacity: int) -> SessionCache: ...

class ServerSecurity:
    """How a port's connections are secured. ValueError says what is wrong with it."""

    @staticmethod
    def local(kind: str) -> ServerSecurity:
        """Nothing is encrypted, but clients must be on this machine: "uds" or "local_tcp"."""

    @staticmethod
    def tls(pairs: Sequence[tuple[bytes, bytes]], roots: bytes | None, clients: str) -> ServerSecurity:
        """TLS with these (key, chain) pairs in PEM. Certificates of `clients`: "none", "optional", "required"."""

    @staticmethod
    def dynamic(
        pairs: Sequence[tuple[bytes, bytes]],
        roots: bytes | None,
        fetch: Callable[[], tuple[Sequence[tuple[bytes, bytes]], bytes | None] | None],
        clients: str,
    ) -> ServerSecurity:
        """As `tls`, with what `fetch()` answers at each handshake: (pairs, roots), or None for no change. It runs on a
        thread of its own."""

class Load:
    """What a server, or a call, says of load. Any thread may set it; a value that cannot be is left out."""

    def __new__(cls) -> Load: ...
    def set_cpu_utilization(self, share: float) -> None:
        """The processors' use, as a share of what the server may have: 0 and more."""

    def set_memory_utilization(self, part: float) -> None:
        """The memory's use, as a share of what the server may have: 0 to 1."""

    def set_application_utilization(self, share: float) -> None:
        """How busy the application is by its own measure: 0 and more, 1 where it should get no more calls."""

    def set_qps(self, calls: float) -> None:
        """Calls a second: 0 and more."""

    def set_eps(self, failures: float) -> None:
        """Failures a second: 0 and more."""

    def set_request_cost(self, resource: str, cost: float) -> None:
        """What a call has cost, by the name of the resource."""

    def set_utilization(self, resource: str, part: float) -> None:
        """The use of a resource, as a share of what there is of it: 0 to 1."""

    def set_named_metric(self, name: str, value: float) -> None:
        """Any measure that whoever balances knows by name."""

    def clear(self) -> None:
        """Takes back everything."""

    def encode(self, other: Load | None = None) -> bytes:
        """The report as it goes over the wire, `other`'s where this one says nothing."""

def load_interval(request: bytes, least: float) -> float:
    """How many seconds are between two reports to a client that asks so; ValueError for what is no such request."""
