//! What a channel does whatever its policy is: names, calls that wait, idleness, its end. Stepped with virtual time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::bench::{Bench, at, list};
use farcall_channel::{
    Action, Address, Channel, Config, Connectivity, How, Limits, Lost, Note, ServiceConfig, Target, Until, Waiting,
    resolver::{Answer, Endpoint, Found, Query},
};
use farcall_core::{Code, Status};

fn bye() -> Status {
    Status::new(Code::Cancelled, "bye")
}

// Names.

#[test]
fn a_name_that_does_not_resolve_fails_calls_as_grpcio_words_it_and_is_asked_for_again() {
    let mut bench = Bench::new("nx.invalid:1");
    bench.queue(1, false);
    bench.queue(2, true);
    assert_eq!(bench.queries[0].1, Query::Host { host: "nx.invalid".to_owned(), port: 1 });
    bench.tell(Err("Domain name not found".to_owned()));
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::TransientFailure]);
    let text = "errors resolving nx.invalid:1: [field:hostname lookup error:address lookup failed for nx.invalid:1: \
                Domain name not found]";
    assert_eq!(bench.refusal(), Status::new(Code::Unavailable, text));
    assert_eq!(bench.failed.len(), 1);
    let first = bench.sleep();
    bench.tell(Ok(Answer::addresses([])));
    assert!(bench.refusal().message.ends_with("no address]"));
    let second = bench.sleep();
    assert!(first < second && first >= Duration::from_millis(800), "{first:?}, {second:?}");
    bench.answer(&["127.0.0.1:1"]);
    bench.accept(&at(1));
    assert_eq!(bench.started, [(2, at(1))]);
}

#[test]
fn what_was_found_counts_while_the_resolver_fails() {
    let mut bench = Bench::with("name:1", Config { min_resolution_interval: Duration::ZERO, ..Config::new(7) });
    bench.connect();
    bench.answer(&["127.0.0.1:1"]);
    bench.accept(&at(1));
    bench.pass(Duration::from_secs(5));
    bench.lose(&at(1), How::Draining, true);
    bench.tell(Err("Domain name not found".to_owned()));
    assert_eq!(bench.channel.state(), Connectivity::Idle);
    bench.connect();
    bench.accept(&at(1));
    assert_eq!(bench.pick(), Ok(at(1)));
}

#[test]
fn a_name_is_not_asked_for_more_often_than_the_interval_nor_twice_at_once() {
    let mut bench = Bench::balanced("name:1", r#"{"round_robin":{}}"#);
    bench.connect();
    let addresses: Vec<String> = (1..=100).map(|host| format!("127.0.0.{host}:1")).collect();
    bench.answer(&addresses.iter().map(String::as_str).collect::<Vec<_>>());
    for host in 1..=100 {
        bench.refuse(&at(host));
    }
    assert!(bench.queries.is_empty());
    let asked = bench.now;
    while bench.queries.is_empty() {
        bench.sleep();
    }
    assert_eq!(bench.now - asked, Duration::from_secs(30));
    for _ in 0..100 {
        bench.sleep();
        for address in bench.dialling() {
            bench.refuse(&address);
        }
    }
    assert_eq!(bench.queries.len(), 1);
}

#[test]
fn a_name_is_asked_for_every_so_often_if_that_is_wanted_and_not_while_idle() {
    let config = Config { refresh_interval: Some(Duration::from_secs(60)), ..Config::new(7) };
    let mut bench = Bench::with("name:1", Config { idle_timeout: Some(Duration::from_secs(150)), ..config });
    bench.connect();
    bench.answer(&["127.0.0.1:1"]);
    bench.accept(&at(1));
    for _ in 0..2 {
        bench.pass(Duration::from_secs(59));
        assert!(bench.queries.is_empty());
        bench.pass(Duration::from_secs(1));
        bench.answer(&["127.0.0.1:1"]);
    }
    assert_eq!((bench.take_states().len(), bench.released.len()), (2, 0), "the same addresses change nothing");
    bench.pass(Duration::from_secs(40));
    bench.channel.handle_in_use(false, bench.now);
    bench.drain();
    assert_eq!((bench.channel.state(), bench.channel.poll_timeout()), (Connectivity::Idle, None));
}

#[test]
fn addresses_need_no_hands() {
    for (target, address) in [
        ("127.0.0.1:1", "ipv4:127.0.0.1:1"),
        ("[::1]:1", "ipv6:%5B::1%5D:1"),
        ("unix:/run/x", "unix:/run/x"),
        ("unix-abstract:x", "unix-abstract:x"),
    ] {
        let mut bench = Bench::new(target);
        bench.connect();
        assert_eq!(bench.dialling(), [address]);
        bench.refuse(address);
        bench.sleep();
        assert_eq!(bench.dialling(), [address]);
        assert!(bench.queries.is_empty());
    }
}

#[test]
fn a_proxy_is_looked_up_in_place_of_the_target() {
    let choice = |uri| farcall_channel::ProxyChoice { option: Some(uri), ..Default::default() };
    for (target, host) in [("name:2", "name"), ("ipv4:10.0.0.1:2", "10.0.0.1")] {
        let proxy = choice("http://proxy:3").proxy_for(host).unwrap();
        let mut bench = Bench::with(target, Config { proxy, ..Config::new(7) });
        bench.connect();
        assert_eq!(bench.queries[0].1, Query::Host { host: "proxy".to_owned(), port: 3 });
        bench.answer(&["127.0.0.1:3"]);
        let hop = bench.dials.values().next().unwrap().hop.clone().unwrap();
        assert_eq!((&*hop.host, hop.port, &*hop.proxy.host), (host, 2, "proxy"));
    }
}

#[test]
fn a_resolvers_service_config_counts_and_a_bad_one_leaves_the_one_before() {
    let mut bench = Bench::with("name:1", Config { min_resolution_interval: Duration::ZERO, ..Config::new(7) });
    let answer = |config: Result<&str, &str>| {
        let service_config =
            config.map(|text| std::sync::Arc::new(farcall_channel::ServiceConfig::parse(text).unwrap()));
        let address = Address::Ip("127.0.0.1:1".parse().unwrap());
        let found = Found::new([Endpoint::from(address)]);
        Ok(found.with_service_config(service_config.map_err(str::to_owned)).into())
    };
    bench.queue(1, false);
    bench.tell(answer(Err("it is nonsense")));
    assert_eq!(bench.failed[0].1.status, Status::new(Code::Unavailable, "it is nonsense"));
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    bench.sleep();
    bench.tell(answer(Ok(r#"{"methodConfig":[{"name":[{}],"timeout":"3s"}]}"#)));
    bench.accept(&at(1));
    let timeout = |bench: &Bench| {
        let selection = bench.snapshot.select(&farcall_channel::Head { path: "/a.B/C" }).unwrap();
        selection.method.and_then(|method| method.timeout)
    };
    assert_eq!(timeout(&bench), Some(Duration::from_secs(3)));
    bench.pass(Duration::from_secs(5));
    bench.lose(&at(1), How::Draining, true);
    bench.tell(answer(Err("it is nonsense")));
    assert_eq!(bench.notes, [Note::InvalidServiceConfig("it is nonsense".to_owned())]);
    assert_eq!(timeout(&bench), Some(Duration::from_secs(3)));
}

#[test]
fn addresses_are_used_up_to_the_bound_and_not_past_it() {
    for (most, noted) in [(5, false), (4, true)] {
        let limits = Limits { addresses: most, ..Limits::default() };
        let mut bench = Bench::with("name:1", Config { limits, ..Config::new(7) });
        bench.connect();
        bench.answer(&["127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1", "127.0.0.5:1"]);
        assert_eq!(bench.notes == [Note::TooManyAddresses { found: 5, used: 4 }], noted);
        for host in 1..=most {
            bench.refuse(&at(host));
        }
        assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    }
}

#[test]
fn of_an_endpoint_with_too_many_addresses_the_first_are_used() {
    let limits = Limits { addresses: 4, ..Limits::default() };
    let mut bench = Bench::with("name:1", Config { limits, ..Config::new(7) });
    bench.connect();
    let addresses = (1..=5).map(|host| Address::Ip(([127, 0, 0, host], 1).into())).collect();
    bench.tell(Ok(Found::new([Endpoint::new(addresses)]).into()));
    assert_eq!(bench.notes, [Note::TooManyAddresses { found: 5, used: 4 }]);
    for host in 1..=4 {
        bench.refuse(&at(host));
    }
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
}

#[test]
fn a_state_that_does_not_last_is_reported_too() {
    let mut bench = Bench::with("name:1", Config { min_resolution_interval: Duration::ZERO, ..Config::new(7) });
    bench.connect();
    bench.answer(&["127.0.0.1:1", "127.0.0.2:1"]);
    bench.refuse(&at(1));
    bench.accept(&at(2));
    bench.lose(&at(2), How::Draining, true);
    assert_eq!(bench.take_states().last(), Some(&Connectivity::Idle));
    // A policy that connects by itself finds that the only address has just failed.
    let config = ServiceConfig::parse(r#"{"loadBalancingPolicy":"round_robin"}"#).unwrap();
    let address = Address::Ip("127.0.0.1:1".parse().unwrap());
    bench.tell(Ok(Found::new([Endpoint::from(address)]).with_service_config(Ok(Arc::new(config))).into()));
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::TransientFailure]);
}

#[test]
fn a_channel_that_knows_already_why_it_fails_connects_first() {
    let mut bench = Bench::with("name:1", Config { idle_timeout: Some(Duration::from_secs(10)), ..Config::new(7) });
    bench.connect();
    let address = Address::Ip("127.0.0.1:1".parse().unwrap());
    let nonsense = Err("it is nonsense".to_owned());
    bench.tell(Ok(Found::new([Endpoint::from(address)]).with_service_config(nonsense).into()));
    bench.pass(Duration::from_secs(15));
    assert_eq!(bench.take_states().last(), Some(&Connectivity::Idle));
    bench.connect();
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::TransientFailure]);
}

// Calls that wait.

#[test]
fn calls_wait_up_to_the_bound_and_no_more() {
    let limits = Limits { queued_calls: 3, ..Limits::default() };
    let mut bench = Bench::with(&list(1), Config { limits, ..Config::new(7) });
    bench.queue(1, false);
    let call = bench.waiting(false);
    bench.channel.rest(2, call, Until::Resumed, bench.now);
    bench.queue(3, false);
    assert!(bench.failed.is_empty(), "at the bound");
    bench.queue(4, true);
    let [(4, refusal)] = &bench.failed[..] else { panic!("{:?}", bench.failed) };
    assert_eq!(refusal.status, Status::new(Code::ResourceExhausted, "3 calls wait for a connection already"));
    bench.accept(&at(1));
    bench.queue(5, false);
    assert_eq!(bench.started, [(1, at(1)), (3, at(1)), (5, at(1))]);
}

#[test]
fn a_call_ends_at_its_deadline_wherever_it_waits() {
    let mut bench = Bench::new(&list(1));
    let call = |bench: &Bench, seconds| Waiting {
        deadline: Some(bench.now + Duration::from_secs(seconds)),
        ..bench.waiting(true)
    };
    let calls = [call(&bench, 5), call(&bench, 3), call(&bench, 4), call(&bench, 0)];
    let [five, three, four, none] = calls;
    bench.queue_call(5, five);
    bench.queue_call(3, three);
    bench.channel.rest(4, four, Until::Resumed, bench.now);
    bench.queue_call(0, none);
    bench.refuse(&at(1));
    bench.pass(Duration::from_secs(10));
    let ended: Vec<u32> = bench.failed.iter().map(|(key, _)| *key).collect();
    assert_eq!(ended, [0, 3, 4, 5]);
    for (_, refusal) in &bench.failed {
        assert_eq!(refusal.status, Status::new(Code::DeadlineExceeded, "Deadline Exceeded"));
        assert!(!refusal.may_retry);
    }
    assert!(!bench.channel.has_waiting());
}

#[test]
fn a_call_that_rests_goes_when_its_time_comes_or_it_is_resumed() {
    let mut bench = Bench::new(&list(1));
    bench.connect();
    bench.accept(&at(1));
    let (now, call) = (bench.now, bench.waiting(false));
    bench.channel.rest(1, call.clone(), Until::Time(now + Duration::from_secs(1)), now);
    let ticket = bench.channel.rest(2, call.clone(), Until::Resumed, now);
    let lost = bench.channel.rest(3, call, Until::Resumed, now);
    bench.drain();
    assert!(bench.started.is_empty());
    assert_eq!(bench.sleep(), Duration::from_secs(1));
    bench.channel.resume(ticket, bench.now);
    bench.channel.resume(ticket, bench.now);
    bench.drain();
    assert_eq!(bench.started, [(1, at(1)), (2, at(1))]);
    assert!(bench.channel.forget(lost) && !bench.channel.forget(lost) && !bench.channel.forget(ticket));
    bench.drain();
    assert_eq!(bench.dropped, 1);
    assert!(!bench.channel.has_waiting());
}

#[test]
fn a_call_that_its_connection_refused_waits_for_the_next_and_does_not_spin() {
    let mut bench = Bench::new(&list(1));
    bench.connect();
    bench.accept(&at(1));
    bench.pass(Duration::from_secs(5));
    bench.lose(&at(1), How::Draining, true);
    bench.queue(1, false);
    assert!(bench.started.is_empty());
    bench.lose(&at(1), How::Draining, true);
    bench.lose(&at(1), How::Broken, true);
    assert_eq!(
        bench.take_states().last(),
        Some(&Connectivity::Connecting),
        "a loss that is reported twice counts once"
    );
    bench.accept(&at(1));
    assert_eq!(bench.started.len(), 1);
}

#[test]
fn many_calls_are_placed_in_one_pass() {
    let mut bench = Bench::new(&list(1));
    for key in 0..10_000 {
        bench.channel.queue(key, bench.waiting(false), bench.now);
    }
    bench.drain();
    let before = bench.published;
    bench.accept(&at(1));
    assert_eq!(bench.published, before + 1);
    assert!(bench.started.iter().map(|(key, _)| *key).eq(0..10_000));
}

// Idleness.

fn minute() -> Config {
    Config { idle_timeout: Some(Duration::from_secs(60)), ..Config::new(7) }
}

#[test]
fn a_channel_that_nobody_uses_lets_its_connections_go_and_is_idle_until_the_next_call() {
    let mut bench = Bench::with("name:1", minute());
    bench.connect();
    bench.answer(&["127.0.0.1:1"]);
    bench.accept(&at(1));
    bench.take_states();
    bench.pass(Duration::from_secs(30));
    bench.pick().unwrap();
    bench.pass(Duration::from_secs(30));
    assert!(bench.asked.is_empty(), "it was used");
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.asked.len(), 1);
    bench.channel.handle_in_use(true, bench.now);
    bench.pass(Duration::from_secs(60));
    assert_eq!(bench.asked.len(), 2, "a call was in flight");
    bench.channel.handle_in_use(false, bench.now);
    bench.drain();
    assert_eq!(bench.take_states(), [Connectivity::Idle]);
    assert_eq!(bench.released, [at(1)]);
    assert_eq!(bench.channel.poll_timeout(), None, "nothing more is done");
    assert_eq!(bench.pick(), Err(None));
    bench.queue(1, false);
    assert_eq!(bench.queries.len(), 1);
    bench.answer(&["127.0.0.1:1"]);
    bench.accept(&at(1));
    assert_eq!(bench.started.len(), 1);
}

#[test]
fn a_call_that_comes_while_the_hands_are_asked_keeps_the_channel() {
    let mut bench = Bench::with(&list(1), minute());
    bench.connect();
    bench.accept(&at(1));
    bench.pass(Duration::from_secs(120));
    assert_eq!(bench.asked.len(), 1);
    bench.pick().unwrap();
    bench.channel.handle_in_use(false, bench.now);
    bench.channel.handle_in_use(false, bench.now);
    assert_eq!(bench.channel.state(), Connectivity::Ready);
}

#[test]
fn stops_trying_when_nobody_wants_it_and_never_when_a_call_waits() {
    for waits in [false, true] {
        let mut bench = Bench::with(&list(2), minute());
        if waits {
            bench.queue(1, true);
        }
        bench.connect();
        for _ in 0..1000 {
            for address in bench.dialling() {
                bench.refuse(&address);
            }
            if bench.channel.state() == Connectivity::Idle {
                break;
            }
            bench.sleep();
        }
        assert_eq!(bench.channel.state() == Connectivity::Idle, !waits);
        if !waits {
            assert_eq!(bench.pick(), Err(None), "the next call does not get the old failure");
            bench.pass(Duration::from_secs(600));
            assert!(bench.dials.is_empty());
        }
    }
}

// The end.

#[test]
fn shutdown_closes_what_there_is_and_fails_every_call() {
    let mut bench = Bench::balanced(&list(3), r#"{"round_robin":{}}"#);
    bench.connect();
    bench.accept(&at(1));
    bench.queue(1, false);
    bench.channel.rest(2, bench.waiting(false), Until::Resumed, bench.now);
    bench.channel.shutdown(&bye(), bench.now);
    bench.channel.shutdown(&bye(), bench.now);
    bench.drain();
    assert_eq!(bench.closed, [(at(1), bye())]);
    assert_eq!(bench.abandoned, [at(2), at(3)]);
    assert_eq!(bench.failed.iter().map(|(key, refusal)| (*key, &refusal.status)).collect::<Vec<_>>(), [(2, &bye())]);
    assert_eq!(bench.states.last(), Some(&Connectivity::Shutdown));
    assert_eq!(bench.refusal(), Status::new(Code::Cancelled, "Channel closed!"));
    bench.queue(3, true);
    assert_eq!(bench.failed[1].1.status, Status::new(Code::Cancelled, "Channel closed!"));
    bench.connect();
    assert_eq!(bench.channel.poll_timeout(), None);
    bench.assert_nothing_left();
}

#[test]
fn a_channel_that_retires_lets_calls_finish() {
    let mut bench = Bench::new(&list(1));
    bench.connect();
    bench.accept(&at(1));
    bench.channel.retire(&bye(), bench.now);
    bench.drain();
    assert_eq!((bench.released.clone(), bench.closed.len()), (vec![at(1)], 0));
    bench.lose(&at(1), How::Broken, true);
    assert_eq!(bench.dropped, 1);
    assert_eq!(bench.channel.state(), Connectivity::Shutdown);
}

#[test]
fn a_lame_channel_fails_every_call_with_its_reason() {
    let now = Instant::now();
    let status = Status::new(Code::InvalidArgument, "no such option");
    let mut bench = Bench::of(Channel::lame(status.clone(), Config::new(7), now), now);
    bench.connect();
    bench.queue(1, true);
    assert_eq!((bench.refusal(), &bench.failed[0].1.status), (status.clone(), &status));
    assert_eq!((bench.channel.state(), bench.channel.poll_timeout()), (Connectivity::Idle, None));
    assert!(bench.states.is_empty());
    bench.channel.shutdown(&bye(), now);
    bench.drain();
    assert_eq!(bench.channel.state(), Connectivity::Shutdown);
}

// The contract.

#[test]
fn one_thread_drains_and_what_comes_meanwhile_is_left_to_it() {
    let now = Instant::now();
    let mut channel: Channel<u32, u32> = Channel::new(Target::parse(&list(1)).unwrap(), Config::new(7), 7, now);
    assert!(!channel.begin_drain(), "nothing is to be done");
    channel.connect(now);
    assert!(channel.begin_drain());
    assert!(matches!(channel.poll_action(), Some(Action::Dial(..))));
    assert!(!channel.begin_drain(), "another is at it");
    let waiting = Waiting::new("/a", false, None);
    channel.queue(1, waiting, now);
    channel.shutdown(&bye(), now);
    let rest: Vec<String> = std::iter::from_fn(|| channel.poll_action()).map(|action| format!("{action:?}")).collect();
    let kinds: Vec<&str> = rest.iter().map(|text| text.split('(').next().unwrap()).collect();
    assert_eq!(
        kinds,
        ["StateChanged", "Publish", "Drop", "Abandon", "Drop", "StateChanged", "Fail", "Publish", "Drop"]
    );
    assert!(!channel.begin_drain());
}

#[test]
fn keepalive_of_connections_to_come_is_as_slow_as_the_server_wants() {
    let mut bench = Bench::balanced(&list(2), r#"{"round_robin":{}}"#);
    bench.connect();
    assert!(bench.dials.values().all(|dial| dial.keepalive_time.is_none()));
    bench.accept(&at(1));
    bench.pass(Duration::from_secs(2));
    for (seconds, how) in [(20, How::Draining), (10, How::Broken)] {
        let keepalive_time = Some(Duration::from_secs(seconds));
        let lost = Lost { how, why: "too_many_pings", useful: true, keepalive_time };
        bench.channel.handle_lost(bench.connection_to(&at(1)), lost, bench.now);
    }
    bench.drain();
    let dial = bench.dial_to(&at(1));
    assert_eq!(bench.dials[&dial].keepalive_time, Some(Duration::from_secs(20)));
}

#[test]
fn what_is_told_of_what_is_not_there_is_ignored() {
    use farcall_channel::{ConnectError, DialId, resolver::QueryId};
    let mut bench = Bench::new("name:1");
    bench.connect();
    let query = bench.queries[0].0;
    bench.channel.handle_answer(QueryId(99), Ok(Answer::addresses([])), bench.now);
    let error = ConnectError { code: Code::Unknown, why: String::new() };
    bench.channel.handle_connect_failed(DialId(99), &error, bench.now);
    let lost = Lost { how: How::Broken, why: "", useful: false, keepalive_time: None };
    bench.channel.handle_lost(DialId(99), lost, bench.now);
    bench.channel.handle_in_use(false, bench.now);
    bench.channel.handle_timeout(bench.now);
    bench.drain();
    assert_eq!(bench.take_states(), [Connectivity::Connecting]);
    bench.answer(&["127.0.0.1:1"]);
    bench.channel.handle_answer(query, Err("late".to_owned()), bench.now);
    bench.accept(&at(1));
    assert_eq!(bench.pick(), Ok(at(1)));
    bench.connected(DialId(99), "stranger");
    assert_eq!(bench.closed.len(), 1, "it is closed");
}
