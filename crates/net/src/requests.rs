//! A stream of requests that may have to be sent again: its sender puts them here, and each attempt pulls them.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use farcall_channel::call::{Budget, Cursor, Piece, Replay};
use farcall_core::Status;
use farcall_engine::Run;

use crate::slot::{SEND_LIMIT, remember};

/// Requests that were sent together, and whether they may be compressed.
#[derive(Clone, Debug)]
pub(crate) enum Batch {
    Message(Bytes, bool),
    Run(Run, bool),
}

impl Batch {
    /// What it holds, in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Batch::Message(message, _) => message.len(),
            Batch::Run(run, _) => run.wire_len(),
        }
    }
}

/// The requests of one call, between its sender and its attempts.
#[derive(Debug)]
pub(crate) struct Requests {
    /// The call is over. Set with the lock, asked without.
    over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    replay: Replay<Batch>,
    /// How far the attempt has come that has sent the most.
    furthest: Cursor,
    /// More was sent than is kept, and no attempt has been chosen yet.
    overflow: bool,
    cancelled: Option<Status>,
    sender: Option<Waker>,
    guard: Option<Waker>,
    attempts: Option<Waker>,
}

impl Requests {
    /// An empty stream of which `most` bytes are kept.
    pub(crate) fn new(most: usize, budget: &Arc<Budget>) -> Requests {
        let state = State {
            replay: Replay::new(most, Some(Arc::clone(budget))),
            furthest: Cursor::default(),
            overflow: false,
            cancelled: None,
            sender: None,
            guard: None,
            attempts: None,
        };
        Requests { over: AtomicBool::new(false), state: Mutex::new(state) }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    // The sender's side.

    /// Ready when another message may be sent, or none will be.
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if self.is_over() || !state.overflow && state.replay.ahead(state.furthest) < SEND_LIMIT {
            return Poll::Ready(());
        }
        remember(&mut state.sender, context);
        Poll::Pending
    }

    /// Ready when the call is over.
    pub(crate) fn poll_over(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if self.is_over() {
            return Poll::Ready(());
        }
        remember(&mut state.guard, context);
        Poll::Pending
    }

    pub(crate) fn push(&self, batch: Batch) {
        let len = batch.len();
        self.change(|state| state.overflow |= !state.replay.push(batch, len));
    }

    pub(crate) fn half_close(&self) {
        self.change(|state| state.replay.half_close());
    }

    pub(crate) fn cancel(&self, status: Status) {
        self.change(|state| state.cancelled = Some(status));
    }

    /// Changes something that the attempts wait for.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.lock();
            change(&mut state);
            state.attempts.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    // The attempts' side.

    /// What comes next behind a cursor.
    pub(crate) fn poll_next(&self, cursor: &mut Cursor, context: &mut Context<'_>) -> Poll<Piece<Batch>> {
        let mut state = self.lock();
        let Some(piece) = state.replay.next(cursor) else {
            remember(&mut state.attempts, context);
            return Poll::Pending;
        };
        if state.furthest >= *cursor {
            return Poll::Ready(piece);
        }
        state.furthest = *cursor;
        let room = state.replay.ahead(*cursor) < SEND_LIMIT;
        let waker = state.sender.take_if(|_| room);
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Poll::Ready(piece)
    }

    /// Whether the sender has given up, and why.
    pub(crate) fn poll_cancelled(&self, context: &mut Context<'_>) -> Poll<Status> {
        let mut state = self.lock();
        match state.cancelled.take() {
            Some(status) => Poll::Ready(status),
            None => {
                remember(&mut state.attempts, context);
                Poll::Pending
            }
        }
    }

    /// Whether more was sent than is kept, and no attempt has been chosen yet.
    pub(crate) fn has_overflown(&self) -> bool {
        self.lock().overflow
    }

    /// The attempt with this cursor is the call's, and nothing is sent again.
    pub(crate) fn commit(&self, winner: Cursor) {
        let waker = {
            let mut state = self.lock();
            state.replay.commit(winner);
            (state.furthest, state.overflow) = (winner, false);
            state.sender.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }

    /// The call is over.
    pub(crate) fn close(&self) {
        let wakers = {
            let mut state = self.lock();
            self.over.store(true, Ordering::Release);
            [state.sender.take(), state.guard.take()]
        };
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half-way, so a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests(most: usize) -> Requests {
        Requests::new(most, &Arc::new(Budget::new(1 << 20)))
    }

    fn message(len: usize) -> Batch {
        Batch::Message(Bytes::from(vec![0; len]), true)
    }

    #[test]
    fn the_sender_waits_for_the_attempt_that_has_sent_the_most() {
        let (requests, mut context) = (requests(1 << 20), Context::from_waker(Waker::noop()));
        requests.push(message(SEND_LIMIT - 1));
        assert!(requests.poll_room(&mut context).is_ready());
        requests.push(message(1));
        assert!(requests.poll_room(&mut context).is_pending());
        let (mut first, mut second) = (Cursor::default(), Cursor::default());
        assert!(requests.poll_next(&mut first, &mut context).is_ready());
        assert!(requests.poll_room(&mut context).is_ready());
        assert!(requests.poll_next(&mut second, &mut context).is_ready());
        assert!(requests.poll_next(&mut second, &mut context).is_ready());
        assert!(requests.poll_next(&mut second, &mut context).is_pending());
    }

    #[test]
    fn past_what_is_kept_the_sender_waits_until_an_attempt_is_chosen() {
        let (requests, mut context) = (requests(10), Context::from_waker(Waker::noop()));
        requests.push(message(10));
        assert!(!requests.has_overflown() && requests.poll_room(&mut context).is_ready());
        requests.push(message(1));
        assert!(requests.has_overflown() && requests.poll_room(&mut context).is_pending());
        requests.commit(Cursor::default());
        assert!(!requests.has_overflown() && requests.poll_room(&mut context).is_ready());
    }

    #[test]
    fn a_call_that_is_over_takes_anything_and_says_so() {
        let (requests, mut context) = (requests(1 << 20), Context::from_waker(Waker::noop()));
        requests.push(message(SEND_LIMIT));
        assert!(requests.poll_room(&mut context).is_pending() && requests.poll_over(&mut context).is_pending());
        requests.close();
        assert!(requests.poll_room(&mut context).is_ready() && requests.poll_over(&mut context).is_ready());
    }
}
