use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{
    Channel, Config, DialId, ServiceConfig, Snapshot, Target, Ticket,
    balancer::Done,
    call::{AttemptId, Rpc, Throttle},
};

/// A connection, as the brain knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    pub(super) server: usize,
    pub(super) dial: DialId,
}

/// An attempt that waits, as the brain knows it.
pub(super) type Key = (usize, AttemptId);

pub(super) type Brain = Channel<Connection, Key>;

/// One client.
pub(super) struct Client {
    pub(super) brain: Brain,
    pub(super) snapshot: Arc<Snapshot<Connection>>,
    /// When the brain is to be woken, at the soonest.
    pub(super) timer: Option<Instant>,
    /// Attempts to connect, with the servers they go to.
    pub(super) dials: BTreeMap<DialId, usize>,
    pub(super) links: BTreeMap<DialId, Link>,
    pub(super) throttle: Option<Arc<Throttle>>,
}

/// A connection, as its client knows it.
#[derive(Debug)]
pub(super) struct Link {
    /// How often its server had stopped when it was made.
    pub(super) epoch: u32,
    /// A call on it was answered.
    pub(super) useful: bool,
    /// The channel has let it go.
    pub(super) released: bool,
    pub(super) calls: Vec<Key>,
}

/// A call.
pub(super) struct Call {
    pub(super) client: usize,
    pub(super) begun: Duration,
    pub(super) deadline: Instant,
    pub(super) rpc: Rpc,
    pub(super) live: Vec<Live>,
    pub(super) over: bool,
}

/// An attempt that has begun and is not over.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) id: AttemptId,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    Picking,
    Queued(Ticket),
    On(DialId, Done),
}

impl Client {
    pub(super) fn new(config: &Arc<ServiceConfig>, seed: u64, now: Instant) -> Client {
        let target = Target::parse("fleet.example:1").expect("a target");
        let throttle = config.throttling.map(|throttling| Arc::new(Throttle::new(throttling)));
        let config = Config { service_config: Arc::clone(config), idle_timeout: None, ..Config::new(seed) };
        let brain = Channel::new(target, config, seed, now);
        Client {
            snapshot: Arc::clone(brain.snapshot()),
            brain,
            timer: None,
            dials: BTreeMap::new(),
            links: BTreeMap::new(),
            throttle,
        }
    }
}

impl Call {
    pub(super) fn is_live(&self, id: AttemptId) -> bool {
        self.live.iter().any(|live| live.id == id)
    }
}
