//! Who is in a world: clients and servers, and how they are set up.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{Channel, Config as ChannelConfig, Target, ThrottlingConfig, call::Throttle};
use farcall_engine::{Budget, Config, Limits};
use fastrand::Rng;

use crate::{
    hand::Client,
    names::{Configs, PORT},
    wire::Weather,
    witness::Witness,
};

pub(crate) struct Server {
    pub(crate) config: Config,
    pub(crate) up: bool,
    pub(crate) manner: Manner,
}

/// What becomes of connections to a server that is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Manner {
    Honest,
    /// Nobody answers.
    Silent,
    /// They are accepted, and nothing is said.
    Mute,
    /// What is said makes no sense.
    Garbage,
    /// What it says it takes is not what it takes.
    Liar,
    /// They are sent away as soon as they are there.
    Doorman,
    /// Each call is reset.
    Resetter,
}

impl Manner {
    pub(crate) const BAD: [Manner; 6] =
        [Manner::Silent, Manner::Mute, Manner::Garbage, Manner::Liar, Manner::Doorman, Manner::Resetter];
}

impl Server {
    pub(crate) fn come_back(&mut self) {
        (self.up, self.manner) = (true, Manner::Honest);
    }
}

/// In every other world connections share memory: all of a process that is both, or those of each server and client.
pub(crate) fn share(servers: &mut [Server], clients: &mut [Client], rng: &mut Rng) -> Vec<Arc<Budget>> {
    let all = rng.bool();
    let of_process = all.then(|| Arc::new(Budget::new(*rng.choice(&[64 << 20, 1 << 20, 200_000]).expect("a choice"))));
    let configs = servers.iter_mut().map(|server| &mut server.config);
    let configs = configs.chain(clients.iter_mut().map(|client| &mut client.engine));
    let mut budgets: Vec<Arc<Budget>> = of_process.iter().cloned().collect();
    for config in configs {
        let own = || rng.bool().then(|| Arc::new(Budget::new(*rng.choice(&[8 << 20, 100_000, 1]).expect("a choice"))));
        config.budget = of_process.clone().or_else(own);
        budgets.extend(config.budget.clone());
    }
    budgets
}

pub(crate) fn client(servers: usize, configs: &Configs, now: Instant, rng: &mut Rng) -> Client {
    let target = if rng.u8(0..3) > 0 {
        "sim.example:50051".to_owned()
    } else {
        let addresses: Vec<String> = (1..=servers).map(|server| format!("10.0.0.{server}:{PORT}")).collect();
        format!("ipv4:{}", addresses.join(","))
    };
    let target = Target::parse(&target).expect("a target");
    let mut config = Config { limits: limits(rng), runs: rng.bool(), ..Config::client() };
    config.keepalive_time = seconds(&[None, Some(10), Some(3)], rng);
    config.keepalive_timeout = Duration::from_secs(5);
    config.keepalive_without_calls = rng.bool();
    config.max_pings_without_data = rng.u32(0..3);
    let witness = Arc::new(Witness::default());
    let channel = channel_config(configs, &witness, rng);
    let interval = channel.min_resolution_interval;
    let throttle = rng.bool().then(|| {
        let config = ThrottlingConfig { max_tokens: rng.u32(1..10), thousandths_per_success: rng.u32(1..3000) };
        Arc::new(Throttle::new(config))
    });
    let brain = Channel::new(target, channel, rng.u64(..), now);
    Client::new(brain, witness, config, throttle, interval, now)
}

fn channel_config(configs: &Configs, witness: &Arc<Witness>, rng: &mut Rng) -> ChannelConfig {
    let mut config = ChannelConfig::new(rng.u64(..));
    config.connect_timeout = Duration::from_secs(rng.u64(2..21));
    config.attempt_delay = Duration::from_millis(rng.u64(100..2000));
    config.idle_timeout = seconds(&[None, Some(1800), Some(5), Some(1)], rng);
    config.min_resolution_interval = Duration::from_secs(rng.u64(1..6));
    config.refresh_interval = rng.bool().then(|| Duration::from_secs(rng.u64(6..20)));
    config.service_config = configs.any(witness, rng);
    config.policy = rng.bool().then(|| configs.policy(witness, rng));
    config.limits.addresses = *rng.choice(&[16_384, 16_384, 4]).expect("a choice");
    config
}

/// Any weather in which everything finishes within the hour.
pub(crate) fn weather(rng: &mut Rng) -> Weather {
    let any = Weather::any(rng);
    let capacity = if any.delay.is_zero() { any.capacity } else { any.capacity.max(20_000) };
    Weather { capacity, ..any }
}

pub(crate) fn server(rng: &mut Rng) -> Server {
    let mut config = Config { limits: limits(rng), runs: rng.bool(), ..Config::server() };
    config.keepalive_time = seconds(&[Some(7200), None, Some(5)], rng);
    config.limits.min_ping_interval = seconds(&[Some(0), Some(300)], rng).unwrap_or_default();
    config.limits.min_ping_interval_without_calls = config.limits.min_ping_interval;
    config.max_connection_idle = seconds(&[None, None, Some(2)], rng);
    config.max_connection_age = seconds(&[None, None, Some(3)], rng);
    config.max_connection_age_grace = seconds(&[None, Some(5)], rng);
    config.limits.max_concurrent_streams = *rng.choice(&[None, None, Some(1), Some(3), Some(100)]).expect("a choice");
    Server { config, up: true, manner: Manner::Honest }
}

fn seconds(choices: &[Option<u64>], rng: &mut Rng) -> Option<Duration> {
    rng.choice(choices).copied().flatten().map(Duration::from_secs)
}

fn limits(rng: &mut Rng) -> Limits {
    let mut limits = Limits::default();
    let mut any = |choices: &[u32]| *rng.choice(choices).expect("a choice");
    limits.stream_window = any(&[4 << 20, 1 << 20, 65_535, 20_000, 1000]);
    limits.initial_stream_window = any(&[65_535, 1000]);
    limits.incomplete = any(&[64 << 20, 100_000, 1]) as usize;
    limits.connection_window = any(&[8 << 20, 1 << 20, 100_000, 65_535]);
    limits.max_frame_size = any(&[16_384, 20_000, 1 << 20]);
    limits.send_buffer = any(&[64 << 10, 1, 5000]) as usize;
    limits.header_table_size = any(&[4096, 0, 100, 65_536]);
    limits.unread = any(&[256 << 20, 30_000, 1]) as usize;
    limits.unsent = any(&[512 << 20, 100_000, 1]) as usize;
    limits
}
