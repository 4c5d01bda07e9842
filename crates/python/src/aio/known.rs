//! What of Python's the hands on loops use, looked up once, when the modules are imported.
//!
//! Not when it is first needed: of a process that forks while another thread looks something up, the child would wait for
//! ever for that thread's answer.

use pyo3::{exceptions::PyRuntimeError, prelude::*, sync::PyOnceLock, types::PyString};

macro_rules! names {
    ($($name:ident)*) => {
        /// Names of methods and arguments.
        pub(crate) struct Names {
            $(pub(crate) $name: Py<PyString>,)*
        }

        impl Names {
            fn new(py: Python<'_>) -> Names {
                Names { $($name: PyString::intern(py, stringify!($name)).unbind(),)* }
            }
        }
    };
}

names! {
    add_reader add_writer call_later call_soon call_soon_threadsafe cancel context is_closed on_readable on_timer
    on_writable remove_reader remove_writer resume run wake
}

/// The names; first asked for when the native module is made.
pub(crate) fn names(py: Python<'_>) -> &'static Names {
    static NAMES: PyOnceLock<Names> = PyOnceLock::new();
    NAMES.get_or_init(py, || Names::new(py))
}

/// What is asyncio's, and how `grpc.aio` finds a loop.
pub(crate) struct Asyncio {
    pub(crate) running_loop: Py<PyAny>,
    /// Names the loop of programs that have none running.
    pub(crate) working_loop: Py<PyAny>,
    pub(crate) cancelled_error: Py<PyAny>,
    pub(crate) invalid_state_error: Py<PyAny>,
}

static ASYNCIO: PyOnceLock<Asyncio> = PyOnceLock::new();

/// Tells the module how to find a loop when none is running.
#[pyfunction]
pub(crate) fn configure_aio(working_loop: Bound<'_, PyAny>) -> PyResult<()> {
    let py = working_loop.py();
    let asyncio = py.import("asyncio")?;
    let known = Asyncio {
        running_loop: asyncio.getattr("_get_running_loop")?.unbind(),
        working_loop: working_loop.unbind(),
        cancelled_error: asyncio.getattr("CancelledError")?.unbind(),
        invalid_state_error: asyncio.getattr("InvalidStateError")?.unbind(),
    };
    // Given twice, it is the same.
    let _ = ASYNCIO.set(py, known);
    Ok(())
}

/// As [`configure_aio`] found it.
///
/// # Errors
/// RuntimeError before `grpc.aio` is imported.
pub(crate) fn asyncio(py: Python<'_>) -> PyResult<&'static Asyncio> {
    ASYNCIO.get(py).ok_or_else(|| PyRuntimeError::new_err("grpc.aio is not imported"))
}
