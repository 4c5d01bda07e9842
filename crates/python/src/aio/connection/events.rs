//! What a connection's brain says, and who is told.

use std::sync::Arc;

use farcall_channel::{
    Connectivity,
    call::{AttemptId, Seen, Verdict},
};
use farcall_engine::{Closed, Event};
use farcall_system::{message::seen, reports::Remark, trace};
use pyo3::prelude::*;

use super::{Connection, Owner, State, Stream};
use crate::aio::{
    call::{Call, GivenUp},
    due::Due,
    server::Server,
    standing,
};

impl Connection {
    /// Hands what the brain has said to the calls it belongs to, or notes it; whether there was anything.
    pub(super) fn tell(self: &Arc<Self>, state: &mut State, due: &mut Vec<Due>) -> bool {
        let mut told = false;
        while let Some(event) = state.engine.poll_event() {
            told = true;
            due.extend(trace::event(&self.peer, &state.engine, &event).map(Due::Trace));
            match event {
                Event::Ready => {
                    self.entity.becomes(Connectivity::Ready);
                    due.push(Due::Ready);
                }
                Event::Draining => due.push(Due::Draining),
                Event::Struck { cause, what, times } => due.push(Due::Remark(Remark::of_bound(cause, what, times))),
                Event::Disconnected(error) => {
                    due.extend(Remark::of_end(&error, &state.transport).map(Due::Remark));
                    let refused = state.transport.failure();
                    self.entity.becomes(Connectivity::Shutdown);
                    due.push(Due::Lost { why: error.to_string(), connected: state.connected, refused });
                }
                Event::Request { call: id, head } => {
                    let call = Call::of_server(self, id, head.deadline, state.transport.auth());
                    state.place(id, Stream::Call(Arc::clone(&call), AttemptId(0)));
                    due.push(Due::Request(call, head));
                }
                Event::Headers { call, metadata } => {
                    state.answered |= matches!(state.calls.get(call.index()), Some(Some(Stream::Call(..))));
                    let peer = &self.peer;
                    state.update(call, due, |call, attempt, due| call.headers_arrived(attempt, metadata, peer, due));
                }
                Event::Message { call: id, message } => match state.calls.get(id.index()) {
                    Some(Some(Stream::Call(call, attempt))) => {
                        if let Some(status) = call.refuse_response(&message) {
                            // The server may have ended it already.
                            call.lock().refuse(*attempt, status.clone());
                            state.engine.cancel(id, status);
                        } else {
                            self.entity.received();
                            call.update(due, |call, _| call.message_arrived(*attempt, message));
                        }
                    }
                    Some(Some(Stream::Standing(stream, most))) => {
                        if let Some(status) = standing::too_long(message.len(), *most) {
                            state.engine.cancel(id, status);
                        } else {
                            state.engine.release_many(id, 1, message.len());
                            due.push(Due::Standing(*stream, Ok(message)));
                        }
                    }
                    Some(None) | None => {}
                },
                Event::LargeMessage { call: id } => {
                    let wanted = match state.calls.get(id.index()) {
                        Some(Some(Stream::Call(call, attempt))) => call.lock().is_large_awaited(*attempt),
                        Some(Some(Stream::Standing(..))) => true,
                        Some(None) | None => false,
                    };
                    if wanted {
                        state.engine.want(id);
                    }
                }
                Event::HalfClosed { call } => state.update(call, due, |call, _, _| call.half_close_arrived()),
                Event::Writable { call: id } => {
                    let State { calls, engine, .. } = &mut *state;
                    let Some(Some(Stream::Call(call, attempt))) = calls.get(id.index()) else { continue };
                    call.update(due, |call, _| call.room_came(engine, &self.entity, *attempt, id));
                }
                Event::Closed { call: id, closed } => match state.calls.get_mut(id.index()).and_then(Option::take) {
                    Some(Stream::Call(call, attempt)) => {
                        state.answered |= closed.completed;
                        self.attempt_ended(call, attempt, closed, due);
                    }
                    Some(Stream::Standing(stream, _)) => {
                        state.standing -= 1;
                        due.push(Due::Standing(stream, Err(closed.status)));
                    }
                    None => {}
                },
                _ => {}
            }
        }
        told
    }

    /// An attempt at a call, or a call of a server, has ended.
    fn attempt_ended(&self, call: Arc<Call>, attempt: AttemptId, mut closed: Box<Closed>, due: &mut Vec<Due>) {
        let mut state = call.lock();
        let ended = match state.attempt_ended(attempt, &closed, &self.peer, due) {
            Verdict::Again(at) => {
                drop(state);
                return due.push(Due::Again { call, at, unsent: seen(&closed) == Seen::Never });
            }
            Verdict::Lost => GivenUp::default(),
            Verdict::Deliver => {
                if let Some(status) = state.refused() {
                    (closed.status, closed.completed) = (status, false);
                }
                state.end(closed, due)
            }
        };
        drop(state);
        due.push(Due::Ended(call, ended));
    }

    /// Tells those who are concerned, without the lock.
    pub(super) fn deliver(self: &Arc<Self>, py: Python<'_>, due: Vec<Due>) -> PyResult<()> {
        if due.is_empty() {
            return Ok(());
        }
        let resume = self.event_loop.resume();
        match &self.owner {
            Owner::Client(attempt) => attempt.handle(py, self, due, resume),
            Owner::Server(server) => Server::handle(server, py, self, due, resume),
        }
    }
}
