//! The interpreter around us: threads that attach to it, its forks and its end.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use farcall_system::process;
use pyo3::{prelude::*, types::IntoPyDict, wrap_pyfunction};

/// The interpreter is about to end: native threads no longer attach.
static FINISHING: AtomicBool = AtomicBool::new(false);

/// Native threads that are, or are about to be, attached.
static ATTACHED: AtomicUsize = AtomicUsize::new(0);

/// How long the end of the interpreter waits for callbacks that still run on native threads.
const LAST_CALLBACKS: Duration = Duration::from_secs(1);

/// Attaches a native thread; `None` when the interpreter is going away.
pub(crate) fn attach<R>(f: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            ATTACHED.fetch_sub(1, Ordering::SeqCst);
        }
    }
    ATTACHED.fetch_add(1, Ordering::SeqCst);
    let _leave = Leave;
    if FINISHING.load(Ordering::SeqCst) {
        return None;
    }
    Python::try_attach(f)
}

/// Runs a native thread that will attach often. Between times it stays known to the interpreter: to be made known
/// and forgotten each time costs more than most of what it does while attached.
pub(crate) fn host(work: &mut (dyn FnMut() + Send)) {
    // Detached, it does not hold up the end of the interpreter; `attach` sees that coming.
    if !FINISHING.load(Ordering::SeqCst) && Python::try_attach(|py| py.detach(&mut *work)).is_some() {
        return;
    }
    work();
}

#[pyfunction]
fn after_fork_in_child() {
    ATTACHED.store(0, Ordering::SeqCst);
    process::forked();
}

#[pyfunction]
fn before_exit(py: Python<'_>) {
    FINISHING.store(true, Ordering::SeqCst);
    // An interpreter inside another may be left to that one's end. Then whoever detaches is never let in again.
    let finalizing = py.import("sys").and_then(|sys| sys.call_method0("is_finalizing")?.is_truthy());
    if ATTACHED.load(Ordering::SeqCst) == 0 || finalizing.unwrap_or(true) {
        return;
    }
    py.detach(|| {
        let give_up = Instant::now() + LAST_CALLBACKS;
        while ATTACHED.load(Ordering::SeqCst) > 0 && Instant::now() < give_up {
            std::thread::sleep(Duration::from_millis(1));
        }
    });
}

/// Registers the hooks with the interpreter, once, when the module is made.
pub(crate) fn install_hooks(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let os = py.import("os")?;
    // Windows has no fork.
    if let Ok(register) = os.getattr("register_at_fork") {
        let hook = wrap_pyfunction!(after_fork_in_child, module)?;
        register.call((), Some(&[("after_in_child", hook)].into_py_dict(py)?))?;
    }
    py.import("atexit")?.call_method1("register", (wrap_pyfunction!(before_exit, module)?,))?;
    Ok(())
}
