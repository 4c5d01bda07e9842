//! Pumps a channel's brain on one loop: does what it asks for, and tells it what came of it.

mod calls;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, Weak, atomic::AtomicU64},
    time::Instant,
};

use farcall_channel::{
    self as brain, Action, Connectivity, DialId, How, Lost, RetryConfig, Snapshot, StreamId, call::Budget,
    limits::REPLAY_PER_CHANNEL,
};
use farcall_core::{Code, Status};
use farcall_engine::{CallId, Config};
use farcall_system::{
    channel::brain_of,
    channelz::Entity,
    credentials::ClientSecurity,
    lock,
    options::{ChannelOptions, SocketOptions},
    process,
    reports::Reports,
    trace::{self, Topic},
};
use pyo3::prelude::*;

use super::{
    call::Call,
    connection::Connection,
    due::{self, Due},
    event_loop::EventLoop,
    known::names,
    waiter::Waiter,
};
use crate::calling::Calling;

type Brain = brain::Channel<Arc<Connection>, Arc<Call>>;

/// A channel's calls and connections on one loop.
pub(crate) struct Channel {
    pub(super) entity: Arc<Entity>,
    pub(crate) event_loop: Arc<EventLoop>,
    authority: String,
    pub(super) engine: Config,
    pub(super) socket: SocketOptions,
    /// `None` is plain text.
    pub(super) security: Option<ClientSecurity>,
    /// The name that the server's certificate must be for.
    pub(super) server_name: String,
    pub(super) reports: Reports,
    retry: RetryConfig,
    /// What all calls may keep to be sent again.
    budget: Arc<Budget>,
    /// The Python function that resolves names on a loop.
    pub(super) resolve: Arc<Py<PyAny>>,
    /// What new calls read.
    snapshot: Mutex<Arc<Snapshot<Arc<Connection>>>>,
    state: Mutex<State>,
    /// For picks.
    random: AtomicU64,
    pub(super) me: Weak<Channel>,
}

pub(super) struct State {
    pub(super) brain: Brain,
    /// Attempts under way, those on a thread of their own without a connection, and what has come of them, to its end.
    pub(super) connections: HashMap<DialId, Option<Arc<Connection>>>,
    /// Streams of the channel's own.
    pub(super) streams: HashMap<StreamId, (Arc<Connection>, CallId)>,
    /// Somebody does what the brain asks for, and sees to what comes of it.
    draining: bool,
    /// Who waits for the state to change from this one.
    watchers: Vec<(Connectivity, Py<Waiter>)>,
    /// Who waits until no call is in flight.
    idle_watchers: Vec<Py<Waiter>>,
    timer: Option<(Instant, Option<Py<PyAny>>)>,
}

/// A channel as its loop's timers see it.
#[pyclass(frozen)]
pub(super) struct Timer(Weak<Channel>);

#[pymethods]
impl Timer {
    fn on_timer(&self, py: Python<'_>) -> PyResult<()> {
        let Some(channel) = self.0.upgrade() else { return Ok(()) };
        let event_loop = Arc::clone(&channel.event_loop);
        event_loop.in_batch(py, || {
            let spent = channel.lock().timer.take();
            drop(spent);
            channel.step(py, |state, now| state.brain.handle_timeout(now))
        })
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
        let (brain, authority): (Brain, String) = brain_of(name, options);
        Arc::new_cyclic(|me| Channel {
            entity: Entity::channel(name, options.channelz),
            event_loop,
            server_name: options.server_name(&authority),
            security: options.security.clone(),
            authority,
            engine: options.engine.clone(),
            socket: options.socket.clone(),
            reports: Reports::to("grpc.aio._channel"),
            retry: options.channel.retry.clone(),
            budget: Arc::new(Budget::new(REPLAY_PER_CHANNEL)),
            resolve: Arc::clone(resolve),
            snapshot: Mutex::new(Arc::clone(brain.snapshot())),
            state: Mutex::new(State {
                brain,
                connections: HashMap::new(),
                streams: HashMap::new(),
                draining: false,
                watchers: Vec::new(),
                idle_watchers: Vec::new(),
                timer: None,
            }),
            random: AtomicU64::new(process::random()),
            me: Weak::clone(me),
        })
    }

    /// `:authority` of its calls.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    // The state.

    /// The connectivity state; leaves IDLE if asked to.
    pub(crate) fn connectivity(self: &Arc<Self>, py: Python<'_>, try_to_connect: bool) -> PyResult<Connectivity> {
        let connectivity = self.lock().brain.state();
        if try_to_connect {
            self.step(py, |state, now| state.brain.connect(now))?;
        }
        Ok(connectivity)
    }

    /// What becomes done when the state is not `last` any more; `None` when it is not.
    pub(crate) fn wait_for_change(&self, py: Python<'_>, last: Connectivity) -> PyResult<Option<Py<Waiter>>> {
        let waiter = Waiter::new(py, &self.event_loop)?;
        let mut state = self.lock();
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
        let mut state = self.lock();
        if state.is_idle() {
            return Ok(None);
        }
        state.idle_watchers.push(waiter.clone_ref(py));
        Ok(Some(waiter))
    }

    /// Ends every call with CANCELLED and `details`; idempotent.
    pub(crate) fn close(self: &Arc<Self>, py: Python<'_>, details: &str) -> PyResult<()> {
        let status = Status::new(Code::Cancelled, details.to_owned());
        self.entity.close();
        self.step(py, |state, now| state.brain.shutdown(&status, now))
    }

    /// Its loop is gone, or belongs to a parent process: nothing is done any more, but every call ends.
    pub(crate) fn abandon(&self) {
        let status = Status::new(Code::Cancelled, "The event loop of the call is gone.");
        let mut state = self.lock();
        state.brain.shutdown(&status, Instant::now());
        let connections = std::mem::take(&mut state.connections);
        let streams = std::mem::take(&mut state.streams);
        let watchers = (std::mem::take(&mut state.watchers), std::mem::take(&mut state.idle_watchers));
        let timer = state.timer.take();
        while let Some(action) = state.brain.poll_action() {
            drop(state);
            match action {
                Action::Start(call, _) | Action::Fail(call, _) => call.abandon(&status),
                Action::Publish(snapshot) => self.publish(snapshot),
                other => drop(other),
            }
            state = self.lock();
        }
        drop(state);
        for connection in connections.into_values().flatten() {
            connection.abandon(&status);
        }
        drop((watchers, streams, timer));
    }

    // The brain.

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Steps the brain, and does what it asks for then.
    pub(super) fn step(self: &Arc<Self>, py: Python<'_>, step: impl FnOnce(&mut State, Instant)) -> PyResult<()> {
        let mut state = self.lock();
        step(&mut state, Instant::now());
        self.drive(py, state)
    }

    /// A connection takes no more calls, or is gone.
    pub(super) fn lost(
        self: &Arc<Self>,
        py: Python<'_>,
        dial: DialId,
        how: How,
        why: &str,
        connection: &Connection,
    ) -> PyResult<()> {
        let keepalive_time = connection.next_keepalive_time();
        let lost = Lost { how, why, useful: connection.is_useful(), keepalive_time };
        self.step(py, |state, now| state.brain.handle_lost(dial, lost, now))
    }

    /// Does what the brain asks for, unless that is being done: then this is done with it.
    fn drive<'a>(self: &'a Arc<Self>, py: Python<'_>, mut state: MutexGuard<'a, State>) -> PyResult<()> {
        if state.draining {
            return Ok(());
        }
        let (mut due, mut result) = (Vec::new(), Ok(()));
        state.draining = state.brain.begin_drain();
        if state.draining {
            while let Some(action) = state.brain.poll_action() {
                drop(state);
                let drain = Drain(self);
                // What a task lets out keeps nothing from being done.
                result = result.and(self.perform(py, action, &mut due));
                drop(drain);
                state = self.lock();
            }
            state.draining = false;
        }
        state.take_idle_watchers(&mut due);
        let at = state.brain.poll_timeout();
        drop(state);
        let armed = self.arm(py, at);
        result.and(armed).and(due::wake(py, &self.event_loop, due, self.event_loop.resume()))
    }

    /// Does one thing that the brain asks for; whoever is to hear of it is due.
    fn perform(
        self: &Arc<Self>,
        py: Python<'_>,
        action: Action<Arc<Connection>, Arc<Call>>,
        due: &mut Vec<Due>,
    ) -> PyResult<()> {
        match action {
            Action::Resolve(id, query) => self.look_up(py, id, query)?,
            Action::Dial(id, dial) => self.dial(py, id, dial)?,
            Action::Abandon(id) => self.give_up(py, id)?,
            Action::Release(connection) => connection.shut_down(py)?,
            Action::Close(connection, status) => connection.close(py, &status)?,
            Action::Open(id, connection, request) => self.open_stream(py, id, &connection, &request)?,
            Action::Cancel(id) => self.cancel_stream(py, id)?,
            Action::Start(call, placed) => self.place(py, &call, placed)?,
            Action::Fail(call, refusal) => self.refuse(py, &call, refusal, due)?,
            Action::AskInUse(connections) => {
                let in_use = connections.iter().any(|connection| !connection.is_idle());
                self.lock().brain.handle_in_use(in_use, Instant::now());
            }
            Action::Publish(snapshot) => self.publish(snapshot),
            Action::StateChanged(connectivity) => self.changed(connectivity, due),
            Action::Note(note) => due.extend(self.reports.note(format!("{}: {note}", self.authority)).map(Due::Trace)),
            Action::StopResolving(_) | Action::Drop(_) => {}
        }
        Ok(())
    }

    fn publish(&self, snapshot: Arc<Snapshot<Arc<Connection>>>) {
        let before = std::mem::replace(&mut *lock(&self.snapshot), snapshot);
        drop(before);
    }

    fn changed(&self, connectivity: Connectivity, due: &mut Vec<Due>) {
        self.entity.becomes(connectivity);
        let words = || format!("channel {:?} is {connectivity:?}", self.authority);
        due.extend(trace::line(Topic::Connectivity, words).map(Due::Trace));
        let mut state = self.lock();
        let (kept, changed) =
            std::mem::take(&mut state.watchers).into_iter().partition(|(last, _)| *last == connectivity);
        state.watchers = kept;
        due.extend(<Vec<_>>::into_iter(changed).map(|(_, waiter)| Due::Wake(waiter)));
    }

    /// Has the loop call at `due`, if it would not before.
    fn arm(&self, py: Python<'_>, due: Option<Instant>) -> PyResult<()> {
        let spent = {
            let mut state = self.lock();
            match (&state.timer, due) {
                (Some((at, _)), Some(due)) if *at <= due => return Ok(()),
                (None, None) => return Ok(()),
                _ => state.timer.take(),
            }
        };
        if let Some((_, Some(handle))) = spent {
            handle.bind(py).call_python_method(names(py).cancel.bind(py), &[])?;
        }
        if let Some(due) = due {
            let timer = Bound::new(py, Timer(Weak::clone(&self.me)))?.getattr(names(py).on_timer.bind(py))?;
            let handle = self.event_loop.call_at(py, due, Instant::now(), &timer);
            self.lock().timer = Some((due, handle));
        }
        Ok(())
    }

    /// A call on a connection has ended: who waited for the last one goes on.
    pub(super) fn call_ended(&self, due: &mut Vec<Due>) {
        self.lock().take_idle_watchers(due);
    }
}

impl State {
    /// Whether no call is in flight.
    fn is_idle(&self) -> bool {
        !self.draining
            && !self.brain.has_waiting()
            && self.connections.values().flatten().all(|connection| connection.is_idle())
    }

    fn take_idle_watchers(&mut self, due: &mut Vec<Due>) {
        if !self.idle_watchers.is_empty() && self.is_idle() {
            due.extend(std::mem::take(&mut self.idle_watchers).into_iter().map(Due::Wake));
        }
    }
}

/// A drain. If the thread that is at it panics, another goes on.
struct Drain<'a>(&'a Channel);

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.lock();
            state.draining = false;
            state.brain.leave_drain();
        }
    }
}
