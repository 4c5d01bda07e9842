//! What is known of one asyncio loop, and when what is written on it goes out.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::ThreadId,
    time::{Duration, Instant},
};

use farcall_serving::limits::{HANDSHAKES_IN_A_ROW, HANDSHAKES_WAITING};
use farcall_system::{
    lock, memory,
    process::{self, PerProcess},
};
use pyo3::{
    exceptions::{PyNotImplementedError, PyRuntimeError},
    prelude::*,
    types::{PyFloat, PyInt, PyTuple},
};

use super::{
    connection::Connection,
    known::{asyncio, names},
};
use crate::calling::Calling;

/// Two writes that come this soon after one another may be of one turn of the loop.
const RECENT: Duration = Duration::from_micros(50);

/// How often those that were resumed by a write may write themselves before others on the loop have their turn.
const ROUNDS: usize = 4;

/// All loops in use.
static LOOPS: PerProcess<Vec<Weak<EventLoop>>> = PerProcess::new();

/// When somebody who waits goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Resume {
    /// At once: the loop is running a callback of ours, and no task is in the middle of a step.
    Now,
    /// In the loop's next turn.
    Soon,
}

/// One asyncio loop.
pub(crate) struct EventLoop {
    pub(crate) object: Py<PyAny>,
    generation: u32,
    /// The thread it runs on, or will.
    thread: ThreadId,
    /// What watches descriptors: the loop itself, or a thread for loops that cannot.
    watching: Mutex<Option<Py<PyAny>>>,
    /// A callback of ours is resuming tasks: what they write goes out at its end.
    batch: AtomicBool,
    /// Python runs that a callback of ours has called: a task is in the middle of a step.
    stepping: AtomicBool,
    /// The loop will call [`Turn::run`].
    turn: AtomicBool,
    /// TLS handshakes that went on in this turn, and that could not.
    handshakes: AtomicUsize,
    postponed: AtomicUsize,
    /// So many could not in the last turn that there should be no more.
    crowded: AtomicBool,
    /// Connections that have something to write at the end of the batch or turn.
    dirty: Mutex<Vec<Arc<Connection>>>,
    /// When somebody last wrote at once.
    wrote: Mutex<Option<Instant>>,
    me: Weak<EventLoop>,
}

/// What the loop calls at the end of a turn.
#[pyclass(frozen)]
pub(super) struct Turn(Weak<EventLoop>);

#[pymethods]
impl Turn {
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let Some(event_loop) = self.0.upgrade() else { return Ok(()) };
        event_loop.turn.store(false, Ordering::SeqCst);
        event_loop.handshakes.store(0, Ordering::Relaxed);
        let postponed = event_loop.postponed.swap(0, Ordering::Relaxed);
        event_loop.crowded.store(postponed >= HANDSHAKES_WAITING, Ordering::Relaxed);
        event_loop.in_batch(py, || Ok(()))
    }
}

/// What the loop calls to ask whether all is quiet.
#[pyclass(frozen)]
pub(super) struct Look(Weak<EventLoop>);

#[pymethods]
impl Look {
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        self.0.upgrade().map_or(Ok(()), |event_loop| event_loop.look_after_memory(py))
    }
}

/// The loop that runs on this thread; `None` without one.
pub(crate) fn running(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let found = asyncio(py)?.running_loop.bind(py).call0()?;
    Ok((!found.is_none()).then_some(found))
}

/// The loop that runs, or else the one that a program without a running loop means.
pub(crate) fn working(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    if let Some(running) = running(py)? {
        return Ok(running);
    }
    asyncio(py)?.working_loop.bind(py).call_python(&[])
}

impl EventLoop {
    /// What is known of `object`, a loop that runs on this thread or will.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> Arc<EventLoop> {
        // Upgraded into a list: the last holder of one must not drop it, and so a loop of Python, under the lock.
        let known: Vec<_> = LOOPS.with(|loops| loops.iter().filter_map(Weak::upgrade).collect());
        let thread = std::thread::current().id();
        if let Some(known) = known.iter().find(|known| known.is(object) && known.thread == thread) {
            return Arc::clone(known);
        }
        let new = Arc::new_cyclic(|me| EventLoop {
            object: object.clone().unbind(),
            generation: process::generation(),
            thread,
            watching: Mutex::new(None),
            batch: AtomicBool::new(false),
            stepping: AtomicBool::new(false),
            turn: AtomicBool::new(false),
            handshakes: AtomicUsize::new(0),
            postponed: AtomicUsize::new(0),
            crowded: AtomicBool::new(false),
            dirty: Mutex::default(),
            wrote: Mutex::default(),
            me: Weak::clone(me),
        });
        LOOPS.with(|loops| {
            loops.retain(|known| known.strong_count() > 0);
            loops.push(Arc::downgrade(&new));
        });
        new
    }

    pub(crate) fn is(&self, object: &Bound<'_, PyAny>) -> bool {
        self.object.is(object)
    }

    /// Whether it belongs to this process. What a parent's loop watches is not this process's to change.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    /// Whether this is the loop's thread.
    pub(crate) fn is_here(&self) -> bool {
        self.thread == std::thread::current().id()
    }

    /// Whether it can still call anything.
    pub(crate) fn is_alive(&self, py: Python<'_>) -> bool {
        let closed = self.object.bind(py).call_python_method(names(py).is_closed.bind(py), &[]);
        self.is_ours() && closed.and_then(|closed| closed.is_truthy()).is_ok_and(|closed| !closed)
    }

    // Callbacks.

    /// Has the loop call `callable(argument)` in its next turn. A loop that is closed calls nothing any more.
    pub(crate) fn call_soon(
        &self,
        py: Python<'_>,
        callable: &Py<PyAny>,
        argument: &Bound<'_, PyAny>,
        context: Option<&Py<PyAny>>,
    ) {
        let object = self.object.bind(py);
        let name = if self.is_here() { names(py).call_soon.bind(py) } else { names(py).call_soon_threadsafe.bind(py) };
        let callable = callable.bind(py);
        let called = match context {
            None => object.call_python_method(name, &[callable, argument]),
            Some(context) => PyTuple::new(py, [names(py).context.bind(py)]).and_then(|keywords| {
                object.call_python_method_with(name, &[callable, argument, context.bind(py)], &keywords)
            }),
        };
        forget_closed(py, called);
    }

    /// Has the loop call `callable()` in its next turn.
    pub(crate) fn call_soon_bare(&self, py: Python<'_>, callable: &Bound<'_, PyAny>) {
        let name = if self.is_here() { names(py).call_soon.bind(py) } else { names(py).call_soon_threadsafe.bind(py) };
        forget_closed(py, self.object.bind(py).call_python_method(name, &[callable]));
    }

    /// Has the loop call `callable()` at `at`; what can cancel that.
    pub(crate) fn call_at(
        &self,
        py: Python<'_>,
        at: Instant,
        now: Instant,
        callable: &Bound<'_, PyAny>,
    ) -> Option<Py<PyAny>> {
        // A timer that goes off a little early would be set again and again.
        let delay = at.saturating_duration_since(now).as_secs_f64() + 0.0005;
        let delay = PyFloat::new(py, delay);
        let handle = self.object.bind(py).call_python_method(names(py).call_later.bind(py), &[&delay, callable]);
        forget_closed(py, handle).map(Bound::unbind)
    }

    /// Asks whether all is quiet, and again until it is.
    pub(crate) fn look_after_memory(&self, py: Python<'_>) -> PyResult<()> {
        let now = Instant::now();
        if let Some(at) = py.detach(|| memory::quiet(now)) {
            let look = Bound::new(py, Look(Weak::clone(&self.me)))?.getattr(names(py).run.bind(py))?;
            self.call_at(py, at, now, &look);
        }
        Ok(())
    }

    // Descriptors.

    pub(crate) fn add_reader(&self, fd: i32, callable: &Bound<'_, PyAny>) -> PyResult<()> {
        self.watch(names(callable.py()).add_reader.bind(callable.py()), fd, callable)
    }

    pub(crate) fn add_writer(&self, fd: i32, callable: &Bound<'_, PyAny>) -> PyResult<()> {
        self.watch(names(callable.py()).add_writer.bind(callable.py()), fd, callable)
    }

    pub(crate) fn remove_reader(&self, py: Python<'_>, fd: i32) {
        self.unwatch(py, names(py).remove_reader.bind(py), fd);
    }

    pub(crate) fn remove_writer(&self, py: Python<'_>, fd: i32) {
        self.unwatch(py, names(py).remove_writer.bind(py), fd);
    }

    fn watch(&self, method: &Bound<'_, pyo3::types::PyString>, fd: i32, callable: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = callable.py();
        let fd = PyInt::new(py, fd);
        let fd = fd.as_any();
        let by = lock(&self.watching).as_ref().map(|by| by.clone_ref(py));
        if let Some(by) = by {
            return by.bind(py).call_python_method(method, &[fd, callable]).map(drop);
        }
        let object = self.object.bind(py);
        match object.call_python_method(method, &[fd, callable]) {
            Ok(_) => {
                *lock(&self.watching) = Some(object.clone().unbind());
                Ok(())
            }
            Err(error) if error.is_instance_of::<PyNotImplementedError>(py) => {
                let by = py.import("farcall._selector_thread")?.call_method1("of", (object,))?;
                by.call_python_method(method, &[fd, callable])?;
                *lock(&self.watching) = Some(by.unbind());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn unwatch(&self, py: Python<'_>, method: &Bound<'_, pyo3::types::PyString>, fd: i32) {
        let by = lock(&self.watching).as_ref().map(|by| by.clone_ref(py));
        if let Some(by) = by
            && self.is_alive(py)
        {
            forget_closed(py, by.bind(py).call_python_method(method, &[PyInt::new(py, fd).as_any()]));
        }
    }

    // Writes.

    /// When somebody who waits can go on: a task that is in the middle of a step does not let another be resumed.
    pub(crate) fn resume(&self) -> Resume {
        let now = self.batch.load(Ordering::Relaxed) && !self.stepping.load(Ordering::Relaxed) && self.is_here();
        if now { Resume::Now } else { Resume::Soon }
    }

    /// Runs Python that may resume a task, which [`Resume::Now`] has allowed.
    pub(crate) fn step<R>(&self, body: impl FnOnce() -> R) -> R {
        self.stepping.store(true, Ordering::Relaxed);
        let result = body();
        self.stepping.store(false, Ordering::Relaxed);
        result
    }

    /// Runs `body`, which may resume tasks, then writes out what everybody has to say.
    pub(crate) fn in_batch(&self, py: Python<'_>, body: impl FnOnce() -> PyResult<()>) -> PyResult<()> {
        let outer = self.batch.swap(true, Ordering::Relaxed);
        let mut result = body();
        if outer {
            return result;
        }
        for _ in 0..ROUNDS {
            // In one go, so that a connection which says more meanwhile comes again.
            let dirty = std::mem::take(&mut *lock(&self.dirty));
            if dirty.is_empty() {
                break;
            }
            for connection in dirty {
                if let Err(error) = connection.flush(py) {
                    result = Err(error);
                }
            }
        }
        self.batch.store(false, Ordering::Relaxed);
        if !lock(&self.dirty).is_empty() {
            self.schedule_turn(py);
        }
        result
    }

    /// Whether something that is to be written now should go out now; otherwise `connection` is asked for it later.
    pub(crate) fn writes_now(&self, py: Python<'_>, connection: &Arc<Connection>) -> bool {
        if !self.is_here() {
            // Not ours to say what goes on there.
            self.defer(py, connection);
            return false;
        }
        if self.batch.load(Ordering::Relaxed) || self.turn.load(Ordering::SeqCst) {
            lock(&self.dirty).push(Arc::clone(connection));
            return false;
        }
        let now = Instant::now();
        let last = lock(&self.wrote).replace(now);
        if last.is_some_and(|last| now.saturating_duration_since(last) < RECENT) {
            self.defer(py, connection);
            return false;
        }
        true
    }

    /// Has the loop write out `connection` in its next turn.
    pub(crate) fn defer(&self, py: Python<'_>, connection: &Arc<Connection>) {
        lock(&self.dirty).push(Arc::clone(connection));
        self.schedule_turn(py);
    }

    /// Whether a client's TLS handshake may go on in this turn of the loop. If not, the loop asks again in the next.
    pub(crate) fn may_go_on(&self, py: Python<'_>) -> bool {
        self.schedule_turn(py);
        if self.handshakes.fetch_add(1, Ordering::Relaxed) < HANDSHAKES_IN_A_ROW {
            return true;
        }
        self.postponed.fetch_add(1, Ordering::Relaxed);
        false
    }

    /// Whether so many handshakes wait for their turn that no more connections should be accepted.
    pub(crate) fn is_crowded(&self, py: Python<'_>) -> bool {
        let crowded = self.crowded.load(Ordering::Relaxed);
        if crowded {
            // Which tells whether it still is.
            self.schedule_turn(py);
        }
        crowded
    }

    fn schedule_turn(&self, py: Python<'_>) {
        if self.turn.swap(true, Ordering::SeqCst) {
            return;
        }
        let turn = Bound::new(py, Turn(Weak::clone(&self.me))).and_then(|turn| turn.getattr(names(py).run.bind(py)));
        match turn {
            Ok(turn) => self.call_soon_bare(py, &turn),
            Err(error) => error.write_unraisable(py, None),
        }
    }
}

/// A loop that has been closed refuses everything with a RuntimeError, and nothing is left to do for it then.
fn forget_closed<'py>(py: Python<'py>, result: PyResult<Bound<'py, PyAny>>) -> Option<Bound<'py, PyAny>> {
    match result {
        Ok(value) => Some(value),
        Err(error) if error.is_instance_of::<PyRuntimeError>(py) => None,
        Err(error) => {
            error.write_unraisable(py, None);
            None
        }
    }
}
