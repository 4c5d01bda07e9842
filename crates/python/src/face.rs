//! What the hands ask of the program above them, as Python has it: its `logging`, and a tracer of ours.

use farcall_system::{Face, Level, set_face, trace};
use pyo3::{prelude::*, sync::PyOnceLock, types::PyString};

use crate::{calling::Calling, interpreter};

/// `logging.WARNING` and `logging.INFO`.
const WARNING: u32 = 30;
const INFO: u32 = 20;

/// What gets the lines of the trace.
static TRACER: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// This interpreter.
struct Python3;

impl Face for Python3 {
    fn log(&self, logger: &str, level: Level, line: &str) {
        let level = match level {
            Level::Warning => WARNING,
            Level::Info => INFO,
        };
        interpreter::attach(|py| {
            if let Err(error) = log(py, logger, level, line) {
                error.write_unraisable(py, None);
            }
        });
    }

    fn trace(&self, line: &str) {
        interpreter::attach(|py| {
            let Some(tracer) = TRACER.get(py) else { return };
            if let Err(error) = tracer.bind(py).call_python(&[PyString::new(py, line).as_any()]) {
                error.write_unraisable(py, Some(tracer.bind(py)));
            }
        });
    }

    #[cfg(Py_GIL_DISABLED)]
    fn waits_by(&self) -> Option<farcall_system::Host> {
        Some(crate::stopped_world::wait)
    }
}

/// Makes this interpreter the face of the process's hands.
pub(crate) fn install() {
    set_face(&Python3);
}

fn log(py: Python<'_>, logger: &str, level: u32, line: &str) -> PyResult<()> {
    let logger = py.import("logging")?.call_method1("getLogger", (logger,))?;
    logger.call_method1("log", (level, "%s", line))?;
    Ok(())
}

/// Gives lines about these topics to `tracer(line)` from now on.
#[pyfunction(name = "trace")]
pub(crate) fn start_trace(py: Python<'_>, tracer: Py<PyAny>, topics: Vec<String>) {
    // The first one stays: it logs, whoever set it.
    let _ = TRACER.set(py, tracer);
    trace::choose(&topics);
}

/// All entities of channelz, in the order they were made.
#[pyfunction]
pub(crate) fn channelz() -> Vec<farcall_system::channelz::Row> {
    farcall_system::channelz::rows()
}

/// What the reactor of the process's clients looks after: connections, timers, connections that may soon rest.
#[pyfunction]
pub(crate) fn watched() -> PyResult<[usize; 3]> {
    Ok(farcall_blocking::reactor::watched()?)
}
