//! What the process's allocator is asked for the sake of messages: keep large blocks while calls go on, and give free
//! memory back once they have stopped. See docs/decisions/0010.
//!
//! A message of 4 MiB lies in four blocks of that size on its way through a process: what was received, protobuf's
//! message, its serialized form, what is sent. By default glibc maps each such block anew, or cuts the end off its heap
//! when they are free: each call then touches a thousand fresh pages for each block, which the kernel has to clear.
//!
//! What does not live here: the buffers that a connection keeps for its next large message (`farcall-engine`), and
//! Python's own allocator, which takes blocks of more than 512 bytes from the same place.

use std::{
    cell::Cell,
    sync::{
        LazyLock, Once,
        atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::process::PerProcess;

/// Messages from this length on count, in bytes. Smaller ones leave next to nothing to give back.
const COUNTED: usize = 4 << 10;

/// From this length on a message lies in blocks of its own, in bytes.
const LARGE: usize = 64 << 10;

/// So many bytes of messages must have passed since memory was last given back, before that is done again: what is given
/// back must be cleared again when it is used, and that may not cost more than the messages themselves.
const WORTH_IT: usize = 32 << 20;

/// No message for this long is quiet.
const QUIET: Duration = Duration::from_millis(900);

/// Bytes of messages that have passed since memory was last given back.
static PASSED: AtomicUsize = AtomicUsize::new(0);

/// Memory was given back, and is to be once more, whatever has passed meanwhile: on a busy machine calls may still have
/// had messages in hand when all seemed quiet.
static ONCE_MORE: AtomicBool = AtomicBool::new(false);

/// When the last of them did, in milliseconds since [`BEGUN`].
static LAST: AtomicU64 = AtomicU64::new(0);

static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// When somebody is going to look whether all is quiet, in milliseconds since [`BEGUN`]. One will do.
static LOOK: AtomicU64 = AtomicU64::new(0);

/// A message of so many bytes has been received, on this thread.
pub fn arrives(len: usize) {
    if len >= LARGE {
        keep_blocks();
    }
}

/// A message of so many bytes goes to Python or comes from there, on this thread.
pub fn passes(len: usize) {
    if len < COUNTED {
        return;
    }
    arrives(len);
    PASSED.fetch_add(len, Relaxed);
    LAST.store(millis(Instant::now()), Relaxed);
}

/// Gives memory back if all is quiet. A connection asks when it looks at the clock, which each does in the second after
/// it was last used; the caller holds no lock. Gives back when to ask again, if the caller is the one who has to.
#[must_use]
pub fn quiet(now: Instant) -> Option<Instant> {
    if PASSED.load(Relaxed) == 0 && !ONCE_MORE.load(Relaxed) {
        return None;
    }
    let at = millis(now);
    let mut quiet_at = LAST.load(Relaxed) + QUIET.as_millis() as u64;
    if at >= quiet_at {
        if ONCE_MORE.swap(false, Relaxed) {
            PASSED.store(0, Relaxed);
            give_all_back();
            return None;
        }
        if !give_back() {
            return None;
        }
        quiet_at = at + QUIET.as_millis() as u64;
    }
    let look = LOOK.load(Relaxed);
    // One that did not come, because its loop is gone, is not waited for.
    let ours = look <= at && LOOK.compare_exchange(look, quiet_at, Relaxed, Relaxed).is_ok();
    ours.then(|| now + Duration::from_millis(quiet_at - at))
}

/// The end of a connection: it is dropped after all that the connection kept.
pub struct Gone;

impl Drop for Gone {
    fn drop(&mut self) {
        give_back();
    }
}

fn millis(now: Instant) -> u64 {
    now.saturating_duration_since(*BEGUN).as_millis() as u64
}

/// glibc's heaps. Each thread allocates from one of several; what is free at the end of one is given back while something
/// of it is freed, as far as it is more than the trim threshold, and by `malloc_trim` only in the first of them. So each
/// thread that handles large messages leaves two blocks behind, which are freed to have its heap trimmed: one now, and one
/// once more, for what the thread still had in hand.
static MARKERS: PerProcess<[Vec<Vec<u8>>; 2]> = PerProcess::new();

/// The size of such a block, which is never touched, in bytes: glibc looks at the end of a heap when 64 KiB are freed.
const MARKER: usize = 128 << 10;

/// How many threads leave them at most; glibc makes at most eight heaps for each processor.
const MOST_MARKERS: usize = 512;

/// Counts how often memory was given back, with all markers.
static ROUND: AtomicU32 = AtomicU32::new(1);

thread_local! {
    /// The round in which this thread left a marker.
    static MARKED: Cell<u32> = const { Cell::new(0) };
}

fn keep_blocks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(system::keep_blocks);
    let round = ROUND.load(Relaxed);
    if MARKED.replace(round) != round {
        MARKERS.with(|markers| {
            if markers[1].len() < MOST_MARKERS {
                markers.iter_mut().for_each(|markers| markers.push(marker()));
            }
        });
    }
}

fn marker() -> Vec<u8> {
    Vec::with_capacity(MARKER)
}

/// Gives free memory back to the system, if that is worth it; whether it was.
fn give_back() -> bool {
    let worth_it = PASSED.load(Relaxed) >= WORTH_IT && PASSED.swap(0, Relaxed) >= WORTH_IT;
    if worth_it {
        ONCE_MORE.store(true, Relaxed);
        give_all_back();
    }
    worth_it
}

fn give_all_back() {
    ROUND.fetch_add(1, Relaxed);
    let mut markers = MARKERS.with(|[now, then]| std::mem::replace(now, std::mem::take(then)));
    // The heap of this thread.
    markers.push(marker());
    system::give_back(markers);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
mod system {
    use std::{env, sync::atomic::AtomicBool, sync::atomic::Ordering::Relaxed};

    use libc::{M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, c_int};

    /// Blocks from this size on are mapped, each by itself, in bytes: the most that glibc takes, and comes to by itself
    /// where blocks of that size are freed.
    const MAPPED: c_int = 32 << 20;

    /// What may be free at the end of a heap, in bytes: the blocks of a few large messages; what glibc comes to as well.
    const KEPT: c_int = 64 << 20;

    /// The same while memory is given back: glibc's own default.
    const LITTLE: c_int = 128 << 10;

    /// Whether the bounds are ours to set.
    static OURS: AtomicBool = AtomicBool::new(false);

    /// What says in the environment how the program wants it.
    const SAID: [&str; 2] = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"];
    const TUNED: [&str; 2] = ["glibc.malloc.trim_threshold", "glibc.malloc.mmap_threshold"];

    pub(super) fn keep_blocks() {
        let tunables = env::var("GLIBC_TUNABLES").unwrap_or_default();
        let said = SAID.iter().any(|name| env::var_os(name).is_some()) || TUNED.iter().any(|it| tunables.contains(it));
        if said {
            return;
        }
        set(M_MMAP_THRESHOLD, MAPPED);
        set(M_TRIM_THRESHOLD, KEPT);
        OURS.store(true, Relaxed);
    }

    pub(super) fn give_back(markers: Vec<Vec<u8>>) {
        let ours = OURS.load(Relaxed);
        if ours {
            set(M_TRIM_THRESHOLD, LITTLE);
        }
        drop(markers);
        // SAFETY: It has no conditions. It takes the allocator's locks, one heap at a time, and gives back only whole
        // pages of memory that is free.
        unsafe { libc::malloc_trim(0) };
        if ours {
            set(M_TRIM_THRESHOLD, KEPT);
        }
    }

    fn set(what: c_int, value: c_int) {
        // SAFETY: It has no conditions; a value that is not to its liking changes nothing.
        unsafe { libc::mallopt(what, value) };
    }
}

/// Other allocators give memory back by themselves, or never.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod system {
    pub(super) fn keep_blocks() {}

    pub(super) fn give_back(markers: Vec<Vec<u8>>) {
        drop(markers);
    }
}
