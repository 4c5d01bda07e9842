//! Subchannels: which addresses are connected, being connected, or left alone for a while.
//!
//! A policy's subchannel is a share in a [`Connector`], of which there is one for each address. So two policies that want
//! the same address share its connection, and what has been found out about an address outlives those who wanted it.

mod health;
mod loads;
mod streams;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use self::{health::Watch, loads::Loads, streams::Kind};
use crate::{
    Address, Backoff, ConnectError, Note,
    balancer::{CallHook, Collected, Hooks, LoadReports, New, Slots, SubchannelId, Update},
    random::Random,
    stream::{StreamId, StreamRequest},
};

/// A connection that served nobody and is lost sooner than this has hardly worked.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// So many of these in a row are no accident.
const SHORT_LIVES: u32 = 3;

/// The handle of one attempt to connect, and of the connection that comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DialId(pub u64);

/// What the channel is to do.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Dial(DialId, Address),
    Abandon(DialId),
    Release(DialId),
    /// On the connection of this dial.
    Open(StreamId, DialId, StreamRequest),
    Cancel(StreamId),
    Note(Note),
}

/// One address.
#[derive(Debug)]
struct Connector {
    address: Address,
    state: State,
    backoff: Backoff,
    /// Connections in a row that broke as soon as they were there.
    short_lives: u32,
    users: BTreeSet<SubchannelId>,
    /// While it is connected and somebody wants to know.
    health: Option<Watch>,
    /// It has been noted that its server cannot be asked.
    health_noted: bool,
    /// The same for its server's load.
    loads: Option<Loads>,
    loads_noted: bool,
    /// When the clock is to be looked at; the key in [`Subchannels::timers`].
    timer: Option<Instant>,
}

/// Named for what has become of the address.
#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Idle,
    /// As many attempts as may be are under way; its turn comes.
    HeldBack {
        turn: u64,
    },
    Connecting {
        dial: DialId,
        give_up_at: Instant,
        retry_at: Instant,
    },
    /// `retry_at` is that of the attempt, for a connection that breaks at once.
    Ready {
        dial: DialId,
        since: Instant,
        retry_at: Instant,
    },
    BackingOff {
        until: Instant,
        why: Arc<str>,
    },
}

impl State {
    fn update(&self) -> Update {
        match self {
            State::Idle => Update::Idle,
            State::HeldBack { .. } | State::Connecting { .. } => Update::Connecting,
            State::Ready { .. } => Update::Ready,
            State::BackingOff { why, .. } => Update::Failed(Arc::clone(why)),
        }
    }
}

/// A policy's share in a connector.
#[derive(Debug)]
struct Share {
    generation: u32,
    address: Address,
    route: Box<[u32]>,
    hooks: Shown,
    /// Its policy hears of the server's health.
    health: bool,
    loads: Option<LoadReports>,
}

struct Shown(Hooks);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} hooks", self.0.as_ref().map_or(0, |hooks| hooks.len()))
    }
}

/// All subchannels of a channel.
#[derive(Debug)]
pub(crate) struct Subchannels {
    connectors: BTreeMap<Address, Connector>,
    dials: BTreeMap<DialId, Address>,
    /// By the slot of their id.
    shares: Vec<Option<Share>>,
    live: usize,
    timers: BTreeSet<(Instant, Address)>,
    /// What policies have not heard yet.
    events: VecDeque<(SubchannelId, Update)>,
    orders: Vec<Order>,
    next_dial: u64,
    /// Attempts under way, and how many may be.
    dialling: usize,
    most_dials: usize,
    /// Addresses that are held back, by their turn.
    held_back: BTreeMap<u64, Address>,
    next_turn: u64,
    /// The service whose health servers are asked for.
    health_service: Option<Arc<str>>,
    /// Streams that are open, with the addresses they lead to.
    streams: BTreeMap<StreamId, (Address, Kind)>,
    next_stream: u64,
    connect_timeout: Duration,
    backoff: Backoff,
    random: Random,
}

impl Subchannels {
    pub(crate) fn new(backoff: Backoff, connect_timeout: Duration, most_dials: usize, seed: u64) -> Subchannels {
        Subchannels {
            connectors: BTreeMap::new(),
            dials: BTreeMap::new(),
            shares: Vec::new(),
            live: 0,
            timers: BTreeSet::new(),
            events: VecDeque::new(),
            orders: Vec::new(),
            next_dial: 0,
            dialling: 0,
            most_dials: most_dials.max(1),
            held_back: BTreeMap::new(),
            next_turn: 0,
            health_service: None,
            streams: BTreeMap::new(),
            next_stream: 0,
            connect_timeout,
            backoff,
            random: Random::new(seed),
        }
    }

    // What policies have asked for.

    /// Does all that was collected.
    pub(crate) fn apply(&mut self, collected: &mut Vec<Collected>, slots: &mut Slots, now: Instant) {
        let mut dropped: BTreeSet<Box<[u32]>> = BTreeSet::new();
        for what in collected.drain(..) {
            if let Collected::Dropped(route) = what {
                dropped.insert(route);
                continue;
            }
            // Only a run of them is done in one pass.
            self.drop_below(&std::mem::take(&mut dropped), slots, now);
            match what {
                Collected::New(new) => self.add(new, now),
                Collected::Connect(id) => self.connect(id, now),
                Collected::Release(id) => self.release(id, slots, now),
                Collected::Loads(route, period) => self.report_loads(&route, period, now),
                Collected::Dropped(_) => {}
            }
        }
        self.drop_below(&dropped, slots, now);
    }

    /// Lets all go.
    pub(crate) fn release_all(&mut self, slots: &mut Slots, now: Instant) {
        let all: Vec<SubchannelId> = self.shares().map(|(id, _)| id).collect();
        for id in all {
            self.release(id, slots, now);
        }
    }

    fn drop_below(&mut self, dropped: &BTreeSet<Box<[u32]>>, slots: &mut Slots, now: Instant) {
        if dropped.is_empty() {
            return;
        }
        let below =
            |route: &[u32]| (1..=route.len()).any(|depth| route.get(..depth).is_some_and(|up| dropped.contains(up)));
        let gone: Vec<SubchannelId> =
            self.shares().filter(|(_, share)| below(&share.route)).map(|(id, _)| id).collect();
        for id in gone {
            self.release(id, slots, now);
        }
    }

    fn add(&mut self, new: New, now: Instant) {
        let New { id, address, hooks, route, health, loads } = new;
        let slot = id.slot as usize;
        if self.shares.len() <= slot {
            self.shares.resize_with(slot + 1, || None);
        }
        let hooks: Hooks = (!hooks.is_empty()).then(|| Arc::<[Arc<dyn CallHook>]>::from(hooks));
        let share =
            Share { generation: id.generation, address: address.clone(), route, hooks: Shown(hooks), health, loads };
        if let Some(place) = self.shares.get_mut(slot) {
            *place = Some(share);
            self.live += 1;
        }
        let (backoff, random) = (&self.backoff, &mut self.random);
        let connector = self.connectors.entry(address.clone()).or_insert_with(|| Connector {
            address,
            state: State::Idle,
            backoff: backoff.fresh(random.next()),
            short_lives: 0,
            users: BTreeSet::new(),
            health: None,
            health_noted: false,
            loads: None,
            loads_noted: false,
            timer: None,
        });
        connector.users.insert(id);
        let (address, idle) = (connector.address.clone(), connector.state == State::Idle);
        self.mind_streams(&address, now);
        if !idle {
            self.tell(id);
        }
        self.set_timer(&address, now);
    }

    fn connect(&mut self, id: SubchannelId, now: Instant) {
        let Some(address) = self.share(id).map(|share| share.address.clone()) else { return };
        let Some(connector) = self.connectors.get_mut(&address) else { return };
        if connector.state != State::Idle {
            // It hears of what comes of it anyway; one that asks late hears again.
            return self.tell(id);
        }
        if self.dialling < self.most_dials {
            return self.dial(&address, now);
        }
        let turn = self.next_turn;
        self.next_turn += 1;
        self.held_back.insert(turn, address.clone());
        self.set(&address, State::HeldBack { turn }, now);
    }

    /// Begins an attempt.
    fn dial(&mut self, address: &Address, now: Instant) {
        let Some(connector) = self.connectors.get_mut(address) else { return };
        let dial = DialId(self.next_dial);
        self.next_dial += 1;
        let retry_at = now + connector.backoff.advance();
        let give_up_at = now + self.connect_timeout;
        self.dials.insert(dial, address.clone());
        self.orders.push(Order::Dial(dial, address.clone()));
        self.set(address, State::Connecting { dial, give_up_at, retry_at }, now);
    }

    /// Begins the attempts whose turn it is.
    fn admit(&mut self, now: Instant) {
        while self.dialling < self.most_dials
            && let Some((_, address)) = self.held_back.pop_first()
        {
            self.dial(&address, now);
        }
    }

    fn release(&mut self, id: SubchannelId, slots: &mut Slots, now: Instant) {
        let Some(place) = self.shares.get_mut(id.slot as usize) else { return };
        let Some(share) = place.take_if(|share| share.generation == id.generation) else { return };
        self.live -= 1;
        slots.give_back(id);
        let Some(connector) = self.connectors.get_mut(&share.address) else { return };
        connector.users.remove(&id);
        let unused = connector.users.is_empty();
        self.mind_streams(&share.address, now);
        if unused {
            self.rest(&share.address, now);
        }
    }

    /// Nobody wants this address.
    fn rest(&mut self, address: &Address, now: Instant) {
        let Some(connector) = self.connectors.get_mut(address) else { return };
        match connector.state {
            State::Connecting { dial, .. } => {
                self.orders.push(Order::Abandon(dial));
                self.dials.remove(&dial);
                self.set(address, State::Idle, now);
            }
            State::Ready { dial, .. } => {
                self.orders.push(Order::Release(dial));
                self.dials.remove(&dial);
                self.set(address, State::Idle, now);
            }
            State::HeldBack { .. } => self.set(address, State::Idle, now),
            State::Idle | State::BackingOff { .. } => self.set_timer(address, now),
        }
    }

    // From outside.

    /// An attempt has succeeded; whether somebody wants the connection.
    pub(crate) fn handle_connected(&mut self, dial: DialId, now: Instant) -> bool {
        let Some(address) = self.dials.get(&dial).cloned() else { return false };
        let Some(connector) = self.connectors.get_mut(&address) else { return false };
        let State::Connecting { retry_at, .. } = connector.state else { return false };
        if connector.short_lives == 0 {
            connector.backoff.reset();
        }
        self.set(&address, State::Ready { dial, since: now, retry_at }, now);
        true
    }

    /// An attempt has failed.
    pub(crate) fn handle_failed(&mut self, dial: DialId, error: &ConnectError, now: Instant) {
        let Some(address) = self.dials.get(&dial).cloned() else { return };
        let Some(Connector { state: State::Connecting { retry_at, .. }, .. }) = self.connectors.get(&address) else {
            return;
        };
        let until = *retry_at;
        self.dials.remove(&dial);
        let why = format!("{}: {address}: {}", error.code, error.why).into();
        self.set(&address, State::BackingOff { until, why }, now);
    }

    /// A connection takes no more calls. One after the other that is lost before it was of any use is as bad as none.
    pub(crate) fn handle_lost(&mut self, dial: DialId, why: &str, useful: bool, now: Instant) {
        let Some(address) = self.dials.get(&dial).cloned() else { return };
        let Some(connector) = self.connectors.get_mut(&address) else { return };
        let State::Ready { since, retry_at, .. } = connector.state else { return };
        self.dials.remove(&dial);
        let short = !useful && now.saturating_duration_since(since) < SHORT_LIFE;
        connector.short_lives = if short { connector.short_lives + 1 } else { 0 };
        if connector.short_lives < SHORT_LIVES {
            return self.set(&address, State::Idle, now);
        }
        let why = format!("UNAVAILABLE: {address}: connections break as soon as they are made: {why}").into();
        self.set(&address, State::BackingOff { until: retry_at, why }, now);
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, address)) = self.timers.first().cloned() {
            if due > now {
                return;
            }
            self.expire(&address, now);
        }
    }

    fn expire(&mut self, address: &Address, now: Instant) {
        let Some(connector) = self.connectors.get_mut(address) else { return };
        match connector.state {
            State::Connecting { dial, .. } => {
                self.orders.push(Order::Abandon(dial));
                let why = "connection attempt timed out before receiving SETTINGS frame".to_owned();
                let error = ConnectError { code: farcall_core::Code::Unavailable, why };
                self.handle_failed(dial, &error, now);
            }
            State::BackingOff { .. } => self.set(address, State::Idle, now),
            State::Ready { .. } => {
                self.retry_streams(address, now);
                self.set_timer(address, now);
            }
            State::Idle => {
                connector.short_lives = 0;
                self.set_timer(address, now);
            }
            State::HeldBack { .. } => self.set_timer(address, now),
        }
    }

    // To the outside.

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// What a subchannel has become, for the policy at this route.
    pub(crate) fn poll_event(&mut self) -> Option<(Box<[u32]>, SubchannelId, Update)> {
        loop {
            let (id, update) = self.events.pop_front()?;
            // One that has been let go since hears nothing.
            if let Some(share) = self.share(id) {
                return Some((share.route.clone(), id, update));
            }
        }
    }

    pub(crate) fn take_orders(&mut self) -> Vec<Order> {
        std::mem::take(&mut self.orders)
    }

    /// How many subchannels there are.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// How many places a snapshot has.
    pub(crate) fn slots(&self) -> usize {
        self.shares.len()
    }

    /// The subchannels that take calls: each with its connection's dial, address and hooks.
    pub(crate) fn ready(&self) -> impl Iterator<Item = (SubchannelId, DialId, &Address, &Hooks)> {
        self.shares().filter_map(|(id, share)| match self.connectors.get(&share.address)?.state {
            State::Ready { dial, .. } => Some((id, dial, &share.address, &share.hooks.0)),
            _ => None,
        })
    }

    fn shares(&self) -> impl Iterator<Item = (SubchannelId, &Share)> {
        self.shares.iter().enumerate().filter_map(|(slot, share)| {
            let share = share.as_ref()?;
            let slot = u32::try_from(slot).ok()?;
            Some((SubchannelId { slot, generation: share.generation }, share))
        })
    }

    fn share(&self, id: SubchannelId) -> Option<&Share> {
        self.shares.get(id.slot as usize)?.as_ref().filter(|share| share.generation == id.generation)
    }

    /// Changes a state, tells who has a share in it, and minds the timer.
    fn set(&mut self, address: &Address, state: State, now: Instant) {
        let Some(connector) = self.connectors.get_mut(address) else { return };
        let connects = matches!(state, State::Connecting { .. });
        let before = std::mem::replace(&mut connector.state, state);
        let ended = matches!(before, State::Connecting { .. }) && !connects;
        self.dialling = self.dialling + usize::from(connects) - usize::from(ended);
        if let State::HeldBack { turn } = before {
            self.held_back.remove(&turn);
        }
        let users: Vec<SubchannelId> = connector.users.iter().copied().collect();
        self.mind_streams(address, now);
        users.into_iter().for_each(|id| self.tell(id));
        self.set_timer(address, now);
        if ended {
            self.admit(now);
        }
    }

    /// Tells a policy what its subchannel is.
    fn tell(&mut self, id: SubchannelId) {
        let update = self.share(id).and_then(|share| Some(self.connectors.get(&share.address)?.update(share)));
        self.events.extend(update.map(|update| (id, update)));
    }

    /// The time at which something is to be done; an address that nobody wants and of which nothing is to be remembered
    /// goes.
    fn set_timer(&mut self, address: &Address, now: Instant) {
        let Some(connector) = self.connectors.get_mut(address) else { return };
        let wanted = !connector.users.is_empty();
        let due = match connector.state {
            State::Connecting { give_up_at, .. } => Some(give_up_at),
            State::BackingOff { until, .. } => Some(until),
            // A policy that wants it again at once still sees that it broke.
            State::Idle if !wanted && connector.short_lives > 0 => {
                connector.timer.filter(|due| *due > now).or(Some(now + connector.backoff.initial))
            }
            State::Ready { .. } => connector.streams_due(),
            State::Idle | State::HeldBack { .. } => None,
        };
        if let Some(before) = std::mem::replace(&mut connector.timer, due) {
            self.timers.remove(&(before, connector.address.clone()));
        }
        if let Some(due) = due {
            self.timers.insert((due, connector.address.clone()));
        } else if !wanted && connector.state == State::Idle {
            self.connectors.remove(address);
        }
    }
}

#[cfg(test)]
mod tests;
