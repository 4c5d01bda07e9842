//! What a task awaits.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use farcall_system::lock;
use pyo3::{PyTraverseError, PyVisit, exceptions::PyStopIteration, prelude::*, types::PyTuple};

use super::{
    event_loop::{self, EventLoop, Resume},
    known::{asyncio, names},
};
use crate::calling::Calling;

/// A future as asyncio knows them, without a value: done, cancelled or neither.
///
/// A task that awaits a future of asyncio's own is resumed one turn of the loop after the future is done. This one
/// resumes it at once where that is allowed ([`Resume::Now`]), which halves the turns of a call.
#[pyclass(frozen, weakref, module = "farcall._native")]
pub(crate) struct Waiter {
    event_loop: Arc<EventLoop>,
    /// asyncio's mark of a future that is being awaited.
    blocking: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outcome: Outcome,
    callbacks: Vec<Callback>,
}

#[derive(Default)]
enum Outcome {
    #[default]
    Pending,
    Done,
    Cancelled(Option<Py<PyAny>>),
}

/// What to call at the end, in which context.
struct Callback {
    callable: Py<PyAny>,
    context: Option<Py<PyAny>>,
}

impl Waiter {
    pub(crate) fn new(py: Python<'_>, event_loop: &Arc<EventLoop>) -> PyResult<Py<Waiter>> {
        let event_loop = Arc::clone(event_loop);
        Py::new(py, Waiter { event_loop, blocking: AtomicBool::new(false), state: Mutex::default() })
    }

    /// One that becomes done in the loop's next turn: for those who should let others have theirs.
    pub(crate) fn pause(py: Python<'_>, event_loop: &Arc<EventLoop>) -> PyResult<Py<Waiter>> {
        let waiter = Waiter::new(py, event_loop)?;
        event_loop.call_soon_bare(py, &waiter.bind(py).getattr(names(py).wake.bind(py))?);
        Ok(waiter)
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(lock(&self.state).outcome, Outcome::Pending)
    }

    /// Marks it done and resumes whoever awaits it.
    ///
    /// # Errors
    /// What a resumed task let out, which is only KeyboardInterrupt or SystemExit; all are resumed nevertheless.
    pub(crate) fn finish(this: &Bound<'_, Waiter>, resume: Resume) -> PyResult<()> {
        this.get().end(this, Outcome::Done, resume).1
    }

    /// Whether this ended it, and what a resumed task let out.
    fn end(&self, this: &Bound<'_, Waiter>, outcome: Outcome, resume: Resume) -> (bool, PyResult<()>) {
        let callbacks = {
            let mut state = lock(&self.state);
            if !matches!(state.outcome, Outcome::Pending) {
                return (false, Ok(()));
            }
            state.outcome = outcome;
            std::mem::take(&mut state.callbacks)
        };
        let mut result = Ok(());
        for callback in callbacks {
            let resume = if result.is_ok() { resume } else { Resume::Soon };
            if let Err(error) = callback.call(&self.event_loop, this.as_any(), resume) {
                result = Err(error);
            }
        }
        (true, result)
    }
}

impl Callback {
    fn call(self, event_loop: &EventLoop, argument: &Bound<'_, PyAny>, resume: Resume) -> PyResult<()> {
        let py = argument.py();
        match (resume, self.context) {
            (Resume::Now, Some(context)) => event_loop
                .step(|| {
                    context.bind(py).call_python_method(names(py).run.bind(py), &[self.callable.bind(py), argument])
                })
                .map(drop),
            (Resume::Now, None) => event_loop.step(|| self.callable.bind(py).call_python(&[argument])).map(drop),
            (Resume::Soon, context) => {
                event_loop.call_soon(py, &self.callable, argument, context.as_ref());
                Ok(())
            }
        }
    }
}

#[pymethods]
impl Waiter {
    /// One of the loop that runs.
    #[new]
    fn of_running_loop(py: Python<'_>) -> PyResult<Waiter> {
        let event_loop = EventLoop::of(&event_loop::working(py)?);
        Ok(Waiter { event_loop, blocking: AtomicBool::new(false), state: Mutex::default() })
    }

    #[getter(_asyncio_future_blocking)]
    fn blocking(&self) -> bool {
        self.blocking.load(Ordering::Relaxed)
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, blocking: bool) {
        self.blocking.store(blocking, Ordering::Relaxed);
    }

    fn get_loop(&self, py: Python<'_>) -> Py<PyAny> {
        self.event_loop.object.clone_ref(py)
    }

    #[pyo3(signature = (callback, *, context=None))]
    fn add_done_callback(this: &Bound<'_, Self>, callback: Py<PyAny>, context: Option<Py<PyAny>>) {
        let callback = Callback { callable: callback, context };
        {
            let mut state = lock(&this.get().state);
            if matches!(state.outcome, Outcome::Pending) {
                state.callbacks.push(callback);
                return;
            }
        }
        // Soon never fails.
        let _ = callback.call(&this.get().event_loop, this.as_any(), Resume::Soon);
    }

    fn remove_done_callback(&self, callback: &Bound<'_, PyAny>) -> PyResult<usize> {
        let callbacks = std::mem::take(&mut lock(&self.state).callbacks);
        let before = callbacks.len();
        let mut kept = Vec::with_capacity(before);
        for known in callbacks {
            if !known.callable.bind(callback.py()).eq(callback)? {
                kept.push(known);
            }
        }
        let removed = before - kept.len();
        lock(&self.state).callbacks.extend(kept);
        Ok(removed)
    }

    #[pyo3(signature = (msg=None))]
    fn cancel(this: &Bound<'_, Self>, msg: Option<Py<PyAny>>) -> bool {
        // Whoever cancels may be a task in the middle of a step: nobody else can be resumed now.
        this.get().end(this, Outcome::Cancelled(msg), Resume::Soon).0
    }

    /// Resumes whoever awaits it.
    fn wake(this: &Bound<'_, Self>) -> PyResult<()> {
        Waiter::finish(this, this.get().event_loop.resume())
    }

    fn done(&self) -> bool {
        !self.is_pending()
    }

    fn cancelled(&self) -> bool {
        matches!(lock(&self.state).outcome, Outcome::Cancelled(_))
    }

    fn result(&self, py: Python<'_>) -> PyResult<()> {
        let message = match &lock(&self.state).outcome {
            Outcome::Done => return Ok(()),
            Outcome::Cancelled(message) => Some(message.as_ref().map(|message| message.clone_ref(py))),
            Outcome::Pending => None,
        };
        Err(match message {
            Some(message) => cancelled_error(py, message)?,
            None => invalid_state(py)?,
        })
    }

    fn exception(&self, py: Python<'_>) -> PyResult<()> {
        self.result(py)
    }

    fn __await__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __iter__(this: Py<Self>) -> Py<Self> {
        this
    }

    fn __next__(this: &Bound<'_, Self>) -> PyResult<Py<Self>> {
        let waiter = this.get();
        if waiter.is_pending() {
            waiter.blocking.store(true, Ordering::Relaxed);
            return Ok(this.clone().unbind());
        }
        waiter.result(this.py())?;
        Err(PyStopIteration::new_err(()))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Whoever holds the lock runs at this moment: then it is no garbage.
        let Ok(state) = self.state.try_lock() else { return Ok(()) };
        for callback in &state.callbacks {
            visit.call(&callback.callable)?;
            visit.call(&callback.context)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let callbacks = std::mem::take(&mut lock(&self.state).callbacks);
        drop(callbacks);
    }
}

fn cancelled_error(py: Python<'_>, message: Option<Py<PyAny>>) -> PyResult<PyErr> {
    let class = asyncio(py)?.cancelled_error.bind(py);
    let arguments = match message.filter(|message| !message.is_none(py)) {
        Some(message) => PyTuple::new(py, [message])?,
        None => PyTuple::empty(py),
    };
    Ok(PyErr::from_value(class.call1(arguments)?))
}

fn invalid_state(py: Python<'_>) -> PyResult<PyErr> {
    let class = asyncio(py)?.invalid_state_error.bind(py);
    Ok(PyErr::from_value(class.call1(("Result is not set.",))?))
}
