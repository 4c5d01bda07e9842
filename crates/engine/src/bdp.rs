//! How large windows should be: bandwidth times delay, measured by what comes in while a PING goes round.

use std::time::{Duration, Instant};

use crate::{Config, frame::MAX_U31};

/// Finds out whether windows hold the peer back.
///
/// A window does so when it is used up in a round trip. The PING measures one, and DATA is counted for two, since what
/// the peer sends for the window it got along with the PING comes right behind the acknowledgement. When a third of the
/// window or more came in each, the window is doubled, as long as that makes the peer faster. A PING goes out only
/// behind much DATA that came after the last one was acknowledged, so that no peer that counts PINGs between its DATA
/// can take offence.
#[derive(Debug)]
pub(crate) struct Bdp {
    /// What the windows of a stream and of the connection were at their start.
    initial: (u32, u32),
    /// What a stream's window should be.
    window: u32,
    /// The largest it may become.
    max: u32,
    /// DATA since the last probe ended, in bytes.
    since: usize,
    probe: Option<Probe>,
    /// The time until the next probe, and when that is over.
    interval: Duration,
    rests_until: Instant,
    /// The most that came in so far, in bytes a second.
    rate: u128,
}

#[derive(Debug)]
struct Probe {
    /// When the PING went out.
    sent: Instant,
    /// Two round trips later, once it is known how long one is.
    until: Option<Instant>,
    /// DATA that came in that time.
    received: usize,
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

impl Bdp {
    pub(crate) fn new(config: &Config, now: Instant) -> Bdp {
        let initial = (config.limits.stream_window, config.limits.connection_window);
        let max = if config.bdp_probe { config.limits.max_stream_window.min(MAX_U31 / 2) } else { 0 };
        let window = initial.0;
        Bdp { initial, window, max, since: 0, probe: None, interval: SHORTEST, rests_until: now, rate: 0 }
    }

    /// What probing PINGs carry.
    pub(crate) fn payload(seed: u64) -> [u8; 8] {
        seed.wrapping_add(0x6264_7020_7072_6f62).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
    }

    /// DATA came; says whether a PING should go out now.
    pub(crate) fn receive(&mut self, count: usize, now: Instant) -> bool {
        if self.probe.as_ref().is_some_and(|probe| probe.until.is_some_and(|until| until < now)) {
            self.conclude(now);
        }
        if let Some(probe) = &mut self.probe {
            probe.received += count;
            return false;
        }
        self.since = self.since.saturating_add(count);
        let begins = self.window < self.max && self.since >= self.narrowest() / 2 && self.rests_until <= now;
        if begins {
            self.probe = Some(Probe { sent: now, until: None, received: 0 });
        }
        begins
    }

    /// The PING has come back.
    pub(crate) fn acknowledge(&mut self, now: Instant) {
        if let Some(probe) = &mut self.probe
            && probe.until.is_none()
        {
            probe.until = now.checked_add(now.saturating_duration_since(probe.sent));
        }
    }

    fn conclude(&mut self, now: Instant) {
        let Some(Probe { sent, until: Some(until), received }) = self.probe.take() else { return };
        let micros = until.saturating_duration_since(sent).as_micros().max(1);
        let rate = received as u128 * 1_000_000 / micros;
        if received >= self.narrowest() / 3 * 2 && rate > self.rate {
            self.window = self.window.saturating_mul(2).min(self.max);
            self.interval = SHORTEST;
        } else {
            self.interval = (self.interval * 2).min(LONGEST);
        }
        self.rate = self.rate.max(rate);
        self.since = 0;
        self.rests_until = now + self.interval;
    }

    /// What a stream's window should be.
    pub(crate) fn stream_window(&self) -> u32 {
        self.window
    }

    /// Whether a stream's window is as large as it becomes by being used, and should be larger.
    #[inline]
    pub(crate) fn has_outgrown(&self, size: u32) -> bool {
        size >= self.initial.0 && size < self.window
    }

    /// What the connection's window should be: once streams' have grown, enough for two of them.
    pub(crate) fn connection_window(&self) -> u32 {
        let (stream, connection) = self.initial;
        if self.window == stream { connection } else { connection.max(self.window.saturating_mul(2)) }
    }

    /// The most that one stream may send in a round trip.
    fn narrowest(&self) -> usize {
        self.window.min(self.connection_window()) as usize
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Bdp, LONGEST, SHORTEST};
    use crate::{Config, Limits};

    const DELAY: Duration = Duration::from_millis(50);
    const MICRO: Duration = Duration::from_micros(1);

    fn bdp(now: Instant) -> Bdp {
        let limits =
            Limits { stream_window: 900, connection_window: 900, max_stream_window: 3000, ..Limits::default() };
        Bdp::new(&Config { limits, ..Config::client() }, now)
    }

    /// A probe that sees so many bytes; returns the window after it.
    fn probe(bdp: &mut Bdp, received: usize, now: &mut Instant) -> u32 {
        *now += LONGEST;
        assert!(bdp.receive(bdp.window as usize, *now));
        assert!(!bdp.receive(received / 2, *now), "one at a time");
        *now += DELAY;
        bdp.acknowledge(*now);
        *now += DELAY;
        bdp.receive(received - received / 2, *now);
        *now += MICRO;
        bdp.receive(0, *now);
        bdp.stream_window()
    }

    #[test]
    fn a_window_that_is_used_up_in_a_round_trip_is_doubled_up_to_the_limit() {
        let mut now = Instant::now();
        let mut bdp = bdp(now);
        assert_eq!(probe(&mut bdp, 599, &mut now), 900);
        assert_eq!(probe(&mut bdp, 600, &mut now), 1800);
        assert_eq!(probe(&mut bdp, 1199, &mut now), 1800);
        assert_eq!(probe(&mut bdp, 1200, &mut now), 3000);
        assert_eq!(bdp.connection_window(), 6000);
        assert!(!bdp.receive(1 << 20, now + LONGEST), "there is nothing more to find out");
    }

    #[test]
    fn a_stream_outgrows_its_window_when_that_is_the_first_and_not_the_last() {
        let mut now = Instant::now();
        let mut bdp = bdp(now);
        assert!([899, 900, 901].iter().all(|size| !bdp.has_outgrown(*size)), "it has not grown");
        probe(&mut bdp, 600, &mut now);
        assert_eq!([899, 900, 1799, 1800].map(|size| bdp.has_outgrown(size)), [false, true, true, false]);
    }

    #[test]
    fn a_window_that_brings_no_speed_stays() {
        let mut now = Instant::now();
        let mut bdp = bdp(now);
        assert_eq!(probe(&mut bdp, 1300, &mut now), 1800);
        assert_eq!(probe(&mut bdp, 1300, &mut now), 1800);
        assert_eq!(probe(&mut bdp, 1301, &mut now), 3000);
    }

    #[test]
    fn probes_need_data_and_rest_between() {
        let start = Instant::now();
        let mut bdp = bdp(start);
        assert!(!bdp.receive(449, start));
        assert!(bdp.receive(1, start));
        bdp.acknowledge(start);
        assert!(!bdp.receive(0, start + MICRO));
        // It found nothing, so the rest is longer.
        let rested = start + MICRO + 2 * SHORTEST;
        assert!(!bdp.receive(1 << 20, rested - MICRO));
        assert!(bdp.receive(1, rested));
        let mut now = rested;
        for _ in 0..10 {
            bdp.acknowledge(now);
            now += LONGEST;
            bdp.receive(0, now);
            now += LONGEST;
            assert!(bdp.receive(450, now));
        }
        assert_eq!(bdp.interval, LONGEST);
    }

    #[test]
    fn an_acknowledgement_of_nothing_changes_nothing() {
        let now = Instant::now();
        let mut bdp = bdp(now);
        bdp.acknowledge(now);
        assert_eq!(bdp.stream_window(), 900);
        assert!(bdp.receive(450, now));
    }

    #[test]
    fn off_it_never_asks() {
        let now = Instant::now();
        let mut bdp = Bdp::new(&Config { bdp_probe: false, ..Config::client() }, now);
        assert!(!bdp.receive(1 << 30, now + LONGEST));
        assert_eq!(bdp.stream_window(), 4 << 20);
    }

    #[test]
    fn the_same_bytes_in_more_time_are_no_more_speed() {
        let mut now = Instant::now();
        let mut bdp = bdp(now);
        assert_eq!(probe(&mut bdp, 1300, &mut now), 1800);
        now += LONGEST;
        assert!(bdp.receive(1800, now));
        now += 2 * DELAY;
        bdp.acknowledge(now);
        now += 2 * DELAY;
        bdp.receive(1300, now);
        bdp.receive(0, now + MICRO);
        assert_eq!(bdp.stream_window(), 1800);
    }
}
