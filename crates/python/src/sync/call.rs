//! One call, seen from its threads: what has arrived, how it ended, and who waits for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use bytes::Bytes;
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallError, CallId, Closed, Connection as Engine, Outgoing};

use super::{Callback, channel::Channel, connection::Connection, leader, lock, notifier::Notifier};
use crate::process;

/// Messages below this are copied into the connection's buffer, larger ones are referenced.
const COPIED: usize = 16 << 10;

/// What a call may queue before it has a connection, in bytes; `send` waits beyond it.
const OUTBOX: usize = 64 << 10;

/// Bytes taken by the application that are given back to the peer's window in one go.
const RELEASE: usize = 128 << 10;

/// What a message costs its sender besides its own bytes.
const PREFIX: usize = 5;

/// How often a call is put onto a connection at most. Each time the server has certainly done nothing for it.
const ATTEMPTS: u32 = 5;

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waited {
    /// What was waited for has come.
    Done,
    /// The time is up.
    TimedOut,
    /// A signal came; see to it and wait again.
    Interrupted,
}

/// One call of a client or of a server.
pub(crate) struct Call {
    /// The process it was made in.
    generation: u32,
    /// When it must be over.
    pub(crate) deadline: Option<Instant>,
    state: Mutex<CallState>,
    changed: Condvar,
    /// Where callbacks run; without one, on the thread that sees the end.
    notifier: Option<Arc<Notifier>>,
}

/// The part of a call that changes.
#[derive(Default)]
pub(crate) struct CallState {
    pub(crate) place: Place,
    /// Messages that nobody has taken yet; the peer's flow-control windows bound them.
    pub(crate) inbox: VecDeque<Bytes>,
    /// Client: response headers.
    pub(crate) headers: Option<Metadata>,
    /// Server: no more messages will come.
    pub(crate) half_closed: bool,
    /// The send buffer is full.
    pub(crate) full: bool,
    /// How it ended.
    pub(crate) closed: Option<Box<Closed>>,
    /// As gRPC writes it; empty until there is a connection.
    pub(crate) peer: Arc<str>,
    callbacks: Vec<Callback>,
    /// Threads parked on `changed`: without any, nothing need be woken.
    parked: usize,
    /// Messages and bytes taken by the application since the last release.
    taken: (usize, usize),
    /// Client: what it takes to start over, as long as nothing but this was sent and nothing was received.
    replay: Option<Box<Outbox>>,
    attempts: u32,
}

/// Where a call is.
#[derive(Default)]
pub(crate) enum Place {
    /// Client: it waits for a connection.
    Waiting(Box<Outbox>),
    /// On this connection.
    On(Arc<Connection>, CallId),
    /// It is over.
    #[default]
    Gone,
}

/// What a call asked for before it had a connection.
#[derive(Default)]
pub(crate) struct Outbox {
    pub(crate) channel: Weak<Channel>,
    pub(crate) path: String,
    pub(crate) metadata: Metadata,
    pub(crate) wait_for_ready: bool,
    pub(crate) messages: Vec<Bytes>,
    pub(crate) half_closed: bool,
}

impl CallState {
    fn is_over(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether it is on this connection.
    pub(crate) fn is_on(&self, connection: &Arc<Connection>) -> bool {
        matches!(&self.place, Place::On(mine, _) if Arc::ptr_eq(mine, connection))
    }

    /// A message is here, or none will come.
    pub(crate) fn receivable(&self) -> bool {
        !self.inbox.is_empty() || self.half_closed || self.is_over()
    }

    /// Response headers are here, or none will come.
    pub(crate) fn has_headers(&self) -> bool {
        self.headers.is_some() || self.is_over()
    }

    pub(crate) fn sendable(&self) -> bool {
        !self.full || self.is_over()
    }

    pub(crate) fn ended(&self) -> bool {
        self.is_over()
    }
}

impl Call {
    /// A call of a client that has no connection yet.
    pub(crate) fn of_client(outbox: Outbox, deadline: Option<Instant>, notifier: Arc<Notifier>) -> Arc<Call> {
        let place = Place::Waiting(Box::new(outbox));
        Call::new(deadline, Some(notifier), CallState { place, ..CallState::default() })
    }

    /// A call that a server received.
    pub(crate) fn of_server(connection: &Arc<Connection>, id: CallId, deadline: Option<Instant>) -> Arc<Call> {
        let place = Place::On(Arc::clone(connection), id);
        let peer = Arc::clone(&connection.peer);
        Call::new(deadline, None, CallState { place, peer, ..CallState::default() })
    }

    /// A call that ended before it began.
    pub(crate) fn failed(status: Status) -> Arc<Call> {
        Call::new(None, None, CallState { closed: Some(locally_ended(status)), ..CallState::default() })
    }

    fn new(deadline: Option<Instant>, notifier: Option<Arc<Notifier>>, state: CallState) -> Arc<Call> {
        Arc::new(Call {
            generation: process::generation(),
            deadline,
            state: Mutex::new(state),
            changed: Condvar::new(),
            notifier,
        })
    }

    /// Whether it was made in this process. The lock of one that was not may never be free again.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, CallState> {
        lock(&self.state)
    }

    /// Changes the state and wakes whoever waits for a change.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut CallState) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let parked = state.parked > 0;
        drop(state);
        if parked {
            self.changed.notify_all();
        }
        result
    }

    /// Wakes whoever waits, although the state has not changed.
    pub(crate) fn nudge(&self) {
        self.update(|_| ());
    }

    /// Waits until `done`; a client's thread reads the connection itself if no other does.
    pub(crate) fn wait(self: &Arc<Self>, until: Option<Instant>, done: &dyn Fn(&CallState) -> bool) -> Waited {
        loop {
            let state = self.lock();
            if done(&state) {
                return Waited::Done;
            }
            let connection = match &state.place {
                Place::On(connection, _) if connection.can_be_led() => Arc::clone(connection),
                Place::Gone => return Waited::Done,
                Place::On(..) => return self.park(state, until, done),
                Place::Waiting(..) => {
                    let moved = |state: &CallState| !matches!(state.place, Place::Waiting(..)) || done(state);
                    match self.park(state, until, &moved) {
                        Waited::Done => continue,
                        other => return other,
                    }
                }
            };
            drop(state);
            match leader::wait(&connection, self, until, done) {
                // It may have gone back to waiting for a connection.
                Waited::Done if !self.lock().is_on(&connection) => {}
                other => return other,
            }
        }
    }

    /// Waits for [`update`](Call::update)s of others until `done`.
    pub(crate) fn park(
        &self,
        mut state: MutexGuard<'_, CallState>,
        until: Option<Instant>,
        done: &dyn Fn(&CallState) -> bool,
    ) -> Waited {
        state.parked += 1;
        let waited = loop {
            if done(&state) {
                break Waited::Done;
            }
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break Waited::TimedOut;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.parked -= 1;
        waited
    }

    /// Queues a message; false when the call is over. Ask [`CallState::sendable`] before.
    pub(crate) fn send(self: &Arc<Self>, message: Message<'_>) -> bool {
        {
            let mut state = self.lock();
            let state = &mut *state;
            if let Place::Waiting(outbox) = &mut state.place {
                outbox.messages.push(message.into_bytes());
                state.full = outbox.messages.iter().map(Bytes::len).sum::<usize>() >= OUTBOX;
                return true;
            }
        }
        let sent = self.with_engine(|engine, id| {
            // What is sent from now on is not kept.
            self.lock().replay = None;
            let sent = engine.send_message(id, message.into_outgoing());
            if sent.is_ok() && !engine.writable(id) {
                // Room is told by an event, under the lock that is held here.
                self.lock().full = true;
            }
            sent
        });
        matches!(sent, Some(Ok(())))
    }

    /// Client: no more messages will be sent.
    pub(crate) fn half_close(self: &Arc<Self>) {
        if let Place::Waiting(outbox) = &mut self.lock().place {
            outbox.half_closed = true;
            return;
        }
        // Over or half-closed already: nothing is left to say.
        let _ = self.with_engine(|engine, id| {
            if let Some(replay) = &mut self.lock().replay {
                replay.half_closed = true;
            }
            engine.half_close(id)
        });
    }

    /// The next message, if one is here.
    pub(crate) fn take_message(self: &Arc<Self>) -> Option<Bytes> {
        let mut state = self.lock();
        let message = state.inbox.pop_front()?;
        state.taken.0 += 1;
        state.taken.1 += message.len();
        let release = state.taken.1 + state.taken.0 * PREFIX >= RELEASE;
        drop(state);
        if release {
            self.release();
        }
        Some(message)
    }

    /// Gives what the application took back to the peer's windows.
    pub(crate) fn release(self: &Arc<Self>) {
        let (messages, bytes) = std::mem::take(&mut self.lock().taken);
        if messages > 0 {
            self.with_engine(|engine, id| engine.release_many(id, messages, bytes));
        }
    }

    /// Server: sends initial metadata now.
    pub(crate) fn send_headers(self: &Arc<Self>, metadata: &Metadata) -> Result<(), CallError> {
        self.with_engine(|engine, id| engine.send_headers(id, metadata)).unwrap_or(Err(CallError::NoSuchCall))
    }

    /// Server: answers, with a last message if given, in one write.
    pub(crate) fn finish(self: &Arc<Self>, message: Option<Message<'_>>, status: &Status, trailers: &Metadata) -> bool {
        let answered = self.with_engine(|engine, id| {
            if let Some(message) = message {
                engine.send_message(id, message.into_outgoing())?;
            }
            engine.respond(id, status, trailers)
        });
        matches!(answered, Some(Ok(())))
    }

    /// Ends the call at once; false when it was over.
    pub(crate) fn cancel(self: &Arc<Self>, status: Status) -> bool {
        {
            let mut state = self.lock();
            if state.is_over() {
                return false;
            }
            if let Place::Waiting(outbox) = &state.place {
                let channel = outbox.channel.clone();
                let ended = state.end(locally_ended(status));
                drop(state);
                self.after_end(ended);
                if let Some(channel) = channel.upgrade() {
                    channel.forget(self);
                }
                return true;
            }
        }
        self.with_engine(|engine, id| engine.cancel(id, status)).is_some()
    }

    /// Client: ends a call that still waits for a connection, with `status`.
    pub(crate) fn fail_waiting(self: &Arc<Self>, status: Status) {
        let mut state = self.lock();
        if matches!(state.place, Place::Waiting(..)) {
            let ended = state.end(locally_ended(status));
            drop(state);
            self.after_end(ended);
        }
    }

    /// Wakes the waiting and runs the callbacks of a call that has just [ended](CallState::end).
    fn after_end(&self, callbacks: Vec<Callback>) {
        self.nudge();
        self.run(callbacks);
    }

    /// Runs callbacks where this call's callbacks run. No lock may be held.
    pub(crate) fn run(&self, callbacks: Vec<Callback>) {
        match &self.notifier {
            Some(notifier) => notifier.run(callbacks),
            None => callbacks.into_iter().for_each(|callback| callback()),
        }
    }

    /// Has `callback` run at the end; gives it back when that is over already.
    pub(crate) fn add_callback(&self, callback: Callback) -> Result<(), Callback> {
        let mut state = self.lock();
        if state.is_over() {
            return Err(callback);
        }
        state.callbacks.push(callback);
        Ok(())
    }

    /// Does something on the connection; `None` when the call is on none.
    fn with_engine<R>(self: &Arc<Self>, verb: impl FnOnce(&mut Engine, CallId) -> R) -> Option<R> {
        let (connection, id) = match &self.lock().place {
            Place::On(connection, id) => (Arc::clone(connection), *id),
            Place::Waiting(..) | Place::Gone => return None,
        };
        Some(connection.step(|engine, _| verb(engine, id)))
    }
}

impl CallState {
    /// Client: it is on a connection now.
    pub(crate) fn place_on(&mut self, connection: &Arc<Connection>, id: CallId, full: bool) {
        self.full = full;
        self.peer = Arc::clone(&connection.peer);
        self.attempts += 1;
        let place = std::mem::replace(&mut self.place, Place::On(Arc::clone(connection), id));
        if let Place::Waiting(outbox) = place {
            self.replay = Some(outbox).filter(|_| self.attempts < ATTEMPTS);
        }
    }

    /// Client: the server has answered.
    pub(crate) fn headers_arrived(&mut self, metadata: Metadata) {
        self.headers = Some(metadata);
        self.replay = None;
    }

    /// Client: whether the call goes back to waiting, because the connection failed it before the server saw it.
    pub(crate) fn start_over(&mut self, closed: &Closed) -> bool {
        if !closed.unprocessed || closed.status.code != Code::Unavailable {
            return false;
        }
        let Some(outbox) = self.replay.take() else { return false };
        self.place = Place::Waiting(outbox);
        true
    }

    /// Marks the end; the callbacks that it calls for.
    #[must_use]
    pub(crate) fn end(&mut self, closed: Box<Closed>) -> Vec<Callback> {
        self.place = Place::Gone;
        self.replay = None;
        if !closed.completed && matches!(closed.status.code, Code::Cancelled | Code::DeadlineExceeded) {
            // This side has given up: what nobody took, nobody wants.
            self.inbox.clear();
        }
        self.closed.get_or_insert(closed);
        std::mem::take(&mut self.callbacks)
    }
}

/// The end of a call that never reached a connection.
fn locally_ended(status: Status) -> Box<Closed> {
    Box::new(Closed { status, trailers: Metadata::new(), completed: false, unprocessed: true })
}

/// How a call ends whose deadline passed before it had a connection.
pub(crate) fn deadline_exceeded() -> Status {
    Status::new(Code::DeadlineExceeded, "Deadline Exceeded")
}

/// A message on its way out.
pub(crate) enum Message<'a> {
    /// Lives only as long as the verb.
    Borrowed(&'a [u8]),
    /// May be kept.
    Owned(Bytes),
}

impl<'a> Message<'a> {
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Message::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Message::Owned(bytes) => bytes,
        }
    }

    pub(crate) fn into_outgoing(self) -> Outgoing<'a> {
        match self {
            Message::Borrowed(bytes) if bytes.len() < COPIED => Outgoing::Copied(bytes),
            Message::Borrowed(bytes) => Outgoing::Shared(Bytes::copy_from_slice(bytes)),
            Message::Owned(bytes) => Outgoing::Shared(bytes),
        }
    }
}
