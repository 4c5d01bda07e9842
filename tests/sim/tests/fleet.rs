//! A small fleet: what the large one shows must show in it too. `make fleet` runs the large one.

use farcall_sim::fleet::{HEDGES, RETRIES, Report, Scenario, Setup, chart, policies, run};

fn setup(scenario: Scenario, policy: &str, judged: bool, attempts: &str) -> Setup {
    let found = policies(None).into_iter().find(|(name, own, _)| (*name, *own) == (policy, judged));
    Setup {
        clients: 20,
        servers: 10,
        rate: 20.0,
        seconds: 40,
        scenario,
        policy: found.expect("a policy").2,
        attempts: attempts.to_owned(),
        seed: 1,
    }
}

fn fleet(scenario: Scenario, policy: &str, judged: bool) -> Report {
    run(&setup(scenario, policy, judged, ""))
}

fn failed(report: &Report) -> f64 {
    report.failed as f64 / report.calls as f64
}

#[test]
fn where_nothing_goes_wrong_nothing_fails_and_all_servers_work_alike() {
    for (policy, busiest) in [("round_robin", 1.1), ("least_request", 1.15), ("weighted_round_robin", 1.4)] {
        let report = fleet(Scenario::Calm, policy, false);
        assert!(report.calls > 10_000 && failed(&report) < 0.001, "{policy}: {report:?}");
        assert!(report.busiest < busiest, "{policy}: {}", report.busiest);
    }
    let one_each = fleet(Scenario::Calm, "pick_first", false);
    assert!(one_each.busiest > 1.3, "clients with one connection each are spread by chance: {}", one_each.busiest);
}

#[test]
fn the_same_numbers_are_the_same_fleet() {
    let setup = setup(Scenario::RollingRestart, "least_request", true, HEDGES);
    assert_eq!(run(&setup), run(&setup));
    assert_ne!(run(&setup), run(&Setup { seed: 2, ..setup }));
}

#[test]
fn a_server_that_fails_is_left_out_where_outliers_are_detected() {
    for policy in ["round_robin", "least_request"] {
        let (off, on) = (fleet(Scenario::FailingTenth, policy, false), fleet(Scenario::FailingTenth, policy, true));
        assert!(failed(&on) < failed(&off) / 2.0, "{policy}: {} with, {} without", failed(&on), failed(&off));
        assert!(
            on.share < off.share.map(|share| 0.6 * share),
            "{policy}: {:?} with, {:?} without",
            on.share,
            off.share
        );
    }
}

#[test]
fn least_request_keeps_away_from_a_slow_server() {
    let (turns, least) =
        (fleet(Scenario::SlowTenth, "round_robin", false), fleet(Scenario::SlowTenth, "least_request", false));
    assert!(least.share < turns.share.map(|share| share / 2.0), "{:?} and {:?}", least.share, turns.share);
    assert!(failed(&least) < failed(&turns), "{} and {}", failed(&least), failed(&turns));
}

#[test]
fn a_restart_server_by_server_fails_nothing() {
    for policy in ["round_robin", "least_request", "weighted_round_robin"] {
        let report = fleet(Scenario::RollingRestart, policy, false);
        assert!(failed(&report) < 0.02, "{policy}: {}", failed(&report));
    }
}

#[test]
fn every_fleet_recovers_from_an_outage_and_retries_do_not_multiply_it() {
    // With pick_first some servers have more clients than they can serve, before and after.
    for (policy, judged, _) in policies(None).into_iter().filter(|(policy, ..)| *policy != "pick_first") {
        let report = fleet(Scenario::Outage, policy, judged);
        assert!(report.recovery.is_some_and(|seconds| seconds <= 8), "{policy}: {:?}", report.failed_percent);
    }
    for attempts in [RETRIES, HEDGES] {
        let report = run(&setup(Scenario::Outage, "round_robin", false, attempts));
        assert!(report.recovery.is_some_and(|seconds| seconds <= 8), "{:?}", report.failed_percent);
        assert!(report.amplification < 1.5, "{}", report.amplification);
    }
}

#[test]
fn a_chart_has_a_line_for_each_run() {
    let report = fleet(Scenario::LostZone, "round_robin", false);
    let svg = chart(Scenario::LostZone, &[("a", false, report.clone()), ("a", true, report)]);
    assert_eq!(svg.matches("fill=\"none\"").count(), 4);
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n") && svg.len() < 20_000);
}
