//! A server's call: its task, and its answer.

use std::{sync::Arc, time::Instant};

use farcall_core::{Metadata, Status};
use farcall_engine::{CallError, CallId, Encoding};
use farcall_system::{channelz::Tally, message::Message, transport::Auth};
use pyo3::prelude::*;

use super::{At, Call, CallState, Place};
use crate::aio::connection::Connection;

impl Call {
    /// A call that a server received.
    pub(crate) fn of_server(
        connection: &Arc<Connection>,
        id: CallId,
        deadline: Option<Instant>,
        auth: Option<Auth>,
    ) -> Arc<Call> {
        let place = Place::On(At::of_server(connection, id));
        let peer = Arc::clone(&connection.peer);
        let tally = Some(Tally::of_server(&connection.entity));
        let state = CallState { place, peer, tally, ..CallState::default() };
        Call::new(deadline, &connection.event_loop, None, auth, state)
    }

    /// Names the task that is cancelled when the client gives up; false when it has.
    pub(crate) fn set_task(&self, task: Py<PyAny>) -> bool {
        let mut state = self.lock();
        let before = if state.is_over() { Some(task) } else { state.task.replace(task) };
        let over = state.is_over();
        drop(state);
        drop(before);
        !over
    }

    /// The task that works on it has answered.
    pub(crate) fn set_answered(&self) {
        self.lock().answered = true;
    }

    /// How its messages are compressed from now on.
    pub(crate) fn set_encoding(self: &Arc<Self>, py: Python<'_>, encoding: Encoding) -> PyResult<()> {
        // Too late once the headers are gone: the messages go as the headers said.
        self.with_engine(py, |engine, id| engine.set_encoding(id, encoding)).map(drop)
    }

    /// Sends initial metadata now.
    pub(crate) fn send_headers(
        self: &Arc<Self>,
        py: Python<'_>,
        metadata: &Metadata,
    ) -> PyResult<Result<(), CallError>> {
        let sent = self.with_engine(py, |engine, id| engine.send_headers(id, metadata))?;
        Ok(sent.unwrap_or(Err(CallError::NoSuchCall)))
    }

    /// Answers, with a last message if given, in one write.
    pub(crate) fn finish(
        self: &Arc<Self>,
        py: Python<'_>,
        message: Option<(Message<'_>, bool)>,
        status: &Status,
        trailers: &Metadata,
    ) -> PyResult<bool> {
        let answered = self.with_engine(py, |engine, id| {
            if let Some((message, compress)) = message {
                engine.send_message_with(id, message.into_outgoing(), compress)?;
                self.lock().count_sent();
            }
            engine.respond(id, status, trailers)
        })?;
        Ok(matches!(answered, Some(Ok(()))))
    }

    /// Refuses a call whose method reads messages of another codec.
    pub(crate) fn refuse_subtype(self: &Arc<Self>, py: Python<'_>, codec: &str) -> PyResult<()> {
        // A call that is over needs no answer.
        self.with_engine(py, |engine, id| engine.refuse_subtype(id, codec)).map(drop)
    }
}

impl CallState {
    /// The client has sent its last message.
    pub(crate) fn half_close_arrived(&mut self) {
        self.half_closed = true;
    }
}
