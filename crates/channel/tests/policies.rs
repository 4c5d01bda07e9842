//! Policies of a user's own: what a channel makes of those that misbehave, and of hooks that hear of calls.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::bench::{Bench, at, list};
use farcall_channel::{
    Choice, Config, Connectivity, Limits, Note,
    balancer::{
        CallHook, End, Helper, Pick, PickArgs, PickFirst, Picker, Policy, PolicyConfig, Queueing, Resolution, Route,
        SubchannelId, Update,
    },
};
use farcall_core::Code;

/// Makes a new subchannel whenever one fails, and never settles.
#[derive(Debug)]
struct RestlessConfig;

impl PolicyConfig for RestlessConfig {
    fn name(&self) -> &str {
        "restless"
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(Restless { address: None })
    }
}

struct Restless {
    address: Option<farcall_channel::Address>,
}

impl Policy for Restless {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        let address = resolution.endpoints[0].addresses[0].clone();
        let id = helper.new_subchannel(&address);
        helper.connect(id);
        self.address = Some(address);
        Ok(())
    }

    fn handle_subchannel(&mut self, _: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        if let (Update::Failed(_), Some(address)) = (update, &self.address) {
            helper.release(id);
            helper.new_subchannel(&address.clone());
        }
    }

    fn wake(&mut self, _: Route<'_>, _: &mut Helper) {}

    fn state(&self) -> Connectivity {
        Connectivity::Connecting
    }

    fn picker(&self) -> Arc<dyn Picker> {
        Arc::new(Queueing(None))
    }

    fn failure(&self) -> Option<Arc<str>> {
        None
    }
}

#[test]
fn a_policy_that_never_comes_to_rest_is_noted_and_lets_others_in() {
    let limits = Limits { steps_per_subchannel: 10, ..Limits::default() };
    let mut bench = Bench::with(&list(1), Config { policy: Some(Arc::new(RestlessConfig)), limits, ..Config::new(7) });
    bench.connect();
    bench.refuse(&at(1));
    assert_eq!(bench.notes, [Note::Restless]);
    assert_eq!(bench.channel.poll_timeout(), Some(bench.now), "it goes on at once, but not under this lock");
    bench.sleep();
    assert_eq!(bench.notes.len(), 2);
    bench.channel.shutdown(&farcall_core::Status::new(Code::Cancelled, "bye"), bench.now);
    bench.drain();
    bench.assert_nothing_left();
    assert_eq!(bench.channel.poll_timeout(), None);
}

/// Counts calls.
#[derive(Default)]
struct Count {
    started: AtomicUsize,
    ended: AtomicUsize,
    not_sent: AtomicUsize,
}

impl CallHook for Count {
    fn started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    fn ended(&self, end: &End<'_>) {
        let count = if end.code.is_some() { &self.ended } else { &self.not_sent };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

struct Counting {
    child: PickFirst,
    count: Arc<Count>,
}

struct CountingConfig(Arc<Count>);

impl std::fmt::Debug for CountingConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CountingConfig")
    }
}

impl PolicyConfig for CountingConfig {
    fn name(&self) -> &str {
        "counting"
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(Counting { child: PickFirst::default(), count: Arc::clone(&self.0) })
    }
}

impl Counting {
    /// Calls the child, and listens to the subchannels that it asks for.
    fn within<T>(&mut self, helper: &mut Helper, step: impl FnOnce(&mut PickFirst, &mut Helper) -> T) -> T {
        let mark = helper.mark();
        let (value, changed) = helper.within(0, |helper| step(&mut self.child, helper));
        for new in helper.made_since(mark) {
            new.hooks.push(Arc::clone(&self.count) as Arc<dyn CallHook>);
        }
        if changed {
            helper.changed();
        }
        value
    }
}

impl Policy for Counting {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        self.within(helper, |child, helper| child.handle_resolution(resolution, helper))
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.within(helper, |child, helper| child.handle_subchannel(&route[1..], id, update, helper));
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        let below = route.get(1..).unwrap_or_default();
        self.within(helper, |child, helper| child.wake(below, helper));
    }

    fn state(&self) -> Connectivity {
        self.child.state()
    }

    fn picker(&self) -> Arc<dyn Picker> {
        self.child.picker()
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.child.failure()
    }
}

#[test]
fn hooks_hear_of_each_call_and_its_end_exactly_once() {
    let count = Arc::<Count>::default();
    let policy: Arc<dyn PolicyConfig> = Arc::new(CountingConfig(Arc::clone(&count)));
    let mut bench = Bench::with(&list(1), Config { policy: Some(policy), ..Config::new(7) });
    bench.queue(1, false);
    bench.accept(&at(1));
    let counted = || [&count.started, &count.ended, &count.not_sent].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counted(), [1, 0, 1], "the bench drops what it starts");
    let args = PickArgs::new("/a", 1);
    let Choice::Ready(picked) = bench.snapshot.pick(&args) else { panic!("it is connected") };
    assert_eq!(counted(), [2, 0, 1]);
    let placed = picked.into_placed();
    placed.done.end(&End { code: Some(Code::Ok), trailers: None });
    assert_eq!(counted(), [2, 1, 1]);
}

/// Picks what is not there.
struct Stale(SubchannelId);

impl Picker for Stale {
    fn pick(&self, _: &PickArgs<'_>) -> Pick {
        Pick::Ready(self.0)
    }
}

/// Is READY with a subchannel that was never connected.
#[derive(Debug)]
struct LyingConfig;

impl PolicyConfig for LyingConfig {
    fn name(&self) -> &str {
        "lying"
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(Lying(None))
    }
}

struct Lying(Option<SubchannelId>);

impl Policy for Lying {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        self.0 = Some(helper.new_subchannel(&resolution.endpoints[0].addresses[0]));
        helper.changed();
        Ok(())
    }

    fn handle_subchannel(&mut self, _: Route<'_>, _: SubchannelId, _: &Update, _: &mut Helper) {}

    fn wake(&mut self, _: Route<'_>, helper: &mut Helper) {
        helper.changed();
    }

    fn state(&self) -> Connectivity {
        Connectivity::Ready
    }

    fn picker(&self) -> Arc<dyn Picker> {
        match self.0 {
            Some(id) => Arc::new(Stale(id)),
            None => Arc::new(Queueing(Some([].into()))),
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        None
    }
}

#[test]
fn a_pick_of_what_is_not_connected_waits() {
    let mut bench = Bench::with(&list(1), Config { policy: Some(Arc::new(LyingConfig)), ..Config::new(7) });
    bench.queue(1, false);
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    assert_eq!((bench.pick(), bench.started.len(), bench.failed.len()), (Err(None), 0, 0));
    assert!(bench.channel.has_waiting());
}
