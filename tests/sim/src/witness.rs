//! What must hold of a channel's brain at every step, seen from within: its handles, its policies and its pickers.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    time::Instant,
};

use farcall_channel::{
    Channel, Connectivity, DialId,
    balancer::{
        CallHook, End, Helper, Pick, PickArgs, Picker, Policy, PolicyConfig, Resolution, Route, SubchannelId, Update,
    },
    call::AttemptId,
};

/// The brain of a client's channel.
pub(crate) type Brain = Channel<Handle, Key>;

/// What is known of one channel by those who are within it.
#[derive(Default, Debug)]
pub(crate) struct Witness {
    /// The brain is being stepped: nothing of the hands' may be dropped.
    stepping: AtomicBool,
    /// Handles of connections and keys of calls that are somewhere.
    handles: AtomicI64,
    keys: AtomicI64,
    /// Calls that were picked and have not ended.
    under_way: AtomicI64,
    /// The newest picker is that of `round_robin`.
    even: AtomicBool,
    /// A policy leaves endpoints out, or has.
    ejects: AtomicBool,
}

impl Witness {
    pub(crate) fn enter(&self) {
        assert!(!self.stepping.swap(true, Relaxed), "the brain is entered from within");
    }

    pub(crate) fn leave(&self) {
        self.stepping.store(false, Relaxed);
    }

    pub(crate) fn picks_evenly(&self) -> bool {
        self.even.load(Relaxed)
    }

    pub(crate) fn ejects(&self) -> bool {
        self.ejects.load(Relaxed)
    }

    /// At the end nobody has anything of the channel's.
    pub(crate) fn check_end(&self) {
        let left = [&self.handles, &self.keys, &self.under_way].map(|count| count.load(Relaxed));
        assert_eq!(left, [0; 3], "handles, keys and calls under way are left");
    }

    fn let_go(&self, count: &AtomicI64, what: &str) {
        count.fetch_sub(1, Relaxed);
        let within = self.stepping.load(Relaxed) && !std::thread::panicking();
        assert!(!within, "{what} is dropped while the brain is being stepped");
    }
}

/// A connection, as the brain knows it.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) link: usize,
    pub(crate) dial: DialId,
    witness: Arc<Witness>,
}

impl Handle {
    pub(crate) fn new(link: usize, dial: DialId, witness: &Arc<Witness>) -> Handle {
        witness.handles.fetch_add(1, Relaxed);
        Handle { link, dial, witness: Arc::clone(witness) }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Handle {
        Handle::new(self.link, self.dial, &self.witness)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.witness.let_go(&self.witness.handles, "a connection's handle");
    }
}

/// A call that waits, as the brain knows it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) tag: usize,
    /// `None`: the attempt begins when the call's rest is over.
    pub(crate) attempt: Option<AttemptId>,
    pub(crate) serial: u64,
    witness: Arc<Witness>,
}

impl Key {
    pub(crate) fn new(tag: usize, attempt: Option<AttemptId>, serial: u64, witness: &Arc<Witness>) -> Key {
        witness.keys.fetch_add(1, Relaxed);
        Key { tag, attempt, serial, witness: Arc::clone(witness) }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.witness.let_go(&self.witness.keys, "a call's key");
    }
}

/// The edges of a channel's states (grpc/grpc `doc/connectivity-semantics-and-api.md`; gRFC A61 adds those from READY and
/// TRANSIENT_FAILURE that a policy of several connections has).
pub(crate) fn check_edge(from: Connectivity, to: Connectivity) {
    use Connectivity::{Connecting, Idle, Ready, Shutdown, TransientFailure};
    let legal = match (from, to) {
        (Shutdown, _) | (Idle, Ready | TransientFailure) => false,
        (Idle, Connecting) | (_, Shutdown) => true,
        (Connecting | Ready | TransientFailure, Idle) => true,
        (Connecting, Ready | TransientFailure) | (Ready, Connecting | TransientFailure) => true,
        (TransientFailure, Connecting | Ready) => true,
        (Idle, Idle) | (Connecting, Connecting) | (Ready, Ready) | (TransientFailure, TransientFailure) => false,
    };
    assert!(legal, "the channel went from {from} to {to}");
}

/// A policy with a witness in it.
#[derive(Clone, Debug)]
pub(crate) struct Witnessed {
    inner: Arc<dyn PolicyConfig>,
    witness: Arc<Witness>,
}

impl Witnessed {
    pub(crate) fn in_config(inner: &Arc<dyn PolicyConfig>, witness: &Arc<Witness>) -> Arc<dyn PolicyConfig> {
        Arc::new(Witnessed { inner: Arc::clone(inner), witness: Arc::clone(witness) })
    }
}

impl PolicyConfig for Witnessed {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn policy(&self) -> Box<dyn Policy> {
        if self.name().starts_with("outlier_detection") {
            self.witness.ejects.store(true, Relaxed);
        }
        let (witness, even) = (Arc::clone(&self.witness), self.name() == "round_robin");
        Box::new(WitnessedPolicy { inner: self.inner.policy(), even, witness, subchannels: BTreeMap::new() })
    }
}

struct WitnessedPolicy {
    inner: Box<dyn Policy>,
    even: bool,
    witness: Arc<Witness>,
    subchannels: BTreeMap<SubchannelId, Update>,
}

impl WitnessedPolicy {
    /// Steps the policy, and hangs a hook on each subchannel that it makes.
    fn step<T>(&mut self, helper: &mut Helper, step: impl FnOnce(&mut dyn Policy, &mut Helper) -> T) -> T {
        let mark = helper.mark();
        let value = step(&mut *self.inner, helper);
        for new in helper.made_since(mark) {
            new.hooks.push(Arc::new(Hook(Arc::clone(&self.witness))));
        }
        value
    }

    /// The edges of a subchannel's states. Who asks to connect may hear a state again. While it is connected its server may
    /// say anything of its health.
    fn check(&mut self, id: SubchannelId, update: &Update) {
        use Update::{Checking, Connecting, Failed, Idle, Ready, Unhealthy};
        let before = self.subchannels.insert(id, update.clone());
        let legal = match (&before, update) {
            (None, _) | (Some(Idle), Idle | Connecting) | (Some(Failed(_)), Failed(_) | Idle) => true,
            (Some(Connecting), _) => true,
            (Some(Ready | Checking | Unhealthy(_)), Connecting) | (Some(Idle | Failed(_)), _) => false,
            (Some(Ready | Checking | Unhealthy(_)), _) => true,
        };
        assert!(legal, "a subchannel went from {before:?} to {update:?}");
    }
}

impl Policy for WitnessedPolicy {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        let endpoints = Arc::clone(&resolution.endpoints);
        let inner = resolution.config::<Witnessed>().map(|config| Arc::clone(&config.inner));
        let resolution = Resolution { endpoints, config: inner.unwrap_or_else(|| Arc::clone(&resolution.config)) };
        self.step(helper, |policy, helper| policy.handle_resolution(&resolution, helper))
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.check(id, update);
        self.step(helper, |policy, helper| policy.handle_subchannel(route, id, update, helper));
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        self.step(helper, |policy, helper| policy.handle_timeout(helper));
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.step(helper, |policy, helper| policy.wake(route, helper));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.inner.poll_timeout()
    }

    fn state(&self) -> Connectivity {
        self.inner.state()
    }

    fn picker(&self) -> Arc<dyn Picker> {
        self.witness.even.store(self.even, Relaxed);
        Arc::new(WitnessedPicker { inner: self.inner.picker(), witness: Arc::clone(&self.witness) })
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.inner.failure()
    }
}

struct WitnessedPicker {
    inner: Arc<dyn Picker>,
    witness: Arc<Witness>,
}

impl Picker for WitnessedPicker {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        self.inner.pick(args)
    }
}

impl Drop for WitnessedPicker {
    fn drop(&mut self) {
        let within = self.witness.stepping.load(Relaxed) && !std::thread::panicking();
        assert!(!within, "a picker is dropped while the brain is being stepped");
    }
}

struct Hook(Arc<Witness>);

impl CallHook for Hook {
    fn started(&self) {
        self.0.under_way.fetch_add(1, Relaxed);
    }

    fn ended(&self, _: &End<'_>) {
        let before = self.0.under_way.fetch_sub(1, Relaxed);
        assert!(before > 0, "more calls end than were picked");
    }
}
