//! `pick_first`, stepped with virtual time.

use std::time::Duration;

use crate::bench::{Bench, at, list};
use farcall_channel::{Config, Connectivity, How};
use farcall_core::Code;

const DELAY: Duration = Duration::from_millis(250);

#[test]
fn stays_idle_until_a_call_comes_then_goes_ready() {
    let mut bench = Bench::new(&list(1));
    bench.drain();
    assert_eq!((bench.channel.state(), bench.pick()), (Connectivity::Idle, Err(None)));
    assert!(bench.dials.is_empty(), "a pick is only a reader");

    bench.queue(1, false);
    assert_eq!(bench.take_states(), [Connectivity::Connecting]);
    bench.queue(2, false);
    assert!(bench.started.is_empty());
    bench.accept(&at(1));
    assert_eq!(bench.take_states(), [Connectivity::Ready]);
    assert_eq!(bench.started, [(1, at(1)), (2, at(1))], "in the order they came");
    assert_eq!(bench.pick(), Ok(at(1)));
    bench.queue(3, false);
    assert_eq!(bench.started.len(), 3);
}

#[test]
fn a_refused_connection_fails_calls_with_the_reason_and_the_address() {
    let mut bench = Bench::new(&list(1));
    bench.queue(1, false);
    bench.queue(2, true);
    bench.refuse(&at(1));
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::TransientFailure]);
    let text = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: \
                Failed to connect to remote host: Connection refused";
    let [(1, refusal)] = &bench.failed[..] else { panic!("{:?}", bench.failed) };
    assert_eq!((refusal.status.code, &*refusal.status.message), (Code::Unavailable, text));
    assert!(refusal.may_retry, "the retry policy has the next word");
    assert_eq!(bench.refusal().message, text);
    bench.sleep();
    bench.accept(&at(1));
    assert_eq!(bench.started, [(2, at(1))], "it waited for ready");
}

#[test]
fn the_next_address_is_tried_when_one_is_silent_and_at_once_when_one_fails() {
    let mut bench = Bench::new(&list(4));
    bench.connect();
    assert_eq!(bench.dialling(), [at(1)]);
    assert_eq!(bench.sleep(), DELAY);
    assert_eq!(bench.dialling(), [at(1), at(2)], "the first goes on");
    bench.refuse(&at(2));
    assert_eq!(bench.dialling(), [at(1), at(3)], "without a wait");
    bench.refuse(&at(1));
    assert_eq!(bench.dialling(), [at(3)], "the failure of an earlier one begins none");
    assert_eq!(bench.sleep(), DELAY);
    bench.accept(&at(3));
    assert_eq!(bench.abandoned, [at(4)]);
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::Ready]);
}

#[test]
fn a_silent_attempt_that_is_overtaken_and_connects_late_is_closed() {
    let mut bench = Bench::new(&list(2));
    bench.connect();
    bench.sleep();
    let late = bench.dial_to(&at(1));
    bench.accept(&at(2));
    assert_eq!(bench.abandoned, [at(1)]);
    bench.connected(late, &at(1));
    assert_eq!(bench.closed.len(), 1);
    assert_eq!(bench.pick(), Ok(at(2)));
}

#[test]
fn families_take_turns_and_each_address_is_tried_once() {
    let mut bench = Bench::new("name:1");
    bench.connect();
    bench.answer(&["[::1]:1", "[::2]:1", "127.0.0.1:1", "[::1]:1", "127.0.0.2:1", "127.0.0.3:1"]);
    let mut order = Vec::new();
    while let Some(address) = bench.dialling().first().cloned() {
        bench.refuse(&address);
        order.push(address);
    }
    let expected = ["ipv6:%5B::1%5D:1", "ipv4:127.0.0.1:1", "ipv6:%5B::2%5D:1", "ipv4:127.0.0.2:1", "ipv4:127.0.0.3:1"];
    assert_eq!(order, expected);
}

#[test]
fn stays_in_transient_failure_until_one_connects_and_each_address_has_its_own_back_off() {
    let mut bench = Bench::new(&list(2));
    bench.connect();
    bench.refuse(&at(1));
    bench.pass(Duration::from_millis(100));
    bench.refuse(&at(2));
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::TransientFailure]);
    for _ in 0..20 {
        bench.sleep();
        for address in bench.dialling() {
            bench.refuse(&address);
        }
        assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
        assert!(bench.refusal().message.contains("last error: UNKNOWN: ipv4:127.0.0."));
    }
    while bench.dials.is_empty() {
        bench.sleep();
    }
    let address = bench.dialling()[0].clone();
    bench.accept(&address);
    assert_eq!(bench.take_states(), [Connectivity::Ready]);
}

#[test]
fn backs_off_longer_each_time_counted_from_the_start_of_an_attempt_and_anew_after_a_success() {
    let mut bench = Bench::new(&list(1));
    bench.connect();
    let mut expected = 1.0;
    for _ in 0..12 {
        bench.pass(Duration::from_millis(500));
        bench.refuse(&at(1));
        let slept = bench.sleep().as_secs_f64() + 0.5;
        assert!((expected * 0.8..=expected * 1.2).contains(&slept), "{slept} s for {expected} s");
        expected = f64::min(expected * 1.6, 120.0);
    }
    bench.accept(&at(1));
    bench.pass(Duration::from_secs(5));
    bench.lose(&at(1), How::Broken, true);
    assert_eq!(bench.channel.state(), Connectivity::Idle);
    bench.connect();
    bench.refuse(&at(1));
    assert!(bench.sleep() <= Duration::from_millis(1200));
}

#[test]
fn an_attempt_that_never_answers_is_given_up_after_the_connect_timeout() {
    let mut bench = Bench::new(&list(1));
    bench.connect();
    assert_eq!(bench.sleep(), Duration::from_secs(20));
    assert_eq!(bench.abandoned, [at(1)]);
    let text = "UNAVAILABLE: ipv4:127.0.0.1:1: connection attempt timed out before receiving SETTINGS frame";
    assert!(bench.refusal().message.ends_with(text));
    assert_eq!(bench.dialling(), [at(1)], "the back-off was over meanwhile");
}

#[test]
fn a_lost_connection_leaves_the_channel_idle_until_the_next_call() {
    for how in [How::Draining, How::Broken] {
        let mut bench = Bench::new(&list(2));
        bench.connect();
        bench.accept(&at(1));
        bench.pass(Duration::from_secs(5));
        bench.lose(&at(1), how, true);
        assert_eq!(bench.channel.state(), Connectivity::Idle);
        assert!(bench.dials.is_empty());
        assert_eq!(bench.pick(), Err(None));
        bench.queue(1, false);
        assert_eq!(bench.dialling(), [at(1)]);
        bench.refuse(&at(1));
        bench.accept(&at(2));
        assert_eq!(bench.started, [(1, at(2))]);
        bench.channel.shutdown(&farcall_core::Status::new(Code::Cancelled, "bye"), bench.now);
        bench.drain();
        let closed: Vec<&String> = bench.closed.iter().map(|(name, _)| name).collect();
        let expected: Vec<String> = if how == How::Draining { vec![at(1), at(2)] } else { vec![at(2)] };
        assert_eq!(closed, expected.iter().collect::<Vec<_>>(), "those that drain end as well");
    }
}

#[test]
fn backs_off_from_a_server_whose_connections_break_at_once() {
    let mut bench = Bench::new(&list(1));
    let breaks = |bench: &mut Bench, lived: u64, useful: bool| {
        bench.connect();
        bench.accept(&at(1));
        bench.pass(Duration::from_millis(lived));
        bench.lose(&at(1), How::Broken, useful);
        bench.channel.state()
    };
    for (lived, useful, expected) in [
        (1, false, Connectivity::Idle),
        (999, false, Connectivity::Idle),
        (1000, false, Connectivity::Idle), // Long enough to count.
        (1, false, Connectivity::Idle),
        (1, false, Connectivity::Idle),
        (1, true, Connectivity::Idle), // It served.
        (1, false, Connectivity::Idle),
        (1, false, Connectivity::Idle),
        (1, false, Connectivity::TransientFailure),
    ] {
        assert_eq!(breaks(&mut bench, lived, useful), expected, "{lived} ms, {useful}");
    }
    let text = bench.refusal().message;
    assert!(text.ends_with("ipv4:127.0.0.1:1: connections break as soon as they are made: Socket closed"), "{text}");
    let mut before = bench.sleep();
    for _ in 0..5 {
        assert_eq!(breaks(&mut bench, 1, false), Connectivity::TransientFailure);
        let slept = bench.sleep();
        assert!(slept > before, "longer each time: {before:?}, {slept:?}");
        before = slept;
    }
    assert_eq!(breaks(&mut bench, 1000, false), Connectivity::Idle);
    assert_eq!(breaks(&mut bench, 1, false), Connectivity::Idle, "from the beginning");
}

#[test]
fn other_addresses_are_tried_when_one_breaks_at_once() {
    let mut bench = Bench::new(&list(2));
    for _ in 0..3 {
        bench.connect();
        bench.accept(&at(1));
        bench.lose(&at(1), How::Broken, false);
    }
    assert_eq!(bench.channel.state(), Connectivity::Connecting);
    assert_eq!(bench.dialling(), [at(2)]);
    bench.accept(&at(2));
    assert_eq!(bench.pick(), Ok(at(2)));
}

#[test]
fn new_addresses_keep_what_is_connected_and_what_is_being_tried() {
    let mut bench = Bench::with("name:1", Config { min_resolution_interval: Duration::ZERO, ..Config::new(7) });
    bench.connect();
    bench.answer(&["127.0.0.1:1", "127.0.0.2:1"]);
    bench.sleep();
    assert_eq!(bench.dialling(), [at(1), at(2)]);
    bench.refuse(&at(1));
    bench.refuse(&at(2));
    assert_eq!(bench.queries.len(), 1, "all have failed: there may be others");
    bench.answer(&["127.0.0.2:1", "127.0.0.3:1"]);
    assert_eq!(bench.dialling(), [at(3)], "the second still backs off");
    assert_eq!(bench.channel.state(), Connectivity::TransientFailure);
    bench.accept(&at(3));
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.dialling(), [] as [String; 0]);

    bench.lose(&at(3), How::Broken, true);
    bench.answer(&["127.0.0.3:1", "127.0.0.4:1"]);
    assert_eq!(bench.channel.state(), Connectivity::Idle, "new addresses alone are no reason to connect");
    bench.connect();
    bench.accept(&at(3));
    assert!(bench.queries.is_empty());
}

#[test]
fn many_equal_answers_dial_once() {
    let mut bench = Bench::with("name:1", Config { min_resolution_interval: Duration::ZERO, ..Config::new(7) });
    bench.connect();
    bench.answer(&["127.0.0.1:1"]);
    bench.refuse(&at(1));
    for _ in 0..10 {
        bench.answer(&["127.0.0.1:1"]);
        assert!(bench.dials.is_empty());
        bench.channel.connect(bench.now);
        bench.drain();
        if bench.queries.is_empty() {
            break;
        }
    }
    assert!(bench.dials.is_empty());
}

#[test]
fn shuffles_when_asked_to() {
    let mut firsts = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let text = r#"{"loadBalancingConfig":[{"pick_first":{"shuffleAddressList":true}}]}"#;
        let service_config = std::sync::Arc::new(farcall_channel::ServiceConfig::parse(text).unwrap());
        let target = farcall_channel::Target::parse(&list(3)).unwrap();
        let now = std::time::Instant::now();
        let config = Config { service_config, ..Config::new(7) };
        let mut bench = Bench::of(farcall_channel::Channel::new(target, config, seed, now), now);
        bench.connect();
        firsts.insert(bench.dialling()[0].clone());
    }
    assert_eq!(firsts.len(), 3);
}
