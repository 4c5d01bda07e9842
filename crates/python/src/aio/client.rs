//! `AioChannel` and `AioClientCall` as Python sees them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use farcall_channel::Connectivity;
use farcall_core::{Code, Status};
use farcall_system::{lock, message::Message, options::ChannelOptions};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyTuple},
};

use super::{
    call::{Call, NewCall, Sent, Want},
    channel::Channel,
    event_loop::{self, EventLoop},
    serving::answer,
    waiter::Waiter,
};
use crate::{
    convert::{self, Text},
    credentials::ChannelSecurity,
    pairs,
};

/// A channel, with a connection for each loop that uses it. In a forked child it dials again.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct AioChannel(Arc<Shared>);

/// What a channel and its calls share: the channel closes when the last of them is gone, so that a call outlives the
/// name of its channel.
struct Shared {
    target: String,
    options: ChannelOptions,
    resolve: Arc<Py<PyAny>>,
    /// The last used first.
    loops: Mutex<Vec<Arc<Channel>>>,
    closed: AtomicBool,
}

impl Shared {
    /// The channel of the loop that runs.
    fn here(&self, py: Python<'_>) -> PyResult<Arc<Channel>> {
        let running = event_loop::working(py)?;
        {
            let loops = lock(&self.loops);
            if let Some(channel) = loops.first()
                && channel.event_loop.is(&running)
                && channel.event_loop.is_ours()
            {
                return Ok(Arc::clone(channel));
            }
        }
        self.find(&running)
    }

    fn find(&self, running: &Bound<'_, PyAny>) -> PyResult<Arc<Channel>> {
        let py = running.py();
        self.bury(py);
        let known = lock(&self.loops).iter().position(|channel| channel.event_loop.is(running));
        if let Some(index) = known {
            let mut loops = lock(&self.loops);
            // Another thread may have moved it, which costs it another look.
            if index < loops.len() {
                loops.swap(0, index);
            }
            if let Some(channel) = loops.iter().find(|channel| channel.event_loop.is(running)) {
                return Ok(Arc::clone(channel));
            }
        }
        let new = Channel::new(&self.target, &self.options, EventLoop::of(running), &self.resolve);
        lock(&self.loops).insert(0, Arc::clone(&new));
        Ok(new)
    }

    /// Lets go of loops that are gone.
    fn bury(&self, py: Python<'_>) {
        let known: Vec<_> = lock(&self.loops).clone();
        let dead: Vec<_> = known.into_iter().filter(|channel| !channel.event_loop.is_alive(py)).collect();
        if dead.is_empty() {
            return;
        }
        lock(&self.loops).retain(|channel| !dead.iter().any(|dead| Arc::ptr_eq(dead, channel)));
        for channel in &dead {
            channel.abandon();
        }
    }

    /// Ends every call on every loop, each on its own.
    fn close_all(&self, py: Python<'_>, details: &str) -> PyResult<()> {
        self.bury(py);
        let channels = std::mem::take(&mut *lock(&self.loops));
        for channel in channels {
            if channel.event_loop.is_here() {
                channel.close(py, details)?;
            } else {
                let closing = Bound::new(py, Closing(Arc::clone(&channel), details.to_owned()))?;
                channel.event_loop.call_soon_bare(py, closing.as_any());
            }
        }
        Ok(())
    }
}

/// Closes a channel on its own loop.
#[pyclass(frozen)]
pub(super) struct Closing(Arc<Channel>, String);

#[pymethods]
impl Closing {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        self.0.close(py, &self.1)
    }
}

#[pymethods]
impl AioChannel {
    #[new]
    #[pyo3(signature = (target, options, resolve, security=None))]
    fn new(
        target: String,
        options: &Bound<'_, PyAny>,
        resolve: Py<PyAny>,
        security: Option<&ChannelSecurity>,
    ) -> PyResult<AioChannel> {
        let mut options = pairs::channel_options(options)?;
        if let Some(security) = security {
            options = options.secured(security.0.clone());
        }
        let resolve = Arc::new(resolve);
        let closed = AtomicBool::new(false);
        Ok(AioChannel(Arc::new(Shared { target, options, resolve, loops: Mutex::default(), closed })))
    }

    /// `:authority` of its calls.
    fn authority(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.0.here(py)?.authority().to_owned())
    }

    #[expect(clippy::too_many_arguments, reason = "as Python calls it")]
    #[pyo3(signature = (method, request, metadata, timeout, wait_for_ready, compression, held=false))]
    fn start(
        &self,
        py: Python<'_>,
        method: String,
        request: Option<&Bound<'_, PyBytes>>,
        metadata: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        wait_for_ready: Option<bool>,
        compression: Option<u32>,
        held: bool,
    ) -> PyResult<AioClientCall> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Err(PyValueError::new_err("Channel is closed."));
        }
        let channel = self.0.here(py)?;
        let encoding = compression.map_or(Ok(self.0.options.encoding), convert::encoding)?;
        let failed = match convert::read_metadata(metadata)? {
            Ok(_) if method.is_empty() || !method.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
                // No header can name it, so no server can have it.
                Status::new(Code::Unimplemented, "Method not found!")
            }
            Ok(metadata) => {
                let new = NewCall { path: method, metadata, wait_for_ready, encoding, held };
                let message: Option<Message<'_>> = request.map(convert::read_message);
                let call = channel.start(py, new, message, convert::deadline(timeout))?;
                return Ok(AioClientCall(call, Some(Arc::clone(&self.0))));
            }
            Err(_) => Status::new(Code::Internal, "Invalid metadata"),
        };
        Ok(AioClientCall(Call::failed(failed, &channel.event_loop), None))
    }

    fn state(&self, py: Python<'_>, try_to_connect: bool) -> PyResult<u8> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Ok(Connectivity::Shutdown as u8);
        }
        Ok(self.0.here(py)?.connectivity(py, try_to_connect)? as u8)
    }

    fn wait_for_state_change(&self, py: Python<'_>, last: u8) -> PyResult<Option<Py<Waiter>>> {
        use Connectivity::{Connecting, Idle, Ready, Shutdown, TransientFailure};
        let all = [Idle, Connecting, Ready, TransientFailure, Shutdown];
        let last = all.get(usize::from(last)).copied();
        let last = last.ok_or_else(|| PyValueError::new_err("no such connectivity state"))?;
        if self.0.closed.load(Ordering::SeqCst) {
            return Ok(None);
        }
        self.0.here(py)?.wait_for_change(py, last)
    }

    /// Takes no new calls from now on.
    fn refuse(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    /// What becomes done when no call is in flight on this loop; `None` when none is.
    fn wait_idle(&self, py: Python<'_>) -> PyResult<Option<Py<Waiter>>> {
        self.0.here(py)?.wait_idle(py)
    }

    fn close(&self, py: Python<'_>, details: &str) -> PyResult<()> {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.close_all(py, details)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        Python::attach(|py| {
            if let Err(error) = self.close_all(py, "Channel deallocated!") {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// One call of a client. A call of the parent of a forked process is over in the child.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct AioClientCall(
    Arc<Call>,
    /// Its channel, which stays open as long as it may go on.
    #[expect(dead_code, reason = "only to be dropped")]
    Option<Arc<Shared>>,
);

/// Code, details, trailing metadata, and whether they are the server's.
type Ended<'py> = (u32, String, Bound<'py, PyTuple>, bool);

#[pymethods]
impl AioClientCall {
    #[pyo3(signature = (message, compress=true))]
    fn send<'py>(
        &self,
        py: Python<'py>,
        message: &Bound<'py, PyBytes>,
        compress: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let sent =
            if self.0.is_ours() { self.0.send(py, convert::read_message(message), compress)? } else { Sent::Over };
        Ok(sent.into_python(py))
    }

    /// Goes on with a call that was held for this metadata; false, and nothing, when it was not.
    fn proceed(&self, py: Python<'_>, metadata: &Bound<'_, PyAny>) -> PyResult<bool> {
        if !self.0.is_ours() {
            return Ok(false);
        }
        match convert::read_metadata(Some(metadata))? {
            Ok(metadata) => self.0.proceed(py, &metadata),
            Err(_) => self.0.cancel(py, Status::new(Code::Unavailable, "Illegal metadata")),
        }
    }

    fn half_close(&self, py: Python<'_>) -> PyResult<()> {
        if self.0.is_ours() { self.0.half_close(py) } else { Ok(()) }
    }

    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        received(py, &self.0)
    }

    fn response<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.only_message().map(|message| convert::write_message(py, &message))
    }

    fn received(&self) -> usize {
        self.0.inbox_len()
    }

    fn headers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let headers = self.0.lock().headers();
        convert::write_metadata(py, &headers.unwrap_or_default())
    }

    fn done(&self) -> bool {
        self.0.lock().is_over()
    }

    fn ended(&self, py: Python<'_>) -> PyResult<Option<Py<Waiter>>> {
        self.0.wait(py, Want::End)
    }

    fn answered(&self, py: Python<'_>) -> PyResult<Option<Py<Waiter>>> {
        self.0.wait(py, Want::Headers)
    }

    fn connected(&self, py: Python<'_>) -> PyResult<Option<Py<Waiter>>> {
        self.0.wait(py, Want::Place)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Option<Ended<'py>>> {
        let Some(closed) = self.0.lock().closed.clone() else { return Ok(None) };
        let trailers = convert::write_metadata(py, &closed.trailers)?;
        Ok(Some((closed.status.code.number(), closed.status.message.into_owned(), trailers, closed.completed)))
    }

    fn cancel(&self, py: Python<'_>, code: u32, details: Text) -> PyResult<bool> {
        let status = convert::status(code, details)?;
        Ok(self.0.is_ours() && self.0.cancel(py, status)?)
    }

    /// Has it end with this status, whatever the server says or has said.
    fn fail(&self, py: Python<'_>, code: u32, details: Text) -> PyResult<()> {
        let status = convert::status(code, details)?;
        if self.0.is_ours() { self.0.fail(py, status) } else { Ok(()) }
    }

    fn add_done_callback(&self, callback: Py<PyAny>) -> bool {
        self.0.add_callback(callback)
    }

    fn time_remaining(&self) -> Option<f64> {
        self.0.deadline.map(convert::time_remaining)
    }

    fn peer(&self) -> Option<String> {
        let peer = Arc::clone(&self.0.lock().peer);
        (!peer.is_empty()).then(|| peer.to_string())
    }
}

impl Drop for AioClientCall {
    fn drop(&mut self) {
        if !self.0.is_ours() || self.0.lock().is_over() {
            return;
        }
        let status = Status::new(Code::Cancelled, "Cancelled upon garbage collection!");
        Python::attach(|py| {
            if let Err(error) = self.0.cancel(py, status) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// The next message, what to await first, or `None` when there are no more.
pub(crate) fn received<'py>(py: Python<'py>, call: &Arc<Call>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let taken = call.take(py)?;
    answer(py, call, taken)
}
