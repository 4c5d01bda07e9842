//! A channel, as the face holds it: brings calls to connections.

use std::{
    borrow::Cow,
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    self as brain, Attempts, Connectivity, DialId, Ended, Head, Next, Refusal, Seen, Target, balancer::Done,
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{self as engine, Encoding};

use crate::{
    call::{Answered, Receiver, Sender},
    mailbox::{Command, Mailbox, Open},
    pump::{Placed, Pump},
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
    /// Whether the call waits out failures to connect; `None`: as the service config has it, or not.
    pub wait_for_ready: Option<bool>,
    /// How its messages are compressed.
    pub encoding: Encoding,
    /// The content-subtype: what they are. Empty leaves it to the method.
    pub subtype: &'static str,
}

/// A channel to one target. Clones share it; when the last one is dropped, calls in flight finish and the connections
/// are closed.
///
/// It needs a tokio runtime with I/O and time where calls are made, not where it is made.
#[derive(Clone, Debug)]
pub struct Channel {
    alive: Arc<Alive>,
}

/// Counts the application's clones; tasks hold the [`Pump`] weakly.
#[derive(Debug)]
struct Alive(Arc<Pump>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.retire();
    }
}

impl Channel {
    /// A channel in IDLE; nothing is done before the first call.
    pub fn new(target: Target, config: ChannelConfig) -> Channel {
        let authority = config.authority.clone().unwrap_or_else(|| target.authority.clone()).into();
        let seed = RandomState::new().hash_one(0);
        let brain = brain::Channel::new(target, config.channel.clone(), seed, Instant::now());
        Channel { alive: Arc::new(Alive(Arc::new(Pump::new(brain, config, authority)))) }
    }

    /// A channel whose target or settings cannot be used: every call ends with this status.
    pub fn lame(status: Status, config: ChannelConfig) -> Channel {
        let brain = brain::Channel::lame(status, config.channel.clone(), Instant::now());
        Channel { alive: Arc::new(Alive(Arc::new(Pump::new(brain, config, "".into())))) }
    }

    /// The connectivity state now.
    pub fn state(&self) -> Connectivity {
        *self.pump().connectivity.borrow()
    }

    /// Waits until the state is not `last` any more, and tells the new one.
    pub async fn state_changed(&self, last: Connectivity) -> Connectivity {
        let mut changes = self.pump().connectivity.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            // The sender lives in the channel, so that waiting cannot fail while `self` is here.
            if state != last || changes.changed().await.is_err() {
                return state;
            }
        }
    }

    /// Connects, if it is not connected; fails with the reason when no address could be connected to.
    ///
    /// # Errors
    /// `UNAVAILABLE` with the address and the system's reason.
    pub async fn connect(&self) -> Result<(), Status> {
        self.pump().connect();
        self.pump().place("", false, None).await.map(drop).map_err(|refusal| refusal.status)
    }

    /// Makes a unary call, again if it may (gRFC A6, transparent retries).
    ///
    /// # Errors
    /// The status of a call for which there is no connection. Every other end is in [`Answered::closed`].
    pub async fn unary(&self, call: NewCall, message: Bytes) -> Result<Answered, Status> {
        let (mut open, wait_for_ready) = self.open(call, Some(message))?;
        let mut retry = Retry::default();
        loop {
            let posted = self.post(open, wait_for_ready).await?;
            let (dial, mailbox) = (posted.dial, Arc::clone(&posted.mailbox));
            let mut answered = posted.receiver().answer().await;
            match retry.go_again(self.pump(), (dial, &mailbox), answered.unprocessed.take()) {
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
        let (mut open, wait_for_ready) = self.open(call, Some(message))?;
        let mut retry = Retry::default();
        loop {
            let posted = self.post(open, wait_for_ready).await?;
            let (dial, mailbox) = (posted.dial, Arc::clone(&posted.mailbox));
            let mut receiver = posted.receiver();
            let headers = poll_fn(|context| receiver.poll_headers(context)).await;
            match retry.go_again(self.pump(), (dial, &mailbox), receiver.take_unprocessed()) {
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
        let (open, wait_for_ready) = self.open(call, None)?;
        let posted = self.post(open, wait_for_ready).await?;
        let sender = Sender::new(Arc::clone(&posted.mailbox), Arc::clone(&posted.slot));
        Ok((sender, posted.receiver()))
    }

    /// What is posted for a call, with what the service config asks of it; and whether it waits for ready.
    fn open(&self, call: NewCall, unary: Option<Bytes>) -> Result<(Box<Open>, bool), Status> {
        let NewCall { path, metadata, mut deadline, mut wait_for_ready, encoding, subtype } = call;
        let snapshot = self.pump().snapshot.load();
        if let Some(method) = snapshot.select(&Head { path: &path })?.method {
            let latest = method.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
            deadline = deadline.into_iter().chain(latest).min();
            wait_for_ready = wait_for_ready.or(method.wait_for_ready);
        }
        let authority = Arc::clone(&self.pump().authority);
        let open = Open { path, authority, metadata, deadline, encoding, subtype, unary, taken: false };
        Ok((Box::new(open), wait_for_ready.unwrap_or(false)))
    }

    /// Brings a call to a connection, as soon as there is one.
    async fn post(&self, mut open: Box<Open>, wait_for_ready: bool) -> Result<Posted, Status> {
        let failed = |refusal: Refusal| refusal.status;
        let mut placed = self.pump().place(&open.path, wait_for_ready, open.deadline).await.map_err(failed)?;
        loop {
            let Placed { connection: mailbox, dial, done } = placed;
            let slot = Arc::new(Slot::default());
            match mailbox.post(Command::Open(open, Arc::clone(&slot))) {
                Ok(()) => return Ok(Posted { dial, mailbox, slot, done }),
                Err(Command::Open(back, _)) => open = back,
                Err(_) => return Err(Status::new(Code::Internal, "the mailbox gave back another command")),
            }
            // It takes no more calls, and the word has not reached the brain yet.
            drop(done);
            self.pump().refused(dial, &mailbox);
            placed = self.pump().wait(&open.path, wait_for_ready, open.deadline).await.map_err(failed)?;
        }
    }

    fn pump(&self) -> &Arc<Pump> {
        &self.alive.0
    }
}

/// The attempts of one call.
#[derive(Default)]
struct Retry(Attempts);

impl Retry {
    fn go_again(
        &mut self,
        pump: &Arc<Pump>,
        (dial, mailbox): (DialId, &Arc<Mailbox>),
        unprocessed: Option<Box<Open>>,
    ) -> Option<Box<Open>> {
        let mut open = unprocessed?;
        let seen = if std::mem::take(&mut open.taken) { Seen::Refused } else { Seen::Never };
        let ended =
            Ended { code: Code::Unavailable, trailers: &Metadata::new(), completed: false, seen, can_repeat: true };
        match self.0.handle_ended(ended) {
            Next::Elsewhere => {
                // The connection takes no calls any more, and its word may not have reached the brain yet.
                pump.refused(dial, mailbox);
                Some(open)
            }
            Next::Again => Some(open),
            Next::Over | Next::After(_) => None,
        }
    }
}

/// A call that is in the mailbox of a connection.
struct Posted {
    dial: DialId,
    mailbox: Arc<Mailbox>,
    slot: Arc<Slot>,
    done: Done,
}

impl Posted {
    fn receiver(self) -> Receiver {
        Receiver::of_client(self.mailbox, self.slot, self.done)
    }
}
