//! One small thread that looks after connections nobody waits on: readiness, timers, listeners.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use farcall_engine::Farewell;
use farcall_serving::limits::{HANDSHAKES_IN_A_ROW, HANDSHAKES_WAITING};
use farcall_system::{
    Callback, Host, lock, memory,
    process::{self, PerProcess},
    socket::Socket,
};
use mio::{Events, Interest, Poll, Registry, Token, Waker, unix::SourceFd};

use crate::{
    connection::{Connection, Keeper, LAST_WORDS, Ready, State, next_token},
    listener::{Accepted, Listener},
};

const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// The waker's own token; connections and listeners count from 1.
const WAKE: Token = Token(0);

/// How long a connection without calls stays unwatched after its last use. Registering it at once would cost a
/// thread that makes one call after the other two system calls per call.
const REST: Duration = Duration::from_millis(20);

/// The reactor of the clients of this process.
static CLIENTS: PerProcess<Option<Arc<Reactor>>> = PerProcess::new();

/// The thread's handle.
pub(crate) struct Reactor {
    registry: Registry,
    waker: Waker,
    generation: u32,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    sources: HashMap<usize, Source>,
    timers: BTreeMap<TimerKey, Timed>,
    next_timer: u64,
    /// Connections to watch once they rest, with the uses they had when last looked at.
    lingering: Vec<(Weak<Connection>, u64)>,
    /// How many of the sources are parting.
    parting: usize,
    /// Listeners on which more may wait.
    accepting: Vec<Arc<Listener>>,
    /// When the thread will wake by itself; `None` while it is not asleep.
    asleep_until: Option<Option<Instant>>,
    stopping: bool,
}

#[derive(Clone)]
enum Source {
    Connection(Weak<Connection>),
    Listener(Arc<Listener>),
    Parting(Arc<Parting>),
}

/// The socket of a connection that is over, whose peer is given time to read its last words.
struct Parting {
    socket: Socket,
    farewell: Mutex<Farewell>,
}

/// How many sockets of connections that are over are kept open for their peers' sake; more are closed at once.
const MOST_PARTING: usize = 1024;

/// Reads of one of them before others get their turn.
const PARTING_READS: usize = 16;

/// When it goes off, and a number of its own.
pub(crate) type TimerKey = (Instant, u64);

enum Timed {
    Connection(Weak<Connection>),
    Task(Callback),
}

/// A task that runs once its time has come. Dropped before, it never runs, and leaves nothing behind.
#[must_use]
pub(crate) struct Timer {
    reactor: Arc<Reactor>,
    key: TimerKey,
}

impl Timer {
    /// When it goes off.
    pub(crate) fn at(&self) -> Instant {
        self.key.0
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.reactor.unset(&self.key);
    }
}

impl Reactor {
    /// The reactor of this process's clients; started when first asked for, and again after a fork.
    pub(crate) fn of_clients() -> io::Result<Arc<Reactor>> {
        CLIENTS.with(|clients| {
            if let Some(reactor) = clients {
                return Ok(Arc::clone(reactor));
            }
            let (reactor, poll) = Reactor::new()?;
            reactor.start(poll, "farcall-reactor", |work| work())?;
            Ok(Arc::clone(clients.insert(reactor)))
        })
    }

    /// A reactor whose thread is not started yet.
    pub(crate) fn new() -> io::Result<(Arc<Reactor>, Poll)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let registry = poll.registry().try_clone()?;
        let generation = process::generation();
        Ok((Arc::new(Reactor { registry, waker, generation, shared: Mutex::default() }), poll))
    }

    /// Starts the thread.
    pub(crate) fn start(self: &Arc<Self>, poll: Poll, name: &str, host: Host) -> io::Result<()> {
        let reactor = Arc::clone(self);
        let mut poll = poll;
        let life = move || host(&mut || reactor.run(&mut poll));
        std::thread::Builder::new().name(name.to_owned()).spawn(life)?;
        Ok(())
    }

    /// Ends the thread, once what connections have to say is written, or soon.
    pub(crate) fn stop(&self) {
        if self.is_ours() {
            lock(&self.shared).stopping = true;
            self.wake();
        }
    }

    fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    fn wake(&self) {
        // It can only fail when the wake-up is there already.
        let _ = self.waker.wake();
    }

    // Connections. The caller holds the connection's lock.

    /// Looks after `connection` from now on.
    pub(crate) fn watch(&self, connection: &Arc<Connection>, state: &mut State) -> io::Result<()> {
        let token = connection.token;
        lock(&self.shared).sources.insert(token, Source::Connection(Arc::downgrade(connection)));
        // Edge-triggered: whatever is ready now is told once. Room is watched only where it is waited for, since there
        // mostly is some, which would wake the thread for nothing.
        state.room_watched = state.blocked || state.connecting;
        let interest = if state.room_watched { BOTH } else { Interest::READABLE };
        let registered = self.registry.register(&mut SourceFd(&connection.socket.raw()), Token(token), interest);
        if let Err(error) = registered {
            lock(&self.shared).sources.remove(&token);
            return Err(error);
        }
        state.keeper = Keeper::Reactor;
        self.arm(connection, state);
        Ok(())
    }

    /// Tells a connection that it watches when there is room to write.
    pub(crate) fn watch_room(&self, connection: &Connection, state: &mut State) -> io::Result<()> {
        if std::mem::replace(&mut state.room_watched, true) || !self.is_ours() {
            return Ok(());
        }
        self.registry.reregister(&mut SourceFd(&connection.socket.raw()), Token(connection.token), BOTH)
    }

    /// Forgets `connection`.
    pub(crate) fn unwatch(&self, connection: &Connection, state: &mut State) {
        if state.keeper != Keeper::Reactor {
            return;
        }
        state.keeper = Keeper::Nobody;
        // The epoll instance is shared with the parent of a fork: its registration is not this process's to remove.
        if self.is_ours() {
            lock(&self.shared).sources.remove(&connection.token);
            // Not being registered is what is wanted.
            let _ = self.registry.deregister(&mut SourceFd(&connection.socket.raw()));
        }
    }

    /// Wakes `connection` at the time it is armed for. It has one timer at most: one that goes off too early does no
    /// harm, so only a later one is replaced.
    pub(crate) fn arm(&self, connection: &Arc<Connection>, state: &mut State) {
        let Some(at) = state.armed else { return };
        if state.timer.is_some_and(|(set, _)| set <= at) {
            return;
        }
        if let Some(later) = state.timer.take() {
            self.unset(&later);
        }
        state.timer = Some(self.set(at, Timed::Connection(Arc::downgrade(connection))));
    }

    /// Forgets the timer of a connection that is over. Until it went off it would keep the connection's memory, which may
    /// be half an hour.
    pub(crate) fn disarm(&self, state: &mut State) {
        if let Some(timer) = state.timer.take() {
            self.unset(&timer);
        }
    }

    /// Watches `connection` once it has not been used for a while.
    pub(crate) fn linger(&self, connection: &Arc<Connection>, state: &mut State) {
        state.uses += 1;
        if state.lingering || state.is_over() {
            return;
        }
        state.lingering = true;
        let mut shared = lock(&self.shared);
        shared.lingering.push((Arc::downgrade(connection), state.uses));
        let due = Instant::now() + REST;
        self.wake_if_asleep_at(&shared, due);
    }

    /// Ends writing on the socket of a connection that is over, and reads on as `farewell` says; whether it does.
    pub(crate) fn part(self: &Arc<Self>, socket: &Socket, farewell: Farewell) -> bool {
        if !self.is_ours() || lock(&self.shared).stopping {
            return false;
        }
        let Ok(socket) = socket.try_clone() else { return false };
        socket.end_writing();
        let raw = socket.raw();
        let token = next_token();
        {
            let mut shared = lock(&self.shared);
            if shared.parting >= MOST_PARTING {
                return false;
            }
            let parting = Parting { socket, farewell: Mutex::new(farewell) };
            shared.parting += 1;
            shared.sources.insert(token, Source::Parting(Arc::new(parting)));
        }
        if self.registry.register(&mut SourceFd(&raw), Token(token), Interest::READABLE).is_err() {
            self.end_parting(token);
            return false;
        }
        let weak = Arc::downgrade(self);
        let end = move || {
            if let Some(reactor) = weak.upgrade() {
                reactor.end_parting(token);
            }
        };
        self.set(farewell.until(), Timed::Task(Box::new(end)));
        true
    }

    fn read_parting(&self, token: usize, parting: &Parting) {
        let mut scratch = [0; 16 << 10];
        for _ in 0..PARTING_READS {
            match parting.socket.read(&mut scratch) {
                Ok(len) if lock(&parting.farewell).discard(len, Instant::now()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return self.end_parting(token),
            }
        }
        // Others first; what is left is announced again.
        let raw = parting.socket.raw();
        if self.registry.reregister(&mut SourceFd(&raw), Token(token), Interest::READABLE).is_err() {
            self.end_parting(token);
        }
    }

    fn end_parting(&self, token: usize) {
        let removed = {
            let mut shared = lock(&self.shared);
            let removed = shared.sources.remove(&token);
            shared.parting -= usize::from(removed.is_some());
            removed
        };
        if let Some(Source::Parting(parting)) = removed {
            let _ = self.registry.deregister(&mut SourceFd(&parting.socket.raw()));
            parting.socket.shut_down();
        }
    }

    // Everything else.

    /// Asks whether all is quiet, and again until it is.
    pub(crate) fn look_after_memory(self: &Arc<Self>) {
        let Some(at) = memory::quiet(Instant::now()) else { return };
        let reactor = Arc::downgrade(self);
        let again = move || {
            if let Some(reactor) = reactor.upgrade() {
                reactor.look_after_memory();
            }
        };
        self.set(at, Timed::Task(Box::new(again)));
    }

    /// Runs `task` on the thread, as soon as may be.
    pub(crate) fn soon(&self, task: Callback) {
        self.set(Instant::now(), Timed::Task(task));
    }

    /// Runs `task` on the thread at `at`, unless the timer is dropped before.
    pub(crate) fn at(self: &Arc<Self>, at: Instant, task: Callback) -> Timer {
        Timer { reactor: Arc::clone(self), key: self.set(at, Timed::Task(task)) }
    }

    /// How much it looks after: connections, timers, connections that may soon rest.
    pub(crate) fn load(&self) -> [usize; 3] {
        let shared = lock(&self.shared);
        [shared.sources.len(), shared.timers.len(), shared.lingering.len()]
    }

    /// Accepts connections of `listener`.
    pub(crate) fn listen(&self, listener: Arc<Listener>) -> io::Result<()> {
        let (token, raw) = (listener.token, listener.raw());
        lock(&self.shared).sources.insert(token, Source::Listener(listener));
        self.registry.register(&mut SourceFd(&raw), Token(token), Interest::READABLE)
    }

    /// Accepts no more.
    pub(crate) fn unlisten(&self, listener: &Listener) {
        if self.is_ours() {
            lock(&self.shared).sources.remove(&listener.token);
            let _ = self.registry.deregister(&mut SourceFd(&listener.raw()));
        }
    }

    fn set(&self, at: Instant, timer: Timed) -> TimerKey {
        let mut shared = lock(&self.shared);
        let key = (at, shared.next_timer);
        shared.next_timer += 1;
        shared.timers.insert(key, timer);
        self.wake_if_asleep_at(&shared, at);
        key
    }

    /// Takes a timer back, unless it has gone off. A fork's child leaves its parent's alone.
    fn unset(&self, key: &TimerKey) {
        if self.is_ours() {
            let taken = lock(&self.shared).timers.remove(key);
            // What it holds may lock in turn.
            drop(taken);
        }
    }

    fn wake_if_asleep_at(&self, shared: &Shared, due: Instant) {
        if shared.asleep_until.is_some_and(|until| until.is_none_or(|until| due < until)) {
            self.wake();
        }
    }

    // The thread.

    fn run(self: &Arc<Self>, poll: &mut Poll) {
        let mut events = Events::with_capacity(256);
        let mut unfinished: Vec<(Arc<Connection>, Ready)> = Vec::new();
        let mut handshakes: VecDeque<(Arc<Connection>, Ready)> = VecDeque::new();
        let mut next_look = Instant::now();
        let mut stop_at = None;
        loop {
            let now = Instant::now();
            if self.is_stopping() && (self.is_silent() || *stop_at.get_or_insert(now + LAST_WORDS) <= now) {
                return;
            }
            let timeout = {
                let mut shared = lock(&self.shared);
                let timer = shared.timers.keys().next().map(|(at, _)| *at);
                let look = (!shared.lingering.is_empty()).then(|| next_look.max(now + REST / 2));
                let busy = !(unfinished.is_empty() && handshakes.is_empty() && shared.accepting.is_empty());
                let until = if busy { Some(now) } else { [timer, look, stop_at].into_iter().flatten().min() };
                shared.asleep_until = Some(until);
                until.map(|until| until.saturating_duration_since(now))
            };
            let polled = poll.poll(&mut events, timeout);
            lock(&self.shared).asleep_until = None;
            if polled.is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
                // A poller that fails for good cannot watch anything; what waits has its own deadlines.
                return;
            }
            let mut again = Vec::new();
            for (connection, ready) in unfinished.drain(..) {
                if connection.handle_ready(ready) {
                    again.push((connection, ready));
                }
            }
            for event in &events {
                if event.token() != WAKE {
                    let ended = event.is_read_closed() || event.is_error();
                    let ready = Ready {
                        readable: event.is_readable() || ended,
                        writable: event.is_writable() || event.is_write_closed() || ended,
                        ended,
                    };
                    let Some(connection) = self.find(event.token().0) else { continue };
                    if connection.in_handshake() {
                        handshakes.push_back((connection, ready));
                    } else if connection.handle_ready(ready) {
                        again.push((connection, Ready { writable: false, ..ready }));
                    }
                }
            }
            for (connection, ready) in handshakes.drain(..handshakes.len().min(HANDSHAKES_IN_A_ROW)) {
                if connection.handle_ready(ready) {
                    again.push((connection, Ready { writable: false, ..ready }));
                }
            }
            unfinished = again;
            if handshakes.len() < HANDSHAKES_WAITING {
                self.accept();
            }
            self.fire(Instant::now());
            if next_look <= Instant::now() {
                self.look_at_lingering();
                next_look = Instant::now() + REST;
            }
        }
    }

    fn is_stopping(&self) -> bool {
        lock(&self.shared).stopping
    }

    /// Whether no connection waits to write, and none to be read.
    fn is_silent(&self) -> bool {
        let sources: Vec<Source> = lock(&self.shared).sources.values().cloned().collect();
        if sources.iter().any(|source| matches!(source, Source::Parting(_))) {
            return false;
        }
        let connections = sources.iter().filter_map(|source| match source {
            Source::Connection(connection) => connection.upgrade(),
            Source::Listener(_) | Source::Parting(_) => None,
        });
        !connections.into_iter().any(|connection| connection.lock().blocked)
    }

    /// The connection of this name. A listener's turn comes when the connections have had theirs, one that parts has its
    /// turn now.
    fn find(&self, token: usize) -> Option<Arc<Connection>> {
        let source = lock(&self.shared).sources.get(&token).cloned()?;
        match source {
            Source::Connection(connection) => connection.upgrade(),
            Source::Listener(listener) => {
                lock(&self.shared).accepting.push(listener);
                None
            }
            Source::Parting(parting) => {
                self.read_parting(token, &parting);
                None
            }
        }
    }

    /// Accepts what waits, again later if the system has no descriptor left for it.
    fn accept(self: &Arc<Self>) {
        let listeners = {
            let mut shared = lock(&self.shared);
            let mut listeners = std::mem::take(&mut shared.accepting);
            // The server may have stopped meanwhile.
            listeners.retain(|listener| shared.sources.contains_key(&listener.token));
            listeners
        };
        for listener in listeners {
            match listener.accept() {
                Accepted::All => {}
                Accepted::Some => lock(&self.shared).accepting.push(listener),
                Accepted::Refused(again_after) => {
                    let (reactor, listener) = (Arc::downgrade(self), Arc::downgrade(&listener));
                    let again = move || {
                        if let (Some(reactor), Some(listener)) = (reactor.upgrade(), listener.upgrade()) {
                            lock(&reactor.shared).accepting.push(listener);
                        }
                    };
                    self.set(Instant::now() + again_after, Timed::Task(Box::new(again)));
                }
            }
        }
    }

    fn fire(&self, now: Instant) {
        loop {
            let timer = {
                let mut shared = lock(&self.shared);
                match shared.timers.first_entry() {
                    Some(entry) if entry.key().0 <= now => entry.remove(),
                    _ => return,
                }
            };
            match timer {
                Timed::Connection(connection) => {
                    if let Some(connection) = connection.upgrade() {
                        connection.handle_timer(now);
                    }
                }
                Timed::Task(task) => task(),
            }
        }
    }

    /// Watches the connections that rest; those in use are looked at again, those with a leader come back by
    /// themselves.
    fn look_at_lingering(&self) {
        let lingering = std::mem::take(&mut lock(&self.shared).lingering);
        let mut kept = Vec::new();
        for (weak, uses) in lingering {
            let Some(connection) = weak.upgrade() else { continue };
            let mut state = connection.lock();
            if state.keeper == Keeper::Nobody && state.uses != uses {
                kept.push((weak, state.uses));
                continue;
            }
            state.lingering = false;
            if state.keeper == Keeper::Nobody {
                let now = Instant::now();
                connection.give_to_reactor(&mut state, now);
                drop(connection.settle_and_tell(state, now));
            }
        }
        lock(&self.shared).lingering.extend(kept);
    }
}

/// What the reactor of the process's clients looks after: connections, timers, connections that may soon rest.
///
/// # Errors
/// The reactor cannot be started.
pub fn watched() -> io::Result<[usize; 3]> {
    Ok(Reactor::of_clients()?.load())
}
