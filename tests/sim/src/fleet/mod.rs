//! A fleet: thousands of channels before hundreds of servers, in virtual time, to see what a policy does to all of them
//! together.
//!
//! The clients are the brains that ship (`farcall-channel`): each resolves, connects, picks, retries and hedges as it would.
//! Their connections are not: a call is on its way for a time and then before a server, which works on some calls at once and
//! has the others wait. All of it follows from one seed.

mod chart;
mod client;
mod measure;
mod run;
mod scenario;
mod server;
mod site;

use std::time::Duration;

pub use chart::chart;
pub use measure::Report;
pub use scenario::Scenario;

use self::run::Fleet;

/// What is run.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many clients there are, each with a channel.
    pub clients: usize,
    /// How many servers there are, in three zones.
    pub servers: usize,
    /// Calls of one client in a second, at random times.
    pub rate: f64,
    /// How long, in seconds.
    pub seconds: u64,
    /// What befalls the servers.
    pub scenario: Scenario,
    /// The policy of the channels, an entry of `loadBalancingConfig`.
    pub policy: String,
    /// How calls are made again, fields of a `methodConfig`; empty: they are not.
    pub attempts: String,
    /// Everything else follows from it.
    pub seed: u64,
}

/// The policies that are compared, by name: without outlier detection and with it. Where there are many servers each client
/// uses so many of them (gRFC A68), but for `pick_first`, which uses one.
pub fn policies(subset: Option<usize>) -> Vec<(&'static str, bool, String)> {
    let plain = [
        ("pick_first", r#"{"pick_first":{}}"#),
        ("round_robin", r#"{"round_robin":{}}"#),
        ("least_request", r#"{"least_request_experimental":{"choiceCount":2}}"#),
        ("weighted_round_robin", r#"{"weighted_round_robin":{"blackoutPeriod":"1s"}}"#),
    ];
    let some = |(name, policy): (&'static str, &str)| match subset.filter(|_| name != "pick_first") {
        None => (name, policy.to_owned()),
        Some(size) => {
            let text =
                format!(r#"{{"random_subsetting_experimental":{{"subsetSize":{size},"childPolicy":[{policy}]}}}}"#);
            (name, text)
        }
    };
    let judged = |child: &str| {
        format!(
            r#"{{"outlier_detection_experimental":{{"interval":"4s","baseEjectionTime":"10s","maxEjectionPercent":30,
            "failurePercentageEjection":{{"threshold":50,"minimumHosts":3,"requestVolume":3}},
            "childPolicy":[{child}]}}}}"#
        )
    };
    let both = |(name, policy): (&'static str, String)| {
        let judged = judged(&policy);
        [(name, false, policy), (name, true, judged)]
    };
    plain.into_iter().map(some).flat_map(both).collect()
}

/// Retries as gRFC A6 has them, with throttling.
pub const RETRIES: &str = r#""retryPolicy":{"maxAttempts":3,"initialBackoff":"0.05s","maxBackoff":"0.5s",
    "backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}"#;

/// Hedging: another attempt after 200 ms.
pub const HEDGES: &str =
    r#""hedgingPolicy":{"maxAttempts":2,"hedgingDelay":"0.2s","nonFatalStatusCodes":["UNAVAILABLE"]}"#;

/// Runs a fleet to its end.
pub fn run(setup: &Setup) -> Report {
    Fleet::new(setup).run()
}

fn seconds(time: f64) -> Duration {
    Duration::from_secs_f64(time)
}
