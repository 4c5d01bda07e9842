//! What servers and channels say of their peers through `tracing`, in events that stay as they are: target
//! `farcall::server` or `farcall::channel`, fields `cause`, `peer` and `count`. What is said, and how often, is the
//! engine's to decide ([`Reporter`]).

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use farcall_engine::{Cause, ConnectionError, Report, Reporter};

/// Whose reports they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Server,
    Channel,
}

/// The reports of one server or channel.
#[derive(Debug)]
pub(crate) struct Reports {
    side: Side,
    reporter: Mutex<Reporter>,
}

/// One event, at the level that its cause has.
macro_rules! event {
    ($target:literal, $report:expr) => {{
        let Report { cause, peer, count, .. } = &$report;
        if cause.is_warning() {
            tracing::warn!(target: $target, cause = cause.name(), peer, count, "{}", $report);
        } else {
            tracing::info!(target: $target, cause = cause.name(), peer, count, "{}", $report);
        }
    }};
}

impl Reports {
    pub(crate) fn of(side: Side) -> Reports {
        Reports { side, reporter: Mutex::default() }
    }

    /// Something happened, once.
    pub(crate) fn say(&self, cause: Cause, peer: &dyn Display, reason: &dyn Display) {
        self.say_times(cause, 1, peer, reason);
    }

    /// The end of a connection.
    pub(crate) fn say_end(&self, why: &ConnectionError, peer: &dyn Display) {
        if let Some(cause) = Cause::of(why) {
            self.say(cause, peer, why);
        }
    }

    /// Something happened, so often.
    pub(crate) fn say_times(&self, cause: Cause, times: u64, peer: &dyn Display, reason: &dyn Display) {
        let mut reporter = self.reporter.lock().unwrap_or_else(PoisonError::into_inner);
        let report = reporter.report(cause, times, &peer.to_string(), || reason.to_string(), Instant::now());
        // A subscriber may do anything.
        drop(reporter);
        if let Some(report) = report {
            match self.side {
                Side::Server => event!("farcall::server", report),
                Side::Channel => event!("farcall::channel", report),
            }
        }
    }
}
