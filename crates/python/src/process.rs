//! What happens to the process around us: forks, and the end of the interpreter.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use pyo3::{prelude::*, types::IntoPyDict, wrap_pyfunction};

use crate::sync::lock;

/// How many forks lie between the first process and this one. What was made in another generation belongs to a
/// parent: its locks may be held by threads that do not exist here, so it is never locked, only dropped.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The interpreter is about to end: native threads no longer attach.
static FINISHING: AtomicBool = AtomicBool::new(false);

/// Native threads that are, or are about to be, attached.
static ATTACHED: AtomicUsize = AtomicUsize::new(0);

/// How long the end of the interpreter waits for callbacks that still run on native threads.
const LAST_CALLBACKS: Duration = Duration::from_secs(1);

/// The generation of this process.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// What all threads of a process share. A fork's child begins with an empty one: in its parent's, a thread that the child
/// does not have may hold the lock.
pub(crate) struct PerProcess<T>(ArcSwapOption<(u32, Mutex<T>)>);

impl<T: Default + Send> PerProcess<T> {
    pub(crate) const fn new() -> PerProcess<T> {
        PerProcess(ArcSwapOption::const_empty())
    }

    /// Runs `f` under the lock.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        loop {
            let current = self.0.load();
            if let Some(shared) = current.as_ref().filter(|shared| shared.0 == generation()) {
                return f(&mut lock(&shared.1));
            }
            // Whoever comes first makes it.
            self.0.compare_and_swap(&current, Some(Arc::new((generation(), Mutex::default()))));
        }
    }
}

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

/// A number that differs from call to call, process to process and fork to fork; not for secrets.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    RandomState::new().hash_one((now, std::process::id()))
}

#[pyfunction]
fn after_fork_in_child() {
    ATTACHED.store(0, Ordering::SeqCst);
    GENERATION.fetch_add(1, Ordering::SeqCst);
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
