//! A socket, the brain of its connection, and the calls on it, under one lock.

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

use bytes::Bytes;
use farcall_channel::{ConnectError, Connectivity, StreamId, balancer::Done};
use farcall_core::Status;
use farcall_engine::{CallId, Config, Connection as Engine, Event, RequestHead, Role};
use farcall_system::{
    Callback,
    channelz::Entity,
    lock, memory, process,
    reports::Remark,
    socket::{Socket, os_text},
    trace,
    transport::Transport,
};

use self::standing::Standing;
use crate::{
    attempts::{At, Fate},
    call::{Call, CallState, Place},
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

/// What the owner of a connection is told, without any lock held.
pub(crate) enum Notice {
    /// The connection works.
    Ready,
    /// It takes no new calls.
    Draining,
    /// It is over.
    Lost {
        why: String,
        /// Whether the transport was connected.
        connected: bool,
        /// What TLS has to say about that.
        refused: Option<ConnectError>,
    },
    /// A line for who looks for a fault.
    Trace(Callback),
    /// It did something that its operator may hear of.
    Remark(Remark),
    /// Server: a call begins.
    Request(Arc<Call>, Box<RequestHead>),
    /// Client: an attempt at a call ended, and the call goes on; elsewhere if this connection takes no calls.
    Again {
        call: Arc<Call>,
        elsewhere: bool,
    },
    /// Client: nothing is to come of this attempt.
    Cancel(At),
    /// Client: a message on a stream of the channel's own, or its end.
    StreamMessage(StreamId, Bytes),
    StreamEnded(StreamId, Status),
    /// Server: what waited for a call's request.
    Receivable(Callback),
    /// A call has ended, and these callbacks are due.
    Ended(Arc<Call>, Vec<Callback>),
}

/// A channel or a server.
pub(crate) trait Owner: Send + Sync {
    /// Something has happened on `connection`.
    fn notice(&self, connection: &Arc<Connection>, notices: Vec<Notice>);

    /// The same, told by a thread that reads the connection while it waits for its own call. It is in the midst of a
    /// user's code: on a server no other call's code may run on it.
    fn notice_by_leader(&self, connection: &Arc<Connection>, notices: Vec<Notice>) {
        self.notice(connection, notices);
    }

    /// What channelz knows it as.
    fn entity(&self) -> &Arc<Entity>;
}

/// Names what a reactor watches, within the process.
pub(crate) fn next_token() -> usize {
    static TOKENS: AtomicUsize = AtomicUsize::new(1);
    TOKENS.fetch_add(1, Ordering::Relaxed)
}

impl State {
    /// Server: a call that is given to the pool once its request is here lacks that, which is too large to come unless
    /// somebody waits for it.
    fn ask(&mut self, id: CallId) {
        self.asked.push_back(id);
        // Those that have ended are skipped later, and forgotten when they are the most.
        if self.asked.len() > 2 * self.calls.len() + 16 {
            let mut asked = std::mem::take(&mut self.asked);
            asked.retain(|id| self.lacks_request(*id));
            self.asked = asked;
        }
    }

    fn lacks_request(&self, id: CallId) -> bool {
        let call = self.calls.get(id.index()).and_then(Option::as_ref);
        call.is_some_and(|call| call.lock().lacks_request(id))
    }

    /// Server: waits for the next of these requests, once a thread has taken the one before: as many come as the pool has use
    /// for, whatever paused calls have taken up, and no more wait for a thread. Says whether it did.
    fn ask_next(&mut self) -> bool {
        let asking = self.asking.and_then(|id| Some((id, self.calls.get(id.index())?.as_ref()?)));
        if asking.is_some_and(|(id, call)| call.lock().is_before_handler(id)) {
            return false;
        }
        self.asking = None;
        while let Some(id) = self.asked.pop_front() {
            if self.lacks_request(id) {
                self.asking = Some(id);
                self.engine.want(id);
                return true;
            }
        }
        false
    }
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

    /// Hands on what the brain has to tell; whether there was anything.
    fn tell_events(self: &Arc<Self>, state: &mut State, now: Instant, notices: &mut Vec<Notice>) -> bool {
        let before = state.told;
        while let Some(event) = state.engine.poll_event() {
            state.told += 1;
            self.tell(state, event, now, notices);
        }
        state.told != before
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

    /// Hands one event to the call it belongs to, or notes it for the owner.
    fn tell(self: &Arc<Self>, state: &mut State, event: Event, now: Instant, notices: &mut Vec<Notice>) {
        notices.extend(trace::event(&self.peer, &state.engine, &event).map(Notice::Trace));
        let event = if state.standing.is_empty() {
            event
        } else {
            let Some(event) = state.tell_stream(event, notices) else { return };
            event
        };
        match event {
            Event::Ready => {
                self.entity.becomes(Connectivity::Ready);
                notices.push(Notice::Ready);
            }
            Event::Draining => notices.push(Notice::Draining),
            Event::Struck { cause, what, times } => notices.push(Notice::Remark(Remark::of_bound(cause, what, times))),
            Event::Disconnected(error) => {
                notices.extend(Remark::of_end(&error, &state.transport).map(Notice::Remark));
                let refused = state.transport.failure();
                notices.push(Notice::Lost { why: error.to_string(), connected: state.connected, refused });
            }
            Event::Request { call: id, head } => {
                let call = Call::of_server(self, id, head.deadline, state.transport.auth());
                state.place(id, Arc::clone(&call));
                notices.push(Notice::Request(call, head));
            }
            Event::Headers { call: id, metadata } => {
                state.answered = true;
                if let Some(Some(call)) = state.calls.get(id.index()) {
                    let losers = call.update(|call| call.headers_arrived(self, id, metadata));
                    notices.extend(losers.into_iter().map(Notice::Cancel));
                }
            }
            Event::Message { call: id, message } => {
                let Some(Some(call)) = state.calls.get(id.index()) else { return };
                if call.hedges && !call.lock().takes(self, id) {
                    return;
                }
                if let Some(status) = call.refuse_response(&message) {
                    // The server may have ended it already.
                    call.lock().refused = Some(status.clone());
                    state.engine.cancel(id, status);
                    return;
                }
                self.entity.received();
                memory::arrives(message.len());
                notices.extend(call.update(|call| call.message_arrived(message)).map(Notice::Receivable));
            }
            Event::HalfClosed { call: id } => {
                if let Some(Some(call)) = state.calls.get(id.index()) {
                    notices.extend(call.update(CallState::half_close_arrived).map(Notice::Receivable));
                }
            }
            Event::LargeMessage { call: id } => {
                let Some(Some(call)) = state.calls.get(id.index()) else { return };
                let mut call = call.lock();
                if matches!(call.place, Place::Trying(_)) && !call.takes(self, id) {
                    return;
                }
                if call.is_large_awaited() {
                    drop(call);
                    state.engine.want(id);
                } else if call.awaits_request() {
                    drop(call);
                    state.ask(id);
                }
            }
            Event::Writable { call: id } => {
                let State { calls, engine, .. } = state;
                if let Some(Some(call)) = calls.get(id.index()) {
                    call.update(|call| call.room_again(engine, self, id));
                }
            }
            Event::Closed { call: id, mut closed } => {
                if let Some(call) = state.calls.get_mut(id.index()).and_then(Option::take) {
                    state.answered |= closed.completed;
                    let (fate, others) = call.update(|call| call.attempt_ended(self, id, &closed, now));
                    notices.extend(others.into_iter().map(Notice::Cancel));
                    match fate {
                        Fate::Over => {}
                        Fate::Again { elsewhere } => return notices.push(Notice::Again { call, elsewhere }),
                        Fate::Lost => return,
                    }
                    if let Some(status) = call.lock().refused.take() {
                        closed.status = status;
                        closed.completed = false;
                    }
                    let callbacks = call.lock().end(closed);
                    call.nudge();
                    notices.push(Notice::Ended(call, callbacks));
                }
            }
            _ => {}
        }
    }

    // Who looks after it.

    /// Makes the calling thread the one that looks after it.
    pub(crate) fn take_over(self: &Arc<Self>, state: &mut State) {
        self.reactor.unwatch(self, state);
        state.keeper = Keeper::Leader;
        state.uses += 1;
    }

    /// The leader leaves: a thread that waits takes over, else the reactor.
    pub(crate) fn leave(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.keeper = Keeper::Nobody;
        if state.over {
            return;
        }
        let now = Instant::now();
        if state.is_crowded() {
            self.give_to_reactor(&mut state, now);
        } else if let Some(follower) = state.followers.pop_front() {
            state.keeper = Keeper::Promised;
            follower.promote();
        }
        self.rest(state, now, Vec::new());
    }

    /// The end of every step: somebody looks after the connection from here on, and the owner is told what there is to
    /// tell, without the lock. (It is not taken again: another thread may wait for it already.)
    fn rest(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now: Instant, mut notices: Vec<Notice>) {
        self.find_keeper(&mut state, now);
        if state.engine.error().is_some() && !state.over {
            // Nobody could.
            self.settle(&mut state, now, &mut notices);
        }
        drop(state);
        self.tell_owner(notices);
    }

    fn find_keeper(self: &Arc<Self>, state: &mut State, now: Instant) {
        match state.keeper {
            Keeper::Nobody if state.needs_keeper() || self.role == Role::Server => self.give_to_reactor(state, now),
            Keeper::Nobody => self.reactor.linger(self, state),
            // It will look at the clock before it sleeps.
            Keeper::Promised => {}
            Keeper::Leader | Keeper::Reactor => {
                let due = state.engine.poll_timeout();
                if due.is_some_and(|due| state.armed.is_none_or(|armed| due < armed)) {
                    state.armed = due;
                    if state.keeper == Keeper::Leader { self.ring() } else { self.reactor.arm(self, state) }
                }
            }
        }
    }

    pub(crate) fn give_to_reactor(self: &Arc<Self>, state: &mut State, now: Instant) {
        if state.over {
            return;
        }
        state.armed = state.engine.poll_timeout();
        if let Err(error) = self.reactor.watch(self, state) {
            // Nobody can watch it: better lost now than silent for ever.
            state.engine.handle_transport_closed(&os_text(&error), now);
        }
    }

    fn watch_room(&self, state: &mut State, now: Instant) {
        if let Err(error) = self.reactor.watch_room(self, state) {
            state.engine.handle_transport_closed(&os_text(&error), now);
        }
    }

    /// What wakes the leader; `None` when there is no descriptor for it.
    pub(crate) fn alarm(&self) -> Option<&Alarm> {
        self.alarm.get_or_init(|| Alarm::new().ok()).as_ref()
    }

    fn ring(&self) {
        if let Some(Some(alarm)) = self.alarm.get() {
            alarm.ring();
        }
    }

    // For the reactor.

    /// The socket is ready; whether to come back because more may be there to read.
    pub(crate) fn handle_ready(self: &Arc<Self>, ready: Ready) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        if state.keeper != Keeper::Reactor {
            return false;
        }
        if ready.writable {
            state.blocked = false;
            if state.connecting && !self.finish_connecting(&mut state, now) {
                drop(self.settle_and_tell(state, now));
                return false;
            }
        }
        let mut notices = Vec::new();
        let more = ready.readable && !state.connecting && self.read(&mut state, ready.ended, now, &mut notices);
        if self.in_handshake() {
            self.handshaking.store(state.transport.in_handshake(), Ordering::Relaxed);
        }
        self.settle(&mut state, now, &mut notices);
        self.rest(state, now, notices);
        more
    }

    /// The handshake of the transport is over; whether it went well.
    fn finish_connecting(&self, state: &mut State, now: Instant) -> bool {
        state.connecting = false;
        match self.socket.take_error() {
            Ok(None) => {
                state.connected = true;
                true
            }
            Ok(Some(error)) | Err(error) => {
                state.engine.handle_transport_closed(&os_text(&error), now);
                false
            }
        }
    }

    /// The reactor's timer for it went off.
    pub(crate) fn handle_timer(self: &Arc<Self>, now: Instant) {
        let mut state = self.lock();
        state.timer = None;
        if state.keeper != Keeper::Reactor || state.over {
            return;
        }
        state.armed = None;
        let mut notices = Vec::new();
        if state.engine.poll_timeout().is_some_and(|due| due <= now) {
            state.engine.handle_timeout(now);
            self.settle(&mut state, now, &mut notices);
        }
        self.rest(state, now, notices);
        self.look_after_memory();
    }

    /// Asks whether all is quiet, without the lock.
    pub(crate) fn look_after_memory(&self) {
        self.reactor.look_after_memory();
    }

    /// Every call on it.
    pub(crate) fn calls(&self) -> Vec<Arc<Call>> {
        self.lock().calls.iter().flatten().cloned().collect()
    }
}

impl State {
    fn place(&mut self, id: CallId, call: Arc<Call>) {
        let index = id.index();
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, || None);
        }
        self.calls[index] = Some(call);
    }
}
