//! The process around us: forks, what its threads share, and random numbers.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use arc_swap::ArcSwapOption;

use crate::lock;

/// How many forks lie between the first process and this one. What was made in another generation belongs to a
/// parent: its locks may be held by threads that do not exist here, so it is never locked, only dropped.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The generation of this process.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// This process is a fork's child: a new generation begins. To be called in the child before anything else of Farcall.
pub fn forked() {
    GENERATION.fetch_add(1, Ordering::SeqCst);
}

/// What all threads of a process share. A fork's child begins with an empty one: in its parent's, a thread that the child
/// does not have may hold the lock.
pub struct PerProcess<T>(ArcSwapOption<(u32, Mutex<T>)>);

impl<T: Default + Send> PerProcess<T> {
    /// One that is made when it is first asked for.
    #[expect(clippy::new_without_default, reason = "it is for statics")]
    pub const fn new() -> PerProcess<T> {
        PerProcess(ArcSwapOption::const_empty())
    }

    /// Runs `f` under the lock.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        loop {
            let current = self.0.load();
            if let Some(shared) = current.as_ref().filter(|shared| shared.0 == generation()) {
                return f(&mut lock(&shared.1));
            }
            // Whoever comes first makes it.
            self.0.compare_and_swap(&current, Some(Arc::new((generation(), Mutex::default()))));
        }
    }
}

/// A number that differs from call to call, process to process and fork to fork; not for secrets.
pub fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    RandomState::new().hash_one((now, std::process::id()))
}
