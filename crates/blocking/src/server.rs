//! A server: its listeners, its connections, and the calls in flight on them.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use farcall_core::{Metadata, Status};
use farcall_engine::{Cause, Config, Encoding, ErrorCode};
use farcall_serving::{Newcomer, Serving, stopped};
use farcall_system::{
    Callback, Host,
    bind::{ListenError, cannot_accept},
    budget,
    channelz::Entity,
    credentials::PortSecurity,
    lock,
    options::{ServerOptions, SocketOptions},
    process,
    reports::{Remark, Reports, not_secured},
    socket::{Socket, os_text},
    transport::Transport,
};
use mio::Poll;

use crate::{
    call::{Call, Waited},
    connection::{Connection, Notice, Owner},
    handover::{Handover, NewCall},
    listener::{Listener, bind},
    notifier::Notifier,
    reactor::Reactor,
};

/// Threads that ask a user's function for certificates.
const MAX_ASKING: usize = 256;

/// What serves new calls: it gets all that one reading of a connection brought.
pub type OnCalls = Box<dyn Fn(Vec<NewCall>) + Send + Sync>;

/// A server.
pub struct Server {
    generation: u32,
    entity: Arc<Entity>,
    engine: Config,
    reuse_port: bool,
    encoding: Encoding,
    socket: SocketOptions,
    reactor: Arc<Reactor>,
    reports: Reports,
    /// Where lines are logged.
    notifier: Arc<Notifier>,
    on_calls: ArcSwapOption<OnCalls>,
    /// Where threads wait that get calls before `on_calls` does.
    handover: Arc<Handover>,
    /// Connections whose security is being asked for.
    asking: AtomicUsize,
    me: Weak<Server>,
    state: Mutex<State>,
    idle: Condvar,
}

struct State {
    /// The reactor's poller, until it starts.
    poll: Option<Poll>,
    listening: Vec<Arc<Entity>>,
    serving: Serving<Arc<Listener>, usize, Arc<Connection>>,
}

impl Server {
    /// A server that does not listen yet. Lines for its log and users' functions run on threads of `host`.
    ///
    /// # Errors
    /// The system has no poller left for it.
    pub fn new(options: &ServerOptions, handover: &Arc<Handover>, host: Host) -> io::Result<Arc<Server>> {
        let (reactor, poll) = Reactor::new()?;
        Ok(Arc::new_cyclic(|me| Server {
            generation: process::generation(),
            entity: Entity::server(options.channelz),
            engine: options.engine.clone(),
            reuse_port: options.reuse_port,
            encoding: options.encoding,
            socket: options.socket.clone(),
            reactor,
            reports: Reports::to("grpc._server"),
            notifier: Notifier::new(host),
            on_calls: ArcSwapOption::empty(),
            handover: Arc::clone(handover),
            asking: AtomicUsize::new(0),
            me: Weak::clone(me),
            state: Mutex::new(State {
                poll: Some(poll),
                listening: Vec::new(),
                serving: Serving::new(options.max_connections),
            }),
            idle: Condvar::new(),
        }))
    }

    /// Whether it was made in this process.
    pub fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    /// Binds an address now; the port. May look up a name.
    pub fn add_port(&self, address: &str, security: Option<&PortSecurity>) -> Result<u16, ListenError> {
        let (listeners, port) = bind(address, self.reuse_port, &self.me, security)?;
        let mut state = lock(&self.state);
        let accepting = state.serving.listen(listeners.iter().cloned());
        if accepting.map_err(|closing| ListenError::Invalid(closing.to_string()))? {
            for listener in &listeners {
                self.reactor.listen(Arc::clone(listener))?;
            }
        }
        state.listening.extend(listeners.iter().map(|listener| Entity::listener(&self.entity, listener.address())));
        Ok(port)
    }

    /// Serves; false when it has been started before.
    pub fn start(&self, on_calls: OnCalls, host: Host) -> io::Result<bool> {
        let mut state = lock(&self.state);
        let Some(listeners) = state.serving.start() else { return Ok(false) };
        let Some(poll) = state.poll.take() else { return Ok(false) };
        self.on_calls.store(Some(Arc::new(on_calls)));
        for listener in listeners {
            self.reactor.listen(listener)?;
        }
        self.reactor.start(poll, "farcall-server", host)?;
        Ok(true)
    }

    /// Takes an accepted connection; called on the reactor's thread.
    pub(crate) fn serve(&self, socket: Socket, security: Option<&PortSecurity>) {
        let Some(me) = self.me.upgrade() else { return };
        let admitted = lock(&self.state).serving.admit();
        if let Err(full) = admitted {
            return self.say(Remark::new(Cause::Connections, full.to_string()), &socket.peer());
        }
        self.socket.apply(socket.handle());
        match security {
            None => self.serve_over(Transport::Plain, socket),
            Some(security) if security.waits() => self.serve_patiently(security.clone(), socket, me),
            // One that cannot be secured is closed.
            Some(security) => match security.transport(&socket) {
                Some(transport) => self.serve_over(transport, socket),
                None => self.say(not_secured(), &socket.peer()),
            },
        }
    }

    /// The system accepts nothing: says so, and how long to wait.
    pub(crate) fn pause(&self, error: &io::Error) -> Duration {
        let pause = lock(&self.state).serving.handle_refused();
        self.say(Remark::new(Cause::Accept, cannot_accept(error, pause)), "");
        pause
    }

    /// Logs a line, if one is due. No lock is held.
    pub(crate) fn say(&self, remark: Remark, peer: &str) {
        self.notifier.run(self.reports.line(remark, peer).into_iter().collect());
    }

    /// Asks on a short-lived thread how a connection is secured: the answer is a user's function's. Past
    /// [`MAX_ASKING`] of them a connection is closed.
    fn serve_patiently(&self, security: PortSecurity, socket: Socket, me: Arc<Server>) {
        if self.asking.fetch_add(1, Ordering::SeqCst) >= MAX_ASKING {
            self.asking.fetch_sub(1, Ordering::SeqCst);
            let reason = format!("{MAX_ASKING} others wait for certificates already");
            return self.say(Remark::new(Cause::Connections, reason), &socket.peer());
        }
        let asker = Arc::clone(&me);
        let ask = move || {
            let transport = security.transport(&socket);
            asker.asking.fetch_sub(1, Ordering::SeqCst);
            match transport.filter(|_| asker.is_ours()) {
                Some(transport) => asker.serve_over(transport, socket),
                None => asker.say(not_secured(), &socket.peer()),
            }
        };
        if let Err(error) = std::thread::Builder::new().name("farcall-certificates".to_owned()).spawn(ask) {
            me.asking.fetch_sub(1, Ordering::SeqCst);
            me.say(
                Remark::new(Cause::Connections, format!("no thread to ask for certificates: {}", os_text(&error))),
                "",
            );
        }
    }

    fn serve_over(&self, transport: Transport, socket: Socket) {
        let Some(me) = self.me.upgrade() else { return };
        let peer = socket.peer();
        let config = Config { seed: process::random(), ..budget::shared(self.engine.clone()) };
        let connection = Connection::start(socket, transport, peer, config, false, &self.reactor, me);
        let newcomer = {
            let mut state = lock(&self.state);
            if connection.lock().is_over() {
                return;
            }
            state.serving.handle_connected(connection.token, Arc::clone(&connection))
        };
        match newcomer {
            Newcomer::Serve => {}
            Newcomer::ShutDown => connection.step(|engine, now| engine.shutdown(now)),
            Newcomer::Close => close(&connection, &stopped()),
        }
    }

    /// Accepts no more connections and calls; those in flight go on.
    pub fn close_listeners(&self) {
        let ending = lock(&self.state).serving.close();
        for listener in ending.listeners {
            self.reactor.unlisten(&listener);
        }
        for connection in ending.connections {
            connection.step(|engine, now| engine.shutdown(now));
        }
        self.idle.notify_all();
    }

    /// Ends every call with `status` and closes the connections.
    pub fn cancel_all(&self, status: &Status) {
        self.close_listeners();
        let ending = lock(&self.state).serving.cancel();
        for connection in ending.connections {
            for call in connection.calls() {
                // The client gets the status; a call that is answered already needs nothing.
                call.finish(None, status, &Metadata::new());
            }
            close(&connection, status);
        }
    }

    /// Waits until the listeners are closed and no call is in flight.
    pub fn wait_idle(&self, until: Option<Instant>) -> Waited {
        let mut state = lock(&self.state);
        loop {
            if state.serving.is_drained() {
                return Waited::Done;
            }
            state = match until {
                None => self.idle.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Waited::TimedOut;
                    }
                    self.idle.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Ends what is left, then the reactor's thread once it has written what is answered; idempotent.
    pub fn stop(&self) {
        self.entity.close();
        self.cancel_all(&stopped());
        self.reactor.stop();
        self.on_calls.store(None);
        self.handover.close();
    }
}

/// Ends a connection and every call on it.
fn close(connection: &Arc<Connection>, status: &Status) {
    connection.step(|engine, now| engine.close(ErrorCode::NO_ERROR, "", status, now));
}

impl Owner for Server {
    fn entity(&self) -> &Arc<Entity> {
        &self.entity
    }

    fn notice(&self, connection: &Arc<Connection>, notices: Vec<Notice>) {
        self.account(connection, notices).settle(self);
    }

    fn notice_by_leader(&self, connection: &Arc<Connection>, notices: Vec<Notice>) {
        let due = self.account(connection, notices);
        if !due.is_empty()
            && let Some(me) = self.me.upgrade()
        {
            self.reactor.soon(Box::new(move || due.settle(&me)));
        }
    }
}

/// What is to be done about notices outside of the locks, and runs users' code.
struct Due {
    requests: Vec<NewCall>,
    receivable: Vec<Callback>,
    ended: Vec<(Arc<Call>, Vec<Callback>)>,
    remarks: Vec<Remark>,
    peer: Arc<str>,
}

impl Due {
    fn is_empty(&self) -> bool {
        self.requests.is_empty()
            && self.receivable.is_empty()
            && self.remarks.is_empty()
            && self.ended.iter().all(|(_, callbacks)| callbacks.is_empty())
    }

    fn settle(self, server: &Server) {
        if !self.requests.is_empty()
            && let Some(on_calls) = server.on_calls.load_full()
        {
            on_calls(self.requests);
        }
        self.receivable.into_iter().for_each(|callback| callback());
        for (call, callbacks) in self.ended {
            call.run(callbacks);
        }
        for remark in self.remarks {
            server.say(remark, &self.peer);
        }
    }
}

impl Server {
    /// Counts, and hands requests to threads that wait for some.
    fn account(&self, connection: &Arc<Connection>, notices: Vec<Notice>) -> Due {
        let mut requests = Vec::new();
        let mut receivable = Vec::new();
        let mut ended = Vec::new();
        let mut remarks = Vec::new();
        let mut lines = Vec::new();
        // Dropped after the lock.
        let mut lost = None;
        {
            let mut state = lock(&self.state);
            for notice in notices {
                match notice {
                    Notice::Request(call, head) => {
                        state.serving.handle_request();
                        requests.push((call, head));
                    }
                    Notice::Ended(call, callbacks) => {
                        state.serving.handle_ended();
                        ended.push((call, callbacks));
                    }
                    Notice::Lost { .. } => {
                        lost = state.serving.handle_lost(&connection.token);
                    }
                    Notice::Receivable(callback) => receivable.push(callback),
                    Notice::Remark(remark) => remarks.push(remark),
                    Notice::Trace(line) => lines.push(line),
                    Notice::Ready | Notice::Draining | Notice::Again { .. } | Notice::Cancel(_) => {}
                    Notice::StreamMessage(..) | Notice::StreamEnded(..) => {}
                }
            }
            if state.serving.is_drained() {
                self.idle.notify_all();
            }
        }
        drop(lost);
        // They run on a thread of their own.
        self.notifier.run(lines);
        if self.encoding != Encoding::Identity {
            for (call, _) in &requests {
                call.set_encoding(self.encoding);
            }
        }
        self.handover.give(&mut requests);
        Due { requests, receivable, ended, remarks, peer: Arc::clone(&connection.peer) }
    }
}
