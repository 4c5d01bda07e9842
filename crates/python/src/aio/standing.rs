//! Streams of the channel's own, which its brain opens on its connections: no calls of the application.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use farcall_channel::{StreamEvent, StreamId, StreamRequest};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Connection as Engine, Encoding, Request};
use pyo3::prelude::*;

use super::{channel::Channel, connection::Connection};

impl Channel {
    /// Opens one.
    pub(super) fn open_stream(
        self: &Arc<Self>,
        py: Python<'_>,
        id: StreamId,
        connection: &Arc<Connection>,
        request: &StreamRequest,
    ) -> PyResult<()> {
        let Some(stream) = connection.open_standing(id, request, self.authority()) else {
            let status = Status::new(Code::Unavailable, "the connection takes no more streams");
            return self.stream_ended(py, id, &status);
        };
        // Before anything can come on it.
        self.lock().streams.insert(id, (Arc::clone(connection), stream));
        connection.flush(py)
    }

    /// Ends one.
    pub(super) fn cancel_stream(&self, py: Python<'_>, id: StreamId) -> PyResult<()> {
        let stream = self.lock().streams.remove(&id);
        let Some((connection, stream)) = stream else { return Ok(()) };
        let status = Status::new(Code::Cancelled, "the channel has no more use for it");
        connection.step(py, |engine, _| engine.cancel(stream, status)).map(drop)
    }

    /// A message has come on one.
    pub(super) fn stream_said(self: &Arc<Self>, py: Python<'_>, id: StreamId, message: &Bytes) -> PyResult<()> {
        self.step(py, |state, now| state.brain.handle_stream(id, StreamEvent::Message(message), now))
    }

    /// One is over.
    pub(super) fn stream_ended(self: &Arc<Self>, py: Python<'_>, id: StreamId, status: &Status) -> PyResult<()> {
        let stream = self.lock().streams.remove(&id);
        drop(stream);
        self.step(py, |state, now| state.brain.handle_stream(id, StreamEvent::Ended(status), now))
    }
}

/// Has a connection's brain open one; `None` when it takes none.
pub(super) fn open(engine: &mut Engine, request: &StreamRequest, authority: &str) -> Option<CallId> {
    let StreamRequest { path, message, .. } = request;
    let asked = Request { path, authority, metadata: &Metadata::new(), deadline: None };
    let id = engine.open_encoded(asked, Encoding::Identity, Instant::now()).ok()?;
    // A refusal means that it has just ended, which an event will tell.
    let _ = engine.send_message_with(id, Bytes::copy_from_slice(message), false);
    let _ = engine.half_close(id);
    Some(id)
}

/// How one ends on which a message of this length came, if that is too long.
pub(super) fn too_long(len: usize, most: usize) -> Option<Status> {
    let text = || format!("a message of {len} bytes, of {most} that there may be");
    (len > most).then(|| Status::new(Code::ResourceExhausted, text()))
}
