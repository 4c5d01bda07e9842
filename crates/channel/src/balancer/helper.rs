use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{CallHook, LoadReports, SubchannelId};
use crate::{Address, Config, random::Random};

/// What a policy may ask for, collected until it has returned.
pub struct Helper {
    pub(crate) now: Instant,
    pub(crate) collected: Vec<Collected>,
    pub(crate) slots: Slots,
    pub(crate) resolve_again: bool,
    pub(crate) changed: bool,
    pub(crate) discarded: Vec<Box<dyn Send>>,
    settings: Settings,
    random: Random,
    route: Vec<u32>,
}

/// What the owner of a channel chooses for its policies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) attempt_delay: Duration,
    pub(crate) priority_failover: Duration,
    pub(crate) ring_places: u32,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Settings {
        let Config { attempt_delay, priority_failover, ring_places, .. } = *config;
        Settings { attempt_delay, priority_failover, ring_places }
    }
}

impl std::fmt::Debug for Helper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Helper").field("now", &self.now).field("collected", &self.collected).finish_non_exhaustive()
    }
}

/// One thing that was asked for.
#[derive(Debug)]
pub(crate) enum Collected {
    New(New),
    Connect(SubchannelId),
    Release(SubchannelId),
    /// All that was made at this route or below.
    Dropped(Box<[u32]>),
    /// Servers of all that was made at this route or below are asked to report their load so often.
    Loads(Box<[u32]>, Option<Duration>),
}

/// A subchannel that has been asked for and is not there yet: a parent may add to what its child has asked for.
pub struct New {
    /// Its name.
    pub id: SubchannelId,
    /// Where it connects to.
    pub address: Address,
    /// Who hears of its calls.
    pub hooks: Vec<Arc<dyn CallHook>>,
    /// Whether the policy wants to hear of the server's health, where the service config has servers asked for it: then
    /// [`Checking`](super::Update::Checking) and [`Unhealthy`](super::Update::Unhealthy) may come in place of
    /// [`Ready`](super::Update::Ready).
    pub health: bool,
    /// Who hears of the server's load, and whether the server is asked to report it.
    pub loads: Option<LoadReports>,
    pub(crate) route: Box<[u32]>,
}

impl std::fmt::Debug for New {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "New({:?}, {}, {:?}, {} hooks)", self.id, self.address, self.route, self.hooks.len())
    }
}

/// The places of subchannels, each used again under another generation.
#[derive(Default, Debug)]
pub(crate) struct Slots {
    generations: Vec<u32>,
    free: Vec<u32>,
}

impl Slots {
    fn take(&mut self) -> SubchannelId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            u32::try_from(self.generations.len() - 1).unwrap_or(u32::MAX)
        });
        let generation = self.generations.get(slot as usize).copied().unwrap_or_default();
        SubchannelId { slot, generation }
    }

    pub(crate) fn give_back(&mut self, id: SubchannelId) {
        if let Some(generation) = self.generations.get_mut(id.slot as usize) {
            *generation = generation.wrapping_add(1);
            self.free.push(id.slot);
        }
    }
}

impl Helper {
    pub(crate) fn new(now: Instant, seed: u64, settings: Settings) -> Helper {
        Helper {
            now,
            collected: Vec::new(),
            slots: Slots::default(),
            resolve_again: false,
            changed: false,
            discarded: Vec::new(),
            settings,
            random: Random::new(seed),
            route: Vec::new(),
        }
    }

    /// The time of this step.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// Random bits.
    pub fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// How long an attempt at one address may take before the next is begun beside it.
    pub fn attempt_delay(&self) -> Duration {
        self.settings.attempt_delay
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the policy stands that is called now; for [`Pick::Wake`](super::Pick::Wake).
    pub fn route(&self) -> Arc<[u32]> {
        self.route.as_slice().into()
    }

    /// How far down among its parents the policy stands that is called now: where the keys of its children are in routes.
    pub(crate) fn depth(&self) -> usize {
        self.route.len()
    }

    /// A subchannel to this address, which is IDLE, or what other subchannels to it have found out: the policy hears so.
    pub fn new_subchannel(&mut self, address: &Address) -> SubchannelId {
        let id = self.slots.take();
        let route = self.route.as_slice().into();
        self.collected.push(Collected::New(New {
            id,
            address: address.clone(),
            hooks: Vec::new(),
            health: false,
            loads: None,
            route,
        }));
        id
    }

    /// Connects a subchannel that is IDLE.
    pub fn connect(&mut self, id: SubchannelId) {
        self.collected.push(Collected::Connect(id));
    }

    /// Lets a subchannel go: nothing more is heard of it, and its calls may finish.
    pub fn release(&mut self, id: SubchannelId) {
        self.collected.push(Collected::Release(id));
    }

    /// Servers of all subchannels that were made here or below, with someone who hears of their load, are asked to report it so
    /// often from now on; `None`: they are not asked.
    pub fn report_loads(&mut self, period: Option<Duration>) {
        self.collected.push(Collected::Loads(self.route.as_slice().into(), period));
    }

    /// The endpoints may be out of date.
    pub fn resolve_again(&mut self) {
        self.resolve_again = true;
    }

    /// State or picker of the policy that is called now are others than before.
    pub fn changed(&mut self) {
        self.changed = true;
    }

    /// Calls a child under its key; says whether the child has changed.
    pub fn within<T>(&mut self, key: u32, child: impl FnOnce(&mut Helper) -> T) -> (T, bool) {
        let before = std::mem::take(&mut self.changed);
        self.route.push(key);
        let value = child(self);
        self.route.pop();
        (value, std::mem::replace(&mut self.changed, before))
    }

    /// The child of this key is gone, and what it has made with it.
    pub fn dropped(&mut self, key: u32) {
        let mut route = self.route.clone();
        route.push(key);
        self.collected.push(Collected::Dropped(route.into()));
    }

    /// Has something dropped where the channel's lock is not held: a policy of somebody else's, whose drop may do anything.
    pub fn discard(&mut self, what: impl Send + 'static) {
        self.discarded.push(Box::new(what));
    }

    /// What the policy that is called now has made is gone, and what is below it.
    pub(crate) fn dropped_here(&mut self) {
        self.collected.push(Collected::Dropped(self.route.as_slice().into()));
    }

    /// A policy at this depth has panicked, and children that it had called with it.
    pub(crate) fn unwound(&mut self, depth: usize) {
        self.route.truncate(depth);
    }

    /// A point in what has been asked for, for [`made_since`](Helper::made_since).
    pub fn mark(&self) -> usize {
        self.collected.len()
    }

    /// The subchannels asked for since then.
    pub fn made_since(&mut self, mark: usize) -> impl Iterator<Item = &mut New> {
        self.collected.iter_mut().skip(mark).filter_map(|collected| match collected {
            Collected::New(new) => Some(new),
            _ => None,
        })
    }
}
