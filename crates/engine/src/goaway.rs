//! How far a connection is on its way out.

use std::time::{Duration, Instant};

use crate::{ErrorCode, Limits, Role, frame::MAX_U31};

/// What this side and the peer have said about going away.
#[derive(Debug, Default)]
pub(crate) struct GoingAway {
    pub(crate) local: Local,
    pub(crate) peer: Option<PeerGoAway>,
    /// Why, for people: debug data of this side's GOAWAYs.
    pub(crate) reason: &'static [u8],
}

/// What this side has said.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Local {
    #[default]
    Staying,
    /// Server: GOAWAY 2^31-1 and a PING are out; when it comes back, or at this time, no stream can come any more that
    /// the client opened without knowing.
    Announced(Instant),
    /// No new calls; the connection ends with the last one.
    Final,
}

/// What the peer's last GOAWAY said.
#[derive(Clone, Debug)]
pub(crate) struct PeerGoAway {
    pub(crate) last_stream: u32,
    pub(crate) code: ErrorCode,
    /// Debug data, cut to [`DEBUG_KEPT`].
    pub(crate) debug: Vec<u8>,
}

/// The end of a transport whose connection is over: what the peer still sends is read and thrown away, until it hangs up
/// or has had its time, so that it reads this side's last words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Farewell {
    until: Instant,
    left: usize,
}

impl Farewell {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Farewell {
        Farewell { until: now + limits.linger, left: limits.linger_bytes }
    }

    /// When the transport is closed whatever the peer does.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// So many bytes were read and thrown away, none at the end of file; whether to read on.
    pub fn discard(&mut self, len: usize, now: Instant) -> bool {
        self.left = self.left.saturating_sub(len);
        len > 0 && self.left > 0 && now < self.until
    }
}

/// How much debug data of a GOAWAY is kept, in bytes.
pub(crate) const DEBUG_KEPT: usize = 1 << 10;

/// How long the PING of a graceful shutdown is waited for (grpcio's time).
pub(crate) const PING_WAIT: Duration = Duration::from_secs(20);

/// What a PING of ours carries in a graceful shutdown: different for each connection, so that a peer cannot guess it.
pub(crate) fn ping_payload(seed: u64) -> [u8; 8] {
    seed.wrapping_add(0x676f_6177_6179_2121).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

impl GoingAway {
    /// Whether the connection is over once it has no calls.
    pub(crate) fn is_last_call_awaited(&self, role: Role) -> bool {
        self.local == Local::Final || (role == Role::Client && self.peer.is_some())
    }

    /// Whether this side may open calls, or takes them.
    pub(crate) fn accepts_calls(&self) -> bool {
        self.local == Local::Staying && self.peer.is_none()
    }

    /// The highest stream the peer will answer.
    pub(crate) fn last_answered(&self) -> u32 {
        self.peer.as_ref().map_or(MAX_U31, |peer| peer.last_stream)
    }

    pub(crate) fn timeout(&self) -> Option<Instant> {
        match self.local {
            Local::Announced(until) => Some(until),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Farewell, ping_payload};
    use crate::{Limits, bdp::Bdp};

    #[test]
    fn a_farewell_ends_by_time_by_bytes_and_by_the_end() {
        let limits = Limits { linger: Duration::from_secs(2), linger_bytes: 100, ..Limits::default() };
        let now = Instant::now();
        let farewell = Farewell::new(&limits, now);
        assert_eq!(farewell.until(), now + Duration::from_secs(2));
        let mut lives = farewell;
        assert!(lives.discard(50, now) && lives.discard(49, now) && !lives.discard(1, now));
        assert!({ farewell }.discard(1, now + Duration::from_millis(1999)));
        assert!(!{ farewell }.discard(1, now + Duration::from_secs(2)));
        assert!(!{ farewell }.discard(0, now));
    }

    /// A peer that could guess it could answer before it has read what came before.
    #[test]
    fn no_two_connections_send_the_same_ping() {
        let payloads = [0, 1, 2, u64::MAX].map(|seed| [ping_payload(seed), Bdp::payload(seed)]).concat();
        let different: std::collections::HashSet<_> = payloads.iter().collect();
        assert_eq!(different.len(), 8);
    }
}
