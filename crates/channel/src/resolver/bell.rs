use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

/// Wakes a channel from anywhere, without its lock: from a picker, or when a call lets something go.
///
/// Rings coalesce. The hands say once how they are woken, and call [`Channel::handle_bell`](crate::Channel::handle_bell) then.
#[derive(Default)]
pub struct Doorbell {
    rung: AtomicBool,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Doorbell {
    /// Rings. It may be called under any lock, and takes none.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel)
            && let Some(wake) = self.wake.get()
        {
            wake();
        }
    }

    /// How the hands are woken, from any thread and under any lock: it must neither block nor step the channel. The first
    /// one counts.
    pub fn set_wake(&self, wake: impl Fn() + Send + Sync + 'static) {
        if self.wake.set(Box::new(wake)).is_ok() && self.rung.load(Ordering::Acquire) {
            self.wake.get().into_iter().for_each(|wake| wake());
        }
    }

    /// Whether it was rung since it was asked last.
    pub(crate) fn take(&self) -> bool {
        self.rung.swap(false, Ordering::AcqRel)
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doorbell").field("rung", &self.rung).finish_non_exhaustive()
    }
}
