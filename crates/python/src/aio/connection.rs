//! A socket, the brain of its connection, and the calls on it, watched by a loop.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use farcall_channel::{
    Connectivity, StreamId, StreamRequest,
    balancer::Done,
    call::{AttemptId, Seen, Verdict},
};
use farcall_core::Status;
use farcall_engine::{CallId, Closed, Config, Connection as Engine, ErrorCode, Event, Farewell};
use farcall_system::{
    channelz::Entity,
    lock, memory,
    message::seen,
    process,
    reports::Remark,
    socket::{Socket, os_text},
    trace,
    transport::Transport,
};
use pyo3::prelude::*;

use super::{
    call::{Begun, Call, CallState, GivenUp},
    dial::Attempt,
    due::Due,
    event_loop::{EventLoop, Resume},
    known::names,
    server::Server,
    standing,
};
use crate::calling::Calling;

/// Reads of one connection before others get their turn.
const READS_IN_A_ROW: usize = 16;

/// How long a peer that does not read may keep a connection that has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Who is told about a connection.
pub(crate) enum Owner {
    Client(Attempt),
    Server(Weak<Server>),
}

/// A connection of a client or of a server.
pub(crate) struct Connection {
    socket: Socket,
    /// The other end, as gRPC writes it.
    pub(crate) peer: Arc<str>,
    pub(crate) entity: Arc<Entity>,
    generation: u32,
    /// Server: the handshake of TLS is not over.
    handshaking: AtomicBool,
    pub(crate) event_loop: Arc<EventLoop>,
    pub(crate) owner: Owner,
    state: Mutex<State>,
    /// The last to be dropped.
    _gone: memory::Gone,
}

/// The part of a connection that changes.
struct State {
    /// What lies between the socket and the brain: here bytes come from and go to.
    transport: Transport,
    engine: Engine,
    /// By [`CallId::index`].
    calls: Vec<Option<Stream>>,
    /// How many of them are of the channel's own.
    standing: usize,
    /// The handshake of the transport is not over.
    connecting: bool,
    /// The handshake of the transport went well.
    connected: bool,
    /// Client: the server has answered a call.
    answered: bool,
    /// The socket took no more bytes; the loop says when it does.
    blocked: bool,
    /// The brain is done and the socket shut.
    over: bool,
    /// The loop has let go of the socket, and it is shut.
    shut: bool,
    /// When a connection that has ended is cut although the peer has not read its last words.
    cut_at: Option<Instant>,
    /// They are written, and the peer is given time to read them.
    parting: Option<Farewell>,
    /// What the loop has been asked for.
    reader: bool,
    writer: bool,
    timer: Option<Timer>,
}

/// Who hears what comes on a stream.
enum Stream {
    /// A call, of which it is this attempt.
    Call(Arc<Call>, AttemptId),
    /// The channel, which has opened it for itself. Its messages have so many bytes at most.
    Standing(StreamId, usize),
}

struct Timer {
    at: Instant,
    handle: Option<Py<PyAny>>,
}

/// A connection as its loop sees it.
#[pyclass(frozen)]
pub(super) struct Watcher(Arc<Connection>);

#[pymethods]
impl Watcher {
    fn on_readable(&self, py: Python<'_>) -> PyResult<()> {
        let connection = &self.0;
        connection.event_loop.in_batch(py, || connection.handle_readable(py))
    }

    fn on_writable(&self, py: Python<'_>) -> PyResult<()> {
        let connection = &self.0;
        connection.event_loop.in_batch(py, || connection.handle_writable(py))
    }

    fn on_timer(&self, py: Python<'_>) -> PyResult<()> {
        let connection = &self.0;
        connection.event_loop.in_batch(py, || connection.handle_timer(py))
    }
}

impl Connection {
    /// A connection over `socket`, which may still be connecting. [`begin`](Connection::begin) has the loop watch it.
    pub(crate) fn new(
        socket: Socket,
        transport: Transport,
        config: Config,
        connecting: bool,
        event_loop: &Arc<EventLoop>,
        owner: Owner,
        entity: Arc<Entity>,
    ) -> Arc<Connection> {
        Arc::new(Connection {
            socket,
            peer: entity.name().into(),
            entity,
            generation: process::generation(),
            handshaking: AtomicBool::new(matches!(owner, Owner::Server(_)) && transport.in_handshake()),
            event_loop: Arc::clone(event_loop),
            owner,
            state: Mutex::new(State {
                transport,
                engine: Engine::new(config, Instant::now()),
                calls: Vec::new(),
                standing: 0,
                connecting,
                connected: !connecting,
                answered: false,
                blocked: false,
                over: false,
                shut: false,
                cut_at: None,
                parting: None,
                reader: false,
                writer: false,
                timer: None,
            }),
            _gone: memory::Gone,
        })
    }

    /// Has the loop watch it from now on.
    pub(crate) fn begin(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        self.flush(py)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    /// How long connections to the same server may be silent before they are asked whether they are there.
    pub(crate) fn next_keepalive_time(&self) -> Option<Duration> {
        self.lock().engine.next_keepalive_time()
    }

    /// Client: whether the server has answered a call, or is at work on one.
    pub(crate) fn is_useful(&self) -> bool {
        let state = self.lock();
        state.answered || state.calls() > 0
    }

    /// Whether no call is on it.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().calls() == 0
    }

    /// A verb on the brain, and everything that follows from it.
    pub(crate) fn step<R>(
        self: &Arc<Self>,
        py: Python<'_>,
        verb: impl FnOnce(&mut Engine, Instant) -> R,
    ) -> PyResult<R> {
        let result = {
            let mut state = self.lock();
            verb(&mut state.engine, Instant::now())
        };
        self.after_verb(py)?;
        Ok(result)
    }

    /// A verb whose outcome the caller sees at once: who asks next whether the call is over is told the truth.
    pub(crate) fn step_and_tell<R>(
        self: &Arc<Self>,
        py: Python<'_>,
        verb: impl FnOnce(&mut Engine, Instant) -> R,
    ) -> PyResult<R> {
        let mut due = Vec::new();
        let result = {
            let mut state = self.lock();
            let result = verb(&mut state.engine, Instant::now());
            self.tell(&mut state, &mut due);
            result
        };
        self.deliver(py, due)?;
        self.after_verb(py)?;
        Ok(result)
    }

    /// Puts a client's call on this connection, if an attempt at it is due.
    pub(crate) fn adopt(
        self: &Arc<Self>,
        py: Python<'_>,
        call: &Arc<Call>,
        authority: &str,
        done: Done,
    ) -> PyResult<Begun> {
        let mut due = Vec::new();
        let begun = {
            let mut state = self.lock();
            let mut call_state = call.lock();
            let begun = call_state.begin(self, &mut state.engine, (authority, call.deadline), done, &mut due);
            let Begun::On { id, attempt, .. } = begun else { return Ok(begun) };
            state.place(id, Stream::Call(Arc::clone(call), attempt));
            call_state.satisfied_by_place(&mut due);
            begun
        };
        super::due::wake(py, &self.event_loop, due, Resume::Soon)?;
        self.after_verb(py)?;
        Ok(begun)
    }

    /// Opens a stream of the channel's own; `None` when it takes none. What that has to say goes out with the next flush.
    pub(crate) fn open_standing(&self, id: StreamId, request: &StreamRequest, authority: &str) -> Option<CallId> {
        let mut state = self.lock();
        let call = standing::open(&mut state.engine, request, authority)?;
        state.standing += 1;
        state.place(call, Stream::Standing(id, request.max_message));
        Some(call)
    }

    /// What a verb has to say goes out: now, or with what others have to say in this batch or turn.
    fn after_verb(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        if self.event_loop.writes_now(py, self) {
            return self.flush(py);
        }
        Ok(())
    }

    /// Writes what the brain has to say, tells what it says to others, and watches what it wants watched.
    pub(crate) fn flush(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        self.settle(py, |_, _| ())
    }

    /// The engine's law: after any mutation, drain the polls until nothing is left.
    fn settle(self: &Arc<Self>, py: Python<'_>, change: impl FnOnce(&mut State, Instant)) -> PyResult<()> {
        let now = Instant::now();
        let mut due = Vec::new();
        {
            let mut state = self.lock();
            change(&mut state, now);
            loop {
                self.write(&mut state, now);
                if !self.tell(&mut state, &mut due) {
                    break;
                }
            }
            self.end_if_done(&mut state, now);
        }
        let told = self.deliver(py, due);
        self.watch(py, now).and(told)
    }

    /// Tells what the brain has said, without writing: that comes at the end of the batch.
    fn tell_first(
        self: &Arc<Self>,
        py: Python<'_>,
        change: impl FnOnce(&mut State, Instant, &mut Vec<Due>),
    ) -> PyResult<()> {
        let now = Instant::now();
        let mut due = Vec::new();
        {
            let mut state = self.lock();
            change(&mut state, now, &mut due);
            self.tell(&mut state, &mut due);
        }
        let told = self.deliver(py, due);
        self.flush(py).and(told)
    }

    /// Ends the connection with every call on it.
    pub(crate) fn close(self: &Arc<Self>, py: Python<'_>, status: &Status) -> PyResult<()> {
        if !self.is_ours() {
            return Ok(());
        }
        self.settle(py, |state, now| state.engine.close(ErrorCode::NO_ERROR, "", status, now))
    }

    /// Takes no new calls; those in flight go on.
    pub(crate) fn shut_down(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        self.settle(py, |state, now| state.engine.shutdown(now))
    }

    /// The loop is gone, or belongs to a parent process: every call on it ends, and nobody is told.
    pub(crate) fn abandon(&self, status: &Status) {
        let calls = {
            let mut state = self.lock();
            state.over = true;
            std::mem::take(&mut state.calls)
        };
        for stream in calls.into_iter().flatten() {
            if let Stream::Call(call, _) = stream {
                call.abandon(status);
            }
        }
    }

    /// Every call on it.
    pub(crate) fn calls(&self) -> Vec<Arc<Call>> {
        let state = self.lock();
        let calls = state.calls.iter().flatten().filter_map(|stream| match stream {
            Stream::Call(call, _) => Some(Arc::clone(call)),
            Stream::Standing(..) => None,
        });
        calls.collect()
    }

    // Bytes.

    /// Writes what the brain has, as far as the socket takes it.
    fn write(&self, state: &mut State, now: Instant) {
        while !state.blocked && !state.connecting && !state.over {
            match state.transport.write(&self.socket, &mut state.engine, now) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => state.blocked = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // What the peer said before it went may be why.
                    for _ in 0..READS_IN_A_ROW {
                        let read = state.engine.error().is_none().then(|| {
                            let State { transport, engine, .. } = state;
                            transport.read(&self.socket, engine, now)
                        });
                        if !matches!(read, Some(Ok(taken)) if !taken.end) {
                            break;
                        }
                    }
                    return state.engine.handle_transport_closed(&os_text(&error), now);
                }
            }
        }
    }

    /// Reads what is there. The loop tells again when more is left.
    fn read(self: &Arc<Self>, state: &mut State, now: Instant, due: &mut Vec<Due>) {
        if let Some(farewell) = &mut state.parting {
            let mut scratch = [0; 16 << 10];
            for _ in 0..READS_IN_A_ROW {
                match self.socket.read(&mut scratch) {
                    Ok(len) if farewell.discard(len, now) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    _ => {
                        state.over = true;
                        break;
                    }
                }
            }
            return;
        }
        for _ in 0..READS_IN_A_ROW {
            // What one read has brought is told before the next: of small messages many reads bring so many that their
            // queue would be by far the largest thing that a connection ever has.
            self.tell(state, due);
            if state.over || state.engine.error().is_some() {
                return;
            }
            match state.transport.read(&self.socket, &mut state.engine, now) {
                Ok(taken) if taken.full => {}
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return state.engine.handle_transport_closed(&os_text(&error), now),
            }
        }
    }

    // Events.

    /// Hands what the brain has said to the calls it belongs to, or notes it; whether there was anything.
    fn tell(self: &Arc<Self>, state: &mut State, due: &mut Vec<Due>) -> bool {
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
    fn deliver(self: &Arc<Self>, py: Python<'_>, due: Vec<Due>) -> PyResult<()> {
        if due.is_empty() {
            return Ok(());
        }
        let resume = self.event_loop.resume();
        match &self.owner {
            Owner::Client(attempt) => attempt.handle(py, self, due, resume),
            Owner::Server(server) => Server::handle(server, py, self, due, resume),
        }
    }

    // The loop.

    fn handle_readable(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        let handshaking = self.handshaking.load(Ordering::Relaxed);
        if !self.is_ours() || (handshaking && !self.event_loop.may_go_on(py)) {
            return Ok(());
        }
        self.tell_first(py, |state, now, due| {
            if !state.connecting {
                self.read(state, now, due);
            }
            if handshaking {
                self.handshaking.store(state.transport.in_handshake(), Ordering::Relaxed);
            }
        })
    }

    fn handle_writable(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        if !self.is_ours() {
            return Ok(());
        }
        self.settle(py, |state, now| {
            state.blocked = false;
            if state.connecting {
                state.connecting = false;
                match self.socket.take_error() {
                    Ok(None) => state.connected = true,
                    Ok(Some(error)) | Err(error) => state.engine.handle_transport_closed(&os_text(&error), now),
                }
            }
        })
    }

    fn handle_timer(self: &Arc<Self>, py: Python<'_>) -> PyResult<()> {
        if !self.is_ours() {
            return Ok(());
        }
        let spent = self.lock().timer.take();
        drop(spent);
        let settled = self.settle(py, |state, now| {
            if state.engine.poll_timeout().is_some_and(|due| due <= now) {
                state.engine.handle_timeout(now);
            }
            if state.cut_at.is_some_and(|cut_at| cut_at <= now) {
                state.over = true;
            }
        });
        self.event_loop.look_after_memory(py)?;
        settled
    }

    /// Shuts the transport once the brain is done with it and its last words are written.
    fn end_if_done(&self, state: &mut State, now: Instant) {
        if state.engine.error().is_none() || state.over {
            return;
        }
        if state.blocked {
            // The last words wait for room, but not for ever.
            state.cut_at.get_or_insert(now + LAST_WORDS);
        } else if state.parting.is_some() {
            // The peer has not read them yet.
        } else if let Some(farewell) = state.engine.farewell(now)
            && self.is_ours()
        {
            self.socket.end_writing();
            (state.parting, state.cut_at) = (Some(farewell), Some(farewell.until()));
        } else {
            state.over = true;
        }
    }

    /// Asks the loop for what the connection waits for now.
    fn watch(self: &Arc<Self>, py: Python<'_>, now: Instant) -> PyResult<()> {
        if !self.event_loop.is_here() {
            // Its own thread will, at the end of the turn.
            let ask = {
                let state = self.lock();
                state.reader != state.reads() || state.writer != state.writes() || state.timer_is_late().is_some()
            };
            if ask {
                self.event_loop.defer(py, self);
            }
            return Ok(());
        }
        let (reader, writer, timer, shut) = {
            let mut state = self.lock();
            let (reads, writes) = (state.reads(), state.writes());
            let reader = (state.reader != reads).then_some(reads);
            let writer = (state.writer != writes).then_some(writes);
            (state.reader, state.writer) = (reads, writes);
            let timer = state.timer_is_late();
            let spent = if timer.is_some() || state.over { state.timer.take() } else { None };
            let over = state.over;
            let shut = over && !std::mem::replace(&mut state.shut, over);
            (reader, writer, (timer, spent), shut)
        };
        if (reader.is_some() || writer.is_some())
            && let Err(error) = self.ask(py, reader, writer)
        {
            // Nobody can watch it: better lost now than silent for ever.
            let why = error.value(py).to_string();
            return self.settle(py, |state, now| {
                state.engine.handle_transport_closed(&why, now);
                state.over = true;
            });
        }
        if let Some(handle) = timer.1.and_then(|timer| timer.handle) {
            handle.bind(py).call_python_method(names(py).cancel.bind(py), &[])?;
        }
        if let Some(at) = timer.0 {
            let watcher = Bound::new(py, Watcher(Arc::clone(self)))?.getattr(names(py).on_timer.bind(py))?;
            let handle = self.event_loop.call_at(py, at, now, &watcher);
            self.lock().timer = Some(Timer { at, handle });
        }
        if shut {
            // Only now: the loop must have let go of it.
            self.socket.shut_down();
        }
        Ok(())
    }

    fn ask(self: &Arc<Self>, py: Python<'_>, reader: Option<bool>, writer: Option<bool>) -> PyResult<()> {
        let fd = self.socket.raw();
        let watcher = Bound::new(py, Watcher(Arc::clone(self)))?;
        match reader {
            Some(true) => self.event_loop.add_reader(fd, &watcher.getattr(names(py).on_readable.bind(py))?)?,
            Some(false) => self.event_loop.remove_reader(py, fd),
            None => {}
        }
        match writer {
            Some(true) => self.event_loop.add_writer(fd, &watcher.getattr(names(py).on_writable.bind(py))?)?,
            Some(false) => self.event_loop.remove_writer(py, fd),
            None => {}
        }
        Ok(())
    }
}

impl State {
    /// Calls of the application.
    fn calls(&self) -> usize {
        self.engine.calls().saturating_sub(self.standing)
    }

    fn place(&mut self, id: CallId, stream: Stream) {
        let index = id.index();
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, || None);
        }
        self.calls[index] = Some(stream);
    }

    fn update(&self, id: CallId, due: &mut Vec<Due>, change: impl FnOnce(&mut CallState, AttemptId, &mut Vec<Due>)) {
        if let Some(Some(Stream::Call(call, attempt))) = self.calls.get(id.index()) {
            call.update(due, |call, due| change(call, *attempt, due));
        }
    }

    fn reads(&self) -> bool {
        !self.over && !self.connecting && (self.engine.error().is_none() || self.parting.is_some())
    }

    fn writes(&self) -> bool {
        !self.over && (self.blocked || self.connecting)
    }

    /// When the loop is to look at the clock, if that is before it would anyway. A timer that goes off too early does no
    /// harm, so only a later one is replaced.
    fn timer_is_late(&self) -> Option<Instant> {
        if self.over {
            return None;
        }
        let due = [self.engine.poll_timeout(), self.cut_at].into_iter().flatten().min()?;
        self.timer.as_ref().is_none_or(|timer| due < timer.at).then_some(due)
    }
}
