//! Policies with named children, `priority` and `weighted_target`, stepped with virtual time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::bench::{Bench, at};
use farcall_channel::{
    Address, Config, Connectivity, How, ServiceConfig,
    resolver::{Endpoint, Found},
};
use farcall_core::Code;

fn config(policy: &str) -> Arc<ServiceConfig> {
    Arc::new(ServiceConfig::parse(&format!(r#"{{"loadBalancingConfig":[{policy}]}}"#)).unwrap())
}

fn fault(policy: &str) -> String {
    ServiceConfig::parse(&format!(r#"{{"loadBalancingConfig":[{policy}]}}"#)).unwrap_err().to_string()
}

fn endpoint(host: u8, path: &[&str]) -> Endpoint {
    let mut endpoint = Endpoint::from(Address::Ip(([127, 0, 0, host], 1).into()));
    endpoint.path = path.iter().map(|name| Arc::from(*name)).collect();
    endpoint
}

/// A channel of this policy that has found these endpoints.
fn found(policy: &str, endpoints: &[(u8, &[&str])]) -> Bench {
    let mut bench = Bench::with("name:1", Config { idle_timeout: None, ..Config::new(7) });
    bench.connect();
    tell(&mut bench, policy, endpoints);
    bench
}

fn tell(bench: &mut Bench, policy: &str, endpoints: &[(u8, &[&str])]) {
    let endpoints = endpoints.iter().map(|(host, path)| endpoint(*host, path));
    bench.tell(Ok(Found::new(endpoints).with_service_config(Ok(config(policy))).into()));
}

/// The same after the name may be resolved again.
fn find_again(bench: &mut Bench, policy: &str, endpoints: &[(u8, &[&str])]) {
    let asked = |bench: &Bench| !bench.queries.is_empty();
    while !asked(bench) {
        // Any loss has it resolved again.
        let spare = bench.connections.values().next().expect("a connection").clone();
        bench.lose(&spare, How::Draining, true);
        bench.pass(Duration::from_secs(31));
    }
    tell(bench, policy, endpoints);
}

fn used(bench: &mut Bench) -> Vec<String> {
    bench.spread(60).into_keys().collect()
}

// priority

const TWO: &str = r#"{"priority_experimental":{"priorities":["a","b"],"children":{
    "a":{"config":[{"round_robin":{}}]},"b":{"config":[{"round_robin":{}}]}}}}"#;

const HOSTS: &[(u8, &[&str])] = &[(1, &["a"]), (2, &["a"]), (3, &["b"])];

#[test]
fn the_first_priority_serves_and_no_other_is_tried() {
    let mut bench = found(TWO, HOSTS);
    assert_eq!(bench.dialling(), [at(1), at(2)]);
    bench.accept(&at(1));
    bench.accept(&at(2));
    assert_eq!(used(&mut bench), [at(1), at(2)]);
    bench.pass(Duration::from_secs(60));
    assert_eq!((bench.dialling().len(), bench.connections.len()), (0, 2));
}

#[test]
fn the_next_priority_serves_while_the_first_fails_and_is_kept_a_while_after() {
    let mut bench = found(TWO, HOSTS);
    bench.queue(1, false);
    bench.refuse(&at(1));
    assert_eq!(bench.dialling(), [at(2)], "half of it may be enough");
    bench.refuse(&at(2));
    assert_eq!(bench.dialling(), [at(3)]);
    assert_eq!(bench.channel.state(), Connectivity::Connecting);
    bench.accept(&at(3));
    assert_eq!(bench.started, [(1, at(3))]);
    bench.pass(Duration::from_secs(2));
    bench.accept(&at(2));
    assert_eq!(used(&mut bench), [at(2)], "the first one is back");
    bench.pass(Duration::from_secs(15 * 60 - 1));
    assert_eq!(bench.released, [] as [&str; 0], "the other may be needed again");
    bench.pass(Duration::from_secs(1));
    assert_eq!(bench.released, [at(3)]);
}

#[test]
fn a_priority_that_is_needed_again_is_not_dropped() {
    let mut bench = found(TWO, HOSTS);
    bench.refuse(&at(1));
    bench.refuse(&at(2));
    bench.accept(&at(3));
    bench.pass(Duration::from_secs(2));
    bench.accept(&at(2));
    bench.pass(Duration::from_secs(600));
    for _ in 0..3 {
        bench.lose(&at(2), How::Broken, false);
        bench.accept(&at(2));
    }
    bench.lose(&at(2), How::Broken, false);
    while bench.dialling().contains(&at(1)) {
        bench.refuse(&at(1));
    }
    assert_eq!(used(&mut bench), [at(3)], "it has kept its connection");
    bench.pass(Duration::from_secs(600));
    assert_eq!(used(&mut bench), [at(3)]);
}

#[test]
fn a_silent_priority_is_waited_for_ten_seconds() {
    let mut bench = found(TWO, HOSTS);
    bench.pass(Duration::from_millis(9_999));
    assert_eq!(bench.dialling(), [at(1), at(2)]);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.dialling(), [at(1), at(2), at(3)], "one more is tried beside it");
    bench.accept(&at(3));
    assert_eq!(used(&mut bench), [at(3)]);
    bench.accept(&at(1));
    assert_eq!(used(&mut bench), [at(1)]);
    // It has served: when it connects again it is waited for again.
    bench.lose(&at(1), How::Broken, true);
    assert_eq!(bench.pick(), Err(None));
    bench.pass(Duration::from_secs(10));
    assert_eq!(used(&mut bench), [at(3)]);
}

#[test]
fn when_all_fail_the_last_says_why() {
    let mut bench = found(TWO, HOSTS);
    for host in 1..=3 {
        assert_eq!(bench.channel.state(), Connectivity::Connecting);
        bench.refuse(&at(host));
    }
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    let refusal = bench.refusal();
    assert_eq!(refusal.code, Code::Unavailable);
    let text = "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.3:1: ";
    assert!(refusal.message.starts_with(text), "{refusal}");
    let none = found(r#"{"priority_experimental":{"priorities":[],"children":{}}}"#, HOSTS);
    let mut none = none;
    assert_eq!(none.refusal().message, "priority policy has empty priority list");
}

#[test]
fn a_child_that_changes_its_place_keeps_its_connections_and_one_without_a_name_goes_at_once() {
    let mut bench = found(TWO, HOSTS);
    bench.refuse(&at(1));
    bench.refuse(&at(2));
    bench.accept(&at(3));
    let only_b = r#"{"priority_experimental":{"priorities":["b"],"children":{"b":{"config":[{"round_robin":{}}]}}}}"#;
    bench.pass(Duration::from_secs(31));
    // The failures have had it resolved again.
    tell(&mut bench, only_b, &[(3, &["b"])]);
    assert_eq!((used(&mut bench), bench.released.len()), (vec![at(3)], 0));
    assert_eq!(bench.dialling(), [] as [&str; 0], "nobody wants the others");
}

#[test]
fn an_endpoint_without_a_path_is_for_every_child() {
    let both = r#"{"priority_experimental":{"priorities":["a","b"],"children":{
        "a":{"config":[{"round_robin":{}}]},"b":{"config":[{"pick_first":{}}]}}}}"#;
    let mut bench = found(both, &[(1, &[]), (2, &["b"])]);
    assert_eq!(bench.dialling(), [at(1)]);
    bench.refuse(&at(1));
    assert_eq!(bench.dialling(), [at(2)], "the other of b; the first has just failed");
}

#[test]
fn a_child_may_be_kept_from_having_names_resolved_again() {
    for (ignored, queries) in [(true, 0), (false, 1)] {
        let policy = format!(
            r#"{{"priority_experimental":{{"priorities":["a"],"children":{{
                "a":{{"config":[{{"round_robin":{{}}}}],"ignore_reresolution_requests":{ignored}}}}}}}}}"#
        );
        let mut bench = found(&policy, &[(1, &["a"])]);
        bench.accept(&at(1));
        bench.pass(Duration::from_secs(60));
        bench.lose(&at(1), How::Broken, true);
        assert_eq!(bench.queries.len(), queries, "{ignored}");
    }
}

#[test]
fn priority_says_what_is_wrong_with_its_config() {
    for (policy, faults) in [
        ("{}", "field:children error:field not present; field:priorities error:field not present"),
        (
            r#"{"children":[],"priorities":{}}"#,
            "field:children error:is not an object; field:priorities error:is not an array",
        ),
        (
            r#"{"children":{"a":{},"b":5},"priorities":["a","c"]}"#,
            "field: error:unknown priorit(ies): [c]; field:children[\"a\"].config error:field not present; \
             field:children[\"b\"] error:is not an object",
        ),
        (
            r#"{"children":{"a":{"config":[{"fancy":{}}],"ignore_reresolution_requests":1}},"priorities":["a"]}"#,
            "field:children[\"a\"].config error:No known policies in list: fancy; \
             field:children[\"a\"].ignore_reresolution_requests error:is not a boolean",
        ),
    ] {
        let text = fault(&format!(r#"{{"priority_experimental":{policy}}}"#));
        let expected = format!("errors validating priority LB policy config: [{faults}]");
        assert!(text.contains(&expected), "{policy}: {text}");
    }
}

// weighted_target

fn targets(weights: &[(&str, u32)]) -> String {
    let target = |(name, weight): &(&str, u32)| {
        format!(r#""{name}":{{"weight":{weight},"childPolicy":[{{"round_robin":{{}}}}]}}"#)
    };
    let targets: Vec<String> = weights.iter().map(target).collect();
    format!(r#"{{"weighted_target_experimental":{{"targets":{{{}}}}}}}"#, targets.join(","))
}

fn spread(bench: &mut Bench) -> BTreeMap<String, usize> {
    bench.spread(4000)
}

#[test]
fn calls_go_to_the_targets_as_often_as_they_weigh() {
    let mut bench = found(&targets(&[("a", 3), ("b", 1)]), HOSTS);
    for host in 1..=3 {
        bench.accept(&at(host));
    }
    let calls = spread(&mut bench);
    for (host, expected) in [(1, 1500), (2, 1500), (3, 1000)] {
        assert!(calls[&at(host)].abs_diff(expected) < 120, "{calls:?}");
    }
    find_again(&mut bench, &targets(&[("a", 1), ("b", 1)]), HOSTS);
    while !bench.dials.is_empty() {
        let to = bench.dialling().remove(0);
        bench.accept(&to);
    }
    let calls = spread(&mut bench);
    assert!(calls[&at(3)].abs_diff(2000) < 120, "{calls:?}");
}

#[test]
fn a_target_that_fails_gets_no_calls_until_it_is_back() {
    let mut bench = found(&targets(&[("a", 1), ("b", 9)]), HOSTS);
    bench.queue(1, false);
    bench.refuse(&at(3));
    assert_eq!(bench.channel.state(), Connectivity::Connecting);
    bench.accept(&at(1));
    bench.accept(&at(2));
    assert_eq!(used(&mut bench), [at(1), at(2)]);
    bench.pass(Duration::from_secs(2));
    bench.accept(&at(3));
    assert!(spread(&mut bench)[&at(3)] > 3400);
}

#[test]
fn when_all_targets_fail_calls_fail_as_theirs_do() {
    let mut bench = found(&targets(&[("a", 1), ("b", 1)]), &[(1, &["a"]), (2, &["b"])]);
    bench.refuse(&at(1));
    bench.refuse(&at(2));
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    let mut seen: Vec<String> = (0..60).map(|_| bench.refusal().message.into_owned()).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].starts_with("connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.1:1: "));
}

#[test]
fn a_target_without_endpoints_is_one_that_fails_and_names_are_resolved_again() {
    let mut bench = found(&targets(&[("a", 1), ("b", 1)]), &[(1, &["a"])]);
    bench.accept(&at(1));
    assert_eq!(used(&mut bench), [at(1)]);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.queries.len(), 1);
}

#[test]
fn a_target_that_becomes_idle_is_woken() {
    let policy = r#"{"weighted_target_experimental":{"targets":{"a":{"weight":1,"childPolicy":[{"pick_first":{}}]}}}}"#;
    let mut bench = found(policy, &[(1, &["a"])]);
    bench.accept(&at(1));
    bench.lose(&at(1), How::Broken, true);
    assert_eq!((bench.channel.state(), bench.dialling()), (Connectivity::Connecting, vec![at(1)]));
}

#[test]
fn a_target_that_is_gone_lets_its_connections_go() {
    let mut bench = found(&targets(&[("a", 1), ("b", 1)]), HOSTS);
    for host in 1..=3 {
        bench.accept(&at(host));
    }
    find_again(&mut bench, &targets(&[("a", 1)]), HOSTS);
    assert!(bench.released.contains(&at(3)), "{:?}", bench.released);
    assert_eq!(bench.channel.state(), Connectivity::Ready);
}

#[test]
fn policies_nest_and_paths_with_them() {
    let inner = targets(&[("x", 1), ("y", 1)]);
    let policy = format!(
        r#"{{"priority_experimental":{{"priorities":["a","b"],"children":{{
            "a":{{"config":[{inner}]}},"b":{{"config":[{inner}]}}}}}}}}"#
    );
    let hosts: &[(u8, &[&str])] = &[(1, &["a", "x"]), (2, &["a", "y"]), (3, &["b", "x"]), (4, &["b", "y"])];
    let mut bench = found(&policy, hosts);
    assert_eq!(bench.dialling(), [at(1), at(2)]);
    bench.refuse(&at(1));
    bench.refuse(&at(2));
    assert_eq!(bench.dialling(), [at(3), at(4)]);
    bench.accept(&at(3));
    bench.accept(&at(4));
    assert_eq!(used(&mut bench), [at(3), at(4)]);
}

#[test]
fn weighted_target_says_what_is_wrong_with_its_config() {
    for (policy, faults) in [
        ("{}", "field:targets error:field not present"),
        (
            r#"{"targets":{"a":{},"b":{"weight":0,"childPolicy":[{"pick_first":{}}]}}}"#,
            "field:targets[\"a\"].childPolicy error:field not present; \
             field:targets[\"a\"].weight error:field not present; \
             field:targets[\"b\"].weight error:must be greater than 0",
        ),
        (
            r#"{"targets":{"a":{"weight":-1,"childPolicy":{}}}}"#,
            "field:targets[\"a\"].childPolicy error:type should be array; \
             field:targets[\"a\"].weight error:failed to parse non-negative number",
        ),
    ] {
        let text = fault(&format!(r#"{{"weighted_target_experimental":{policy}}}"#));
        let expected = format!("errors validating weighted_target LB policy config: [{faults}]");
        assert!(text.contains(&expected), "{policy}: {text}");
    }
}
