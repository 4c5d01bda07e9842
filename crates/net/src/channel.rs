//! Pumps a channel's brain: does what it asks for, tells it what came of it, and brings calls to a connection.

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{self as brain, Action, Address, ConnectError, ConnectionId, Connectivity, Pick, Target};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{self as engine, ConnectionError, RequestHead};
use tokio::{sync::watch, task::AbortHandle};

use crate::{
    call::{Answered, Receiver, Sender},
    connect::{connect, resolve},
    connection::{Driver, Owner},
    mailbox::{Command, Mailbox, Open},
    slot::Slot,
};

/// What the owner of a channel chooses.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// The channel's brain: back-off, how long a connection may take.
    pub channel: brain::Config,
    /// The engine of each connection: limits, user agent.
    pub engine: engine::Config,
    /// `:authority` of every call; `None` takes the target's.
    pub authority: Option<String>,
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
}

/// A channel to one target. Clones share it; when the last one is dropped, calls in flight finish and the connection
/// is closed.
///
/// It needs a tokio run time with I/O and time where calls are made, not where it is made.
#[derive(Clone, Debug)]
pub struct Channel {
    handle: Arc<Handle>,
}

/// Counts the application's clones; the tasks hold [`Shared`] weakly.
#[derive(Debug)]
struct Handle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    engine: engine::Config,
    authority: Arc<str>,
    state: Mutex<State>,
    connectivity: watch::Sender<Connectivity>,
}

#[derive(Debug)]
struct State {
    brain: brain::Channel,
    /// The connection that takes calls.
    ready: Option<(ConnectionId, Arc<Mailbox>)>,
    /// The attempt under way.
    attempt: Option<(ConnectionId, AbortHandle)>,
    /// The task that waits for the brain's time-out.
    timer: Option<(Instant, AbortHandle)>,
}

impl Channel {
    /// A channel in IDLE; nothing is done before the first call.
    pub fn new(target: Target, config: ChannelConfig) -> Channel {
        let authority = config.authority.unwrap_or_else(|| target.authority.clone()).into();
        let state =
            State { brain: brain::Channel::new(target, config.channel), ready: None, attempt: None, timer: None };
        let shared = Shared {
            engine: config.engine,
            authority,
            state: Mutex::new(state),
            connectivity: watch::Sender::new(Connectivity::Idle),
        };
        Channel { handle: Arc::new(Handle(Arc::new(shared))) }
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

    /// Makes a unary call. What the server certainly did not see goes again, once.
    ///
    /// # Errors
    /// The status of a call for which there is no connection. Every other end is in [`Answered::closed`].
    pub async fn unary(&self, call: NewCall, message: Bytes) -> Result<Answered, Status> {
        let wait_for_ready = call.wait_for_ready;
        let mut open = Box::new(self.open(call, Some(message)));
        let mut again = true;
        loop {
            let (mailbox, slot) = self.post(open, wait_for_ready).await?;
            let mut answered = Receiver::new(mailbox, slot, true).answer().await;
            match answered.unprocessed.take_if(|_| again) {
                Some(unprocessed) => open = unprocessed,
                None => return Ok(answered),
            }
            again = false;
        }
    }

    /// Begins a call with one request and any number of responses.
    ///
    /// # Errors
    /// The status of a call for which there is no connection.
    pub async fn ask(&self, call: NewCall, message: Bytes) -> Result<Receiver, Status> {
        let wait_for_ready = call.wait_for_ready;
        let open = Box::new(self.open(call, Some(message)));
        let (mailbox, slot) = self.post(open, wait_for_ready).await?;
        Ok(Receiver::new(mailbox, slot, true))
    }

    /// Begins a call of any kind.
    ///
    /// # Errors
    /// The status of a call for which there is no connection.
    pub async fn start(&self, call: NewCall) -> Result<(Sender, Receiver), Status> {
        let wait_for_ready = call.wait_for_ready;
        let open = Box::new(self.open(call, None));
        let (mailbox, slot) = self.post(open, wait_for_ready).await?;
        Ok((Sender::new(Arc::clone(&mailbox), Arc::clone(&slot)), Receiver::new(mailbox, slot, true)))
    }

    fn open(&self, call: NewCall, unary: Option<Bytes>) -> Open {
        let NewCall { path, metadata, deadline, wait_for_ready: _ } = call;
        Open { path, authority: Arc::clone(&self.shared().authority), metadata, deadline, unary }
    }

    /// Brings a call to a connection, as soon as there is one.
    async fn post(&self, mut open: Box<Open>, wait_for_ready: bool) -> Result<(Arc<Mailbox>, Arc<Slot>), Status> {
        loop {
            let (id, mailbox) = self.connection(wait_for_ready, open.deadline).await?;
            let slot = Arc::new(Slot::default());
            match mailbox.post(Command::Open(open, Arc::clone(&slot))) {
                Ok(()) => return Ok((mailbox, slot)),
                Err(Command::Open(back, _)) => open = back,
                Err(_) => return Err(Status::new(Code::Internal, "the mailbox gave back another command")),
            }
            // It takes no more calls, and the word has not reached the brain yet.
            self.shared().disconnected(id);
        }
    }

    /// A connection that takes calls.
    async fn connection(
        &self,
        wait_for_ready: bool,
        deadline: Option<Instant>,
    ) -> Result<(ConnectionId, Arc<Mailbox>), Status> {
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
        &self.handle.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some((_, mailbox)) = state.ready.take() {
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

    /// Where a call goes; `None` is to wait for the next change of state.
    fn pick(self: &Arc<Self>, wait_for_ready: bool) -> Result<Option<(ConnectionId, Arc<Mailbox>)>, Status> {
        let mut state = self.lock();
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

    fn disconnected(self: &Arc<Self>, id: ConnectionId) {
        self.step(|state| {
            if state.ready.as_ref().is_some_and(|(ready, _)| *ready == id) {
                state.ready = None;
            }
            state.brain.handle_disconnected(id);
        });
    }

    fn pump(self: &Arc<Self>, state: &mut State) {
        while let Some(action) = state.brain.poll_action() {
            match action {
                Action::Resolve { host, port } => {
                    let shared = Arc::downgrade(self);
                    tokio::spawn(async move {
                        let result = resolve(&host, port).await;
                        if let Some(shared) = shared.upgrade() {
                            shared.step(|state| state.brain.handle_resolved(result, Instant::now()));
                        }
                    });
                }
                Action::Connect { id, address } => {
                    let task = tokio::spawn(attempt(Arc::downgrade(self), id, address, self.engine.clone()));
                    state.attempt = Some((id, task.abort_handle()));
                }
                Action::Disconnect(id) => state.disconnect(id),
                Action::StateChanged(connectivity) => {
                    self.connectivity.send_replace(connectivity);
                }
            }
        }
        self.set_timer(state);
    }

    fn set_timer(self: &Arc<Self>, state: &mut State) {
        let due = state.brain.poll_timeout();
        if due == state.timer.as_ref().map(|(at, _)| *at) {
            return;
        }
        if let Some((_, stale)) = state.timer.take() {
            stale.abort();
        }
        if let Some(at) = due {
            let shared = Arc::downgrade(self);
            let task = tokio::spawn(async move {
                tokio::time::sleep_until(at.into()).await;
                if let Some(shared) = shared.upgrade() {
                    shared.step(|state| {
                        state.timer = None;
                        state.brain.handle_timeout(Instant::now());
                    });
                }
            });
            state.timer = Some((at, task.abort_handle()));
        }
    }
}

impl State {
    fn disconnect(&mut self, id: ConnectionId) {
        if let Some((_, attempt)) = self.attempt.take_if(|(attempt, _)| *attempt == id) {
            attempt.abort();
        }
        if let Some((_, mailbox)) = self.ready.take_if(|(ready, _)| *ready == id) {
            let _ = mailbox.post(Command::Close(Status::new(Code::Cancelled, "Channel closed!")));
        }
    }
}

/// One attempt to connect, and the connection that comes of it.
async fn attempt(shared: Weak<Shared>, id: ConnectionId, address: Address, config: engine::Config) {
    match connect(&address).await {
        Ok(stream) => {
            let mailbox = Arc::new(Mailbox::new(&config.limits));
            let engine = engine::Connection::new(config, Instant::now());
            let owner = Attempt { shared, id, mailbox: Arc::clone(&mailbox), was_ready: false };
            Driver::new(stream, engine, mailbox, owner).await;
        }
        Err(error) => {
            if let Some(shared) = shared.upgrade() {
                shared.step(|state| state.brain.handle_connect_failed(id, &error, Instant::now()));
            }
        }
    }
}

/// What a client's connection tells its channel.
#[derive(Debug)]
struct Attempt {
    shared: Weak<Shared>,
    id: ConnectionId,
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
                state.ready = Some((self.id, Arc::clone(&self.mailbox)));
            }
        });
    }

    fn request(&mut self, _head: Box<RequestHead>, _slot: Arc<Slot>) {
        // A client's engine tells no requests.
    }

    fn draining(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.disconnected(self.id);
        }
    }

    fn disconnected(&mut self, why: &ConnectionError) {
        let Some(shared) = self.shared.upgrade() else { return };
        if self.was_ready {
            return shared.disconnected(self.id);
        }
        let error = ConnectError { code: Code::Unavailable, why: why.to_string() };
        shared.step(|state| state.brain.handle_connect_failed(self.id, &error, Instant::now()));
    }
}
