//! Pumps a channel's brain: brings calls to connections, and does what the brain asks for.

mod calls;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use arc_swap::ArcSwap;
use farcall_channel::{
    self as brain, Action, Connectivity, DialId, How, Lost, Placed, RetryConfig, Snapshot, StreamEvent, StreamId,
    StreamRequest, call::Budget, limits::REPLAY_PER_CHANNEL,
};
use farcall_core::{Code, Status};
use farcall_engine::{Config, ErrorCode};
use farcall_system::{
    Host,
    channel::brain_of,
    channelz::Entity,
    credentials::ClientSecurity,
    lock,
    options::{ChannelOptions, SocketOptions},
    process,
    reports::Reports,
    trace::{self, Topic},
};

use crate::{
    call::{Call, Waited},
    connection::{Connection, Then},
    notifier::Notifier,
    reactor::{Reactor, Timer},
};

/// Actions that a thread performs in one go. What is left then is the reactor's: the thread came for a call of its own.
pub(crate) const AT_ONCE: usize = 64;

/// The same of a thread that reads a connection for others, which wait meanwhile.
pub(crate) const AT_ONCE_FOR_LEADERS: usize = 8;

type Brain = brain::Channel<Arc<Connection>, Arc<Call>>;

/// A channel with its calls.
pub struct Channel {
    generation: u32,
    pub(crate) entity: Arc<Entity>,
    authority: String,
    pub(crate) engine: Config,
    pub(crate) socket: SocketOptions,
    /// `None` is plain text.
    pub(crate) security: Option<ClientSecurity>,
    /// What the server is known as to TLS.
    pub(crate) server_name: String,
    retry: RetryConfig,
    /// What calls under a policy keep to be sent again.
    budget: Arc<Budget>,
    pub(crate) reactor: Arc<Reactor>,
    pub(crate) notifier: Arc<Notifier>,
    pub(crate) reports: Reports,
    /// What new calls read, without a lock.
    snapshot: ArcSwap<Snapshot<Arc<Connection>>>,
    state: Mutex<State>,
    changed: Condvar,
}

pub(crate) struct State {
    pub(crate) brain: Brain,
    /// Attempts under way, those on a thread of their own without a connection, and what has come of them, to its end.
    pub(crate) connections: HashMap<DialId, Option<Arc<Connection>>>,
    /// Where streams of the channel's own are.
    pub(crate) streams: HashMap<StreamId, Arc<Connection>>,
    /// When the reactor will call [`Channel::handle_timer`].
    timer: Option<Timer>,
}

impl Channel {
    /// A channel in IDLE; connects when first used.
    ///
    /// # Errors
    /// The reactor cannot be started.
    pub fn new(name: &str, options: &ChannelOptions, host: Host) -> io::Result<Arc<Channel>> {
        let (brain, authority): (Brain, String) = brain_of(name, options);
        Ok(Arc::new(Channel {
            generation: process::generation(),
            entity: Entity::channel(name, options.channelz),
            server_name: options.server_name(&authority),
            security: options.security.clone(),
            authority,
            engine: options.engine.clone(),
            socket: options.socket.clone(),
            budget: Arc::new(Budget::new(REPLAY_PER_CHANNEL)),
            retry: options.channel.retry.clone(),
            reactor: Reactor::of_clients()?,
            notifier: Notifier::new(host),
            reports: Reports::to("grpc._channel"),
            snapshot: ArcSwap::from(Arc::clone(brain.snapshot())),
            state: Mutex::new(State { brain, connections: HashMap::new(), streams: HashMap::new(), timer: None }),
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

    // The state.

    /// The connectivity state; leaves IDLE if asked to.
    pub fn connectivity(self: &Arc<Self>, try_to_connect: bool) -> Connectivity {
        let state = self.lock();
        let connectivity = state.brain.state();
        drop(state);
        if try_to_connect {
            self.step(AT_ONCE, |state, now| state.brain.connect(now));
        }
        connectivity
    }

    /// Waits until the state is not `last`.
    pub fn wait_for_change(&self, last: Connectivity, until: Option<Instant>) -> (Connectivity, Waited) {
        let mut state = self.lock();
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
        self.entity.close();
        // All of it here: a program that closes its channel may end right after.
        self.step(usize::MAX, |state, now| state.brain.shutdown(&status, now));
    }

    // The brain.

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Steps the brain, and does what it asks for then: as many actions as that.
    pub(crate) fn step(self: &Arc<Self>, most: usize, step: impl FnOnce(&mut State, Instant)) {
        let mut state = self.lock();
        step(&mut state, Instant::now());
        self.drive(state, most);
    }

    /// A connection takes no more calls, or is gone.
    pub(crate) fn lost(self: &Arc<Self>, dial: DialId, how: How, why: &str, connection: &Connection, most: usize) {
        let (useful, keepalive_time) = {
            let state = connection.lock();
            (state.is_useful(), state.engine.next_keepalive_time())
        };
        let lost = Lost { how, why, useful, keepalive_time };
        self.step(most, |state, now| state.brain.handle_lost(dial, lost, now));
    }

    /// Does what the brain asks for, unless another thread is at it: then that one does this too.
    fn drive<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>, most: usize) {
        if !state.brain.begin_drain() {
            return self.arm(&mut state);
        }
        for _ in 0..most {
            let Some(action) = state.brain.poll_action() else { return self.arm(&mut state) };
            drop(state);
            let drain = Drain(self);
            self.perform(action);
            drop(drain);
            state = self.lock();
        }
        state.brain.leave_drain();
        self.arm(&mut state);
        drop(state);
        let channel = Arc::downgrade(self);
        let go_on = move || channel.upgrade().iter().for_each(|channel| channel.step(AT_ONCE, |_, _| ()));
        self.reactor.soon(Box::new(go_on));
    }

    fn perform(self: &Arc<Self>, action: Action<Arc<Connection>, Arc<Call>>) {
        match action {
            Action::Resolve(id, query) => self.look_up(id, query),
            Action::Dial(id, dial) => self.dial(id, dial),
            Action::Abandon(id) => self.give_up(id),
            Action::Release(connection) => connection.step(|engine, now| engine.shutdown(now)),
            Action::Close(connection, status) => close(&connection, &status),
            Action::Start(call, Placed { connection, dial, done }) => {
                self.place(&call, (&connection, dial, done), Then::Go);
            }
            Action::Fail(call, refusal) => self.refuse(&call, refusal),
            Action::AskInUse(connections) => {
                let in_use = connections.iter().any(|connection| connection.lock().has_calls());
                self.lock().brain.handle_in_use(in_use, Instant::now());
            }
            Action::Publish(snapshot) => drop(self.snapshot.swap(snapshot)),
            Action::StateChanged(connectivity) => {
                self.entity.becomes(connectivity);
                let words = || format!("channel {:?} is {connectivity:?}", self.authority);
                self.notifier.run(trace::line(Topic::Connectivity, words).into_iter().collect());
                self.changed.notify_all();
            }
            Action::Note(note) => {
                let line = self.reports.note(format!("{}: {note}", self.authority));
                self.notifier.run(line.into_iter().collect());
            }
            Action::Open(id, connection, request) => self.open_stream(id, &connection, request),
            Action::Cancel(id) => {
                let connection = self.lock().streams.remove(&id);
                connection.into_iter().for_each(|connection| connection.end_stream(id));
            }
            Action::StopResolving(_) | Action::Drop(_) => {}
        }
    }

    /// Opens a stream of the channel's own.
    fn open_stream(self: &Arc<Self>, id: StreamId, connection: &Arc<Connection>, request: StreamRequest) {
        self.lock().streams.insert(id, Arc::clone(connection));
        if !connection.open_stream(id, request, &self.authority) {
            let status = Status::new(Code::Unavailable, "the connection takes no more streams");
            self.stream_ended(id, &status, AT_ONCE);
        }
    }

    pub(crate) fn stream_ended(self: &Arc<Self>, id: StreamId, status: &Status, most: usize) {
        let connection = self.lock().streams.remove(&id);
        drop(connection);
        self.step(most, |state, now| state.brain.handle_stream(id, StreamEvent::Ended(status), now));
    }

    /// Has the reactor call at the brain's time-out. One that moves away costs nothing.
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
        self.step(AT_ONCE, |state, now| {
            state.timer = None;
            state.brain.handle_timeout(now);
        });
    }
}

/// A thread that performs an action. If it panics, another goes on with those that follow.
struct Drain<'a>(&'a Channel);

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().brain.leave_drain();
        }
    }
}

/// Ends a connection and every call on it.
pub(crate) fn close(connection: &Arc<Connection>, status: &Status) {
    connection.step(|engine, now| engine.close(ErrorCode::NO_ERROR, "", status, now));
}
