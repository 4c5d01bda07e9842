//! `round_robin` and the change of policies, stepped with virtual time.

use std::{sync::Arc, time::Duration};

use crate::bench::{Bench, at, list};
use farcall_channel::{
    Config, Connectivity, How, ServiceConfig,
    resolver::{Endpoint, Found},
};

const ROUND_ROBIN: &str = r#"{"round_robin":{}}"#;

fn three() -> Bench {
    let mut bench = Bench::balanced(&list(3), ROUND_ROBIN);
    bench.connect();
    for host in 1..=3 {
        bench.accept(&at(host));
    }
    bench
}

#[test]
fn connects_to_all_and_uses_each_in_turn() {
    let mut bench = Bench::balanced(&list(3), ROUND_ROBIN);
    bench.queue(1, false);
    assert_eq!(bench.dialling(), [at(1), at(2), at(3)]);
    bench.accept(&at(2));
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::Ready], "the first to connect serves");
    assert_eq!(bench.started, [(1, at(2))]);
    assert_eq!(bench.spread(10).len(), 1);
    bench.accept(&at(1));
    bench.accept(&at(3));
    assert_eq!(bench.take_states(), []);
    let spread = bench.spread(301);
    assert_eq!(spread.len(), 3);
    assert!(spread.values().all(|calls| (100..=101).contains(calls)), "{spread:?}");
}

#[test]
fn a_dead_backend_is_left_out_and_comes_back() {
    let mut bench = three();
    bench.pass(Duration::from_secs(5));
    bench.lose(&at(2), How::Broken, true);
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::Ready]);
    assert_eq!(bench.dialling(), [at(2)], "it is tried again without being asked");
    assert_eq!(bench.spread(100).into_iter().collect::<Vec<_>>(), [(at(1), 50), (at(3), 50)]);
    bench.refuse(&at(2));
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    bench.pass(Duration::from_secs(2));
    bench.accept(&at(2));
    assert_eq!(bench.spread(300).len(), 3);
}

#[test]
fn all_backends_failing_fail_calls_in_the_words_of_grpcio() {
    let mut bench = Bench::balanced(&list(2), ROUND_ROBIN);
    bench.queue(1, false);
    bench.queue(2, true);
    bench.refuse(&at(1));
    assert_eq!(bench.channel.state(), Connectivity::Connecting);
    bench.refuse(&at(2));
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    assert_eq!(bench.failed.len(), 1);
    assert_eq!(
        bench.refusal().message,
        "connections to all backends failing; last error: UNKNOWN: ipv4:127.0.0.2:1: \
         Failed to connect to remote host: Connection refused"
    );
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure, "while it tries again");
    assert_eq!(bench.dials.len(), 2);
    bench.accept(&at(2));
    assert_eq!(bench.started, [(2, at(2))]);
}

#[test]
fn a_peer_that_accepts_and_breaks_without_end_is_not_dialled_without_end() {
    let mut bench = Bench::balanced(&list(1), ROUND_ROBIN);
    bench.connect();
    let mut dials = 0;
    let end = bench.now + Duration::from_secs(60);
    while bench.now < end {
        if bench.dials.is_empty() {
            bench.sleep();
            continue;
        }
        dials += 1;
        bench.accept(&at(1));
        bench.lose(&at(1), How::Broken, false);
    }
    assert!(dials <= 12, "{dials} connections in a minute");
}

#[test]
fn endpoints_come_and_go_without_touching_the_others() {
    let mut bench = Bench::with(
        "name:1",
        Config {
            min_resolution_interval: Duration::ZERO,
            service_config: Arc::new(ServiceConfig::parse(r#"{"loadBalancingPolicy":"round_robin"}"#).unwrap()),
            ..Config::new(7)
        },
    );
    bench.connect();
    bench.answer(&["127.0.0.1:1", "127.0.0.2:1", "127.0.0.2:1"]);
    assert_eq!(bench.dialling(), [at(1), at(2)], "an endpoint that is there twice counts once");
    bench.accept(&at(1));
    bench.accept(&at(2));
    bench.pass(Duration::from_secs(5));
    bench.lose(&at(1), How::Broken, true);
    bench.answer(&["127.0.0.3:1", "127.0.0.2:1"]);
    assert_eq!(bench.abandoned, [at(1)], "the lost one was being connected again");
    assert_eq!(bench.released, [] as [String; 0]);
    bench.accept(&at(3));
    assert_eq!(bench.spread(100).into_iter().collect::<Vec<_>>(), [(at(2), 50), (at(3), 50)]);
    bench.lose(&at(3), How::Draining, true);
    bench.answer(&["127.0.0.3:1"]);
    assert_eq!(bench.released, [at(2)], "its calls may finish");
}

#[test]
fn an_endpoint_of_two_addresses_is_one_backend() {
    let mut bench = Bench::with(
        "name:1",
        Config {
            service_config: Arc::new(ServiceConfig::parse(r#"{"loadBalancingPolicy":"round_robin"}"#).unwrap()),
            ..Config::new(7)
        },
    );
    bench.connect();
    let address = |text: &str| farcall_channel::Address::Ip(text.parse().unwrap());
    let endpoints = vec![
        Endpoint::new(vec![address("127.0.0.1:1"), address("127.0.0.2:1")]),
        Endpoint::new(vec![address("127.0.0.3:1")]),
    ];
    bench.tell(Ok(Found::new(endpoints).into()));
    assert_eq!(bench.dialling(), [at(1), at(3)]);
    bench.refuse(&at(1));
    bench.accept(&at(2));
    bench.accept(&at(3));
    assert_eq!(bench.spread(10).len(), 2);
}

#[test]
fn another_policy_takes_over_when_it_can_serve_and_shares_connections() {
    let config = |text: &str| Ok(Arc::new(ServiceConfig::parse(text).unwrap()));
    let mut bench = Bench::with("name:1", Config { min_resolution_interval: Duration::ZERO, ..Config::new(7) });
    bench.connect();
    bench.answer(&["127.0.0.1:1", "127.0.0.2:1"]);
    bench.accept(&at(1));
    bench.pass(Duration::from_secs(5));
    // Somebody asks again: the connection drains, and comes back.
    bench.lose(&at(1), How::Draining, true);
    bench.connect();
    bench.accept(&at(1));
    let addresses = ["127.0.0.1:1", "127.0.0.2:1"].map(|text| farcall_channel::Address::Ip(text.parse().unwrap()));
    let found = Found::new(addresses.map(Endpoint::from));
    bench.tell(Ok(found.with_service_config(config(r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#)).into()));
    assert_eq!(bench.dialling(), [at(2)], "what is connected is shared");
    assert_eq!(bench.released, [] as [String; 0]);
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    bench.accept(&at(2));
    assert_eq!(bench.spread(10).len(), 2);
}
