use std::time::{Duration, Instant};

use super::fields::Fields;

/// How an endpoint that has just connected gets its calls little by little (gRFC A100), for one that has to warm up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct SlowStart {
    /// How long it takes.
    pub window: Duration,
    /// How fast calls become more: 1 is linear, more is faster at first, less is slower. Default 1.
    pub aggression: f64,
    /// What it gets at least, in percent of what it is worth. Default 10.
    pub least: f64,
}

impl SlowStart {
    pub(super) fn read(fields: &mut Fields<'_>) -> SlowStart {
        let window = fields
            .required("slowStartWindow")
            .map_or(Duration::MAX, |()| fields.duration("slowStartWindow", Duration::MAX));
        if window.is_zero() {
            fields.fault("slowStartWindow", "must be greater than 0");
        }
        let aggression = fields.number("aggression", 1.0);
        if aggression <= 0.0 {
            fields.fault("aggression", "must be greater than 0");
        }
        let least = fields.number("minWeightPercent", 10.0);
        if !(0.0..=100.0).contains(&least) {
            fields.fault("minWeightPercent", "must be in the range [0, 100]");
        }
        SlowStart { window, aggression, least }
    }

    /// The share of what it is worth that an endpoint gets now which has been connected since then.
    pub(super) fn share(&self, since: Instant, now: Instant) -> f32 {
        let part = now.saturating_duration_since(since).as_secs_f64() / self.window.as_secs_f64();
        let share = part.min(1.0).powf(1.0 / self.aggression).max(self.least / 100.0);
        #[allow(clippy::cast_possible_truncation)] // Between 0 and 1.
        let share = share as f32;
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_become_more_until_the_window_is_over() {
        let since = Instant::now();
        for (aggression, shares) in [(1.0, [0.1, 0.1, 0.25, 1.0, 1.0]), (2.0, [0.1, 0.2236, 0.5, 1.0, 1.0])] {
            let slow = SlowStart { window: Duration::from_secs(20), aggression, least: 10.0 };
            for (seconds, expected) in [0, 1, 5, 20, 90].into_iter().zip(shares) {
                let share = slow.share(since, since + Duration::from_secs(seconds));
                assert!((share - expected).abs() < 0.001, "{share} after {seconds} s under {aggression}");
            }
        }
    }
}
