//! The hands of one channel: they do what its brain asks for, one drainer at a time and with pauses in between, and hold
//! what it asks for against the contract.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash},
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{
    Action, Address, ConnectError, Connectivity, Dial, DialId, Discarded, Lost, Note, Snapshot, StreamEvent, StreamId,
    Ticket, Until, Waiting,
    call::{AttemptId, Throttle},
    resolver::{Found, QueryId},
};
use farcall_core::{Code, Status};
use farcall_engine::Config;
use fastrand::Rng;

use crate::witness::{Brain, Handle, Key, Witness, check_edge};

/// The shortest back-off: a second, less a fifth.
const SHORTEST_BACKOFF: Duration = Duration::from_millis(800);

/// The longest pause of a drainer, in microseconds.
const LONGEST_PAUSE: u64 = 200_000;

pub(crate) struct Client {
    brain: Brain,
    pub(crate) witness: Arc<Witness>,
    pub(crate) engine: Config,
    pub(crate) throttle: Option<Arc<Throttle>>,
    /// What new calls read.
    pub(crate) snapshot: Arc<Snapshot<Handle>>,
    pub(crate) drainer: Drainer,
    /// Attempts to connect that are not answered.
    pub(crate) dials: BTreeMap<DialId, Dialling>,
    /// The last attempt at each address: when it began, and whether it failed.
    attempts: BTreeMap<Address, (DialId, Instant, bool)>,
    /// Connections that take calls, and those that were let go.
    ready: BTreeSet<DialId>,
    let_go: BTreeSet<DialId>,
    /// The channel's own streams that are open, with the connections they are on.
    streams: BTreeMap<StreamId, usize>,
    /// By generation of the snapshots: the connections that took calls when it was made.
    shown: BTreeMap<u64, BTreeSet<DialId>>,
    newest: u64,
    /// The state that was reported last.
    state: Connectivity,
    /// Calls that the brain has, by serial; whether they were forgotten since.
    waiting: BTreeMap<u64, bool>,
    serial: u64,
    names: Names,
    /// The channel is closed.
    pub(crate) left: bool,
    /// How many time-outs there were at this time.
    timeouts: (Option<Instant>, u32),
}

/// Who performs the actions.
#[derive(Debug)]
pub(crate) struct Drainer {
    draining: bool,
    in_hand: Option<Box<Action<Handle, Key>>>,
    /// When nothing was left to do: no sooner was asked for what is.
    done: Instant,
    /// It sleeps.
    pub(crate) until: Option<Instant>,
}

/// An attempt to connect.
#[derive(Debug)]
pub(crate) struct Dialling {
    pub(crate) address: Address,
    pub(crate) keepalive_time: Option<Duration>,
    pub(crate) link: Option<usize>,
    /// Nobody will answer.
    pub(crate) silent: bool,
    pub(crate) given_up: bool,
}

/// What was asked about names, and when.
#[derive(Debug)]
struct Names {
    interval: Duration,
    /// The query that waits for its answer.
    asked: Option<QueryId>,
    /// The query whose answer came last.
    answered: Option<QueryId>,
    /// When the last good answer came; `None` also if it was of no use.
    found: Option<Instant>,
    failed: Option<Instant>,
    /// An answer had a service config that cannot be used.
    bad: bool,
    /// No address is one of several endpoints'.
    plain: bool,
}

impl Client {
    pub(crate) fn new(
        brain: Brain,
        witness: Arc<Witness>,
        engine: Config,
        throttle: Option<Arc<Throttle>>,
        interval: Duration,
        now: Instant,
    ) -> Client {
        Client {
            snapshot: Arc::clone(brain.snapshot()),
            brain,
            witness,
            engine,
            throttle,
            drainer: Drainer { draining: false, in_hand: None, done: now, until: None },
            dials: BTreeMap::new(),
            attempts: BTreeMap::new(),
            ready: BTreeSet::new(),
            let_go: BTreeSet::new(),
            streams: BTreeMap::new(),
            shown: BTreeMap::from([(0, BTreeSet::new())]),
            newest: 0,
            state: Connectivity::Idle,
            waiting: BTreeMap::new(),
            serial: 0,
            names: Names { interval, asked: None, answered: None, found: None, failed: None, bad: false, plain: true },
            left: false,
            timeouts: (None, 0),
        }
    }

    /// One step of the brain.
    fn step<T>(&mut self, step: impl FnOnce(&mut Brain) -> T) -> T {
        self.witness.enter();
        let value = step(&mut self.brain);
        self.witness.leave();
        let generation = self.brain.snapshot().generation();
        while self.newest < generation {
            self.newest += 1;
            self.shown.insert(self.newest, self.ready.clone());
        }
        value
    }

    pub(crate) fn state(&self) -> Connectivity {
        self.state
    }

    /// Whether each connection is to have as many calls as any other.
    pub(crate) fn picks_evenly(&self) -> bool {
        self.witness.picks_evenly() && self.names.plain
    }

    /// When it does something by itself.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.brain.poll_timeout().into_iter().chain(self.drainer.until).min()
    }

    // Calls.

    /// Checks a connection that was picked from a snapshot.
    pub(crate) fn check_pick(&self, generation: u64, dial: DialId) {
        let shown = self.shown.get(&generation).expect("a snapshot that was published");
        assert!(shown.contains(&dial), "{dial:?} was picked from {generation}, where it takes no calls");
    }

    /// Has a call wait for a connection.
    pub(crate) fn queue(&mut self, (tag, id): (usize, AttemptId), call: Waiting, now: Instant) -> (Ticket, u64) {
        let key = self.key(tag, Some(id));
        (self.step(|brain| brain.queue(key, call, now)), self.serial)
    }

    /// Has a call wait for something else first.
    pub(crate) fn rest(&mut self, tag: usize, call: Waiting, until: Until, now: Instant) -> (Ticket, u64) {
        let key = self.key(tag, None);
        (self.step(|brain| brain.rest(key, call, until, now)), self.serial)
    }

    pub(crate) fn resume(&mut self, ticket: Ticket, now: Instant) {
        self.step(|brain| brain.resume(ticket, now));
    }

    fn key(&mut self, tag: usize, attempt: Option<AttemptId>) -> Key {
        self.serial += 1;
        self.waiting.insert(self.serial, false);
        Key::new(tag, attempt, self.serial, &self.witness)
    }

    /// A call waits no longer.
    pub(crate) fn forget(&mut self, (ticket, serial): (Ticket, u64)) {
        if self.step(|brain| brain.forget(ticket)) {
            let forgotten = self.waiting.insert(serial, true);
            assert_eq!(forgotten, Some(false), "a call that does not wait was forgotten");
        }
    }

    /// The brain has given a call back: once, and not after it was forgotten.
    pub(crate) fn end_wait(&mut self, key: &Key, forgotten: bool) {
        let before = self.waiting.remove(&key.serial);
        assert_eq!(before, Some(forgotten), "call {}: it was forgotten, or has ended twice", key.tag);
    }

    // What comes from outside.

    pub(crate) fn handle_answer(&mut self, id: QueryId, answer: Result<Found, String>, now: Instant) {
        let names = &mut self.names;
        if names.asked == Some(id) {
            (names.asked, names.answered) = (None, Some(id));
            let good = answer.as_ref().ok().filter(|answer| !answer.endpoints.is_empty());
            let bad = good.is_some_and(|answer| matches!(answer.service_config, Some(Err(_))));
            names.bad |= bad;
            if let Some(answer) = good {
                names.plain = answer.endpoints.iter().all(|endpoint| endpoint.addresses.len() == 1);
            }
            names.found = good.map(|_| now).filter(|_| !bad);
            names.failed = good.is_none().then_some(now);
        }
        self.step(|brain| brain.handle_answer(id, answer.map(Into::into), now));
    }

    pub(crate) fn handle_connected(&mut self, dial: DialId, link: usize, now: Instant) {
        let answered = self.dials.remove(&dial).is_some();
        assert!(answered, "{dial:?} is answered twice");
        self.ready.insert(dial);
        let handle = Handle::new(link, dial, &self.witness);
        self.step(|brain| brain.handle_connected(dial, handle, now));
    }

    pub(crate) fn handle_connect_failed(&mut self, dial: DialId, code: Code, why: String, now: Instant) {
        let Dialling { address, given_up, .. } = self.dials.remove(&dial).expect("it has no answer yet");
        if let Some((_, _, failed)) = self.attempts.get_mut(&address) {
            *failed = !given_up;
        }
        self.step(|brain| brain.handle_connect_failed(dial, &ConnectError { code, why }, now));
    }

    /// What it is told twice counts once.
    pub(crate) fn handle_lost(&mut self, dial: DialId, lost: Lost<'_>, now: Instant, rng: &mut Rng) {
        self.ready.remove(&dial);
        for _ in 0..=usize::from(rng.u8(0..8) == 0) {
            self.step(|brain| brain.handle_lost(dial, lost, now));
        }
    }

    /// The streams that are open, all or those on one connection.
    pub(crate) fn streams(&self, link: Option<usize>) -> Vec<StreamId> {
        let on = |(_, own): &(&StreamId, &usize)| link.is_none_or(|link| link == **own);
        self.streams.iter().filter(on).map(|(id, _)| *id).collect()
    }

    /// A server says how it is; says whether anybody listens.
    pub(crate) fn handle_stream(&mut self, id: StreamId, event: StreamEvent<'_>, now: Instant) -> bool {
        let open = match event {
            StreamEvent::Message(_) => self.streams.contains_key(&id),
            StreamEvent::Ended(_) => self.streams.remove(&id).is_some(),
        };
        if open {
            self.step(|brain| brain.handle_stream(id, event, now));
        }
        open
    }

    pub(crate) fn handle_in_use(&mut self, in_use: bool, now: Instant) {
        self.step(|brain| brain.handle_in_use(in_use, now));
    }

    /// Fires the time-out, if it is due; says whether it was.
    pub(crate) fn time_out(&mut self, now: Instant) -> bool {
        if self.brain.poll_timeout().is_none_or(|at| at > now) {
            return false;
        }
        let (at, count) = &mut self.timeouts;
        *count = if *at == Some(now) { *count + 1 } else { 0 };
        *at = Some(now);
        assert!(*count < 1000, "the channel is due again and again at one time");
        self.step(|brain| brain.handle_timeout(now));
        true
    }

    /// Closes the channel: at once, or so that calls may finish.
    pub(crate) fn leave(&mut self, at_once: bool, now: Instant) {
        self.left = true;
        let status = closed();
        self.step(|brain| if at_once { brain.shutdown(&status, now) } else { brain.retire(&status, now) });
    }

    // The drain.

    /// The next action to perform, if there is one and the drainer is awake.
    pub(crate) fn next_action(&mut self, now: Instant, rng: &mut Rng) -> Option<Action<Handle, Key>> {
        if self.drainer.until.is_some_and(|until| until > now) {
            assert!(!self.step(Brain::begin_drain) || !self.drainer.draining, "two threads drain");
            return None;
        }
        self.drainer.until = None;
        if let Some(action) = self.drainer.in_hand.take() {
            return Some(*action);
        }
        if self.drainer.draining && rng.u8(0..16) == 0 {
            // To be gone on with by another thread.
            self.step(Brain::leave_drain);
            self.drainer.draining = false;
        }
        if !self.drainer.draining {
            self.drainer.draining = self.step(Brain::begin_drain);
        } else {
            assert!(!self.step(Brain::begin_drain), "two threads drain");
        }
        if !self.drainer.draining {
            self.drainer.done = now;
            return None;
        }
        let action = self.step(Brain::poll_action);
        self.drainer.draining = action.is_some();
        action
    }

    /// Now and then the drainer takes a break with an action in its hand; gives the action back if not.
    pub(crate) fn pause(
        &mut self,
        action: Action<Handle, Key>,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<Action<Handle, Key>> {
        match rng.u8(0..64) {
            0..8 => {}
            8 => self.drainer.until = Some(now + Duration::from_micros(rng.u64(1..LONGEST_PAUSE))),
            _ => return Some(action),
        }
        self.drainer.in_hand = Some(Box::new(action));
        None
    }

    pub(crate) fn sleeps(&self, now: Instant) -> bool {
        self.drainer.until.is_some_and(|until| until > now)
    }

    /// Takes what the brain lets go of, and what it only tells; gives back what is left to do.
    pub(crate) fn take(
        &mut self,
        action: Action<Handle, Key>,
        now: Instant,
        trace: &mut DefaultHasher,
    ) -> Option<Action<Handle, Key>> {
        match action {
            Action::Publish(snapshot) => self.publish(snapshot),
            Action::StateChanged(state) => {
                (state as u8).hash(trace);
                check_edge(self.state, state);
                self.state = state;
            }
            Action::Note(Note::TooManyAddresses { found, used }) => assert!(found > used),
            Action::Note(Note::InvalidServiceConfig(_)) => assert!(self.names.bad, "nothing is wrong with the config"),
            Action::Note(Note::Restless) => panic!("a policy does not settle"),
            Action::Note(Note::NoHealthService(_)) => {}
            Action::Note(Note::Resolver(text)) => panic!("the resolver says {text}"),
            Action::Open(id, handle, request) => {
                assert!(self.streams.insert(id, handle.link).is_none(), "{id:?} is opened twice");
                return Some(Action::Open(id, handle, request));
            }
            // It may have ended meanwhile.
            Action::Cancel(id) => drop(self.streams.remove(&id)),
            Action::Drop(Discarded::Call(key)) => self.end_wait(&key, true),
            Action::Drop(discarded) => drop(discarded),
            Action::StopResolving(id) => {
                if self.names.asked.take().is_none() {
                    // Its answer came when nobody wanted it any more.
                    assert_eq!(self.names.answered, Some(id), "a query is stopped that was not asked");
                    (self.names.found, self.names.failed) = (None, None);
                }
            }
            Action::Resolve(id, query) => {
                self.note_query(id, now);
                return Some(Action::Resolve(id, query));
            }
            Action::Dial(id, dial) => {
                self.note_dial(id, &dial, now);
                return Some(Action::Dial(id, dial));
            }
            Action::Abandon(id) => {
                // If it has failed meanwhile, the brain did not want to know.
                for (_, _, failed) in self.attempts.values_mut().filter(|(dial, ..)| *dial == id) {
                    *failed = false;
                }
                return Some(Action::Abandon(id));
            }
            Action::Release(handle) => {
                assert!(self.let_go.insert(handle.dial), "{:?} is released twice", handle.dial);
                self.check_streams(&handle);
                return Some(Action::Release(handle));
            }
            Action::Close(handle, status) => {
                self.let_go.insert(handle.dial);
                self.ready.remove(&handle.dial);
                self.check_streams(&handle);
                return Some(Action::Close(handle, status));
            }
            Action::Start(key, placed) => {
                self.check_pick(self.snapshot.generation(), placed.dial);
                self.end_wait(&key, false);
                return Some(Action::Start(key, placed));
            }
            Action::Fail(key, refusal) => {
                assert_ne!(refusal.status.code, Code::Ok, "a call fails with a good status");
                self.end_wait(&key, false);
                return Some(Action::Fail(key, refusal));
            }
            other => return Some(other),
        }
        None
    }

    /// A snapshot shows nothing that was let go before it.
    fn publish(&mut self, snapshot: Arc<Snapshot<Handle>>) {
        let generation = snapshot.generation();
        assert!(generation > self.snapshot.generation(), "snapshots come out of order");
        let let_go = &self.let_go;
        let shown = self.shown.get_mut(&generation).expect("a snapshot that was made");
        shown.retain(|dial| !let_go.contains(dial));
        self.snapshot = snapshot;
    }

    /// A connection that is let go has no streams of the channel's own.
    fn check_streams(&self, handle: &Handle) {
        let left = self.streams.values().any(|link| *link == handle.link);
        assert!(!left, "{:?} is let go with a stream", handle.dial);
    }

    /// A name is asked for once at a time, and no sooner than it may.
    fn note_query(&mut self, id: QueryId, now: Instant) {
        let names = &mut self.names;
        assert_eq!(names.asked.replace(id), None, "a name is asked for twice at a time");
        if let Some(found) = names.found {
            assert!(now >= found + names.interval, "a name that was found is asked for again too soon");
        }
        if let Some(failed) = names.failed.filter(|_| self.state != Connectivity::Idle) {
            assert!(now >= failed + SHORTEST_BACKOFF, "a name that was not found is asked for again too soon");
        }
    }

    /// An address is dialled once at a time, and no sooner than the back-off has it.
    fn note_dial(&mut self, id: DialId, dial: &Dial, now: Instant) {
        let Dial { address, keepalive_time, .. } = dial;
        let beside = self.dials.values().any(|other| other.address == *address && !other.given_up);
        assert!(!beside, "{address} is dialled twice at a time");
        let asked = self.drainer.done;
        if let Some((_, begun, true)) = self.attempts.insert(address.clone(), (id, asked, false)) {
            assert!(now >= begun + SHORTEST_BACKOFF, "{address} is dialled again after {:?}", now - begun);
        }
        let dialling = Dialling {
            address: address.clone(),
            keepalive_time: *keepalive_time,
            link: None,
            silent: false,
            given_up: false,
        };
        assert!(self.dials.insert(id, dialling).is_none(), "{id:?} is used twice");
    }

    // What must hold.

    /// When all that the brain has asked for is done.
    pub(crate) fn audit(&self) {
        assert!(!self.drainer.draining && self.drainer.in_hand.is_none(), "something is left to do");
        assert_eq!(self.state, self.brain.state(), "the state is another than was reported");
        assert_eq!(self.snapshot.state(), self.state, "the snapshot is out of date");
        assert_eq!(self.brain.has_waiting(), self.waiting.values().any(|forgotten| !forgotten), "{:?}", self.waiting);
        if self.state == Connectivity::Idle {
            let dialled = self.dials.values().any(|dialling| !dialling.given_up);
            assert!(!dialled, "a channel that is IDLE connects: {:?}", self.dials);
        }
    }

    /// After the channel is closed and all its connections have ended.
    pub(crate) fn check_end(self) {
        assert!(self.dials.is_empty(), "attempts to connect are left: {:?}", self.dials);
        assert!(self.waiting.is_empty() && self.streams.is_empty(), "calls or streams are left");
        assert_eq!(self.state, Connectivity::Shutdown);
        assert_eq!(self.brain.poll_timeout(), None, "a channel that is closed waits for a time");
        assert!(self.ready.is_empty(), "connections are left: {:?}", self.ready);
        let (witness, snapshot) = (Arc::clone(&self.witness), Arc::clone(&self.snapshot));
        // What the brain keeps is let go with it, and nothing of the calls' or the connections' is among it.
        witness.check_end();
        drop((self, snapshot));
        witness.check_end();
    }
}

/// How calls end that a closed channel leaves.
pub(crate) fn closed() -> Status {
    Status::new(Code::Cancelled, "Channel closed!")
}
