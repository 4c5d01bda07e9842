//! A channel in a world that does anything, from a seed, with checkers beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::bench::Bench;
use farcall_channel::{
    Config, ConnectError, Connectivity, How, Note, ServiceConfig, StreamId, Ticket, Until, Waiting,
    resolver::{Answer, Query},
};
use farcall_core::{Code, Status};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) >> 11).unwrap() % bound
    }
}

/// What must hold of the whole run.
struct World {
    bench: Bench,
    random: Random,
    calls: BTreeMap<u32, Ticket>,
    /// Calls that were queued or rest, and were not forgotten.
    expected: BTreeSet<u32>,
    next_call: u32,
}

const HOSTS: usize = 6;

const POLICIES: [&str; 6] = [
    r#"{"pick_first":{}}"#,
    r#"{"round_robin":{}}"#,
    r#"{"least_request_experimental":{}}"#,
    r#"{"weighted_round_robin":{"enableOobLoadReport":true,"slowStartConfig":{"slowStartWindow":"5s"}}}"#,
    r#"{"weighted_target_experimental":{"targets":{
        "a":{"weight":1,"childPolicy":[{"round_robin":{}}]},"b":{"weight":2,"childPolicy":[{"pick_first":{}}]}}}}"#,
    r#"{"priority_experimental":{"priorities":["a","b"],"children":{
        "a":{"config":[{"round_robin":{}}]},"b":{"config":[{"round_robin":{}}]}}}}"#,
];

impl World {
    fn new(seed: u64) -> World {
        let mut random = Random(seed);
        let policy = POLICIES[random.next(POLICIES.len())];
        let health = ["{}", r#"{"serviceName":"a.B"}"#][random.next(2)];
        let text = format!(r#"{{"loadBalancingConfig":[{policy}],"healthCheckConfig":{health}}}"#);
        let config = Config {
            service_config: Arc::new(ServiceConfig::parse(&text).unwrap()),
            idle_timeout: Some(Duration::from_secs(20)),
            min_resolution_interval: Duration::from_secs(3),
            ..Config::new(seed)
        };
        World {
            bench: Bench::with("name:1", config),
            random,
            calls: BTreeMap::new(),
            expected: BTreeSet::new(),
            next_call: 0,
        }
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        if items.is_empty() { None } else { items.get(self.random.next(items.len())).cloned() }
    }

    fn step(&mut self) {
        match self.random.next(15) {
            0 | 1 => self.call(),
            2 => self.forget(),
            3 => self.answer(),
            4 | 5 => self.accept(),
            6 => self.refuse(),
            7 | 8 => self.lose(),
            9 => self.rest(),
            12..15 => self.stream(),
            _ => self.pass(),
        }
        self.check();
    }

    fn call(&mut self) {
        if self.bench.pick().is_ok() && self.random.next(3) > 0 {
            return;
        }
        let deadline = (self.random.next(3) == 0).then(|| self.bench.now + Duration::from_secs(4));
        let call = Waiting::new("/a.B/C", self.random.next(2) == 0, deadline);
        let key = self.name();
        let ticket = self.bench.channel.queue(key, call, self.bench.now);
        self.calls.insert(key, ticket);
        // Others step it before anybody drains.
        if self.random.next(2) == 0 {
            self.bench.drain();
        }
    }

    fn rest(&mut self) {
        let until = match self.random.next(2) {
            0 => Until::Resumed,
            _ => Until::Time(self.bench.now + Duration::from_millis(500)),
        };
        let deadline = Some(self.bench.now + Duration::from_secs(8));
        let call = Waiting::new("/a.B/C", false, deadline);
        let key = self.name();
        let ticket = self.bench.channel.rest(key, call, until, self.bench.now);
        self.calls.insert(key, ticket);
        if self.random.next(2) == 0 {
            self.bench.channel.resume(ticket, self.bench.now);
        }
        self.bench.drain();
    }

    fn name(&mut self) -> u32 {
        self.next_call += 1;
        self.expected.insert(self.next_call);
        self.next_call
    }

    /// A server says something of itself, or stops to.
    fn stream(&mut self) {
        let open: Vec<StreamId> = self.bench.streams.keys().copied().collect();
        let Some(id) = self.pick(&open) else { return };
        match self.random.next(6) {
            0..3 => self.bench.stream_message(id, &[8, 1]),
            3 => self.bench.stream_message(id, &[8, 2]),
            4 => {
                let strange: Vec<u8> =
                    (0..self.random.next(12)).map(|_| self.random.next(256).to_le_bytes()[0]).collect();
                self.bench.stream_message(id, &strange);
            }
            _ => {
                let code = [Code::Unimplemented, Code::Unavailable, Code::Internal, Code::Ok][self.random.next(4)];
                self.bench.stream_ended(id, &Status::from(code));
                // What comes after the end is passed over.
                self.bench.stream_message(id, &[8, 2]);
            }
        }
    }

    fn forget(&mut self) {
        let all: Vec<(u32, Ticket)> = self.calls.iter().map(|(key, ticket)| (*key, *ticket)).collect();
        let Some((key, ticket)) = self.pick(&all) else { return };
        if self.bench.channel.forget(ticket) {
            assert!(self.expected.remove(&key), "call {key} was forgotten after its end");
        }
        self.calls.remove(&key);
        self.bench.drain();
    }

    fn answer(&mut self) {
        if self.bench.queries.is_empty() {
            return;
        }
        assert_eq!(self.bench.queries.len(), 1, "one name is asked for once at a time");
        assert!(matches!(self.bench.queries[0].1, Query::Host { port: 1, .. }));
        let count = self.random.next(HOSTS + 1);
        let first = self.random.next(HOSTS);
        let hosts: Vec<String> = (0..count).map(|host| format!("127.0.0.{}:1", (first + host) % HOSTS + 1)).collect();
        if self.random.next(4) == 0 {
            self.bench.tell(Err("Domain name not found".to_owned()));
        } else {
            let found = hosts.iter().map(|host| farcall_channel::Address::Ip(host.parse().unwrap()));
            self.bench.tell(Ok(Answer::addresses(found)));
        }
    }

    fn accept(&mut self) {
        let dialling = self.bench.dialling();
        if let Some(address) = self.pick(&dialling) {
            self.bench.accept(&address);
        }
    }

    fn refuse(&mut self) {
        let dials: Vec<_> = self.bench.dials.keys().copied().collect();
        let Some(dial) = self.pick(&dials) else { return };
        self.bench.refuse_dial(dial);
        // Reported twice, it counts once.
        let error = ConnectError { code: Code::Unknown, why: "no".to_owned() };
        self.bench.channel.handle_connect_failed(dial, &error, self.bench.now);
        self.bench.drain();
    }

    fn lose(&mut self) {
        let connections: Vec<String> = self.bench.connections.values().cloned().collect();
        let Some(address) = self.pick(&connections) else { return };
        let how = [How::Draining, How::Broken][self.random.next(2)];
        let useful = self.random.next(2) == 0;
        self.bench.lose(&address, how, useful);
    }

    fn pass(&mut self) {
        let time = Duration::from_millis([1, 250, 1000, 5000][self.random.next(4)]);
        let until = self.bench.now + time;
        let mut timers = 0;
        while self.bench.channel.poll_timeout().is_some_and(|at| at <= until) {
            self.bench.sleep();
            self.hear();
            timers += 1;
            assert!(timers < 1000, "{timers} timers in {time:?}");
        }
        self.bench.now = until;
    }

    /// Answers whether it is in use.
    fn hear(&mut self) {
        for connections in std::mem::take(&mut self.bench.asked) {
            assert!(!connections.is_empty());
            let in_use = self.random.next(2) == 0;
            self.bench.channel.handle_in_use(in_use, self.bench.now);
            self.bench.drain();
        }
    }

    fn check(&mut self) {
        self.bench.drain();
        self.hear();
        let started = std::mem::take(&mut self.bench.started);
        for (key, connection) in started {
            assert!(self.expected.remove(&key), "call {key} is started twice, or after its end");
            assert!(self.bench.connections.values().any(|name| *name == connection), "onto a connection that is there");
        }
        for (key, refusal) in std::mem::take(&mut self.bench.failed) {
            assert!(self.expected.remove(&key), "call {key} fails twice, or after its end");
            assert_ne!(refusal.status.code, Code::Ok);
        }
        assert_eq!(self.bench.channel.has_waiting(), !self.expected.is_empty(), "{:?}", self.expected);
        let mut dialling = self.bench.dialling();
        let all = dialling.len();
        dialling.sort();
        dialling.dedup();
        assert_eq!(dialling.len(), all, "one address is dialled once at a time");
        match (self.bench.channel.state(), self.bench.pick()) {
            (Connectivity::Ready, Ok(connection)) => {
                assert!(self.bench.connections.values().any(|name| *name == connection));
            }
            (Connectivity::Idle | Connectivity::Connecting, Err(None)) => {}
            (Connectivity::TransientFailure, Err(Some(refusal))) => {
                assert_eq!(refusal.status.code, Code::Unavailable);
            }
            (state, pick) => panic!("{pick:?} in {state}"),
        }
        let mut before = None;
        for state in self.bench.take_states() {
            assert_ne!(Some(state), before, "a change is a change");
            before = Some(state);
        }
        let unwell = |note: &Note| matches!(note, Note::NoHealthService(_) | Note::NoLoadReports(_));
        assert!(self.bench.notes.iter().all(unwell), "{:?}", self.bench.notes);
    }

    fn end(mut self) {
        self.bench.channel.shutdown(&Status::new(Code::Cancelled, "bye"), self.bench.now);
        self.bench.drain();
        for (key, _) in std::mem::take(&mut self.bench.failed) {
            assert!(self.expected.remove(&key), "call {key} fails twice");
        }
        assert!(self.expected.is_empty(), "{:?} never ended", self.expected);
        self.bench.assert_nothing_left();
        assert_eq!(self.bench.channel.poll_timeout(), None);
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..400 {
        world.step();
    }
    world.end();
}

#[test]
fn three_hundred_worlds() {
    for seed in 0..300 {
        let result = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = result {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
