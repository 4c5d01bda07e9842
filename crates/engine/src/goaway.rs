//! How far a connection is on its way out.

use std::time::{Duration, Instant};

use crate::{ErrorCode, Role, frame::MAX_U31};

/// What this side and the peer have said about going away.
#[derive(Debug, Default)]
pub(crate) struct GoingAway {
    pub(crate) local: Local,
    pub(crate) peer: Option<PeerGoAway>,
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
