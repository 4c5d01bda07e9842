//! A socket, the brain of its connection, and the calls on it, under one lock.

mod events;
mod keeping;
mod notice;
mod standing;

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use farcall_channel::{Connectivity, balancer::Done};
use farcall_engine::{CallId, Config, Connection as Engine, Role};
use farcall_system::{
    channelz::Entity,
    lock, memory, process,
    socket::{Socket, os_text},
    trace,
    transport::Transport,
};

pub(crate) use self::notice::{Notice, Owner};
use self::standing::Standing;
use crate::{
    attempts::At,
    call::{Call, Place},
    leader::{Alarm, Follower},
    reactor::{Reactor, Timer, TimerKey},
};

/// Reads of one connection before others get their turn.
const READS_IN_A_ROW: usize = 16;

/// How long a peer that does not read may keep a connection that has ended.
pub(crate) const LAST_WORDS: Duration = Duration::from_secs(5);

/// Threads that wait besides the leader, from which on the reactor reads for all of them.
const CROWD: usize = 3;

/// A connection of a client or of a server.
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    /// The other end, as gRPC writes it.
    pub(crate) peer: Arc<str>,
    /// Names it within the process.
    pub(crate) token: usize,
    pub(crate) entity: Arc<Entity>,
    role: Role,
    /// Server: the handshake of TLS is not over.
    handshaking: AtomicBool,
    generation: u32,
    reactor: Arc<Reactor>,
    owner: Arc<dyn Owner>,
    state: Mutex<State>,
    alarm: OnceLock<Option<Alarm>>,
    /// The last to be dropped.
    _gone: memory::Gone,
}

/// The part of a connection that changes.
pub(crate) struct State {
    pub(crate) engine: Engine,
    /// What its bytes go through.
    transport: Transport,
    /// By [`CallId::index`].
    calls: Vec<Option<Arc<Call>>>,
    /// Client: streams of the channel's own, which are no calls.
    standing: Vec<Standing>,
    /// Who reads, writes what could not be written at once, and watches the clock.
    pub(crate) keeper: Keeper,
    /// Threads that wait while another leads.
    pub(crate) followers: VecDeque<Arc<Follower>>,
    /// The handshake of the transport is not over.
    pub(crate) connecting: bool,
    /// The handshake of the transport went well.
    connected: bool,
    /// Client: the server has answered a call.
    answered: bool,
    /// The socket took no more bytes; the keeper waits until it does.
    pub(crate) blocked: bool,
    /// The reactor is told when the socket takes bytes again.
    pub(crate) room_watched: bool,
    /// When the keeper will look at the clock.
    pub(crate) armed: Option<Instant>,
    /// The reactor's timer for it.
    pub(crate) timer: Option<TimerKey>,
    /// Ends the wait for a peer that does not read the last words.
    last_words: Option<Timer>,
    /// Server: calls whose only request is too large to come unless somebody waits for it, and the one that is waited for
    /// on behalf of the pool.
    asked: VecDeque<CallId>,
    asking: Option<CallId>,
    /// Events so far.
    told: u64,
    /// How often it was used; tells the reactor whether it rests.
    pub(crate) uses: u64,
    /// The reactor looks after it now and then, until it rests.
    pub(crate) lingering: bool,
    /// The brain is done and the socket shut.
    over: bool,
}

/// Who looks after a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keeper {
    /// Nobody for now.
    Nobody,
    /// A thread that waits for a call.
    Leader,
    /// A thread that waited for the leader to leave, and has been told to take over.
    Promised,
    /// The reactor.
    Reactor,
}

/// What the operating system says about a socket.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Ready {
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer will send no more, or the socket has failed.
    pub(crate) ended: bool,
}

/// What a verb's caller does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// Something else: somebody must look after the connection.
    Go,
    /// It waits for the call, so it will look after the connection itself.
    Wait,
}

/// Names what a reactor watches, within the process.
pub(crate) fn next_token() -> usize {
    static TOKENS: AtomicUsize = AtomicUsize::new(1);
    TOKENS.fetch_add(1, Ordering::Relaxed)
}

impl State {
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Client: whether the server has answered a call, or is at work on one.
    pub(crate) fn is_useful(&self) -> bool {
        self.answered || self.has_calls()
    }

    /// Whether a call of the application is in flight.
    pub(crate) fn has_calls(&self) -> bool {
        self.engine.calls() > self.standing.len()
    }

    /// Whether so many threads wait that handing the lead from one to the next would cost more than the reactor does:
    /// each hand-over wakes a thread that has nothing else to do yet.
    pub(crate) fn is_crowded(&self) -> bool {
        self.followers.len() >= CROWD
    }

    /// Whether somebody must look after it at once. For a stream of the channel's own the reactor does once the connection
    /// rests: as if there were none, threads that make one call after the other read it.
    fn needs_keeper(&self) -> bool {
        !self.over && (self.connecting || self.blocked || self.has_calls())
    }
}

impl Connection {
    /// A connection over `socket`, which may still be connecting. The reactor keeps it from now on.
    pub(crate) fn start(
        socket: Socket,
        transport: Transport,
        peer: String,
        config: Config,
        connecting: bool,
        reactor: &Arc<Reactor>,
        owner: Arc<dyn Owner>,
    ) -> Arc<Connection> {
        let now = Instant::now();
        let entity = Entity::connection(owner.entity(), &peer, socket.local());
        let connection = Arc::new(Connection {
            socket,
            token: next_token(),
            entity,
            peer: peer.into(),
            role: config.role,
            handshaking: AtomicBool::new(config.role == Role::Server && transport.in_handshake()),
            generation: process::generation(),
            reactor: Arc::clone(reactor),
            owner,
            state: Mutex::new(State {
                engine: Engine::new(config, now),
                transport,
                calls: Vec::new(),
                standing: Vec::new(),
                keeper: Keeper::Nobody,
                followers: VecDeque::new(),
                connecting,
                connected: !connecting,
                answered: false,
                blocked: false,
                room_watched: false,
                armed: None,
                timer: None,
                last_words: None,
                asked: VecDeque::new(),
                asking: None,
                told: 0,
                uses: 0,
                lingering: false,
                over: false,
            }),
            alarm: OnceLock::new(),
            _gone: memory::Gone,
        });
        let mut state = connection.lock();
        connection.give_to_reactor(&mut state, now);
        drop(connection.settle_and_tell(state, now));
        connection
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether threads that wait for its calls read it. A server's is read by its reactor, which must see new calls
    /// whether or not anybody waits, but for a call that is [alone](super::leader::wait_alone) on it.
    pub(crate) fn can_be_led(&self) -> bool {
        self.role == Role::Client
    }

    /// Whether it is a client's whose TLS handshake is not over.
    pub(crate) fn in_handshake(&self) -> bool {
        self.handshaking.load(Ordering::Relaxed)
    }

    /// A verb on the brain, and everything that follows from it.
    pub(crate) fn step<R>(self: &Arc<Self>, verb: impl FnOnce(&mut Engine, Instant) -> R) -> R {
        let now = Instant::now();
        let mut state = self.lock();
        let result = verb(&mut state.engine, now);
        let mut notices = Vec::new();
        let told = state.told;
        self.settle(&mut state, now, &mut notices);
        if state.told != told && state.keeper == Keeper::Leader {
            // Its own call may be what has ended.
            self.ring();
        }
        self.rest(state, now, notices);
        result
    }

    /// Puts a client's call on this connection, or an attempt at it; gives back false when the connection takes none.
    pub(crate) fn adopt(self: &Arc<Self>, call: &Arc<Call>, authority: &str, then: Then, done: Done) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let mut notices = Vec::new();
        {
            let mut call_state = call.lock();
            let call_state = &mut *call_state;
            let (outbox, attempt) = match &mut call_state.place {
                Place::Waiting(outbox) => (outbox, None),
                Place::Trying(trial) => match trial.begin(now) {
                    Some(attempt) => (&mut trial.outbox, Some(attempt)),
                    None => return true,
                },
                // It may have ended while it waited for a connection.
                Place::On(..) | Place::Gone => return true,
            };
            let request = farcall_engine::Request {
                path: &outbox.path,
                authority,
                metadata: &outbox.metadata,
                deadline: call.deadline,
            };
            let Ok(id) = state.engine.open_encoded(request, outbox.encoding, now) else {
                attempt.into_iter().for_each(|attempt| call_state.put_back(attempt));
                return false;
            };
            notices.extend(trace::begun(&self.peer, id, &outbox.path).map(Notice::Trace));
            let at = At { connection: Arc::clone(self), id, done };
            if let Some(attempt) = attempt {
                call_state.try_on(attempt.id, at, &mut state.engine);
            } else {
                for message in &outbox.messages {
                    // A refusal means that the call has just ended, which an event will tell.
                    let _ = state.engine.send_message(id, message.clone());
                    self.entity.sent();
                }
                if outbox.half_closed {
                    let _ = state.engine.half_close(id);
                }
                call_state.place_on(at, !state.engine.writable(id), now);
            }
            state.place(id, Arc::clone(call));
        }
        call.nudge();
        state.uses += 1;
        self.settle(&mut state, now, &mut notices);
        if then == Then::Go || state.keeper != Keeper::Nobody {
            self.rest(state, now, notices);
        } else {
            drop(state);
            self.tell_owner(notices);
        }
        true
    }

    fn tell_owner(self: &Arc<Self>, notices: Vec<Notice>) {
        if !notices.is_empty() {
            self.owner.notice(self, notices);
        }
    }

    /// Drains the brain, then tells the owner what it said, without the lock; for whoever needs it again.
    pub(crate) fn settle_and_tell<'a>(
        self: &'a Arc<Self>,
        state: MutexGuard<'a, State>,
        now: Instant,
    ) -> MutexGuard<'a, State> {
        self.settle_and_tell_after(state, now, Vec::new())
    }

    /// As [`settle_and_tell`](Connection::settle_and_tell), beginning with these.
    pub(crate) fn settle_and_tell_after<'a>(
        self: &'a Arc<Self>,
        mut state: MutexGuard<'a, State>,
        now: Instant,
        mut notices: Vec<Notice>,
    ) -> MutexGuard<'a, State> {
        loop {
            self.settle(&mut state, now, &mut notices);
            if notices.is_empty() {
                return state;
            }
            let leads = state.keeper == Keeper::Leader;
            drop(state);
            let notices = std::mem::take(&mut notices);
            if leads {
                self.owner.notice_by_leader(self, notices)
            } else {
                self.owner.notice(self, notices)
            }
            state = self.lock();
        }
    }

    /// The engine's law: after any mutation, drain the polls until nothing is left.
    fn settle(self: &Arc<Self>, state: &mut State, now: Instant, notices: &mut Vec<Notice>) {
        loop {
            self.flush(state, now);
            if !self.tell_events(state, now, notices) && (state.asked.is_empty() || !state.ask_next()) {
                break;
            }
        }
        if state.engine.error().is_some() && !state.over {
            if state.blocked {
                // The last words wait for room, but not for ever.
                self.close_later(state, now);
            } else if let Some(farewell) = state.engine.farewell(now)
                && self.generation == process::generation()
                && self.reactor.part(&self.socket, farewell)
            {
                self.end(state);
            } else {
                self.shut_down(state);
            }
        }
    }

    /// Server: a call's only request is too large to come unless somebody waits for it.
    pub(crate) fn ask_for(self: &Arc<Self>, id: CallId) {
        self.lock().ask(id);
        self.step(|_, _| ());
    }

    fn close_later(self: &Arc<Self>, state: &mut State, now: Instant) {
        if state.last_words.is_some() {
            return;
        }
        let weak = Arc::downgrade(self);
        let close = move || {
            if let Some(connection) = weak.upgrade() {
                connection.shut_down(&mut connection.lock());
            }
        };
        state.last_words = Some(self.reactor.at(now + LAST_WORDS, Box::new(close)));
    }

    /// Closes the transport; the brain is done with it.
    fn shut_down(&self, state: &mut State) {
        if !state.over && self.generation == process::generation() {
            self.socket.shut_down();
        }
        self.end(state);
    }

    /// Nobody looks after it any more.
    fn end(&self, state: &mut State) {
        if state.over {
            return;
        }
        state.over = true;
        self.entity.becomes(Connectivity::Shutdown);
        state.blocked = false;
        self.reactor.unwatch(self, state);
        self.reactor.disarm(state);
        state.last_words = None;
        self.ring();
    }

    /// Writes what the brain has, as far as the socket takes it.
    fn flush(&self, state: &mut State, now: Instant) {
        while !state.blocked && !state.connecting && !state.over {
            match state.transport.write(&self.socket, &mut state.engine, now) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    state.blocked = true;
                    match state.keeper {
                        // It polls for reading only.
                        Keeper::Leader => self.ring(),
                        Keeper::Reactor => self.watch_room(state, now),
                        Keeper::Nobody | Keeper::Promised => {}
                    }
                }
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
                    state.engine.handle_transport_closed(&os_text(&error), now);
                    return;
                }
            }
        }
    }

    /// Reads what is there; whether more may be. A read that leaves room has emptied the socket, unless it is known to
    /// have ended: then the end of file is still to be read, and nothing will announce it again.
    pub(crate) fn read(
        self: &Arc<Self>,
        state: &mut State,
        ended: bool,
        now: Instant,
        notices: &mut Vec<Notice>,
    ) -> bool {
        for _ in 0..READS_IN_A_ROW {
            // What one read has brought is told before the next: of small messages many reads bring so many that their
            // queue would be by far the largest thing that a connection ever has.
            self.tell_events(state, now, notices);
            if state.over || state.engine.error().is_some() {
                return false;
            }
            match state.transport.read(&self.socket, &mut state.engine, now) {
                Ok(taken) if taken.end || (!taken.full && !ended) => return false,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    state.engine.handle_transport_closed(&os_text(&error), now);
                    return false;
                }
            }
        }
        true
    }

    /// Every call on it.
    pub(crate) fn calls(&self) -> Vec<Arc<Call>> {
        self.lock().calls.iter().flatten().cloned().collect()
    }
}
