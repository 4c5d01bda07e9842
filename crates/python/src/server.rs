//! `Server` and `ServerCall` as Python sees them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use farcall_blocking::{
    call::{Call, CallState, Last},
    handover::{self, NewCall},
    server,
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{RequestHead, Subtype};
use farcall_system::{bind::ListenError, socket::os_text};
use pyo3::{
    exceptions::{PyOSError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

use crate::{
    calling::Calling,
    client::{await_message, callback_of, look_or_wait, receive, send},
    convert::{self, Text},
    credentials::{self, ServerSecurity},
    interpreter, pairs, signals,
};

/// A server with its own reactor thread. In a forked child it is stopped.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct Server(Arc<server::Server>);

#[pymethods]
impl Server {
    #[new]
    #[pyo3(signature = (options, handover=None))]
    fn new(options: &Bound<'_, PyAny>, handover: Option<&Handover>) -> PyResult<Server> {
        let options = pairs::server_options(options)?;
        let handover = handover.map(|handover| Arc::clone(&handover.0)).unwrap_or_default();
        Ok(Server(server::Server::new(&options, &handover, interpreter::host)?))
    }

    #[pyo3(signature = (address, security=None))]
    fn add_port(&self, py: Python<'_>, address: &str, security: Option<&ServerSecurity>) -> PyResult<u16> {
        self.ours()?;
        // Names are looked up here, which may take its time.
        py.detach(|| self.0.add_port(address, security.map(|it| &it.0))).map_err(|error| match error {
            ListenError::Invalid(why) => PyValueError::new_err(why),
            ListenError::Refused(error) => PyOSError::new_err(os_text(&error)),
        })
    }

    fn start(&self, on_call: Py<PyAny>) -> PyResult<()> {
        self.ours()?;
        let serve = move |calls: Vec<NewCall>| {
            interpreter::attach(|py| {
                for call in calls {
                    let call = Bound::new(py, ServerCall::new(call));
                    if let Err(error) = call.and_then(|call| on_call.bind(py).call_python(&[call.as_any()])) {
                        error.write_unraisable(py, Some(on_call.bind(py)));
                    }
                }
            });
        };
        if self.0.start(Box::new(serve), interpreter::host)? {
            Ok(())
        } else {
            Err(PyValueError::new_err("the server was started before"))
        }
    }

    fn close_listeners(&self, py: Python<'_>) {
        if self.0.is_ours() {
            py.detach(|| self.0.close_listeners());
        }
    }

    fn cancel_all(&self, py: Python<'_>, code: u32, details: Text) -> PyResult<()> {
        let status = convert::status(code, details)?;
        if self.0.is_ours() {
            py.detach(|| self.0.cancel_all(&status));
        }
        Ok(())
    }

    fn wait_idle(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        if !self.0.is_ours() {
            return Ok(true);
        }
        signals::wait(py, convert::deadline(timeout), |until| self.0.wait_idle(until))
    }

    fn stop(&self) {
        if self.0.is_ours() {
            self.0.stop();
        }
    }
}

impl Server {
    fn ours(&self) -> io::Result<()> {
        if self.0.is_ours() {
            return Ok(());
        }
        Err(io::Error::other("the server belongs to the process that this one was forked from"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.0.is_ours() {
            self.0.cancel_all(&Status::new(Code::Unavailable, "Server deallocated"));
            self.0.stop();
        }
    }
}

/// How long a thread of the pool waits for another call before it goes back to the pool.
const PATIENCE: Duration = Duration::from_millis(2);

/// Where threads of a pool get further calls without going through the pool.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct Handover(Arc<handover::Handover>);

#[pymethods]
impl Handover {
    #[new]
    fn new() -> Handover {
        Handover(Arc::default())
    }

    fn take(&self, py: Python<'_>) -> Option<ServerCall> {
        py.detach(|| self.0.take(PATIENCE)).map(ServerCall::new)
    }
}

impl ServerCall {
    fn new((call, head): NewCall) -> ServerCall {
        ServerCall { call, head, answered: AtomicBool::new(false) }
    }
}

/// One call as the server sees it. In a forked child it is over.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct ServerCall {
    call: Arc<Call>,
    head: Box<RequestHead>,
    answered: AtomicBool,
}

#[pymethods]
impl ServerCall {
    #[getter]
    fn method(&self) -> &str {
        &self.head.path
    }

    #[getter]
    fn authority(&self) -> &str {
        &self.head.authority
    }

    /// What the client says its messages are, if it is neither protobuf nor left open.
    #[getter]
    fn subtype(&self) -> Option<&str> {
        match &self.head.subtype {
            Subtype::None | Subtype::Proto => None,
            subtype => Some(subtype.name()),
        }
    }

    fn metadata<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        convert::write_metadata(py, &self.head.metadata)
    }

    fn auth_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        credentials::auth_context(py, self.call.auth.as_ref())
    }

    fn peer(&self) -> String {
        if self.call.is_ours() { self.call.lock().peer.to_string() } else { String::new() }
    }

    fn time_remaining(&self) -> Option<f64> {
        self.call.deadline.map(convert::time_remaining)
    }

    fn is_active(&self) -> bool {
        self.call.is_ours() && !self.answered.load(Ordering::SeqCst) && !self.call.lock().ended()
    }

    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        if !self.is_active() {
            return Ok(None);
        }
        receive(py, &self.call)
    }

    /// Whether `receive` would not wait.
    fn is_receivable(&self) -> bool {
        !self.is_active() || self.call.lock().receivable()
    }

    fn when_receivable(&self, callback: Py<PyAny>) -> bool {
        self.is_active() && self.call.when_receivable(callback_of(callback))
    }

    /// How many messages wait to be received.
    fn received(&self) -> usize {
        self.call.lock().inbox.len()
    }

    fn await_message(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        await_message(py, &self.call, timeout)
    }

    fn await_room(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        look_or_wait(py, &self.call, timeout, &CallState::sendable)
    }

    fn set_compression(&self, compression: u32) -> PyResult<()> {
        let encoding = convert::encoding(compression)?;
        if self.is_active() {
            self.call.set_encoding(encoding);
        }
        Ok(())
    }

    fn send_initial_metadata(&self, metadata: &Bound<'_, PyAny>) -> PyResult<bool> {
        let metadata = convert::checked_metadata(metadata)?;
        Ok(self.is_active() && self.call.send_headers(&metadata).is_ok())
    }

    #[pyo3(signature = (message, compress=true))]
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyBytes>, compress: bool) -> PyResult<bool> {
        if !self.is_active() {
            return Ok(false);
        }
        send(py, &self.call, convert::read_message(message), compress)
    }

    #[pyo3(signature = (code, details, trailing, message=None, compress=true))]
    fn finish(
        &self,
        code: u32,
        details: Text,
        trailing: &Bound<'_, PyAny>,
        message: Option<&Bound<'_, PyBytes>>,
        compress: bool,
    ) -> PyResult<bool> {
        let status = convert::status(code, details)?;
        let trailers = convert::checked_metadata(trailing)?;
        if !self.is_active() || self.answered.swap(true, Ordering::SeqCst) {
            return Ok(false);
        }
        let message = message.map(|message| Last { message: convert::read_message(message), compress });
        Ok(self.call.finish(message, &status, &trailers))
    }

    /// Refuses the call, for its method reads messages of this codec.
    fn refuse_subtype(&self, codec: &str) {
        if self.is_active() && !self.answered.swap(true, Ordering::SeqCst) {
            self.call.refuse_subtype(codec);
        }
    }

    fn cancel(&self, code: u32, details: Text) -> PyResult<()> {
        let status = convert::status(code, details)?;
        if self.call.is_ours() && !self.answered.swap(true, Ordering::SeqCst) {
            // The client is told why, unless it is too late to.
            self.call.finish(None, &status, &Metadata::new());
        }
        Ok(())
    }

    fn add_done_callback(&self, callback: Py<PyAny>) -> bool {
        self.call.is_ours() && self.call.add_callback(callback_of(callback)).is_ok()
    }
}

impl Drop for ServerCall {
    fn drop(&mut self) {
        if self.call.is_ours() && !self.answered.load(Ordering::SeqCst) {
            let status = Status::new(Code::Unknown, "The call was given up without an answer.");
            self.call.finish(None, &status, &Metadata::new());
        }
    }
}
