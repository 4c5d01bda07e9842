//! Messages on their way out.

use std::sync::Arc;

use farcall_channel::call::AttemptId;
use farcall_engine::{CallId, Connection as Engine};
use farcall_system::{channelz::Entity, message::Message};
use pyo3::{prelude::*, types::PyBool};

use super::{Call, CallState, Place, Want};
use crate::aio::{
    connection::Connection,
    due::{self, Due},
    event_loop::Resume,
    waiter::Waiter,
};

/// What [`Call::send`] has come to.
pub(crate) enum Sent {
    /// There is room for more.
    Room,
    /// There is no room for more before this is done.
    Full(Py<Waiter>),
    /// It was not sent: the call is over.
    Over,
}

impl Sent {
    /// As Python gets it: `None`, what to await, or `False`.
    pub(crate) fn into_python(self, py: Python<'_>) -> Option<Bound<'_, PyAny>> {
        match self {
            Sent::Room => None,
            Sent::Full(waiter) => Some(waiter.into_bound(py).into_any()),
            Sent::Over => Some(PyBool::new(py, false).to_owned().into_any()),
        }
    }
}

impl Call {
    /// Queues a message; [`Sent::Over`] when the call is.
    pub(crate) fn send(self: &Arc<Self>, py: Python<'_>, message: Message<'_>, compress: bool) -> PyResult<Sent> {
        if !self.queue(py, message, compress)? {
            return Ok(Sent::Over);
        }
        if self.lock().has(Want::Room) {
            return Ok(Sent::Room);
        }
        // Others on the loop have their turn, whether or not the socket takes it all at once.
        if let Some((_, connection, _)) = self.placed(0) {
            connection.flush(py)?;
        }
        Ok(Sent::Full(match self.wait(py, Want::Room)? {
            Some(waiter) => waiter,
            None => Waiter::pause(py, &self.event_loop)?,
        }))
    }

    fn queue(self: &Arc<Self>, py: Python<'_>, message: Message<'_>, compress: bool) -> PyResult<bool> {
        if let Some(status) = self.refuse_request(&message) {
            self.cancel(py, status)?;
            return Ok(false);
        }
        let mut due = Vec::new();
        {
            let mut state = self.lock();
            if let Place::Open(outgoing) = &mut state.place {
                outgoing.push(message, compress);
                if outgoing.attempts.is_committed() {
                    // Perhaps by this: it was more than is kept.
                    state.let_go_of_losers(&mut due);
                }
                drop(state);
                due::wake(py, &self.event_loop, due, Resume::Soon)?;
                self.feed(py)?;
                return Ok(true);
            }
        }
        let sent = self.with_engine(py, |engine, id| {
            let sent = engine.send_message_with(id, message.into_outgoing(), compress);
            let mut state = self.lock();
            state.count_sent();
            state.full |= sent.is_ok() && !engine.writable(id);
            sent
        })?;
        Ok(matches!(sent, Some(Ok(()))))
    }

    /// Client: no more messages will be sent.
    pub(crate) fn half_close(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        {
            let mut state = self.lock();
            if let Place::Open(outgoing) = &mut state.place {
                outgoing.attempts.half_close();
                drop(state);
                return self.feed(py);
            }
        }
        // Over or half-closed already: nothing is left to say.
        self.with_engine(py, |engine, id| engine.half_close(id)).map(drop)
    }

    /// Client: has each attempt send what it has room for.
    fn feed(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let mut index = 0;
        while let Some((Some(attempt), connection, id)) = self.placed(index) {
            connection.step(py, |engine, _| self.lock().feed(engine, &connection.entity, attempt, id))?;
            index += 1;
        }
        Ok(())
    }

    /// Where it is, or one of its attempts that may have something to send.
    fn placed(&self, index: usize) -> Option<(Option<AttemptId>, Arc<Connection>, CallId)> {
        match &self.lock().place {
            Place::On(at) => Some((None, Arc::clone(&at.connection), at.id)),
            Place::Open(outgoing) => {
                let (attempt, at) = outgoing.attempts.placed().nth(index)?;
                Some((Some(attempt), Arc::clone(&at.connection), at.id))
            }
            Place::Gone => None,
        }
    }
}

impl CallState {
    pub(super) fn count_sent(&self) {
        if let Place::On(at) = &self.place {
            at.connection.entity.sent();
        }
    }

    /// There is room for more on the stream of this attempt.
    pub(crate) fn room_came(&mut self, engine: &mut Engine, entity: &Entity, attempt: AttemptId, id: CallId) {
        match &self.place {
            Place::Open(_) => self.feed(engine, entity, attempt, id),
            Place::On(_) => self.full &= !self.hears(attempt),
            Place::Gone => {}
        }
    }

    /// Those who waited for a connection.
    pub(crate) fn satisfied_by_place(&mut self, due: &mut Vec<Due>) {
        if !self.waiters.is_empty() {
            self.satisfied(due);
        }
    }
}
