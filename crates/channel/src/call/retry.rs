use std::{sync::Arc, time::Instant};

use farcall_core::{Code, Metadata};

use super::{Throttle, pushback::Pushback};
use crate::{Backoff, MethodConfig};

/// One call under a retry policy (gRFC A6): one attempt after the other.
#[derive(Debug)]
pub(super) struct Retrying {
    method: Arc<MethodConfig>,
    throttle: Option<Arc<Throttle>>,
    /// Attempts that have ended and count.
    pub(super) ended: u32,
    backoff: Backoff,
    /// When the next attempt begins, while there is none.
    pub(super) at: Option<Instant>,
}

impl Retrying {
    pub(super) fn new(method: &Arc<MethodConfig>, throttle: Option<&Arc<Throttle>>, seed: u64) -> Option<Retrying> {
        let policy = method.retry.as_ref()?;
        let mut backoff = Backoff::new(seed);
        backoff.initial = policy.initial_backoff;
        backoff.max = policy.max_backoff;
        backoff.multiplier = policy.multiplier;
        Some(Retrying { method: Arc::clone(method), throttle: throttle.cloned(), ended: 0, backoff, at: None })
    }

    /// An attempt has ended that the server may have worked on: when the next begins, `None` when there is none.
    pub(super) fn handle_ended(
        &mut self,
        code: Code,
        trailers: &Metadata,
        can_repeat: bool,
        now: Instant,
    ) -> Option<Instant> {
        let policy = self.method.retry.as_ref()?;
        if code == Code::Ok {
            self.throttle.iter().for_each(|throttle| throttle.succeed());
            return None;
        }
        let pushback = Pushback::of(trailers);
        let retryable = policy.codes.contains(&code);
        if !retryable && pushback != Some(Pushback::Never) {
            return None;
        }
        let allowed = self.throttle.as_ref().is_none_or(|throttle| throttle.fail());
        self.ended += 1;
        if !allowed || !retryable || !can_repeat || self.ended >= policy.max_attempts {
            return None;
        }
        let delay = match pushback {
            None => self.backoff.advance(),
            Some(Pushback::After(delay)) => {
                self.backoff.reset();
                delay
            }
            Some(Pushback::Never) => return None,
        };
        // A time past the end of time is beyond any deadline.
        self.at = now.checked_add(delay);
        self.at
    }
}
