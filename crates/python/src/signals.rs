//! Waiting without shutting the interpreter out: signals are seen while a call waits, and exceptions that another thread
//! raises in this one (`PyThreadState_SetAsyncExc`, by which time limits and debuggers end a wait).

use std::time::{Duration, Instant};

use farcall_blocking::call::Waited;
use pyo3::{prelude::*, sync::PyOnceLock};

use crate::calling::Calling;

/// How long a thread waits before it looks for what would end its wait: a signal may have been delivered to another
/// thread, and nothing else announces an exception that was raised from there.
const SLICE: Duration = Duration::from_millis(100);

/// Waits, detached, in slices: `step` waits until the time it is given. Whether what it waits for has come.
///
/// # Errors
/// What a signal handler raised.
pub(crate) fn wait(
    py: Python<'_>,
    until: Option<Instant>,
    mut step: impl FnMut(Option<Instant>) -> Waited + Send,
) -> PyResult<bool> {
    loop {
        let (waited, now) = py.detach(|| {
            let slice = Instant::now() + SLICE;
            (step(Some(until.map_or(slice, |until| until.min(slice)))), Instant::now())
        });
        match waited {
            Waited::Done => return Ok(true),
            Waited::TimedOut if until.is_some_and(|until| until <= now) => return Ok(false),
            Waited::TimedOut | Waited::Interrupted => look(py)?,
        }
    }
}

/// Raises what is to be raised on this thread.
fn look(py: Python<'_>) -> PyResult<()> {
    static NOTHING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    py.check_signals()?;
    // Only where Python code runs does the interpreter raise what another thread has asked for.
    let nothing = NOTHING.get_or_try_init(py, || py.eval(c"lambda: None", None, None).map(Bound::unbind))?;
    nothing.bind(py).call_python(&[]).map(drop)
}
