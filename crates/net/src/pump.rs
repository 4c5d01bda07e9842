//! Pumps a channel's brain: does what it asks for, and tells it what came of it.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use farcall_channel::{
    self as brain, Action, Address, Choice, ConnectError, Connectivity, Dial, DialId, How, Lost, Refusal, Snapshot,
    StreamId, Ticket, Waiting,
    balancer::PickArgs,
    resolver::{Answer, Found, Hop, Query, QueryId},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{self as engine, ConnectionError, RequestHead};
use tokio::{
    runtime::Handle,
    sync::{oneshot, watch},
    task::AbortHandle,
};

#[cfg(feature = "tls")]
use crate::tls::{TlsStream, connect_error as tls_error};
use crate::{
    connect::{connect, pass},
    connection::{Driver, Owner},
    mailbox::{Command, Mailbox},
    memory,
    names::{Resolve, Updates, look_up},
    reports::{Reports, Side},
    slot::Slot,
    standing::{self, Standing},
    stream::Transport,
};

/// Why a connection is left that has not broken.
const NO_MORE_CALLS: &str = "the server takes no more calls";

/// What an attempt, a look-up or a stream of the channel's own ends with when its task was dropped.
pub(crate) const STOPPED: &str = "the runtime was shut down";

/// A call that waits: who awaits it.
type Waiter = oneshot::Sender<Result<Placed, Refusal>>;

/// Where a call goes.
pub(crate) type Placed = brain::Placed<Arc<Mailbox>>;

pub(crate) type Brain = brain::Channel<Arc<Mailbox>, Waiter>;

/// A channel as its calls and tasks share it. Tasks hold it weakly.
#[derive(Debug)]
pub(crate) struct Pump {
    engine: engine::Config,
    pub(crate) authority: Arc<str>,
    #[cfg(feature = "tls")]
    tls: Option<crate::ClientTls>,
    /// What new calls read.
    pub(crate) snapshot: ArcSwap<Snapshot<Arc<Mailbox>>>,
    state: Mutex<State>,
    pub(crate) connectivity: watch::Sender<Connectivity>,
    resolver: Option<Arc<dyn Resolve>>,
    reports: Reports,
    /// For picks.
    random: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) brain: Brain,
    /// Attempts under way.
    attempts: HashMap<DialId, AbortHandle>,
    /// Streams of the channel's own.
    pub(crate) streams: HashMap<StreamId, Standing>,
    /// Look-ups under way.
    lookups: HashMap<QueryId, AbortHandle>,
    /// The task that waits for the brain's time-out.
    timer: Option<(Instant, AbortHandle)>,
}

impl Pump {
    pub(crate) fn new(brain: Brain, config: crate::ChannelConfig, authority: Arc<str>) -> Pump {
        Pump {
            engine: memory::shared(config.engine),
            authority,
            #[cfg(feature = "tls")]
            tls: config.tls,
            snapshot: ArcSwap::from(Arc::clone(brain.snapshot())),
            state: Mutex::new(State {
                brain,
                attempts: HashMap::new(),
                lookups: HashMap::new(),
                streams: HashMap::new(),
                timer: None,
            }),
            resolver: config.resolver,
            connectivity: watch::Sender::new(Connectivity::Idle),
            reports: Reports::of(Side::Channel),
            random: AtomicU64::new(RandomState::new().hash_one(0)),
        }
    }

    // Calls.

    /// Where a call goes, as soon as there is a connection for it.
    pub(crate) async fn place(
        self: &Arc<Self>,
        path: &str,
        metadata: &Metadata,
        wait_for_ready: bool,
        deadline: Option<Instant>,
    ) -> Result<Placed, Refusal> {
        // Steps of the golden ratio: well spread, and nothing to wait for.
        let random = self.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let args = PickArgs { metadata: Some(metadata), ..PickArgs::new(path, random) };
        match self.snapshot.load().pick(&args) {
            Choice::Ready(picked) => return Ok(picked.into_placed()),
            Choice::Fail(refusal) if !(wait_for_ready && refusal.may_retry) => {
                // The time to try again may have come in a runtime that is gone.
                self.arm(&mut self.lock());
                return Err(refusal);
            }
            Choice::Queue | Choice::Fail(_) => {}
        }
        self.wait(path, metadata, wait_for_ready, deadline).await
    }

    /// Waits for a connection.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        path: &str,
        metadata: &Metadata,
        wait_for_ready: bool,
        deadline: Option<Instant>,
    ) -> Result<Placed, Refusal> {
        let (sender, receiver) = oneshot::channel();
        let waiting = Waiting::new(path, wait_for_ready, deadline).with_metadata(metadata);
        let ticket = self.step(|state| state.brain.queue(sender, waiting, Instant::now()));
        let mut place = InQueue { pump: self, ticket: Some(ticket) };
        let outcome = receiver.await;
        place.ticket = None;
        let lost = || Refusal { status: Status::new(Code::Internal, "the channel forgot the call"), may_retry: false };
        outcome.unwrap_or_else(|_| Err(lost()))
    }

    /// A connection has refused a call, and the word of it may not have come yet.
    pub(crate) fn refused(self: &Arc<Self>, dial: DialId, connection: &Mailbox) {
        self.lost(dial, How::Draining, NO_MORE_CALLS, connection, None);
    }

    pub(crate) fn connect(self: &Arc<Self>) {
        self.step(|state| state.brain.connect(Instant::now()));
    }

    /// Nobody has the channel any more: calls may finish.
    pub(crate) fn retire(self: &Arc<Self>) {
        self.step(|state| state.brain.retire(&Status::new(Code::Cancelled, "Channel closed!"), Instant::now()));
    }

    // The brain.

    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned state would mean a bug in the brain; going on is better than to poison every call after it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps the brain and does what it asks for then.
    pub(crate) fn step<T>(self: &Arc<Self>, step: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let value = step(&mut state);
        self.drive(state);
        value
    }

    /// Does what the brain asks for, unless another thread is at it.
    fn drive<'a>(self: &'a Arc<Self>, mut state: MutexGuard<'a, State>) {
        if !state.brain.begin_drain() {
            return self.arm(&mut state);
        }
        while let Some(action) = state.brain.poll_action() {
            drop(state);
            // Without the state's lock, which it takes.
            let drain = Drain(self);
            self.perform(action);
            drop(drain);
            state = self.lock();
        }
        self.arm(&mut state);
    }

    fn perform(self: &Arc<Self>, action: Action<Arc<Mailbox>, Waiter>) {
        match action {
            Action::Resolve(id, query) => self.resolve(id, query),
            Action::StopResolving(id) => {
                let lookup = self.lock().lookups.remove(&id);
                lookup.iter().for_each(AbortHandle::abort);
            }
            Action::Dial(id, dial) => self.dial(id, dial),
            Action::Abandon(id) => {
                if let Some(attempt) = self.lock().attempts.remove(&id) {
                    attempt.abort();
                }
            }
            Action::Release(connection) => drop(connection.post(Command::Shutdown)),
            Action::Close(connection, status) => drop(connection.post(Command::Close(status))),
            Action::Open(id, connection, request) => standing::open(self, id, connection, request),
            Action::Cancel(id) => {
                let stream = self.lock().streams.remove(&id);
                stream.into_iter().for_each(Standing::cancel);
            }
            // Whoever awaited it and is gone has given it up.
            Action::Start(waiter, placed) => drop(waiter.send(Ok(placed))),
            Action::Fail(waiter, refusal) => drop(waiter.send(Err(refusal))),
            Action::AskInUse(connections) => {
                let in_use = connections.iter().any(|connection| connection.is_in_use());
                self.lock().brain.handle_in_use(in_use, Instant::now());
            }
            Action::Publish(snapshot) => drop(self.snapshot.swap(snapshot)),
            Action::StateChanged(state) => drop(self.connectivity.send_replace(state)),
            Action::Note(note) => tracing::warn!(target: "farcall::channel", target = %self.authority, "{note}"),
            Action::Drop(discarded) => drop(discarded),
        }
    }

    fn resolve(self: &Arc<Self>, id: QueryId, query: Query) {
        let lookup = Lookup { pump: Arc::downgrade(self), id, answered: false };
        // Outside of a runtime the look-up fails, when it is dropped.
        let Ok(runtime) = Handle::try_current() else { return };
        let task = runtime.spawn(lookup.run(query, self.resolver.clone()));
        let mut state = self.lock();
        if !task.is_finished() {
            state.lookups.retain(|_, lookup| !lookup.is_finished());
            state.lookups.insert(id, task.abort_handle());
        }
    }

    fn dial(self: &Arc<Self>, id: DialId, dial: Dial) {
        let Dial { address, hop, keepalive_time, .. } = dial;
        let attempt = Attempt { pump: Arc::downgrade(self), id, address, hop, connection: None, answered: false };
        let keepalive_time = self.engine.keepalive_time.max(keepalive_time);
        let config = engine::Config { keepalive_time, ..self.engine.clone() };
        // Outside of a runtime the attempt fails, when it is dropped.
        let Ok(runtime) = Handle::try_current() else { return };
        // Without the lock: a runtime that shuts down drops it at once.
        let (noted, wait) = oneshot::channel();
        let task = runtime.spawn(async move {
            // It cannot end before it is noted.
            let _: Result<(), _> = wait.await;
            attempt.run(config).await;
        });
        let mut state = self.lock();
        if !task.is_finished() {
            state.attempts.insert(id, task.abort_handle());
        }
        drop(state);
        let _ = noted.send(());
    }

    pub(crate) fn note_stream(&self, id: StreamId, stream: Standing) {
        self.lock().streams.insert(id, stream);
    }

    fn lost(self: &Arc<Self>, dial: DialId, how: How, why: &str, connection: &Mailbox, keepalive: Option<Duration>) {
        let lost = Lost { how, why, useful: connection.is_useful(), keepalive_time: keepalive };
        self.step(|state| state.brain.handle_lost(dial, lost, Instant::now()));
    }

    /// Sees to it that the brain hears of its time-out. One that moves away costs nothing.
    fn arm(self: &Arc<Self>, state: &mut State) {
        let Some(due) = state.brain.poll_timeout() else { return };
        if state.timer.as_ref().is_some_and(|(at, task)| *at <= due && !task.is_finished()) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if let Some((_, stale)) = state.timer.take() {
            stale.abort();
        }
        let task = runtime.spawn(timeout(Arc::downgrade(self), due));
        state.timer = Some((due, task.abort_handle()));
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, timer)) = state.timer.take() {
            timer.abort();
        }
    }
}

/// A thread that performs an action. If it panics, another goes on with those that follow.
struct Drain<'a>(&'a Pump);

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().brain.leave_drain();
        }
    }
}

/// A call in the brain's queue. Dropped before its turn, it leaves.
struct InQueue<'a> {
    pump: &'a Arc<Pump>,
    ticket: Option<Ticket>,
}

impl Drop for InQueue<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.pump.step(|state| state.brain.forget(ticket));
        }
    }
}

/// Waits for the brain's time-out.
async fn timeout(pump: Weak<Pump>, at: Instant) {
    tokio::time::sleep_until(at.into()).await;
    if let Some(pump) = pump.upgrade() {
        pump.step(|state| {
            state.timer = None;
            state.brain.handle_timeout(Instant::now());
        });
    }
}

/// A look-up, which is answered exactly once, also when its task is dropped.
struct Lookup {
    pump: Weak<Pump>,
    id: QueryId,
    answered: bool,
}

impl Lookup {
    async fn run(mut self, query: Query, resolver: Option<Arc<dyn Resolve>>) {
        let (pump, id) = (self.pump.clone(), self.id);
        let updates = move || -> Updates {
            Arc::new(move |found: Found| {
                if let Some(pump) = pump.upgrade() {
                    pump.step(|state| state.brain.handle_update(id, found, Instant::now()));
                }
            })
        };
        let answer = look_up(query, resolver, updates).await;
        self.tell(answer);
    }

    fn tell(&mut self, answer: Result<Answer, String>) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        if let Some(pump) = self.pump.upgrade() {
            pump.step(|state| state.brain.handle_answer(self.id, answer, Instant::now()));
        }
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let why = if std::thread::panicking() { "the resolver panicked" } else { STOPPED };
        self.tell(Err(why.to_owned()));
    }
}

/// One attempt to connect, and the connection that comes of it.
#[derive(Debug)]
struct Attempt {
    pump: Weak<Pump>,
    id: DialId,
    address: Address,
    /// What the proxy at the address is to connect to, if there is one.
    hop: Option<Arc<Hop>>,
    /// Once the peer's SETTINGS are here.
    connection: Option<Arc<Mailbox>>,
    /// The brain has had its end.
    answered: bool,
}

impl Attempt {
    async fn run(self, config: engine::Config) {
        let mut stream = match connect(&self.address).await {
            Ok(stream) => stream,
            Err(error) => return self.fail(&error),
        };
        if let Some(hop) = self.hop.clone()
            && let Err(error) = pass(&mut stream, &hop).await
        {
            return self.fail(&error);
        }
        stream.set_user_timeout(config.keepalive_time.map(|_| config.keepalive_timeout));
        tracing::debug!(target: "farcall::connection", peer = %self.address, "connected");
        #[cfg(feature = "tls")]
        {
            let secured = self.pump.upgrade().and_then(|pump| Some(pump.tls.as_ref()?.session(&pump.authority)));
            if let Some(session) = secured {
                let shaken = match session {
                    Ok(session) => {
                        TlsStream::shake(stream, session).await.map_err(|error| tls_error(&error.to_string()))
                    }
                    Err(error) => Err(error),
                };
                return match shaken {
                    Ok(stream) => self.drive(stream, config).await,
                    Err(error) => {
                        if let Some(pump) = self.pump.upgrade() {
                            pump.reports.say(engine::Cause::Handshake, &self.address, &error.why);
                        }
                        self.fail(&error);
                    }
                };
            }
        }
        self.drive(stream, config).await;
    }

    async fn drive(self, stream: impl Transport, config: engine::Config) {
        let mailbox = Arc::new(Mailbox::new(&config.limits));
        let engine = engine::Connection::new(config, Instant::now());
        let owner = Connected { mailbox: Arc::clone(&mailbox), attempt: self };
        Driver::new(stream, engine, mailbox, owner).await;
    }

    fn fail(mut self, error: &ConnectError) {
        self.tell_failure(error);
    }

    fn tell_failure(&mut self, error: &ConnectError) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        if let Some(pump) = self.pump.upgrade() {
            pump.step(|state| {
                state.attempts.remove(&self.id);
                state.brain.handle_connect_failed(self.id, error, Instant::now());
            });
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.tell_failure(&ConnectError { code: Code::Unavailable, why: STOPPED.to_owned() });
    }
}

/// What a client's connection tells its channel.
#[derive(Debug)]
struct Connected {
    mailbox: Arc<Mailbox>,
    attempt: Attempt,
}

impl Owner for Connected {
    fn ready(&mut self) {
        let attempt = &mut self.attempt;
        attempt.connection = Some(Arc::clone(&self.mailbox));
        let Some(pump) = attempt.pump.upgrade() else { return };
        pump.step(|state| {
            // From here on the task ends by its mailbox, and is not aborted.
            state.attempts.remove(&attempt.id);
            state.brain.handle_connected(attempt.id, Arc::clone(&self.mailbox), Instant::now());
        });
    }

    fn request(&mut self, _head: Box<RequestHead>, _slot: Arc<Slot>) {
        // A client's engine tells no requests.
    }

    fn struck(&mut self, cause: engine::Cause, what: &'static str, times: u32) {
        if let Some(pump) = self.attempt.pump.upgrade() {
            pump.reports.say_times(cause, times.into(), &self.attempt.address, &what);
        }
    }

    fn peer(&self) -> &Address {
        &self.attempt.address
    }

    fn draining(&mut self, keepalive: Option<Duration>) {
        if let Some(pump) = self.attempt.pump.upgrade() {
            pump.lost(self.attempt.id, How::Draining, NO_MORE_CALLS, &self.mailbox, keepalive);
        }
    }

    fn disconnected(&mut self, why: &ConnectionError, keepalive: Option<Duration>) {
        let attempt = &mut self.attempt;
        let Some(pump) = attempt.pump.upgrade() else { return };
        pump.reports.say_end(why, &attempt.address);
        let why = why.to_string();
        if attempt.connection.take().is_some() {
            attempt.answered = true;
            pump.lost(attempt.id, How::Broken, &why, &self.mailbox, keepalive);
        } else {
            attempt.tell_failure(&ConnectError { code: Code::Unavailable, why });
        }
    }
}
