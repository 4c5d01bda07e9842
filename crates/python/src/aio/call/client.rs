//! A client's call: its attempts, where each is, and what comes of them.

use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    MethodConfig, PREVIOUS_ATTEMPTS, Refusal, Ticket, Waiting,
    balancer::{self, Done},
    call::{AttemptId, Attempts, End, Piece, Replay, Rpc, Verdict, Winner},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Closed, Connection as Engine, Encoding, Request};
use farcall_system::{
    channelz::{Entity, Tally},
    message::{Message, seen, too_large},
    trace,
};
use pyo3::prelude::*;

use super::{Call, CallState, GivenUp, OUTBOX, Place, locally_ended};
use crate::aio::{channel::Channel, connection::Connection, due::Due, event_loop::EventLoop};

/// What a call asks for.
pub(crate) struct NewCall {
    pub(crate) path: String,
    pub(crate) metadata: Metadata,
    /// `None` leaves it to the service config.
    pub(crate) wait_for_ready: Option<bool>,
    pub(crate) encoding: Encoding,
    /// It waits for more metadata.
    pub(crate) held: bool,
}

/// A call as long as attempts at it may begin, or have something left to send.
pub(crate) struct Outgoing {
    channel: Weak<Channel>,
    call: NewCall,
    /// Messages, with whether they may be compressed.
    pub(super) attempts: Attempts<At, (Bytes, bool)>,
    /// Its name among those that wait, if an attempt does.
    ticket: Option<Ticket>,
}

impl Outgoing {
    pub(crate) fn new(channel: Weak<Channel>, call: NewCall, rpc: Rpc, replay: Replay<(Bytes, bool)>) -> Outgoing {
        Outgoing { channel, call, attempts: Attempts::new(rpc, replay), ticket: None }
    }

    /// Its only message.
    pub(crate) fn ask(&mut self, message: Message<'_>) {
        self.push(message, true);
        self.attempts.half_close();
    }

    pub(super) fn push(&mut self, message: Message<'_>, compress: bool) {
        let bytes = message.len();
        self.attempts.push((message.into_bytes(), compress), bytes);
    }
}

/// Where an attempt is, or the call of a server.
pub(crate) struct At {
    pub(super) connection: Arc<Connection>,
    pub(super) id: CallId,
    /// Hears how it ends.
    done: Done,
    tally: Option<Tally>,
}

impl At {
    pub(super) fn of_server(connection: &Arc<Connection>, id: CallId) -> At {
        At { connection: Arc::clone(connection), id, done: Done::default(), tally: None }
    }

    fn of_attempt(connection: &Arc<Connection>, id: CallId, done: Done) -> At {
        let tally = Some(Tally::of_client(&connection.entity));
        At { connection: Arc::clone(connection), id, done, tally }
    }

    fn end(&mut self, closed: &Closed) {
        std::mem::take(&mut self.done).end(&balancer::End {
            code: (!closed.unsent).then_some(closed.status.code),
            trailers: closed.completed.then_some(&closed.trailers),
        });
        if let Some(tally) = self.tally.take() {
            tally.end(closed.status.is_ok(), closed.completed);
        }
    }

    /// It is to be cancelled.
    fn lose(mut self) -> (Arc<Connection>, CallId) {
        std::mem::take(&mut self.done).end(&balancer::End { code: Some(Code::Cancelled), trailers: None });
        if let Some(tally) = self.tally.take() {
            tally.end(false, false);
        }
        (self.connection, self.id)
    }
}

/// What is left of a call that is over, or of attempts at it that have lost.
pub(crate) struct Beaten {
    channel: Weak<Channel>,
    ticket: Option<Ticket>,
    streams: Vec<(Arc<Connection>, CallId)>,
}

impl Beaten {
    /// Cancels it. No lock is held.
    pub(crate) fn let_go(self, py: Python<'_>) -> PyResult<()> {
        let mut result = Ok(());
        for (connection, id) in self.streams {
            let status = Status::new(Code::Cancelled, "the call has no need of this attempt");
            let cancelled = connection.step_and_tell(py, |engine, _| engine.cancel(id, status));
            result = result.and(cancelled.map(drop));
        }
        match (self.channel.upgrade(), self.ticket) {
            (Some(channel), Some(ticket)) => result.and(channel.forget(py, ticket)),
            _ => result,
        }
    }
}

/// What came of putting a call onto a connection.
pub(crate) enum Begun {
    /// No attempt is due any more.
    Nothing,
    /// The connection takes no calls.
    Refused,
    /// An attempt is on it. When the next is due, if nothing happens before.
    On { id: CallId, attempt: AttemptId, next: Option<Instant> },
}

impl Call {
    /// A call of a client that has no connection yet.
    pub(crate) fn of_client(
        outgoing: Outgoing,
        deadline: Option<Instant>,
        event_loop: &Arc<EventLoop>,
        config: Option<Arc<MethodConfig>>,
        tally: Tally,
    ) -> Arc<Call> {
        let place = Place::Open(Box::new(outgoing));
        let state = CallState { place, tally: Some(tally), ..CallState::default() };
        Call::new(deadline, event_loop, config, None, state)
    }

    /// A call that ended before it began.
    pub(crate) fn failed(status: Status, event_loop: &Arc<EventLoop>) -> Arc<Call> {
        let closed = Some(locally_ended(status));
        Call::new(None, event_loop, None, None, CallState { closed, ..CallState::default() })
    }

    /// Why the service config does not allow this request, if it does not.
    pub(super) fn refuse_request(&self, message: &Message<'_>) -> Option<Status> {
        too_large("Sent", message.len(), self.config.as_ref()?.max_request)
    }

    /// Why the service config does not allow this response, if it does not.
    pub(crate) fn refuse_response(&self, message: &Bytes) -> Option<Status> {
        too_large("Received", message.len(), self.config.as_ref()?.max_response)
    }

    /// What the channel is told of a call one of whose attempts is to wait, and its name if one does already, which is then to
    /// be forgotten; `None` when none is to wait.
    pub(crate) fn waits_again(&self) -> Option<(Waiting, Option<Ticket>)> {
        let state = self.lock();
        let Place::Open(outgoing) = &state.place else { return None };
        let begun = outgoing.attempts.has_begun();
        if begun && outgoing.ticket.is_some() || !begun && outgoing.attempts.is_committed() {
            return None;
        }
        let call = &outgoing.call;
        let waiting = Waiting::new(call.path.as_str(), call.wait_for_ready.unwrap_or(false), self.deadline);
        let waiting = waiting.with_metadata(&call.metadata);
        Some((waiting, outgoing.ticket))
    }

    /// Its name among those that wait.
    pub(crate) fn set_ticket(&self, ticket: Ticket) {
        if let Place::Open(outgoing) = &mut self.lock().place {
            outgoing.ticket = Some(ticket);
        }
    }

    /// There is no connection for it. When it is made again, unless it ends so.
    pub(crate) fn refuse_place(&self, refusal: Refusal, due: &mut Vec<Due>) -> Option<Instant> {
        let mut state = self.lock();
        let Place::Open(outgoing) = &mut state.place else { return None };
        outgoing.ticket = None;
        match outgoing.attempts.handle_nowhere(&refusal, Instant::now()) {
            Verdict::Again(at) => Some(at),
            Verdict::Lost => None,
            Verdict::Deliver => {
                let given_up = state.end_here(refusal.status, due);
                drop(state);
                drop(given_up);
                None
            }
        }
    }

    /// Ends a call that is not on one connection alone yet.
    pub(crate) fn fail_waiting(&self, status: Status, due: &mut Vec<Due>) {
        let mut state = self.lock();
        if matches!(state.place, Place::Open(_)) {
            let given_up = state.end_here(status, due);
            drop(state);
            drop(given_up);
        }
    }

    /// The metadata that a held call waited for is here; false when it was not waited for.
    pub(crate) fn proceed(self: &Arc<Self>, py: Python<'_>, metadata: &Metadata) -> PyResult<bool> {
        let (channel, ticket) = {
            let mut state = self.lock();
            let Place::Open(outgoing) = &mut state.place else { return Ok(false) };
            if !std::mem::take(&mut outgoing.call.held) {
                return Ok(false);
            }
            // Only their sum can be too much, and that the server says.
            let _ = outgoing.call.metadata.extend(metadata);
            (outgoing.channel.upgrade(), outgoing.ticket)
        };
        match channel {
            Some(channel) => ticket.map_or(Ok(()), |ticket| channel.resume(py, ticket))?,
            None => drop(self.cancel(py, Status::new(Code::Cancelled, "Channel deallocated!"))?),
        }
        Ok(true)
    }

    /// Its end is this one, also when it had ended otherwise: what has come cannot be used.
    pub(crate) fn fail(self: &Arc<Self>, py: Python<'_>, status: Status) -> PyResult<()> {
        if !self.lock().is_over() {
            self.cancel(py, status.clone())?;
        }
        let mut state = self.lock();
        let unread = std::mem::take(&mut state.inbox);
        let before = if state.is_over() { state.closed.replace(locally_ended(status)) } else { None };
        drop(state);
        drop((unread, before));
        Ok(())
    }
}

impl CallState {
    /// Begins an attempt on a connection, if one is due, with what there is to send.
    pub(crate) fn begin(
        &mut self,
        connection: &Arc<Connection>,
        engine: &mut Engine,
        (authority, deadline): (&str, Option<Instant>),
        done: Done,
        due: &mut Vec<Due>,
    ) -> Begun {
        let Place::Open(outgoing) = &mut self.place else { return Begun::Nothing };
        let now = Instant::now();
        let Some(attempt) = outgoing.attempts.begin(now) else { return Begun::Nothing };
        outgoing.ticket = None;
        let NewCall { path, metadata, encoding, .. } = &outgoing.call;
        let numbered = (attempt.previous > 0).then(|| numbered(metadata, attempt.previous));
        let request = Request { path, authority, metadata: numbered.as_ref().unwrap_or(metadata), deadline };
        let Ok(id) = engine.open_encoded(request, *encoding, now) else {
            outgoing.attempts.put_back(attempt);
            return Begun::Refused;
        };
        due.extend(trace::begun(&connection.peer, id, path).map(Due::Trace));
        outgoing.attempts.place(attempt.id, At::of_attempt(connection, id, done));
        self.peer = Arc::clone(&connection.peer);
        self.feed(engine, &connection.entity, attempt.id, id);
        let next = match &mut self.place {
            Place::Open(outgoing) => outgoing.attempts.next_due(now),
            Place::On(_) | Place::Gone => None,
        };
        Begun::On { id, attempt: attempt.id, next }
    }

    /// Sends what an attempt has room for.
    pub(crate) fn feed(&mut self, engine: &mut Engine, entity: &Entity, attempt: AttemptId, id: CallId) {
        let Place::Open(outgoing) = &mut self.place else { return };
        while let Some(piece) = outgoing.attempts.next(attempt, engine.writable(id)) {
            // A refusal means that the attempt has just ended, which an event will tell.
            match piece {
                Piece::Message((message, compress)) => {
                    let _ = engine.send_message_with(id, message, compress);
                    entity.sent();
                }
                Piece::HalfClose => {
                    let _ = engine.half_close(id);
                }
            }
        }
        self.settle();
    }

    /// Once it has come down to one attempt that has sent all there was, it is where that is.
    fn settle(&mut self) {
        let Place::Open(outgoing) = &mut self.place else { return };
        let full = !outgoing.attempts.has_room(OUTBOX);
        if let Some(Winner { rpc, id, at }) = outgoing.attempts.take_winner() {
            (self.won, self.full) = (Some((id, rpc)), full);
            self.place = Place::On(at);
        }
    }

    /// The server has answered an attempt. Those beside it have lost.
    pub(crate) fn headers_arrived(
        &mut self,
        attempt: AttemptId,
        metadata: Metadata,
        peer: &Arc<str>,
        due: &mut Vec<Due>,
    ) {
        if let Place::Open(outgoing) = &mut self.place {
            if !outgoing.attempts.handle_headers(attempt) {
                return;
            }
            self.peer = Arc::clone(peer);
            self.let_go_of_losers(due);
            self.settle();
        } else if !self.hears(attempt) {
            return;
        }
        self.headers = Some(metadata);
    }

    /// Whether what comes of this attempt is the call's.
    pub(crate) fn hears(&self, attempt: AttemptId) -> bool {
        match &self.place {
            Place::On(_) => self.won.as_ref().is_none_or(|(won, _)| *won == attempt),
            Place::Open(outgoing) => outgoing.attempts.winner().is_some_and(|(won, _)| won == attempt),
            Place::Gone => false,
        }
    }

    /// An attempt is over: what that means to the call.
    pub(crate) fn attempt_ended(
        &mut self,
        attempt: AttemptId,
        closed: &Closed,
        peer: &Arc<str>,
        due: &mut Vec<Due>,
    ) -> Verdict {
        let Closed { status, trailers, completed, .. } = closed;
        let end = End { code: status.code, trailers, completed: *completed, seen: seen(closed) };
        match (&mut self.place, &mut self.won) {
            (Place::Open(outgoing), _) => {
                let (verdict, at) = outgoing.attempts.handle_ended(attempt, end, Instant::now());
                if let Some(mut at) = at {
                    at.end(closed);
                }
                if verdict == Verdict::Deliver {
                    self.peer = Arc::clone(peer);
                    self.let_go_of_losers(due);
                }
                verdict
            }
            (Place::On(at), Some((won, rpc))) if *won == attempt => {
                at.end(closed);
                rpc.handle_ended(attempt, end, Instant::now())
            }
            // Of a server.
            (Place::On(_), None) => Verdict::Deliver,
            (Place::On(_) | Place::Gone, _) => Verdict::Lost,
        }
    }

    /// Has the attempts that have lost cancelled, and those forgotten that wait.
    pub(super) fn let_go_of_losers(&mut self, due: &mut Vec<Due>) {
        let Place::Open(outgoing) = &mut self.place else { return };
        let streams: Vec<_> = std::iter::from_fn(|| outgoing.attempts.poll_loser()).map(At::lose).collect();
        let (channel, ticket) = (Weak::clone(&outgoing.channel), outgoing.ticket.take());
        if ticket.is_some() || !streams.is_empty() {
            due.push(Due::Beaten(Beaten { channel, ticket, streams }));
        }
    }

    /// Ends it with this side's status; its attempts are cancelled.
    #[must_use]
    pub(super) fn end_here(&mut self, status: Status, due: &mut Vec<Due>) -> GivenUp {
        if let Place::Open(outgoing) = &mut self.place {
            let streams = outgoing.attempts.give_up().map(At::lose).collect();
            let (channel, ticket) = (Weak::clone(&outgoing.channel), outgoing.ticket.take());
            due.push(Due::Beaten(Beaten { channel, ticket, streams }));
        }
        self.end(locally_ended(status), due)
    }

    /// A response is not one that the service config allows.
    pub(crate) fn refuse(&mut self, attempt: AttemptId, status: Status) {
        if self.hears(attempt) {
            self.refused = Some(status);
        }
    }

    pub(crate) fn refused(&mut self) -> Option<Status> {
        self.refused.take()
    }

    /// Response headers, if they are here.
    pub(crate) fn headers(&self) -> Option<Metadata> {
        self.headers.clone()
    }
}

/// Metadata that tells the server which attempt it sees.
fn numbered(metadata: &Metadata, previous: u32) -> Metadata {
    let mut metadata = metadata.clone();
    metadata.remove(PREVIOUS_ATTEMPTS);
    // The key and the digits of a number may always be sent.
    let _ = metadata.append(PREVIOUS_ATTEMPTS, previous.to_string());
    metadata
}
