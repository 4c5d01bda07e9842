//! One call over its attempts (gRFC A6): transparent retries, retries, hedges, throttling, push-back.
//!
//! [`Rpc`] says when an attempt begins, whether what comes of it is the call's, and what becomes of the call when it
//! ends; [`Replay`] keeps what was sent, to be sent again. The hands open streams, and bring what they hear:
//!
//! ```
//! use std::time::Instant;
//!
//! use farcall_channel::call::{End, Rpc, Seen, Verdict};
//! use farcall_core::{Code, Metadata};
//!
//! let (mut rpc, now) = (Rpc::new(None), Instant::now());
//! // Whenever anything has happened, and at `poll_timeout`: begin what is due, and cancel what has lost.
//! let attempt = rpc.attempt(now).unwrap();
//! assert!(rpc.attempt(now).is_none() && rpc.poll_cancel().is_none());
//! // The server has refused it: it goes again, once.
//! let end = End { code: Code::Unavailable, trailers: &Metadata::new(), completed: false, seen: Seen::Refused };
//! assert_eq!(rpc.handle_ended(attempt.id, end, now), Verdict::Again(now));
//! let attempt = rpc.attempt(now).unwrap();
//! assert!(rpc.handle_headers(attempt.id), "they are the call's");
//! assert_eq!(rpc.handle_ended(attempt.id, End { code: Code::Ok, completed: true, ..end }, now), Verdict::Deliver);
//! ```
//!
//! Every call ends once: by one [`Verdict::Deliver`], or because its application gave it up. Deadlines are the hands':
//! a retry whose time lies past the deadline never begins, and `grpc-timeout` is what is left when an attempt does.

mod attempts;
mod hedge;
mod pushback;
mod replay;
mod retry;
mod throttle;
mod transparent;

use std::{sync::Arc, time::Instant};

use farcall_core::{Code, Metadata};

pub use self::{
    attempts::{Attempts, Winner},
    replay::{Budget, Cursor, Piece, Replay},
    retry::{PREVIOUS_ATTEMPTS, RetryConfig},
    throttle::Throttle,
    transparent::Seen,
};
use self::{hedge::Hedging, pushback::Pushback, retry::Retrying, transparent::Transparent};
use crate::MethodConfig;

/// The name of an attempt at a call: they are numbered as they begin.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AttemptId(pub u32);

/// An attempt to be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// Its name.
    pub id: AttemptId,
    /// Attempts before it that count. What [`PREVIOUS_ATTEMPTS`] tells the server, unless 0.
    pub previous: u32,
    /// Whether the connection of the attempt that it replaces takes no calls any more.
    pub elsewhere: bool,
}

/// How an attempt has ended.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// The status code.
    pub code: Code,
    /// Trailing metadata, in which the server may say when to come again.
    pub trailers: &'a Metadata,
    /// Whether the status is the server's.
    pub completed: bool,
    /// What the server may have seen of it, if the status is not its own.
    pub seen: Seen,
}

/// What the end of an attempt means to its call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The call ends with it. Other attempts under way have lost.
    Deliver,
    /// Nothing: another attempt begins then.
    Again(Instant),
    /// Nothing: another attempt is under way, or the call is over.
    Lost,
}

/// What a policy of the service config asks of one call.
#[derive(Debug)]
pub struct Plan(Kind);

#[derive(Debug)]
enum Kind {
    Retry(Retrying),
    Hedge(Hedging),
}

impl Plan {
    /// For a call of a method that has a retry or a hedging policy; `None` for one that has none. The seed moves the
    /// delays between attempts.
    pub fn new(method: &Arc<MethodConfig>, throttle: Option<&Arc<Throttle>>, seed: u64) -> Option<Box<Plan>> {
        let retry = Retrying::new(method, throttle, seed).map(Kind::Retry);
        let kind = retry.or_else(|| Hedging::new(method, throttle).map(Kind::Hedge))?;
        Some(Box::new(Plan(kind)))
    }

    /// Whether attempts may be under way beside each other.
    pub fn hedges(&self) -> bool {
        matches!(self.0, Kind::Hedge(_))
    }
}

/// One call over its attempts.
///
/// Without a plan it is two words, nothing is allocated, and one attempt is under way at a time.
#[derive(Debug, Default)]
pub struct Rpc {
    plan: Option<Box<Plan>>,
    /// Attempts that have begun.
    begun: u32,
    stage: Stage,
    transparent: Transparent,
    /// The next attempt is the last: what was sent is not kept.
    last: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
enum Stage {
    /// An attempt is due: the first, or one for another that no server has looked at.
    #[default]
    Due,
    /// The same, and its connection takes no calls.
    Elsewhere,
    /// None is under way; the plan knows when the next begins.
    Waiting,
    /// Attempts are under way, and none has won.
    Open,
    /// One has won.
    Committed,
    /// The call is over.
    Over,
}

impl Rpc {
    /// A call that has not begun.
    pub fn new(plan: Option<Box<Plan>>) -> Rpc {
        Rpc { plan, ..Rpc::default() }
    }

    /// An attempt that is due. Ask until there is none.
    pub fn attempt(&mut self, now: Instant) -> Option<Attempt> {
        let id = AttemptId(self.begun);
        let kind = self.plan.as_mut().map(|plan| &mut plan.0);
        let (previous, elsewhere) = match (self.stage, kind) {
            (Stage::Committed | Stage::Over, _) => return None,
            (_, Some(Kind::Hedge(hedging))) => hedging.begin(id, now)?,
            (Stage::Due | Stage::Elsewhere, None) => (0, self.stage == Stage::Elsewhere),
            (Stage::Due | Stage::Elsewhere, Some(Kind::Retry(retry))) => {
                (retry.ended(), self.stage == Stage::Elsewhere)
            }
            (Stage::Waiting, Some(Kind::Retry(retry))) => {
                retry.at.take_if(|at| *at <= now)?;
                (retry.ended(), false)
            }
            (Stage::Waiting | Stage::Open, _) => return None,
        };
        self.begun += 1;
        self.stage = Stage::Open;
        if self.last {
            self.commit(id);
        }
        Some(Attempt { id, previous, elsewhere })
    }

    /// When to ask for an [`attempt`](Rpc::attempt) again, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match (self.stage, self.plan.as_ref().map(|plan| &plan.0)) {
            (Stage::Waiting, Some(Kind::Retry(retry))) => retry.at,
            (Stage::Open, Some(Kind::Hedge(hedging))) => hedging.poll_timeout(),
            _ => None,
        }
    }

    /// An attempt that has lost, to be cancelled. What comes of it is dropped. Ask until there is none.
    pub fn poll_cancel(&mut self) -> Option<AttemptId> {
        match self.plan.as_mut().map(|plan| &mut plan.0) {
            Some(Kind::Hedge(hedging)) => hedging.poll_cancel(),
            _ => None,
        }
    }

    /// An attempt has response headers. Says whether they, and all that follows, are the call's: nothing is sent again
    /// then.
    pub fn handle_headers(&mut self, id: AttemptId) -> bool {
        if !self.is_live(id) {
            return false;
        }
        self.commit(id);
        true
    }

    /// What was sent is more than is kept. `furthest` is the attempt that has sent the most of it, if any is under way: it
    /// is the call's. Otherwise the next one is.
    pub fn handle_overflow(&mut self, furthest: Option<AttemptId>) {
        match furthest.filter(|id| self.is_live(*id)) {
            Some(id) => self.commit(id),
            None => self.last = true,
        }
    }

    /// An attempt has ended.
    pub fn handle_ended(&mut self, id: AttemptId, end: End<'_>, now: Instant) -> Verdict {
        if !self.is_live(id) {
            return Verdict::Lost;
        }
        let End { code, trailers, completed, seen } = end;
        let can_repeat = self.stage == Stage::Open;
        // The status of this side's own.
        let fatal = !completed && (matches!(code, Code::Cancelled | Code::DeadlineExceeded) || seen == Seen::Dropped);
        let unseen = can_repeat && !completed && code == Code::Unavailable;
        if let Some(elsewhere) = unseen.then(|| self.transparent.again(seen)).flatten() {
            match self.plan.as_mut().map(|plan| &mut plan.0) {
                Some(Kind::Hedge(hedging)) => hedging.handle_unseen(id, elsewhere),
                _ => self.stage = if elsewhere { Stage::Elsewhere } else { Stage::Due },
            }
            return Verdict::Again(now);
        }
        let verdict = match self.plan.as_mut().map(|plan| &mut plan.0) {
            Some(Kind::Retry(retry)) if !fatal => {
                retry.handle_ended(code, trailers, can_repeat, now).map_or(Verdict::Deliver, Verdict::Again)
            }
            Some(Kind::Hedge(hedging)) => hedging.handle_ended(id, code, trailers, fatal || !can_repeat, now),
            _ => Verdict::Deliver,
        };
        match verdict {
            Verdict::Deliver => {
                self.commit(id);
                self.stage = Stage::Over;
            }
            Verdict::Again(_) if !self.hedges() => self.stage = Stage::Waiting,
            Verdict::Again(_) | Verdict::Lost => {}
        }
        verdict
    }

    /// The application has given the call up, or its deadline has passed: it is over, and the hands cancel every attempt
    /// under way.
    pub fn give_up(&mut self) {
        self.stage = Stage::Over;
    }

    /// Whether what was sent may have to be sent again.
    pub fn is_committed(&self) -> bool {
        matches!(self.stage, Stage::Committed | Stage::Over)
    }

    /// Whether attempts may be under way beside each other.
    pub fn hedges(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.hedges())
    }

    /// Whether a policy has a word in what becomes of it.
    pub fn has_plan(&self) -> bool {
        self.plan.is_some()
    }

    fn commit(&mut self, winner: AttemptId) {
        self.stage = Stage::Committed;
        if let Some(Kind::Hedge(hedging)) = self.plan.as_mut().map(|plan| &mut plan.0) {
            hedging.commit(winner);
        }
    }

    fn is_live(&self, id: AttemptId) -> bool {
        match (self.stage, self.plan.as_ref().map(|plan| &plan.0)) {
            (Stage::Open | Stage::Committed, Some(Kind::Hedge(hedging))) => hedging.is_live(id),
            (Stage::Open | Stage::Committed, _) => id.0 + 1 == self.begun,
            _ => false,
        }
    }
}
