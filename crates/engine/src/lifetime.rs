//! How long a connection may be idle, how old it may become, and how long its SETTINGS may go unacknowledged.

use std::time::{Duration, Instant};

use crate::Config;

#[derive(Debug)]
pub(crate) struct Lifetime {
    /// How long it may be without calls.
    idle: Option<Duration>,
    /// Since when it is without calls; of no meaning while there are any.
    idle_since: Instant,
    /// When it is too old.
    ends_at: Option<Instant>,
    /// When the calls of a connection that is too old must be over.
    grace_ends_at: Option<Instant>,
    /// When the peer must have acknowledged our SETTINGS; `None` once it has.
    settings_by: Option<Instant>,
}

/// What the time has come for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Due {
    MaxIdle,
    MaxAge,
    GraceOver,
    SettingsOverdue,
}

impl Lifetime {
    pub(crate) fn new(config: &Config, now: Instant) -> Lifetime {
        let age = config.max_connection_age.map(|age| jitter(age, config.seed));
        Lifetime {
            // Another draw than for the age, or the two would always go together.
            idle: config.max_connection_idle.map(|idle| jitter(idle, !config.seed)),
            idle_since: now,
            ends_at: age.and_then(|age| now.checked_add(age)),
            grace_ends_at: None,
            settings_by: now.checked_add(config.limits.settings_timeout),
        }
    }

    /// The last call has ended.
    pub(crate) fn became_idle(&mut self, now: Instant) {
        self.idle_since = now;
    }

    pub(crate) fn settings_acknowledged(&mut self) {
        self.settings_by = None;
    }

    /// The connection goes away for its age: its calls have this long.
    pub(crate) fn begin_grace(&mut self, grace: Option<Duration>, now: Instant) {
        self.grace_ends_at = grace.and_then(|grace| now.checked_add(grace));
    }

    /// What comes next, and when. `staying` is false once the connection is going away, for whatever reason.
    pub(crate) fn next(&self, calls: usize, staying: bool) -> Option<(Instant, Due)> {
        let idle_at = self.idle.and_then(|idle| self.idle_since.checked_add(idle));
        [
            self.settings_by.map(|at| (at, Due::SettingsOverdue)),
            idle_at.filter(|_| staying && calls == 0).map(|at| (at, Due::MaxIdle)),
            self.ends_at.filter(|_| staying).map(|at| (at, Due::MaxAge)),
            self.grace_ends_at.map(|at| (at, Due::GraceOver)),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }
}

/// Up to 10 % more or less, so that connections made at once do not end at once.
fn jitter(time: Duration, seed: u64) -> Duration {
    let mut hash = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6a69_7474_6572;
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    // In thousandths, 900 to 1100.
    let factor = 900 + (hash >> 33) % 201;
    (time / 1000).saturating_mul(factor as u32)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::jitter;

    #[test]
    fn jitter_is_within_a_tenth_and_reaches_both_ends() {
        let hour = Duration::from_secs(3600);
        let drawn: Vec<Duration> = (0..10_000).map(|seed| jitter(hour, seed)).collect();
        assert_eq!(drawn.iter().min(), Some(&(hour * 9 / 10)));
        assert_eq!(drawn.iter().max(), Some(&(hour * 11 / 10)));
        assert_eq!(jitter(hour, 5), jitter(hour, 5));
        jitter(Duration::MAX, 1);
    }
}
