//! A server on one loop: its listeners, its connections, and the calls in flight on them.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock, Weak},
    time::Duration,
};

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{Cause, Config, Encoding};
use farcall_serving::{Newcomer, Serving, stopped};
use farcall_system::{
    bind::{ListenError, bind_sockets, cannot_accept},
    budget,
    channelz::Entity,
    credentials::PortSecurity,
    lock,
    options::{ServerOptions, SocketOptions},
    process,
    reports::{Remark, Reports, not_secured},
    socket::Socket,
    transport::Transport,
};
use pyo3::{exceptions::PyRuntimeError, prelude::*};

use super::{
    connection::{Connection, Owner},
    due::{self, Due},
    event_loop::{EventLoop, Resume},
    listener::Listener,
    serving::AioServerCall,
    waiter::Waiter,
};
use crate::calling::Calling;

/// A server.
pub(crate) struct Server {
    entity: Arc<Entity>,
    generation: u32,
    engine: Config,
    reuse_port: bool,
    encoding: Encoding,
    socket: SocketOptions,
    reports: Reports,
    /// The loop that it was started on.
    event_loop: OnceLock<Arc<EventLoop>>,
    state: Mutex<State>,
    me: Weak<Server>,
}

struct State {
    on_call: Option<Arc<Py<PyAny>>>,
    listening: Vec<Arc<Entity>>,
    serving: Serving<Arc<Py<Listener>>, usize, Arc<Connection>>,
    /// Who waits until no call is in flight.
    watchers: Vec<Py<Waiter>>,
}

impl Server {
    pub(crate) fn new(options: &ServerOptions) -> Arc<Server> {
        Arc::new_cyclic(|me| Server {
            entity: Entity::server(options.channelz),
            generation: process::generation(),
            engine: options.engine.clone(),
            reuse_port: options.reuse_port,
            encoding: options.encoding,
            socket: options.socket.clone(),
            reports: Reports::to("grpc.aio._server"),
            event_loop: OnceLock::new(),
            state: Mutex::new(State {
                on_call: None,
                listening: Vec::new(),
                serving: Serving::new(options.max_connections),
                watchers: Vec::new(),
            }),
            me: Weak::clone(me),
        })
    }

    /// Whether it was made in this process.
    pub(crate) fn is_ours(&self) -> bool {
        self.generation == process::generation()
    }

    pub(crate) fn event_loop(&self) -> PyResult<&Arc<EventLoop>> {
        self.event_loop.get().ok_or_else(|| PyRuntimeError::new_err("the server is not started"))
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.is_ours() && lock(&self.state).serving.is_serving()
    }

    /// Binds an address now; the port. May look up a name.
    pub(crate) fn add_port(
        &self,
        py: Python<'_>,
        address: &str,
        security: Option<&PortSecurity>,
    ) -> PyResult<Result<u16, ListenError>> {
        let (sockets, port) = match py.detach(|| bind_sockets(address, self.reuse_port)) {
            Ok(bound) => bound,
            Err(error) => return Ok(Err(error)),
        };
        let mut listeners = Vec::new();
        let mut listening = Vec::new();
        for bound in sockets {
            listening.push(Entity::listener(&self.entity, bound.address()));
            match Listener::new(bound, &self.me, security.cloned()) {
                Ok(listener) => listeners.push(Arc::new(Py::new(py, listener)?)),
                Err(error) => return Ok(Err(error.into())),
            }
        }
        let accepting = {
            let mut state = lock(&self.state);
            state.listening.extend(listening);
            state.serving.listen(listeners.iter().cloned())
        };
        match accepting {
            Err(closing) => return Ok(Err(ListenError::Invalid(closing.to_string()))),
            Ok(false) => {}
            Ok(true) => {
                for listener in &listeners {
                    Listener::watch(listener.bind(py), self)?;
                }
            }
        }
        Ok(Ok(port))
    }

    /// Serves on `event_loop`; false when it has been started before.
    pub(crate) fn start(&self, py: Python<'_>, event_loop: Arc<EventLoop>, on_call: Py<PyAny>) -> PyResult<bool> {
        if self.event_loop.set(event_loop).is_err() {
            return Ok(false);
        }
        let listeners = {
            let mut state = lock(&self.state);
            state.on_call = Some(Arc::new(on_call));
            state.serving.start()
        };
        let Some(listeners) = listeners else { return Ok(false) };
        for listener in listeners {
            Listener::watch(listener.bind(py), self)?;
        }
        Ok(true)
    }

    /// Takes an accepted connection.
    pub(crate) fn serve(&self, py: Python<'_>, socket: Socket, security: Option<&PortSecurity>) -> PyResult<()> {
        let admitted = lock(&self.state).serving.admit();
        if let Err(full) = admitted {
            self.say(Remark::new(Cause::Connections, full.to_string()), &socket.peer());
            return Ok(());
        }
        self.socket.apply(socket.handle());
        // It may ask a user's function for certificates, here on the loop.
        let transport = match security {
            None => Some(Transport::Plain),
            Some(security) => security.transport(&socket),
        };
        let peer = socket.peer();
        // One that cannot be secured is closed.
        let Some(transport) = transport else {
            self.say(not_secured(), &peer);
            return Ok(());
        };
        let config = Config { seed: process::random(), ..budget::shared(self.engine.clone()) };
        let owner = Owner::Server(Weak::clone(&self.me));
        let entity = Entity::connection(&self.entity, &peer, socket.local());
        let connection = Connection::new(socket, transport, config, false, self.event_loop()?, owner, entity);
        let newcomer = lock(&self.state).serving.handle_connected(key(&connection), Arc::clone(&connection));
        connection.begin(py)?;
        match newcomer {
            Newcomer::Serve => Ok(()),
            Newcomer::ShutDown => connection.shut_down(py),
            Newcomer::Close => connection.close(py, &stopped()),
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
        if let Some(line) = self.reports.line(remark, peer) {
            line();
        }
    }

    /// Accepts no more connections and calls; those in flight go on.
    pub(crate) fn close_listeners(&self, py: Python<'_>) -> PyResult<()> {
        let ending = lock(&self.state).serving.close();
        for listener in &ending.listeners {
            listener.get().close(py, self);
        }
        for connection in ending.connections {
            connection.shut_down(py)?;
        }
        Ok(())
    }

    /// Ends every call with `status` and closes the connections.
    pub(crate) fn cancel_all(&self, py: Python<'_>, status: &Status) -> PyResult<()> {
        self.close_listeners(py)?;
        self.entity.close();
        let ending = lock(&self.state).serving.cancel();
        for connection in ending.connections {
            for call in connection.calls() {
                // The client gets the status; a call that is answered already needs nothing.
                call.finish(py, None, status, &Metadata::new())?;
            }
            connection.close(py, status)?;
        }
        Ok(())
    }

    /// What becomes done when no call is in flight; `None` when none is.
    pub(crate) fn wait_idle(&self, py: Python<'_>) -> PyResult<Option<Py<Waiter>>> {
        let Some(event_loop) = self.event_loop.get() else { return Ok(None) };
        let waiter = Waiter::new(py, event_loop)?;
        let mut state = lock(&self.state);
        if state.serving.is_drained() {
            return Ok(None);
        }
        state.watchers.push(waiter.clone_ref(py));
        Ok(Some(waiter))
    }

    /// Nobody holds it any more, or its loop is gone.
    pub(crate) fn abandon(&self) {
        let status = Status::new(Code::Unavailable, "Server deallocated");
        let (ending, on_call, watchers) = {
            let mut state = lock(&self.state);
            (state.serving.cancel(), state.on_call.take(), std::mem::take(&mut state.watchers))
        };
        for connection in ending.connections {
            connection.abandon(&status);
        }
        drop((ending.listeners, on_call, watchers));
    }

    /// Tells what a connection has said.
    pub(crate) fn handle(
        this: &Weak<Server>,
        py: Python<'_>,
        connection: &Arc<Connection>,
        due: Vec<Due>,
        resume: Resume,
    ) -> PyResult<()> {
        let server = this.upgrade();
        let mut wakes = Vec::with_capacity(due.len());
        let mut requests = Vec::new();
        let mut ended = Vec::new();
        let mut remarks = Vec::new();
        // Dropped after the lock.
        let mut lost = None;
        {
            let mut state = server.as_ref().map(|server| lock(&server.state));
            for due in due {
                match (due, &mut state) {
                    (due @ (Due::Wake(_) | Due::Callback(_) | Due::Cancel(_) | Due::Trace(_)), _) => wakes.push(due),
                    (Due::Request(call, head), Some(state)) => {
                        state.serving.handle_request();
                        requests.push((call, head));
                    }
                    (Due::Ended(call, given_up), Some(state)) => {
                        state.serving.handle_ended();
                        ended.push((call, given_up));
                    }
                    (Due::Remark(remark), _) => remarks.push(remark),
                    (Due::Lost { .. }, Some(state)) => lost = state.serving.handle_lost(&key(connection)),
                    _ => {}
                }
            }
            if let Some(state) = &mut state
                && state.serving.is_drained()
            {
                wakes.extend(std::mem::take(&mut state.watchers).into_iter().map(Due::Wake));
            }
        }
        drop((lost, ended));
        if let Some(server) = &server {
            remarks.into_iter().for_each(|remark| server.say(remark, &connection.peer));
        }
        let on_call = server.as_ref().and_then(|server| lock(&server.state).on_call.clone());
        let mut result = Ok(());
        for (call, head) in requests {
            if let Some(server) = server.as_ref().filter(|server| server.encoding != Encoding::Identity) {
                call.set_encoding(py, server.encoding)?;
            }
            let call = Bound::new(py, AioServerCall::new(call, head));
            let called = match &on_call {
                Some(on_call) => call.and_then(|call| on_call.bind(py).call_python(&[call.as_any()])).map(drop),
                // Dropped, it is answered.
                None => Ok(()),
            };
            result = called.and(result);
        }
        due::wake(py, &connection.event_loop, wakes, if result.is_ok() { resume } else { Resume::Soon }).and(result)
    }
}

/// Names a connection among those that live.
fn key(connection: &Arc<Connection>) -> usize {
    Arc::as_ptr(connection) as usize
}
