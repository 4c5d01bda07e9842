//! Pumps the brain of a channel on one loop: resolves, connects, and puts calls onto the connection that comes of it.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::{Duration, Instant},
};

use farcall_channel::{
    Address, ConnectError, Connectivity, Endpoint, MethodConfig, Next, Retry, RetryConfig, ServiceConfig, Target,
    Throttle,
    single::{Action, Channel as Brain, ConnectionId, Lost, Pick},
};
use farcall_core::{Code, Status};
use farcall_engine::Config;
use farcall_system::{
    budget,
    channelz::{Entity, Tally},
    credentials::ClientSecurity,
    lock,
    message::{Message, NO_MORE_CALLS, too_large},
    options::{ChannelOptions, SocketOptions},
    process,
    proxy::{self, Proxied},
    reports::Reports,
    socket::{Socket, connect_error, os_text},
    trace::{self, Topic},
    transport::Transport,
};
use pyo3::{
    prelude::*,
    types::{PyInt, PyString},
};

use super::{
    call::{Call, Outbox, Place, deadline_exceeded},
    connection::{Connection, Owner},
    due::{self, Due},
    event_loop::{EventLoop, Resume},
    known::names,
    waiter::Waiter,
};
use crate::{calling::Calling, interpreter};

/// A channel's calls and connection on one loop.
pub(crate) struct Channel {
    entity: Arc<Entity>,
    pub(crate) event_loop: Arc<EventLoop>,
    authority: String,
    engine: Config,
    socket: SocketOptions,
    /// `None` is plain text.
    security: Option<ClientSecurity>,
    /// The name that the server's certificate must be for.
    server_name: String,
    /// Between this and the target stands this proxy.
    proxy: Option<Proxied>,
    connect_timeout: Duration,
    reports: Reports,
    service_config: Arc<ServiceConfig>,
    retry: RetryConfig,
    throttle: Option<Arc<Throttle>>,
    /// `None` for a target that cannot be read: every call fails with this status.
    target_error: Option<Status>,
    /// The Python function that resolves names on a loop.
    resolve: Arc<Py<PyAny>>,
    /// The connection that calls go to right now.
    ready: Mutex<Option<Arc<Connection>>>,
    state: Mutex<State>,
    me: Weak<Channel>,
}

struct State {
    brain: Brain,
    connections: HashMap<ConnectionId, Link>,
    /// Calls that wait for a connection, in the order they came.
    waiting: Vec<Arc<Call>>,
    /// Calls that wait for the end of a delay before they are made again, or for what they are held for.
    resting: Vec<(Option<Instant>, Arc<Call>)>,
    /// How long a connection may be silent before it is asked whether it is there; longer once a server has scolded.
    keepalive_time: Option<Duration>,
    /// Who waits for the state to change from this one.
    watchers: Vec<(Connectivity, Py<Waiter>)>,
    /// Who waits until no call is in flight.
    idle_watchers: Vec<Py<Waiter>>,
    timer: Option<(Instant, Option<Py<PyAny>>)>,
    closed: bool,
}

struct Link {
    connection: Arc<Connection>,
    /// Since when it works.
    works: Option<Instant>,
}

/// What is left to do once the channel's lock is free.
#[derive(Default)]
struct Chores {
    connect: Vec<(ConnectionId, Address)>,
    resolve: Vec<(String, u16)>,
    disconnect: Vec<Arc<Connection>>,
    /// Only to be dropped without locks.
    dropped: Option<Arc<Connection>>,
    place: Vec<(Arc<Call>, Arc<Connection>)>,
    due: Vec<Due>,
    changed: Option<Connectivity>,
}

/// A channel as its loop's timers see it.
#[pyclass(frozen)]
pub(super) struct Timer(Weak<Channel>);

#[pymethods]
impl Timer {
    fn on_timer(&self, py: Python<'_>) -> PyResult<()> {
        let Some(channel) = self.0.upgrade() else { return Ok(()) };
        let event_loop = Arc::clone(&channel.event_loop);
        event_loop.in_batch(py, || channel.handle_timer(py))
    }
}

/// What a name's resolution is told to.
#[pyclass(frozen, module = "farcall._native", name = "AioResolution")]
pub(crate) struct Resolution(Weak<Channel>);

#[pymethods]
impl Resolution {
    /// Addresses as (IP address, port), without repetition.
    fn found(&self, py: Python<'_>, addresses: Vec<(String, u16)>) -> PyResult<()> {
        let mut found: Vec<Address> = Vec::new();
        for (ip, port) in addresses {
            // A zone, as in `fe80::1%eth0`, is not Rust's to read.
            let Ok(ip) = ip.split('%').next().unwrap_or_default().parse::<IpAddr>() else { continue };
            let address = Address::Ip(SocketAddr::new(ip, port));
            if !found.contains(&address) {
                found.push(address);
            }
        }
        self.tell(py, Ok(found))
    }

    /// Says why there is none.
    fn failed(&self, py: Python<'_>, why: String) -> PyResult<()> {
        self.tell(py, Err(why))
    }
}

/// A socket through a proxy, or why there is none, on its way from the thread that connected it to the loop.
#[pyclass(frozen)]
pub(super) struct Connected {
    channel: Weak<Channel>,
    id: ConnectionId,
    address: Address,
    result: Mutex<Option<Result<(Socket, Transport), ConnectError>>>,
}

#[pymethods]
impl Connected {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let Some(channel) = self.channel.upgrade() else { return Ok(()) };
        let result = lock(&self.result).take();
        match result {
            Some(Ok(connected)) => channel.adopt_socket(py, self.id, &self.address, connected, false),
            Some(Err(error)) => {
                channel.connect_failed(self.id, &error);
                channel.drive(py, lock(&channel.state), Chores::default())
            }
            None => Ok(()),
        }
    }
}

impl Resolution {
    fn tell(&self, py: Python<'_>, result: Result<Vec<Address>, String>) -> PyResult<()> {
        let Some(channel) = self.0.upgrade() else { return Ok(()) };
        let state = channel.told(|brain| brain.handle_resolved(result, Instant::now()));
        channel.drive(py, state, Chores::default())
    }
}

impl Channel {
    /// A channel in IDLE; connects when first used.
    pub(crate) fn new(
        name: &str,
        options: &ChannelOptions,
        event_loop: Arc<EventLoop>,
        resolve: &Arc<Py<PyAny>>,
    ) -> Arc<Channel> {
        let (mut target, mut target_error) = match Target::parse(name) {
            Ok(target) => (target, None),
            Err(error) => {
                let target = Target { endpoint: Endpoint::Addresses(Vec::new()), authority: String::new() };
                (target, Some(Status::new(Code::Unknown, error.to_string())))
            }
        };
        let proxy = match Proxied::way(&target.endpoint, options) {
            Ok(way) => way,
            Err(error) => {
                target_error = Some(Status::new(Code::Unavailable, error.to_string()));
                None
            }
        };
        if let Some(Proxied { proxy, .. }) = &proxy {
            // The target's name is the proxy's to look up.
            target.endpoint = Endpoint::Dns { host: proxy.host.clone(), port: proxy.port };
        }
        let target_error = target_error.or_else(|| {
            let error = options.service_config_error.as_ref()?;
            let text = format!("Failed to create channel to '{name}':{error}");
            Some(Status::new(Code::InvalidArgument, text))
        });
        let authority = options.authority.clone().unwrap_or_else(|| target.authority.clone());
        Arc::new_cyclic(|me| Channel {
            entity: Entity::channel(name, options.channelz),
            event_loop,
            server_name: options.server_name(&authority),
            security: options.security.clone(),
            authority,
            engine: options.engine.clone(),
            socket: options.socket.clone(),
            proxy,
            connect_timeout: options.channel.connect_timeout,
            reports: Reports::to("grpc.aio._channel"),
            throttle: options.channel.service_config.throttling.map(|config| Arc::new(Throttle::new(config))),
            service_config: Arc::clone(&options.channel.service_config),
            retry: options.channel.retry.clone(),
            target_error,
            resolve: Arc::clone(resolve),
            ready: Mutex::new(None),
            state: Mutex::new(State {
                brain: Brain::new(target, options.channel.clone()),
                connections: HashMap::new(),
                waiting: Vec::new(),
                resting: Vec::new(),
                keepalive_time: options.engine.keepalive_time,
                watchers: Vec::new(),
                idle_watchers: Vec::new(),
                timer: None,
                closed: false,
            }),
            me: Weak::clone(me),
        })
    }

    /// Starts a call with what is in `outbox`; never waits.
    pub(crate) fn start(
        self: &Arc<Self>,
        py: Python<'_>,
        mut outbox: Outbox,
        message: Option<Message<'_>>,
        deadline: Option<Instant>,
    ) -> PyResult<Arc<Call>> {
        outbox.channel = Weak::clone(&self.me);
        outbox.tally = Some(Tally::of_client(&self.entity));
        outbox.retry_buffer = self.retry.buffer;
        let config = self.service_config.method(&outbox.path).cloned();
        let (deadline, retry) = match &config {
            Some(config) => self.plan(config, &mut outbox, deadline),
            None => (deadline, None),
        };
        let held = outbox.held;
        if let Some(message) = message {
            outbox.push(message.into_bytes(), true);
        }
        let refused = config.as_ref().and_then(|config| too_large("Sent", outbox.bytes, config.max_request));
        let call = Call::of_client(outbox, deadline, &self.event_loop, config, retry);
        if let Some(status) = refused {
            call.fail_waiting(status, &mut Vec::new());
            return Ok(call);
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            call.fail_waiting(deadline_exceeded(), &mut Vec::new());
            return Ok(call);
        }
        if held {
            self.rest(py, &call, None)?;
            return Ok(call);
        }
        let ready = lock(&self.ready).clone();
        if let Some(connection) = ready
            && connection.adopt(py, &call, &self.authority)?
        {
            return Ok(call);
        }
        self.find_connection(py, &call)?;
        Ok(call)
    }

    /// What the service config makes of a call: its deadline, and whether it is made again.
    fn plan(
        &self,
        config: &Arc<MethodConfig>,
        outbox: &mut Outbox,
        deadline: Option<Instant>,
    ) -> (Option<Instant>, Option<Box<Retry>>) {
        outbox.wait_for_ready = outbox.wait_for_ready.or(config.wait_for_ready);
        let timeout = config.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let retry = self.retry.enabled.then(|| Retry::new(config, self.throttle.as_ref(), process::random())).flatten();
        ([deadline, timeout].into_iter().flatten().min(), retry.map(Box::new))
    }

    /// Has a call wait until `until`, or for what it is held for.
    fn rest(self: &Arc<Self>, py: Python<'_>, call: &Arc<Call>, until: Option<Instant>) -> PyResult<()> {
        let mut chores = Chores::default();
        let mut state = lock(&self.state);
        if state.closed {
            call.fail_waiting(Status::new(Code::Cancelled, "Channel closed!"), &mut chores.due);
        } else {
            state.resting.push((until, Arc::clone(call)));
        }
        self.drive(py, state, chores)
    }

    /// What a call was held for has come.
    pub(crate) fn unhold(self: &Arc<Self>, py: Python<'_>, call: &Arc<Call>) -> PyResult<()> {
        self.forget(call);
        self.find_connection(py, call)
    }

    /// `:authority` of its calls.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Finds a connection for a call, or has it wait.
    fn find_connection(self: &Arc<Self>, py: Python<'_>, call: &Arc<Call>) -> PyResult<()> {
        let mut chores = Chores::default();
        if let Some(status) = &self.target_error {
            call.fail_waiting(status.clone(), &mut chores.due);
            return due::wake(py, &self.event_loop, chores.due, Resume::Soon);
        }
        let mut state = lock(&self.state);
        state.sort(call, Instant::now(), &mut chores);
        self.drive(py, state, chores)
    }

    /// A call that waited has ended.
    pub(crate) fn forget(&self, call: &Arc<Call>) {
        let mut state = lock(&self.state);
        state.waiting.retain(|other| !Arc::ptr_eq(other, call));
        state.resting.retain(|(_, other)| !Arc::ptr_eq(other, call));
    }

    /// The connectivity state; leaves IDLE if asked to.
    pub(crate) fn connectivity(self: &Arc<Self>, py: Python<'_>, try_to_connect: bool) -> PyResult<Connectivity> {
        let mut state = lock(&self.state);
        let connectivity = state.brain.state();
        if try_to_connect && self.target_error.is_none() {
            state.brain.connect(Instant::now());
            self.drive(py, state, Chores::default())?;
        }
        Ok(connectivity)
    }

    /// What becomes done when the state is not `last` any more; `None` when it is not.
    pub(crate) fn wait_for_change(&self, py: Python<'_>, last: Connectivity) -> PyResult<Option<Py<Waiter>>> {
        let waiter = Waiter::new(py, &self.event_loop)?;
        let mut state = lock(&self.state);
        if state.brain.state() != last {
            return Ok(None);
        }
        let (kept, given_up) =
            std::mem::take(&mut state.watchers).into_iter().partition(|(_, waiter)| waiter.get().is_pending());
        state.watchers = kept;
        state.watchers.push((last, waiter.clone_ref(py)));
        drop(state);
        drop::<Vec<_>>(given_up);
        Ok(Some(waiter))
    }

    /// What becomes done when no call is in flight; `None` when none is.
    pub(crate) fn wait_idle(&self, py: Python<'_>) -> PyResult<Option<Py<Waiter>>> {
        let waiter = Waiter::new(py, &self.event_loop)?;
        let mut state = lock(&self.state);
        if state.is_idle() {
            return Ok(None);
        }
        state.idle_watchers.push(waiter.clone_ref(py));
        Ok(Some(waiter))
    }

    /// Ends every call with CANCELLED and `details`; idempotent.
    pub(crate) fn close(self: &Arc<Self>, py: Python<'_>, details: &str) -> PyResult<()> {
        let status = Status::new(Code::Cancelled, details.to_owned());
        let mut chores = Chores::default();
        let (waiting, connections, timer) = {
            let mut state = lock(&self.state);
            state.closed = true;
            self.entity.close();
            state.brain.shutdown();
            let connections: Vec<_> = state.connections.drain().map(|(_, link)| link.connection).collect();
            (state.take_waiting(), connections, state.timer.take())
        };
        for call in waiting {
            call.fail_waiting(status.clone(), &mut chores.due);
        }
        if let Some((_, Some(handle))) = timer {
            handle.bind(py).call_python_method(names(py).cancel.bind(py), &[])?;
        }
        for connection in connections {
            connection.close(py, &status)?;
        }
        self.drive(py, lock(&self.state), chores)
    }

    /// Its loop is gone, or belongs to a parent process.
    pub(crate) fn abandon(&self) {
        let status = Status::new(Code::Cancelled, "The event loop of the call is gone.");
        let (waiting, links, watchers, timer) = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.brain.shutdown();
            let watchers = (std::mem::take(&mut state.watchers), std::mem::take(&mut state.idle_watchers));
            (state.take_waiting(), std::mem::take(&mut state.connections), watchers, state.timer.take())
        };
        for call in waiting {
            call.abandon(&status);
        }
        for link in links.into_values() {
            link.connection.abandon(&status);
        }
        let ready = lock(&self.ready).take();
        drop((ready, watchers, timer));
    }

    // The pump.

    fn told(&self, tell: impl FnOnce(&mut Brain)) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        tell(&mut state.brain);
        state
    }

    /// Does what the brain wants, until it wants nothing more.
    fn drive<'a>(
        self: &'a Arc<Self>,
        py: Python<'_>,
        mut state: MutexGuard<'a, State>,
        mut chores: Chores,
    ) -> PyResult<()> {
        loop {
            while let Some(action) = state.brain.poll_action() {
                match action {
                    Action::Resolve { host, port } => chores.resolve.push((host, port)),
                    Action::Connect { id, address } => chores.connect.push((id, address)),
                    Action::Disconnect(id) => {
                        chores.disconnect.extend(state.connections.remove(&id).map(|link| link.connection));
                    }
                    Action::StateChanged(connectivity) => {
                        chores.changed = Some(connectivity);
                        self.entity.becomes(connectivity);
                        // May well want more of the brain.
                        self.publish(&mut state, &mut chores);
                    }
                }
            }
            if chores.changed.is_some() {
                let now = state.brain.state();
                let (kept, changed) =
                    std::mem::take(&mut state.watchers).into_iter().partition(|(last, _)| *last == now);
                state.watchers = kept;
                chores.due.extend(<Vec<_>>::into_iter(changed).map(|(_, waiter)| Due::Wake(waiter)));
            }
            let (arm, now) = (state.due(), Instant::now());
            drop(state);
            if let Some(connectivity) = chores.changed
                && let Some(tell) =
                    trace::line(Topic::Connectivity, || format!("channel {:?} is {connectivity:?}", self.authority))
            {
                tell();
            }
            self.arm(py, arm, now)?;
            let again = self.perform(py, std::mem::take(&mut chores))?;
            state = lock(&self.state);
            if !again {
                let mut due = Vec::new();
                state.take_idle_watchers(&mut due);
                drop(state);
                return due::wake(py, &self.event_loop, due, self.event_loop.resume());
            }
        }
    }

    /// The state has changed: a new connection for new calls, and a new pick for those that wait.
    fn publish(&self, state: &mut State, chores: &mut Chores) {
        let now = Instant::now();
        let ready = match state.brain.state() {
            Connectivity::Ready => match state.brain.pick(false, now) {
                Pick::Connection(id) => state.connections.get(&id).map(|link| Arc::clone(&link.connection)),
                Pick::Wait | Pick::Fail(_) => None,
            },
            _ => None,
        };
        chores.dropped = std::mem::replace(&mut *lock(&self.ready), ready);
        for call in std::mem::take(&mut state.waiting) {
            state.sort(&call, now, chores);
        }
    }

    /// Has the loop call at `due`, if it would not before.
    fn arm(self: &Arc<Self>, py: Python<'_>, due: Option<Instant>, now: Instant) -> PyResult<()> {
        let Some(due) = due else { return Ok(()) };
        let spent = {
            let mut state = lock(&self.state);
            if state.timer.as_ref().is_some_and(|(at, _)| *at <= due) {
                return Ok(());
            }
            state.timer.take()
        };
        if let Some((_, Some(handle))) = spent {
            handle.bind(py).call_python_method(names(py).cancel.bind(py), &[])?;
        }
        let timer = Bound::new(py, Timer(Weak::clone(&self.me)))?.getattr(names(py).on_timer.bind(py))?;
        let handle = self.event_loop.call_at(py, due, now, &timer);
        lock(&self.state).timer = Some((due, handle));
        Ok(())
    }

    fn handle_timer(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let now = Instant::now();
        let mut chores = Chores::default();
        let mut state = lock(&self.state);
        let spent = state.timer.take();
        if state.brain.poll_timeout().is_some_and(|due| due <= now) {
            state.brain.handle_timeout(now);
        }
        let mut late = |call: &Arc<Call>| {
            let late = call.deadline.is_some_and(|deadline| deadline <= now);
            if late {
                call.fail_waiting(deadline_exceeded(), &mut chores.due);
            }
            late
        };
        state.waiting.retain(|call| !late(call));
        state.resting.retain(|(_, call)| !late(call));
        let (rested, resting) =
            std::mem::take(&mut state.resting).into_iter().partition(|(at, _)| at.is_some_and(|at| at <= now));
        state.resting = resting;
        let driven = self.drive(py, state, chores);
        drop(spent);
        for (_, call) in <Vec<_>>::into_iter(rested) {
            self.find_connection(py, &call)?;
        }
        driven
    }

    /// Does the chores, without the lock; whether the brain was told something.
    fn perform(self: &Arc<Self>, py: Python<'_>, chores: Chores) -> PyResult<bool> {
        let mut told = false;
        for connection in chores.disconnect {
            connection.close(py, &Status::new(Code::Unavailable, "connection attempt given up"))?;
        }
        for (host, port) in chores.resolve {
            told |= self.resolve(py, host, port)?;
        }
        for (id, address) in chores.connect {
            told |= self.connect(py, id, &address)?;
        }
        for (call, connection) in chores.place {
            if !connection.adopt(py, &call, &self.authority)? {
                // Its end is about to be told; the call waits for what comes after.
                lock(&self.state).lose(&connection, NO_MORE_CALLS);
                self.find_connection(py, &call)?;
                told = true;
            }
        }
        due::wake(py, &self.event_loop, chores.due, self.event_loop.resume())?;
        Ok(told)
    }

    /// Resolves a name, an address at once; whether the brain has been told.
    fn resolve(self: &Arc<Self>, py: Python<'_>, host: String, port: u16) -> PyResult<bool> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            let address = Address::Ip(SocketAddr::new(ip, port));
            lock(&self.state).brain.handle_resolved(Ok(vec![address]), Instant::now());
            return Ok(true);
        }
        let resolution = Bound::new(py, Resolution(Weak::clone(&self.me)))?;
        let (event_loop, host, port) =
            (self.event_loop.object.bind(py), PyString::new(py, &host), PyInt::new(py, port));
        let arguments = [event_loop, host.as_any(), port.as_any(), resolution.as_any()];
        let begun = self.resolve.bind(py).call_python(&arguments);
        if let Err(error) = begun {
            let why = error.value(py).to_string();
            lock(&self.state).brain.handle_resolved(Err(why), Instant::now());
            return Ok(true);
        }
        Ok(false)
    }

    /// Starts to connect; whether the brain has been told of a failure.
    fn connect(self: &Arc<Self>, py: Python<'_>, id: ConnectionId, address: &Address) -> PyResult<bool> {
        let transport = match &self.security {
            Some(security) => security.transport(&self.server_name, address),
            None => Ok(Transport::Plain),
        };
        let waits = self.proxy.is_some() || self.security.as_ref().is_some_and(ClientSecurity::waits);
        let connected = transport.and_then(|transport| {
            if waits {
                return self.connect_patiently(py, id, address, transport).map(|()| None);
            }
            match Socket::connect(address) {
                Ok(socket) => Ok(Some((socket, transport))),
                Err(error) => Err(connect_error(address, &os_text(&error))),
            }
        });
        match connected {
            Ok(Some((socket, transport))) => self.adopt_socket(py, id, address, (socket, transport), true)?,
            Ok(None) => {}
            Err(error) => {
                self.connect_failed(id, &error);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn connect_failed(&self, id: ConnectionId, error: &ConnectError) {
        lock(&self.state).brain.handle_connect_failed(id, error, Instant::now());
    }

    /// Connects on a short-lived thread that waits: for a proxy, whose words are few and rare, and for a handshake that
    /// calls Python, which may take long.
    fn connect_patiently(
        self: &Arc<Self>,
        py: Python<'_>,
        id: ConnectionId,
        to: &Address,
        mut transport: Transport,
    ) -> Result<(), ConnectError> {
        let (channel, way, address, patience) =
            (Weak::clone(&self.me), self.proxy.clone(), to.clone(), self.connect_timeout);
        let event_loop = Arc::clone(&self.event_loop);
        let shakes = self.security.as_ref().is_some_and(ClientSecurity::waits);
        let connect = move || {
            let socket = match &way {
                Some(way) => proxy::connect(&way.proxy, &address, (&way.host, way.port), patience)
                    .and_then(|socket| Socket::accepted(socket, true)),
                None => Socket::connect_patiently(&address, patience),
            };
            let connected = socket.map_err(|error| connect_error(&address, &os_text(&error))).and_then(|socket| {
                if shakes {
                    transport.shake(&socket, patience)?;
                }
                Ok((socket, transport))
            });
            let result = Mutex::new(Some(connected));
            interpreter::attach(|py| {
                let told = Bound::new(py, Connected { channel, id, address, result });
                match told {
                    Ok(told) => event_loop.call_soon_bare(py, told.as_any()),
                    Err(error) => error.write_unraisable(py, None),
                }
                // What is let go of last is a loop of Python.
                drop(event_loop);
            });
        };
        match py.detach(|| std::thread::Builder::new().name("farcall-connect".to_owned()).spawn(connect)) {
            Ok(_) => Ok(()),
            Err(error) => Err(connect_error(to, &os_text(&error))),
        }
    }

    /// Makes a connection of a socket, which may still be connecting.
    fn adopt_socket(
        self: &Arc<Self>,
        py: Python<'_>,
        id: ConnectionId,
        address: &Address,
        (socket, transport): (Socket, Transport),
        connecting: bool,
    ) -> PyResult<()> {
        self.socket.apply(socket.handle());
        let owner = Owner::Client(Attempt { channel: Weak::clone(&self.me), id, address: address.clone() });
        let keepalive_time = lock(&self.state).keepalive_time;
        let config = Config { seed: process::random(), keepalive_time, ..budget::shared(self.engine.clone()) };
        let entity = Entity::connection(&self.entity, &address.to_string(), socket.local());
        let connection = Connection::new(socket, transport, config, connecting, &self.event_loop, owner, entity);
        {
            let mut state = lock(&self.state);
            if state.closed {
                return Ok(());
            }
            state.connections.insert(id, Link { connection: Arc::clone(&connection), works: None });
        }
        connection.begin(py)
    }
}

impl State {
    /// Whether a call that waits goes somewhere, fails, or waits on.
    fn sort(&mut self, call: &Arc<Call>, now: Instant, chores: &mut Chores) {
        let wait_for_ready = {
            let call_state = call.lock();
            if !matches!(call_state.place, Place::Waiting(_)) {
                return;
            }
            call_state.waits_for_ready()
        };
        match self.brain.pick(wait_for_ready, now) {
            Pick::Connection(id) => match self.connections.get(&id) {
                Some(link) => chores.place.push((Arc::clone(call), Arc::clone(&link.connection))),
                None => self.waiting.push(Arc::clone(call)),
            },
            Pick::Wait => self.waiting.push(Arc::clone(call)),
            Pick::Fail(status) => call.fail_waiting(status, &mut chores.due),
        }
    }

    /// A connection takes no more calls, whatever it is about to say itself.
    fn lose(&mut self, connection: &Arc<Connection>, why: &str) {
        let found = self.connections.iter().find(|(_, link)| Arc::ptr_eq(&link.connection, connection));
        let Some((id, since)) = found.and_then(|(id, link)| Some((*id, link.works?))) else { return };
        let now = Instant::now();
        let lost = Lost { why, lived: now - since, useful: connection.is_useful() };
        self.brain.handle_lost(id, lost, now);
    }

    /// Every call that has no connection.
    fn take_waiting(&mut self) -> Vec<Arc<Call>> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend(std::mem::take(&mut self.resting).into_iter().map(|(_, call)| call));
        waiting
    }

    /// Whether no call is in flight.
    fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.resting.is_empty()
            && self.connections.values().all(|link| link.connection.is_idle())
    }

    fn take_idle_watchers(&mut self, due: &mut Vec<Due>) {
        if !self.idle_watchers.is_empty() && self.is_idle() {
            due.extend(std::mem::take(&mut self.idle_watchers).into_iter().map(Due::Wake));
        }
    }

    /// When the loop must call.
    fn due(&self) -> Option<Instant> {
        let calls = self.waiting.iter().chain(self.resting.iter().map(|(_, call)| call));
        let times = calls.filter_map(|call| call.deadline).chain(self.resting.iter().filter_map(|(at, _)| *at));
        self.brain.poll_timeout().into_iter().chain(times).min()
    }
}

/// Tells the channel of one attempt to connect, and of the connection that came of it.
pub(crate) struct Attempt {
    channel: Weak<Channel>,
    id: ConnectionId,
    address: Address,
}

impl Attempt {
    pub(crate) fn handle(
        &self,
        py: Python<'_>,
        connection: &Arc<Connection>,
        due: Vec<Due>,
        resume: Resume,
    ) -> PyResult<()> {
        let channel = self.channel.upgrade();
        let mut wakes = Vec::with_capacity(due.len());
        let mut ended = false;
        for due in due {
            match due {
                Due::Wake(_) | Due::Callback(_) | Due::Cancel(_) | Due::Trace(_) => wakes.push(due),
                Due::Ended(..) => ended = true,
                Due::Request(..) => {}
                Due::Remark(remark) => {
                    if let Some(line) =
                        channel.as_ref().and_then(|channel| channel.reports.line(remark, &connection.peer))
                    {
                        line();
                    }
                }
                Due::Ready | Due::Draining | Due::Lost { .. } | Due::Again(..) => match &channel {
                    Some(channel) => self.tell(py, channel, connection, due)?,
                    None => {
                        if let Due::Again(call, _) = due {
                            call.fail_waiting(Status::new(Code::Cancelled, "Channel deallocated!"), &mut wakes);
                        }
                    }
                },
            }
        }
        if ended && let Some(channel) = &channel {
            lock(&channel.state).take_idle_watchers(&mut wakes);
        }
        due::wake(py, &connection.event_loop, wakes, resume)
    }

    fn tell(&self, py: Python<'_>, channel: &Arc<Channel>, connection: &Arc<Connection>, due: Due) -> PyResult<()> {
        let keepalive_time = match due {
            Due::Lost { .. } | Due::Draining => connection.next_keepalive_time(),
            _ => None,
        };
        let mut state = lock(&channel.state);
        state.keepalive_time = state.keepalive_time.max(keepalive_time);
        // Dropped after the lock.
        let mut link = None;
        match due {
            Due::Ready => {
                if let Some(known) = state.connections.get_mut(&self.id) {
                    known.works = Some(Instant::now());
                    state.brain.handle_connected(self.id);
                }
            }
            Due::Draining => state.lose(connection, NO_MORE_CALLS),
            Due::Lost { why, connected, refused } => {
                state.lose(connection, &why);
                link = state.connections.remove(&self.id);
                if link.as_ref().is_none_or(|link: &Link| link.works.is_none()) {
                    let error = if let Some(refused) = refused {
                        refused
                    } else if connected {
                        ConnectError { code: Code::Unavailable, why }
                    } else {
                        connect_error(&self.address, &why)
                    };
                    state.brain.handle_connect_failed(self.id, &error, Instant::now());
                }
            }
            Due::Again(call, Next::After(delay)) => {
                drop(state);
                channel.rest(py, &call, Some(Instant::now() + delay))?;
                state = lock(&channel.state);
            }
            Due::Again(call, next) => {
                if next == Next::Elsewhere {
                    state.lose(connection, NO_MORE_CALLS);
                }
                drop(state);
                channel.find_connection(py, &call)?;
                state = lock(&channel.state);
            }
            Due::Wake(_)
            | Due::Callback(_)
            | Due::Cancel(_)
            | Due::Remark(_)
            | Due::Trace(_)
            | Due::Request(..)
            | Due::Ended(..) => {}
        }
        let driven = channel.drive(py, state, Chores::default());
        drop(link);
        driven
    }
}
