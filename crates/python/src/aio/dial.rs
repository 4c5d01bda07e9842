//! What a channel's brain asks of the world: the addresses of names, and connections.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use farcall_channel::{
    Address, ConnectError, Dial, DialId, How, Until,
    resolver::{Answer, Query, QueryId},
};
use farcall_core::{Code, Status};
use farcall_engine::Config;
use farcall_system::{
    budget,
    channelz::Entity,
    credentials::ClientSecurity,
    lock,
    message::NO_MORE_CALLS,
    names, process, proxy,
    socket::{Socket, connect_error, os_text},
    transport::Transport,
};
use pyo3::{
    prelude::*,
    types::{PyInt, PyString},
};

use super::{
    channel::Channel,
    connection::{Connection, Owner},
    due::{self, Due},
    event_loop::Resume,
};
use crate::{calling::Calling, interpreter};

/// What a name's resolution is told to. Let go of without a word, it says that nothing was found.
#[pyclass(frozen, module = "farcall._native", name = "AioResolution")]
pub(crate) struct Resolution {
    channel: Weak<Channel>,
    id: QueryId,
    told: AtomicBool,
}

#[pymethods]
impl Resolution {
    /// Addresses as (IP address, port), without repetition.
    fn found(&self, py: Python<'_>, addresses: Vec<(String, u16)>) -> PyResult<()> {
        let mut found: Vec<Address> = Vec::new();
        for (ip, port) in addresses {
            // A zone, as in `fe80::1%eth0`, is not Rust's to read.
            let Ok(ip) = ip.split('%').next().unwrap_or_default().parse::<IpAddr>() else { continue };
            let address = Address::Ip(SocketAddr::new(ip, port));
            if !found.contains(&address) {
                found.push(address);
            }
        }
        self.tell(py, Ok(Answer::addresses(found)))
    }

    /// Says why there is none.
    fn failed(&self, py: Python<'_>, why: String) -> PyResult<()> {
        self.tell(py, Err(why))
    }
}

impl Resolution {
    fn tell(&self, py: Python<'_>, answer: Result<Answer, String>) -> PyResult<()> {
        if self.told.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let Some(channel) = self.channel.upgrade() else { return Ok(()) };
        channel.step(py, |state, now| state.brain.handle_answer(self.id, answer, now))
    }
}

impl Drop for Resolution {
    fn drop(&mut self) {
        if !self.told.load(Ordering::Relaxed) {
            Python::attach(|py| {
                if let Err(error) = self.tell(py, Err("the lookup was given up".to_owned())) {
                    error.write_unraisable(py, None);
                }
            });
        }
    }
}

/// What came of a thread that connected, on its way to the loop.
#[pyclass(frozen)]
pub(super) struct Connected {
    channel: Weak<Channel>,
    id: DialId,
    dial: Dial,
    result: Mutex<Option<Result<(Socket, Transport), ConnectError>>>,
}

#[pymethods]
impl Connected {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let Some(channel) = self.channel.upgrade() else { return Ok(()) };
        let result = lock(&self.result).take();
        match result {
            Some(Ok(connected)) => channel.adopt_socket(py, self.id, &self.dial, connected, false),
            Some(Err(error)) => channel.connect_failed(py, self.id, &error),
            None => Ok(()),
        }
    }
}

/// What a thread has looked up, on its way to the loop.
#[pyclass(frozen)]
pub(super) struct Answered {
    channel: Weak<Channel>,
    id: QueryId,
    answer: Mutex<Option<Result<Answer, String>>>,
}

#[pymethods]
impl Answered {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let (answer, channel) = (lock(&self.answer).take(), self.channel.upgrade());
        let (Some(answer), Some(channel)) = (answer, channel) else { return Ok(()) };
        channel.step(py, |state, now| state.brain.handle_answer(self.id, answer, now))
    }
}

impl Channel {
    /// Has a name looked up on the loop.
    pub(super) fn look_up(self: &Arc<Self>, py: Python<'_>, id: QueryId, query: Query) -> PyResult<()> {
        let (host, port) = match query {
            Query::Host { host, port } => (host, port),
            Query::Records(_) | Query::Custom(_) => return self.look_up_aside(py, id, query),
        };
        let resolution = Resolution { channel: Weak::clone(&self.me), id, told: AtomicBool::new(false) };
        let resolution = Bound::new(py, resolution)?;
        let (event_loop, host, port) =
            (self.event_loop.object.bind(py), PyString::new(py, &host), PyInt::new(py, port));
        let arguments = [event_loop, host.as_any(), port.as_any(), resolution.as_any()];
        match self.resolve.bind(py).call_python(&arguments) {
            Ok(_) => Ok(()),
            Err(error) => resolution.get().failed(py, error.value(py).to_string()),
        }
    }

    /// Looks up on a short-lived thread that waits what the loop cannot: records of the DNS.
    fn look_up_aside(self: &Arc<Self>, py: Python<'_>, id: QueryId, query: Query) -> PyResult<()> {
        let (channel, event_loop) = (Weak::clone(&self.me), Arc::clone(&self.event_loop));
        let look_up = move || {
            let answer = Mutex::new(Some(names::look_up(query)));
            interpreter::attach(|py| {
                match Bound::new(py, Answered { channel, id, answer }) {
                    Ok(told) => event_loop.call_soon_bare(py, told.as_any()),
                    Err(error) => error.write_unraisable(py, None),
                }
                // What is let go of last is a loop of Python.
                drop(event_loop);
            });
        };
        match py.detach(|| std::thread::Builder::new().name("farcall-resolver".to_owned()).spawn(look_up)) {
            Ok(_) => Ok(()),
            Err(error) => self.step(py, |state, now| state.brain.handle_answer(id, Err(os_text(&error)), now)),
        }
    }

    /// Begins to connect.
    pub(super) fn dial(self: &Arc<Self>, py: Python<'_>, id: DialId, dial: Dial) -> PyResult<()> {
        self.lock().connections.insert(id, None);
        let transport = match &self.security {
            Some(security) => security.transport(&self.server_name, &dial.address),
            None => Ok(Transport::Plain),
        };
        let handshake_waits = self.security.as_ref().is_some_and(ClientSecurity::waits);
        let made = match transport {
            Ok(transport) if handshake_waits || dial.hop.is_some() => {
                return self.dial_patiently(py, id, dial, transport, handshake_waits);
            }
            Ok(transport) => Socket::connect(&dial.address)
                .map(|socket| (socket, transport))
                .map_err(|error| connect_error(&dial.address, &os_text(&error))),
            Err(error) => Err(error),
        };
        match made {
            Ok(made) => self.adopt_socket(py, id, &dial, made, true),
            Err(error) => self.connect_failed(py, id, &error),
        }
    }

    /// Connects on a short-lived thread that waits: for a proxy, whose words are few and rare, and for a handshake that
    /// calls Python, which may take long.
    fn dial_patiently(
        self: &Arc<Self>,
        py: Python<'_>,
        id: DialId,
        dial: Dial,
        mut transport: Transport,
        handshake_waits: bool,
    ) -> PyResult<()> {
        let (channel, event_loop, address) =
            (Weak::clone(&self.me), Arc::clone(&self.event_loop), dial.address.clone());
        let connect = move || {
            let socket = match &dial.hop {
                Some(hop) => proxy::connect(&hop.proxy, &dial.address, (&hop.host, hop.port), dial.timeout)
                    .and_then(|socket| Socket::accepted(socket, true)),
                None => Socket::connect_patiently(&dial.address, dial.timeout),
            };
            let connected = socket.map_err(|error| connect_error(&dial.address, &os_text(&error))).and_then(|socket| {
                if handshake_waits {
                    transport.shake(&socket, dial.timeout)?;
                }
                Ok((socket, transport))
            });
            let result = Mutex::new(Some(connected));
            interpreter::attach(|py| {
                match Bound::new(py, Connected { channel, id, dial, result }) {
                    Ok(told) => event_loop.call_soon_bare(py, told.as_any()),
                    Err(error) => error.write_unraisable(py, None),
                }
                // What is let go of last is a loop of Python.
                drop(event_loop);
            });
        };
        match py.detach(|| std::thread::Builder::new().name("farcall-connect".to_owned()).spawn(connect)) {
            Ok(_) => Ok(()),
            Err(error) => self.connect_failed(py, id, &connect_error(&address, &os_text(&error))),
        }
    }

    /// Makes a connection of a socket, which may still be connecting.
    fn adopt_socket(
        self: &Arc<Self>,
        py: Python<'_>,
        id: DialId,
        dial: &Dial,
        (socket, transport): (Socket, Transport),
        connecting: bool,
    ) -> PyResult<()> {
        if !self.lock().connections.contains_key(&id) {
            // It was given up meanwhile.
            return Ok(());
        }
        self.socket.apply(socket.handle());
        let owner = Owner::Client(Attempt { channel: Weak::clone(&self.me), id, address: dial.address.clone() });
        let keepalive_time = self.engine.keepalive_time.max(dial.keepalive_time);
        let config = Config { seed: process::random(), keepalive_time, ..budget::shared(self.engine.clone()) };
        let entity = Entity::connection(&self.entity, &dial.address.to_string(), socket.local());
        let connection = Connection::new(socket, transport, config, connecting, &self.event_loop, owner, entity);
        self.lock().connections.insert(id, Some(Arc::clone(&connection)));
        connection.begin(py)
    }

    /// Lets an attempt go.
    pub(super) fn give_up(&self, py: Python<'_>, id: DialId) -> PyResult<()> {
        let attempt = self.lock().connections.remove(&id).flatten();
        match attempt {
            Some(connection) => connection.close(py, &Status::new(Code::Unavailable, "connection attempt given up")),
            None => Ok(()),
        }
    }

    fn connect_failed(self: &Arc<Self>, py: Python<'_>, id: DialId, error: &ConnectError) -> PyResult<()> {
        self.step(py, |state, now| {
            state.connections.remove(&id);
            state.brain.handle_connect_failed(id, error, now);
        })
    }
}

/// Tells the channel of one attempt to connect, and of the connection that came of it.
pub(crate) struct Attempt {
    channel: Weak<Channel>,
    id: DialId,
    address: Address,
}

impl Attempt {
    pub(crate) fn handle(
        &self,
        py: Python<'_>,
        connection: &Arc<Connection>,
        due: Vec<Due>,
        resume: Resume,
    ) -> PyResult<()> {
        let channel = self.channel.upgrade();
        let mut wakes = Vec::with_capacity(due.len());
        let (mut ended, mut told) = (false, Ok(()));
        for due in due {
            match (due, &channel) {
                (due @ (Due::Wake(_) | Due::Callback(_) | Due::Cancel(_) | Due::Trace(_) | Due::Beaten(_)), _) => {
                    wakes.push(due)
                }
                (Due::Ended(..), _) => ended = true,
                (Due::Remark(remark), Some(channel)) => {
                    wakes.extend(channel.reports.line(remark, &connection.peer).map(Due::Trace));
                }
                (
                    due @ (Due::Ready | Due::Draining | Due::Lost { .. } | Due::Again { .. } | Due::Standing(..)),
                    Some(channel),
                ) => {
                    told = told.and(self.tell(py, channel, connection, due));
                }
                (Due::Again { call, .. }, None) => {
                    call.fail_waiting(Status::new(Code::Cancelled, "Channel deallocated!"), &mut wakes);
                }
                _ => {}
            }
        }
        if ended && let Some(channel) = &channel {
            channel.call_ended(&mut wakes);
        }
        told.and(due::wake(py, &connection.event_loop, wakes, resume))
    }

    fn tell(&self, py: Python<'_>, channel: &Arc<Channel>, connection: &Arc<Connection>, due: Due) -> PyResult<()> {
        match due {
            Due::Ready => channel.step(py, |state, now| {
                state.brain.handle_connected(self.id, Arc::clone(connection), now);
            }),
            Due::Draining => channel.lost(py, self.id, How::Draining, NO_MORE_CALLS, connection),
            Due::Lost { why, connected, refused } => {
                let known = channel.lock().connections.remove(&self.id);
                drop(known);
                let lost = channel.lost(py, self.id, How::Broken, &why, connection);
                let error = match refused {
                    Some(refused) => refused,
                    None if connected => ConnectError { code: Code::Unavailable, why },
                    None => connect_error(&self.address, &why),
                };
                // Counts only if it never was connected.
                lost.and(channel.connect_failed(py, self.id, &error))
            }
            Due::Standing(id, Ok(message)) => channel.stream_said(py, id, &message),
            Due::Standing(id, Err(status)) => channel.stream_ended(py, id, &status),
            Due::Again { call, at, unsent } => {
                if unsent {
                    channel.lost(py, self.id, How::Draining, NO_MORE_CALLS, connection)?;
                }
                channel.wait(py, &call, Some(Until::Time(at)))
            }
            _ => Ok(()),
        }
    }
}
