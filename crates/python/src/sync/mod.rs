//! The blocking hands: sockets, one small reactor thread, and callers that read their own answers.
//!
//! A thread that waits for a call is the one that reads its connection ([`leader`]); the others wait to be told or to
//! take over. The [`reactor`] watches only connections on which nobody waits. Nothing here knows Python: what the
//! faces want told comes in as closures.
//!
//! Locks, outermost first: a channel's or a server's, a connection's, a call's. No lock is held while a closure of a
//! face runs.

pub(crate) mod call;
pub(crate) mod channel;
pub(crate) mod connection;
pub(crate) mod handover;
pub(crate) mod leader;
pub(crate) mod listener;
pub(crate) mod notifier;
pub(crate) mod reactor;
pub(crate) mod server;
pub(crate) mod socket;
pub(crate) mod transport;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a face wants done when something has happened. Runs without any lock held.
pub(crate) type Callback = Box<dyn FnOnce() + Send>;

/// Runs the whole life of a thread of ours that will call a face's closures; a face prepares the thread for them.
pub(crate) type Host = fn(&mut (dyn FnMut() + Send));

/// Locks. A thread that panicked while it held the lock left a state that each brain keeps valid by itself.
#[cfg(not(Py_GIL_DISABLED))]
pub(crate) fn lock<T: Send>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The same on an interpreter without a global lock.
#[cfg(Py_GIL_DISABLED)]
pub(crate) fn lock<T: Send>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    use std::sync::TryLockError;

    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(error)) => return PoisonError::into_inner(error),
            Err(TryLockError::WouldBlock) => crate::stopped_world::wait_until_free(mutex),
        }
    }
}
