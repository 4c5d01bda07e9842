//! Health checks of servers by the channel (gRFC A17), stepped with virtual time.

use std::{sync::Arc, time::Duration};

use crate::bench::{Bench, at, list};
use farcall_channel::{
    Config, Connectivity, How, Note, ServiceConfig,
    limits::STREAM_MESSAGES,
    resolver::{Endpoint, Found},
};
use farcall_core::{Code, Status};

const SERVING: &[u8] = &[8, 1];
const NOT_SERVING: &[u8] = &[8, 2];
const SERVICE_UNKNOWN: &[u8] = &[8, 3];

fn config(policy: &str, service: &str) -> Arc<ServiceConfig> {
    let text = format!(r#"{{"loadBalancingConfig":[{policy}],"healthCheckConfig":{{"serviceName":"{service}"}}}}"#);
    Arc::new(ServiceConfig::parse(&text).unwrap())
}

/// A channel to so many servers, to all of which it has connected.
fn connected(hosts: usize, policy: &str) -> Bench {
    let mut bench = Bench::with(&list(hosts), Config { service_config: config(policy, "a.B"), ..Config::new(7) });
    bench.connect();
    for host in 1..=hosts {
        bench.accept(&at(host));
    }
    bench
}

fn say(bench: &mut Bench, host: usize, message: &[u8]) {
    let stream = bench.stream_to(&at(host));
    bench.stream_message(stream, message);
}

fn end(bench: &mut Bench, host: usize, status: &Status) {
    let stream = bench.stream_to(&at(host));
    bench.stream_ended(stream, status);
}

fn used(bench: &mut Bench) -> Vec<String> {
    bench.spread(60).into_keys().collect()
}

const ROUND_ROBIN: &str = r#"{"round_robin":{}}"#;

#[test]
fn a_server_takes_calls_once_it_says_that_it_is_healthy() {
    let mut bench = connected(2, ROUND_ROBIN);
    assert_eq!(bench.take_states(), [Connectivity::Connecting], "it is connected, and nobody knows whether that helps");
    let (name, request) = bench.streams.values().next().unwrap();
    assert_eq!(
        (&**name, request.path, &*request.message),
        (&*at(1), "/grpc.health.v1.Health/Watch", &b"\x0a\x03a.B"[..])
    );
    bench.queue(1, false);
    say(&mut bench, 2, SERVING);
    assert_eq!(bench.take_states(), [Connectivity::Ready]);
    assert_eq!(bench.started, [(1, at(2))]);
    say(&mut bench, 1, SERVING);
    assert_eq!(used(&mut bench), [at(1), at(2)]);
}

#[test]
fn a_server_that_flips_is_left_out_meanwhile_and_keeps_its_connection() {
    let mut bench = connected(3, ROUND_ROBIN);
    (1..=3).for_each(|host| say(&mut bench, host, SERVING));
    bench.take_states();
    for message in [NOT_SERVING, SERVICE_UNKNOWN, &[]] {
        say(&mut bench, 2, message);
        assert_eq!(used(&mut bench), [at(1), at(3)]);
        say(&mut bench, 2, SERVING);
        assert_eq!(used(&mut bench), [at(1), at(2), at(3)]);
    }
    assert_eq!((bench.take_states(), bench.dialling().len(), bench.released.len()), (vec![], 0, 0));
    // Saying the same again costs nothing.
    let published = bench.published;
    say(&mut bench, 2, SERVING);
    assert_eq!(bench.published, published);
}

#[test]
fn when_none_is_healthy_calls_fail_in_the_words_of_grpcio() {
    let mut bench = connected(2, ROUND_ROBIN);
    say(&mut bench, 1, NOT_SERVING);
    bench.queue(1, false);
    bench.queue(2, true);
    say(&mut bench, 2, NOT_SERVING);
    assert_eq!(bench.take_states(), [Connectivity::Connecting, Connectivity::TransientFailure]);
    let refusal = &bench.failed[0].1.status;
    let text = "connections to all backends failing; last error: UNAVAILABLE: ipv4:127.0.0.2:1: backend unhealthy";
    assert_eq!((refusal.code, &*refusal.message), (Code::Unavailable, text));
    say(&mut bench, 1, SERVING);
    assert_eq!(bench.take_states(), [Connectivity::Ready]);
    assert_eq!(bench.started, [(2, at(1))]);
}

#[test]
fn a_server_without_the_service_is_taken_for_healthy_which_is_noted_once() {
    let mut bench = connected(1, ROUND_ROBIN);
    let unimplemented = Status::new(Code::Unimplemented, "Method not found!");
    end(&mut bench, 1, &unimplemented);
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    let noted = bench.notes.iter().map(Note::to_string).collect::<Vec<_>>();
    let text = "ipv4:127.0.0.1:1: health checking Watch method returned UNIMPLEMENTED; \
                disabling health checks but assuming server is healthy";
    assert_eq!(noted, [text]);
    bench.pass(Duration::from_secs(600));
    assert!(bench.streams.is_empty(), "it is not asked again");
    // Its next connection may lead to another program.
    bench.lose(&at(1), How::Broken, true);
    bench.accept(&at(1));
    end(&mut bench, 1, &unimplemented);
    assert_eq!((bench.channel.state(), bench.notes.len()), (Connectivity::Ready, 1));
}

#[test]
fn a_watch_that_fails_is_made_again_after_growing_delays() {
    let mut bench = connected(1, ROUND_ROBIN);
    let broken = Status::new(Code::Internal, "boom");
    let mut delays = Vec::new();
    for _ in 0..4 {
        let begun = bench.now;
        end(&mut bench, 1, &broken);
        let text = "connections to all backends failing; last error: UNAVAILABLE: ipv4:127.0.0.1:1: \
                    health check call failed; will retry after backoff: INTERNAL: boom";
        assert_eq!(bench.refusal().message, text);
        assert!(bench.streams.is_empty());
        while bench.streams.is_empty() {
            bench.sleep();
        }
        assert_eq!(bench.channel.state(), Connectivity::Connecting);
        delays.push((bench.now - begun).as_secs_f64());
    }
    for (delay, expected) in delays.iter().zip([1.0, 1.6, 2.56, 4.1]) {
        assert!((expected * 0.8..=expected * 1.2).contains(delay), "{delays:?}");
    }
    say(&mut bench, 1, SERVING);
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    // One that has answered and lasted is made again at once.
    bench.pass(Duration::from_secs(30));
    end(&mut bench, 1, &broken);
    assert_eq!((bench.channel.state(), bench.streams.len()), (Connectivity::Connecting, 1));
}

#[test]
fn one_answer_too_many_in_a_second_costs_the_stream() {
    let mut bench = connected(2, ROUND_ROBIN);
    say(&mut bench, 2, SERVING);
    let flips = (0..STREAM_MESSAGES).map(|flip| if flip % 2 == 0 { NOT_SERVING } else { SERVING });
    flips.for_each(|message| say(&mut bench, 1, message));
    assert_eq!(used(&mut bench), [at(1), at(2)], "so many may come");
    say(&mut bench, 1, SERVING);
    assert_eq!(used(&mut bench), [at(2)], "and no more");
    assert_eq!(bench.streams.len(), 1, "the stream is cancelled");
    bench.pass(Duration::from_secs(2));
    say(&mut bench, 1, SERVING);
    assert_eq!(used(&mut bench), [at(1), at(2)]);
}

#[test]
fn an_answer_that_is_none_costs_the_stream() {
    let mut bench = connected(1, ROUND_ROBIN);
    say(&mut bench, 1, &[0xff, 0xff]);
    assert!(bench.refusal().message.ends_with("127.0.0.1:1: cannot parse health check response"));
    assert!(bench.streams.is_empty());
    bench.pass(Duration::from_secs(2));
    say(&mut bench, 1, SERVING);
    assert_eq!(bench.channel.state(), Connectivity::Ready);
}

#[test]
fn streams_end_before_their_connection() {
    // That they do not come after it is checked by the bench.
    let mut bench = connected(3, ROUND_ROBIN);
    (1..=3).for_each(|host| say(&mut bench, host, SERVING));
    let late = bench.stream_to(&at(1));
    bench.lose(&at(1), How::Draining, true);
    assert_eq!(bench.streams.len(), 2, "a connection that drains would wait for it");
    bench.stream_message(late, NOT_SERVING);
    bench.stream_ended(late, &Status::new(Code::Cancelled, ""));
    bench.lose(&at(2), How::Broken, true);
    assert_eq!(bench.streams.len(), 1);
    bench.accept(&at(1));
    bench.accept(&at(2));
    assert_eq!(bench.streams.len(), 3, "the next connections are asked anew");
    let status = Status::new(Code::Cancelled, "bye");
    bench.channel.shutdown(&status, bench.now);
    bench.drain();
    bench.assert_nothing_left();
}

#[test]
fn a_channel_that_falls_idle_leaves_no_stream() {
    let idle_timeout = Some(Duration::from_secs(60));
    let config = Config { service_config: config(ROUND_ROBIN, "a.B"), idle_timeout, ..Config::new(7) };
    let mut bench = Bench::with(&list(2), config);
    bench.connect();
    bench.accept(&at(1));
    say(&mut bench, 1, SERVING);
    while bench.asked.is_empty() {
        bench.sleep();
    }
    bench.channel.handle_in_use(false, bench.now);
    bench.drain();
    assert_eq!((bench.channel.state(), bench.streams.len()), (Connectivity::Idle, 0));
    bench.assert_nothing_left();
}

#[test]
fn nobody_is_asked_whom_no_policy_wants_to_hear_of_or_when_that_is_turned_off() {
    for (policy, health_checks, asked) in [
        (ROUND_ROBIN, true, 1),
        (r#"{"weighted_round_robin":{}}"#, true, 1),
        (r#"{"least_request_experimental":{}}"#, true, 1),
        (r#"{"pick_first":{}}"#, true, 0),
        (ROUND_ROBIN, false, 0),
    ] {
        let config = Config { service_config: config(policy, ""), health_checks, ..Config::new(7) };
        let mut bench = Bench::with(&list(1), config);
        bench.connect();
        bench.accept(&at(1));
        assert_eq!(bench.streams.len(), asked, "{policy}, {health_checks}");
        assert_eq!(bench.channel.state() == Connectivity::Ready, asked == 0);
    }
    let mut bench = Bench::balanced(&list(1), ROUND_ROBIN);
    bench.connect();
    bench.accept(&at(1));
    assert_eq!((bench.streams.len(), bench.channel.state()), (0, Connectivity::Ready), "no service is named");
}

/// Finds the same server, with this config.
fn find(bench: &mut Bench, config: Arc<ServiceConfig>) {
    bench.pass(Duration::from_secs(31));
    if bench.queries.is_empty() {
        bench.lose(&at(2), How::Draining, true);
    }
    let addresses = [1, 2].map(|host: u8| Endpoint::from(farcall_channel::Address::Ip(([127, 0, 0, host], 1).into())));
    bench.tell(Ok(Found::new(addresses).with_service_config(Ok(config)).into()));
}

#[test]
fn a_service_config_that_names_another_service_has_no_server_left_out_meanwhile() {
    let mut bench = Bench::with("name:1", Config::new(7));
    bench.connect();
    find(&mut bench, config(ROUND_ROBIN, "a.B"));
    bench.accept(&at(1));
    bench.accept(&at(2));
    say(&mut bench, 1, SERVING);
    say(&mut bench, 2, SERVING);
    bench.take_states();
    find(&mut bench, config(ROUND_ROBIN, "c.D"));
    assert_eq!(bench.streams.values().filter(|(_, request)| request.message == b"\x0a\x03c.D").count(), 1);
    assert_eq!(used(&mut bench), [at(1)], "what it has said of the other counts");
    say(&mut bench, 1, NOT_SERVING);
    assert_eq!(bench.channel.state(), Connectivity::Connecting, "until it answers");
    // Without any service whatever is connected is used.
    find(&mut bench, Arc::new(ServiceConfig::parse(r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#).unwrap()));
    assert_eq!((bench.streams.len(), bench.channel.state()), (0, Connectivity::Ready));
    find(&mut bench, config(ROUND_ROBIN, "a.B"));
    assert_eq!((bench.streams.len(), bench.channel.state()), (1, Connectivity::Ready));
}
