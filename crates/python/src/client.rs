//! `Channel` and `ClientCall` as Python sees them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use arc_swap::ArcSwap;
use farcall_blocking::{
    call::{Call, CallState, Outbox, Waited},
    channel,
    connection::Then,
};
use farcall_channel::Connectivity;
use farcall_core::{Code, Status};
use farcall_engine::Encoding;
use farcall_system::{Callback, message::Message, options::ChannelOptions};
use pyo3::{
    exceptions::PyValueError,
    prelude::*,
    types::{PyBytes, PyTuple},
};

use crate::{
    calling::Calling,
    convert::{self, Text},
    credentials::ChannelSecurity,
    interpreter, pairs, signals,
};

/// A channel. In a forked child it dials again, as a new channel of the same target.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct Channel(Arc<Shared>);

/// What a channel and its calls share: the channel closes when the last of them is gone, so that a call outlives the
/// name of its channel.
struct Shared {
    target: String,
    options: ChannelOptions,
    inner: ArcSwap<channel::Channel>,
    closed: AtomicBool,
}

impl Shared {
    /// The channel of this process.
    fn inner(&self) -> io::Result<Arc<channel::Channel>> {
        loop {
            let inner = self.inner.load();
            if inner.is_ours() {
                return Ok(Arc::clone(&inner));
            }
            let new = channel::Channel::new(&self.target, &self.options, interpreter::host)?;
            // Whoever was quicker, the next look finds a channel of this process.
            self.inner.compare_and_swap(&inner, new);
        }
    }

    fn open(&self) -> PyResult<Arc<channel::Channel>> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(PyValueError::new_err("Cannot invoke RPC on closed channel!"));
        }
        Ok(self.inner()?)
    }

    /// How a call's messages are compressed: as it says, else as the channel does.
    fn encoding(&self, compression: Option<u32>) -> PyResult<Encoding> {
        compression.map_or(Ok(self.options.encoding), convert::encoding)
    }
}

#[pymethods]
impl Channel {
    #[new]
    #[pyo3(signature = (target, options, security=None))]
    fn new(target: String, options: &Bound<'_, PyAny>, security: Option<&ChannelSecurity>) -> PyResult<Channel> {
        let mut options = pairs::channel_options(options)?;
        if let Some(security) = security {
            options = options.secured(security.0.clone());
        }
        let inner = ArcSwap::new(channel::Channel::new(&target, &options, interpreter::host)?);
        Ok(Channel(Arc::new(Shared { target, options, inner, closed: AtomicBool::new(false) })))
    }

    fn authority(&self) -> PyResult<String> {
        Ok(self.0.inner()?.authority().to_owned())
    }

    #[pyo3(signature = (method, metadata, timeout, wait_for_ready, compression=None, held=false))]
    fn start_call(
        &self,
        method: String,
        metadata: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        wait_for_ready: Option<bool>,
        compression: Option<u32>,
        held: bool,
    ) -> PyResult<ClientCall> {
        let channel = self.0.open()?;
        let encoding = self.0.encoding(compression)?;
        let mut outbox = match outbox(method, metadata, wait_for_ready, encoding, false)? {
            Ok(outbox) => outbox,
            Err(failed) => return Ok(failed),
        };
        outbox.held = held;
        Ok(ClientCall::of(&self.0, channel.start(outbox, None, convert::deadline(timeout), Then::Go)))
    }

    #[pyo3(signature = (method, request, metadata, timeout, wait_for_ready, compression=None, held=false))]
    #[expect(clippy::too_many_arguments, reason = "they are the call's")]
    fn start_unary(
        &self,
        method: String,
        request: &Bound<'_, PyBytes>,
        metadata: Option<&Bound<'_, PyAny>>,
        timeout: Option<f64>,
        wait_for_ready: Option<bool>,
        compression: Option<u32>,
        held: bool,
    ) -> PyResult<ClientCall> {
        let channel = self.0.open()?;
        let encoding = self.0.encoding(compression)?;
        let mut outbox = match outbox(method, metadata, wait_for_ready, encoding, true)? {
            Ok(outbox) => outbox,
            Err(failed) => return Ok(failed),
        };
        let message = convert::read_message(request);
        outbox.held = held;
        Ok(ClientCall::of(&self.0, channel.start(outbox, Some(message), convert::deadline(timeout), Then::Go)))
    }

    fn unary<'py>(
        &self,
        py: Python<'py>,
        method: String,
        request: &Bound<'py, PyBytes>,
        metadata: Option<&Bound<'py, PyAny>>,
        timeout: Option<f64>,
        wait_for_ready: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let channel = self.0.open()?;
        let outbox = match outbox(method, metadata, wait_for_ready, self.0.options.encoding, true)? {
            Ok(outbox) => outbox,
            Err(failed) => return Ok(failed.into_pyobject(py)?.into_any()),
        };
        let mut start = Some((outbox, convert::read_message(request)));
        let deadline = convert::deadline(timeout);
        let mut started: Option<Arc<Call>> = None;
        let waited = signals::wait(py, None, |until| {
            if let Some((outbox, message)) = start.take() {
                started = Some(channel.start(outbox, Some(message), deadline, Then::Wait));
            }
            started.as_ref().map_or(Waited::Done, |call| call.wait(until, &CallState::ended))
        });
        // The first step has started it.
        let Some(call) = started else { return Err(PyValueError::new_err("the call was not started")) };
        if let Err(error) = waited {
            call.cancel(Status::new(Code::Cancelled, "Locally cancelled by application!"));
            return Err(error);
        }
        let message = {
            let mut state = call.lock();
            let ok = state.closed.as_ref().is_some_and(|closed| closed.status.is_ok());
            if ok && state.inbox.len() == 1 { state.inbox.pop_back() } else { None }
        };
        match message {
            Some(message) => Ok(convert::write_message(py, &message).into_any()),
            None => Ok(ClientCall::over(call).into_pyobject(py)?.into_any()),
        }
    }

    fn state(&self, try_to_connect: bool) -> PyResult<u8> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Ok(Connectivity::Shutdown as u8);
        }
        Ok(self.0.inner()?.connectivity(try_to_connect) as u8)
    }

    fn wait_for_state_change(&self, py: Python<'_>, last: u8, timeout: Option<f64>) -> PyResult<u8> {
        let channel = self.0.inner()?;
        let last = connectivity(last)?;
        let mut now = last;
        signals::wait(py, convert::deadline(timeout), |until| {
            let (connectivity, waited) = channel.wait_for_change(last, until);
            now = connectivity;
            waited
        })?;
        Ok(now as u8)
    }

    fn close(&self, py: Python<'_>, details: &str) {
        self.0.closed.store(true, Ordering::SeqCst);
        let inner = self.0.inner.load_full();
        if inner.is_ours() {
            py.detach(|| inner.close(details));
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let inner = self.inner.load_full();
        if inner.is_ours() {
            inner.close("Channel deallocated!");
        }
    }
}

fn connectivity(number: u8) -> PyResult<Connectivity> {
    use Connectivity::{Connecting, Idle, Ready, Shutdown, TransientFailure};
    let all = [Idle, Connecting, Ready, TransientFailure, Shutdown];
    all.get(usize::from(number)).copied().ok_or_else(|| PyValueError::new_err("no such connectivity state"))
}

/// What a call starts with; or the call itself, if its metadata lets it end before it starts.
fn outbox(
    path: String,
    metadata: Option<&Bound<'_, PyAny>>,
    wait_for_ready: Option<bool>,
    encoding: Encoding,
    half_closed: bool,
) -> PyResult<Result<Outbox, ClientCall>> {
    Ok(match convert::read_metadata(metadata)? {
        Ok(_) if path.is_empty() || !path.bytes().all(|byte| (b' '..=b'~').contains(&byte)) => {
            // No header can name it, so no server can have it.
            Err(ClientCall::over(Call::failed(Status::new(Code::Unimplemented, "Method not found!"))))
        }
        Ok(metadata) => {
            let mut outbox = Outbox::new(path, metadata);
            (outbox.wait_for_ready, outbox.encoding, outbox.half_closed) = (wait_for_ready, encoding, half_closed);
            Ok(outbox)
        }
        Err(_) => Err(ClientCall::over(Call::failed(Status::new(Code::Internal, "Invalid metadata")))),
    })
}

/// One call of a client. A call of the parent of a forked process is over in the child.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct ClientCall(
    Arc<Call>,
    /// Its channel, which stays open as long as it may go on.
    #[expect(dead_code, reason = "only to be dropped")]
    Option<Arc<Shared>>,
);

impl ClientCall {
    fn of(channel: &Arc<Shared>, call: Arc<Call>) -> ClientCall {
        ClientCall(call, Some(Arc::clone(channel)))
    }

    /// One that has ended.
    fn over(call: Arc<Call>) -> ClientCall {
        ClientCall(call, None)
    }
}

/// The requests of a call, for who makes them: unlike the call itself, this keeps neither the call nor its channel going.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct ClientRequests(Arc<Call>);

#[pymethods]
impl ClientRequests {
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyBytes>) -> PyResult<bool> {
        if !self.0.is_ours() {
            return Ok(false);
        }
        send(py, &self.0, convert::read_message(message), true)
    }

    fn await_room(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        look_or_wait(py, &self.0, timeout, &CallState::sendable)
    }

    fn half_close(&self) {
        if self.0.is_ours() {
            self.0.half_close();
        }
    }

    fn cancel(&self, code: u32, details: Text) -> PyResult<bool> {
        let status = convert::status(code, details)?;
        Ok(self.0.is_ours() && self.0.cancel(status))
    }
}

/// How a call of a parent process ended, as its child sees it.
const OF_THE_PARENT: &str = "The call belongs to the process that this one was forked from.";

#[pymethods]
impl ClientCall {
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyBytes>) -> PyResult<bool> {
        if !self.0.is_ours() {
            return Ok(false);
        }
        send(py, &self.0, convert::read_message(message), true)
    }

    /// The requests of this call, to be sent by somebody else.
    fn requests(&self) -> ClientRequests {
        ClientRequests(Arc::clone(&self.0))
    }

    /// Goes on with a call that was held for this metadata; false, and nothing, when it was not.
    fn proceed(&self, metadata: &Bound<'_, PyAny>) -> PyResult<bool> {
        match convert::read_metadata(Some(metadata))? {
            Ok(metadata) => Ok(self.0.is_ours() && self.0.proceed(&metadata)),
            Err(_) => Ok(self.0.is_ours() && self.0.cancel(Status::new(Code::Unavailable, "Illegal metadata"))),
        }
    }

    fn half_close(&self) {
        if self.0.is_ours() {
            self.0.half_close();
        }
    }

    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if !self.0.is_ours() {
            return Ok(None);
        }
        receive(py, &self.0)
    }

    fn await_message(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        await_message(py, &self.0, timeout)
    }

    fn await_room(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        look_or_wait(py, &self.0, timeout, &CallState::sendable)
    }

    fn await_headers(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        look_or_wait(py, &self.0, timeout, &CallState::has_headers)
    }

    fn initial_metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        if !self.0.is_ours() {
            return Ok(PyTuple::empty(py));
        }
        wait(py, &self.0, None, &CallState::has_headers)?;
        let headers = self.0.lock().headers.clone();
        convert::write_metadata(py, &headers.unwrap_or_default())
    }

    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        if !self.0.is_ours() {
            return Ok(true);
        }
        wait(py, &self.0, convert::deadline(timeout), &CallState::ended)
    }

    fn done(&self) -> bool {
        !self.0.is_ours() || self.0.lock().ended()
    }

    fn unread(&self) -> usize {
        if self.0.is_ours() { self.0.lock().inbox.len() } else { 0 }
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Option<Ended<'py>>> {
        if !self.0.is_ours() {
            let code = Code::Cancelled.number();
            return Ok(Some((code, OF_THE_PARENT.to_owned(), PyTuple::empty(py), false)));
        }
        let Some(closed) = self.0.lock().closed.clone() else { return Ok(None) };
        let trailers = convert::write_metadata(py, &closed.trailers)?;
        Ok(Some((closed.status.code.number(), closed.status.message.into_owned(), trailers, closed.completed)))
    }

    fn cancel(&self, code: u32, details: Text) -> PyResult<bool> {
        let status = convert::status(code, details)?;
        Ok(self.0.is_ours() && self.0.cancel(status))
    }

    fn add_done_callback(&self, callback: Py<PyAny>) -> bool {
        self.0.is_ours() && self.0.add_callback(callback_of(callback)).is_ok()
    }

    /// Has `callback` called where callbacks are; on this thread if there is no such place.
    fn call_back(&self, callback: Py<PyAny>) {
        if self.0.is_ours() {
            self.0.run(vec![callback_of(callback)]);
        }
    }

    fn time_remaining(&self) -> Option<f64> {
        self.0.deadline.map(convert::time_remaining)
    }

    fn peer(&self) -> Option<String> {
        if !self.0.is_ours() {
            return None;
        }
        let peer = Arc::clone(&self.0.lock().peer);
        (!peer.is_empty()).then(|| peer.to_string())
    }
}

impl Drop for ClientCall {
    fn drop(&mut self) {
        if self.0.is_ours() {
            self.0.cancel(Status::new(Code::Cancelled, "Cancelled upon garbage collection!"));
        }
    }
}

/// Code, details, trailing metadata, and whether they are the server's.
type Ended<'py> = (u32, String, Bound<'py, PyTuple>, bool);

/// Waits until `done`, or the time is up; whether it was done.
pub(crate) fn wait(
    py: Python<'_>,
    call: &Arc<Call>,
    until: Option<Instant>,
    done: &(dyn Fn(&CallState) -> bool + Sync),
) -> PyResult<bool> {
    if done(&call.lock()) {
        return Ok(true);
    }
    signals::wait(py, until, |until| call.wait(until, &|state| done(state)))
}

/// Waits until `done`; with no time to wait it only looks, and reads nothing.
pub(crate) fn look_or_wait(
    py: Python<'_>,
    call: &Arc<Call>,
    timeout: Option<f64>,
    done: &(dyn Fn(&CallState) -> bool + Sync),
) -> PyResult<bool> {
    if !call.is_ours() || done(&call.lock()) {
        return Ok(true);
    }
    if timeout == Some(0.0) { Ok(false) } else { wait(py, call, convert::deadline(timeout), done) }
}

/// Waits until a message is there, or none will come; as [`look_or_wait`].
pub(crate) fn await_message(py: Python<'_>, call: &Arc<Call>, timeout: Option<f64>) -> PyResult<bool> {
    if call.is_ours() && call.lock().inbox.is_empty() {
        // What has been taken lets the peer go on: it may wait for that.
        call.release();
    }
    look_or_wait(py, call, timeout, &CallState::receivable)
}

/// Waits for room, then sends; false when the call is over.
pub(crate) fn send(py: Python<'_>, call: &Arc<Call>, message: Message<'_>, compress: bool) -> PyResult<bool> {
    wait(py, call, None, &CallState::sendable)?;
    if call.lock().ended() {
        return Ok(false);
    }
    Ok(call.send(message, compress))
}

/// The next message; waits for it.
pub(crate) fn receive<'py>(py: Python<'py>, call: &Arc<Call>) -> PyResult<Option<Bound<'py, PyBytes>>> {
    loop {
        await_message(py, call, None)?;
        if let Some(message) = call.take_message() {
            return Ok(Some(convert::write_message(py, &message)));
        }
        // Another thread may have taken it, and then this one waits for the next.
        let state = call.lock();
        if state.receivable() && state.inbox.is_empty() {
            return Ok(None);
        }
    }
}

/// A Python callable as a callback that attaches by itself.
pub(crate) fn callback_of(callback: Py<PyAny>) -> Callback {
    Box::new(move || {
        interpreter::attach(move |py| {
            let callback = callback.into_bound(py);
            if let Err(error) = callback.call_python(&[]) {
                error.write_unraisable(py, Some(&callback));
            }
        });
    })
}
