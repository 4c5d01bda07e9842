//! How many attempts to connect are under way at one time.

use std::{sync::Arc, time::Duration};

use farcall_channel::{Config, Connectivity, Limits, ServiceConfig};

use crate::bench::{Bench, at, list};

/// A channel that connects to all of so many addresses, three at a time.
fn three_of(count: usize) -> Bench {
    let service_config = Arc::new(ServiceConfig::parse(r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#).unwrap());
    let limits = Limits { dials: 3, ..Limits::default() };
    let mut bench = Bench::with(&list(count), Config { limits, service_config, ..Config::new(7) });
    bench.connect();
    bench
}

fn hosts(hosts: &[usize]) -> Vec<String> {
    hosts.iter().map(|host| at(*host)).collect()
}

#[test]
fn as_many_as_the_bound_begin_at_once_and_one_more_waits_for_its_turn() {
    assert_eq!(three_of(3).dialling(), hosts(&[1, 2, 3]));
    let mut bench = three_of(6);
    assert_eq!(bench.dialling(), hosts(&[1, 2, 3]));
    bench.accept(&at(2));
    assert_eq!(bench.dialling(), hosts(&[1, 3, 4]));
    bench.refuse(&at(1));
    assert_eq!(bench.dialling(), hosts(&[3, 4, 5]));
    for host in [3, 4, 5, 6] {
        bench.accept(&at(host));
    }
    assert_eq!(bench.spread(10).len(), 5);
}

#[test]
fn the_time_to_connect_begins_with_the_turn() {
    let mut bench = three_of(4);
    bench.pass(Duration::from_secs(20));
    // The three were given up then, and the fourth has just begun.
    assert_eq!(bench.abandoned, hosts(&[1, 2, 3]));
    assert!(bench.dialling().contains(&at(4)));
    bench.pass(Duration::from_secs(19));
    bench.accept(&at(4));
    assert_eq!(bench.channel.state(), Connectivity::Ready);
}

#[test]
fn who_is_let_go_while_it_waits_is_not_connected() {
    let mut bench = Bench::with(
        "name:1",
        Config {
            limits: Limits { dials: 1, ..Limits::default() },
            service_config: Arc::new(ServiceConfig::parse(r#"{"loadBalancingPolicy":"round_robin"}"#).unwrap()),
            refresh_interval: Some(Duration::from_secs(5)),
            ..Config::new(7)
        },
    );
    bench.connect();
    bench.answer(&["127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"]);
    bench.pass(Duration::from_secs(5));
    bench.answer(&["127.0.0.1:1", "127.0.0.3:1"]);
    assert_eq!(bench.dialling(), hosts(&[1]));
    bench.accept(&at(1));
    assert_eq!(bench.dialling(), hosts(&[3]));
    bench.pass(Duration::from_secs(5));
    // It comes back behind the others.
    bench.answer(&["127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"]);
    assert_eq!(bench.dialling(), hosts(&[3]));
    bench.accept(&at(3));
    assert_eq!(bench.dialling(), hosts(&[2]));
}

#[test]
fn pick_first_is_not_in_its_own_way() {
    let limits = Limits { dials: 1, ..Limits::default() };
    let mut bench = Bench::with(&list(3), Config { limits, ..Config::new(7) });
    bench.connect();
    assert_eq!(bench.dialling(), hosts(&[1]));
    bench.pass(Duration::from_millis(500));
    assert_eq!(bench.dialling(), hosts(&[1]), "happy eyeballs are within the bound");
    bench.refuse(&at(1));
    bench.accept(&at(2));
    assert_eq!((bench.channel.state(), bench.pick()), (Connectivity::Ready, Ok(at(2))));
    assert!(bench.dialling().is_empty());
}
