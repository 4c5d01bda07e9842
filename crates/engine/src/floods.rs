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
    resets: Bucket,
    /// Too many streams were reset: no more are taken for a while.
    holding_back: bool,
    refusals: Bucket,
    breaches: Bucket,
    window_shifts: Bucket,
    empty: u32,
}

/// What is allowed in one go, and comes back with time.
#[derive(Debug)]
struct Bucket {
    left: u32,
    refilled: Instant,
}

impl Bucket {
    fn new(full: u32, now: Instant) -> Bucket {
        Bucket { left: full, refilled: now }
    }

    /// What time gives back.
    fn refill(&mut self, full: u32, per_second: u32, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled);
        let refill = elapsed.as_micros() * u128::from(per_second) / 1_000_000;
        if refill > 0 {
            self.give(u32::try_from(refill).unwrap_or(u32::MAX), full);
            self.refilled = now;
        }
    }

    /// Takes `count`, after what time gave back; false when there is not enough.
    fn take(&mut self, count: u32, full: u32, per_second: u32, now: Instant) -> bool {
        self.refill(full, per_second, now);
        let enough = self.left >= count;
        self.left = self.left.saturating_sub(count);
        enough
    }

    fn give(&mut self, count: u32, full: u32) {
        self.left = self.left.saturating_add(count).min(full);
    }
}

const fn calm(what: &'static str) -> Fault {
    Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM, what)
}

impl Floods {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Floods {
        Floods {
            induced: VecDeque::new(),
            resets: Bucket::new(limits.resets, now),
            holding_back: false,
            refusals: Bucket::new(limits.resets, now),
            breaches: Bucket::new(limits.breaches, now),
            window_shifts: Bucket::new(limits.window_shifts, now),
            empty: 0,
        }
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

    /// A client reset a stream for which nothing had begun.
    pub(crate) fn reset(&mut self, limits: &Limits, now: Instant) {
        self.holding_back |= !self.resets.take(1, limits.resets, limits.resets_per_second, now);
    }

    /// A client opens a stream: whether it is to be refused, because too many were reset.
    ///
    /// # Errors
    /// It has gone on for too long.
    pub(crate) fn refuse(&mut self, limits: &Limits, now: Instant) -> Result<bool, Fault> {
        let (full, per_second) = (limits.resets, limits.resets_per_second);
        if !self.holding_back {
            return Ok(false);
        }
        self.resets.refill(full, per_second, now);
        // Some of it must be back, or every other stream would be refused and the next reset again.
        self.holding_back = self.resets.left <= full / 10;
        if self.holding_back && !self.refusals.take(1, full, per_second, now) {
            return Err(calm("too many streams reset, and more opened when they were refused"));
        }
        Ok(self.holding_back)
    }

    /// A stream was reset because a client broke the protocol on it.
    pub(crate) fn breach(&mut self, limits: &Limits, now: Instant) -> Result<(), Fault> {
        match self.breaches.take(1, limits.breaches, limits.breaches_per_second, now) {
            true => Ok(()),
            false => Err(calm("too many streams on which the protocol was broken")),
        }
    }

    /// A frame makes this side look at so many streams: SETTINGS that move their windows, a GOAWAY with a lower id.
    pub(crate) fn walk(&mut self, streams: usize, limits: &Limits, now: Instant) -> Result<(), Fault> {
        let streams = u32::try_from(streams).unwrap_or(u32::MAX);
        match self.window_shifts.take(streams, limits.window_shifts, limits.window_shifts, now) {
            true => Ok(()),
            false => Err(calm("frames that concern too many streams, too often")),
        }
    }

    /// A call was answered in full.
    pub(crate) fn answered(&mut self, limits: &Limits) {
        self.resets.give(1, limits.resets);
        self.breaches.give(1, limits.breaches);
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

    use super::{Bucket, Floods};
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
    fn past_the_limit_of_resets_streams_are_refused_until_some_are_given_back() {
        let limits = Limits { resets: 20, resets_per_second: 10, ..Limits::default() };
        let start = Instant::now();
        let mut floods = Floods::new(&limits, start);
        (0..20).for_each(|_| floods.reset(&limits, start));
        assert_eq!(floods.refuse(&limits, start), Ok(false), "at the limit");
        floods.reset(&limits, start);
        assert_eq!(floods.refuse(&limits, start), Ok(true), "one past it");
        let later = start + Duration::from_millis(299);
        assert_eq!(floods.refuse(&limits, later), Ok(true), "a tenth is back");
        floods.answered(&limits);
        assert_eq!(floods.refuse(&limits, later), Ok(false), "and one more");
        (0..4).for_each(|_| floods.reset(&limits, later));
        assert_eq!(floods.refuse(&limits, later), Ok(true));
        assert_eq!(floods.refuse(&limits, later + Duration::from_secs(1)), Ok(false));
    }

    #[test]
    fn refusals_at_the_limit_and_one_past_and_back() {
        let limits = Limits { resets: 20, resets_per_second: 1, ..Limits::default() };
        let start = Instant::now();
        let mut floods = Floods::new(&limits, start);
        (0..21).for_each(|_| floods.reset(&limits, start));
        for _ in 0..20 {
            assert_eq!(floods.refuse(&limits, start), Ok(true));
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(floods.refuse(&limits, later), Ok(true));
        assert!(floods.refuse(&limits, later).is_err());
    }

    #[test]
    fn no_resets_at_all_may_be_the_limit() {
        let limits = Limits { resets: 0, ..Limits::default() };
        let start = Instant::now();
        let mut floods = Floods::new(&limits, start);
        assert_eq!(floods.refuse(&limits, start), Ok(false));
        floods.reset(&limits, start);
        assert!(floods.refuse(&limits, start + Duration::from_secs(9)).is_err());
    }

    #[test]
    fn breaches_at_the_limit_and_one_past_and_back() {
        let limits = Limits { breaches: 2, breaches_per_second: 10, ..Limits::default() };
        let start = Instant::now();
        let mut floods = Floods::new(&limits, start);
        floods.breach(&limits, start).unwrap();
        floods.breach(&limits, start).unwrap();
        assert!(floods.breach(&limits, start).is_err());
        floods.answered(&limits);
        floods.breach(&limits, start).unwrap();
        floods.breach(&limits, start + Duration::from_millis(100)).unwrap();
        assert!(floods.breach(&limits, start + Duration::from_millis(199)).is_err());
    }

    #[test]
    fn window_shifts_at_the_limit_and_one_past_and_back() {
        let limits = Limits { window_shifts: 10, ..Limits::default() };
        let start = Instant::now();
        let mut floods = Floods::new(&limits, start);
        floods.walk(6, &limits, start).unwrap();
        floods.walk(4, &limits, start).unwrap();
        assert!(floods.walk(1, &limits, start).is_err());
        floods.walk(5, &limits, start + Duration::from_millis(500)).unwrap();
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

    /// What time gives back does not depend on how often it is asked.
    #[test]
    fn what_is_too_little_to_be_given_back_now_is_later() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, start);
        assert!(bucket.take(10, 10, 1, start));
        for tenth in 1..10 {
            bucket.refill(10, 1, start + Duration::from_millis(100 * tenth));
        }
        assert!(bucket.take(1, 10, 1, start + Duration::from_secs(1)));
    }
}
