use std::{sync::Arc, time::Instant};

use farcall_core::{Code, Metadata};

use super::{AttemptId, Throttle, Verdict, pushback::Pushback};
use crate::{HedgingPolicy, MethodConfig};

/// One call under a hedging policy (gRFC A6): attempts beside each other, the first good one of which wins.
#[derive(Debug)]
pub(super) struct Hedging {
    method: Arc<MethodConfig>,
    throttle: Option<Arc<Throttle>>,
    /// Attempts under way. They and those in `again` are never more than the policy allows.
    live: Vec<Hedge>,
    /// Attempts that no server has looked at, to be made again at once.
    again: Vec<Again>,
    /// Attempts under way that another has beaten, to be cancelled.
    losers: Vec<AttemptId>,
    /// Attempts that have begun and count.
    begun: u32,
    /// When the next begins; `None` when no more do.
    next: Option<Instant>,
}

#[derive(Debug)]
struct Hedge {
    id: AttemptId,
    /// The attempts that began before it.
    previous: u32,
}

#[derive(Debug)]
struct Again {
    previous: u32,
    elsewhere: bool,
}

impl Hedging {
    pub(super) fn new(method: &Arc<MethodConfig>, throttle: Option<&Arc<Throttle>>) -> Option<Hedging> {
        let most = method.hedging.as_ref()?.max_attempts as usize;
        Some(Hedging {
            method: Arc::clone(method),
            throttle: throttle.cloned(),
            live: Vec::with_capacity(most),
            again: Vec::new(),
            losers: Vec::new(),
            begun: 0,
            next: None,
        })
    }

    /// An attempt that is due, with the number of those before it and whether it goes elsewhere; it is named `id`.
    pub(super) fn begin(&mut self, id: AttemptId, now: Instant) -> Option<(u32, bool)> {
        let Again { previous, elsewhere } = self.again.pop().or_else(|| self.due(now))?;
        self.live.push(Hedge { id, previous });
        Some((previous, elsewhere))
    }

    fn due(&mut self, now: Instant) -> Option<Again> {
        let policy = self.method.hedging.as_ref()?;
        if self.begun > 0 {
            self.next.filter(|at| *at <= now)?;
            // The last hope of a call is not throttled: its failures were, when they came.
            if !self.live.is_empty() && self.throttle.as_ref().is_some_and(|throttle| !throttle.allows()) {
                self.next = None;
                return None;
            }
        }
        let previous = self.begun;
        self.begun += 1;
        self.next = now.checked_add(policy.delay).filter(|_| self.begun < policy.max_attempts);
        Some(Again { previous, elsewhere: false })
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn is_live(&self, id: AttemptId) -> bool {
        self.live.iter().any(|hedge| hedge.id == id)
    }

    /// An attempt has ended without the server's having looked at it, and goes again.
    pub(super) fn handle_unseen(&mut self, id: AttemptId, elsewhere: bool) {
        if let Some(index) = self.live.iter().position(|hedge| hedge.id == id) {
            let previous = self.live.swap_remove(index).previous;
            self.again.push(Again { previous, elsewhere });
        }
    }

    /// An attempt has ended that the server may have worked on. `fatal`: this side has given up, whatever the policy.
    pub(super) fn handle_ended(
        &mut self,
        id: AttemptId,
        code: Code,
        trailers: &Metadata,
        fatal: bool,
        now: Instant,
    ) -> Verdict {
        self.live.retain(|hedge| hedge.id != id);
        let pushback = Pushback::of(trailers);
        let nonfatal = self.policy().is_some_and(|policy| policy.codes.contains(&code));
        let failed = nonfatal || pushback == Some(Pushback::Never);
        let allowed = match &self.throttle {
            Some(throttle) if code == Code::Ok => {
                throttle.succeed();
                true
            }
            Some(throttle) if failed => throttle.fail(),
            _ => true,
        };
        if fatal || !nonfatal {
            return Verdict::Deliver;
        }
        self.next = self.next.filter(|_| allowed).and_then(|_| match pushback {
            None => Some(now),
            Some(Pushback::After(delay)) => now.checked_add(delay),
            Some(Pushback::Never) => None,
        });
        match self.next {
            Some(at) => Verdict::Again(at),
            None if self.live.is_empty() && self.again.is_empty() => Verdict::Deliver,
            None => Verdict::Lost,
        }
    }

    /// One attempt has won: no other begins, and those under way have lost.
    pub(super) fn commit(&mut self, winner: AttemptId) {
        self.next = None;
        self.again.clear();
        self.losers.extend(self.live.iter().map(|hedge| hedge.id).filter(|id| *id != winner));
        self.live.retain(|hedge| hedge.id == winner);
    }

    pub(super) fn poll_cancel(&mut self) -> Option<AttemptId> {
        self.losers.pop()
    }

    fn policy(&self) -> Option<&HedgingPolicy> {
        self.method.hedging.as_ref()
    }
}
