//! What names stand for, and what is asked of the clients that look them up: service configs with policies drawn at
//! random.

use std::{net::SocketAddr, sync::Arc};

use farcall_channel::{
    Address, ServiceConfig,
    balancer::PolicyConfig,
    resolver::{Endpoint, Found},
};
use fastrand::Rng;

use crate::witness::{Witness, Witnessed};

pub(crate) const PORT: u16 = 50_051;

/// Where a server is.
pub(crate) fn address(server: usize) -> Address {
    Address::Ip(SocketAddr::from(([10, 0, 0, server as u8 + 1], PORT)))
}

/// Which server is there, if any.
pub(crate) fn server_at(address: &Address) -> Option<usize> {
    match address {
        Address::Ip(SocketAddr::V4(address)) => match address.ip().octets() {
            [10, 0, 0, host] => Some(usize::from(host) - 1),
            _ => None,
        },
        _ => None,
    }
}

/// An address where nobody is.
fn nowhere(number: usize) -> Address {
    Address::Ip(SocketAddr::from(([10, 0, 1, number as u8], PORT)))
}

/// How many services the configs know; calls of the service 0 are asked nothing.
pub(crate) const SERVICES: usize = 12;

/// Retries and hedges that differ by service.
const METHODS: &str = r#""methodConfig":[
    {"name":[{"service":"sim.S1"}],"hedgingPolicy":{"maxAttempts":2,"hedgingDelay":"0s","nonFatalStatusCodes":CODES}},
    {"name":[{"service":"sim.S2"}],"hedgingPolicy":{"maxAttempts":5,"hedgingDelay":"0s","nonFatalStatusCodes":CODES}},
    {"name":[{"service":"sim.S3"}],"hedgingPolicy":{"maxAttempts":3,"hedgingDelay":"0.02s","nonFatalStatusCodes":CODES}},
    {"name":[{"service":"sim.S4"}],"hedgingPolicy":{"maxAttempts":4,"hedgingDelay":"0.5s","nonFatalStatusCodes":CODES}},
    {"name":[{"service":"sim.S5"}],"hedgingPolicy":{"maxAttempts":3,"hedgingDelay":"3s","nonFatalStatusCodes":CODES}},
    {"name":[{"service":"sim.S6"}],"retryPolicy":{"maxAttempts":2,"initialBackoff":"0.001s","maxBackoff":"3s",MORE}},
    {"name":[{"service":"sim.S7"}],"retryPolicy":{"maxAttempts":5,"initialBackoff":"0.001s","maxBackoff":"3s",MORE}},
    {"name":[{"service":"sim.S8"}],"retryPolicy":{"maxAttempts":3,"initialBackoff":"0.1s","maxBackoff":"3s",MORE}},
    {"name":[{"service":"sim.S9"}],"retryPolicy":{"maxAttempts":4,"initialBackoff":"1s","maxBackoff":"3s",MORE}},
    {"name":[{"service":"sim.S10"}],"retryPolicy":{"maxAttempts":5,"initialBackoff":"0.1s","maxBackoff":"3s",MORE}},
    {"name":[{"service":"sim.S11"}],"timeout":"3s","waitForReady":true}
]"#;

/// Policies, each with every other one that makes sense below it.
const POLICIES: [&str; 14] = [
    r#"{"pick_first":{}}"#,
    r#"{"pick_first":{"shuffleAddressList":true}}"#,
    r#"{"round_robin":{}}"#,
    r#"{"round_robin":{}}"#,
    r#"{"least_request_experimental":{"choiceCount":2}}"#,
    r#"{"least_request_experimental":{"choiceCount":5}}"#,
    r#"{"weighted_round_robin":{"blackoutPeriod":"0s","weightUpdatePeriod":"0.1s","weightExpirationPeriod":"5s"}}"#,
    r#"{"weighted_round_robin":{"blackoutPeriod":"2s","errorUtilizationPenalty":0.5}}"#,
    r#"{"outlier_detection_experimental":{"interval":"2s","baseEjectionTime":"3s","maxEjectionPercent":50,
        "failurePercentageEjection":{"threshold":40,"minimumHosts":1,"requestVolume":2},
        "childPolicy":[{"round_robin":{}}]}}"#,
    r#"{"outlier_detection_experimental":{"interval":"1s","baseEjectionTime":"2s","maxEjectionPercent":100,
        "failurePercentageEjection":{"threshold":10,"minimumHosts":1,"requestVolume":1},
        "childPolicy":[{"least_request_experimental":{"choiceCount":2}}]}}"#,
    r#"{"outlier_detection_experimental":{"interval":"3s","baseEjectionTime":"1s",
        "successRateEjection":{"stdevFactor":500,"minimumHosts":2,"requestVolume":2},
        "childPolicy":[{"weighted_round_robin":{"blackoutPeriod":"0s"}}]}}"#,
    r#"{"random_subsetting_experimental":{"subsetSize":2,"childPolicy":[{"round_robin":{}}]}}"#,
    r#"{"random_subsetting_experimental":{"subsetSize":1,"childPolicy":[{"pick_first":{}}]}}"#,
    r#"{"outlier_detection_experimental":{"interval":"1s","baseEjectionTime":"1s",
        "failurePercentageEjection":{"threshold":30,"minimumHosts":1,"requestVolume":1},
        "childPolicy":[{"random_subsetting_experimental":{"subsetSize":2,
        "childPolicy":[{"least_request_experimental":{}}]}}]}}"#,
];

/// What all service configs are made of.
#[derive(Debug)]
pub(crate) struct Configs {
    methods: ServiceConfig,
    policies: Vec<Arc<dyn PolicyConfig>>,
}

impl Configs {
    pub(crate) fn new() -> Configs {
        let codes = r#"["UNAVAILABLE","ABORTED"]"#;
        let more = format!(r#""backoffMultiplier":2,"retryableStatusCodes":{codes}"#);
        let methods = format!("{{{}}}", METHODS.replace("CODES", codes).replace("MORE", &more));
        let policy = |text: &&str| {
            let parsed = ServiceConfig::parse(&format!(r#"{{"loadBalancingConfig":[{text}]}}"#)).expect("a policy");
            // Where the policy is not known, another stands in for it.
            parsed.load_balancing.filter(|policy| text.contains(policy.name()))
        };
        Configs {
            methods: ServiceConfig::parse(&methods).expect("a service config"),
            policies: POLICIES.iter().filter_map(policy).collect(),
        }
    }

    /// One of the policies, with a witness in it.
    pub(crate) fn policy(&self, witness: &Arc<Witness>, rng: &mut Rng) -> Arc<dyn PolicyConfig> {
        Witnessed::in_config(rng.choice(&self.policies).expect("a policy"), witness)
    }

    /// Any service config: with a policy or without, with what is asked of calls or without.
    pub(crate) fn any(&self, witness: &Arc<Witness>, rng: &mut Rng) -> Arc<ServiceConfig> {
        let mut config = if rng.u8(0..6) > 0 { self.methods.clone() } else { ServiceConfig::default() };
        config.health_service = (rng.u8(0..5) == 0).then(|| "sim".into());
        config.load_balancing = (rng.u8(0..5) > 0).then(|| self.policy(witness, rng));
        Arc::new(config)
    }

    /// What a name stands for. In a world that is well it is some of the servers, and all that comes with it is right.
    pub(crate) fn answer(
        &self,
        servers: usize,
        well: bool,
        witness: &Arc<Witness>,
        rng: &mut Rng,
    ) -> Result<Found, String> {
        let mut addresses: Vec<Address> = (0..servers).map(address).collect();
        rng.shuffle(&mut addresses);
        addresses.truncate(rng.usize(1..=servers));
        if !well {
            match rng.u8(0..16) {
                0..3 => return Err("Domain name not found".to_owned()),
                3 => addresses.clear(),
                4 => addresses.extend((0..rng.usize(1..4)).map(nowhere)),
                5 if rng.bool() => addresses.extend((0..rng.usize(1..100)).map(nowhere)),
                _ => {}
            }
            rng.shuffle(&mut addresses);
        }
        if rng.u8(0..4) == 0 {
            addresses.extend_from_within(..addresses.len() / 2);
        }
        let mut endpoints: Vec<Endpoint> = Vec::new();
        for address in addresses {
            match endpoints.last_mut() {
                Some(endpoint) if rng.u8(0..8) == 0 => endpoint.addresses.push(address),
                _ => endpoints.push(Endpoint::from(address)),
            }
        }
        let found = Found::new(endpoints);
        Ok(match rng.u8(0..12) {
            0..4 => found.with_service_config(Ok(self.any(witness, rng))),
            4 if !well => found.with_service_config(Err("field:methodConfig error:is not an array".to_owned())),
            _ => found,
        })
    }
}
