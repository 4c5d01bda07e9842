use std::time::Instant;

use farcall_core::Metadata;

use super::{Attempt, AttemptId, Cursor, End, Piece, Replay, Rpc, Seen, Verdict};
use crate::Refusal;

/// The attempts at one call, and what each has sent of its requests: [`Rpc`] and [`Replay`] for hands that keep both at one
/// place.
///
/// `A` is the hands' handle of an attempt that is on a connection, and `M` their message.
///
/// ```
/// use std::time::Instant;
///
/// use farcall_channel::call::{Attempts, Piece, Replay, Rpc};
///
/// let (mut attempts, now) = (Attempts::new(Rpc::new(None), Replay::new(1024, None)), Instant::now());
/// attempts.push("a request", 9);
/// attempts.half_close();
/// // A connection was picked: the attempt that is due goes there, and sends what it has room for.
/// let attempt = attempts.begin(now).unwrap();
/// attempts.place(attempt.id, "stream 1");
/// assert_eq!(attempts.next(attempt.id, true), Some(Piece::Message("a request")));
/// assert_eq!(attempts.next(attempt.id, true), Some(Piece::HalfClose));
/// // Nothing is sent again once there are response headers.
/// assert!(attempts.handle_headers(attempt.id));
/// let winner = attempts.take_winner().unwrap();
/// assert_eq!((winner.id, winner.at), (attempt.id, "stream 1"));
/// ```
#[derive(Debug)]
pub struct Attempts<A, M> {
    rpc: Rpc,
    replay: Replay<M>,
    /// Those on connections.
    live: Vec<Live<A>>,
    /// One that has begun and waits for a connection.
    begun: Option<Attempt>,
    /// How far the one has come that has sent the most.
    furthest: Cursor,
    /// More was sent than is kept, and there is no attempt yet whose call it could be.
    overflow: bool,
}

#[derive(Debug)]
struct Live<A> {
    id: AttemptId,
    at: A,
    cursor: Cursor,
    /// It had no room when it was last asked for more to send.
    full: bool,
}

/// The attempt that a call has come down to, once it has sent all there was.
#[derive(Debug)]
pub struct Winner<A> {
    /// Hears how it ends.
    pub rpc: Rpc,
    /// Its name.
    pub id: AttemptId,
    /// Where it is.
    pub at: A,
}

impl<A, M: Clone> Attempts<A, M> {
    /// Those of a call that has not begun.
    pub fn new(rpc: Rpc, replay: Replay<M>) -> Attempts<A, M> {
        Attempts { rpc, replay, live: Vec::new(), begun: None, furthest: Cursor::default(), overflow: false }
    }

    // Where they are.

    /// The attempt that a connection was picked for; `None` when none is due. It is [placed](Attempts::place), or
    /// [ends](Attempts::handle_ended).
    pub fn begin(&mut self, now: Instant) -> Option<Attempt> {
        let attempt = self.begun.take().or_else(|| self.rpc.attempt(now))?;
        if self.rpc.is_committed() {
            // It is the last: what was sent is more than is kept.
            self.commit(Cursor::default());
        }
        Some(attempt)
    }

    /// The connection that was picked takes no calls: the attempt waits for another.
    pub fn put_back(&mut self, attempt: Attempt) {
        self.begun = Some(attempt);
    }

    /// An attempt is on a connection.
    pub fn place(&mut self, id: AttemptId, at: A) {
        self.live.push(Live { id, at, cursor: Cursor::default(), full: false });
    }

    /// When a connection is to be picked for another attempt, if nothing happens before. To be asked when one was placed.
    pub fn next_due(&mut self, now: Instant) -> Option<Instant> {
        if !self.rpc.hedges() || self.rpc.is_committed() {
            return None;
        }
        self.begun = self.begun.take().or_else(|| self.rpc.attempt(now));
        if self.begun.is_some() { Some(now) } else { self.rpc.poll_timeout() }
    }

    /// Whether one waits for a connection.
    pub fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    /// Whether one is on a connection.
    pub fn is_placed(&self) -> bool {
        !self.live.is_empty()
    }

    /// Those on connections.
    pub fn placed(&self) -> impl Iterator<Item = (AttemptId, &A)> {
        self.live.iter().map(|live| (live.id, &live.at))
    }

    /// One that has lost, to be cancelled. Ask until there is none, after anything was handled.
    pub fn poll_loser(&mut self) -> Option<A> {
        loop {
            let id = self.rpc.poll_cancel()?;
            if let Some(live) = self.remove(id) {
                return Some(live.at);
            }
        }
    }

    // What they send.

    /// The application sends a message of so many bytes.
    pub fn push(&mut self, message: M, bytes: usize) {
        if self.replay.push(message, bytes) {
            return;
        }
        let furthest = self.live.iter().max_by_key(|live| live.cursor).map(|live| (live.id, live.cursor));
        if let Some((id, cursor)) = furthest {
            self.rpc.handle_overflow(Some(id));
            self.commit(cursor);
        } else if self.rpc.has_plan() {
            self.rpc.handle_overflow(None);
            self.overflow = true;
        }
        // Without a policy, what was there before a call went anywhere is kept whatever it takes.
    }

    /// The application sends no more.
    pub fn half_close(&mut self) {
        self.replay.half_close();
    }

    /// What an attempt sends next: a message only where it has room. Ask until there is nothing.
    pub fn next(&mut self, id: AttemptId, has_room: bool) -> Option<Piece<M>> {
        let live = self.live.iter_mut().find(|live| live.id == id)?;
        live.full = !has_room;
        if !has_room && self.replay.has_message(live.cursor) {
            return None;
        }
        let piece = self.replay.next(&mut live.cursor)?;
        self.furthest = self.furthest.max(live.cursor);
        Some(piece)
    }

    /// Whether the application may send another message: the attempt that has sent the most has room, or there is none and
    /// less than `most` bytes wait for one.
    pub fn has_room(&self, most: usize) -> bool {
        match self.live.iter().max_by_key(|live| live.cursor) {
            Some(live) => !live.full,
            None => !self.overflow && self.replay.ahead(self.furthest) < most,
        }
    }

    // What is heard of them.

    /// One has response headers. Says whether they and all that follows are the call's.
    pub fn handle_headers(&mut self, id: AttemptId) -> bool {
        if !self.rpc.handle_headers(id) {
            return false;
        }
        if let Some(cursor) = self.live.iter().find(|live| live.id == id).map(|live| live.cursor) {
            self.commit(cursor);
        }
        true
    }

    /// One has ended: what that means, and where it was, if it had not lost before.
    pub fn handle_ended(&mut self, id: AttemptId, end: End<'_>, now: Instant) -> (Verdict, Option<A>) {
        let at = self.remove(id).map(|live| live.at);
        (self.rpc.handle_ended(id, end, now), at)
    }

    /// No connection could be picked for one. What the policy says counts, as if a server had given this status.
    pub fn handle_nowhere(&mut self, refusal: &Refusal, now: Instant) -> Verdict {
        if !refusal.may_retry {
            return Verdict::Deliver;
        }
        match self.begin(now) {
            Some(attempt) => {
                let Refusal { status, .. } = refusal;
                let end = End { code: status.code, trailers: &Metadata::new(), completed: false, seen: Seen::Perhaps };
                self.rpc.handle_ended(attempt.id, end, now)
            }
            // None is due any more, and others are under way.
            None if self.is_placed() => Verdict::Lost,
            None => Verdict::Deliver,
        }
    }

    /// The call is over: those on connections are to be cancelled.
    pub fn give_up(&mut self) -> impl Iterator<Item = A> + use<A, M> {
        self.rpc.give_up();
        self.begun = None;
        std::mem::take(&mut self.live).into_iter().map(|live| live.at)
    }

    /// Whether one of them is the call's, or the next will be: nothing is sent again.
    pub fn is_committed(&self) -> bool {
        self.rpc.is_committed()
    }

    /// The one that is the call's.
    pub fn winner(&self) -> Option<(AttemptId, &A)> {
        let winner = self.live.iter().find(|live| self.rpc.is_committed() && self.rpc.is_live(live.id))?;
        Some((winner.id, &winner.at))
    }

    /// The attempt that is the call's, once it has sent all there was: from then on it needs nothing from here. Losers are
    /// to be polled before.
    pub fn take_winner(&mut self) -> Option<Winner<A>> {
        let live = self.live.first()?;
        if self.live.len() > 1 || self.winner().is_none() || !self.replay.is_sent(live.cursor) {
            return None;
        }
        let Live { id, at, .. } = self.live.pop()?;
        Some(Winner { rpc: std::mem::take(&mut self.rpc), id, at })
    }

    fn commit(&mut self, winner: Cursor) {
        self.replay.commit(winner);
        (self.furthest, self.overflow, self.begun) = (winner, false, None);
    }

    fn remove(&mut self, id: AttemptId) -> Option<Live<A>> {
        let index = self.live.iter().position(|live| live.id == id)?;
        Some(self.live.swap_remove(index))
    }
}
