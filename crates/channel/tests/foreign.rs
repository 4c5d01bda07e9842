//! What is somebody else's is dropped where the channel's lock is not held.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use farcall_channel::{
    Channel, Config, ConfigSelector, Connectivity, Head, Selection, ServiceConfig, Target,
    balancer::{
        Helper, Picker, Policy, PolicyConfig, PolicyFactory, Queueing, Registry, Resolution, Route, SubchannelId,
        Update,
    },
    resolver::{Endpoint, Found},
};
use farcall_core::Status;
use serde_json::Value;

use crate::bench::Bench;

thread_local! {
    /// Whether the test steps the channel, which in hands is under its lock.
    static LOCKED: RefCell<bool> = const { RefCell::new(false) };
}

/// Counts its drops; none may be under the lock.
#[derive(Debug)]
struct Dropping(Arc<AtomicUsize>);

impl Drop for Dropping {
    fn drop(&mut self) {
        assert!(!LOCKED.with_borrow(|locked| *locked), "it is dropped under the lock");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A policy that does nothing but to be dropped.
#[derive(Debug)]
struct Idler(#[allow(dead_code)] Dropping);

impl Policy for Idler {
    fn handle_resolution(&mut self, _: &Resolution, _: &mut Helper) -> Result<(), String> {
        Ok(())
    }
    fn handle_subchannel(&mut self, _: Route<'_>, _: SubchannelId, _: &Update, _: &mut Helper) {}
    fn wake(&mut self, _: Route<'_>, _: &mut Helper) {}
    fn state(&self) -> Connectivity {
        Connectivity::TransientFailure
    }
    fn picker(&self) -> Arc<dyn Picker> {
        Arc::new(Queueing(None))
    }
    fn failure(&self) -> Option<Arc<str>> {
        None
    }
}

/// Makes it.
#[derive(Debug)]
struct Idlers(&'static str, Arc<AtomicUsize>, #[allow(dead_code)] Option<Dropping>);

impl PolicyConfig for Idlers {
    fn name(&self) -> &str {
        self.0
    }
    fn policy(&self) -> Box<dyn Policy> {
        Box::new(Idler(Dropping(Arc::clone(&self.1))))
    }
}

impl PolicyFactory for Idlers {
    fn name(&self) -> &str {
        self.0
    }
    fn parse(&self, _: &Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        Ok(Arc::new(Idlers(self.0, Arc::clone(&self.1), Some(Dropping(Arc::clone(&self.1))))))
    }
}

/// A selector that asks nothing.
#[derive(Debug)]
struct Selector(#[allow(dead_code)] Dropping);

impl ConfigSelector for Selector {
    fn select(&self, _: &Head<'_>) -> Result<Selection<'_>, Status> {
        Ok(Selection::default())
    }
}

/// Steps as a hand does: under the lock.
fn locked<T>(bench: &mut Bench, step: impl FnOnce(&mut Bench) -> T) -> T {
    LOCKED.set(true);
    let value = step(bench);
    LOCKED.set(false);
    value
}

#[test]
fn policies_configs_and_selectors_that_are_replaced_or_let_go_of() {
    let drops = Arc::<AtomicUsize>::default();
    let mut registry = Registry::default();
    registry.register(Arc::new(Idlers("first", Arc::clone(&drops), None)));
    registry.register(Arc::new(Idlers("second", Arc::clone(&drops), None)));
    let found = |policy: &str| {
        let text = format!(r#"{{"loadBalancingConfig":[{{"{policy}":{{}}}}]}}"#);
        let selector = Selector(Dropping(Arc::clone(&drops)));
        Found::new([Endpoint::at("127.0.0.1:1".parse().unwrap())])
            .with_service_config(ServiceConfig::parse_with(&text, &registry).map(Arc::new).map_err(|e| e.to_string()))
            .with_selector(Arc::new(selector))
    };
    let now = std::time::Instant::now();
    let mut bench = Bench::of(Channel::new(Target::custom("test:///name"), Config::new(7), 7, now), now);
    let mut expected = 0;
    bench.connect();
    let (id, _) = bench.queries[0].clone();
    for policy in ["first", "second", "first", "second"] {
        let found = found(policy);
        locked(&mut bench, |bench| bench.channel.handle_update(id, found, bench.now));
        assert_eq!(drops.load(Ordering::Relaxed), expected);
        bench.drain();
        // A policy, its config and a selector at a time.
        expected = drops.load(Ordering::Relaxed);
    }
    assert!(expected >= 6, "{expected}");
    locked(&mut bench, |bench| bench.channel.shutdown(&Status::new(farcall_core::Code::Cancelled, "bye"), bench.now));
    assert_eq!(drops.load(Ordering::Relaxed), expected);
    bench.drain();
    assert_eq!(drops.load(Ordering::Relaxed), expected + 1, "the policy");
}
