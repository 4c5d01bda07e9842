//! What servers and channels say of their peers, in the [`Face`](crate::Face)'s log: a bound struck, a protocol broken, a handshake
//! failed. What is said, and how often, is the engine's to decide ([`Reporter`]).

use std::{sync::Mutex, time::Instant};

use farcall_engine::{Cause, ConnectionError, Reporter};

use crate::{Callback, Level, face, lock, transport::Transport};

/// The lines of one server or channel.
pub struct Reports {
    /// The name of the logger.
    logger: &'static str,
    reporter: Mutex<Reporter>,
}

/// Something worth a line, if it is time for one.
#[derive(Debug)]
pub struct Remark {
    cause: Cause,
    times: u64,
    reason: String,
}

impl Remark {
    /// A line of `cause`, said once.
    pub fn new(cause: Cause, reason: String) -> Remark {
        Remark { cause, times: 1, reason }
    }

    /// A bound has turned something away, or held it back.
    pub fn of_bound(cause: Cause, what: &str, times: u32) -> Remark {
        Remark { cause, times: times.into(), reason: what.to_owned() }
    }

    /// What the end of a connection has to say, if anything.
    pub fn of_end(error: &ConnectionError, transport: &Transport) -> Option<Remark> {
        let (cause, reason) = transport.trouble().or_else(|| Some((Cause::of(error)?, error.to_string())))?;
        Some(Remark::new(cause, reason))
    }
}

/// Of a connection that there is no certificate for, or that does not come from where it must.
pub fn not_secured() -> Remark {
    Remark::new(Cause::Handshake, "the connection cannot be secured".to_owned())
}

impl Reports {
    /// Reports to the logger of this name.
    pub fn to(logger: &'static str) -> Reports {
        Reports { logger, reporter: Mutex::default() }
    }

    /// What writes a line about the server or channel itself. To be run where callbacks run: logging may wait.
    pub fn note(&self, line: String) -> Option<Callback> {
        let (face, logger) = (face()?, self.logger);
        Some(Box::new(move || face.log(logger, Level::Warning, &line)))
    }

    /// What writes the line, if one is due. To be run where callbacks run: logging may wait.
    pub fn line(&self, remark: Remark, peer: &str) -> Option<Callback> {
        let Remark { cause, times, reason } = remark;
        let report = lock(&self.reporter).report(cause, times, peer, || reason, Instant::now())?;
        let (logger, level) = (self.logger, if cause.is_warning() { Level::Warning } else { Level::Info });
        Some(Box::new(move || {
            if let Some(face) = face() {
                face.log(logger, level, &report.to_string());
            }
        }))
    }
}
