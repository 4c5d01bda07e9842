//! A client's calls: what the service config asks of them, and how many attempts they take.

use std::{
    borrow::Cow,
    future::poll_fn,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    DialId, Head, MethodConfig, Refusal,
    balancer::Done,
    call::{End, Plan, Rpc, Seen, Verdict},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::Encoding;
use tokio::sync::oneshot;

use crate::{
    attempts::{Attempts, Winner},
    call::{Answered, Receiver, Sender},
    channel::Channel,
    mailbox::{Command, Mailbox, Open},
    pump::Placed,
    requests::Requests,
    slot::Slot,
};

/// A call to be made.
#[derive(Clone, Debug)]
pub struct NewCall {
    /// `/package.Service/Method`.
    pub path: Cow<'static, str>,
    /// Custom metadata.
    pub metadata: Metadata,
    /// When the call must be over, the wait for a connection included.
    pub deadline: Option<Instant>,
    /// Whether the call waits out failures to connect; `None` leaves it to the service config, and without one it does not.
    pub wait_for_ready: Option<bool>,
    /// How its messages are compressed.
    pub encoding: Encoding,
    /// The codec's part of its content type: `application/grpc+<subtype>`; empty for the plain one.
    pub subtype: &'static str,
}

/// A call that is in the mailbox of a connection.
pub(crate) struct Posted {
    pub(crate) at: At,
    done: Done,
}

/// Where a call is.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) dial: DialId,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) slot: Arc<Slot>,
}

impl Posted {
    pub(crate) fn receiver(self) -> Receiver {
        Receiver::of_client(self.at.mailbox, self.at.slot, self.done)
    }
}

/// What a service config asks of one call besides its deadline and `wait_for_ready`.
#[derive(Default)]
struct Asked {
    rpc: Rpc,
    max_request: Option<usize>,
    max_response: Option<usize>,
}

impl Channel {
    /// Makes a unary call, again if it may (gRFC A6).
    ///
    /// # Errors
    /// The status of a call for which there is no connection, or whose request is larger than the service config allows.
    /// Every other end is in [`Answered::closed`].
    pub async fn unary(&self, mut call: NewCall, message: Bytes) -> Result<Answered, Status> {
        let mut asked = self.asked(&mut call).await?;
        too_large("Sent", message.len(), asked.max_request)?;
        if asked.rpc.has_plan() {
            let attempts = Attempts::new(self.clone(), call, asked.rpc, Some(message));
            // Boxed, so that calls without a policy are no larger for it.
            let Winner { receiver, .. } = Box::pin(attempts.winner()).await?;
            return Ok(receiver.bounded(asked.max_response).answer().await);
        }
        let wait_for_ready = call.wait_for_ready.unwrap_or(false);
        let mut open = Box::new(self.open(call, Some(message)));
        loop {
            let posted = self.post(open, wait_for_ready).await.map_err(|refusal| refusal.status)?;
            let (dial, mailbox) = (posted.at.dial, Arc::clone(&posted.at.mailbox));
            let mut answered = posted.receiver().bounded(asked.max_response).answer().await;
            match self.again(&mut asked.rpc, (dial, &mailbox), answered.unprocessed.take()) {
                Some(unprocessed) => open = unprocessed,
                None => return Ok(answered),
            }
        }
    }

    /// Makes a call with one request and any number of responses, again if it may (gRFC A6): initial metadata, `None` when the
    /// call ended without, and the receiver of all that follows.
    ///
    /// # Errors
    /// The status of a call for which there is no connection, or whose request is larger than the service config allows.
    pub async fn ask(&self, mut call: NewCall, message: Bytes) -> Result<(Option<Metadata>, Receiver), Status> {
        let mut asked = self.asked(&mut call).await?;
        too_large("Sent", message.len(), asked.max_request)?;
        if asked.rpc.has_plan() {
            let attempts = Attempts::new(self.clone(), call, asked.rpc, Some(message));
            let Winner { receiver, .. } = Box::pin(attempts.winner()).await?;
            let mut receiver = receiver.bounded(asked.max_response);
            let headers = poll_fn(|context| receiver.poll_headers(context)).await;
            return Ok((headers, receiver));
        }
        let wait_for_ready = call.wait_for_ready.unwrap_or(false);
        let mut open = Box::new(self.open(call, Some(message)));
        loop {
            let posted = self.post(open, wait_for_ready).await.map_err(|refusal| refusal.status)?;
            let (dial, mailbox) = (posted.at.dial, Arc::clone(&posted.at.mailbox));
            let mut receiver = posted.receiver().bounded(asked.max_response);
            let headers = poll_fn(|context| receiver.poll_headers(context)).await;
            match self.again(&mut asked.rpc, (dial, &mailbox), receiver.take_unprocessed()) {
                Some(unprocessed) => open = unprocessed,
                None => return Ok((headers, receiver)),
            }
        }
    }

    /// Begins a call of any kind. Under a retry or hedging policy its attempts are made by a task of its own, and it begins
    /// at once.
    ///
    /// # Errors
    /// The status of a call for which there is no connection.
    pub async fn start(&self, mut call: NewCall) -> Result<(Sender, Receiver), Status> {
        let asked = self.asked(&mut call).await?;
        if asked.rpc.has_plan() {
            let requests = Arc::new(Requests::new(self.policies().retry.buffer, &self.policies().budget));
            let attempts = Attempts::streaming(self.clone(), call, asked.rpc, Arc::clone(&requests));
            let (winner, promised) = oneshot::channel();
            let task = tokio::spawn(make(attempts, winner)).abort_handle();
            let receiver = Receiver::promised(promised, task).bounded(asked.max_response);
            return Ok((Sender::kept(requests).bounded(asked.max_request), receiver));
        }
        let wait_for_ready = call.wait_for_ready.unwrap_or(false);
        let open = Box::new(self.open(call, None));
        let posted = self.post(open, wait_for_ready).await.map_err(|refusal| refusal.status)?;
        let sender = Sender::new(Arc::clone(&posted.at.mailbox), Arc::clone(&posted.at.slot));
        Ok((sender.bounded(asked.max_request), posted.receiver().bounded(asked.max_response)))
    }

    /// What the service config asks of a call; its deadline and `wait_for_ready` become part of the call.
    async fn asked(&self, call: &mut NewCall) -> Result<Asked, Status> {
        if !self.pump().snapshot.load().knows() {
            // What the resolver wants of it comes with, or before, the connection that it waits for anyway. Boxed, so that
            // other calls are no larger for it.
            let wait_for_ready = call.wait_for_ready.unwrap_or(false);
            let placed = Box::pin(self.pump().place(&call.path, &call.metadata, wait_for_ready, call.deadline)).await;
            // One that may be made again fails below, unless its service config has it wait.
            placed.map(drop).or_else(|refusal| if refusal.may_retry { Ok(()) } else { Err(refusal.status) })?;
        }
        let snapshot = self.pump().snapshot.load();
        let Some(method) = snapshot.select(&Head { path: &call.path })?.method else { return Ok(Asked::default()) };
        let MethodConfig { timeout, wait_for_ready, max_request, max_response, .. } = **method;
        let by = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        call.deadline = call.deadline.into_iter().chain(by).min();
        call.wait_for_ready = call.wait_for_ready.or(wait_for_ready);
        let policies = self.policies();
        // Different for each call; nothing secret depends on it.
        let plan = || Plan::new(method, snapshot.throttle(), RandomState::new().hash_one(0));
        let plan = if policies.retry.enabled { plan() } else { None };
        Ok(Asked { rpc: Rpc::new(plan), max_request, max_response })
    }

    pub(crate) fn open(&self, call: NewCall, unary: Option<Bytes>) -> Open {
        let NewCall { path, metadata, deadline, wait_for_ready: _, encoding, subtype } = call;
        let authority = Arc::clone(&self.pump().authority);
        Open { path, authority, metadata, deadline, encoding, subtype, unary, taken: false }
    }

    /// Brings a call to a connection, as soon as there is one.
    pub(crate) async fn post(&self, mut open: Box<Open>, wait_for_ready: bool) -> Result<Posted, Refusal> {
        let mut placed = self.pump().place(&open.path, &open.metadata, wait_for_ready, open.deadline).await?;
        loop {
            let Placed { connection: mailbox, dial, done, .. } = placed;
            let slot = Arc::new(Slot::default());
            match mailbox.post(Command::Open(open, Arc::clone(&slot))) {
                Ok(()) => return Ok(Posted { at: At { dial, mailbox, slot }, done }),
                Err(Command::Open(back, _)) => open = back,
                Err(_) => {
                    let status = Status::new(Code::Internal, "the mailbox gave back another command");
                    return Err(Refusal { status, may_retry: false });
                }
            }
            // It takes no more calls, and the word has not reached the brain yet.
            drop(done);
            self.pump().refused(dial, &mailbox);
            placed = self.pump().wait(&open.path, &open.metadata, wait_for_ready, open.deadline).await?;
        }
    }

    /// The request of a call without a policy, if it goes again.
    fn again(
        &self,
        rpc: &mut Rpc,
        (dial, mailbox): (DialId, &Mailbox),
        unprocessed: Option<Box<Open>>,
    ) -> Option<Box<Open>> {
        let mut open = unprocessed?;
        let seen = if std::mem::take(&mut open.taken) { Seen::Refused } else { Seen::Never };
        if seen == Seen::Never {
            // The connection takes no calls any more, and its word may not have reached the brain yet.
            self.pump().refused(dial, mailbox);
        }
        let now = Instant::now();
        let attempt = rpc.attempt(now)?;
        let end = End { code: Code::Unavailable, trailers: &Metadata::new(), completed: false, seen };
        matches!(rpc.handle_ended(attempt.id, end, now), Verdict::Again(_)).then_some(open)
    }
}

/// Makes the attempts at a call with a stream of requests, and sends the rest of that stream.
async fn make(attempts: Attempts, receiver: oneshot::Sender<Result<Receiver, Status>>) {
    match attempts.winner().await {
        Ok(Winner { receiver: winner, rest }) => {
            // A receiver that is gone has given the call up, which the winner learns when it is dropped here.
            let wanted = receiver.send(Ok(winner)).is_ok();
            if let Some(rest) = rest.filter(|_| wanted) {
                rest.send().await;
            }
        }
        Err(status) => drop(receiver.send(Err(status))),
    }
}

/// # Errors
/// A message is longer than the service config allows.
pub(crate) fn too_large(verb: &str, len: usize, max: Option<usize>) -> Result<(), Status> {
    match max.filter(|max| len > *max) {
        None => Ok(()),
        Some(max) => {
            let text = format!("CLIENT: {verb} message larger than max ({len} vs. {max})");
            Err(Status::new(Code::ResourceExhausted, text))
        }
    }
}
