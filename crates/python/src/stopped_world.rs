//! Locks on interpreters without a global lock.
//!
//! Such an interpreter stops the world now and then, for its collector: each attached thread halts where it next runs
//! Python code, waits for a lock of Python's or detaches. One that is attached and waits for a lock of *ours* does none
//! of that, and if the thread that holds the lock has halted, neither ever goes on. (Nobody runs Python code under a
//! lock of ours, but a reference dropped under one may wait for a lock of Python's.)

use pyo3::{ffi, prelude::*};

/// Runs a wait for a lock of ours without holding up a world that is to stop.
///
/// Nor does the wait keep the lock while this thread attaches again, which may take until the world goes on, or for ever
/// while the interpreter ends.
pub(crate) fn wait(wait: &mut (dyn FnMut() + Send)) {
    if is_attached() { Python::attach(|py| py.detach(wait)) } else { wait() }
}

#[expect(unsafe_code, reason = "PyO3 has no safe question for it")]
fn is_attached() -> bool {
    // SAFETY: it reads a variable of this thread's, which is null when the thread is not attached.
    !unsafe { ffi::PyThreadState_GetUnchecked() }.is_null()
}
