//! One call, seen from its threads: what has arrived, how it ended, and who waits for it.

mod client;
mod server;
mod waiting;

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    MethodConfig,
    balancer::Done,
    call::{AttemptId, Rpc},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Closed, Connection as Engine};
use farcall_system::{Callback, channelz::Tally, lock, message::Message, process, transport::Auth};

pub(crate) use self::client::deadline_exceeded;
pub use self::{client::Outbox, server::Last};
use crate::{
    attempts::{At, Trial},
    connection::Connection,
    notifier::Notifier,
};

/// What a call may queue before it has a connection, in bytes; `send` waits beyond it.
pub(crate) const OUTBOX: usize = 64 << 10;

/// Bytes taken by the application that are given back to the peer's window in one go.
const RELEASE: usize = 128 << 10;

/// What a message costs its sender besides its own bytes.
const PREFIX: usize = 5;

/// How a wait ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// What was waited for has come.
    Done,
    /// The time is up.
    TimedOut,
    /// A signal came; see to it and wait again.
    Interrupted,
}

/// One call of a client or of a server.
pub struct Call {
    /// The process it was made in.
    generation: u32,
    /// When it must be over.
    pub deadline: Option<Instant>,
    /// Client: what the service config asks of it.
    config: Option<Arc<MethodConfig>>,
    /// Client: attempts at it may be under way beside each other, and not all that comes is the call's.
    pub(crate) hedges: bool,
    state: Mutex<CallState>,
    changed: Condvar,
    /// Where callbacks run; without one, on the thread that sees the end.
    notifier: Option<Arc<Notifier>>,
    /// Server: who the client is.
    pub auth: Option<Auth>,
}

/// The part of a call that changes.
#[derive(Default)]
pub struct CallState {
    pub(crate) place: Place,
    /// Messages that nobody has taken yet; the peer's flow-control windows bound them.
    pub inbox: VecDeque<Bytes>,
    /// Client: response headers.
    pub headers: Option<Metadata>,
    /// Server: no more messages will come.
    pub half_closed: bool,
    /// The send buffer is full.
    pub(crate) full: bool,
    /// A message was sent since the last one was taken: the peer's next may well be the answer, and come soon.
    pub(crate) has_asked: bool,
    /// Client: a response was refused, so this is how it ends.
    pub(crate) refused: Option<Status>,
    /// How it ended.
    pub closed: Option<Box<Closed>>,
    /// As gRPC writes it; empty until there is a connection.
    pub peer: Arc<str>,
    callbacks: Vec<Callback>,
    /// Server: runs once there is something to receive, or nothing will come.
    when_receivable: Option<Callback>,
    /// Threads parked on `changed`: without any, nothing need be woken.
    parked: usize,
    /// Threads that wait for anything of this call; and whether a message waits to be let in that none waited for.
    waiting: usize,
    large: bool,
    /// Messages and bytes taken by the application since the last release.
    taken: (usize, usize),
    /// It has some in hand.
    in_hand: bool,
    /// Client: what it takes to start over, as long as nothing but this was sent and nothing was received.
    pub(crate) replay: Option<Box<Outbox>>,
    /// Client: whether it is made again, and where; the attempt that is on a connection, and who hears how it ends.
    pub(crate) rpc: Rpc,
    pub(crate) attempt: AttemptId,
    pub(crate) done: Done,
    pub(crate) tally: Option<Tally>,
}

/// Where a call is.
#[derive(Default)]
pub(crate) enum Place {
    /// Client: it waits for a connection.
    Waiting(Box<Outbox>),
    /// On this connection.
    On(Arc<Connection>, CallId),
    /// Client: a policy makes attempts at it.
    Trying(Box<Trial>),
    /// It is over.
    #[default]
    Gone,
}

impl CallState {
    fn is_over(&self) -> bool {
        self.closed.is_some()
    }

    /// Whether it is on this connection.
    pub(crate) fn is_on(&self, connection: &Arc<Connection>) -> bool {
        self.connection().is_some_and(|mine| Arc::ptr_eq(mine, connection))
    }

    /// The connection that it is on.
    fn connection(&self) -> Option<&Arc<Connection>> {
        match &self.place {
            Place::On(connection, _) => Some(connection),
            Place::Trying(trial) => trial.connection(),
            Place::Waiting(_) | Place::Gone => None,
        }
    }

    /// A message is here, or none will come.
    pub fn receivable(&self) -> bool {
        !self.inbox.is_empty() || self.half_closed || self.is_over()
    }

    /// A message waits to be let in. Says whether somebody waits for it; else whoever does next is told.
    pub(crate) fn is_large_awaited(&mut self) -> bool {
        let awaited = self.waiting > 0 && self.inbox.is_empty();
        self.large = !awaited;
        awaited
    }

    /// Response headers are here, or none will come.
    pub fn has_headers(&self) -> bool {
        self.headers.is_some() || self.is_over()
    }

    /// There is room for another message, or nothing can be sent any more.
    pub fn sendable(&self) -> bool {
        !self.full || self.is_over()
    }

    /// It is over.
    pub fn ended(&self) -> bool {
        self.is_over()
    }

    /// Server: whether what it waits for is the peer's next message, which may come soon. Not while it waits for room: then
    /// the peer only reads.
    fn awaits_answer(&self) -> bool {
        self.has_asked && !self.full
    }
}

impl Call {
    /// A call that ended before it began.
    pub fn failed(status: Status) -> Arc<Call> {
        let state = CallState { closed: Some(locally_ended(status)), ..CallState::default() };
        Arc::new(Call::new(None, None, None, None, state))
    }

    fn new(
        deadline: Option<Instant>,
        notifier: Option<Arc<Notifier>>,
        config: Option<Arc<MethodConfig>>,
        auth: Option<Auth>,
        state: CallState,
    ) -> Call {
        Call {
            generation: process::generation(),
            deadline,
            config,
            hedges: false,
            state: Mutex::new(state),
            changed: Condvar::new(),
            notifier,
            auth,
        }
    }

    /// Whether it was made in this process. The lock of one that was not may never be free again.
    pub fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    /// Its state; while this is held, nothing arrives for the call.
    pub fn lock(&self) -> MutexGuard<'_, CallState> {
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

    /// Queues a message; false when the call is over. Ask [`CallState::sendable`] before.
    /// `compress` says whether this message may be compressed at all.
    pub fn send(self: &Arc<Self>, message: Message<'_>, compress: bool) -> bool {
        if let Some(status) = self.refuse_request(&message) {
            return self.cancel(status);
        }
        let tries = {
            let mut state = self.lock();
            let state = &mut *state;
            if let Place::Waiting(outbox) = &mut state.place {
                outbox.push(message.into_bytes());
                state.full = outbox.bytes >= OUTBOX;
                return true;
            }
            matches!(state.place, Place::Trying(_))
        };
        if tries {
            let message = message.into_bytes();
            if self.send_by_attempts(|trial| trial.push(message.clone(), compress)) {
                return true;
            }
            return self.send(Message::Owned(message), compress);
        }
        let sent = self.with_engine(|engine, id| {
            let message = self.lock().keep(message);
            let sent = engine.send_message_with(id, message.into_outgoing(), compress);
            if sent.is_ok() && !engine.writable(id) {
                // Room is told by an event, under the lock that is held here.
                self.lock().full = true;
            }
            sent
        });
        matches!(sent, Some(Ok(())))
    }

    /// The next message, if one is here.
    pub fn take_message(self: &Arc<Self>) -> Option<Bytes> {
        let mut state = self.lock();
        let message = state.inbox.pop_front()?;
        state.has_asked = false;
        state.taken.0 += 1;
        state.taken.1 += message.len();
        let release = state.taken.1 + state.taken.0 * PREFIX >= RELEASE;
        drop(state);
        if release {
            self.take_up();
        }
        Some(message)
    }

    /// Gives what the application took back to the peer's windows; it goes to work with that.
    fn take_up(self: &Arc<Self>) {
        let (messages, bytes) = {
            let mut state = self.lock();
            state.in_hand = true;
            std::mem::take(&mut state.taken)
        };
        self.with_engine(|engine, id| engine.take_many(id, messages, bytes));
    }

    /// Gives what the application took back to the peer's windows; it comes for more, and is done with that.
    pub fn release(self: &Arc<Self>) {
        let ((messages, bytes), in_hand) = {
            let mut state = self.lock();
            (std::mem::take(&mut state.taken), std::mem::take(&mut state.in_hand))
        };
        if messages > 0 || in_hand {
            self.with_engine(|engine, id| engine.release_many(id, messages, bytes));
        }
    }

    /// Ends the call at once; false when it was over.
    pub fn cancel(self: &Arc<Self>, status: Status) -> bool {
        {
            let mut state = self.lock();
            if state.is_over() {
                return false;
            }
            if let Some(outbox) = state.outbox() {
                let (channel, ticket) = (outbox.channel.clone(), outbox.ticket);
                let attempts = state.give_up();
                let ended = state.end(locally_ended(status));
                drop(state);
                attempts.into_iter().for_each(At::cancel);
                self.after_end(ended);
                if let (Some(channel), Some(ticket)) = (channel.upgrade(), ticket) {
                    channel.forget(ticket);
                }
                return true;
            }
        }
        self.with_engine(|engine, id| engine.cancel(id, status)).is_some()
    }

    /// Wakes the waiting and runs the callbacks of a call that has just [ended](CallState::end).
    fn after_end(&self, callbacks: Vec<Callback>) {
        self.nudge();
        self.run(callbacks);
    }

    /// Runs callbacks where this call's callbacks run. No lock may be held.
    pub fn run(&self, callbacks: Vec<Callback>) {
        match &self.notifier {
            Some(notifier) => notifier.run(callbacks),
            None => callbacks.into_iter().for_each(|callback| callback()),
        }
    }

    /// Has `callback` run at the end; gives it back when that is over already.
    pub fn add_callback(&self, callback: Callback) -> Result<(), Callback> {
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
            Place::Trying(trial) => trial.winner().map(|(connection, id)| (Arc::clone(connection), id))?,
            Place::Waiting(..) | Place::Gone => return None,
        };
        Some(connection.step(|engine, _| verb(engine, id)))
    }
}

impl CallState {
    pub(crate) fn count_sent(&self) {
        if let Place::On(connection, _) = &self.place {
            connection.entity.sent();
        }
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
        if let Some(tally) = self.tally.take() {
            tally.end(closed.status.is_ok(), closed.completed);
        }
        self.closed.get_or_insert(closed);
        let mut callbacks = std::mem::take(&mut self.callbacks);
        callbacks.extend(self.when_receivable.take());
        callbacks
    }

    /// A message has arrived; what waited for it.
    pub(crate) fn message_arrived(&mut self, message: Bytes) -> Option<Callback> {
        self.inbox.push_back(message);
        self.when_receivable.take()
    }
}

/// The end of a call that never reached a connection.
fn locally_ended(status: Status) -> Box<Closed> {
    Box::new(Closed { status, trailers: Metadata::new(), completed: false, unprocessed: true, unsent: true })
}
