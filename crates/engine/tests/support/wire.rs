use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes};
use fastrand::Rng;

/// How bad the wire is.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Writes and reads are cut into pieces of random length.
    pub chop: bool,
    /// The longest a piece is on its way.
    pub delay: Duration,
    /// Each is that long, not a draw of it.
    pub steady: bool,
    /// Bytes that may be on the way in one direction; beyond them writing waits.
    pub capacity: usize,
    /// After so many bytes in one direction the transport breaks.
    pub breaks_after: Option<usize>,
}

impl Weather {
    /// Nothing goes wrong and nothing takes time.
    pub const CALM: Weather =
        Weather { chop: false, delay: Duration::ZERO, steady: false, capacity: usize::MAX, breaks_after: None };

    /// Any weather but a broken wire.
    pub fn any(rng: &mut Rng) -> Weather {
        Weather {
            chop: rng.bool(),
            delay: Duration::from_micros(if rng.bool() { 0 } else { rng.u64(0..200_000) }),
            steady: false,
            capacity: if rng.bool() { usize::MAX } else { rng.usize(1..100_000) },
            breaks_after: None,
        }
    }
}

/// What comes out of the wire.
#[derive(Debug)]
pub enum Arrival {
    Bytes(Bytes),
    EndOfFile,
    Broken,
}

/// One direction of a transport.
#[derive(Debug)]
pub struct Wire {
    weather: Weather,
    flights: VecDeque<(Instant, Arrival)>,
    in_flight: usize,
    carried: usize,
    ended: bool,
    stalled_until: Option<Instant>,
    /// Nothing comes out any more, and nobody is told.
    silent: bool,
}

impl Wire {
    pub fn new(weather: Weather) -> Wire {
        Wire {
            weather,
            flights: VecDeque::new(),
            in_flight: 0,
            carried: 0,
            ended: false,
            stalled_until: None,
            silent: false,
        }
    }

    /// Bytes that may be sent now.
    pub fn room(&self) -> usize {
        self.weather.capacity.saturating_sub(self.in_flight)
    }

    /// A length of at most `len`, never 0.
    pub fn chop(&self, len: usize, rng: &mut Rng) -> usize {
        match rng.u8(0..16) {
            _ if !self.weather.chop => len,
            0..7 => len,
            7..13 => rng.usize(1..=len),
            13..15 => rng.usize(1..=len.min(30)),
            _ => 1,
        }
    }

    /// Puts something on the wire. What is sent after the end is lost, as with a closed socket.
    pub fn send(&mut self, mut arrival: Arrival, now: Instant, rng: &mut Rng) {
        if self.ended {
            return;
        }
        if let Arrival::Bytes(bytes) = &mut arrival {
            if let Some(limit) = self.weather.breaks_after
                && self.carried + bytes.len() >= limit
            {
                bytes.truncate(limit - self.carried);
                self.carried = limit;
                let rest = std::mem::replace(&mut arrival, Arrival::Broken);
                self.push(rest, now, rng);
                self.push(Arrival::Broken, now, rng);
                return;
            }
            self.carried += bytes.len();
        }
        self.push(arrival, now, rng);
    }

    /// The transport ends here, for the receiver, after what is on its way.
    pub fn end(&mut self, arrival: Arrival, now: Instant, rng: &mut Rng) {
        if !self.ended {
            self.push(arrival, now, rng);
        }
    }

    fn push(&mut self, arrival: Arrival, now: Instant, rng: &mut Rng) {
        let delay = self.weather.delay.mul_f64(if self.weather.steady { 1.0 } else { rng.f64() });
        let earliest = self.flights.back().map_or(now, |(at, _)| *at);
        match &arrival {
            Arrival::Bytes(bytes) if bytes.is_empty() => return,
            Arrival::Bytes(bytes) => self.in_flight += bytes.len(),
            Arrival::EndOfFile | Arrival::Broken => self.ended = true,
        }
        // What is sent into silence fills the sender's buffer, as without acknowledgements.
        if !self.silent {
            self.flights.push_back((earliest.max(now + delay), arrival));
        }
    }

    /// Nothing arrives before this time.
    pub fn stall(&mut self, until: Instant) {
        self.stalled_until = Some(until);
    }

    /// It stalls no more, and will not break.
    pub fn mend(&mut self) {
        self.stalled_until = None;
        self.weather.breaks_after = None;
    }

    /// What is on its way is lost, and so is all that follows: a cable that was pulled.
    pub fn silence(&mut self) {
        self.flights.clear();
        self.silent = true;
    }

    /// What is on its way is lost, and the receiver is told: a reset.
    pub fn reset(&mut self, now: Instant) {
        self.flights.clear();
        (self.in_flight, self.ended, self.silent, self.stalled_until) = (0, true, false, None);
        self.flights.push_back((now, Arrival::Broken));
    }

    /// Nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.flights.is_empty()
    }

    pub fn has_arrived(&self, now: Instant) -> bool {
        self.next_arrival().is_some_and(|at| at <= now)
    }

    /// [`has_arrived`](Wire::has_arrived), and it is not the end.
    pub fn has_bytes(&self, now: Instant) -> bool {
        self.has_arrived(now) && matches!(self.flights.front(), Some((_, Arrival::Bytes(_))))
    }

    pub fn next_arrival(&self) -> Option<Instant> {
        let arrival = self.flights.front().map(|(at, _)| *at)?;
        Some(self.stalled_until.map_or(arrival, |until| until.max(arrival)))
    }

    /// Whether the transport broke, so that writing fails as well.
    pub fn is_broken(&self) -> bool {
        self.ended && matches!(self.flights.back(), Some((_, Arrival::Broken)))
    }

    /// Reads what has arrived: a length, 0 for end of file, or why the transport is gone.
    pub fn receive(&mut self, buffer: &mut [u8], now: Instant, rng: &mut Rng) -> Result<usize, &'static str> {
        let limit = self.chop(buffer.len(), rng);
        let mut len = 0;
        while len < limit && self.has_arrived(now) {
            match self.flights.front_mut() {
                Some((_, Arrival::Bytes(bytes))) => {
                    let piece = bytes.len().min(limit - len);
                    bytes.copy_to_slice(&mut buffer[len..len + piece]);
                    len += piece;
                    if bytes.is_empty() {
                        self.flights.pop_front();
                    }
                }
                // What came before goes first; the end is for the next read.
                _ if len > 0 => break,
                Some((_, Arrival::EndOfFile)) => {
                    self.flights.pop_front();
                    return Ok(0);
                }
                Some((_, Arrival::Broken)) => {
                    self.flights.pop_front();
                    return Err("Connection reset by peer");
                }
                None => break,
            }
        }
        self.in_flight -= len;
        Ok(len)
    }

    /// Throws away what has arrived, for nobody reads it any more.
    pub fn discard(&mut self, now: Instant) {
        while self.has_arrived(now) {
            if let Some((_, Arrival::Bytes(bytes))) = self.flights.pop_front() {
                self.in_flight -= bytes.len();
            }
        }
    }
}
