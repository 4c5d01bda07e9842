//! One call on a loop: what has arrived, how it ended, and who waits for it.

mod client;
mod sending;
mod server;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    MethodConfig,
    call::{AttemptId, Rpc},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Closed, Connection as Engine};
use farcall_system::{channelz::Tally, lock, process, transport::Auth};
use pyo3::prelude::*;

use self::client::At;
pub(crate) use self::{
    client::{Beaten, Begun, NewCall, Outgoing},
    sending::Sent,
};
use super::{
    connection::Connection,
    due::{self, Due},
    event_loop::{EventLoop, Resume},
    waiter::Waiter,
};

/// What a call may queue before it has a connection, in bytes; a writer waits beyond it.
const OUTBOX: usize = 64 << 10;

/// Bytes taken by the application that are given back to the peer's window in one go.
const RELEASE: usize = 128 << 10;

/// What a message costs its sender besides its own bytes.
const PREFIX: usize = 5;

/// One call of a client or of a server.
pub(crate) struct Call {
    /// The process it was made in.
    generation: u32,
    /// When it must be over.
    pub(crate) deadline: Option<Instant>,
    pub(crate) event_loop: Arc<EventLoop>,
    /// Client: what the service config asks of it.
    config: Option<Arc<MethodConfig>>,
    /// Server: who the client is.
    pub(crate) auth: Option<Auth>,
    state: Mutex<CallState>,
}

/// What somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    /// The end.
    End,
    /// A connection, or the end.
    Place,
    /// Response headers, or the end.
    Headers,
    /// A message, or that none will come.
    Message,
    /// Room to send, or the end.
    Room,
}

impl Want {
    /// Whether it comes with a message, or after all of them: a call with one response ends with it.
    fn takes_messages(self) -> bool {
        matches!(self, Want::Message | Want::End)
    }
}

/// The part of a call that changes.
#[derive(Default)]
pub(crate) struct CallState {
    place: Place,
    /// Messages that nobody has taken yet; the peer's flow-control windows bound them.
    inbox: VecDeque<Bytes>,
    /// Client: response headers.
    headers: Option<Metadata>,
    /// Server: no more messages will come.
    half_closed: bool,
    /// The send buffer is full.
    full: bool,
    /// Client: a response was refused, so this is how it ends.
    refused: Option<Status>,
    /// How it ended.
    pub(crate) closed: Option<Box<Closed>>,
    /// As gRPC writes it; empty until there is a connection.
    pub(crate) peer: Arc<str>,
    waiters: Vec<(Want, Py<Waiter>)>,
    /// A message waits to be let in that nobody waited for.
    large: bool,
    callbacks: Vec<Py<PyAny>>,
    /// Server: the task that works on it.
    task: Option<Py<PyAny>>,
    /// Server: that task has answered.
    answered: bool,
    /// Messages and bytes taken by the application since the last release.
    taken: (usize, usize),
    /// It has some in hand.
    in_hand: bool,
    /// Client: the attempt that it has come down to, and what hears how that ends.
    won: Option<(AttemptId, Rpc)>,
    tally: Option<Tally>,
}

/// Where a call is.
#[derive(Default)]
enum Place {
    /// Client: attempts at it may begin, or have something left to send.
    Open(Box<Outgoing>),
    /// On this connection.
    On(At),
    /// It is over.
    #[default]
    Gone,
}

/// What [`Call::take`] finds.
pub(crate) enum Taken {
    Message(Bytes),
    /// None will come.
    End,
    /// None is here yet.
    Nothing,
}

impl CallState {
    pub(crate) fn is_over(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether it has come.
    fn has(&self, want: Want) -> bool {
        self.is_over()
            || match want {
                Want::End => false,
                Want::Place => match &self.place {
                    Place::Open(outgoing) => outgoing.attempts.is_placed(),
                    Place::On(_) | Place::Gone => true,
                },
                Want::Headers => self.headers.is_some(),
                Want::Message => !self.inbox.is_empty() || self.half_closed,
                Want::Room => match &self.place {
                    Place::Open(outgoing) => outgoing.attempts.has_room(OUTBOX),
                    Place::On(_) | Place::Gone => !self.full,
                },
            }
    }

    /// Those who have what they waited for.
    fn satisfied(&mut self, due: &mut Vec<Due>) {
        let mut index = 0;
        while index < self.waiters.len() {
            if self.has(self.waiters[index].0) {
                due.push(Due::Wake(self.waiters.swap_remove(index).1));
            } else {
                index += 1;
            }
        }
    }
}

impl Call {
    fn new(
        deadline: Option<Instant>,
        event_loop: &Arc<EventLoop>,
        config: Option<Arc<MethodConfig>>,
        auth: Option<Auth>,
        state: CallState,
    ) -> Arc<Call> {
        let event_loop = Arc::clone(event_loop);
        let generation = process::generation();
        Arc::new(Call { generation, deadline, event_loop, config, auth, state: Mutex::new(state) })
    }

    /// Whether it was made in this process.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, CallState> {
        lock(&self.state)
    }

    /// Changes the state; whoever waited for such a change is due.
    pub(crate) fn update(&self, due: &mut Vec<Due>, change: impl FnOnce(&mut CallState, &mut Vec<Due>)) {
        let mut state = self.lock();
        change(&mut state, due);
        state.satisfied(due);
    }

    /// What becomes done when `want` comes; `None` when it is there already.
    pub(crate) fn wait(self: &Arc<Self>, py: Python<'_>, want: Want) -> PyResult<Option<Py<Waiter>>> {
        if self.lock().has(want) {
            return Ok(None);
        }
        // Made before the lock is taken: that may set off a garbage collection.
        let waiter = Waiter::new(py, &self.event_loop)?;
        let mut state = self.lock();
        if state.has(want) {
            return Ok(None);
        }
        let mut given_up = Vec::new();
        let mut index = 0;
        while index < state.waiters.len() {
            if state.waiters[index].1.get().is_pending() {
                index += 1;
            } else {
                given_up.push(state.waiters.swap_remove(index));
            }
        }
        state.waiters.push((want, waiter.clone_ref(py)));
        let wanted = want.takes_messages() && state.inbox.is_empty() && std::mem::take(&mut state.large);
        drop(state);
        if wanted {
            self.with_engine(py, |engine, id| engine.want(id))?;
        }
        Ok(Some(waiter))
    }

    /// Has `callback` called at the end, before those who wait for it go on; false when that is over already.
    pub(crate) fn add_callback(&self, callback: Py<PyAny>) -> bool {
        let mut state = self.lock();
        if state.is_over() {
            return false;
        }
        state.callbacks.push(callback);
        true
    }

    /// The next message, if one is here.
    pub(crate) fn take(self: &Arc<Self>, py: Python<'_>) -> PyResult<Taken> {
        let mut state = self.lock();
        let Some(message) = state.inbox.pop_front() else {
            let taken = if state.has(Want::Message) { Taken::End } else { Taken::Nothing };
            drop(state);
            if matches!(taken, Taken::Nothing) {
                // What has been taken lets the peer go on: it may wait for that.
                self.release(py)?;
            }
            return Ok(taken);
        };
        state.taken.0 += 1;
        state.taken.1 += message.len();
        let release = state.taken.1 + state.taken.0 * PREFIX >= RELEASE;
        drop(state);
        if release {
            self.take_up(py)?;
        }
        Ok(Taken::Message(message))
    }

    /// The one message of a call that ended well.
    pub(crate) fn only_message(&self) -> Option<Bytes> {
        let mut state = self.lock();
        let ok = state.closed.as_ref().is_some_and(|closed| closed.status.is_ok());
        if ok && state.inbox.len() == 1 { state.inbox.pop_front() } else { None }
    }

    /// How many messages nobody has taken.
    pub(crate) fn inbox_len(&self) -> usize {
        self.lock().inbox.len()
    }

    /// Gives what the application took back to the peer's windows; it goes to work with that.
    fn take_up(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let (messages, bytes) = {
            let mut state = self.lock();
            state.in_hand = true;
            std::mem::take(&mut state.taken)
        };
        self.with_engine(py, |engine, id| engine.take_many(id, messages, bytes)).map(drop)
    }

    /// Gives what the application took back to the peer's windows; it comes for more, and is done with that.
    fn release(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let ((messages, bytes), in_hand) = {
            let mut state = self.lock();
            (std::mem::take(&mut state.taken), std::mem::take(&mut state.in_hand))
        };
        if messages > 0 || in_hand {
            self.with_engine(py, |engine, id| engine.release_many(id, messages, bytes))?;
        }
        Ok(())
    }

    /// Ends the call at once; false when it was over.
    pub(crate) fn cancel(self: &Arc<Self>, py: Python<'_>, status: Status) -> PyResult<bool> {
        let mut due = Vec::new();
        {
            let mut state = self.lock();
            if state.is_over() {
                // As long as messages are left to be read it is not over for the application.
                return Ok(state.give_up_reading(status));
            }
            if matches!(state.place, Place::Open(_)) {
                let given_up = state.end_here(status, &mut due);
                drop(state);
                drop(given_up);
                due::wake(py, &self.event_loop, due, Resume::Soon)?;
                return Ok(true);
            }
        }
        let Some((connection, id)) = self.connection() else { return Ok(false) };
        connection.step_and_tell(py, |engine, _| engine.cancel(id, status))?;
        Ok(true)
    }

    /// Ends it although nobody can be told: its loop is gone.
    pub(crate) fn abandon(&self, status: &Status) {
        let mut due = Vec::new();
        let given_up = self.lock().end(locally_ended(status.clone()), &mut due);
        drop(given_up);
        drop(due);
    }

    /// Where what is said of it comes from.
    fn connection(&self) -> Option<(Arc<Connection>, CallId)> {
        let state = self.lock();
        let at = match &state.place {
            Place::On(at) => at,
            Place::Open(outgoing) => outgoing.attempts.winner()?.1,
            Place::Gone => return None,
        };
        Some((Arc::clone(&at.connection), at.id))
    }

    /// Does something on the connection; `None` when the call is on none.
    fn with_engine<R>(
        self: &Arc<Self>,
        py: Python<'_>,
        verb: impl FnOnce(&mut Engine, CallId) -> R,
    ) -> PyResult<Option<R>> {
        let Some((connection, id)) = self.connection() else { return Ok(None) };
        connection.step(py, |engine, _| verb(engine, id)).map(Some)
    }
}

impl CallState {
    /// What attempts have to say that have lost is dropped.
    pub(crate) fn message_arrived(&mut self, attempt: AttemptId, message: Bytes) {
        if self.hears(attempt) {
            self.inbox.push_back(message);
        }
    }

    /// A message waits to be let in. Says whether somebody waits for it; else whoever does next is told.
    pub(crate) fn is_large_awaited(&mut self, attempt: AttemptId) -> bool {
        if !self.hears(attempt) {
            return false;
        }
        let waits = |(want, waiter): &(Want, Py<Waiter>)| want.takes_messages() && waiter.get().is_pending();
        let awaited = self.inbox.is_empty() && self.waiters.iter().any(waits);
        self.large = !awaited;
        awaited
    }

    /// Throws away what nobody has read, and with it how the call ended; false when nothing was left to read.
    fn give_up_reading(&mut self, status: Status) -> bool {
        if self.inbox.is_empty() {
            return false;
        }
        self.inbox.clear();
        self.closed = Some(locally_ended(status));
        true
    }

    /// Marks the end; what it no longer needs is to be dropped without the lock.
    #[must_use]
    pub(crate) fn end(&mut self, closed: Box<Closed>, due: &mut Vec<Due>) -> GivenUp {
        let mut inbox = VecDeque::new();
        if !closed.completed && matches!(closed.status.code, Code::Cancelled | Code::DeadlineExceeded) {
            // This side has given up: what nobody took, nobody wants.
            inbox = std::mem::take(&mut self.inbox);
        }
        let task = self.task.take();
        let task = if closed.completed && self.answered {
            task
        } else {
            due.extend(task.map(Due::Cancel));
            None
        };
        if let Some(tally) = self.tally.take() {
            tally.end(closed.status.is_ok(), closed.completed);
        }
        self.closed.get_or_insert(closed);
        // Before those who wait for the end go on.
        due.extend(std::mem::take(&mut self.callbacks).into_iter().map(Due::Callback));
        self.satisfied(due);
        GivenUp(std::mem::take(&mut self.place), inbox, task)
    }
}

/// What a call held until its end. A large message may be an object of Python.
#[derive(Default)]
pub(crate) struct GivenUp(
    #[expect(dead_code, reason = "only to be dropped")] Place,
    #[expect(dead_code, reason = "only to be dropped")] VecDeque<Bytes>,
    #[expect(dead_code, reason = "only to be dropped")] Option<Py<PyAny>>,
);

/// The end of a call that never reached a connection.
fn locally_ended(status: Status) -> Box<Closed> {
    Box::new(Closed { status, trailers: Metadata::new(), completed: false, unprocessed: true, unsent: true })
}

/// How a call ends whose deadline passed before it had a connection.
pub(crate) fn deadline_exceeded() -> Status {
    Status::new(Code::DeadlineExceeded, "Deadline Exceeded")
}
