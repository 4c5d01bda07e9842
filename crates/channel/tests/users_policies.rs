//! Policies of users, also those that panic.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use crate::bench::{Bench, at, list};
use farcall_channel::{
    Config, Connectivity, ServiceConfig,
    balancer::{
        CallHook, Children, End, Helper, Pick, PickArgs, PickFirst, Picker, Policy, PolicyConfig, PolicyFactory,
        Registry, Resolution, Route, SubchannelId, Update,
    },
};
use farcall_core::Code;
use serde_json::Value;

/// Where the policy panics next, once each.
type Trap = Arc<Mutex<Vec<&'static str>>>;

/// The last endpoint that is READY gets all calls.
#[derive(Clone, Debug)]
struct Last {
    trap: Trap,
    ended: Arc<AtomicUsize>,
}

impl Last {
    fn step(&self, at: &'static str) {
        let mut trap = self.trap.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if trap.first() == Some(&at) {
            trap.remove(0);
            drop(trap);
            panic!("boom in {at}");
        }
    }
}

impl PolicyFactory for Last {
    fn name(&self) -> &str {
        "last"
    }

    fn parse(&self, _: &Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        self.step("parse");
        Ok(Arc::new(self.clone()))
    }
}

impl PolicyConfig for Last {
    fn name(&self) -> &str {
        "last"
    }

    fn policy(&self) -> Box<dyn Policy> {
        self.step("policy");
        Box::new(LastPolicy { children: Children::default(), last: self.clone() })
    }
}

struct LastPolicy {
    children: Children<PickFirst>,
    last: Last,
}

impl CallHook for Last {
    fn ended(&self, _: &End<'_>) {
        self.step("ended");
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Policy for LastPolicy {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        assert!(resolution.config::<Last>().is_some(), "it gets its own config");
        let mark = helper.mark();
        self.children.handle_resolution(&resolution.endpoints, &resolution.config, helper);
        helper.made_since(mark).for_each(|new| new.hooks.push(Arc::new(self.last.clone())));
        helper.changed();
        helper.within(99, |_| self.last.step("handle_resolution"));
        Ok(())
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.last.step("handle_subchannel");
        self.children.handle_subchannel(route, id, update, helper);
        helper.changed();
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.children.wake(route, helper);
    }

    fn state(&self) -> Connectivity {
        self.last.step("state");
        self.children.state()
    }

    fn picker(&self) -> Arc<dyn Picker> {
        self.last.step("picker");
        let ready = self.children.in_state(Connectivity::Ready).last().and_then(|key| self.children.child(*key));
        Arc::new(LastPicker(ready.map(Policy::picker), self.last.clone()))
    }

    fn failure(&self) -> Option<Arc<str>> {
        None
    }
}

impl Drop for LastPolicy {
    fn drop(&mut self) {
        self.last.step("drop");
    }
}

struct LastPicker(Option<Arc<dyn Picker>>, Last);

impl Picker for LastPicker {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        self.1.step("pick");
        self.0.as_ref().map_or(Pick::Queue, |picker| picker.pick(args))
    }
}

/// A channel under the policy that panics there, and what counts the ends of its calls.
fn bench(policy: &str, trap: &[&'static str]) -> (Bench, Last) {
    let last = Last { trap: Trap::default(), ended: Arc::default() };
    let mut registry = Registry::default();
    registry.register(Arc::new(last.clone()));
    let text = format!(r#"{{"loadBalancingConfig":[{policy}]}}"#);
    let service_config = Arc::new(ServiceConfig::parse_with(&text, &registry).unwrap());
    *last.trap.lock().unwrap() = trap.to_vec();
    (Bench::with(&list(3), Config { service_config, ..Config::new(7) }), last)
}

const LAST: &str = r#"{"last":{}}"#;

#[test]
fn a_policy_of_a_user_places_calls() {
    let (mut bench, last) = bench(LAST, &[]);
    bench.connect();
    (1..=3).for_each(|host| assert_eq!(bench.accept(&at(host)), bench.connection_to(&at(host))));
    assert_eq!(bench.spread(10).into_keys().collect::<Vec<_>>(), [at(3)]);
    assert_eq!(last.ended.load(Ordering::SeqCst), 10, "they never went out");
}

#[test]
fn wherever_a_policy_panics_its_calls_fail_with_the_text_and_nothing_is_left_of_it() {
    for trap in ["policy", "handle_resolution", "handle_subchannel", "state"] {
        let (mut bench, _) = bench(LAST, &[trap]);
        bench.queue(1, false);
        assert_eq!(bench.channel.state(), Connectivity::TransientFailure, "{trap}");
        let status = &bench.failed[0].1.status;
        let text = format!("load balancing policy last panicked: boom in {trap}");
        assert_eq!((status.code, &*status.message), (Code::Internal, &*text));
        bench.assert_nothing_left();
    }
}

#[test]
fn a_policy_that_has_panicked_is_made_anew_with_the_next_resolution() {
    let (mut bench, _) = bench(LAST, &["handle_subchannel"]);
    let status = farcall_core::Status::new(Code::Cancelled, "");
    bench.connect();
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    // Fixed addresses are not resolved again before the channel has been IDLE.
    while bench.channel.state() != Connectivity::Idle {
        bench.sleep();
    }
    bench.connect();
    bench.accept(&at(2));
    assert_eq!(bench.pick(), Ok(at(2)));
    bench.channel.shutdown(&status, bench.now);
    bench.drain();
    bench.assert_nothing_left();
}

#[test]
fn a_panic_below_another_policy_is_that_child_s_alone() {
    let policy = r#"{"priority_experimental":{"priorities":["a","b"],"children":{
        "a":{"config":[{"last":{}}]},"b":{"config":[{"round_robin":{}}]}}}}"#;
    let (mut bench, _) = bench(policy, &["handle_subchannel"]);
    bench.connect();
    // The addresses of both are the same: what a has let go of, b connects to.
    bench.accept(&at(1));
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    assert!(bench.pick().is_ok());
}

#[test]
fn a_picker_that_panics_ends_one_call() {
    let (mut bench, last) = bench(LAST, &[]);
    bench.connect();
    bench.accept(&at(1));
    last.trap.lock().unwrap().push("pick");
    let status = bench.refusal();
    let text = "the picker of load balancing policy last panicked: boom in pick";
    assert_eq!((status.code, &*status.message), (Code::Internal, text));
    assert_eq!(bench.pick(), Ok(at(1)));
    last.trap.lock().unwrap().push("ended");
    assert_eq!(bench.pick(), Ok(at(1)), "nor does a hook");
}

#[test]
fn a_picker_that_cannot_be_made_fails_calls_until_there_is_another() {
    let (mut bench, _) = bench(LAST, &["picker"]);
    bench.queue(1, false);
    assert_eq!(bench.failed[0].1.status.message, "load balancing policy last panicked: boom in picker");
    bench.accept(&at(1));
    assert_eq!(bench.pick(), Ok(at(1)));
}

#[test]
fn a_drop_that_panics_too_harms_nobody() {
    let (mut bench, last) = bench(LAST, &["handle_subchannel", "drop"]);
    bench.connect();
    assert!(last.trap.lock().unwrap().is_empty());
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
}

#[test]
fn a_config_whose_reading_panics_is_one_that_is_wrong() {
    let last = Last { trap: Arc::new(Mutex::new(vec!["parse"])), ended: Arc::default() };
    let mut registry = Registry::default();
    registry.register(Arc::new(last));
    let error = ServiceConfig::parse_with(r#"{"loadBalancingConfig":[{"last":{}}]}"#, &registry).unwrap_err();
    let text = "[field:loadBalancingConfig error:load balancing policy last panicked: boom in parse]";
    assert_eq!(error.to_string(), format!("errors validating service config: {text}"));
}
