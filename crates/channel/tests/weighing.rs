//! Policies that weigh endpoints or leave some out, stepped with virtual time.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::bench::{Bench, Connection, at, list};
use farcall_channel::{
    Address, Channel, Choice, Config, Connectivity, How, Placed, ServiceConfig, Target,
    balancer::{End, PickArgs},
    resolver::{Answer, Endpoint, Found},
};
use farcall_core::{Code, Metadata, Status};

/// A channel to so many endpoints, all of which have connected.
fn connected(count: usize, policy: &str) -> Bench {
    let mut bench = Bench::balanced(&list(count), policy);
    bench.connect();
    for host in 1..=count {
        bench.accept(&at(host));
    }
    bench
}

fn place(bench: &Bench, random: u64) -> Placed<Connection> {
    match bench.snapshot.pick(&PickArgs::new("/a.B/C", random)) {
        Choice::Ready(picked) => picked.into_placed(),
        other => panic!("{other:?}"),
    }
}

/// Makes so many calls, each of which ends at once with what its endpoint gives; where they went.
fn call(bench: &Bench, calls: u64, answer: impl Fn(&str) -> (Code, Option<Metadata>)) -> BTreeMap<String, usize> {
    let mut spread = BTreeMap::new();
    for call in 0..calls {
        let placed = place(bench, call.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let (code, trailers) = answer(&placed.connection);
        placed.done.end(&End { code: Some(code), trailers: trailers.as_ref() });
        *spread.entry(placed.connection.to_string()).or_insert(0) += 1;
    }
    spread
}

fn fault(policy: &str) -> String {
    ServiceConfig::parse(&format!(r#"{{"loadBalancingConfig":[{policy}]}}"#)).unwrap_err().to_string()
}

// least_request

#[test]
fn least_request_sends_calls_where_the_fewest_are_in_flight() {
    let bench = connected(3, r#"{"least_request_experimental":{}}"#);
    let mut held: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for call in 0..300u64 {
        let placed = place(&bench, call.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        held.entry(placed.connection.to_string()).or_default().push(placed.done);
    }
    assert!(held.values().all(|calls| (95..=105).contains(&calls.len())), "{:?}", sizes(&held));
    // The calls of one endpoint end: the next go there, but for those that look at the two others.
    held.remove(&at(2));
    for call in 300..390u64 {
        let placed = place(&bench, call.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        held.entry(placed.connection.to_string()).or_default().push(placed.done);
    }
    assert!(held[&at(2)].len() >= 40, "{:?}", sizes(&held));
}

fn sizes<T>(held: &BTreeMap<String, Vec<T>>) -> Vec<usize> {
    held.values().map(Vec::len).collect()
}

#[test]
fn least_request_forgets_calls_that_never_went_out() {
    let bench = connected(2, r#"{"least_request_experimental":{"choiceCount":10}}"#);
    for call in 0..100u64 {
        drop(place(&bench, call));
    }
    let first = place(&bench, 1);
    let second = place(&bench, 1);
    assert_ne!(first.connection, second.connection, "none but one is in flight");
}

#[test]
fn least_request_says_what_is_wrong_with_its_config() {
    let text = fault(r#"{"least_request_experimental":{"choiceCount":1}}"#);
    assert!(
        text.contains("errors validating least_request LB policy config: [field:choiceCount error:must be at least 2]")
    );
    ServiceConfig::parse(r#"{"loadBalancingConfig":[{"least_request_experimental":{"choiceCount":99}}]}"#).unwrap();
}

// weighted_round_robin

/// Trailers with a report of this utilization and rate, and failures a second.
fn report(utilization: f64, rate: f64, failures: f64) -> Option<Metadata> {
    let field = |number: u8, value: f64| [&[number << 3 | 1][..], &value.to_le_bytes()].concat();
    let report = [field(9, utilization), field(6, rate), field(7, failures)].concat();
    let mut trailers = Metadata::new();
    trailers.append("endpoint-load-metrics-bin", report).unwrap();
    Some(trailers)
}

/// The second of three endpoints can do twice as much as the others.
fn twice_as_good(endpoint: &str) -> (Code, Option<Metadata>) {
    let utilization = if endpoint == at(2) { 0.25 } else { 0.5 };
    (Code::Ok, report(utilization, 100.0, 0.0))
}

fn is_even(spread: &BTreeMap<String, usize>) -> bool {
    spread.values().max().unwrap() - spread.values().min().unwrap() <= 1
}

#[test]
fn weighted_round_robin_uses_endpoints_as_often_as_their_load_allows() {
    let mut bench = connected(3, r#"{"weighted_round_robin":{}}"#);
    assert!(is_even(&call(&bench, 300, twice_as_good)), "nothing is known");
    bench.pass(Duration::from_secs(9));
    assert!(is_even(&call(&bench, 300, twice_as_good)), "it is not trusted yet");
    bench.pass(Duration::from_secs(3));
    let spread = call(&bench, 400, twice_as_good);
    assert!(spread[&at(2)].abs_diff(200) <= 4, "{spread:?}");
    assert!(spread[&at(1)].abs_diff(100) <= 4, "{spread:?}");
    bench.pass(Duration::from_secs(200));
    assert!(is_even(&call(&bench, 300, |_| (Code::Ok, None))), "it has expired");
}

#[test]
fn weighted_round_robin_counts_failures_against_an_endpoint() {
    let mut bench = connected(2, r#"{"weighted_round_robin":{"blackoutPeriod":"0s","errorUtilizationPenalty":2}}"#);
    // 100 / 0.5, and 100 / (0.5 + 2 * 0.25).
    let failing = |endpoint: &str| (Code::Ok, report(0.5, 100.0, if endpoint == at(1) { 25.0 } else { 0.0 }));
    call(&bench, 10, failing);
    bench.pass(Duration::from_secs(1));
    let spread = call(&bench, 300, failing);
    assert!(spread[&at(1)].abs_diff(100) <= 4, "{spread:?}");
}

#[test]
fn weighted_round_robin_does_not_trust_an_endpoint_that_has_connected_again() {
    let mut bench = connected(3, r#"{"weighted_round_robin":{}}"#);
    for _ in 0..12 {
        call(&bench, 30, twice_as_good);
        bench.pass(Duration::from_secs(1));
    }
    assert!(!is_even(&call(&bench, 300, twice_as_good)));
    bench.lose(&at(2), How::Broken, true);
    bench.accept(&at(2));
    bench.pass(Duration::from_secs(1));
    // It counts as the mean of the others.
    let spread = call(&bench, 300, twice_as_good);
    assert!(spread.values().all(|calls| calls.abs_diff(100) <= 3), "{spread:?}");
}

#[test]
fn weighted_round_robin_takes_nonsense_for_no_report() {
    let mut bench = connected(2, r#"{"weighted_round_robin":{"blackoutPeriod":"0s"}}"#);
    let mut garbage = Metadata::new();
    garbage.append("endpoint-load-metrics-bin", [0xff; 20]).unwrap();
    let odd = [Some(garbage), report(f64::NAN, 1.0, 0.0), report(-1.0, 1.0, 0.0), report(1.0, 0.0, 0.0)];
    for trailers in odd.into_iter().chain([report(f64::INFINITY, f64::INFINITY, f64::NAN)]) {
        call(&bench, 10, |_| (Code::Ok, trailers.clone()));
        bench.pass(Duration::from_secs(1));
        assert!(is_even(&call(&bench, 100, |_| (Code::Ok, None))), "{trailers:?}");
    }
}

#[test]
fn weighted_round_robin_says_what_is_wrong_with_its_config() {
    for (config, wrong) in [
        (r#"{"errorUtilizationPenalty":-1}"#, "[field:errorUtilizationPenalty error:must be non-negative]"),
        (r#"{"blackoutPeriod":5}"#, "[field:blackoutPeriod error:is not a duration]"),
        (r#"{"enableOobLoadReport":1}"#, "[field:enableOobLoadReport error:is not a boolean]"),
        (
            r#"{"metricNamesForComputingUtilization":[1]}"#,
            "field:metricNamesForComputingUtilization[0] error:is not a string",
        ),
    ] {
        let text = fault(&format!(r#"{{"weighted_round_robin":{config}}}"#));
        assert!(text.contains("errors validating weighted_round_robin LB policy config: "), "{text}");
        assert!(text.contains(wrong), "{text}");
    }
}

// outlier_detection

const PERCENTAGE: &str = r#"{"outlier_detection_experimental":{"maxEjectionPercent":MOST,"failurePercentageEjection":
    {"requestVolume":10},"childPolicy":[{"CHILD":{}}]}}"#;

fn outliers(child: &str, most: u32) -> Bench {
    connected(5, &PERCENTAGE.replace("CHILD", child).replace("MOST", &most.to_string()))
}

fn failing(hosts: &'static [usize]) -> impl Fn(&str) -> (Code, Option<Metadata>) {
    move |endpoint| {
        let fails = hosts.iter().any(|host| endpoint == at(*host));
        (if fails { Code::Unavailable } else { Code::Ok }, None)
    }
}

#[test]
fn outlier_detection_leaves_out_an_endpoint_that_fails_for_a_while() {
    for child in ["round_robin", "least_request_experimental", "weighted_round_robin"] {
        let mut bench = outliers(child, 10);
        assert_eq!(call(&bench, 100, failing(&[3])).len(), 5);
        bench.pass(Duration::from_secs(10));
        let spread = call(&bench, 400, failing(&[]));
        assert!(!spread.contains_key(&at(3)) && spread.len() == 4, "{child}: {spread:?}");
        bench.pass(Duration::from_secs(29));
        assert_eq!(call(&bench, 400, failing(&[])).len(), 4, "{child}");
        bench.pass(Duration::from_secs(2));
        assert_eq!(call(&bench, 400, failing(&[3])).len(), 5, "{child}: it has another chance");
        // The second time is twice as long.
        bench.pass(Duration::from_secs(9));
        assert_eq!(call(&bench, 400, failing(&[])).len(), 4, "{child}");
        bench.pass(Duration::from_secs(50));
        assert_eq!(call(&bench, 400, failing(&[])).len(), 4, "{child}");
        bench.pass(Duration::from_secs(20));
        assert_eq!(call(&bench, 400, failing(&[])).len(), 5, "{child}");
    }
}

#[test]
fn outlier_detection_leaves_out_no_more_than_it_may() {
    for (most, left) in [(0, 4), (10, 4), (40, 3), (41, 2)] {
        let mut bench = outliers("round_robin", most);
        call(&bench, 100, failing(&[1, 2, 3]));
        bench.pass(Duration::from_secs(10));
        assert_eq!(call(&bench, 400, failing(&[])).len(), left, "{most} %");
    }
}

#[test]
fn outlier_detection_uses_what_there_is_when_all_are_left_out() {
    let mut bench = outliers("round_robin", 100);
    call(&bench, 100, failing(&[1, 2, 3, 4, 5]));
    bench.pass(Duration::from_secs(10));
    assert_eq!(call(&bench, 400, failing(&[])).values().sum::<usize>(), 400);
}

#[test]
fn outlier_detection_needs_enough_calls_at_enough_endpoints() {
    let mut bench = outliers("round_robin", 100);
    call(&bench, 45, failing(&[3]));
    bench.pass(Duration::from_secs(10));
    assert_eq!(call(&bench, 400, failing(&[])).len(), 5, "9 calls each");
    call(&bench, 50, failing(&[3]));
    bench.pass(Duration::from_secs(10));
    assert_eq!(call(&bench, 400, failing(&[])).len(), 5, "the good calls before them count too");
}

#[test]
fn outlier_detection_compares_success_rates() {
    let policy = r#"{"outlier_detection_experimental":{"successRateEjection":{"requestVolume":10,"stdevFactor":1000},
        "childPolicy":[{"round_robin":{}}]}}"#;
    let mut bench = connected(5, policy);
    // One in four fails, and at one endpoint all.
    let calls = std::cell::Cell::new(0u32);
    call(&bench, 200, |endpoint| {
        calls.set(calls.get() + 1);
        let bad = endpoint == at(4) || calls.get() % 20 < 5;
        (if bad { Code::Internal } else { Code::Ok }, None)
    });
    bench.pass(Duration::from_secs(10));
    let spread = call(&bench, 400, failing(&[]));
    assert!(!spread.contains_key(&at(4)) && spread.len() == 4, "{spread:?}");
}

#[test]
fn outlier_detection_says_what_is_wrong_with_its_config() {
    for (config, wrong) in [
        ("{}", "[field:childPolicy error:field not present]"),
        (
            r#"{"childPolicy":[{"round_robin":{}}],"maxEjectionPercent":101}"#,
            "[field:maxEjectionPercent error:value must be <= 100]",
        ),
        (
            r#"{"childPolicy":[{"round_robin":{}}],"failurePercentageEjection":{"threshold":101}}"#,
            "[field:failurePercentageEjection.threshold error:value must be <= 100]",
        ),
        (r#"{"childPolicy":[{"round_robin":{}}],"interval":"x"}"#, "[field:interval error:is not a duration]"),
        (r#"{"childPolicy":[{"x":{}}]}"#, "[field:childPolicy error:No known policies in list: x]"),
        (
            r#"{"childPolicy":[{"round_robin":{}}],"successRateEjection":3}"#,
            "[field:successRateEjection error:is not an object]",
        ),
    ] {
        let text = fault(&format!(r#"{{"outlier_detection_experimental":{config}}}"#));
        assert!(text.contains("errors validating outlier_detection LB policy config: "), "{text}");
        assert!(text.contains(wrong), "{text}");
    }
}

// random_subsetting

#[test]
fn random_subsetting_uses_the_same_few_endpoints() {
    let policy = r#"{"random_subsetting_experimental":{"subsetSize":3,"childPolicy":[{"round_robin":{}}]}}"#;
    let mut bench = named(policy, 7);
    bench.connect();
    let twenty = || (1..=20).map(|host| Address::Ip(format!("127.0.0.{host}:1").parse().unwrap()));
    bench.tell(Ok(Answer::addresses(twenty())));
    let chosen = bench.dialling();
    assert_eq!(chosen.len(), 3);
    for address in &chosen {
        bench.accept(address);
    }
    assert_eq!(call(&bench, 300, failing(&[])).len(), 3);
    // Another client uses others.
    let mut other = named(policy, 8);
    other.connect();
    other.tell(Ok(Answer::addresses(twenty())));
    assert_ne!(other.dialling(), chosen);
}

/// A channel to a name, with a seed of its own.
fn named(policy: &str, seed: u64) -> Bench {
    let text = format!(r#"{{"loadBalancingConfig":[{policy}]}}"#);
    let config = Config { service_config: Arc::new(ServiceConfig::parse(&text).unwrap()), ..Config::new(seed) };
    let now = Instant::now();
    Bench::of(Channel::new(Target::parse("a.example:1").unwrap(), config, seed, now), now)
}

#[test]
fn random_subsetting_says_what_is_wrong_with_its_config() {
    let text = fault(r#"{"random_subsetting_experimental":{}}"#);
    let wrong = "[field:childPolicy error:field not present; field:subsetSize error:must be greater than 0]";
    assert!(text.contains(&format!("errors validating random_subsetting LB policy config: {wrong}")), "{text}");
}

// pick_first

#[test]
fn pick_first_shuffles_so_that_nine_times_the_weight_is_first_nine_times_as_often() {
    let endpoint = |host: usize, weight| {
        let address = Address::Ip(format!("127.0.0.{host}:1").parse().unwrap());
        Endpoint::new(vec![address]).with_weight(weight)
    };
    let mut first = 0;
    for seed in 0..500 {
        let mut bench = named(r#"{"pick_first":{"shuffleAddressList":true}}"#, seed);
        bench.connect();
        bench.tell(Ok(Found::new([endpoint(1, 1), endpoint(2, 9)]).into()));
        first += usize::from(bench.dialling() == [at(2)]);
    }
    assert!((425..475).contains(&first), "{first} of 500");
}

// weighted_round_robin, out of band

const OUT_OF_BAND: &str =
    r#"{"weighted_round_robin":{"enableOobLoadReport":true,"oobReportingPeriod":"5s","blackoutPeriod":"0s"}}"#;

fn loads(utilization: f64, rate: f64) -> Vec<u8> {
    let field = |number: u8, value: f64| [&[number << 3 | 1][..], &value.to_le_bytes()].concat();
    [field(9, utilization), field(6, rate)].concat()
}

/// Each of three servers reports, the second with half the load of the others.
fn report_all(bench: &mut Bench) {
    for host in 1..=3 {
        let stream = bench.stream_to(&at(host));
        bench.stream_message(stream, &loads(if host == 2 { 0.25 } else { 0.5 }, 100.0));
    }
    bench.pass(Duration::from_secs(1));
}

#[test]
fn weighted_round_robin_asks_for_loads_out_of_band() {
    let mut bench = connected(3, OUT_OF_BAND);
    assert_eq!(bench.channel.state(), Connectivity::Ready, "nothing waits for them");
    let (_, request) = bench.streams.values().next().unwrap();
    assert_eq!(
        (request.path, &*request.message),
        ("/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics", &[10, 2, 8, 5][..])
    );
    assert!(is_even(&call(&bench, 3000, |_| (Code::Ok, None))));
    report_all(&mut bench);
    // What trailers say does not count.
    let spread = call(&bench, 4000, |to| (Code::Ok, report(if to == at(1) { 0.01 } else { 1.0 }, 100.0, 0.0)));
    assert!(spread[&at(2)].abs_diff(2000) < 30, "{spread:?}");
    bench.pass(Duration::from_secs(1));
    let spread = call(&bench, 4000, |_| (Code::Ok, None));
    assert!(spread[&at(2)].abs_diff(2000) < 30, "{spread:?}");
}

#[test]
fn a_stream_of_loads_that_ends_is_opened_again_and_a_server_without_it_is_noted_once() {
    let mut bench = connected(2, OUT_OF_BAND);
    let (first, second) = (bench.stream_to(&at(1)), bench.stream_to(&at(2)));
    bench.stream_ended(first, &Status::new(Code::Internal, "boom"));
    bench.stream_ended(second, &Status::new(Code::Unimplemented, ""));
    assert_eq!(
        bench.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["ipv4:127.0.0.2:1: ORCA stream returned UNIMPLEMENTED; disabling"]
    );
    assert_eq!((bench.streams.len(), bench.channel.state()), (0, Connectivity::Ready));
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.streams.len(), 1);
    bench.stream_to(&at(1));
    bench.lose(&at(2), How::Broken, true);
    bench.accept(&at(2));
    let second = bench.stream_to(&at(2));
    bench.stream_ended(second, &Status::new(Code::Unimplemented, ""));
    assert_eq!(bench.notes.len(), 1);
}

#[test]
fn a_server_that_reports_without_end_loses_its_stream() {
    let mut bench = connected(1, OUT_OF_BAND);
    let stream = bench.stream_to(&at(1));
    for _ in 0..farcall_channel::limits::STREAM_MESSAGES {
        bench.stream_message(stream, &loads(0.5, 1.0));
    }
    assert_eq!(bench.streams.len(), 1);
    bench.stream_message(stream, &loads(0.5, 1.0));
    assert_eq!(bench.streams.len(), 0);
    bench.pass(Duration::from_secs(2));
    assert_eq!(bench.streams.len(), 1);
}

#[test]
fn loads_are_asked_for_as_the_config_has_it_now() {
    let mut bench = Bench::with("name:1", Config { idle_timeout: None, ..Config::new(7) });
    bench.connect();
    let tell = |bench: &mut Bench, policy: &str| {
        let text = format!(r#"{{"loadBalancingConfig":[{policy}]}}"#);
        let service_config = Ok(Arc::new(ServiceConfig::parse(&text).unwrap()));
        let endpoints = (1..=3).map(|host: u8| Endpoint::from(Address::Ip(([127, 0, 0, host], 1).into())));
        bench.tell(Ok(Found::new(endpoints).with_service_config(service_config).into()));
    };
    let again = |bench: &mut Bench| {
        bench.pass(Duration::from_secs(31));
        bench.lose(&at(3), How::Draining, true);
        bench.accept(&at(3));
    };
    tell(&mut bench, r#"{"weighted_round_robin":{"blackoutPeriod":"0s"}}"#);
    (1..=3).for_each(|host| assert_eq!(bench.accept(&at(host)), bench.connection_to(&at(host))));
    assert!(bench.streams.is_empty());
    again(&mut bench);
    tell(&mut bench, OUT_OF_BAND);
    assert_eq!(bench.streams.len(), 3, "on connections that are there");
    report_all(&mut bench);
    let spread = call(&bench, 4000, |_| (Code::Ok, None));
    assert!(spread[&at(2)].abs_diff(2000) < 30, "{spread:?}");
    again(&mut bench);
    tell(&mut bench, &OUT_OF_BAND.replace("5s", "7s"));
    let periods: Vec<u8> = bench.streams.values().map(|(_, request)| request.message[3]).collect();
    assert_eq!(periods, [7, 7, 7]);
    again(&mut bench);
    tell(&mut bench, r#"{"round_robin":{}}"#);
    assert!(bench.streams.is_empty());
    bench.channel.shutdown(&Status::new(Code::Cancelled, ""), bench.now);
    bench.drain();
    bench.assert_nothing_left();
}

#[test]
fn loads_and_health_are_streams_of_their_own() {
    let text = format!(r#"{{"loadBalancingConfig":[{OUT_OF_BAND}],"healthCheckConfig":{{"serviceName":"a"}}}}"#);
    let service_config = Arc::new(ServiceConfig::parse(&text).unwrap());
    let mut bench = Bench::with(&list(1), Config { service_config, ..Config::new(7) });
    bench.connect();
    bench.accept(&at(1));
    let ids: Vec<_> = bench.streams.keys().copied().collect();
    assert_eq!(ids.len(), 2);
    bench.stream_message(ids[1], &loads(0.5, 1.0));
    assert_eq!(bench.channel.state(), Connectivity::Connecting, "that says nothing of its health");
    bench.stream_message(ids[0], &[8, 1]);
    assert_eq!(bench.channel.state(), Connectivity::Ready);
    bench.lose(&at(1), How::Draining, true);
    assert!(bench.streams.is_empty());
}

// Slow start

#[test]
fn weighted_round_robin_warms_an_endpoint_up_that_has_just_connected() {
    let policy = r#"{"weighted_round_robin":{"blackoutPeriod":"0s","slowStartConfig":{"slowStartWindow":"20s"}}}"#;
    let mut bench = connected(3, policy);
    bench.pass(Duration::from_secs(60));
    call(&bench, 30, |_| (Code::Ok, report(0.5, 100.0, 0.0)));
    bench.pass(Duration::from_secs(1));
    assert!(is_even(&call(&bench, 3000, |_| (Code::Ok, report(0.5, 100.0, 0.0)))));
    bench.lose(&at(2), How::Broken, true);
    bench.accept(&at(2));
    let mut shares = Vec::new();
    for _ in 0..4 {
        let spread = call(&bench, 4000, |_| (Code::Ok, report(0.5, 100.0, 0.0)));
        shares.push(spread[&at(2)]);
        bench.pass(Duration::from_secs(7));
    }
    // A tenth of a third, then 7, 14 and all of 20 seconds' worth.
    for (calls, expected) in shares.iter().zip([190, 596, 1037, 1333]) {
        assert!(calls.abs_diff(expected) < 40, "{shares:?}");
    }
}

#[test]
fn slow_start_says_what_is_wrong_with_its_config() {
    let text = fault(r#"{"weighted_round_robin":{"slowStartConfig":{"aggression":0,"minWeightPercent":101}}}"#);
    let faults = "[field:slowStartConfig.aggression error:must be greater than 0; \
                  field:slowStartConfig.minWeightPercent error:must be in the range [0, 100]; \
                  field:slowStartConfig.slowStartWindow error:field not present]";
    assert!(text.contains(faults), "{text}");
    let text = fault(r#"{"weighted_round_robin":{"slowStartConfig":{"slowStartWindow":"0s"}}}"#);
    assert!(text.contains("field:slowStartConfig.slowStartWindow error:must be greater than 0"), "{text}");
}
