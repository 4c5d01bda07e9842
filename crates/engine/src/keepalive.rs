//! PINGs that ask whether the peer is still there, and how many of its own it may send.

use std::time::{Duration, Instant};

use crate::{
    Config, Limits,
    error::{ErrorCode, Fault},
};

/// The PINGs of this side.
///
/// What comes from the peer moves no timer: when the timer fires, it is seen how long the peer has been silent, and the
/// timer is set again.
#[derive(Debug)]
pub(crate) struct Keepalive {
    /// When a byte last came from the peer.
    heard: Instant,
    /// When to look next; `None` is never.
    look_at: Option<Instant>,
    last_ping: Option<Instant>,
    /// A PING is out, and nothing has come since.
    waiting: bool,
    pings_without_data: u32,
}

/// What the timer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Fine,
    /// Send a PING.
    Ask,
    /// The peer has not answered the last one.
    Dead,
}

/// What keepalive PINGs carry. Whatever comes back is a sign of life, so nothing depends on it.
pub(crate) const PAYLOAD: [u8; 8] = *b"farcall?";

/// The least time between PINGs once there have been too many of them without data.
const INTERVAL_WITHOUT_DATA: Duration = Duration::from_secs(60);

impl Keepalive {
    pub(crate) fn new(config: &Config, now: Instant) -> Keepalive {
        let look_at = config.keepalive_time.and_then(|time| now.checked_add(time));
        Keepalive { heard: now, look_at, last_ping: None, waiting: false, pings_without_data: 0 }
    }

    /// Bytes came from the peer.
    pub(crate) fn hear(&mut self, config: &Config, now: Instant) {
        self.heard = now;
        if std::mem::take(&mut self.waiting) {
            self.look_at = self.due(config);
        }
    }

    /// HEADERS or DATA were sent.
    pub(crate) fn data_sent(&mut self) {
        self.pings_without_data = 0;
    }

    /// When [`handle_timeout`](Keepalive::handle_timeout) is wanted; `active` says whether there are calls, or need not
    /// be any.
    pub(crate) fn timeout(&self, active: bool) -> Option<Instant> {
        self.look_at.filter(|_| active || self.waiting)
    }

    pub(crate) fn handle_timeout(&mut self, active: bool, config: &Config, now: Instant) -> Verdict {
        if self.timeout(active).is_none_or(|at| at > now) {
            return Verdict::Fine;
        }
        if self.waiting {
            return Verdict::Dead;
        }
        self.look_at = self.due(config);
        if self.look_at.is_none_or(|due| due > now) {
            return Verdict::Fine;
        }
        self.waiting = true;
        self.last_ping = Some(now);
        self.pings_without_data = self.pings_without_data.saturating_add(1);
        self.look_at = now.checked_add(config.keepalive_timeout);
        Verdict::Ask
    }

    /// When the next PING is due if the peer stays silent.
    fn due(&self, config: &Config) -> Option<Instant> {
        let due = self.heard.checked_add(config.keepalive_time?)?;
        let most = config.max_pings_without_data;
        match self.last_ping {
            Some(last) if most > 0 && self.pings_without_data >= most => {
                Some(due.max(last.checked_add(INTERVAL_WITHOUT_DATA)?))
            }
            _ => Some(due),
        }
    }
}

/// The PINGs of a client, held against what the server allows.
#[derive(Debug, Default)]
pub(crate) struct PingStrikes {
    /// `None` when data was sent since: then any PING is right.
    last: Option<Instant>,
    strikes: u32,
}

impl PingStrikes {
    /// A PING came; `idle` says whether the client has no call to keep the connection for.
    pub(crate) fn ping(&mut self, idle: bool, limits: &Limits, now: Instant) -> Result<(), Fault> {
        let interval = if idle { limits.min_ping_interval_without_calls } else { limits.min_ping_interval };
        let last = self.last.replace(now);
        if last.is_none_or(|last| now.saturating_duration_since(last) >= interval) {
            return Ok(());
        }
        self.strikes = self.strikes.saturating_add(1);
        if limits.ping_strikes > 0 && self.strikes > limits.ping_strikes {
            return Err(Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM, TOO_MANY_PINGS));
        }
        Ok(())
    }

    /// HEADERS or DATA were sent.
    pub(crate) fn data_sent(&mut self) {
        *self = PingStrikes::default();
    }
}

/// What a server says in GOAWAY, and what makes a client ask half as often the next time.
pub(crate) const TOO_MANY_PINGS: &str = "too_many_pings";
