//! Attempts at a client's call: one after the other, or beside each other where its policy hedges.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use farcall_channel::{
    PREVIOUS_ATTEMPTS, Refusal,
    balancer::{self, Done},
    call::{Attempt, AttemptId, Attempts, Budget, End, Piece, Plan, Replay, Rpc, Seen, Verdict},
    limits::REPLAY_WITHOUT_POLICY,
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Closed, Connection as Engine, Outgoing};
use farcall_system::message::{Message, seen};

use crate::{
    call::{Call, CallState, OUTBOX, Outbox, Place},
    connection::Connection,
    reactor::Timer,
};

/// Where an attempt is.
pub(crate) struct At {
    pub(crate) connection: Arc<Connection>,
    pub(crate) id: CallId,
    /// Hears how it ends.
    pub(crate) done: Done,
}

impl At {
    /// Ends an attempt that nothing is to come of. No lock may be held.
    pub(crate) fn cancel(self) {
        let status = Status::new(Code::Cancelled, "the call needs this attempt no more");
        self.connection.step(|engine, _| engine.cancel(self.id, status));
    }
}

/// Whether these are the same call on the same connection.
fn is(mine: &Arc<Connection>, my_id: CallId, connection: &Arc<Connection>, id: CallId) -> bool {
    my_id == id && Arc::ptr_eq(mine, connection)
}

/// What the end of an attempt means to its call.
pub(crate) enum Fate {
    /// It is the call's.
    Over,
    /// The call goes on: it wants a connection, now or later.
    Again {
        /// Nothing has left this side: the connection takes no calls.
        elsewhere: bool,
    },
    /// Nothing.
    Lost,
}

/// When an attempt is to be made.
pub(crate) enum Due {
    Now,
    /// Then, and until then none is under way.
    At(Instant),
    /// Then, beside those that are.
    Beside(Instant),
}

/// A call under a retry or hedging policy, until one attempt is the call's and has sent all there was.
pub(crate) struct Trial {
    /// What each attempt begins with. It has no messages.
    pub(crate) outbox: Box<Outbox>,
    attempts: Attempts<At, (Bytes, bool)>,
    /// When the next attempt is due, while none is under way.
    again: Option<Instant>,
    /// Hedges.
    hedges: bool,
    /// For the next hedge.
    timer: Option<Timer>,
}

impl Trial {
    pub(crate) fn new(mut outbox: Box<Outbox>, plan: Box<Plan>, budget: &Arc<Budget>) -> Trial {
        let hedges = plan.hedges();
        let replay = Replay::new(outbox.retry_buffer, Some(Arc::clone(budget)));
        let mut attempts = Attempts::new(Rpc::new(Some(plan)), replay);
        for message in std::mem::take(&mut outbox.messages) {
            let len = message.len();
            attempts.push((message, true), len);
        }
        if outbox.half_closed {
            attempts.half_close();
        }
        Trial { outbox, attempts, again: None, hedges, timer: None }
    }

    /// The attempt that a connection was picked for, if one is due.
    pub(crate) fn begin(&mut self, now: Instant) -> Option<Attempt> {
        self.outbox.ticket = None;
        let attempt = self.attempts.begin(now)?;
        self.outbox.metadata.remove(PREVIOUS_ATTEMPTS);
        if attempt.previous > 0 {
            // The key and the digits of a number may always be sent.
            let _ = self.outbox.metadata.append(PREVIOUS_ATTEMPTS, attempt.previous.to_string());
        }
        Some(attempt)
    }

    /// The connection on which a waiting thread may look after the call: that of the only attempt.
    pub(crate) fn connection(&self) -> Option<&Arc<Connection>> {
        let mut placed = self.attempts.placed();
        let only = placed.next().filter(|_| !self.hedges || self.attempts.is_committed())?;
        placed.next().is_none().then_some(&only.1.connection)
    }

    /// The attempt that is the call's.
    pub(crate) fn winner(&self) -> Option<(&Arc<Connection>, CallId)> {
        self.attempts.winner().map(|(_, at)| (&at.connection, at.id))
    }

    /// Where it has attempts under way.
    pub(crate) fn placed(&self) -> Vec<(Arc<Connection>, CallId)> {
        self.attempts.placed().map(|(_, at)| (Arc::clone(&at.connection), at.id)).collect()
    }

    pub(crate) fn push(&mut self, message: Bytes, compress: bool) {
        let len = message.len();
        self.attempts.push((message, compress), len);
    }

    pub(crate) fn half_close(&mut self) {
        self.attempts.half_close();
    }

    pub(crate) fn has_room(&self) -> bool {
        self.attempts.has_room(OUTBOX)
    }

    /// Nothing is to come of it any more.
    pub(crate) fn give_up(&mut self) -> Vec<At> {
        self.attempts.give_up().collect()
    }

    fn losers(&mut self) -> Vec<At> {
        std::iter::from_fn(|| self.attempts.poll_loser()).collect()
    }

    fn attempt_at(&self, connection: &Arc<Connection>, id: CallId) -> Option<AttemptId> {
        self.attempts.placed().find(|(_, at)| is(&at.connection, at.id, connection, id)).map(|(attempt, _)| attempt)
    }

    fn due(&mut self, now: Instant) -> Option<Due> {
        if self.outbox.ticket.is_some() {
            // One waits for its connection.
            return None;
        }
        let at = if self.hedges { self.attempts.next_due(now) } else { self.again.take() }?;
        Some(match at {
            at if at <= now => Due::Now,
            at if self.attempts.is_placed() => Due::Beside(at),
            at => Due::At(at),
        })
    }
}

impl CallState {
    // A connection has been found.

    /// Client: it is on a connection now.
    pub(crate) fn place_on(&mut self, at: At, full: bool, now: Instant) {
        let At { connection, id, done } = at;
        self.full = full;
        self.done = done;
        self.note_place(&connection);
        let place = std::mem::replace(&mut self.place, Place::On(connection, id));
        if let Place::Waiting(outbox) = place {
            // What was there before it had a connection is kept whatever it takes, as long as nothing follows.
            self.replay = Some(outbox);
        }
        self.attempt = self.rpc.attempt(now).map_or(self.attempt, |attempt| attempt.id);
    }

    /// Client: an attempt at it is on a connection now.
    pub(crate) fn try_on(&mut self, attempt: AttemptId, at: At, engine: &mut Engine) {
        let (connection, id) = (Arc::clone(&at.connection), at.id);
        self.note_place(&connection);
        if let Place::Trying(trial) = &mut self.place {
            trial.attempts.place(attempt, at);
        }
        self.feed(engine, &connection, id);
    }

    fn note_place(&mut self, connection: &Arc<Connection>) {
        self.peer = Arc::clone(&connection.peer);
        if let Some(tally) = &mut self.tally {
            tally.place_on(&connection.entity);
        }
    }

    /// Client: the connection takes no calls after all.
    pub(crate) fn put_back(&mut self, attempt: Attempt) {
        if let Place::Trying(trial) = &mut self.place {
            trial.attempts.put_back(attempt);
        }
    }

    /// Client: sends what this attempt has room for.
    pub(crate) fn feed(&mut self, engine: &mut Engine, connection: &Arc<Connection>, id: CallId) {
        let Place::Trying(trial) = &mut self.place else { return };
        let Some(attempt) = trial.attempt_at(connection, id) else { return };
        while let Some(piece) = trial.attempts.next(attempt, engine.writable(id)) {
            // A call that has just ended takes nothing more, which an event will tell.
            let _ = match piece {
                Piece::Message((message, compress)) => {
                    connection.entity.sent();
                    self.has_asked = true;
                    engine.send_message_with(id, Outgoing::Shared(message), compress)
                }
                Piece::HalfClose => engine.half_close(id),
            };
        }
        self.full = !trial.has_room();
        self.settle_down();
    }

    /// The peer takes more of this call.
    pub(crate) fn room_again(&mut self, engine: &mut Engine, connection: &Arc<Connection>, id: CallId) {
        match &self.place {
            Place::Trying(_) => self.feed(engine, connection, id),
            Place::On(..) | Place::Waiting(_) | Place::Gone => self.full = false,
        }
    }

    /// Client: once an attempt is the call's and has sent all there was, the call is on its connection as any other.
    fn settle_down(&mut self) {
        let Place::Trying(trial) = &mut self.place else { return };
        let Some(winner) = trial.attempts.take_winner() else { return };
        let At { connection, id, done } = winner.at;
        (self.rpc, self.attempt, self.done) = (winner.rpc, winner.id, done);
        self.place = Place::On(connection, id);
    }

    // What comes of it.

    /// Client, where attempts are beside each other: whether what comes of this one is the call's.
    pub(crate) fn takes(&self, connection: &Arc<Connection>, id: CallId) -> bool {
        match &self.place {
            Place::On(mine, my_id) => is(mine, *my_id, connection, id),
            Place::Trying(trial) => trial.winner().is_some_and(|(mine, my_id)| is(mine, my_id, connection, id)),
            Place::Waiting(_) | Place::Gone => false,
        }
    }

    /// Client: an attempt has been answered. Those that have lost by it are to be cancelled.
    pub(crate) fn headers_arrived(&mut self, connection: &Arc<Connection>, id: CallId, metadata: Metadata) -> Vec<At> {
        match &mut self.place {
            Place::On(mine, my_id) if self.rpc.hedges() && !is(mine, *my_id, connection, id) => Vec::new(),
            Place::On(..) => {
                self.rpc.handle_headers(self.attempt);
                self.headers = Some(metadata);
                self.replay = None;
                Vec::new()
            }
            Place::Trying(trial) => {
                let attempt = trial.attempt_at(connection, id);
                if !attempt.is_some_and(|attempt| trial.attempts.handle_headers(attempt)) {
                    return Vec::new();
                }
                let losers = trial.losers();
                self.full = !trial.has_room();
                self.headers = Some(metadata);
                self.note_place(connection);
                self.settle_down();
                losers
            }
            Place::Waiting(_) | Place::Gone => Vec::new(),
        }
    }

    /// Client: what becomes of it now that an attempt has ended, and which others are to be cancelled.
    pub(crate) fn attempt_ended(
        &mut self,
        connection: &Arc<Connection>,
        id: CallId,
        closed: &Closed,
        now: Instant,
    ) -> (Fate, Vec<At>) {
        let Closed { status, trailers, completed, unsent, .. } = closed;
        let seen = seen(closed);
        let end = End { code: status.code, trailers, completed: *completed, seen };
        let heard = balancer::End { code: (!unsent).then_some(status.code), trailers: completed.then_some(trailers) };
        let elsewhere = seen == Seen::Never;
        match &mut self.place {
            Place::On(mine, my_id) if self.rpc.hedges() && !is(mine, *my_id, connection, id) => {
                (Fate::Lost, Vec::new())
            }
            Place::On(..) => {
                std::mem::take(&mut self.done).end(&heard);
                let verdict = self.rpc.handle_ended(self.attempt, end, now);
                match (verdict, self.replay.take()) {
                    (Verdict::Again(_), Some(mut outbox)) => {
                        outbox.ticket = None;
                        self.place = Place::Waiting(outbox);
                        (Fate::Again { elsewhere }, Vec::new())
                    }
                    _ => (Fate::Over, Vec::new()),
                }
            }
            Place::Trying(trial) => {
                let Some(attempt) = trial.attempt_at(connection, id) else { return (Fate::Lost, Vec::new()) };
                let (verdict, at) = trial.attempts.handle_ended(attempt, end, now);
                if let Some(at) = at {
                    at.done.end(&heard);
                }
                match verdict {
                    Verdict::Deliver => (Fate::Over, trial.give_up()),
                    Verdict::Again(at) => {
                        trial.again = Some(at);
                        (Fate::Again { elsewhere }, Vec::new())
                    }
                    Verdict::Lost => (Fate::Lost, Vec::new()),
                }
            }
            // It was given up, or another was the call's.
            Place::Waiting(_) | Place::Gone => (Fate::Lost, Vec::new()),
        }
    }

    /// Client: a message about to be sent is kept if the call may have to be made again, and otherwise nothing is any
    /// more.
    pub(crate) fn keep<'a>(&mut self, message: Message<'a>) -> Message<'a> {
        self.count_sent();
        self.has_asked = true;
        let Some(replay) = &mut self.replay else { return message };
        // A little is kept without a policy: a server that drains has not looked at calls that crossed its GOAWAY.
        if replay.bytes + message.len() > replay.retry_buffer.min(REPLAY_WITHOUT_POLICY) {
            self.replay = None;
            self.rpc.handle_overflow(Some(self.attempt));
            return message;
        }
        let message = message.into_bytes();
        replay.push(message.clone());
        Message::Owned(message)
    }
}

impl Call {
    /// Client: the channel has found no connection. Ends a call that goes nowhere, unless it is made again or another
    /// attempt is under way.
    pub(crate) fn refuse_place(self: &Arc<Self>, refusal: Refusal, now: Instant) {
        let goes_on = match &mut self.lock().place {
            Place::Trying(trial) => {
                trial.outbox.ticket = None;
                match trial.attempts.handle_nowhere(&refusal, now) {
                    Verdict::Deliver => false,
                    Verdict::Again(at) => {
                        trial.again = Some(at);
                        true
                    }
                    Verdict::Lost => true,
                }
            }
            _ => false,
        };
        if !goes_on {
            self.fail_waiting(refusal.status);
        }
    }

    /// Client: when it wants a connection, if it does.
    pub(crate) fn due(&self, now: Instant) -> Option<Due> {
        match &mut self.lock().place {
            Place::Waiting(_) => Some(Due::Now),
            Place::Trying(trial) => trial.due(now),
            Place::On(..) | Place::Gone => None,
        }
    }

    /// Client: what comes for the next hedge.
    pub(crate) fn set_timer(&self, timer: Timer) {
        let before = match &mut self.lock().place {
            Place::Trying(trial) => trial.timer.replace(timer),
            _ => Some(timer),
        };
        drop(before);
    }

    /// Client: sends what a call under a policy is to send now; false when it is under none (any more). No lock may be
    /// held.
    pub(crate) fn send_by_attempts(self: &Arc<Self>, change: impl FnOnce(&mut Trial)) -> bool {
        let (placed, losers) = {
            let mut state = self.lock();
            let state = &mut *state;
            let Place::Trying(trial) = &mut state.place else { return false };
            change(trial);
            let losers = trial.losers();
            state.full = !trial.has_room();
            (trial.placed(), losers)
        };
        losers.into_iter().for_each(At::cancel);
        for (connection, id) in placed {
            connection.step(|engine, _| self.update(|state| state.feed(engine, &connection, id)));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_policy_a_little_is_kept_and_no_more() {
        for (buffer, most) in [(1 << 20, REPLAY_WITHOUT_POLICY), (100, 100)] {
            let outbox = Outbox { retry_buffer: buffer, ..Outbox::default() };
            let mut state = CallState::default();
            state.replay = Some(Box::new(outbox));
            state.attempt = state.rpc.attempt(Instant::now()).unwrap().id;
            state.keep(Message::Borrowed(&vec![0; most]));
            assert!(state.replay.is_some() && !state.rpc.is_committed());
            state.keep(Message::Borrowed(&[0]));
            assert!(state.replay.is_none() && state.rpc.is_committed());
        }
    }
}
