//! One call, seen from its threads: what has arrived, how it ended, and who waits for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    MethodConfig, Ticket, Waiting,
    balancer::Done,
    call::{AttemptId, Budget, Plan, Rpc},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallError, CallId, Closed, Connection as Engine, Encoding};
use farcall_system::{
    Callback,
    channelz::Tally,
    lock,
    message::{Message, too_large},
    process,
    transport::Auth,
};

use crate::{
    attempts::{At, Trial},
    channel::Channel,
    connection::Connection,
    leader,
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

/// What a call asked for before it had a connection.
#[derive(Default)]
pub struct Outbox {
    pub(crate) channel: Weak<Channel>,
    /// `/package.Service/Method`.
    pub path: String,
    /// Sent at its beginning.
    pub metadata: Metadata,
    /// `None` leaves it to the service config.
    pub wait_for_ready: Option<bool>,
    /// How its messages are compressed.
    pub encoding: Encoding,
    pub(crate) messages: Vec<Bytes>,
    /// Of all messages.
    pub(crate) bytes: usize,
    /// How many bytes are kept to be sent again.
    pub(crate) retry_buffer: usize,
    /// No more messages will be sent.
    pub half_closed: bool,
    /// It waits for metadata that somebody else makes, and goes nowhere before.
    pub held: bool,
    /// Its name among those that wait.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) tally: Option<Tally>,
}

impl Outbox {
    /// Of a call of this method with this metadata, and no requests yet.
    pub fn new(path: String, metadata: Metadata) -> Outbox {
        Outbox { path, metadata, ..Outbox::default() }
    }

    pub(crate) fn push(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.messages.push(message);
    }
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

    /// Client: what it asks for, as long as it may have to be asked for on another connection.
    fn outbox(&mut self) -> Option<&mut Outbox> {
        match &mut self.place {
            Place::Waiting(outbox) => Some(outbox),
            Place::Trying(trial) => Some(&mut trial.outbox),
            Place::On(..) | Place::Gone => None,
        }
    }

    /// Server: whether this is the call, and it waits for its request.
    pub(crate) fn lacks_request(&self, id: CallId) -> bool {
        self.awaits_request() && matches!(&self.place, Place::On(_, mine) if *mine == id)
    }

    /// Server: whether this is the call, and no thread has taken its request.
    pub(crate) fn is_before_handler(&self, id: CallId) -> bool {
        let waits = self.awaits_request() || !self.inbox.is_empty();
        waits && matches!(&self.place, Place::On(_, mine) if *mine == id)
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

    /// Server: whether it goes to a thread only once its request is here, and that is not so.
    pub(crate) fn awaits_request(&self) -> bool {
        self.when_receivable.is_some()
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
    /// A call of a client that has no connection yet.
    pub(crate) fn of_client(
        mut outbox: Outbox,
        deadline: Option<Instant>,
        notifier: Arc<Notifier>,
        config: Option<Arc<MethodConfig>>,
        plan: Option<(Box<Plan>, &Arc<Budget>)>,
    ) -> Arc<Call> {
        let tally = outbox.tally.take();
        let outbox = Box::new(outbox);
        let hedges = plan.as_ref().is_some_and(|(plan, _)| plan.hedges());
        let place = match plan {
            None => Place::Waiting(outbox),
            Some((plan, budget)) => Place::Trying(Box::new(Trial::new(outbox, plan, budget))),
        };
        let mut call =
            Call::new(deadline, Some(notifier), config, None, CallState { place, tally, ..CallState::default() });
        call.hedges = hedges;
        Arc::new(call)
    }

    /// A call that a server received.
    pub(crate) fn of_server(
        connection: &Arc<Connection>,
        id: CallId,
        deadline: Option<Instant>,
        auth: Option<Auth>,
    ) -> Arc<Call> {
        let place = Place::On(Arc::clone(connection), id);
        let peer = Arc::clone(&connection.peer);
        let tally = Some(Tally::of_server(&connection.entity));
        Arc::new(Call::new(deadline, None, None, auth, CallState { place, peer, tally, ..CallState::default() }))
    }

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

    /// Waits until `done`; a client's thread reads the connection itself if no other does.
    pub fn wait(self: &Arc<Self>, until: Option<Instant>, done: &dyn Fn(&CallState) -> bool) -> Waited {
        let mut state = self.lock();
        if done(&state) {
            return Waited::Done;
        }
        state.waiting += 1;
        let wanted = state.inbox.is_empty() && std::mem::take(&mut state.large);
        drop(state);
        if wanted {
            self.with_engine(|engine, id| engine.want(id));
        }
        let waited = self.wait_for(until, done);
        self.lock().waiting -= 1;
        waited
    }

    fn wait_for(self: &Arc<Self>, until: Option<Instant>, done: &dyn Fn(&CallState) -> bool) -> Waited {
        loop {
            let state = self.lock();
            if done(&state) {
                return Waited::Done;
            }
            let connection = match (&state.place, state.connection()) {
                (Place::Gone, _) => return Waited::Done,
                (_, Some(connection)) if connection.can_be_led() || state.awaits_answer() => Arc::clone(connection),
                (_, Some(_)) => return self.park(state, until, done),
                (_, None) => {
                    let moved = |state: &CallState| {
                        state.connection().is_some() || matches!(state.place, Place::Gone) || done(state)
                    };
                    match self.park(state, until, &moved) {
                        Waited::Done => continue,
                        other => return other,
                    }
                }
            };
            drop(state);
            if !connection.can_be_led() {
                let waited = leader::wait_alone(&connection, self, until, done);
                return waited.unwrap_or_else(|| self.park(self.lock(), until, done));
            }
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

    /// Client: no more messages will be sent.
    pub fn half_close(self: &Arc<Self>) {
        let tries = {
            let mut state = self.lock();
            if let Place::Waiting(outbox) = &mut state.place {
                outbox.half_closed = true;
                return;
            }
            matches!(state.place, Place::Trying(_))
        };
        if tries && self.send_by_attempts(Trial::half_close) {
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

    /// Client: why the service config does not allow this request, if it does not.
    fn refuse_request(&self, message: &Message<'_>) -> Option<Status> {
        too_large("Sent", message.len(), self.config.as_ref()?.max_request)
    }

    /// Client: why the service config does not allow this response, if it does not.
    pub(crate) fn refuse_response(&self, message: &Bytes) -> Option<Status> {
        too_large("Received", message.len(), self.config.as_ref()?.max_response)
    }

    /// Server: how its messages are compressed from now on; too late once the headers are gone.
    pub fn set_encoding(self: &Arc<Self>, encoding: Encoding) {
        // What is left to do then is nothing: the messages go as the headers said.
        let _ = self.with_engine(|engine, id| engine.set_encoding(id, encoding));
    }

    /// Server: sends initial metadata now.
    pub fn send_headers(self: &Arc<Self>, metadata: &Metadata) -> Result<(), CallError> {
        self.with_engine(|engine, id| engine.send_headers(id, metadata)).unwrap_or(Err(CallError::NoSuchCall))
    }

    /// Server: answers, with a last message if given, in one write.
    pub fn finish(self: &Arc<Self>, message: Option<Last<'_>>, status: &Status, trailers: &Metadata) -> bool {
        let answered = self.with_engine(|engine, id| {
            if let Some(Last { message, compress }) = message {
                engine.send_message_with(id, message.into_outgoing(), compress)?;
                self.lock().count_sent();
            }
            engine.respond(id, status, trailers)
        });
        matches!(answered, Some(Ok(())))
    }

    /// Server: refuses a call whose method reads messages of another codec.
    pub fn refuse_subtype(self: &Arc<Self>, codec: &str) {
        // A call that is over needs no answer.
        let _ = self.with_engine(|engine, id| engine.refuse_subtype(id, codec));
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

    /// Client: ends a call that still waits for a connection, with `status`. No lock may be held.
    pub(crate) fn fail_waiting(self: &Arc<Self>, status: Status) {
        let mut state = self.lock();
        if state.outbox().is_some() {
            let attempts = state.give_up();
            let ended = state.end(locally_ended(status));
            drop(state);
            attempts.into_iter().for_each(At::cancel);
            self.after_end(ended);
        }
    }

    /// Client: what the channel is told of a call that is to wait; `None` when it does not wait any more.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        let mut state = self.lock();
        let outbox = state.outbox()?;
        let waiting = Waiting::new(outbox.path.as_str(), outbox.wait_for_ready.unwrap_or(false), self.deadline);
        Some(waiting.with_metadata(&outbox.metadata))
    }

    /// Client: its name among those that wait; false when it does not wait any more.
    pub(crate) fn set_ticket(&self, ticket: Ticket) -> bool {
        let mut state = self.lock();
        let Some(outbox) = state.outbox() else { return false };
        outbox.ticket = Some(ticket);
        true
    }

    /// Client: the metadata that a held call waited for is here; false when it was not waited for.
    pub fn proceed(self: &Arc<Self>, metadata: &Metadata) -> bool {
        let (channel, ticket) = {
            let mut state = self.lock();
            let Some(outbox) = state.outbox() else { return false };
            if !std::mem::take(&mut outbox.held) {
                return false;
            }
            // Only their sum can be too much, and that the server says.
            let _ = outbox.metadata.extend(metadata);
            (outbox.channel.upgrade(), outbox.ticket)
        };
        match channel {
            Some(channel) => ticket.iter().for_each(|ticket| channel.resume(*ticket)),
            None => self.fail_waiting(Status::new(Code::Cancelled, "Channel deallocated!")),
        }
        true
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

    /// Has `callback` run once there is something to receive, or nothing will come; false when that is so already.
    pub fn when_receivable(&self, callback: Callback) -> bool {
        let mut state = self.lock();
        if state.receivable() {
            return false;
        }
        state.when_receivable = Some(callback);
        if std::mem::take(&mut state.large)
            && let Place::On(connection, id) = &state.place
        {
            let (connection, id) = (Arc::clone(connection), *id);
            drop(state);
            connection.ask_for(id);
        }
        true
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

    /// Client: attempts at it that nothing is to come of.
    fn give_up(&mut self) -> Vec<At> {
        match &mut self.place {
            Place::Trying(trial) => trial.give_up(),
            Place::Waiting(_) | Place::On(..) | Place::Gone => Vec::new(),
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

    /// No more messages will come; what waited for one.
    pub(crate) fn half_close_arrived(&mut self) -> Option<Callback> {
        self.half_closed = true;
        self.when_receivable.take()
    }
}

/// The end of a call that never reached a connection.
fn locally_ended(status: Status) -> Box<Closed> {
    Box::new(Closed { status, trailers: Metadata::new(), completed: false, unprocessed: true, unsent: true })
}

/// How a call ends whose deadline passed before it had a connection.
pub(crate) fn deadline_exceeded() -> Status {
    Status::new(Code::DeadlineExceeded, "Deadline Exceeded")
}

/// A server's last message.
pub struct Last<'a> {
    /// The message.
    pub message: Message<'a>,
    /// Whether it may be compressed.
    pub compress: bool,
}
