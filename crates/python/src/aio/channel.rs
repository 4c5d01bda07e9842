//! Pumps a channel's brain on one loop: does what it asks for, and tells it what came of it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use farcall_channel::{
    self as brain, Action, Choice, Connectivity, DialId, Head, How, Lost, MethodConfig, Placed, Refusal, RetryConfig,
    Snapshot, StreamId, Target, Throttle, Ticket, Until,
    balancer::PickArgs,
    call::{Budget, Plan, Replay, Rpc},
    limits::{REPLAY_PER_CHANNEL, REPLAY_WITHOUT_POLICY},
};
use farcall_core::{Code, Status};
use farcall_engine::{CallId, Config};
use farcall_system::{
    channelz::{Entity, Tally},
    credentials::ClientSecurity,
    lock,
    message::{Message, NO_MORE_CALLS, too_large},
    options::{ChannelOptions, SocketOptions},
    process,
    proxy::Proxied,
    reports::Reports,
    trace::{self, Topic},
};
use pyo3::prelude::*;

use super::{
    call::{Begun, Call, NewCall, Outgoing, deadline_exceeded},
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
    throttle: Option<Arc<Throttle>>,
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
        let target = Target::parse(name);
        let theirs = target.as_ref().map_or("", |target| target.authority.as_str());
        let authority = options.authority.clone().unwrap_or_else(|| theirs.to_owned());
        let (mut config, now) = (options.channel.clone(), Instant::now());
        let usable = target.map_err(|error| Status::new(Code::Unknown, error.to_string())).and_then(|target| {
            let way = Proxied::way(&target.endpoint, options);
            let way = way.map_err(|error| Status::new(Code::Unavailable, error.to_string()))?;
            config.proxy = way.map(|way| way.proxy);
            match &options.service_config_error {
                None => Ok(target),
                Some(error) => {
                    let text = format!("Failed to create channel to '{name}':{error}");
                    Err(Status::new(Code::InvalidArgument, text))
                }
            }
        });
        let brain = match usable {
            Ok(target) => Brain::new(target, config, process::random(), now),
            Err(status) => Brain::lame(status, config, now),
        };
        Arc::new_cyclic(|me| Channel {
            entity: Entity::channel(name, options.channelz),
            event_loop,
            server_name: options.server_name(&authority),
            security: options.security.clone(),
            authority,
            engine: options.engine.clone(),
            socket: options.socket.clone(),
            reports: Reports::to("grpc.aio._channel"),
            throttle: options.channel.service_config.throttling.map(|config| Arc::new(Throttle::new(config))),
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

    // Calls.

    /// Starts a call, with its only request if one is given; never waits.
    pub(crate) fn start(
        self: &Arc<Self>,
        py: Python<'_>,
        mut new: NewCall,
        message: Option<Message<'_>>,
        deadline: Option<Instant>,
    ) -> PyResult<Arc<Call>> {
        let tally = Tally::of_client(&self.entity);
        let snapshot = Arc::clone(&lock(&self.snapshot));
        let config = match snapshot.select(&Head { path: &new.path }) {
            Ok(selection) => selection.method.cloned(),
            Err(status) => return Ok(Call::failed(status, &self.event_loop)),
        };
        let bytes = message.as_ref().map_or(0, Message::len);
        let (deadline, plan) = match &config {
            Some(config) => self.plan(config, &mut new, deadline, bytes),
            None => (deadline, None),
        };
        let late = || deadline.filter(|deadline| *deadline <= Instant::now()).map(|_| deadline_exceeded());
        let refused = config.as_ref().and_then(|config| too_large("Sent", bytes, config.max_request));
        let refused = refused.or_else(late);
        let (held, wait_for_ready) = (new.held, new.wait_for_ready.unwrap_or(false));
        let choice = if held || refused.is_some() {
            Choice::Queue
        } else {
            // Steps of the golden ratio: well spread, and cheap.
            let random = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            snapshot.pick(&PickArgs::new(&new.path, random))
        };
        let replay = match &plan {
            Some(_) => Replay::new(self.retry.buffer, Some(Arc::clone(&self.budget))),
            None => Replay::new(self.retry.buffer.min(REPLAY_WITHOUT_POLICY), None),
        };
        let mut outgoing = Outgoing::new(Weak::clone(&self.me), new, Rpc::new(plan), replay);
        if let Some(message) = message {
            outgoing.ask(message);
        }
        let call = Call::of_client(outgoing, deadline, &self.event_loop, config, tally);
        match (refused, choice) {
            (Some(status), _) => call.fail_waiting(status, &mut Vec::new()),
            (None, Choice::Ready(picked)) => self.place(py, &call, picked.into_placed())?,
            (None, Choice::Fail(refusal)) if !(wait_for_ready && refusal.may_retry) => {
                self.refuse(py, &call, refusal, &mut Vec::new())?;
            }
            (None, _) if held => self.wait(py, &call, Some(Until::Resumed))?,
            (None, Choice::Queue | Choice::Fail(_)) => self.wait(py, &call, None)?,
        }
        Ok(call)
    }

    /// What the service config makes of a call: its deadline, and whether it is made again. What is too long to be kept is not.
    fn plan(
        &self,
        config: &Arc<MethodConfig>,
        new: &mut NewCall,
        deadline: Option<Instant>,
        bytes: usize,
    ) -> (Option<Instant>, Option<Box<Plan>>) {
        new.wait_for_ready = new.wait_for_ready.or(config.wait_for_ready);
        let timeout = config.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let enabled = self.retry.enabled && (self.retry.hedging || config.hedging.is_none());
        let again = enabled && bytes <= self.retry.buffer;
        let plan = again.then(|| Plan::new(config, self.throttle.as_ref(), process::random())).flatten();
        ([deadline, timeout].into_iter().flatten().min(), plan)
    }

    /// Puts an attempt at a call onto a connection, or has it wait for another.
    fn place(self: &Arc<Self>, py: Python<'_>, call: &Arc<Call>, placed: Placed<Arc<Connection>>) -> PyResult<()> {
        let Placed { connection, dial, done } = placed;
        match connection.adopt(py, call, &self.authority, done)? {
            Begun::On { next: Some(at), .. } => self.wait(py, call, Some(Until::Time(at))),
            Begun::On { next: None, .. } | Begun::Nothing => Ok(()),
            Begun::Refused => {
                // Its end is about to be told; the call waits for what comes after.
                self.lost(py, dial, How::Draining, NO_MORE_CALLS, &connection)?;
                self.wait(py, call, None)
            }
        }
    }

    /// There is no connection for a call.
    fn refuse(
        self: &Arc<Self>,
        py: Python<'_>,
        call: &Arc<Call>,
        refusal: Refusal,
        due: &mut Vec<Due>,
    ) -> PyResult<()> {
        match call.refuse_place(refusal, due) {
            Some(at) => self.wait(py, call, Some(Until::Time(at))),
            None => Ok(()),
        }
    }

    /// Has the next attempt at a call wait for a connection, perhaps for something else before.
    pub(super) fn wait(self: &Arc<Self>, py: Python<'_>, call: &Arc<Call>, until: Option<Until>) -> PyResult<()> {
        let Some((waiting, before)) = call.waits_again() else { return Ok(()) };
        self.step(py, |state, now| {
            if let Some(before) = before {
                state.brain.forget(before);
            }
            let until = until.filter(|until| !matches!(until, Until::Time(at) if *at <= now));
            call.set_ticket(match until {
                Some(until) => state.brain.rest(Arc::clone(call), waiting, until, now),
                None => state.brain.queue(Arc::clone(call), waiting, now),
            });
        })
    }

    /// What a call was held for has come.
    pub(crate) fn resume(self: &Arc<Self>, py: Python<'_>, ticket: Ticket) -> PyResult<()> {
        self.step(py, |state, now| state.brain.resume(ticket, now))
    }

    /// A call that waited has ended.
    pub(crate) fn forget(self: &Arc<Self>, py: Python<'_>, ticket: Ticket) -> PyResult<()> {
        self.step(py, |state, _| {
            state.brain.forget(ticket);
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
