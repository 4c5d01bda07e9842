//! What servers and calls say of load.

use std::sync::{Arc, Mutex, PoisonError};

use farcall_core::Metadata;
use farcall_serving::load::{LoadReport, REPORT_KEY};

/// A report of load that many may write: a server's, or a call's ([`Request::load`](crate::Request::load)).
#[derive(Clone, Debug, Default)]
pub struct Load(Arc<Mutex<LoadReport>>);

impl Load {
    /// A report that says nothing yet.
    pub fn new() -> Load {
        Load::default()
    }

    /// Changes the report; `change` must not wait.
    pub fn update<R>(&self, change: impl FnOnce(&mut LoadReport) -> R) -> R {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The report as it is now.
    pub fn report(&self) -> LoadReport {
        self.update(|report| report.clone())
    }
}

/// What a call's end says of load.
#[derive(Clone, Debug)]
pub(crate) struct CallLoad {
    server: Load,
    pub(crate) call: Load,
}

impl CallLoad {
    pub(crate) fn new(server: &Load) -> CallLoad {
        CallLoad { server: server.clone(), call: Load::new() }
    }

    pub(crate) fn add_to(&self, trailers: &mut Metadata) {
        let report = self.call.report().or(&self.server.report());
        if !report.is_empty() {
            // Too many trailers are cut where they are sent.
            let _ = trailers.append_unchecked(REPORT_KEY, &report.encode());
        }
    }
}
