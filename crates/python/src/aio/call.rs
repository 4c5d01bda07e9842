//! One call on a loop: what has arrived, how it ended, and who waits for it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use farcall_channel::{
    Attempts, Ended, MethodConfig, Next, PREVIOUS_ATTEMPTS, Refusal, Retry, Seen, Ticket, Waiting,
    balancer::{Done, End},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallError, CallId, Closed, Connection as Engine, Encoding};
use farcall_system::{
    channelz::Tally,
    lock,
    message::{Message, seen, too_large},
    process,
    transport::Auth,
};
use pyo3::{prelude::*, types::PyBool};

use super::{
    channel::Channel,
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
    pub(crate) place: Place,
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
    /// Client: what it takes to start over, as long as nothing but this was sent and nothing was received.
    replay: Option<Box<Outbox>>,
    /// Client: whether it is made again, and where.
    attempts: Attempts,
    /// Client: hears how the attempt ends.
    done: Done,
    tally: Option<Tally>,
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
    /// `None` leaves it to the service config.
    pub(crate) wait_for_ready: Option<bool>,
    pub(crate) encoding: Encoding,
    /// With whether they may be compressed.
    pub(crate) messages: Vec<(Bytes, bool)>,
    /// Of all messages.
    pub(crate) bytes: usize,
    /// How many bytes are kept to be sent again.
    pub(crate) retry_buffer: usize,
    pub(crate) half_closed: bool,
    /// It waits for more metadata.
    pub(crate) held: bool,
    /// Its name among those that wait.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) tally: Option<Tally>,
}

impl Outbox {
    pub(crate) fn push(&mut self, message: Bytes, compress: bool) {
        self.bytes += message.len();
        self.messages.push((message, compress));
    }
}

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
                Want::Place => !matches!(self.place, Place::Waiting(..)),
                Want::Headers => self.headers.is_some(),
                Want::Message => !self.inbox.is_empty() || self.half_closed,
                Want::Room => !self.full,
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
    /// A call of a client that has no connection yet.
    pub(crate) fn of_client(
        mut outbox: Outbox,
        deadline: Option<Instant>,
        event_loop: &Arc<EventLoop>,
        config: Option<Arc<MethodConfig>>,
        retry: Option<Box<Retry>>,
    ) -> Arc<Call> {
        let tally = outbox.tally.take();
        let state = CallState {
            place: Place::Waiting(Box::new(outbox)),
            attempts: Attempts::new(retry),
            tally,
            ..CallState::default()
        };
        Call::new(deadline, event_loop, config, None, state)
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
        let state = CallState { place, peer, tally, ..CallState::default() };
        Call::new(deadline, &connection.event_loop, None, auth, state)
    }

    /// A call that ended before it began.
    pub(crate) fn failed(status: Status, event_loop: &Arc<EventLoop>) -> Arc<Call> {
        let closed = Some(locally_ended(status));
        Call::new(None, event_loop, None, None, CallState { closed, ..CallState::default() })
    }

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
    pub(crate) fn update(&self, due: &mut Vec<Due>, change: impl FnOnce(&mut CallState)) {
        let mut state = self.lock();
        change(&mut state);
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

    /// Server: names the task that is cancelled when the client gives up; false when it has.
    pub(crate) fn set_task(&self, task: Py<PyAny>) -> bool {
        let mut state = self.lock();
        let before = if state.is_over() { Some(task) } else { state.task.replace(task) };
        let over = state.is_over();
        drop(state);
        drop(before);
        !over
    }

    /// Server: the task that works on it has answered.
    pub(crate) fn set_answered(&self) {
        self.lock().answered = true;
    }

    // Verbs.

    /// Queues a message; [`Sent::Over`] when the call is.
    pub(crate) fn send(self: &Arc<Self>, py: Python<'_>, message: Message<'_>, compress: bool) -> PyResult<Sent> {
        if !self.queue(py, message, compress)? {
            return Ok(Sent::Over);
        }
        if self.lock().has(Want::Room) {
            return Ok(Sent::Room);
        }
        // Others on the loop have their turn, whether or not the socket takes it all at once.
        if let Some((connection, _)) = self.connection() {
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
        let message = {
            let mut state = self.lock();
            let state = &mut *state;
            if let Place::Waiting(outbox) = &mut state.place {
                outbox.push(message.into_bytes(), compress);
                state.full = outbox.bytes >= OUTBOX;
                return Ok(true);
            }
            state.keep(message, compress)
        };
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
            if let Place::Waiting(outbox) = &mut state.place {
                outbox.half_closed = true;
                return Ok(());
            }
            if let Some(replay) = &mut state.replay {
                replay.half_closed = true;
            }
        }
        // Over or half-closed already: nothing is left to say.
        self.with_engine(py, |engine, id| engine.half_close(id)).map(drop)
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

    /// Client: why the service config does not allow this request, if it does not.
    fn refuse_request(&self, message: &Message<'_>) -> Option<Status> {
        too_large("Sent", message.len(), self.config.as_ref()?.max_request)
    }

    /// Client: why the service config does not allow this response, if it does not.
    pub(crate) fn refuse_response(&self, message: &Bytes) -> Option<Status> {
        too_large("Received", message.len(), self.config.as_ref()?.max_response)
    }

    /// Server: how its messages are compressed from now on.
    pub(crate) fn set_encoding(self: &Arc<Self>, py: Python<'_>, encoding: Encoding) -> PyResult<()> {
        // Too late once the headers are gone: the messages go as the headers said.
        self.with_engine(py, |engine, id| engine.set_encoding(id, encoding)).map(drop)
    }

    /// Server: sends initial metadata now.
    pub(crate) fn send_headers(
        self: &Arc<Self>,
        py: Python<'_>,
        metadata: &Metadata,
    ) -> PyResult<Result<(), CallError>> {
        let sent = self.with_engine(py, |engine, id| engine.send_headers(id, metadata))?;
        Ok(sent.unwrap_or(Err(CallError::NoSuchCall)))
    }

    /// Server: answers, with a last message if given, in one write.
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

    /// Server: refuses a call whose method reads messages of another codec.
    pub(crate) fn refuse_subtype(self: &Arc<Self>, py: Python<'_>, codec: &str) -> PyResult<()> {
        // A call that is over needs no answer.
        self.with_engine(py, |engine, id| engine.refuse_subtype(id, codec)).map(drop)
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
            if let Place::Waiting(outbox) = &state.place {
                let (channel, ticket) = (outbox.channel.clone(), outbox.ticket);
                let given_up = state.end(locally_ended(status), &mut due);
                drop(state);
                drop(given_up);
                if let (Some(channel), Some(ticket)) = (channel.upgrade(), ticket) {
                    channel.forget(py, ticket)?;
                }
                due::wake(py, &self.event_loop, due, Resume::Soon)?;
                return Ok(true);
            }
        }
        let Some((connection, id)) = self.connection() else { return Ok(false) };
        connection.step_and_tell(py, |engine, _| engine.cancel(id, status))?;
        Ok(true)
    }

    /// Client: its end is this one, also when it had ended otherwise: what has come cannot be used.
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

    /// Client: ends a call that still waits for a connection, with `status`.
    pub(crate) fn fail_waiting(&self, status: Status, due: &mut Vec<Due>) {
        let mut state = self.lock();
        if matches!(state.place, Place::Waiting(..)) {
            let given_up = state.end(locally_ended(status), due);
            drop(state);
            drop(given_up);
        }
    }

    /// Client: what the channel is told of a call that is to wait; `None` when it does not wait any more.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        match &self.lock().place {
            Place::Waiting(outbox) => Some(Waiting {
                path: outbox.path.as_str().into(),
                wait_for_ready: outbox.wait_for_ready.unwrap_or(false),
                deadline: self.deadline,
            }),
            Place::On(..) | Place::Gone => None,
        }
    }

    /// Client: its name among those that wait.
    pub(crate) fn set_ticket(&self, ticket: Ticket) {
        if let Place::Waiting(outbox) = &mut self.lock().place {
            outbox.ticket = Some(ticket);
        }
    }

    /// Client: ends a call that goes nowhere, unless it is made again: then after this time.
    pub(crate) fn refuse_place(&self, refusal: Refusal, due: &mut Vec<Due>) -> Option<Duration> {
        if refusal.may_retry
            && let Next::After(delay) = self.lock().start_over_from_nowhere(&refusal.status)
        {
            return Some(delay);
        }
        self.fail_waiting(refusal.status, due);
        None
    }

    /// Ends it although nobody can be told: its loop is gone.
    pub(crate) fn abandon(&self, status: &Status) {
        let mut due = Vec::new();
        let given_up = self.lock().end(locally_ended(status.clone()), &mut due);
        drop(given_up);
        drop(due);
    }

    /// Client: the metadata that a held call waited for is here; false when it was not waited for.
    pub(crate) fn proceed(self: &Arc<Self>, py: Python<'_>, metadata: &Metadata) -> PyResult<bool> {
        let (channel, ticket) = {
            let mut state = self.lock();
            let Place::Waiting(outbox) = &mut state.place else { return Ok(false) };
            if !std::mem::take(&mut outbox.held) {
                return Ok(false);
            }
            // Only their sum can be too much, and that the server says.
            let _ = outbox.metadata.extend(metadata);
            (outbox.channel.upgrade(), outbox.ticket)
        };
        match channel {
            Some(channel) => ticket.map_or(Ok(()), |ticket| channel.resume(py, ticket))?,
            None => drop(self.cancel(py, Status::new(Code::Cancelled, "Channel deallocated!"))?),
        }
        Ok(true)
    }

    fn connection(&self) -> Option<(Arc<Connection>, CallId)> {
        match &self.lock().place {
            Place::On(connection, id) => Some((Arc::clone(connection), *id)),
            Place::Waiting(..) | Place::Gone => None,
        }
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
    fn count_sent(&self) {
        if let Place::On(connection, _) = &self.place {
            connection.entity.sent();
        }
    }

    /// Client: it is on a connection now.
    pub(crate) fn place_on(&mut self, connection: &Arc<Connection>, id: CallId, full: bool, done: Done) {
        self.full = full;
        self.done = done;
        self.peer = Arc::clone(&connection.peer);
        if let Some(tally) = &mut self.tally {
            tally.place_on(&connection.entity);
        }
        let place = std::mem::replace(&mut self.place, Place::On(Arc::clone(connection), id));
        if let Place::Waiting(outbox) = place {
            // What was there before it had a connection is kept whatever it takes, as long as nothing follows.
            self.attempts.keep(outbox.bytes, outbox.retry_buffer);
            self.replay = Some(outbox);
        }
    }

    /// Client: a message about to be sent is kept if the call may have to be made again, and otherwise nothing is any
    /// more.
    fn keep<'a>(&mut self, message: Message<'a>, compress: bool) -> Message<'a> {
        let Some(replay) = &mut self.replay else { return message };
        if !self.attempts.keep(replay.bytes + message.len(), replay.retry_buffer) {
            self.replay = None;
            return message;
        }
        let message = message.into_bytes();
        replay.push(message.clone(), compress);
        Message::Owned(message)
    }

    /// Client: a response is not one that the service config allows.
    pub(crate) fn refuse(&mut self, status: Status) {
        self.refused = Some(status);
    }

    pub(crate) fn refused(&mut self) -> Option<Status> {
        self.refused.take()
    }

    /// Those who waited for a connection.
    pub(crate) fn satisfied_by_place(&mut self, due: &mut Vec<Due>) {
        if !self.waiters.is_empty() {
            self.satisfied(due);
        }
    }

    /// Client: the server has answered.
    pub(crate) fn headers_arrived(&mut self, metadata: Metadata) {
        self.headers = Some(metadata);
        self.replay = None;
    }

    /// Client: response headers, if they are here.
    pub(crate) fn headers(&self) -> Option<Metadata> {
        self.headers.clone()
    }

    pub(crate) fn message_arrived(&mut self, message: Bytes) {
        self.inbox.push_back(message);
    }

    /// A message waits to be let in. Says whether somebody waits for it; else whoever does next is told.
    pub(crate) fn is_large_awaited(&mut self) -> bool {
        let waits = |(want, waiter): &(Want, Py<Waiter>)| want.takes_messages() && waiter.get().is_pending();
        let awaited = self.inbox.is_empty() && self.waiters.iter().any(waits);
        self.large = !awaited;
        awaited
    }

    /// Server: the client has sent its last message.
    pub(crate) fn half_close_arrived(&mut self) {
        self.half_closed = true;
    }

    pub(crate) fn room_came(&mut self) {
        self.full = false;
    }

    /// Client: what becomes of it now that this attempt is over; unless that is its end, it waits for a connection again.
    pub(crate) fn start_over(&mut self, closed: &Closed) -> Next {
        std::mem::take(&mut self.done).end(&End {
            code: (!closed.unsent).then_some(closed.status.code),
            trailers: closed.completed.then_some(&closed.trailers),
        });
        let next = self.attempts.handle_ended(Ended {
            code: closed.status.code,
            trailers: &closed.trailers,
            completed: closed.completed,
            seen: seen(closed),
            can_repeat: self.replay.is_some(),
        });
        let (false, Some(outbox)) = (next == Next::Over, self.replay.take()) else { return Next::Over };
        self.wait_again(outbox);
        next
    }

    /// Client: what becomes of it now that it has found no connection. What its retry policy says counts, as if a server had
    /// given this status.
    fn start_over_from_nowhere(&mut self, status: &Status) -> Next {
        if !matches!(self.place, Place::Waiting(_)) {
            return Next::Over;
        }
        let next = self.attempts.handle_ended(Ended {
            code: status.code,
            trailers: &Metadata::new(),
            completed: true,
            seen: Seen::Perhaps,
            can_repeat: true,
        });
        if let Place::Waiting(outbox) = std::mem::take(&mut self.place) {
            self.wait_again(outbox);
        }
        next
    }

    fn wait_again(&mut self, mut outbox: Box<Outbox>) {
        if let Some(ended) = self.attempts.retry.as_ref().map(|retry| retry.ended()).filter(|ended| *ended > 0) {
            outbox.metadata.remove(PREVIOUS_ATTEMPTS);
            // The key and the digits of a number may always be sent.
            let _ = outbox.metadata.append(PREVIOUS_ATTEMPTS, ended.to_string());
        }
        self.place = Place::Waiting(outbox);
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
        GivenUp(std::mem::take(&mut self.place), self.replay.take(), inbox, task)
    }
}

/// What a call held until its end. A large message may be an object of Python.
pub(crate) struct GivenUp(
    #[expect(dead_code, reason = "only to be dropped")] Place,
    #[expect(dead_code, reason = "only to be dropped")] Option<Box<Outbox>>,
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
