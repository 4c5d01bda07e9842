//! The two directions of a call, as the application holds them.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    balancer::{self, Done},
    call::{AttemptId, End, Rpc, Seen},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{Closed, Limits};
use tokio::{sync::oneshot, task::AbortHandle};

use crate::{
    calls::too_large,
    mailbox::{Command, Mailbox, Open},
    messages::{Messages, Taken},
    outbox::Outbox,
    requests::Requests,
    slot::{Slot, Until},
};

/// Bytes of one call's windows that its taken messages may hold before the connection hears of them, while more messages
/// are at hand.
const RELEASE_STEP: usize = 16 << 10;

/// The client's direction of a call. Dropped, it ends the direction: the server has all messages.
#[derive(Debug)]
pub struct Sender {
    outbox: Outbox,
}

impl Sender {
    pub(crate) fn new(mailbox: Arc<Mailbox>, slot: Arc<Slot>) -> Sender {
        Sender { outbox: Outbox::new(mailbox, slot) }
    }

    /// That of a call whose messages may have to be sent again.
    pub(crate) fn kept(requests: Arc<Requests>) -> Sender {
        Sender { outbox: Outbox::kept(requests) }
    }

    /// The same for messages that are no longer than this.
    pub(crate) fn bounded(mut self, max: Option<usize>) -> Sender {
        self.outbox.max = max;
        self
    }

    /// Where messages are put.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Ready when the call is over and sending is of no more use.
    pub fn poll_closed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.outbox.poll_closed(context)
    }

    /// Ends the call at once.
    pub fn cancel(self, status: Status) {
        self.outbox.cancel(status);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if self.outbox.is_closed() {
            return;
        }
        if std::thread::panicking() {
            // Half of a stream must not pass for the whole.
            self.outbox.cancel(Status::new(Code::Cancelled, "the stream of requests panicked"));
        } else {
            self.outbox.half_close();
        }
    }
}

/// The direction towards the application: headers, messages, and how the call ended.
///
/// A client's receiver, dropped before the call is over, cancels it.
#[derive(Debug)]
pub struct Receiver {
    mailbox: Arc<Mailbox>,
    slot: Arc<Slot>,
    /// Messages picked up together, to be taken one by one.
    local: Messages,
    /// Taken, and not yet reported to the connection.
    taken: Taken,
    /// Bytes that were reported, and that the application may still have in hand.
    in_hand: usize,
    client: bool,
    /// Client: hears how the call ends, for the load balancing policy.
    done: Option<Done>,
    /// The longest message that the service config allows, and how the call ends when one was longer.
    max: usize,
    refused: Option<Status>,
    /// The attempts of which one is to be received: until then nothing is here.
    promised: Option<Box<Promised>>,
    /// Hears how the call ends, for the retry policy.
    rpc: Option<Box<(Rpc, AttemptId)>>,
}

/// A receiver that is to come.
#[derive(Debug)]
struct Promised {
    receiver: oneshot::Receiver<Result<Receiver, Status>>,
    task: AbortHandle,
}

impl Receiver {
    pub(crate) fn of_client(mailbox: Arc<Mailbox>, slot: Arc<Slot>, done: Done) -> Receiver {
        Receiver::new(mailbox, slot, Some(done))
    }

    pub(crate) fn of_server(mailbox: Arc<Mailbox>, slot: Arc<Slot>) -> Receiver {
        Receiver::new(mailbox, slot, None)
    }

    fn new(mailbox: Arc<Mailbox>, slot: Arc<Slot>, done: Option<Done>) -> Receiver {
        Receiver {
            mailbox,
            slot,
            local: Messages::default(),
            taken: Taken::default(),
            in_hand: 0,
            client: done.is_some(),
            done,
            max: usize::MAX,
            refused: None,
            promised: None,
            rpc: None,
        }
    }

    /// That of a call whose attempts are made by a task, which sends the receiver of one of them.
    pub(crate) fn promised(receiver: oneshot::Receiver<Result<Receiver, Status>>, task: AbortHandle) -> Receiver {
        // Of no connection: nothing comes there.
        let mailbox = Arc::new(Mailbox::new(&Limits::default()));
        let mut promise = Receiver::of_client(mailbox, Arc::default(), Done::default());
        promise.promised = Some(Box::new(Promised { receiver, task }));
        promise
    }

    /// The same for messages that are no longer than this.
    pub(crate) fn bounded(mut self, max: Option<usize>) -> Receiver {
        self.max = max.unwrap_or(usize::MAX);
        self
    }

    /// These headers were taken out already; how the call ends is this attempt's end.
    pub(crate) fn begun(&mut self, headers: Metadata, rpc: Rpc, attempt: AttemptId) {
        self.slot.lock().headers = Some(headers);
        self.rpc = Some(Box::new((rpc, attempt)));
    }

    /// This end was taken out already.
    pub(crate) fn ended(&mut self, closed: Box<Closed>) {
        self.slot.lock().closed = Some(closed);
    }

    /// Waits until there is something to be received at all.
    fn poll_promised(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(promised) = &mut self.promised else { return Poll::Ready(()) };
        if self.slot.is_closed() {
            // It was cancelled before it came.
            self.promised = None;
            return Poll::Ready(());
        }
        let result = ready!(Pin::new(&mut promised.receiver).poll(context));
        self.promised = None;
        let lost = || Err(Status::new(Code::Unavailable, "the runtime was shut down"));
        match result.unwrap_or_else(|_| lost()) {
            Ok(receiver) => *self = receiver.bounded((self.max < usize::MAX).then_some(self.max)),
            Err(status) => self.slot.close(Box::new(over(status, true)), None, &mut Vec::new()),
        }
        Poll::Ready(())
    }

    /// Client: initial metadata, once; `None` when the call ended without.
    pub fn poll_headers(&mut self, context: &mut Context<'_>) -> Poll<Option<Metadata>> {
        ready!(self.poll_promised(context));
        let mut inbox = self.slot.lock();
        if inbox.headers.is_some() || inbox.closed.is_some() {
            return Poll::Ready(inbox.headers.take());
        }
        // Headers come before any message.
        let _ = inbox.wait(Until::Next, context);
        Poll::Pending
    }

    /// The next message; `None` when there are no more, and then [`poll_closed`](Receiver::poll_closed) tells a client
    /// why. Taking a message lets the peer send more.
    #[inline]
    pub fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            // Nearly always there is one at hand, or there is much to do first.
            if let Some(message) = self.local.next() {
                self.take(&message);
                return Poll::Ready(self.allowed(message));
            }
            if !ready!(self.poll_arrivals(context)) {
                return Poll::Ready(None);
            }
        }
    }

    /// Takes messages that came together with the one taken last, as [`poll_message`](Receiver::poll_message) would:
    /// none is larger than 2 KiB.
    pub fn small_at_hand(&mut self) -> impl Iterator<Item = Bytes> {
        std::iter::from_fn(|| {
            let message = self.local.next_of_run()?;
            self.take(&message);
            self.allowed(message)
        })
    }

    /// The message, if it is no longer than the service config allows: else the call is over.
    #[inline]
    fn allowed(&mut self, message: Bytes) -> Option<Bytes> {
        if message.len() > self.max {
            self.refuse(message.len());
            return None;
        }
        Some(message)
    }

    #[cold]
    fn refuse(&mut self, len: usize) {
        if let Err(status) = too_large("Received", len, Some(self.max)) {
            self.cancel(status.clone());
            self.refused = Some(status);
        }
        // What has come behind it is not taken any more.
        let unread = std::mem::take(&mut self.local);
        self.taken.add_all(unread.total());
        self.tell_taken();
    }

    #[inline]
    fn take(&mut self, message: &Bytes) {
        self.taken.add(message);
        if self.taken.window() >= RELEASE_STEP {
            self.tell_in_hand();
        }
    }

    /// Picks up what has arrived; says whether there is or will be anything.
    fn poll_arrivals(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        ready!(self.poll_promised(context));
        if self.refused.is_some() {
            return Poll::Ready(false);
        }
        let mut inbox = self.slot.lock();
        if !inbox.messages.is_empty() {
            std::mem::swap(&mut inbox.messages, &mut self.local);
            return Poll::Ready(true);
        }
        if inbox.closed.is_some() || inbox.half_closed {
            return Poll::Ready(false);
        }
        let awaited = inbox.wait(Until::Next, context);
        drop(inbox);
        self.tell_taken();
        if awaited {
            self.want();
        }
        Poll::Pending
    }

    /// Server: all messages together, once the client has sent its last or the call is over.
    pub fn poll_all(&mut self, context: &mut Context<'_>) -> Poll<Messages> {
        let mut inbox = self.slot.lock();
        if !inbox.half_closed && inbox.closed.is_none() {
            let awaited = inbox.wait(Until::Last, context);
            drop(inbox);
            if awaited {
                self.want();
            }
            return Poll::Pending;
        }
        let messages = std::mem::take(&mut inbox.messages);
        drop(inbox);
        self.taken.add_all(messages.total());
        self.tell_in_hand();
        Poll::Ready(messages)
    }

    /// Server: whether the client has sent its last message. Otherwise an end of messages is the end of the call.
    pub fn is_whole(&self) -> bool {
        self.slot.lock().half_closed
    }

    /// The request of a call that is over, when the server certainly did nothing for it.
    pub(crate) fn take_unprocessed(&self) -> Option<Box<Open>> {
        self.slot.lock().unprocessed.take()
    }

    /// Client: waits for the whole answer of a call with one response. Dropped, it cancels the call.
    pub fn answer(self) -> impl Future<Output = Answered> {
        Unary { receiver: self }
    }

    /// How the call ended, once; later and for a server that has not been told, an empty `CANCELLED`.
    pub fn poll_closed(&mut self, context: &mut Context<'_>) -> Poll<Box<Closed>> {
        ready!(self.poll_promised(context));
        let mut inbox = self.slot.lock();
        if let Some(closed) = inbox.closed.as_mut() {
            let told = over(Status::from(Code::Cancelled), false);
            let mut closed = Box::new(std::mem::replace(&mut **closed, told));
            drop(inbox);
            if let Some(done) = self.done.take() {
                done.end(&balancer::End { code: Some(closed.status.code), trailers: Some(&closed.trailers) });
            }
            if let Some(rpc) = self.rpc.take() {
                settle(*rpc, &closed);
            }
            if let Some(status) = self.refused.take() {
                closed.status = status;
            }
            return Poll::Ready(closed);
        }
        let awaited = inbox.wait(Until::Last, context);
        drop(inbox);
        if awaited {
            self.want();
        }
        Poll::Pending
    }

    /// Whether the call is over, whatever is left to be taken.
    pub fn is_closed(&self) -> bool {
        self.slot.is_closed()
    }

    /// Ends the call at once.
    pub fn cancel(&self, status: Status) {
        if let Some(promised) = &self.promised {
            promised.task.abort();
            return self.slot.close(Box::new(over(status, true)), None, &mut Vec::new());
        }
        if !self.slot.is_closed() {
            let _ = self.mailbox.post(Command::Cancel(Arc::clone(&self.slot), status));
        }
    }

    /// Has the connection let in the message that is waited for.
    fn want(&self) {
        let _ = self.mailbox.post(Command::Want(Arc::clone(&self.slot)));
    }

    /// The application comes for more, or goes: it is done with what it has taken.
    fn tell_taken(&mut self) {
        // The windows of a call that is over are settled already.
        let (taken, in_hand) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.in_hand));
        if (taken.messages > 0 || in_hand > 0) && !self.slot.is_closed() {
            self.mailbox.release(&self.slot, taken, in_hand);
        }
    }

    /// The application goes to work with what it has taken.
    fn tell_in_hand(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.in_hand = taken.bytes;
        if taken.messages > 0 && !self.slot.is_closed() {
            self.mailbox.take_up(&self.slot, taken);
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(promised) = self.promised.take() {
            // The attempts under way are cancelled as they are dropped.
            return promised.task.abort();
        }
        if self.slot.is_closed() {
            return;
        }
        if self.client {
            if let Some(done) = self.done.take() {
                done.end(&balancer::End { code: Some(Code::Cancelled), trailers: None });
            }
            return self.cancel(Status::new(Code::Cancelled, "Locally cancelled by application!"));
        }
        let mut inbox = self.slot.lock();
        inbox.discard = true;
        let unread = std::mem::take(&mut inbox.messages);
        drop(inbox);
        self.taken.add_all(self.local.total());
        self.taken.add_all(unread.total());
        self.tell_taken();
    }
}

/// The answer to a unary call, whole.
#[derive(Debug)]
pub struct Answered {
    /// Initial metadata; empty when the call ended without.
    pub headers: Metadata,
    /// The messages that came; a server that keeps to the contract sent one, or none with a status that is not OK.
    pub messages: Messages,
    /// How the call ended.
    pub closed: Box<Closed>,
    /// The request, when the server certainly did nothing for it.
    pub(crate) unprocessed: Option<Box<Open>>,
}

impl Answered {
    /// The same, unless a message is longer than this.
    fn bounded(mut self, max: usize) -> Answered {
        let len = self.messages.clone().map(|message| message.len()).find(|len| *len > max);
        if let Some(Err(status)) = len.map(|len| too_large("Received", len, Some(max))) {
            self.closed.status = status;
            self.messages = Messages::default();
        }
        self
    }
}

/// How a call ends that no connection has ended.
fn over(status: Status, unprocessed: bool) -> Closed {
    Closed { status, trailers: Metadata::new(), completed: false, unprocessed, unsent: unprocessed }
}

/// Tells a call's policy how it ended.
fn settle((mut rpc, attempt): (Rpc, AttemptId), closed: &Closed) {
    let Closed { status, trailers, completed, .. } = closed;
    let end = End { code: status.code, trailers, completed: *completed, seen: Seen::Perhaps };
    rpc.handle_ended(attempt, end, Instant::now());
}

/// A unary call under way. Dropped, it cancels the call.
#[derive(Debug)]
struct Unary {
    receiver: Receiver,
}

impl Future for Unary {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        // One wake and one lock for the whole answer.
        let closed = ready!(self.receiver.poll_closed(context));
        let mut inbox = self.receiver.slot.lock();
        let answered = Answered {
            headers: inbox.headers.take().unwrap_or_default(),
            messages: std::mem::take(&mut inbox.messages),
            closed,
            unprocessed: inbox.unprocessed.take(),
        };
        let max = self.receiver.max;
        Poll::Ready(if max == usize::MAX { answered } else { answered.bounded(max) })
    }
}
