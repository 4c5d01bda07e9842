//! Pumps the brain of a channel: resolves, connects, and puts calls onto the connection that comes of it.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use farcall_channel::{
    Address, ConnectError, Connectivity, Endpoint, MethodConfig, Next, Retry, RetryConfig, ServiceConfig, Target,
    Throttle,
    single::{Action, Channel as Brain, ConnectionId, Lost, Pick},
};
use farcall_core::{Code, Status};
use farcall_engine::{Config, ErrorCode};
use farcall_system::{
    Host, budget,
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

use crate::{
    call::{Call, Outbox, Place, Waited, deadline_exceeded},
    connection::{Connection, Notice, Owner, Then},
    notifier::Notifier,
    reactor::{Reactor, Timer},
};

/// A channel with its calls.
pub struct Channel {
    generation: u32,
    entity: Arc<Entity>,
    authority: String,
    engine: Config,
    socket: SocketOptions,
    security: Option<ClientSecurity>,
    /// What the server is known as to TLS.
    server_name: String,
    /// Between this and the target stands this proxy.
    proxy: Option<Proxied>,
    connect_timeout: Duration,
    service_config: Arc<ServiceConfig>,
    retry: RetryConfig,
    throttle: Option<Arc<Throttle>>,
    /// `None` for a target that cannot be read: every call fails with this status.
    target_error: Option<Status>,
    reactor: Arc<Reactor>,
    notifier: Arc<Notifier>,
    reports: Reports,
    /// The connection that calls go to right now: a snapshot that takes no lock to read.
    ready: ArcSwapOption<Connection>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    brain: Brain,
    connections: HashMap<ConnectionId, Link>,
    /// Calls that wait for a connection, in the order they came.
    waiting: Vec<Arc<Call>>,
    /// Calls that wait for the end of a delay before they are made again.
    resting: Vec<Arc<Call>>,
    /// How long a connection may be silent before it is asked whether it is there; longer once a server has scolded.
    keepalive_time: Option<Duration>,
    /// When the reactor will call [`Channel::handle_timer`].
    timer: Option<Timer>,
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
    place: Vec<(Arc<Call>, Arc<Connection>)>,
    fail: Vec<(Arc<Call>, Status)>,
}

impl Channel {
    /// A channel in IDLE; connects when first used.
    pub fn new(name: &str, options: &ChannelOptions, host: Host) -> io::Result<Arc<Channel>> {
        let (mut target, mut target_error) = match Target::parse(name) {
            Ok(target) => (target, None),
            Err(error) => {
                let nowhere = farcall_channel::Endpoint::Addresses(Vec::new());
                let target = Target { endpoint: nowhere, authority: String::new() };
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
        Ok(Arc::new(Channel {
            generation: process::generation(),
            entity: Entity::channel(name, options.channelz),
            server_name: options.server_name(&authority),
            security: options.security.clone(),
            authority,
            engine: options.engine.clone(),
            socket: options.socket.clone(),
            proxy,
            connect_timeout: options.channel.connect_timeout,
            throttle: options.channel.service_config.throttling.map(|config| Arc::new(Throttle::new(config))),
            service_config: Arc::clone(&options.channel.service_config),
            retry: options.channel.retry.clone(),
            target_error,
            reactor: Reactor::of_clients()?,
            notifier: Notifier::new(host),
            reports: Reports::to("grpc._channel"),
            ready: ArcSwapOption::empty(),
            state: Mutex::new(State {
                brain: Brain::new(target, options.channel.clone()),
                connections: HashMap::new(),
                waiting: Vec::new(),
                resting: Vec::new(),
                keepalive_time: options.engine.keepalive_time,
                timer: None,
                closed: false,
            }),
            changed: Condvar::new(),
        }))
    }

    /// Whether it was made in this process.
    pub fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    /// `:authority` of its calls.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Starts a call with what is in `outbox`; never waits. `then` says whether the caller waits for it next.
    pub fn start(
        self: &Arc<Self>,
        mut outbox: Outbox,
        message: Option<Message<'_>>,
        deadline: Option<Instant>,
        then: Then,
    ) -> Arc<Call> {
        outbox.channel = Arc::downgrade(self);
        outbox.tally = Some(Tally::of_client(&self.entity));
        outbox.retry_buffer = self.retry.buffer;
        let config = self.service_config.method(&outbox.path).cloned();
        let (deadline, retry) = match &config {
            Some(config) => self.plan(config, &mut outbox, deadline),
            None => (deadline, None),
        };
        let connection = self.ready.load();
        let wait_for_ready = outbox.wait_for_ready.unwrap_or(false);
        let held = outbox.held;
        if let Some(message) = message {
            outbox.push(message.into_bytes());
        }
        let refused = config.as_ref().and_then(|config| too_large("Sent", outbox.bytes, config.max_request));
        let call = Call::of_client(outbox, deadline, Arc::clone(&self.notifier), config, retry);
        if let Some(status) = refused {
            call.fail_waiting(status);
            return call;
        }
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            call.fail_waiting(deadline_exceeded());
            return call;
        }
        if held {
            self.rest(&call);
            return call;
        }
        if let Some(connection) = connection.as_ref()
            && connection.adopt(&call, &self.authority, then)
        {
            return call;
        }
        self.find_connection(&call, wait_for_ready);
        call
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

    /// Finds a connection for a call, or has it wait.
    fn find_connection(self: &Arc<Self>, call: &Arc<Call>, wait_for_ready: bool) {
        if let Some(status) = &self.target_error {
            call.fail_waiting(status.clone());
            return;
        }
        let now = Instant::now();
        let mut state = lock(&self.state);
        let mut chores = Chores::default();
        state.sort(call, wait_for_ready, now, &mut chores);
        if chores.place.is_empty() && chores.fail.is_empty() && !self.watch_deadline(call) {
            state.forget(call);
        }
        self.drive(state, chores);
    }

    /// Has a call that waits end at its deadline; false when it waits no longer.
    fn watch_deadline(self: &Arc<Self>, call: &Arc<Call>) -> bool {
        let mut state = call.lock();
        let Place::Waiting(outbox) = &mut state.place else { return false };
        if let (Some(deadline), None) = (call.deadline, &outbox.expiry) {
            let (channel, call) = (Arc::downgrade(self), Arc::downgrade(call));
            outbox.expiry = Some(self.reactor.at(deadline, Box::new(move || expire(&channel, &call))));
        }
        true
    }

    fn find_connection_again(self: &Arc<Self>, call: &Arc<Call>) {
        let wait_for_ready = call.lock().waits_for_ready();
        self.find_connection(call, wait_for_ready);
    }

    /// Has a call wait, but not for a connection; whether it can.
    fn rest(self: &Arc<Self>, call: &Arc<Call>) -> bool {
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            call.fail_waiting(Status::new(Code::Cancelled, "Channel closed!"));
            return false;
        }
        let waits = self.watch_deadline(call);
        if waits {
            state.resting.push(Arc::clone(call));
        }
        waits
    }

    /// What a call was held for has come.
    pub(crate) fn unhold(self: &Arc<Self>, call: &Arc<Call>) {
        self.forget(call);
        self.find_connection_again(call);
    }

    /// Makes a call again once `delay` is over.
    fn start_over(self: &Arc<Self>, call: &Arc<Call>, delay: Duration) {
        if !self.rest(call) {
            return;
        }
        let (channel, again) = (Arc::downgrade(self), Arc::downgrade(call));
        let wake = move || {
            let (Some(channel), Some(call)) = (channel.upgrade(), again.upgrade()) else { return };
            channel.forget(&call);
            channel.find_connection_again(&call);
        };
        if let Place::Waiting(outbox) = &mut call.lock().place {
            outbox.again = Some(self.reactor.at(Instant::now() + delay, Box::new(wake)));
        }
    }

    /// A call that waited has ended.
    pub(crate) fn forget(&self, call: &Arc<Call>) {
        lock(&self.state).forget(call);
    }

    /// The connectivity state; leaves IDLE if asked to.
    pub fn connectivity(self: &Arc<Self>, try_to_connect: bool) -> Connectivity {
        let mut state = lock(&self.state);
        let connectivity = state.brain.state();
        if try_to_connect && self.target_error.is_none() {
            state.brain.connect(Instant::now());
            self.drive(state, Chores::default());
        }
        connectivity
    }

    /// Waits until the state is not `last`.
    pub fn wait_for_change(&self, last: Connectivity, until: Option<Instant>) -> (Connectivity, Waited) {
        let mut state = lock(&self.state);
        loop {
            let connectivity = state.brain.state();
            if connectivity != last {
                return (connectivity, Waited::Done);
            }
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return (connectivity, Waited::TimedOut);
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Ends every call with CANCELLED and `details`; idempotent.
    pub fn close(self: &Arc<Self>, details: &str) {
        let status = Status::new(Code::Cancelled, details.to_owned());
        let mut state = lock(&self.state);
        state.closed = true;
        self.entity.close();
        state.brain.shutdown();
        let mut waiting = std::mem::take(&mut state.waiting);
        waiting.append(&mut state.resting);
        let connections: Vec<_> = state.connections.drain().map(|(_, link)| link.connection).collect();
        self.drive(state, Chores::default());
        for call in waiting {
            call.fail_waiting(status.clone());
        }
        for connection in connections {
            close(&connection, &status);
        }
    }

    // The pump.

    /// Does what the brain wants, until it wants nothing more.
    fn drive<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>, mut chores: Chores) {
        loop {
            let mut changed = None;
            while let Some(action) = state.brain.poll_action() {
                match action {
                    Action::Resolve { host, port } => chores.resolve.push((host, port)),
                    Action::Connect { id, address } => chores.connect.push((id, address)),
                    Action::Disconnect(id) => {
                        chores.disconnect.extend(state.connections.remove(&id).map(|link| link.connection));
                    }
                    Action::StateChanged(connectivity) => {
                        changed = Some(connectivity);
                        self.entity.becomes(connectivity);
                        // May well want more of the brain.
                        self.publish(&mut state, &mut chores);
                    }
                }
            }
            self.arm(&mut state);
            drop(state);
            if let Some(connectivity) = changed {
                let words = || format!("channel {:?} is {connectivity:?}", self.authority);
                self.notifier.run(trace::line(Topic::Connectivity, words).into_iter().collect());
                self.changed.notify_all();
            }
            let chores = std::mem::take(&mut chores);
            if !self.perform(chores) {
                return;
            }
            state = lock(&self.state);
        }
    }

    /// The state has changed: a new snapshot for new calls, and a new pick for those that wait.
    fn publish(&self, state: &mut State, chores: &mut Chores) {
        let now = Instant::now();
        let ready = match state.brain.state() {
            Connectivity::Ready => match state.brain.pick(false, now) {
                Pick::Connection(id) => state.connections.get(&id).map(|link| Arc::clone(&link.connection)),
                Pick::Wait | Pick::Fail(_) => None,
            },
            _ => None,
        };
        self.ready.store(ready);
        for call in std::mem::take(&mut state.waiting) {
            let wait_for_ready = match &call.lock().place {
                Place::Waiting(outbox) => outbox.wait_for_ready.unwrap_or(false),
                Place::On(..) | Place::Gone => continue,
            };
            state.sort(&call, wait_for_ready, now, chores);
        }
    }

    fn arm(self: &Arc<Self>, state: &mut State) {
        let Some(due) = state.brain.poll_timeout() else {
            state.timer = None;
            return;
        };
        if state.timer.as_ref().is_none_or(|timer| due < timer.at()) {
            let channel = Arc::downgrade(self);
            let look = move || channel.upgrade().iter().for_each(|channel| channel.handle_timer());
            state.timer = Some(self.reactor.at(due, Box::new(look)));
        }
    }

    fn handle_timer(self: &Arc<Self>) {
        let now = Instant::now();
        let mut state = lock(&self.state);
        state.timer = None;
        if state.brain.poll_timeout().is_some_and(|due| due <= now) {
            state.brain.handle_timeout(now);
        }
        self.drive(state, Chores::default());
    }

    /// Does the chores, without the lock; whether the brain was told something.
    fn perform(self: &Arc<Self>, chores: Chores) -> bool {
        let mut told = false;
        for connection in chores.disconnect {
            close(&connection, &Status::new(Code::Unavailable, "connection attempt given up"));
        }
        for (call, status) in chores.fail {
            call.fail_waiting(status);
        }
        for (host, port) in chores.resolve {
            told |= self.resolve(host, port);
        }
        for (id, address) in chores.connect {
            told |= self.connect(id, &address);
        }
        for (call, connection) in chores.place {
            if !connection.adopt(&call, &self.authority, Then::Go) {
                // Its end is about to be told; the call waits for what comes after.
                lock(&self.state).lose(&connection, NO_MORE_CALLS);
                self.find_connection_again(&call);
                told = true;
            }
        }
        told
    }

    /// Resolves a name on a short-lived thread, an address at once; whether the brain has been told.
    fn resolve(self: &Arc<Self>, host: String, port: u16) -> bool {
        if let Ok(ip) = host.parse::<IpAddr>() {
            let address = Address::Ip(SocketAddr::new(ip, port));
            lock(&self.state).brain.handle_resolved(Ok(vec![address]), Instant::now());
            return true;
        }
        let channel = Arc::downgrade(self);
        let lookup = move || {
            let found = (host.as_str(), port).to_socket_addrs();
            let Some(channel) = channel.upgrade().filter(|channel| channel.is_ours()) else { return };
            let result = match found {
                Ok(addresses) => Ok(in_order(addresses)),
                Err(_) => Err("Domain name not found".to_owned()),
            };
            let mut state = lock(&channel.state);
            state.brain.handle_resolved(result, Instant::now());
            channel.drive(state, Chores::default());
        };
        match std::thread::Builder::new().name("farcall-resolver".to_owned()).spawn(lookup) {
            Ok(_) => false,
            Err(error) => {
                lock(&self.state).brain.handle_resolved(Err(os_text(&error)), Instant::now());
                true
            }
        }
    }

    /// Starts to connect; whether the brain has been told of a failure.
    fn connect(self: &Arc<Self>, id: ConnectionId, address: &Address) -> bool {
        if self.proxy.is_some() || self.security.as_ref().is_some_and(ClientSecurity::waits) {
            return self.connect_patiently(id, address);
        }
        let connected = self.transport(address).and_then(|transport| match Socket::connect(address) {
            Ok(socket) => Ok((socket, transport)),
            Err(error) => Err(connect_error(address, &os_text(&error))),
        });
        match connected {
            Ok((socket, transport)) => {
                self.adopt_socket(id, address, socket, transport, true);
                false
            }
            Err(error) => {
                self.connect_failed(id, &error);
                true
            }
        }
    }

    fn connect_failed(&self, id: ConnectionId, error: &ConnectError) {
        lock(&self.state).brain.handle_connect_failed(id, error, Instant::now());
    }

    fn transport(&self, address: &Address) -> Result<Transport, ConnectError> {
        match &self.security {
            Some(security) => security.transport(&self.server_name, address),
            None => Ok(Transport::Plain),
        }
    }

    /// Connects on a short-lived thread that waits: for a proxy, and for a handshake that calls Python. Whether the brain
    /// has been told of a failure.
    fn connect_patiently(self: &Arc<Self>, id: ConnectionId, address: &Address) -> bool {
        let (channel, way, to, patience) =
            (Arc::downgrade(self), self.proxy.clone(), address.clone(), self.connect_timeout);
        let transport = match self.transport(address) {
            Ok(transport) => transport,
            Err(error) => {
                self.connect_failed(id, &error);
                return true;
            }
        };
        let waits = self.security.as_ref().is_some_and(ClientSecurity::waits);
        let connect = move || {
            let mut transport = transport;
            let socket = match &way {
                Some(way) => proxy::connect(&way.proxy, &to, (&way.host, way.port), patience)
                    .and_then(|socket| Socket::accepted(socket, true)),
                None => Socket::connect_patiently(&to, patience),
            };
            let mut connected = socket.map_err(|error| connect_error(&to, &os_text(&error)));
            if waits
                && let Ok(socket) = &connected
                && let Err(error) = transport.shake(socket, patience)
            {
                connected = Err(error);
            }
            let Some(channel) = channel.upgrade().filter(|channel| channel.is_ours()) else { return };
            match connected {
                Ok(socket) => channel.adopt_socket(id, &to, socket, transport, false),
                Err(error) => {
                    channel.connect_failed(id, &error);
                    channel.drive(lock(&channel.state), Chores::default());
                }
            }
        };
        match std::thread::Builder::new().name("farcall-connect".to_owned()).spawn(connect) {
            Ok(_) => false,
            Err(error) => {
                self.connect_failed(id, &connect_error(address, &os_text(&error)));
                true
            }
        }
    }

    /// Makes a connection of a socket, which may still be connecting.
    fn adopt_socket(
        self: &Arc<Self>,
        id: ConnectionId,
        address: &Address,
        socket: Socket,
        transport: Transport,
        connecting: bool,
    ) {
        self.socket.apply(socket.handle());
        let owner = Arc::new(Attempt {
            entity: Arc::clone(&self.entity),
            channel: Arc::downgrade(self),
            id,
            address: address.clone(),
        });
        let keepalive_time = lock(&self.state).keepalive_time;
        let config = Config { seed: process::random(), keepalive_time, ..budget::shared(self.engine.clone()) };
        let connection =
            Connection::start(socket, transport, address.to_string(), config, connecting, &self.reactor, owner);
        let mut state = lock(&self.state);
        if state.closed {
            drop(state);
            close(&connection, &Status::new(Code::Cancelled, "Channel closed!"));
        } else if !connection.lock().is_over() {
            // It may work already: the reactor is quick.
            state.connections.entry(id).or_insert(Link { connection, works: None });
        }
    }
}

impl State {
    /// Decides where a call goes now.
    fn sort(&mut self, call: &Arc<Call>, wait_for_ready: bool, now: Instant, chores: &mut Chores) {
        match self.brain.pick(wait_for_ready, now) {
            Pick::Connection(id) => match self.connections.get(&id) {
                Some(link) => chores.place.push((Arc::clone(call), Arc::clone(&link.connection))),
                None => self.waiting.push(Arc::clone(call)),
            },
            Pick::Wait => self.waiting.push(Arc::clone(call)),
            Pick::Fail(status) => chores.fail.push((Arc::clone(call), status)),
        }
    }

    /// A call waits no longer.
    fn forget(&mut self, call: &Arc<Call>) {
        self.waiting.retain(|other| !Arc::ptr_eq(other, call));
        self.resting.retain(|other| !Arc::ptr_eq(other, call));
    }

    /// This connection takes no new calls.
    fn lose(&mut self, connection: &Arc<Connection>, why: &str) {
        let found = self.connections.iter().find(|(_, link)| Arc::ptr_eq(&link.connection, connection));
        let Some((id, since)) = found.and_then(|(id, link)| Some((*id, link.works?))) else { return };
        let now = Instant::now();
        let lost = Lost { why, lived: now - since, useful: connection.lock().is_useful() };
        self.brain.handle_lost(id, lost, now);
    }
}

/// Tells the channel of one attempt to connect, and of the connection that came of it.
struct Attempt {
    entity: Arc<Entity>,
    channel: Weak<Channel>,
    id: ConnectionId,
    address: Address,
}

impl Owner for Attempt {
    fn entity(&self) -> &Arc<Entity> {
        &self.entity
    }

    fn notice(&self, connection: &Arc<Connection>, notices: Vec<Notice>) {
        let channel = self.channel.upgrade();
        for notice in notices {
            if let Notice::Ended(call, callbacks) = notice {
                call.run(callbacks);
                continue;
            }
            if let Notice::Trace(line) = notice {
                if let Some(channel) = &channel {
                    channel.notifier.run(vec![line]);
                }
                continue;
            }
            if let Notice::Remark(remark) = notice {
                if let Some(channel) = &channel {
                    channel.notifier.run(channel.reports.line(remark, &connection.peer).into_iter().collect());
                }
                continue;
            }
            let Some(channel) = &channel else {
                if let Notice::Again(call, _) = notice {
                    call.fail_waiting(Status::new(Code::Cancelled, "Channel deallocated!"));
                }
                continue;
            };
            let keepalive_time = match notice {
                Notice::Lost { .. } | Notice::Draining => connection.lock().engine.next_keepalive_time(),
                _ => None,
            };
            let mut state = lock(&channel.state);
            state.keepalive_time = state.keepalive_time.max(keepalive_time);
            match notice {
                Notice::Ready => {
                    let link = Link { connection: Arc::clone(connection), works: Some(Instant::now()) };
                    if !state.closed {
                        state.connections.insert(self.id, link);
                        state.brain.handle_connected(self.id);
                    }
                }
                Notice::Draining => state.lose(connection, NO_MORE_CALLS),
                Notice::Lost { why, connected, refused } => {
                    state.lose(connection, &why);
                    let worked = state.connections.remove(&self.id).and_then(|link| link.works);
                    if worked.is_none() {
                        let error = match refused {
                            Some(refused) => refused,
                            None if connected => ConnectError { code: Code::Unavailable, why },
                            None => connect_error(&self.address, &why),
                        };
                        state.brain.handle_connect_failed(self.id, &error, Instant::now());
                    }
                }
                Notice::Again(call, Next::After(delay)) => {
                    drop(state);
                    channel.start_over(&call, delay);
                    state = lock(&channel.state);
                }
                Notice::Again(call, next) => {
                    if next == Next::Elsewhere {
                        state.lose(connection, NO_MORE_CALLS);
                    }
                    drop(state);
                    channel.find_connection_again(&call);
                    state = lock(&channel.state);
                }
                Notice::Request(..)
                | Notice::Receivable(_)
                | Notice::Ended(..)
                | Notice::Remark(_)
                | Notice::Trace(_) => {}
            }
            channel.drive(state, Chores::default());
        }
    }
}

/// Ends a connection and every call on it.
fn close(connection: &Arc<Connection>, status: &Status) {
    connection.step(|engine, now| engine.close(ErrorCode::NO_ERROR, "", status, now));
}

/// The deadline of a call that waited for a connection has come.
fn expire(channel: &Weak<Channel>, call: &Weak<Call>) {
    let (Some(channel), Some(call)) = (channel.upgrade(), call.upgrade()) else { return };
    let waits = matches!(call.lock().place, Place::Waiting(..));
    if waits {
        channel.forget(&call);
        call.fail_waiting(deadline_exceeded());
    }
}

/// Each address once, in the resolver's order of preference.
fn in_order(found: impl Iterator<Item = SocketAddr>) -> Vec<Address> {
    let mut addresses: Vec<Address> = Vec::new();
    for address in found.map(Address::Ip) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}
