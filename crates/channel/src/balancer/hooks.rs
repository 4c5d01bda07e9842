use std::{fmt, sync::Arc};

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
