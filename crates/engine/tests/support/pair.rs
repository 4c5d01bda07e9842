use std::time::{Duration, Instant};

use farcall_core::Metadata;
use farcall_engine::{CallError, CallId, Config, Encoding, Request};
use fastrand::Rng;

use super::{
    End, Weather,
    wire::{Arrival, Wire},
};

/// A client and a server on one wire.
pub struct Pair {
    pub client: End,
    pub server: End,
    pub now: Instant,
    pub start: Instant,
    pub rng: Rng,
}

impl Pair {
    /// Two ends with default configurations, in good weather.
    pub fn calm() -> Pair {
        Pair::with(Config::client(), Config::server())
    }

    /// Two ends in good weather.
    pub fn with(client: Config, server: Config) -> Pair {
        Pair::new(client, server, [Weather::CALM; 2], Rng::with_seed(0))
    }

    /// Two ends; the weather is that of the way to the server and of the way back.
    pub fn new(client: Config, server: Config, weather: [Weather; 2], rng: Rng) -> Pair {
        let now = Instant::now();
        Pair {
            client: End::new(client, Wire::new(weather[1]), now),
            server: End::new(server, Wire::new(weather[0]), now),
            now,
            start: now,
            rng,
        }
    }

    /// Opens a call without metadata and deadline.
    #[track_caller]
    pub fn open(&mut self, path: &str) -> CallId {
        self.open_with(path, &Metadata::new(), None).expect("the connection takes calls")
    }

    /// Opens a call that must be over after `timeout`.
    pub fn open_with(
        &mut self,
        path: &str,
        metadata: &Metadata,
        timeout: Option<Duration>,
    ) -> Result<CallId, CallError> {
        self.open_encoded(path, metadata, timeout, Encoding::Identity)
    }

    /// [`open_with`](Pair::open_with), with compressed messages.
    pub fn open_encoded(
        &mut self,
        path: &str,
        metadata: &Metadata,
        timeout: Option<Duration>,
        encoding: Encoding,
    ) -> Result<CallId, CallError> {
        let deadline = timeout.map(|timeout| self.now + timeout);
        let request = Request { path, authority: "test.example", metadata, deadline };
        let call = self.client.connection.open_encoded(request, encoding, self.now)?;
        self.client.opened(call);
        Ok(call)
    }

    /// Opens a call, and lets the server see it.
    #[track_caller]
    pub fn started(&mut self, path: &str) -> (CallId, CallId) {
        let call = self.open(path);
        self.run();
        (call, self.server.request())
    }

    /// Goes on until nothing moves: no bytes to write, none on their way. Time passes as bytes need it, and time-outs
    /// fire on the way, but nobody waits for one.
    pub fn run(&mut self) {
        let mut turns = 0;
        while self.turn() || self.advance_to_arrival() {
            turns += 1;
            assert!(turns < 20_000_000, "the two ends keep each other busy without end");
        }
    }

    /// Goes on for a time, and fires every time-out in it.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.run();
        while let Some(at) = self.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.run();
        }
        self.now = self.now.max(end);
    }

    /// One thing that can happen now, picked at random; says whether there was one.
    pub fn turn(&mut self) -> bool {
        self.client.drain();
        self.server.drain();
        let first = self.rng.usize(0..6);
        let Pair { client, server, now, rng, .. } = self;
        (first..first + 6).any(|action| match action % 6 {
            0 => client.write(&mut server.inbound, *now, rng),
            1 => server.write(&mut client.inbound, *now, rng),
            2 => client.read(*now, rng),
            3 => server.read(*now, rng),
            4 => client.time_out(*now),
            _ => server.time_out(*now),
        }) || self.spread_break()
    }

    /// A transport that broke in one direction is broken in both.
    fn spread_break(&mut self) -> bool {
        let Pair { client, server, now, rng, .. } = self;
        if server.inbound.is_broken() {
            client.inbound.end(Arrival::Broken, *now, rng);
        } else if client.inbound.is_broken() {
            server.inbound.end(Arrival::Broken, *now, rng);
        }
        false
    }

    /// Time passes until something arrives or, if sooner, a time-out is due; says whether anything is on its way.
    fn advance_to_arrival(&mut self) -> bool {
        let arrivals = [self.client.inbound.next_arrival(), self.server.inbound.next_arrival()];
        let Some(arrival) = arrivals.into_iter().flatten().min() else {
            return false;
        };
        let next = self.next_timeout().map_or(arrival, |timeout| timeout.min(arrival));
        self.now = self.now.max(next);
        true
    }

    pub fn next_timeout(&self) -> Option<Instant> {
        [self.client.next_timeout(), self.server.next_timeout()].into_iter().flatten().min()
    }

    /// Breaks the transport for both ends after what is on its way.
    pub fn break_wire(&mut self) {
        let Pair { client, server, now, rng, .. } = self;
        client.inbound.end(Arrival::Broken, *now, rng);
        server.inbound.end(Arrival::Broken, *now, rng);
    }
}
