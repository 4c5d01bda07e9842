//! Counts what a peer may do only so often. The bounds are in [`Limits`].

use std::{collections::VecDeque, time::Instant};

use crate::{
    Limits,
    error::{ErrorCode, Fault},
};

#[derive(Debug)]
pub(crate) struct Floods {
    /// Where in the output the frames end that were sent because the peer made this side, and are not written yet.
    induced: VecDeque<u64>,
    resets_left: u32,
    refilled: Instant,
    empty: u32,
}

const fn calm(what: &'static str) -> Fault {
    Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM, what)
}

impl Floods {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Floods {
        Floods { induced: VecDeque::new(), resets_left: limits.resets, refilled: now, empty: 0 }
    }

    /// A frame goes out that the peer made this side send; `written` and `end` are positions of the output.
    pub(crate) fn induced(&mut self, written: u64, end: u64, limits: &Limits) -> Result<(), Fault> {
        while self.induced.front().is_some_and(|end| *end <= written) {
            self.induced.pop_front();
        }
        self.induced.push_back(end);
        if self.induced.len() > limits.induced_frames as usize {
            return Err(calm("too many frames to answer, and the answers are not read"));
        }
        Ok(())
    }

    /// A stream was reset by a client, or because of what it did.
    pub(crate) fn reset(&mut self, limits: &Limits, now: Instant) -> Result<(), Fault> {
        let elapsed = now.saturating_duration_since(self.refilled);
        let refill = elapsed.as_micros() * u128::from(limits.resets_per_second) / 1_000_000;
        if refill > 0 {
            let refill = u32::try_from(refill).unwrap_or(u32::MAX);
            self.resets_left = self.resets_left.saturating_add(refill).min(limits.resets);
            self.refilled = now;
        }
        match self.resets_left.checked_sub(1) {
            Some(left) => self.resets_left = left,
            None => return Err(calm("too many streams reset")),
        }
        Ok(())
    }

    /// A call was answered in full.
    pub(crate) fn answered(&mut self, limits: &Limits) {
        self.resets_left = self.resets_left.saturating_add(1).min(limits.resets);
    }

    /// A DATA frame without data.
    pub(crate) fn empty_frame(&mut self, limits: &Limits) -> Result<(), Fault> {
        self.empty += 1;
        if self.empty > limits.empty_frames { Err(calm("too many empty DATA frames")) } else { Ok(()) }
    }

    /// A DATA frame with data.
    pub(crate) fn full_frame(&mut self) {
        self.empty = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Floods;
    use crate::Limits;

    #[test]
    fn induced_frames_at_the_limit_and_one_past() {
        let limits = Limits { induced_frames: 3, ..Limits::default() };
        let mut floods = Floods::new(&limits, Instant::now());
        for i in 0..3 {
            floods.induced(0, 10 * i + 10, &limits).unwrap();
        }
        assert!(floods.induced(0, 40, &limits).is_err());
    }

    #[test]
    fn induced_frames_that_are_read_do_not_count() {
        let limits = Limits { induced_frames: 3, ..Limits::default() };
        let mut floods = Floods::new(&limits, Instant::now());
        for i in 0..100u64 {
            floods.induced(10 * i, 10 * i + 10, &limits).unwrap();
        }
        // Two behind, all the time.
        for i in 100..200u64 {
            floods.induced(10 * i - 20, 10 * i + 10, &limits).unwrap();
        }
    }

    #[test]
    fn resets_at_the_limit_and_one_past_and_back() {
        let limits = Limits { resets: 2, resets_per_second: 10, ..Limits::default() };
        let start = Instant::now();
        let mut floods = Floods::new(&limits, start);
        floods.reset(&limits, start).unwrap();
        floods.reset(&limits, start).unwrap();
        assert!(floods.reset(&limits, start).is_err());
        floods.answered(&limits);
        floods.reset(&limits, start).unwrap();
        floods.reset(&limits, start + Duration::from_millis(100)).unwrap();
        assert!(floods.reset(&limits, start + Duration::from_millis(199)).is_err());
    }

    #[test]
    fn empty_frames_at_the_limit_and_one_past() {
        let limits = Limits { empty_frames: 2, ..Limits::default() };
        let mut floods = Floods::new(&limits, Instant::now());
        for _ in 0..3 {
            floods.empty_frame(&limits).unwrap();
            floods.empty_frame(&limits).unwrap();
            floods.full_frame();
        }
        floods.empty_frame(&limits).unwrap();
        floods.empty_frame(&limits).unwrap();
        assert!(floods.empty_frame(&limits).is_err());
    }
}
