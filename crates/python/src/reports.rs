//! What servers and channels say of their peers through Python's `logging`: a bound struck, a protocol broken, a handshake
//! failed. What is said, and how often, is the engine's to decide ([`Reporter`]).

use std::{sync::Mutex, time::Instant};

use farcall_engine::{Cause, ConnectionError, Reporter};
use pyo3::prelude::*;

use crate::{
    process,
    sync::{Callback, lock, transport::Transport},
};

/// `logging.WARNING` and `logging.INFO`.
const WARNING: u32 = 30;
const INFO: u32 = 20;

/// The lines of one server or channel.
pub(crate) struct Reports {
    /// The name of the logger.
    logger: &'static str,
    reporter: Mutex<Reporter>,
}

/// Something worth a line, if it is time for one.
#[derive(Debug)]
pub(crate) struct Remark {
    cause: Cause,
    times: u64,
    reason: String,
}

impl Remark {
    pub(crate) fn new(cause: Cause, reason: String) -> Remark {
        Remark { cause, times: 1, reason }
    }

    /// A bound has turned something away.
    pub(crate) fn of_bound(what: &str, times: u32) -> Remark {
        Remark { cause: Cause::Bound, times: times.into(), reason: what.to_owned() }
    }

    /// What the end of a connection has to say, if anything.
    pub(crate) fn of_end(error: &ConnectionError, transport: &Transport) -> Option<Remark> {
        let (cause, reason) = transport.trouble().or_else(|| Some((Cause::of(error)?, error.to_string())))?;
        Some(Remark::new(cause, reason))
    }
}

/// Of a connection that there is no certificate for, or that does not come from where it must.
pub(crate) fn not_secured() -> Remark {
    Remark::new(Cause::Handshake, "the connection cannot be secured".to_owned())
}

impl Reports {
    /// Reports to the logger of this name.
    pub(crate) fn to(logger: &'static str) -> Reports {
        Reports { logger, reporter: Mutex::default() }
    }

    /// What writes the line, if one is due. To be run where callbacks run: logging may wait.
    pub(crate) fn line(&self, remark: Remark, peer: &str) -> Option<Callback> {
        let Remark { cause, times, reason } = remark;
        let report = lock(&self.reporter).report(cause, times, peer, || reason, Instant::now())?;
        let (logger, level) = (self.logger, if cause.is_warning() { WARNING } else { INFO });
        Some(Box::new(move || {
            process::attach(|py| {
                if let Err(error) = log(py, logger, level, &report.to_string()) {
                    error.write_unraisable(py, None);
                }
            });
        }))
    }
}

fn log(py: Python<'_>, logger: &str, level: u32, line: &str) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", (logger,))?;
    logger.call_method1("log", (level, "%s", line))?;
    Ok(())
}
