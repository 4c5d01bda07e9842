use std::{fmt, sync::Arc, time::Duration};

use farcall_core::{Code, Metadata};

/// Hears of the calls on one subchannel. It is called by any thread, and under a connection's lock: it takes none itself.
pub trait CallHook: Send + Sync {
    /// A call has been picked for it.
    fn started(&self) {}

    /// That call has ended, exactly once for each [`started`](CallHook::started).
    fn ended(&self, end: &End<'_>);
}

/// How a call on a subchannel has ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Its status; `None` when it never went out on the connection.
    pub code: Option<Code>,
    /// Trailing metadata, if the server has sent any.
    pub trailers: Option<&'a Metadata>,
}

/// Hears of the load of one server. It is called while the channel is locked, and takes no locks itself.
pub trait LoadListener: Send + Sync {
    /// The server has sent this `xds.data.orca.v3.OrcaLoadReport`.
    fn reported(&self, report: &[u8]);
}

/// The reports of a server's load (gRFC A51) out of band.
#[derive(Clone)]
pub struct LoadReports {
    /// Who hears of them.
    pub listener: Arc<dyn LoadListener>,
    /// How often the server is asked to report; it may do so less often. `None`: it is not asked.
    pub period: Option<Duration>,
}

impl fmt::Debug for LoadReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoadReports").field(&self.period).finish()
    }
}

/// Who hears of the calls on a subchannel.
pub type Hooks = Option<Arc<[Arc<dyn CallHook>]>>;

/// A call that has been picked and not ended. Dropped, it tells that the call did not go out.
#[derive(Default)]
pub struct Done(Hooks);

impl Done {
    /// Tells that a call begins.
    pub(crate) fn start(hooks: &Hooks) -> Done {
        for hook in hooks.iter().flat_map(|hooks| hooks.iter()) {
            hook.started();
        }
        Done(hooks.clone())
    }

    /// Tells how it ended.
    pub fn end(mut self, end: &End<'_>) {
        self.tell(end);
    }

    fn tell(&mut self, end: &End<'_>) {
        if let Some(hooks) = self.0.take() {
            for hook in hooks.iter() {
                hook.ended(end);
            }
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        self.tell(&End { code: None, trailers: None });
    }
}

impl fmt::Debug for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Done").field(&self.0.as_ref().map(|hooks| hooks.len())).finish()
    }
}
