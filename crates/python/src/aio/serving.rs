//! `AioServer` and `AioServerCall` as Python sees them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use farcall_core::{Code, Status};
use farcall_engine::{RequestHead, Subtype};
use farcall_system::{bind::ListenError, socket::os_text};
use pyo3::{
    exceptions::{PyOSError, PyValueError},
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

use super::{
    call::{Call, Sent, Taken, Want},
    client::received,
    event_loop::{self, EventLoop},
    server::Server,
    waiter::Waiter,
};
use crate::{
    convert::{self, Text},
    credentials::{self, ServerSecurity},
    pairs,
};

/// A server on the loop that it is started on. In a forked child it is stopped.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct AioServer(Arc<Server>);

#[pymethods]
impl AioServer {
    #[new]
    fn new(options: &Bound<'_, PyAny>) -> PyResult<AioServer> {
        Ok(AioServer(Server::new(&pairs::server_options(options)?)))
    }

    #[pyo3(signature = (address, security=None))]
    fn add_port(&self, py: Python<'_>, address: &str, security: Option<&ServerSecurity>) -> PyResult<u16> {
        self.0.add_port(py, address, security.map(|security| &security.0))?.map_err(|error| match error {
            ListenError::Invalid(why) => PyValueError::new_err(why),
            ListenError::Refused(error) => PyOSError::new_err(os_text(&error)),
        })
    }

    fn start(&self, py: Python<'_>, on_call: Py<PyAny>) -> PyResult<bool> {
        let event_loop = EventLoop::of(&event_loop::working(py)?);
        self.0.start(py, event_loop, on_call)
    }

    fn close_listeners(&self, py: Python<'_>) -> PyResult<()> {
        if self.0.is_ours() { self.0.close_listeners(py) } else { Ok(()) }
    }

    fn cancel_all(&self, py: Python<'_>, code: u32, details: Text) -> PyResult<()> {
        let status = convert::status(code, details)?;
        if self.0.is_ours() { self.0.cancel_all(py, &status) } else { Ok(()) }
    }

    fn wait_idle(&self, py: Python<'_>) -> PyResult<Option<Py<Waiter>>> {
        if self.0.is_ours() { self.0.wait_idle(py) } else { Ok(None) }
    }
}

impl Drop for AioServer {
    fn drop(&mut self) {
        Python::attach(|py| {
            let status = Status::new(Code::Unavailable, "Server deallocated");
            let here = self.0.event_loop().is_ok_and(|event_loop| event_loop.is_here() && event_loop.is_alive(py));
            if self.0.is_ours()
                && here
                && let Err(error) = self.0.cancel_all(py, &status)
            {
                error.write_unraisable(py, None);
            }
            self.0.abandon();
        });
    }
}

/// One call as the server sees it.
#[pyclass(frozen, module = "farcall._native")]
pub(crate) struct AioServerCall {
    call: Arc<Call>,
    head: Box<RequestHead>,
    answered: AtomicBool,
}

impl AioServerCall {
    pub(crate) fn new(call: Arc<Call>, head: Box<RequestHead>) -> AioServerCall {
        AioServerCall { call, head, answered: AtomicBool::new(false) }
    }
}

#[pymethods]
impl AioServerCall {
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

    fn peer(&self) -> String {
        self.call.lock().peer.to_string()
    }

    fn auth_context<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        credentials::auth_context(py, self.call.auth.as_ref())
    }

    fn time_remaining(&self) -> Option<f64> {
        self.call.deadline.map(convert::time_remaining)
    }

    fn is_active(&self) -> bool {
        self.call.is_ours() && !self.answered.load(Ordering::SeqCst) && !self.call.lock().is_over()
    }

    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !self.is_active() {
            return Ok(None);
        }
        received(py, &self.call)
    }

    /// How many messages wait to be received.
    fn received(&self) -> usize {
        self.call.inbox_len()
    }

    fn set_compression(&self, py: Python<'_>, compression: u32) -> PyResult<()> {
        let encoding = convert::encoding(compression)?;
        if self.is_active() { self.call.set_encoding(py, encoding) } else { Ok(()) }
    }

    fn send_initial_metadata(&self, py: Python<'_>, metadata: &Bound<'_, PyAny>) -> PyResult<bool> {
        let metadata = convert::checked_metadata(metadata)?;
        Ok(self.is_active() && self.call.send_headers(py, &metadata)?.is_ok())
    }

    #[pyo3(signature = (message, compress=true))]
    fn send<'py>(
        &self,
        py: Python<'py>,
        message: &Bound<'py, PyBytes>,
        compress: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let sent =
            if self.is_active() { self.call.send(py, convert::read_message(message), compress)? } else { Sent::Over };
        Ok(sent.into_python(py))
    }

    /// Names the task to cancel when the client gives up; false when it has.
    fn watch(&self, task: Py<PyAny>) -> bool {
        self.call.set_task(task)
    }

    #[pyo3(signature = (code, details, trailing, message=None, compress=true))]
    fn finish(
        &self,
        py: Python<'_>,
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
        self.call.set_answered();
        self.call.finish(py, message.map(|message| (convert::read_message(message), compress)), &status, &trailers)
    }

    /// Refuses the call, for its method reads messages of this codec.
    fn refuse_subtype(&self, py: Python<'_>, codec: &str) -> PyResult<()> {
        if !self.is_active() || self.answered.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.call.set_answered();
        self.call.refuse_subtype(py, codec)
    }

    fn ended(&self, py: Python<'_>) -> PyResult<Option<Py<Waiter>>> {
        self.call.wait(py, Want::End)
    }

    fn add_done_callback(&self, callback: Py<PyAny>) -> bool {
        self.call.is_ours() && self.call.add_callback(callback)
    }
}

impl Drop for AioServerCall {
    fn drop(&mut self) {
        if !self.is_active() {
            return;
        }
        let status = Status::new(Code::Unknown, "The call was given up without an answer.");
        Python::attach(|py| {
            if let Err(error) = self.call.finish(py, None, &status, &farcall_core::Metadata::new()) {
                error.write_unraisable(py, None);
            }
        });
    }
}

/// What `receive` of either side answers: a message, what to await first, or `None` at the end.
pub(crate) fn answer<'py>(py: Python<'py>, call: &Arc<Call>, taken: Taken) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(match taken {
        Taken::Message(message) => Some(convert::write_message(py, &message).into_any()),
        Taken::End => None,
        Taken::Nothing => match call.wait(py, Want::Message)? {
            Some(waiter) => Some(waiter.into_bound(py).into_any()),
            // It has come between the two looks.
            None => return received(py, call),
        },
    })
}
