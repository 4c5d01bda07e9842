//! Where a connection's task leaves what arrived for one call, and where the application picks it up.

use std::{
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

use farcall_core::Metadata;
use farcall_engine::{CallId, Closed};

use crate::{mailbox::Open, messages::Messages};

/// Bytes of one call that may be under way between its [`Outbox`](crate::Outbox) and the engine before sending waits.
pub(crate) const SEND_LIMIT: usize = 64 << 10;

/// What is queued at once costs this besides its bytes, so that empty messages are bounded too.
const OVERHEAD: usize = 64;

/// One call, shared by the connection's task and the application.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// The engine's handle, once the call is open there.
    pub(crate) id: OnceLock<CallId>,
    /// [`cost`] of the messages that the application has sent and the engine has no room for yet.
    queued: AtomicUsize,
    /// Set with [`Inbox::closed`], to be asked without the lock.
    closed: AtomicBool,
    /// It is no call of the application, but a stream that the channel itself has opened.
    pub(crate) of_channel: bool,
    inbox: Mutex<Inbox>,
}

/// What arrived and was not picked up, and who waits for more.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub(crate) headers: Option<Metadata>,
    pub(crate) messages: Messages,
    /// Server: the client has sent its last message.
    pub(crate) half_closed: bool,
    pub(crate) closed: Option<Box<Closed>>,
    /// The request of a call that the server certainly did nothing for, given back so that it can go again.
    pub(crate) unprocessed: Option<Box<Open>>,
    /// The application wants no more messages: they go back to the peer's window at once.
    pub(crate) discard: bool,
    /// A message waits to be let in, and nobody waited for it.
    large: bool,
    receiver: Option<Waiter>,
    sender: Option<Waker>,
    guard: Option<Waker>,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    until: Until,
}

/// What a receiver waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// Whatever comes next.
    Next,
    /// The last message, or the end of the call: a unary call has no use for its parts.
    Last,
}

/// What `len` bytes of messages add to a call's queue.
pub(crate) fn cost(len: usize) -> usize {
    len + OVERHEAD
}

impl Slot {
    /// A slot of a call that the engine knows already.
    pub(crate) fn of(id: CallId) -> Slot {
        let slot = Slot::default();
        let _ = slot.id.set(id);
        slot
    }

    /// The slot of a stream of the channel's own.
    pub(crate) fn of_channel() -> Slot {
        Slot { of_channel: true, ..Slot::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inbox> {
        // Nothing under the lock can panic half-way, so a poisoned inbox is still whole.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    // The connection's side. Wakers are collected, and woken when the batch is done: one wake per turn.

    pub(crate) fn headers(&self, metadata: Metadata, wake: &mut Vec<Waker>) {
        let mut inbox = self.lock();
        inbox.headers = Some(metadata);
        inbox.wake_receiver(Until::Next, wake);
    }

    /// Has messages put where they are picked up. Says `false`, and does nothing, when nobody wants them.
    pub(crate) fn arrive(&self, put: impl FnOnce(&mut Messages), wake: &mut Vec<Waker>) -> bool {
        let mut inbox = self.lock();
        if inbox.discard {
            return false;
        }
        put(&mut inbox.messages);
        inbox.wake_receiver(Until::Next, wake);
        true
    }

    /// A message waits to be let in. Says whether somebody waits for it; else whoever does next is told.
    pub(crate) fn large(&self) -> bool {
        let mut inbox = self.lock();
        let awaited = inbox.discard || (inbox.receiver.is_some() && inbox.messages.is_empty());
        inbox.large = !awaited;
        awaited
    }

    pub(crate) fn half_closed(&self, wake: &mut Vec<Waker>) {
        let mut inbox = self.lock();
        inbox.half_closed = true;
        inbox.wake_receiver(Until::Last, wake);
    }

    pub(crate) fn close(&self, closed: Box<Closed>, unprocessed: Option<Box<Open>>, wake: &mut Vec<Waker>) {
        let mut inbox = self.lock();
        if inbox.closed.is_some() {
            return;
        }
        inbox.closed = Some(closed);
        inbox.unprocessed = unprocessed;
        self.closed.store(true, Ordering::Release);
        inbox.wake_receiver(Until::Last, wake);
        wake.extend(inbox.sender.take());
        wake.extend(inbox.guard.take());
    }

    /// The engine has room for what [cost] this much.
    pub(crate) fn sent(&self, cost: usize, wake: &mut Vec<Waker>) {
        let before = self.queued.fetch_sub(cost, Ordering::AcqRel);
        if before >= SEND_LIMIT && before - cost < SEND_LIMIT {
            wake.extend(self.lock().sender.take());
        }
    }

    // The application's side.

    /// So many bytes of messages are about to be posted.
    pub(crate) fn queue(&self, len: usize) {
        self.queued.fetch_add(cost(len), Ordering::AcqRel);
    }

    /// Ready when another message may be sent, or when the call is over and none will be.
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.queued.load(Ordering::Acquire) < SEND_LIMIT || self.is_closed() {
            return Poll::Ready(());
        }
        let mut inbox = self.lock();
        remember(&mut inbox.sender, context);
        // The room may have come between the look and the lock.
        if self.queued.load(Ordering::Acquire) < SEND_LIMIT || inbox.closed.is_some() {
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// Ready when the call is over, without taking anything.
    pub(crate) fn poll_closed(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_closed() {
            return Poll::Ready(());
        }
        let mut inbox = self.lock();
        if inbox.closed.is_some() {
            return Poll::Ready(());
        }
        remember(&mut inbox.guard, context);
        Poll::Pending
    }
}

impl Inbox {
    /// The caller's task is woken for what it waits for. Says whether the connection must know, for a message waits to
    /// be let in.
    #[must_use]
    pub(crate) fn wait(&mut self, until: Until, context: &mut Context<'_>) -> bool {
        match &mut self.receiver {
            Some(waiter) => {
                waiter.waker.clone_from(context.waker());
                waiter.until = until;
            }
            None => self.receiver = Some(Waiter { waker: context.waker().clone(), until }),
        }
        self.messages.is_empty() && std::mem::take(&mut self.large)
    }

    /// Something has come: the last there will be, or not.
    fn wake_receiver(&mut self, came: Until, wake: &mut Vec<Waker>) {
        let waiter = self.receiver.take_if(|waiter| came == Until::Last || waiter.until == Until::Next);
        wake.extend(waiter.map(|waiter| waiter.waker));
    }
}

/// Keeps the waker of this context; `clone_from` costs nothing when it is the same one.
pub(crate) fn remember(place: &mut Option<Waker>, context: &mut Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(context.waker()),
        None => *place = Some(context.waker().clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use farcall_core::{Code, Metadata, Status};
    use farcall_engine::Closed;

    use super::{SEND_LIMIT, Slot, Until, cost};

    fn closed() -> Box<Closed> {
        let status = Status::from(Code::Cancelled);
        Box::new(Closed { status, trailers: Metadata::new(), completed: false, unprocessed: false, unsent: false })
    }

    #[test]
    fn sending_waits_at_the_limit_and_goes_on_below_it() {
        let (slot, mut context) = (Slot::default(), Context::from_waker(Waker::noop()));
        slot.queue(SEND_LIMIT - cost(0) - 1);
        assert_eq!(slot.poll_room(&mut context), Poll::Ready(()));
        slot.queue(1);
        assert_eq!(slot.poll_room(&mut context), Poll::Pending);
        let mut wake = Vec::new();
        slot.sent(cost(0), &mut wake);
        assert!(wake.is_empty(), "it is full still");
        slot.sent(1, &mut wake);
        assert_eq!(wake.len(), 1);
        assert_eq!(slot.poll_room(&mut context), Poll::Ready(()));
    }

    #[test]
    fn a_message_that_waits_to_be_let_in_is_told_once_to_whoever_waits_for_it() {
        let (slot, mut context) = (Slot::default(), Context::from_waker(Waker::noop()));
        assert!(!slot.large(), "nobody waits");
        assert!(slot.lock().wait(Until::Next, &mut context));
        assert!(!slot.lock().wait(Until::Next, &mut context), "it is known");
        assert!(slot.large(), "somebody waits");
        let mut wake = Vec::new();
        assert!(slot.arrive(|messages| messages.push("before".into()), &mut wake));
        assert!(!slot.large(), "not for this one");
        slot.lock().messages.next();
        assert!(slot.lock().wait(Until::Next, &mut context));
    }

    #[test]
    fn the_end_of_a_call_wakes_everyone_once() {
        let (slot, mut context) = (Slot::default(), Context::from_waker(Waker::noop()));
        slot.queue(SEND_LIMIT);
        assert_eq!(slot.poll_room(&mut context), Poll::Pending);
        assert_eq!(slot.poll_closed(&mut context), Poll::Pending);
        assert!(!slot.lock().wait(Until::Last, &mut context));
        let mut wake = Vec::new();
        assert!(slot.arrive(|messages| messages.push("part".into()), &mut wake));
        assert!(wake.is_empty(), "a unary call has no use for its parts");
        slot.close(closed(), None, &mut wake);
        assert_eq!(wake.len(), 3);
        assert_eq!(slot.poll_room(&mut context), Poll::Ready(()));
        assert_eq!(slot.poll_closed(&mut context), Poll::Ready(()));
        slot.close(closed(), None, &mut wake);
        assert_eq!(wake.len(), 3);
    }
}
