//! Waiting without shutting the interpreter out: signals are seen while a call waits.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use pyo3::prelude::*;

use crate::{process, sync::call::Waited};

/// How long the main thread waits before it looks for signals: one may have been delivered to another thread.
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
    let main = is_main_thread(py)?;
    loop {
        let (waited, now) = py.detach(|| {
            let slice = main.then(|| Instant::now() + SLICE);
            (step([until, slice].into_iter().flatten().min()), Instant::now())
        });
        match waited {
            Waited::Done => return Ok(true),
            Waited::TimedOut if until.is_some_and(|until| until <= now) => return Ok(false),
            Waited::TimedOut | Waited::Interrupted => py.check_signals()?,
        }
    }
}

/// Whether signal handlers run on this thread. Asked once per thread; a fork changes the answer.
fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    thread_local! {
        static KNOWN: Cell<Option<(u32, bool)>> = const { Cell::new(None) };
    }
    let generation = process::generation();
    if let Some((at, known)) = KNOWN.get()
        && at == generation
    {
        return Ok(known);
    }
    let threading = py.import("threading")?;
    let main = threading.call_method0("main_thread")?.getattr("ident")?;
    let known = threading.call_method0("get_ident")?.eq(main)?;
    KNOWN.set(Some((generation, known)));
    Ok(known)
}
