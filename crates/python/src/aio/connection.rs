//! A socket, the brain of its connection, and the calls on it, watched by a loop.

mod events;
mod watching;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, Weak, atomic::AtomicBool},
    time::{Duration, Instant},
};

use farcall_channel::{StreamId, StreamRequest, balancer::Done, call::AttemptId};
use farcall_core::Status;
use farcall_engine::{CallId, Config, Connection as Engine, ErrorCode, Farewell};
use farcall_system::{
    channelz::Entity,
    lock, memory, process,
    socket::{Socket, os_text},
    transport::Transport,
};
use pyo3::prelude::*;

pub(super) use self::watching::Watcher;
use super::{
    call::{Begun, Call, CallState},
    dial::Attempt,
    due::Due,
    event_loop::{EventLoop, Resume},
    server::Server,
    standing,
};

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
}
