//! Pumps a channel's brain: does what it asks for, tells it what came of it, and brings calls to a connection.

use std::{
    borrow::Cow,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use bytes::Bytes;
use farcall_channel::{
    self as brain, Address, Attempts, ConnectError, Connectivity, Ended, Next, Seen, Target,
    single::{self, Action, ConnectionId, Lost, Pick},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{self as engine, ConnectionError, Encoding, RequestHead};
use tokio::{runtime::Handle, sync::watch, task::AbortHandle};

#[cfg(feature = "tls")]
use crate::tls::{TlsStream, connect_error as tls_error};
use crate::{
    call::{Answered, Receiver, Sender},
    connect::{connect, resolve},
    connection::{Driver, Owner},
    mailbox::{Command, Mailbox, Open},
    reports::{Reports, Side},
    slot::Slot,
};

/// Why a connection is left that has not broken.
const NO_MORE_CALLS: &str = "the server takes no more calls";

/// What the owner of a channel chooses.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// The channel's brain: back-off, how long a connection may take.
    pub channel: brain::Config,
    /// The engine of each connection: limits, user agent.
    pub engine: engine::Config,
    /// `:authority` of every call; `None` takes the target's.
    pub authority: Option<String>,
    /// How connections are secured; `None` is plain text.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::ClientTls>,
}

/// A call to be made.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// `/package.Service/Method`.
    pub path: Cow<'static, str>,
    /// Custom metadata.
    pub metadata: Metadata,
    /// When the call must be over, the wait for a connection included.
    pub deadline: Option<Instant>,
    /// Whether the call waits out failures to connect.
    pub wait_for_ready: bool,
    /// How its messages are compressed.
    pub encoding: Encoding,
    /// The content-subtype: what they are. Empty leaves it to the method.
    pub subtype: &'static str,
}

/// A channel to one target. Clones share it; when the last one is dropped, calls in flight finish and the connection
/// is closed.
///
/// It needs a tokio run time with I/O and time where calls are made, not where it is made.
#[derive(Clone, Debug)]
pub struct Channel {
    alive: Arc<Alive>,
}

/// Counts the application's clones; the tasks hold [`Shared`] weakly.
#[derive(Debug)]
struct Alive(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: engine::Config,
    authority: Arc<str>,
    #[cfg(feature = "tls")]
    tls: Option<crate::ClientTls>,
    state: Mutex<State>,
    connectivity: watch::Sender<Connectivity>,
    reports: Reports,
}

#[derive(Debug)]
struct State {
    brain: single::Channel,
    /// The connection that takes calls.
    ready: Option<Ready>,
    /// The keepalive time of the next connection: longer than was asked for once a server has said that it was too
    /// often.
    keepalive: Option<Duration>,
    /// The task that resolves.
    resolution: Option<AbortHandle>,
    /// The attempt under way.
    attempt: Option<(ConnectionId, AbortHandle)>,
    /// The task that waits for the brain's time-out.
    timer: Option<(Instant, AbortHandle)>,
}

/// A connection that takes calls.
#[derive(Clone, Debug)]
struct Ready {
    id: ConnectionId,
    mailbox: Arc<Mailbox>,
    since: Instant,
}

impl Channel {
    /// A channel in IDLE; nothing is done before the first call.
    pub fn new(target: Target, config: ChannelConfig) -> Channel {
        let authority = config.authority.unwrap_or_else(|| target.authority.clone()).into();
        let state = State {
            brain: single::Channel::new(target, config.channel),
            ready: None,
            keepalive: config.engine.keepalive_time,
            resolution: None,
            attempt: None,
            timer: None,
        };
        let shared = Shared {
            engine: engine::Config { runs: true, ..config.engine },
            authority,
            #[cfg(feature = "tls")]
            tls: config.tls,
            state: Mutex::new(state),
            connectivity: watch::Sender::new(Connectivity::Idle),
            reports: Reports::of(Side::Channel),
        };
        Channel { alive: Arc::new(Alive(Arc::new(shared))) }
    }

    /// The connectivity state now.
    pub fn state(&self) -> Connectivity {
        *self.shared().connectivity.borrow()
    }

    /// Waits until the state is not `last` any more, and tells the new one.
    pub async fn state_changed(&self, last: Connectivity) -> Connectivity {
        let mut changes = self.shared().connectivity.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            // The sender lives in the channel, so that waiting cannot fail while `self` is here.
            if state != last || changes.changed().await.is_err() {
                return state;
            }
        }
    }

    /// Connects, if it is not connected; fails with the reason when the first round over all addresses failed.
    ///
    /// # Errors
    /// `UNAVAILABLE` with the address and the system's reason.
    pub async fn connect(&self) -> Result<(), Status> {
        self.connection(false, None).await.map(drop)
    }

    /// Makes a unary call, again if it may (gRFC A6, transparent retries).
    ///
    /// # Errors
    /// The status of a call for which there is no connection. Every other end is in [`Answered::closed`].
    pub async fn unary(&self, call: NewCall, message: Bytes) -> Result<Answered, Status> {
        let wait_for_ready = call.wait_for_ready;
        let mut open = Box::new(self.open(call, Some(message)));
        let mut retry = Retry::default();
        loop {
            let posted = self.post(open, wait_for_ready).await?;
            let mut answered = Receiver::new(posted.mailbox, posted.slot, true).answer().await;
            match retry.go_again(self.shared(), posted.connection, answered.unprocessed.take()) {
                Some(unprocessed) => open = unprocessed,
                None => return Ok(answered),
            }
        }
    }

    /// Makes a call with one request and any number of responses, again if it may (gRFC A6, transparent retries): initial metadata, `None`
    /// when the call ended without, and the rest.
    ///
    /// # Errors
    /// The status of a call for which there is no connection.
    pub async fn ask(&self, call: NewCall, message: Bytes) -> Result<(Option<Metadata>, Receiver), Status> {
        let wait_for_ready = call.wait_for_ready;
        let mut open = Box::new(self.open(call, Some(message)));
        let mut retry = Retry::default();
        loop {
            let posted = self.post(open, wait_for_ready).await?;
            let mut receiver = Receiver::new(posted.mailbox, posted.slot, true);
            let headers = poll_fn(|context| receiver.poll_headers(context)).await;
            match retry.go_again(self.shared(), posted.connection, receiver.take_unprocessed()) {
                Some(unprocessed) => open = unprocessed,
                None => return Ok((headers, receiver)),
            }
        }
    }

    /// Begins a call of any kind.
    ///
    /// # Errors
    /// The status of a call for which there is no connection.
    pub async fn start(&self, call: NewCall) -> Result<(Sender, Receiver), Status> {
        let wait_for_ready = call.wait_for_ready;
        let open = Box::new(self.open(call, None));
        let Posted { mailbox, slot, .. } = self.post(open, wait_for_ready).await?;
        Ok((Sender::new(Arc::clone(&mailbox), Arc::clone(&slot)), Receiver::new(mailbox, slot, true)))
    }

    fn open(&self, call: NewCall, unary: Option<Bytes>) -> Open {
        let NewCall { path, metadata, deadline, wait_for_ready: _, encoding, subtype } = call;
        let authority = Arc::clone(&self.shared().authority);
        Open { path, authority, metadata, deadline, encoding, subtype, unary, taken: false }
    }

    /// Brings a call to a connection, as soon as there is one.
    async fn post(&self, mut open: Box<Open>, wait_for_ready: bool) -> Result<Posted, Status> {
        loop {
            let Ready { id: connection, mailbox, .. } = self.connection(wait_for_ready, open.deadline).await?;
            let slot = Arc::new(Slot::default());
            match mailbox.post(Command::Open(open, Arc::clone(&slot))) {
                Ok(()) => return Ok(Posted { connection, mailbox, slot }),
                Err(Command::Open(back, _)) => open = back,
                Err(_) => return Err(Status::new(Code::Internal, "the mailbox gave back another command")),
            }
            // It takes no more calls, and the word has not reached the brain yet.
            self.shared().disconnected(connection, NO_MORE_CALLS);
        }
    }

    /// A connection that takes calls.
    async fn connection(&self, wait_for_ready: bool, deadline: Option<Instant>) -> Result<Ready, Status> {
        if let Some(ready) = self.shared().lock().ready.clone() {
            return Ok(ready);
        }
        let mut changes = self.shared().connectivity.subscribe();
        loop {
            // Marked as seen before the pick, so that a change after it ends the wait.
            changes.borrow_and_update();
            if let Some(ready) = self.shared().pick(wait_for_ready)? {
                return Ok(ready);
            }
            let changed = changes.changed();
            match deadline {
                None => drop(changed.await),
                Some(deadline) => match tokio::time::timeout_at(deadline.into(), changed).await {
                    Ok(_) => {}
                    Err(_) => return Err(Status::new(Code::DeadlineExceeded, "Deadline Exceeded")),
                },
            }
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.alive.0
    }
}

/// The attempts of one call.
#[derive(Default)]
struct Retry(Attempts);

impl Retry {
    fn go_again(
        &mut self,
        shared: &Arc<Shared>,
        connection: ConnectionId,
        unprocessed: Option<Box<Open>>,
    ) -> Option<Box<Open>> {
        let mut open = unprocessed?;
        let seen = if std::mem::take(&mut open.taken) { Seen::Refused } else { Seen::Never };
        let ended =
            Ended { code: Code::Unavailable, trailers: &Metadata::new(), completed: false, seen, can_repeat: true };
        match self.0.handle_ended(ended) {
            Next::Elsewhere => {
                // The connection takes no calls any more, and its word may not have reached the brain yet.
                shared.disconnected(connection, NO_MORE_CALLS);
                Some(open)
            }
            Next::Again => Some(open),
            Next::Over | Next::After(_) => None,
        }
    }
}

/// A call that is in the mailbox of a connection.
struct Posted {
    connection: ConnectionId,
    mailbox: Arc<Mailbox>,
    slot: Arc<Slot>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some(Ready { mailbox, .. }) = state.ready.take() {
            // Calls in flight hold the mailbox themselves, and may finish.
            let _ = mailbox.post(Command::Shutdown);
        }
        if let Some((_, timer)) = state.timer.take() {
            timer.abort();
        }
        state.brain.shutdown();
        self.0.pump(&mut state);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A poisoned state would mean a bug in the brain; going on is better than to poison every call after it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connections to come are not to send more keepalive than this one was told to.
    fn next_keepalive(&self, time: Option<Duration>) {
        let mut state = self.lock();
        state.keepalive = state.keepalive.max(time);
    }

    /// Where a call goes; `None` is to wait for the next change of state.
    fn pick(self: &Arc<Self>, wait_for_ready: bool) -> Result<Option<Ready>, Status> {
        let mut state = self.lock();
        state.revive();
        let pick = state.brain.pick(wait_for_ready, Instant::now());
        self.pump(&mut state);
        match pick {
            Pick::Connection(_) => Ok(state.ready.clone()),
            Pick::Wait => Ok(None),
            Pick::Fail(status) => Err(status),
        }
    }

    /// Steps the brain and does what it asks for then.
    fn step(self: &Arc<Self>, step: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        step(&mut state);
        self.pump(&mut state);
    }

    /// A connection that worked takes no more calls.
    fn disconnected(self: &Arc<Self>, id: ConnectionId, why: &str) {
        self.step(|state| {
            if let Some(ready) = state.ready.take_if(|ready| ready.id == id) {
                let now = Instant::now();
                let lost = Lost { why, lived: now - ready.since, useful: ready.mailbox.is_useful() };
                state.brain.handle_lost(id, lost, now);
            }
        });
    }

    /// Does what the brain asks for. Outside of a run time it is left for the next call to do.
    fn pump(self: &Arc<Self>, state: &mut State) {
        let Ok(runtime) = Handle::try_current() else { return };
        while let Some(action) = state.brain.poll_action() {
            match action {
                Action::Resolve { host, port } => {
                    let task = runtime.spawn(resolution(Arc::downgrade(self), host, port));
                    state.resolution = Some(task.abort_handle());
                }
                Action::Connect { id, address } => {
                    let config = engine::Config { keepalive_time: state.keepalive, ..self.engine.clone() };
                    let task = runtime.spawn(attempt(Arc::downgrade(self), id, address, config));
                    state.attempt = Some((id, task.abort_handle()));
                }
                Action::Disconnect(id) => state.disconnect(id),
                Action::StateChanged(connectivity) => {
                    self.connectivity.send_replace(connectivity);
                }
            }
        }
        let due = state.brain.poll_timeout();
        if due == state.timer.as_ref().map(|(at, _)| *at) {
            return;
        }
        if let Some((_, stale)) = state.timer.take() {
            stale.abort();
        }
        if let Some(at) = due {
            let task = runtime.spawn(timeout(Arc::downgrade(self), at));
            state.timer = Some((at, task.abort_handle()));
        }
    }
}

impl State {
    /// Takes note of tasks that ended without a word, because their run time was shut down: a channel may outlive it.
    fn revive(&mut self) {
        let why = "the run time was shut down";
        if self.resolution.take_if(|task| task.is_finished()).is_some() {
            self.brain.handle_resolved(Err(why.to_owned()), Instant::now());
        }
        if let Some((id, _)) = self.attempt.take_if(|(_, task)| task.is_finished()) {
            let error = ConnectError { code: Code::Unavailable, why: why.to_owned() };
            self.brain.handle_connect_failed(id, &error, Instant::now());
        }
        if self.timer.take_if(|(_, task)| task.is_finished()).is_some() {
            self.brain.handle_timeout(Instant::now());
        }
    }

    fn disconnect(&mut self, id: ConnectionId) {
        if let Some((_, attempt)) = self.attempt.take_if(|(attempt, _)| *attempt == id) {
            attempt.abort();
        }
        if let Some(Ready { mailbox, .. }) = self.ready.take_if(|ready| ready.id == id) {
            let _ = mailbox.post(Command::Close(Status::new(Code::Cancelled, "Channel closed!")));
        }
    }
}

/// Resolves a name for the brain.
async fn resolution(shared: Weak<Shared>, host: String, port: u16) {
    let result = resolve(&host, port).await;
    if let Some(shared) = shared.upgrade() {
        shared.step(|state| {
            state.resolution = None;
            state.brain.handle_resolved(result, Instant::now());
        });
    }
}

/// Waits for the brain's time-out.
async fn timeout(shared: Weak<Shared>, at: Instant) {
    tokio::time::sleep_until(at.into()).await;
    if let Some(shared) = shared.upgrade() {
        shared.step(|state| {
            state.timer = None;
            state.brain.handle_timeout(Instant::now());
        });
    }
}

/// One attempt to connect, and the connection that comes of it.
async fn attempt(shared: Weak<Shared>, id: ConnectionId, address: Address, config: engine::Config) {
    let stream = match connect(&address).await {
        Ok(stream) => stream,
        Err(error) => return failed(&shared, id, &error),
    };
    stream.set_user_timeout(config.keepalive_time.map(|_| config.keepalive_timeout));
    let mailbox = Arc::new(Mailbox::new(&config.limits));
    tracing::debug!(target: "farcall::connection", peer = %address, "connected");
    let owner = Attempt { shared, id, address, mailbox: Arc::clone(&mailbox), was_ready: false };
    #[cfg(feature = "tls")]
    {
        let secured = owner.shared.upgrade().and_then(|shared| Some(shared.tls.as_ref()?.session(&shared.authority)));
        if let Some(session) = secured {
            let shaken = match session {
                Ok(session) => TlsStream::shake(stream, session).await.map_err(|error| tls_error(&error.to_string())),
                Err(error) => Err(error),
            };
            match shaken {
                Ok(stream) => {
                    let engine = engine::Connection::new(config, Instant::now());
                    Driver::new(stream, engine, mailbox, owner).await;
                }
                Err(error) => {
                    if let Some(shared) = owner.shared.upgrade() {
                        shared.reports.say(engine::Cause::Handshake, &owner.address, &error.why);
                    }
                    failed(&owner.shared, id, &error);
                }
            }
            return;
        }
    }
    let engine = engine::Connection::new(config, Instant::now());
    Driver::new(stream, engine, mailbox, owner).await;
}

fn failed(shared: &Weak<Shared>, id: ConnectionId, error: &ConnectError) {
    if let Some(shared) = shared.upgrade() {
        shared.step(|state| {
            state.attempt.take_if(|(attempt, _)| *attempt == id);
            state.brain.handle_connect_failed(id, error, Instant::now());
        });
    }
}

/// What a client's connection tells its channel.
#[derive(Debug)]
struct Attempt {
    shared: Weak<Shared>,
    id: ConnectionId,
    address: Address,
    mailbox: Arc<Mailbox>,
    was_ready: bool,
}

impl Owner for Attempt {
    fn ready(&mut self) {
        self.was_ready = true;
        let Some(shared) = self.shared.upgrade() else { return };
        shared.step(|state| {
            // From here on the task ends by its mailbox, and is not aborted.
            state.attempt.take_if(|(attempt, _)| *attempt == self.id);
            state.brain.handle_connected(self.id);
            if state.brain.state() == Connectivity::Ready {
                state.ready = Some(Ready { id: self.id, mailbox: Arc::clone(&self.mailbox), since: Instant::now() });
            }
        });
    }

    fn request(&mut self, _head: Box<RequestHead>, _slot: Arc<Slot>) {
        // A client's engine tells no requests.
    }

    fn struck(&mut self, what: &'static str, times: u32) {
        if let Some(shared) = self.shared.upgrade() {
            shared.reports.say_bound(what, times, &self.address);
        }
    }

    fn peer(&self) -> &Address {
        &self.address
    }

    fn draining(&mut self, keepalive: Option<Duration>) {
        if let Some(shared) = self.shared.upgrade() {
            shared.next_keepalive(keepalive);
            shared.disconnected(self.id, NO_MORE_CALLS);
        }
    }

    fn disconnected(&mut self, why: &ConnectionError, keepalive: Option<Duration>) {
        let Some(shared) = self.shared.upgrade() else { return };
        shared.reports.say_end(why, &self.address);
        shared.next_keepalive(keepalive);
        if self.was_ready {
            return shared.disconnected(self.id, &why.to_string());
        }
        let error = ConnectError { code: Code::Unavailable, why: why.to_string() };
        shared.step(|state| {
            state.attempt.take_if(|(attempt, _)| *attempt == self.id);
            state.brain.handle_connect_failed(self.id, &error, Instant::now());
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn connections_to_come_send_no_more_keepalive_than_this_one_was_told_to() {
        let seconds = |count| Some(Duration::from_secs(count));
        let mut config = ChannelConfig {
            channel: brain::Config::new(0),
            engine: engine::Config::client(),
            authority: None,
            #[cfg(feature = "tls")]
            tls: None,
        };
        config.engine.keepalive_time = seconds(10);
        let channel = Channel::new(Target::parse("localhost:1").unwrap(), config);
        let shared = channel.shared();
        let mailbox = Arc::new(Mailbox::new(&shared.engine.limits));
        let (id, address) = (ConnectionId(0), Address::Unix("".into()));
        let mut first = Attempt { shared: Arc::downgrade(shared), id, address, mailbox, was_ready: true };
        first.draining(seconds(20));
        first.disconnected(&ConnectionError::ClosedLocally, seconds(10));
        assert_eq!(shared.lock().keepalive, seconds(20));
    }
}
