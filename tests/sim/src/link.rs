//! One connection between a client and a server, and what befalls it.

use std::{
    fmt,
    time::{Duration, Instant},
};

use farcall_channel::DialId;
use farcall_core::Status;
use farcall_engine::{Config, ErrorCode, Ledger};
use fastrand::Rng;

use crate::{
    end::{End, Seen},
    raw::Frame,
    wire::{Arrival, Weather, Wire},
};

/// A connection, both its ends and both its directions.
pub(crate) struct Link {
    pub(crate) client: usize,
    /// The name the client's channel has for it.
    pub(crate) id: DialId,
    pub(crate) server: usize,
    /// The client's and the server's.
    pub(crate) ends: [End; 2],
    /// Something happened to it for which calls may end.
    pub(crate) disturbed: bool,
    /// The two ends' configurations alone may end calls.
    quarrels: bool,
    /// It goes away politely, or takes only so many calls.
    pub(crate) refusing: bool,
    /// How soon the client's, the server's keepalive notices that nobody is there.
    patience: [Option<Duration>; 2],
    /// Since when an end has calls and no peer.
    alone_since: [Option<Instant>; 2],
    /// What the channel has been told of it.
    pub(crate) told_ready: Option<Instant>,
    pub(crate) told_lost: bool,
    pub(crate) told_broken: bool,
    silent: bool,
    /// What one end says of itself is not so: there is nothing to compare.
    lies: bool,
}

/// Whether the two ends' configurations alone may end calls.
fn quarrel(client: &Config, server: &Config) -> bool {
    let pings_too_often = client.keepalive_time.is_some_and(|time| time < server.limits.min_ping_interval);
    pings_too_often || server.max_connection_age_grace.is_some()
}

fn patience(config: &Config) -> Option<Duration> {
    // Without data to send there may be a minute between PINGs.
    let pause = if config.max_pings_without_data > 0 { Duration::from_secs(60) } else { Duration::ZERO };
    config.keepalive_time.map(|time| time + pause + config.keepalive_timeout)
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [client, server] = &self.ends;
        write!(f, "client {} to server {}", self.client, self.server)?;
        write!(f, "; {:?} {:?} disturbed: {}", client.connection, server.connection, self.disturbed)
    }
}

impl Link {
    pub(crate) fn new(
        (client, id, server): (usize, DialId, usize),
        configs: [Config; 2],
        weather: [Weather; 2],
        now: Instant,
    ) -> Link {
        let [c, s] = configs;
        let quarrels = quarrel(&c, &s);
        let disturbed = weather.iter().any(|weather| weather.breaks_after.is_some()) || quarrels;
        let lifetime = s.max_connection_idle.is_some() || s.max_connection_age.is_some();
        // A server whose memory is full of what nobody has taken refuses more.
        let refusing = lifetime || s.limits.max_concurrent_streams.is_some() || s.limits.unread < 1 << 20;
        let patience = [&c, &s].map(patience);
        let mut ends = [End::new(c, Wire::new(weather[1]), now), End::new(s, Wire::new(weather[0]), now)];
        ends.iter_mut().for_each(|end| (end.release, end.want) = (false, false));
        Link {
            client,
            id,
            server,
            ends,
            disturbed,
            quarrels,
            refusing,
            patience,
            alone_since: [None; 2],
            told_ready: None,
            told_lost: false,
            told_broken: false,
            silent: false,
            lies: false,
        }
    }

    /// Whether the server has answered a call, or is at work on one.
    pub(crate) fn is_useful(&self) -> bool {
        let client = &self.ends[0];
        let answered = |seen: &Seen| seen.headers.is_some() || seen.closed.as_ref().is_some_and(|end| end.completed);
        client.connection.calls() > 0 || client.seen.values().any(answered)
    }

    /// One thing that can happen now, picked at random; its number, if there was one, and which.
    pub(crate) fn turn(&mut self, now: Instant, rng: &mut Rng) -> Option<usize> {
        let [client, server] = &mut self.ends;
        let first = rng.usize(0..6);
        let action = (first..first + 6).map(|action| action % 6).find(|action| match action {
            0 => client.write(&mut server.inbound, now, rng),
            1 => server.write(&mut client.inbound, now, rng),
            2 => client.read(now, rng),
            3 => server.read(now, rng),
            4 => client.time_out(now),
            _ => server.time_out(now),
        });
        let broken = [0, 1].map(|side| self.ends[side].inbound.is_broken());
        for side in [0, 1] {
            if broken[side] {
                self.ends[1 - side].inbound.end(Arrival::Broken, now, rng);
            }
        }
        action
    }

    pub(crate) fn next_wake(&self) -> Option<Instant> {
        let ends = self.ends.iter();
        ends.flat_map(|end| [end.inbound.next_arrival(), end.next_timeout()]).flatten().min()
    }

    /// Both ends know that it is over, and nothing is on the way.
    pub(crate) fn is_over(&self) -> bool {
        self.ends.iter().all(|end| end.disconnected.is_some() && end.inbound.is_empty())
    }

    /// Nothing is on the way.
    pub(crate) fn is_still(&self) -> bool {
        self.ends.iter().all(|end| end.inbound.is_empty())
    }

    pub(crate) fn is_alive(&self) -> bool {
        self.ends.iter().all(|end| end.disconnected.is_none())
    }

    /// The peer vanishes without a word, as when a cable is pulled: only the end of the world's ills, or a deadline,
    /// tells.
    pub(crate) fn silence(&mut self) {
        self.disturbed = true;
        self.silent = true;
        self.ends.iter_mut().for_each(|end| end.inbound.silence());
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Before anything else the client reads what makes no sense.
    pub(crate) fn garble(&mut self, now: Instant, rng: &mut Rng) {
        let mut noise = vec![0; rng.usize(1..200)];
        rng.fill(&mut noise);
        self.foist(noise, now, rng);
    }

    /// Before anything else the client reads settings of which the server knows nothing.
    pub(crate) fn lie(&mut self, now: Instant, rng: &mut Rng) {
        let windows = [0, 1, 65_535, (1 << 31) - 1];
        let mut settings = Vec::new();
        for _ in 0..rng.usize(1..5) {
            settings.push(match rng.u8(0..6) {
                0 => (1, *rng.choice(&[0, 4096, 1 << 30]).expect("a choice")),
                1 => (3, *rng.choice(&[0, 1, u32::MAX]).expect("a choice")),
                2 => (4, *rng.choice(&windows).expect("a choice")),
                3 => (5, *rng.choice(&[16_384, (1 << 24) - 1]).expect("a choice")),
                4 => (6, *rng.choice(&[0, 100, 100_000]).expect("a choice")),
                _ => (rng.u16(7..), rng.u32(..)),
            });
        }
        self.foist(Frame::settings(&settings).encode(), now, rng);
    }

    fn foist(&mut self, bytes: Vec<u8>, now: Instant, rng: &mut Rng) {
        (self.disturbed, self.lies) = (true, true);
        self.ends[0].inbound.send(Arrival::Bytes(bytes.into()), now, rng);
    }

    /// The client closes it, and its calls end.
    pub(crate) fn close(&mut self, status: &Status, now: Instant) {
        self.disturbed = true;
        let [client, _] = &mut self.ends;
        client.connection.close(ErrorCode::NO_ERROR, "", status, now);
        client.drain();
    }

    /// Both ends are told that it is lost, and what is on the way is.
    pub(crate) fn reset(&mut self, now: Instant) {
        (self.disturbed, self.silent) = (true, false);
        self.ends.iter_mut().for_each(|end| end.inbound.reset(now));
    }

    pub(crate) fn stall(&mut self, direction: usize, now: Instant, time: Duration) {
        // Keepalive and the like give up after a time.
        self.disturbed |= time > Duration::from_secs(2);
        self.ends[direction].inbound.stall(now + time);
    }

    /// Keepalive finds a peer that is gone, however silently it went.
    pub(crate) fn check_keepalive(&mut self, now: Instant) {
        for side in [0, 1] {
            let end = &self.ends[side];
            let alone = self.silent && end.disconnected.is_none() && end.connection.calls() > 0;
            if !alone {
                self.alone_since[side] = None;
                continue;
            }
            let since = *self.alone_since[side].get_or_insert(now);
            let late = self.patience[side].is_some_and(|patience| now > since + patience);
            assert!(!late, "keepalive has not noticed that nobody is there: {self:?}");
        }
    }

    /// A connection that was silent is found to be lost, by both ends, at last. One whose ends quarrel makes room for
    /// another.
    pub(crate) fn heal(&mut self, now: Instant) {
        self.ends.iter_mut().for_each(|end| end.inbound.mend());
        if self.is_unfit() {
            self.reset(now);
        }
    }

    /// It has no place in a world that is healed.
    pub(crate) fn is_unfit(&self) -> bool {
        self.silent || self.quarrels || self.lies
    }

    /// When nothing is on the way the books of both ends agree to the byte; returns whether they were compared.
    pub(crate) fn check_books(&mut self, now: Instant) -> bool {
        let quiet = |end: &mut End| {
            end.drain();
            end.disconnected.is_none() && end.inbound.is_empty() && end.connection.poll_transmit(now).is_none()
        };
        if self.silent || self.lies || !self.ends.iter_mut().all(quiet) {
            return false;
        }
        let books: [Ledger; 2] = [0, 1].map(|side| self.ends[side].connection.ledger());
        if !books.iter().all(|book| book.settings_acknowledged) {
            return false;
        }
        for (sender, receiver) in [(&books[0], &books[1]), (&books[1], &books[0])] {
            assert_eq!(sender.send_window, receiver.credit, "the connection's window");
            for (stream, window) in &sender.sending {
                if let Some((_, credit)) = receiver.receiving.iter().find(|(id, _)| id == stream) {
                    assert_eq!(window, credit, "the window of stream {stream}");
                }
            }
        }
        true
    }

    /// Without calls nothing is kept, and every byte of the window is there or owed.
    pub(crate) fn check_floor(&mut self, windows: [u32; 2], now: Instant) {
        for (end, window) in self.ends.iter_mut().zip(windows) {
            end.drain();
            assert_eq!(end.connection.calls(), 0, "calls are left");
            if end.disconnected.is_some() {
                assert_eq!(end.connection.poll_timeout(), None, "a connection that is over waits for nothing");
                continue;
            }
            assert!(end.connection.poll_transmit(now).is_none(), "bytes are left");
            let book = end.connection.ledger();
            assert_eq!((book.unread, book.in_hand, book.queued), (0, 0, 0), "something is kept: {book:?}");
            // What came is given back, for half a window at a time; and windows only grow.
            let lost = book.owed != 0 || book.credit < i64::from(window / 2) || book.given != (0, 0, 0);
            assert!(!lost, "bytes of the window are lost: {book:?}");
            assert!(book.sending.is_empty() && book.receiving.is_empty(), "streams are left: {book:?}");
        }
    }
}
