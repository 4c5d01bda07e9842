//! Every way in which a call or the connection ends.

use farcall_core::{Code, Metadata, Status};

use super::{CallId, Connection, Role};
use crate::{
    Cause, Closed, ConnectionError, ErrorCode, Event,
    error::Fault,
    frame::{GoAway, MAX_U31, Reset},
    goaway::{DEBUG_KEPT, Local},
    grpc::{
        message::{MESSAGE_OVERHEAD, MessageFault},
        status_map,
    },
    stream::{Input, Stream},
};

impl Connection {
    /// The one place where a call ends: its `Closed`, and whatever it held is given back.
    pub(super) fn end_call(&mut self, call: CallId, closed: Closed) {
        let Some(stream) = self.store.live(call) else { return };
        let (id, state) = (stream.id, stream.state);
        let held = stream.held + stream.held_messages * MESSAGE_OVERHEAD + stream.packed_cost;
        self.admission.end(&stream.receive_window, stream.line);
        self.incomplete -= stream.assembler.held();
        self.unsent -= stream.queue.len();
        self.request_headers -= stream.header_list;
        self.account.hand(stream.in_hand, 0);
        self.account.done(call);
        let refused = stream.refused.is_some();
        self.store.unlink(id, state);
        self.store.end(call);
        if self.store.len() == 0 {
            self.lifetime.became_idle(self.clock);
        }
        self.unread = self.unread.saturating_sub(held);
        if self.error.is_none() {
            self.admit();
        }
        if refused {
            self.store.free(call);
        } else {
            self.events.push_back(Event::Closed { call, closed: Box::new(closed) });
        }
        self.relieve();
        self.prune_deadlines();
        let store = &self.store;
        self.scheduler.prune(store.len(), |call| store.is_live(call));
        self.finish_if_idle();
    }

    /// This side ends a call, for the application or for itself: RST_STREAM.
    pub(super) fn abandon(&mut self, call: CallId, status: Status) {
        let Some(stream) = self.store.live(call) else { return };
        let unsent = stream.id == 0;
        if !unsent && !stream.state.is_open() && stream.ended.is_none() {
            // A server's answer that waits in the output only: the client will have it.
            return;
        }
        let code = match self.config.role {
            Role::Client => ErrorCode::CANCEL,
            Role::Server => status_map::to_reset(status.code),
        };
        self.reset(call, code);
        self.end_call(call, Closed { unprocessed: unsent, unsent, ..Closed::locally(status) });
    }

    /// The deadline has passed. A server says so in trailers, for its RST_STREAM could reach a client that has not
    /// noticed yet, and would tell it less.
    pub(super) fn expire(&mut self, call: CallId) {
        let status = Status::new(Code::DeadlineExceeded, "Deadline Exceeded");
        if self.config.role == Role::Client {
            return self.abandon(call, status);
        }
        let Some(stream) = self.store.live(call).filter(|stream| stream.state.is_open()) else { return };
        stream.finished = true;
        self.unsent -= stream.queue.len();
        stream.queue.clear();
        self.write_answer(call, &status, &Metadata::new());
        self.end_call(call, Closed::locally(status));
    }

    /// Something is wrong with a call that HTTP has no word for: a client gives it up, a server answers it.
    pub(super) fn fail_call(&mut self, call: CallId, status: Status) {
        match self.config.role {
            Role::Client => self.abandon(call, status),
            Role::Server => {
                if self.store.live(call).is_some_and(|stream| !stream.finished) {
                    self.answer(call, &status, &Metadata::new());
                }
            }
        }
    }

    /// A message of the peer cannot be taken.
    pub(super) fn fail_message(&mut self, call: CallId, fault: MessageFault) {
        if matches!(fault, MessageFault::TooLarge { .. }) {
            self.strike(Cause::Bound, "max_receive_message_length: a call ended, for its message is larger");
        }
        self.fail_call(call, fault.status(self.config.role));
    }

    /// Sends RST_STREAM for a stream that is open; nothing for one that is not.
    pub(super) fn reset(&mut self, call: CallId, code: ErrorCode) {
        let Some(stream) = self.store.live(call) else { return };
        if stream.state.is_open() {
            stream.state.advance(Input::SendReset);
            let (id, state) = (stream.id, stream.state);
            self.transmit.small(|out| Reset { stream: id, code }.encode(out));
            self.store.unlink(id, state);
        }
    }

    /// The peer broke the protocol on one stream.
    pub(super) fn fail_stream(&mut self, id: u32, code: ErrorCode, what: &'static str) {
        match self.store.by_id(id).map(|stream| stream.call) {
            Some(call) => {
                self.reset(call, code);
                let status = Status::new(Code::Internal, format!("Stream removed ({what})"));
                self.end_call(call, Closed::locally(status));
            }
            None => self.transmit.small(|out| Reset { stream: id, code }.encode(out)),
        }
    }

    /// The peer broke the protocol: GOAWAY, and all is over.
    pub(super) fn fail(&mut self, code: ErrorCode, what: &'static str) {
        self.give_up(code, ConnectionError::PeerMisbehaved(code, what));
    }

    /// GOAWAY with `code`; every call ends for this reason.
    pub(super) fn give_up(&mut self, code: ErrorCode, error: ConnectionError) {
        let debug = match &error {
            ConnectionError::PeerMisbehaved(_, what) | ConnectionError::PeerIncompatible(what) => what,
            _ => "",
        };
        self.write_goaway(code, debug.as_bytes());
        let status = Status::new(Code::Unavailable, format!("Stream removed ({error})"));
        self.finish(error, &status);
    }

    /// A bound has turned something away or holds it back, and the connection goes on.
    pub(super) fn strike(&mut self, cause: Cause, what: &'static str) {
        match self.events.back_mut() {
            Some(Event::Struck { what: before, times, .. }) if *before == what => *times = times.saturating_add(1),
            _ => self.events.push_back(Event::Struck { cause, what, times: 1 }),
        }
    }

    pub(super) fn write_goaway(&mut self, code: ErrorCode, debug: &[u8]) {
        let last_stream = self.last_peer_stream;
        let debug = &debug[..debug.len().min(DEBUG_KEPT)];
        self.transmit.small(|out| GoAway { last_stream, code, debug }.encode(out));
    }

    /// The transport is gone, and with it what was not written yet.
    pub(super) fn lose_transport(&mut self, error: ConnectionError, status: &Status) {
        self.transmit.discard();
        self.transport_lost |= self.error.is_none();
        self.finish(error, status);
    }

    /// The one place where the connection ends. Every call that has not ended does so with `status`.
    pub(super) fn finish(&mut self, error: ConnectionError, status: &Status) {
        if self.error.is_some() {
            return;
        }
        self.settle_answered();
        self.unpack_all();
        if self.error.is_some() {
            // The last call ended with that, and the connection with it.
            return;
        }
        // Set first, so that ending the calls starts nothing new.
        self.error = Some(error.clone());
        self.transmit.release();
        self.answered.clear();
        self.waiting.clear();
        self.scheduler.clear();
        // What still waits in the output goes out, or is dropped already (`lose_transport`).
        let (client, end) = (self.config.role == Role::Client, self.transmit.end());
        let unsent = |stream: &Stream| client && (stream.id == 0 || stream.request_end > end);
        let calls: Vec<(CallId, bool)> = self.store.iter_mut().map(|stream| (stream.call, unsent(stream))).collect();
        for (call, unsent) in calls {
            self.end_call(call, Closed { unprocessed: unsent, unsent, ..Closed::locally(status.clone()) });
        }
        self.events.push_back(Event::Disconnected(error));
    }

    /// Ends a connection that was only waiting for its last call.
    pub(super) fn finish_if_idle(&mut self) {
        if self.error.is_some() || self.calls() > 0 || !self.going_away.is_last_call_awaited(self.config.role) {
            return;
        }
        let error = match &self.going_away.peer {
            Some(peer) if self.going_away.local == Local::Staying => {
                ConnectionError::GoneAway(peer.code, peer.debug.clone())
            }
            _ => ConnectionError::ClosedLocally,
        };
        if self.config.role == Role::Client {
            self.write_goaway(ErrorCode::NO_ERROR, b"");
        }
        self.finish(error, &Status::OK);
    }

    /// Server: whatever the client opens from now on it opened knowing of the GOAWAY.
    pub(super) fn finish_shutdown(&mut self) {
        if matches!(self.going_away.local, Local::Announced(_)) {
            self.going_away.local = Local::Final;
            self.write_goaway(ErrorCode::NO_ERROR, self.going_away.reason);
            self.finish_if_idle();
        }
    }

    /// The peer's GOAWAY: calls above its last stream, and those that have no stream yet, were not looked at.
    pub(super) fn end_unanswered(&mut self) {
        let Some(peer) = &self.going_away.peer else { return };
        let status = Status::new(
            Code::Unavailable,
            format!("Stream removed ({})", ConnectionError::GoneAway(peer.code, peer.debug.clone())),
        );
        let last = self.going_away.last_answered();
        let calls: Vec<CallId> =
            self.store.iter_mut().filter(|stream| stream.id > last).map(|stream| stream.call).collect();
        for call in calls {
            self.end_call(call, Closed { unprocessed: true, ..Closed::locally(status.clone()) });
        }
        self.end_waiting(&status);
        self.finish_if_idle();
    }

    /// Client: ends the calls that wait for a stream.
    pub(super) fn end_waiting(&mut self, status: &Status) {
        for call in std::mem::take(&mut self.waiting) {
            self.end_call(call, Closed { unprocessed: true, unsent: true, ..Closed::locally(status.clone()) });
        }
    }

    /// Server: tells of calls whose answer the transport has taken whole.
    pub(super) fn settle_answered(&mut self) {
        while self.answered.front().is_some_and(|(end, ..)| *end <= self.transmit.written()) {
            let Some((_, call, status)) = self.answered.pop_front() else { break };
            let closed = Closed { completed: true, ..Closed::locally(status) };
            self.end_call(call, closed);
        }
    }

    pub(super) fn prune_deadlines(&mut self) {
        let store = &self.store;
        self.deadlines.prune(store.len(), |call| store.is_live(call));
    }

    /// Turns a fault of the peer into what it costs it.
    pub(super) fn punish(&mut self, fault: Fault, id: u32, now: std::time::Instant) {
        let fault = match fault {
            // A stream that is not there cannot be reset (RFC 9113 6.4).
            Fault::Stream(code, what) if self.is_idle(id) => Some(Fault::Connection(code, what)),
            Fault::Stream(code, what) => {
                self.fail_stream(id, code, what);
                match self.config.role {
                    Role::Server => self.floods.breach(&self.config.limits, now),
                    Role::Client => Ok(()),
                }
                .and_then(|()| self.count_induced())
                .err()
            }
            fault => Some(fault),
        };
        if let Some(Fault::Connection(code, what) | Fault::Stream(code, what)) = fault {
            self.fail(code, what);
        }
    }

    /// A frame was written that the peer made this side write.
    pub(super) fn count_induced(&mut self) -> Result<(), Fault> {
        self.floods.induced(self.transmit.written(), self.transmit.end(), &self.config.limits)
    }

    /// Client: whether another stream may be opened now.
    pub(super) fn may_open_stream(&self) -> bool {
        self.store.streams() < self.peer.max_concurrent_streams as usize && self.next_stream <= MAX_U31
    }
}

impl Closed {
    pub(super) fn locally(status: Status) -> Closed {
        Closed { status, trailers: Metadata::new(), completed: false, unprocessed: false, unsent: false }
    }
}
