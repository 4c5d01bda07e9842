//! What goes wrong, and how it ends.

use std::{sync::LazyLock, time::Duration};

use farcall_channel::{DialId, StreamEvent, StreamId};
use farcall_core::{Code, Status};
use farcall_engine::{Config, ErrorCode};

use crate::{
    guests::{Burst, Long, Paused},
    link::Link,
    names::server_at,
    setup::{Manner, weather},
    world::{Task, World},
};

/// How streams end on which servers say how they are.
static UNIMPLEMENTED: LazyLock<Status> = LazyLock::new(|| Status::from(Code::Unimplemented));
static UNAVAILABLE: LazyLock<Status> = LazyLock::new(|| Status::from(Code::Unavailable));

impl World<'_> {
    /// A connection is made, or is not.
    pub(crate) fn dialled(&mut self, client: usize, id: DialId) {
        let hand = &mut self.clients[client];
        let Some(dialling) = hand.dials.get_mut(&id) else { return };
        let Some(server) = server_at(&dialling.address).filter(|server| self.servers[*server].up) else {
            let why = "Failed to connect to remote host: Connection refused".to_owned();
            return hand.handle_connect_failed(id, Code::Unknown, why, self.now);
        };
        dialling.link = Some(self.links.len());
        let keepalive_time = hand.engine.keepalive_time.max(dialling.keepalive_time);
        let seed = self.rng.u64(..);
        let configs = [
            Config { seed, keepalive_time, ..hand.engine.clone() },
            Config { seed: seed ^ 1, ..self.servers[server].config.clone() },
        ];
        let mut weather = [weather(&mut self.rng), weather(&mut self.rng)];
        if !self.fair && !self.healed && self.rng.u8(0..4) == 0 {
            let size = [100, 1000, 100_000][self.rng.usize(0..3)];
            weather[self.rng.usize(0..2)].breaks_after = Some(self.rng.usize(1..=size));
        }
        let mut link = Link::new((client, id, server), configs, weather, self.now);
        match self.servers[server].manner {
            Manner::Honest | Manner::Silent | Manner::Resetter | Manner::Doorman => {}
            Manner::Mute => link.silence(),
            Manner::Garbage => link.garble(self.now, &mut self.rng),
            Manner::Liar => link.lie(self.now, &mut self.rng),
        }
        self.links.push(link);
    }

    pub(crate) fn trouble(&mut self) {
        if self.healed {
            return;
        }
        let kind = self.rng.u8(0..14);
        self.note(kind);
        let server = self.rng.usize(0..self.servers.len());
        match kind {
            0..4 => return self.server_trouble(server, kind),
            10.. => return self.bad_manners(server),
            _ => {}
        }
        let alive: Vec<usize> = (0..self.links.len()).filter(|index| self.links[*index].is_alive()).collect();
        let Some(&index) = self.rng.choice(&alive) else { return };
        let (side, time) = (self.rng.usize(0..2), self.delay(20_000));
        let link = &mut self.links[index];
        match kind {
            4 | 5 => link.reset(self.now),
            6 => link.silence(),
            7 => link.stall(side, self.now, time),
            8 => {
                link.disturbed = true;
                let status = Status::new(Code::Unavailable, "closed");
                link.ends[side].connection.close(ErrorCode::NO_ERROR, "", &status, self.now);
                link.ends[side].drain();
            }
            _ => {
                link.refusing = true;
                link.ends[side].connection.shutdown(self.now);
                link.ends[side].drain();
            }
        }
    }

    /// A server crashes, is cut off, or goes away politely, and comes back after a time.
    fn server_trouble(&mut self, server: usize, kind: u8) {
        for link in self.links.iter_mut().filter(|link| link.server == server && link.is_alive()) {
            match kind {
                0 | 1 => link.reset(self.now),
                2 => link.silence(),
                _ => {
                    link.refusing = true;
                    link.ends[1].connection.shutdown(self.now);
                    link.ends[1].drain();
                }
            }
        }
        self.servers[server].up = false;
        let away = self.delay(20_000);
        self.later(away, Task::ServerBack(server));
    }

    /// A server, or every one, becomes one that nobody would want, for a time.
    fn bad_manners(&mut self, server: usize) {
        let manner = *self.rng.choice(&Manner::BAD).expect("a manner");
        let servers = if self.rng.u8(0..3) == 0 { 0..self.servers.len() } else { server..server + 1 };
        for server in servers {
            self.servers[server].manner = manner;
            // Those who are there come again.
            for link in self.links.iter_mut().filter(|link| link.server == server && link.is_alive()) {
                link.reset(self.now);
            }
            let time = self.delay(15_000);
            self.later(time, Task::ServerBack(server));
        }
    }

    pub(crate) fn heal(&mut self) {
        self.healed = true;
        for server in &mut self.servers {
            server.come_back();
            server.config.max_connection_age_grace = None;
            server.config.limits.min_ping_interval = Duration::ZERO;
            server.config.limits.min_ping_interval_without_calls = Duration::ZERO;
        }
        // To a channel the reset of a connection that is still being made is a failure like any other.
        self.fair &= self.links.iter().all(|link| link.ends[0].ready || !link.is_alive() || !link.is_unfit());
        self.links.iter_mut().for_each(|link| link.heal(self.now));
        for client in 0..self.clients.len() {
            for id in self.clients[client].streams(None) {
                self.later(Duration::ZERO, Task::Health { client, id });
            }
        }
    }

    /// A server says how it is, once or again and again, to a client that has asked.
    pub(crate) fn say_health(&mut self, client: usize, id: StreamId) {
        let (well, hand) = (self.fair || self.healed, &mut self.clients[client]);
        let ended = |lacking: bool| -> StreamEvent<'static> {
            StreamEvent::Ended(if lacking { &UNIMPLEMENTED } else { &UNAVAILABLE })
        };
        let event = match self.rng.u8(0..16) {
            0 | 1 if !well => StreamEvent::Message(&[8, 2]),
            2 if !well => StreamEvent::Message(&[8, 3]),
            3 if !well => StreamEvent::Message(&[0xff; 5]),
            4 if !well => ended(self.rng.bool()),
            _ => StreamEvent::Message(&[8, 1]),
        };
        if hand.handle_stream(id, event, self.now) && !well {
            let after = self.delay(5_000);
            self.later(after, Task::Health { client, id });
        }
    }

    /// A guest does something: on a connection of an honest client, or on its own.
    pub(crate) fn guest(&mut self) {
        let (now, rng) = (self.now, &mut self.rng);
        for hostile in &mut self.hostiles {
            for _ in 0..rng.usize(1..20) {
                hostile.act(now, rng, &mut self.trace);
            }
        }
        let working = |link: &Link| link.told_ready.is_some() && !link.told_lost && link.is_alive();
        let links: Vec<usize> = (0..self.links.len()).filter(|index| working(&self.links[*index])).collect();
        let Some(&index) = self.rng.choice(&links) else { return };
        let streams = self.servers[self.links[index].server].config.limits.max_concurrent_streams;
        let [client, _] = &mut self.links[index].ends;
        match self.rng.u8(0..6) {
            0..3 => self.bursts.push(Burst::open(index, client, now, &mut self.rng)),
            3 => self.longs.extend(Long::open(index, client, now, &mut self.rng)),
            // Not where they could take all the streams there are.
            _ if streams.is_none_or(|streams| streams > 12) => {
                self.paused.extend(Paused::open(index, client, now, &mut self.rng));
            }
            _ => {}
        }
    }

    /// Ends bursts that have had their time, and looks how calls with long headers end; says whether anything happened.
    pub(crate) fn step_guests(&mut self) -> bool {
        let (due, kept) = std::mem::take(&mut self.bursts).into_iter().partition(|burst| burst.until <= self.now);
        self.bursts = kept;
        let due: Vec<Burst> = due;
        let before = self.longs.len() + due.len();
        for burst in due {
            let [client, _] = &mut self.links[burst.link].ends;
            burst.give_up(client);
        }
        let links = &self.links;
        self.longs.retain(|long| !long.is_over(&links[long.link].ends[0], links[long.link].disturbed));
        before > self.longs.len()
    }
}
