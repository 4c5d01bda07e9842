//! What hands without a runtime share: sockets and what lies between them and a brain, and the process around them.
//!
//! What lives here: non-blocking sockets ([`socket`]), plain or through TLS ([`transport`]), proxies ([`proxy`]), names ([`names`]), addresses to
//! listen at ([`bind`]), how connections are secured ([`credentials`]), options ([`options`]); forks ([`process`]), the
//! allocator ([`memory`]), and what is said of it all: [`channelz`], [`reports`], [`trace`].
//! What does not: who waits for a socket and how. That is `farcall-blocking` for threads and the asyncio half of
//! `farcall-python` for loops. Nothing here knows Python: what the program above is asked for goes through its [`Face`].

pub mod bind;
pub mod budget;
pub mod channel;
pub mod channelz;
pub mod credentials;
pub mod memory;
pub mod message;
pub mod names;
pub mod options;
pub mod process;
pub mod proxy;
pub mod reports;
pub mod socket;
pub mod trace;
pub mod transport;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// What a face wants done when something has happened. Runs without any lock held.
pub type Callback = Box<dyn FnOnce() + Send>;

/// Runs the whole life of a thread of ours that will call a face's closures; a face prepares the thread for them.
pub type Host = fn(&mut (dyn FnMut() + Send));

/// How much a line of the log matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// An operator may have to do something.
    Warning,
    /// Good to know.
    Info,
}

/// The program above these hands: where their lines go, and how its threads wait. A process has one.
pub trait Face: Send + Sync {
    /// Writes `line` to the log of the name `logger`. May wait; no lock is held.
    fn log(&self, logger: &str, level: Level, line: &str);

    /// Writes a line of the [`trace`]. May wait; no lock is held.
    fn trace(&self, line: &str);

    /// What runs a wait for a lock that another thread holds, where the thread may not simply wait.
    fn waits_by(&self) -> Option<Host> {
        None
    }
}

static FACE: OnceLock<&'static dyn Face> = OnceLock::new();

/// Makes `face` the process's; the first one stays. Without one, lines go nowhere and threads wait for locks as they come.
pub fn set_face(face: &'static dyn Face) {
    // Given twice, it is the same one.
    let _ = FACE.set(face);
}

fn face() -> Option<&'static dyn Face> {
    FACE.get().copied()
}

/// Locks. A thread that panicked while it held the lock left a state that each brain keeps valid by itself.
pub fn lock<T: Send>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        match mutex.try_lock() {
            Ok(guard) => return guard,
            Err(TryLockError::Poisoned(error)) => return PoisonError::into_inner(error),
            Err(TryLockError::WouldBlock) => match face().and_then(|face| face.waits_by()) {
                // The lock is not held while the thread makes itself known again, which may take long.
                Some(wait) => wait(&mut || drop(mutex.lock())),
                None => return mutex.lock().unwrap_or_else(PoisonError::into_inner),
            },
        }
    }
}
