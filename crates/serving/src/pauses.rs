//! How long accepting pauses when the system refuses it.

use std::time::Duration;

use crate::limits::{FIRST_PAUSE, LONGEST_PAUSE};

/// Pauses that double from one refusal to the next.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Pauses {
        Pauses { next: FIRST_PAUSE }
    }
}

impl Pauses {
    pub(crate) fn handle_accepted(&mut self) {
        self.next = FIRST_PAUSE;
    }

    pub(crate) fn handle_refused(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_an_accepted_connection() {
        let mut pauses = Pauses::default();
        let first: Vec<u128> = (0..10).map(|_| pauses.handle_refused().as_millis()).collect();
        assert_eq!(first, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        pauses.handle_accepted();
        assert_eq!(pauses.handle_refused(), FIRST_PAUSE);
    }
}
