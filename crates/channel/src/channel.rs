//! The one mutable root of a channel: joins names, policies, subchannels and the calls that wait.

mod life;
mod publish;
mod waiting;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_core::{Code, Status};

use self::{publish::picker_of, waiting::late};
use crate::{
    Action, Activity, Config, ConfigSelector, ConnectError, Connectivity, DialId, Discarded, How, Lost, Queue, Refusal,
    ServiceConfig, Snapshot, Target, Throttle, Ticket, Until, Waiting,
    queue::Due,
    random::Random,
    resolver::{Answer, Doorbell, Names, QueryId, Resolver},
    stream::{StreamEvent, StreamId},
    tree::Tree,
};

/// The brain of one channel. See the crate's documentation.
///
/// `C` is the hands' handle of a connection, `K` that of a call that waits. They are kept and handed back, and never looked
/// into.
#[derive(Debug)]
pub struct Channel<C, K> {
    target: Target,
    config: Config,
    names: Names,
    tree: Tree,
    phase: Phase,
    /// Why there is nothing to balance.
    failure: Option<Arc<Status>>,
    service_config: Arc<ServiceConfig>,
    /// Says in its place what is asked of calls.
    selector: Option<Arc<dyn ConfigSelector>>,
    throttle: Option<Arc<Throttle>>,
    /// A resolver has found something that could be used: a service config of its, or that it has none.
    accepted: bool,
    /// What the resolver has asked for is being done.
    resolving: bool,
    /// All that have connected and not ended, those among them that take no more calls.
    connections: BTreeMap<DialId, C>,
    keepalive_time: Option<Duration>,
    queue: Queue<K>,
    snapshot: Arc<Snapshot<C>>,
    /// The snapshot is out of date.
    stale: bool,
    /// What the waiting calls have woken since the last drain.
    woken: BTreeSet<Arc<[u32]>>,
    reported: Connectivity,
    actions: VecDeque<Action<C, K>>,
    draining: bool,
    activity: Arc<Activity>,
    idle: Idle,
    random: Random,
    now: Instant,
}

/// Named for what the channel waits for.
#[derive(Debug)]
enum Phase {
    /// A call, or `connect`.
    Idle,
    /// Nothing: it resolves, balances and serves.
    Active,
    /// Nothing, for its target cannot be used: every call ends so.
    Lame(Arc<Status>),
    /// Nothing any more.
    Shutdown,
}

/// Whether it has been used of late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Idle {
    /// It is IDLE, or never becomes it.
    Off,
    /// To be looked at then.
    At(Instant),
    /// The hands are asked.
    Asking,
}

impl<C: Clone, K> Channel<C, K> {
    /// A channel in IDLE; nothing is done before it is used. `seed` decides all that is random.
    pub fn new(target: Target, config: Config, seed: u64, now: Instant) -> Channel<C, K> {
        Channel::in_phase(Phase::Idle, target, config, seed, now)
    }

    /// A channel whose target this resolver knows.
    pub fn resolved_by(
        resolver: Box<dyn Resolver>,
        target: Target,
        config: Config,
        seed: u64,
        now: Instant,
    ) -> Channel<C, K> {
        let mut channel = Channel::in_phase(Phase::Idle, target, config, seed, now);
        channel.names = Names::by(resolver, None, channel.random.next(), now);
        channel.snapshot = Arc::new(channel.take_snapshot());
        channel
    }

    /// A channel whose target or options cannot be used: every call ends with this status.
    pub fn lame(status: Status, config: Config, now: Instant) -> Channel<C, K> {
        Channel::in_phase(Phase::Lame(Arc::new(status)), Target::nowhere(), config, 0, now)
    }

    fn in_phase(phase: Phase, target: Target, config: Config, seed: u64, now: Instant) -> Channel<C, K> {
        let mut random = Random::new(seed);
        let names = Names::of(&target, &config, &mut random, now);
        let activity = Arc::<Activity>::default();
        let service_config = Arc::clone(&config.service_config);
        let throttle = Throttle::follow(None, service_config.throttling);
        let snapshot = Snapshot {
            generation: 0,
            state: Connectivity::Idle,
            picker: picker_of(&phase),
            places: Box::default(),
            selector: service_config.clone(),
            throttle: throttle.clone(),
            knows: !names.configures(),
            activity: Arc::clone(&activity),
        };
        Channel {
            target,
            names,
            tree: Tree::new(&config, random.next(), now),
            phase,
            failure: None,
            service_config,
            selector: None,
            throttle,
            accepted: false,
            resolving: false,
            connections: BTreeMap::new(),
            keepalive_time: None,
            queue: Queue::new(config.limits.queued_calls),
            snapshot: Arc::new(snapshot),
            stale: false,
            woken: BTreeSet::new(),
            reported: Connectivity::Idle,
            actions: VecDeque::new(),
            draining: false,
            activity,
            idle: Idle::Off,
            random,
            now,
            config,
        }
    }

    // Getters.

    /// The target it was made for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The connectivity state.
    pub fn state(&self) -> Connectivity {
        match &self.phase {
            Phase::Idle | Phase::Lame(_) => Connectivity::Idle,
            Phase::Shutdown => Connectivity::Shutdown,
            Phase::Active => match (self.tree.state(), &self.failure) {
                (Some(state), _) => state,
                (None, Some(_)) => Connectivity::TransientFailure,
                (None, None) => Connectivity::Connecting,
            },
        }
    }

    /// The snapshot that was published last, or the first, which is not published.
    pub fn snapshot(&self) -> &Arc<Snapshot<C>> {
        &self.snapshot
    }

    /// Whether a call waits, or rests.
    pub fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Rung by whoever wants the channel's resolver to look about: the hands say once how they are woken, and call
    /// [`handle_bell`](Channel::handle_bell) then.
    pub fn doorbell(&self) -> &Arc<Doorbell> {
        self.names.doorbell()
    }

    // Verbs.

    /// Leaves IDLE.
    pub fn connect(&mut self, now: Instant) {
        self.now = now;
        self.activity.touch();
        self.wake(&[]);
    }

    /// Has a call wait for a connection that had none in the snapshot, or whose connection took no more calls (tell that
    /// with [`handle_lost`](Channel::handle_lost) first). [`Action::Start`] or [`Action::Fail`] follows, unless it is
    /// forgotten before.
    pub fn queue(&mut self, key: K, call: Waiting, now: Instant) -> Ticket {
        self.now = now;
        self.activity.touch();
        // Those who wait already come first.
        self.publish();
        let ticket = self.queue.ticket();
        self.place(ticket, key, call);
        ticket
    }

    /// Has a call wait for something else: then it waits for a connection, as in [`queue`](Channel::queue).
    pub fn rest(&mut self, key: K, call: Waiting, until: Until, now: Instant) -> Ticket {
        self.now = now;
        self.activity.touch();
        let ticket = self.queue.ticket();
        match self.refusal(&call) {
            Some(refusal) => self.actions.push_back(Action::Fail(key, refusal)),
            None => self.hold(ticket, key, call, Some(until)),
        }
        ticket
    }

    /// What a call that rests has waited for is there.
    pub fn resume(&mut self, ticket: Ticket, now: Instant) {
        self.now = now;
        if let Some(entry) = self.queue.remove(ticket) {
            self.publish();
            self.place(ticket, entry.key, entry.call);
        }
    }

    /// A call waits no longer; whether it did. If not, [`Action::Start`] or [`Action::Fail`] is on its way or done.
    pub fn forget(&mut self, ticket: Ticket) -> bool {
        let entry = self.queue.remove(ticket);
        let found = entry.is_some();
        self.actions.extend(entry.map(|entry| Action::Drop(Discarded::Call(entry.key))));
        found
    }

    /// Closes for good: every connection with its calls, and every call that waits, ends with this status.
    pub fn shutdown(&mut self, status: &Status, now: Instant) {
        self.now = now;
        self.end(status);
        let all = std::mem::take(&mut self.connections).into_values();
        self.actions.extend(all.map(|connection| Action::Close(connection, status.clone())));
    }

    /// Closes for good, but lets the calls finish that are on connections. Calls that wait end with this status.
    pub fn retire(&mut self, status: &Status, now: Instant) {
        self.now = now;
        self.end(status);
    }

    fn end(&mut self, status: &Status) {
        if matches!(self.phase, Phase::Shutdown) {
            return;
        }
        self.phase = Phase::Shutdown;
        self.leave();
        let waiting = self.queue.take();
        self.actions.extend(waiting.map(|key| Action::Fail(key, Refusal::last(status.clone()))));
    }

    // From outside.

    /// What [`Action::Resolve`] has found, or why not, for people: `Domain name not found`.
    pub fn handle_answer(&mut self, id: QueryId, answer: Result<Answer, String>, now: Instant) {
        self.now = now;
        self.names.handle_answer(id, answer, now);
        self.resolved();
    }

    /// What [`Action::Resolve`] has found, when the query goes on: one of a user's resolver.
    pub fn handle_update(&mut self, id: QueryId, answer: impl Into<Answer>, now: Instant) {
        self.now = now;
        self.names.handle_update(id, answer.into(), now);
        self.resolved();
    }

    /// The [`doorbell`](Channel::doorbell) has been rung.
    pub fn handle_bell(&mut self, now: Instant) {
        self.now = now;
        self.names.handle_bell(now);
        self.resolved();
    }

    /// This attempt has succeeded: the peer's SETTINGS are here.
    pub fn handle_connected(&mut self, dial: DialId, connection: C, now: Instant) {
        self.now = now;
        if self.tree.subchannels.handle_connected(dial, now) {
            self.connections.insert(dial, connection);
            self.settle();
        } else {
            let status = Status::new(Code::Unavailable, "connection attempt given up");
            self.actions.push_back(Action::Close(connection, status));
        }
    }

    /// This attempt has failed.
    pub fn handle_connect_failed(&mut self, dial: DialId, error: &ConnectError, now: Instant) {
        self.now = now;
        self.tree.subchannels.handle_failed(dial, error, now);
        self.settle();
    }

    /// A connection takes no more calls, or is gone. Reported twice, it counts once.
    pub fn handle_lost(&mut self, dial: DialId, lost: Lost<'_>, now: Instant) {
        self.now = now;
        self.keepalive_time = self.keepalive_time.max(lost.keepalive_time);
        if lost.how == How::Broken
            && let Some(connection) = self.connections.remove(&dial)
        {
            self.actions.push_back(Action::Drop(Discarded::Connection(connection)));
        }
        self.tree.subchannels.handle_lost(dial, lost.why, lost.useful, now);
        self.settle();
    }

    /// Something has come on a stream of [`Action::Open`]. After [`StreamEvent::Ended`], which is reported exactly once, also when
    /// the connection is gone or takes no streams, nothing more is.
    pub fn handle_stream(&mut self, stream: StreamId, event: StreamEvent<'_>, now: Instant) {
        self.now = now;
        self.tree.subchannels.handle_stream(stream, event, now);
        self.settle();
    }

    /// The answer to [`Action::AskInUse`].
    pub fn handle_in_use(&mut self, in_use: bool, now: Instant) {
        self.now = now;
        if self.idle != Idle::Asking {
            return;
        }
        if in_use || self.activity.take() || self.has_waiting() {
            self.look_for_idleness();
        } else {
            self.become_idle();
        }
    }

    /// The time of [`poll_timeout`](Channel::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while let Some((ticket, due)) = self.queue.expire(now) {
            match due {
                Due::Expired(key) => self.actions.push_back(Action::Fail(key, late())),
                Due::Rested(entry) => {
                    self.publish();
                    self.place(ticket, entry.key, entry.call);
                }
            }
        }
        if matches!(self.phase, Phase::Active) {
            self.names.handle_timeout(now);
            self.resolved();
        }
        self.tree.handle_timeout(now);
        self.settle();
        if matches!(self.idle, Idle::At(due) if due <= now) {
            self.ask_for_idleness();
        }
    }

    // To the outside.

    /// Begins a drain: the caller performs what [`poll_action`](Channel::poll_action) gives until that is `None`. `false`:
    /// nothing is to be done, or another thread is at it, and performs what is left to it. Either way
    /// [`poll_timeout`](Channel::poll_timeout) may have changed.
    pub fn begin_drain(&mut self) -> bool {
        if self.draining {
            return false;
        }
        self.draining = !self.actions.is_empty() || self.stale;
        if !self.draining {
            self.woken.clear();
        }
        self.draining
    }

    /// The next thing to do; `None` when nothing is left, which ends the drain.
    pub fn poll_action(&mut self) -> Option<Action<C, K>> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            if !self.publish() {
                self.draining = false;
                self.woken.clear();
                return None;
            }
        }
    }

    /// Leaves a drain to whoever begins the next one, with what is left to do.
    pub fn leave_drain(&mut self) {
        self.draining = false;
    }

    /// When [`handle_timeout`](Channel::handle_timeout) must be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.phase, Phase::Shutdown) {
            return None;
        }
        let idle = if let Idle::At(due) = self.idle { Some(due) } else { None };
        let times = [self.queue.poll_timeout(), self.names.poll_timeout(), self.tree.poll_timeout(), idle];
        times.into_iter().flatten().min()
    }
}
