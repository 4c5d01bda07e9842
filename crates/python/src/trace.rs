//! Telling what channels do, for people who look for a fault; off unless asked for.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::{prelude::*, sync::PyOnceLock, types::PyString};

use crate::{calling::Calling, process, sync::Callback};

/// What gets the lines.
static TRACER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// Whether there is one, which can be asked without the interpreter.
static ON: AtomicBool = AtomicBool::new(false);

/// Has changes of channels told to `tracer(line)` from now on.
#[pyfunction]
pub(crate) fn trace(py: Python<'_>, tracer: Py<PyAny>) {
    // The first one stays: it logs, whoever set it.
    let _ = TRACER.set(py, tracer);
    ON.store(true, Ordering::Release);
}

/// What tells the line that `words` make, if anybody wants to know. To be run where callbacks run: logging may wait.
pub(crate) fn line(words: impl FnOnce() -> String) -> Option<Callback> {
    if !ON.load(Ordering::Acquire) {
        return None;
    }
    let line = words();
    Some(Box::new(move || {
        process::attach(|py| {
            let Some(tracer) = TRACER.get(py) else { return };
            if let Err(error) = tracer.bind(py).call_python(&[PyString::new(py, &line).as_any()]) {
                error.write_unraisable(py, Some(tracer.bind(py)));
            }
        });
    }))
}
