use std::{sync::Arc, time::Instant};

use farcall_core::{Code, Metadata};

use super::Throttle;
use crate::{Attempt, MethodConfig, Retry};

/// One call under a retry policy (gRFC A6): one attempt after the other.
#[derive(Debug)]
pub(super) struct Retrying {
    retry: Retry,
    /// When the next attempt begins, while there is none.
    pub(super) at: Option<Instant>,
}

impl Retrying {
    pub(super) fn new(method: &Arc<MethodConfig>, throttle: Option<&Arc<Throttle>>, seed: u64) -> Option<Retrying> {
        Some(Retrying { retry: Retry::new(method, throttle, seed)?, at: None })
    }

    /// Attempts that have ended and count.
    pub(super) fn ended(&self) -> u32 {
        self.retry.ended()
    }

    /// An attempt has ended that the server may have worked on: when the next begins, `None` when there is none.
    pub(super) fn handle_ended(
        &mut self,
        code: Code,
        trailers: &Metadata,
        can_repeat: bool,
        now: Instant,
    ) -> Option<Instant> {
        let delay = self.retry.handle_ended(Attempt { code, trailers, can_repeat })?;
        // A time past the end of time is beyond any deadline.
        self.at = now.checked_add(delay);
        self.at
    }
}
