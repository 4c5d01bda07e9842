//! `ring_hash`, stepped with virtual time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::bench::{Bench, at, list};
use farcall_channel::{
    Address, Attributes, Choice, Config, Connectivity, How, ServiceConfig, Waiting,
    balancer::PickArgs,
    resolver::{Endpoint, Found},
};
use farcall_core::{Code, Metadata};

const BY_USER: &str = r#"{"ring_hash_experimental":{"requestHashHeader":"user"}}"#;

fn headers(values: &[&str]) -> Metadata {
    let mut metadata = Metadata::new();
    values.iter().for_each(|value| metadata.append("user", value).unwrap());
    metadata
}

/// Where a call of this key goes at once; `None`: it waits.
fn pick(bench: &Bench, metadata: &Metadata, random: u64) -> Option<String> {
    let args = PickArgs { metadata: Some(metadata), ..PickArgs::new("/a.B/C", random) };
    match bench.snapshot.pick(&args) {
        Choice::Ready(picked) => Some(picked.connection.to_string()),
        Choice::Queue => None,
        Choice::Fail(refusal) => panic!("{}", refusal.status),
    }
}

fn of(bench: &Bench, user: u32) -> Option<String> {
    pick(bench, &headers(&[&user.to_string()]), 0)
}

/// A call of this user, which waits if it must.
fn call(bench: &mut Bench, user: u32) {
    let metadata = Some(Arc::new(headers(&[&user.to_string()])));
    let waiting = Waiting { metadata, ..bench.waiting(false) };
    bench.queue_call(user, waiting);
}

/// A channel to so many servers, to all of which it has connected by calls of many users.
fn connected(hosts: usize) -> Bench {
    let mut bench = Bench::balanced(&list(hosts), BY_USER);
    connect_all(&mut bench, hosts);
    bench
}

fn connect_all(bench: &mut Bench, hosts: usize) {
    let mut user = 0;
    while bench.connections.len() < hosts {
        assert!(user < 1000, "{:?}", bench.connections);
        call(bench, user);
        user += 1;
        while let Some(to) = bench.dialling().first().cloned() {
            bench.accept(&to);
        }
    }
}

fn users(bench: &Bench, count: u32) -> BTreeMap<String, Vec<u32>> {
    let mut users: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for user in 0..count {
        users.entry(of(bench, user).expect("a connection")).or_default().push(user);
    }
    users
}

#[test]
fn nothing_is_connected_to_before_a_call_wants_it_and_then_only_that() {
    let mut bench = Bench::balanced(&list(4), BY_USER);
    bench.queue_call(1, Waiting { metadata: Some(Arc::new(headers(&["7"]))), ..bench.waiting(false) });
    assert_eq!(bench.dialling().len(), 1);
    assert_eq!(bench.channel.state(), Connectivity::Connecting);
    let wanted = bench.dialling().remove(0);
    bench.accept(&wanted);
    assert_eq!(bench.started, [(1, wanted.clone())]);
    assert_eq!(of(&bench, 7), Some(wanted));
    assert!((0..100).any(|user| of(&bench, user).is_none()), "others wait for servers of their own");
    assert_eq!((bench.dialling().len(), bench.connections.len()), (0, 1));
}

#[test]
fn calls_of_one_key_go_to_one_server_and_keys_spread_over_all() {
    let bench = connected(4);
    let before = users(&bench, 4000);
    assert_eq!(before, users(&bench, 4000));
    for (server, users) in &before {
        assert!((600..=1500).contains(&users.len()), "{server}: {}", users.len());
    }
    // Several values count together, in their order.
    let joined = pick(&bench, &headers(&["1,2,3"]), 0);
    assert_eq!(pick(&bench, &headers(&["1", "2", "3"]), 0), joined);
    let orders = ["1", "2", "3", "4", "5"].map(|last| pick(&bench, &headers(&[last, "1"]), 0));
    assert!(orders.iter().any(|to| *to != orders[0]));
}

#[test]
fn a_call_without_a_key_goes_to_any_server_and_connects_no_more_than_one() {
    let bench = connected(4);
    let nothing = headers(&[]);
    let mut spread = BTreeMap::new();
    for call in 0..400u64 {
        let random = call.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        *spread.entry(pick(&bench, &nothing, random).unwrap()).or_insert(0) += 1;
        pick(&bench, &headers(&[""]), random).expect("an empty key is none");
    }
    assert!(spread.len() == 4 && spread.values().all(|calls| *calls > 50), "{spread:?}");

    let mut bench = Bench::balanced(&list(4), BY_USER);
    for key in 1..=5 {
        bench.queue(key, false);
    }
    assert_eq!(bench.dialling().len(), 1, "one is enough to begin with");
    let first = bench.dialling().remove(0);
    bench.accept(&first);
    assert_eq!(bench.started.len(), 5);
    // Those that come past a server nobody has connected to have it connect, and do not wait for it.
    while let Some(to) = bench.dialling().first().cloned() {
        bench.accept(&to);
    }
    let connected = bench.connections.len();
    for key in 6..=30 {
        bench.queue(key, false);
    }
    assert_eq!((bench.started.len(), bench.dialling().len()), (30, usize::from(connected < 4)));
}

#[test]
fn the_next_server_on_the_ring_has_the_calls_of_one_that_fails() {
    let mut bench = connected(4);
    let before = users(&bench, 400);
    bench.pass(Duration::from_secs(5));
    bench.lose(&at(2), How::Broken, true);
    let user = before[&at(2)][0];
    call(&mut bench, user);
    assert_eq!(bench.dialling(), [at(2)], "it is tried again first");
    bench.refuse(&at(2));
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    let after = users(&bench, 400);
    for (server, users) in &before {
        let moved = users.iter().filter(|user| !after.get(server).is_some_and(|now| now.contains(user))).count();
        assert_eq!(moved, if *server == at(2) { users.len() } else { 0 }, "{server}");
    }
    bench.pass(Duration::from_secs(2));
    bench.accept(&at(2));
    assert_eq!(users(&bench, 400), before, "and they come back");
}

#[test]
fn one_failure_has_another_tried_and_two_are_taken_for_the_whole() {
    let mut bench = Bench::balanced(&list(3), BY_USER);
    call(&mut bench, 1);
    bench.take_states();
    let mut tried = Vec::new();
    for states in [vec![], vec![Connectivity::TransientFailure], vec![]] {
        let to = bench.dialling();
        assert_eq!(to.len(), 1, "one after the other: {to:?}");
        bench.refuse(&to[0]);
        tried.extend(to);
        assert_eq!(bench.take_states(), states);
    }
    tried.sort();
    assert_eq!(tried, [at(1), at(2), at(3)]);
    let text = "ring hash cannot find a connected endpoint; first failure: UNKNOWN: ipv4:127.0.0.";
    assert!(bench.failed[0].1.status.message.starts_with(text), "{:?}", bench.failed);
    bench.pass(Duration::from_secs(2));
    bench.accept(&at(3));
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    assert_eq!(of(&bench, 1), Some(at(3)));
}

#[test]
fn one_server_alone_that_fails_fails_the_channel() {
    let mut bench = Bench::balanced(&list(1), BY_USER);
    bench.connect();
    assert_eq!((bench.channel.state(), bench.dialling().len()), (Connectivity::Idle, 0));
    bench.connect();
    assert_eq!(bench.dialling(), [at(1)], "who only wants to be connected gets any");
    bench.refuse(&at(1));
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
}

#[test]
fn a_lost_connection_is_made_again_when_a_call_wants_it() {
    let mut bench = connected(1);
    bench.lose(&at(1), How::Broken, true);
    assert_eq!((bench.channel.state(), bench.dialling().len()), (Connectivity::Idle, 0));
    call(&mut bench, 5000);
    assert_eq!(bench.dialling(), [at(1)]);
}

/// Finds these endpoints.
fn find(bench: &mut Bench, endpoints: Vec<Endpoint>) {
    if bench.queries.is_empty() {
        bench.lose(&at(1), How::Broken, true);
        bench.pass(Duration::from_secs(31));
    }
    let config = format!(r#"{{"loadBalancingConfig":[{BY_USER}]}}"#);
    let service_config = Ok(Arc::new(ServiceConfig::parse(&config).unwrap()));
    bench.tell(Ok(Found::new(endpoints).with_service_config(service_config).into()));
}

fn endpoint(host: u8, key: Option<&str>, weight: u32) -> Endpoint {
    let mut endpoint = Endpoint::from(Address::Ip(([127, 0, 0, host], 1).into()));
    (endpoint.hash_key, endpoint.weight) = (key.map(Arc::from), weight);
    endpoint
}

#[test]
fn an_endpoint_has_as_many_keys_as_it_weighs_and_the_same_endpoint_twice_is_one() {
    let mut bench = Bench::with("name:1", Config { idle_timeout: None, ..Config::new(7) });
    bench.connect();
    let twice = vec![endpoint(1, None, 1), endpoint(2, None, 2), endpoint(2, None, 4)];
    find(&mut bench, twice);
    connect_all(&mut bench, 2);
    let spread: Vec<usize> = users(&bench, 7000).values().map(Vec::len).collect();
    assert!(spread[0].abs_diff(1000) < 300, "{spread:?}");
}

#[test]
fn an_endpoint_with_a_key_of_its_own_keeps_its_place_under_another_address() {
    let mut bench = Bench::with("name:1", Config { idle_timeout: None, ..Config::new(7) });
    bench.connect();
    find(&mut bench, vec![endpoint(1, Some("blue"), 1), endpoint(2, Some("red"), 1), endpoint(3, Some("green"), 1)]);
    connect_all(&mut bench, 3);
    let red = users(&bench, 300).remove(&at(2)).unwrap();
    find(&mut bench, vec![endpoint(1, Some("blue"), 1), endpoint(9, Some("red"), 1), endpoint(3, Some("green"), 1)]);
    for user in 0..300 {
        call(&mut bench, user);
        while let Some(to) = bench.dialling().first().cloned() {
            bench.accept(&to);
        }
    }
    assert_eq!(users(&bench, 300).remove(&at(9)).unwrap(), red);
}

#[test]
fn without_a_header_to_hash_calls_have_no_key() {
    let mut bench = Bench::balanced(&list(2), r#"{"ring_hash_experimental":{}}"#);
    bench.queue(1, false);
    let status = &bench.failed[0].1.status;
    assert_eq!((status.code, &*status.message), (Code::Internal, "hash attribute not present"));
}

#[test]
fn without_a_header_to_hash_the_selector_s_hash_is_the_key() {
    let mut bench = Bench::balanced(&list(3), r#"{"ring_hash_experimental":{}}"#);
    for hash in [1 << 60, 1 << 62, 3 << 62] {
        let attributes = Attributes { hash: Some(hash), ..Attributes::default() };
        let waiting = Waiting { attributes: Some(Arc::new(attributes.clone())), ..bench.waiting(false) };
        bench.queue_call(1, waiting);
        while let Some(to) = bench.dialling().first().cloned() {
            bench.accept(&to);
        }
        let (_, to) = bench.started.pop().expect("a connection");
        let args = PickArgs { attributes: Some(&attributes), ..PickArgs::new("/a.B/C", 5) };
        assert!(matches!(bench.snapshot.pick(&args), Choice::Ready(picked) if **picked.connection == *to));
    }
}

#[test]
fn ring_hash_says_what_is_wrong_with_its_config() {
    for (config, faults) in [
        (
            r#"{"minRingSize":0,"maxRingSize":8388609}"#,
            "field:maxRingSize error:must be in the range [1, 8388608]; \
             field:minRingSize error:must be in the range [1, 8388608]",
        ),
        (r#"{"minRingSize":20,"maxRingSize":10}"#, "field: error:maxRingSize cannot be smaller than minRingSize"),
        (r#"{"requestHashHeader":5}"#, "field:requestHashHeader error:is not a string"),
        (r#"{"requestHashHeader":"a-bin"}"#, "field:requestHashHeader error:must not end in \"-bin\""),
        (r#"{"requestHashHeader":"A b"}"#, "field:requestHashHeader error:is not a valid header name"),
    ] {
        let config = format!(r#"{{"loadBalancingConfig":[{{"ring_hash_experimental":{config}}}]}}"#);
        let text = ServiceConfig::parse(&config).unwrap_err().to_string();
        let expected = format!("errors validating ring_hash LB policy config: [{faults}]");
        assert!(text.contains(&expected), "{config}: {text}");
    }
    for good in ["{}", r#"{"minRingSize":8388608,"maxRingSize":8388608}"#, r#"{"minRingSize":1,"maxRingSize":1}"#] {
        ServiceConfig::parse(&format!(r#"{{"loadBalancingConfig":[{{"ring_hash_experimental":{good}}}]}}"#)).unwrap();
    }
}
