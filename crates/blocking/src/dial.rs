//! What a channel's brain asks of the world: the addresses of names, and connections.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Weak},
    thread,
};

use farcall_channel::{
    Address, ConnectError, Dial, DialId, How, StreamEvent,
    resolver::{Query, QueryId},
};
use farcall_core::{Code, Status};
use farcall_engine::Config;
use farcall_system::{
    budget,
    channelz::Entity,
    credentials::ClientSecurity,
    message::NO_MORE_CALLS,
    names, process, proxy,
    socket::{Socket, connect_error, os_text},
    transport::Transport,
};

use crate::{
    channel::{AT_ONCE, AT_ONCE_FOR_LEADERS, Channel, close},
    connection::{Connection, Notice, Owner},
};

/// What a thread leaves that panics.
const DIED: &str = "the thread that was at it has died";

impl Channel {
    /// Has a name looked up.
    pub(crate) fn look_up(self: &Arc<Self>, id: QueryId, query: Query) {
        let work = move || names::look_up(query);
        let tell = move |channel: &Arc<Channel>, found| {
            channel.step(AT_ONCE, |state, now| state.brain.handle_answer(id, found, now));
        };
        self.aside("farcall-resolver", work, str::to_owned, tell);
    }

    /// Begins to connect.
    pub(crate) fn dial(self: &Arc<Self>, id: DialId, dial: Dial) {
        self.lock().connections.insert(id, None);
        let transport = match &self.security {
            Some(security) => security.transport(&self.server_name, &dial.address),
            None => Ok(Transport::Plain),
        };
        let handshake_waits = self.security.as_ref().is_some_and(ClientSecurity::waits);
        let made = match transport {
            Ok(transport) if handshake_waits || dial.hop.is_some() => {
                return self.dial_patiently(id, dial, transport, handshake_waits);
            }
            Ok(transport) => Socket::connect(&dial.address)
                .map(|socket| (socket, transport))
                .map_err(|error| connect_error(&dial.address, &os_text(&error))),
            Err(error) => Err(error),
        };
        self.dialled(id, &dial, made, true);
    }

    /// Connects on a short-lived thread that waits: for a proxy, and for a handshake that calls Python.
    fn dial_patiently(self: &Arc<Self>, id: DialId, dial: Dial, mut transport: Transport, handshake_waits: bool) {
        let (to, address) = (dial.clone(), dial.address.clone());
        let work = move || {
            let socket = match &to.hop {
                Some(hop) => proxy::connect(&hop.proxy, &to.address, (&hop.host, hop.port), to.timeout)
                    .and_then(|socket| Socket::accepted(socket, true)),
                None => Socket::connect_patiently(&to.address, to.timeout),
            };
            let socket = socket.map_err(|error| connect_error(&to.address, &os_text(&error)))?;
            if handshake_waits {
                transport.shake(&socket, to.timeout)?;
            }
            Ok((socket, transport))
        };
        let failed = move |why: &str| connect_error(&address, why);
        self.aside("farcall-connect", work, failed, move |channel: &Arc<Channel>, made| {
            channel.dialled(id, &dial, made, false);
        });
    }

    /// Does `work` on a short-lived thread, and tells what came of it: exactly once, also when there is no such thread or
    /// it panics.
    fn aside<T, E>(
        self: &Arc<Self>,
        name: &str,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
        failed: impl Fn(&str) -> E + Clone + Send + 'static,
        tell: impl FnOnce(&Arc<Channel>, Result<T, E>) + Clone + Send + 'static,
    ) {
        let (channel, died, told) = (Arc::downgrade(self), failed.clone(), tell.clone());
        let life = move || {
            let result = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(died(DIED)));
            if let Some(channel) = channel.upgrade() {
                told(&channel, result);
            }
        };
        if let Err(error) = thread::Builder::new().name(name.to_owned()).spawn(life) {
            tell(self, Err(failed(&os_text(&error))));
        }
    }

    /// Makes a connection of a socket, which may still be connecting, if there is one.
    fn dialled(
        self: &Arc<Self>,
        id: DialId,
        dial: &Dial,
        made: Result<(Socket, Transport), ConnectError>,
        connecting: bool,
    ) {
        let (socket, transport) = match made {
            Ok(made) => made,
            Err(error) => return self.connect_failed(id, &error, AT_ONCE),
        };
        if !self.lock().connections.contains_key(&id) {
            // It was given up meanwhile.
            return;
        }
        self.socket.apply(socket.handle());
        let attempt = Attempt {
            entity: Arc::clone(&self.entity),
            channel: Arc::downgrade(self),
            id,
            address: dial.address.clone(),
        };
        let keepalive_time = self.engine.keepalive_time.max(dial.keepalive_time);
        let config = Config { seed: process::random(), keepalive_time, ..budget::shared(self.engine.clone()) };
        let peer = dial.address.to_string();
        let connection =
            Connection::start(socket, transport, peer, config, connecting, &self.reactor, Arc::new(attempt));
        // The reactor is quick: it may work already, be lost or have been given up.
        let known = match self.lock().connections.get_mut(&id) {
            Some(made) => {
                *made = Some(Arc::clone(&connection));
                true
            }
            None => false,
        };
        if !known {
            close(&connection, &given_up());
        }
    }

    /// Lets an attempt go.
    pub(crate) fn give_up(&self, id: DialId) {
        let attempt = self.lock().connections.remove(&id).flatten();
        if let Some(connection) = attempt {
            close(&connection, &given_up());
        }
    }

    fn connect_failed(self: &Arc<Self>, id: DialId, error: &ConnectError, most: usize) {
        self.step(most, |state, now| {
            state.connections.remove(&id);
            state.brain.handle_connect_failed(id, error, now);
        });
    }
}

fn given_up() -> Status {
    Status::new(Code::Unavailable, "connection attempt given up")
}

/// Tells the channel of one attempt to connect, and of the connection that came of it.
struct Attempt {
    entity: Arc<Entity>,
    channel: Weak<Channel>,
    id: DialId,
    address: Address,
}

impl Owner for Attempt {
    fn entity(&self) -> &Arc<Entity> {
        &self.entity
    }

    fn notice(&self, connection: &Arc<Connection>, notices: Vec<Notice>) {
        self.tell(connection, notices, AT_ONCE);
    }

    fn notice_by_leader(&self, connection: &Arc<Connection>, notices: Vec<Notice>) {
        self.tell(connection, notices, AT_ONCE_FOR_LEADERS);
    }
}

impl Attempt {
    fn tell(&self, connection: &Arc<Connection>, notices: Vec<Notice>, most: usize) {
        let channel = self.channel.upgrade();
        for notice in notices {
            match (notice, &channel) {
                (Notice::Ended(call, callbacks), _) => call.run(callbacks),
                (Notice::Trace(line), Some(channel)) => channel.notifier.run(vec![line]),
                (Notice::Remark(remark), Some(channel)) => {
                    channel.notifier.run(channel.reports.line(remark, &connection.peer).into_iter().collect());
                }
                (Notice::Ready, Some(channel)) => channel.step(most, |state, now| {
                    state.brain.handle_connected(self.id, Arc::clone(connection), now);
                }),
                (Notice::Draining, Some(channel)) => {
                    channel.lost(self.id, How::Draining, NO_MORE_CALLS, connection, most);
                }
                (Notice::Lost { why, connected, refused }, Some(channel)) => {
                    channel.lost(self.id, How::Broken, &why, connection, most);
                    let error = match refused {
                        Some(refused) => refused,
                        None if connected => ConnectError { code: Code::Unavailable, why },
                        None => connect_error(&self.address, &why),
                    };
                    // Counts only if it never was connected.
                    channel.connect_failed(self.id, &error, most);
                }
                (Notice::Again { call, elsewhere }, Some(channel)) => {
                    if elsewhere {
                        channel.lost(self.id, How::Draining, NO_MORE_CALLS, connection, most);
                    }
                    channel.go_on(&call, most);
                }
                (Notice::Again { call, .. }, None) => {
                    call.fail_waiting(Status::new(Code::Cancelled, "Channel deallocated!"));
                }
                (Notice::Cancel(attempt), _) => attempt.cancel(),
                (Notice::StreamMessage(id, message), Some(channel)) => channel.step(most, |state, now| {
                    state.brain.handle_stream(id, StreamEvent::Message(&message), now);
                }),
                (Notice::StreamEnded(id, status), Some(channel)) => channel.stream_ended(id, &status, most),
                _ => {}
            }
        }
    }
}
