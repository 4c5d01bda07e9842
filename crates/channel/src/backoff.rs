use std::time::Duration;

use crate::random::Random;

/// Exponential back-off with jitter (grpc/grpc `doc/connection-backoff.md`).
#[derive(Clone, Debug)]
pub struct Backoff {
    /// The first delay. Default 1 s.
    pub initial: Duration,
    /// What each delay is multiplied by for the next. Default 1.6.
    pub multiplier: f64,
    /// The share by which a delay is moved at random, up or down. Default 0.2.
    pub jitter: f64,
    /// The longest delay before jitter. Default 120 s.
    pub max: Duration,
    next: Option<Duration>,
    random: Random,
}

impl Backoff {
    /// gRPC's defaults, with a seed for the jitter.
    pub fn new(seed: u64) -> Backoff {
        Backoff {
            initial: Duration::from_secs(1),
            multiplier: 1.6,
            jitter: 0.2,
            max: Duration::from_secs(120),
            next: None,
            random: Random::new(seed),
        }
    }

    /// The delay for this failure; the next one will be longer.
    pub fn advance(&mut self) -> Duration {
        let base = self.next.unwrap_or(self.initial).min(self.max);
        self.next = Some(base.mul_f64(self.multiplier).min(self.max));
        let shift = 1.0 + self.jitter * (2.0 * self.random.unit() - 1.0);
        base.mul_f64(shift)
    }

    /// The same delays for another address, with jitter of its own.
    pub(crate) fn fresh(&self, seed: u64) -> Backoff {
        Backoff { next: None, random: Random::new(seed), ..self.clone() }
    }

    /// A success: the next failure starts from the first delay again.
    pub fn reset(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Backoff;

    #[test]
    fn grows_by_the_multiplier_within_the_jitter_up_to_the_maximum() {
        for seed in 0..100 {
            let mut backoff = Backoff::new(seed);
            let mut expected = 1.0f64;
            for _ in 0..20 {
                let delay = backoff.advance().as_secs_f64();
                assert!((expected * 0.8..=expected * 1.2).contains(&delay), "seed {seed}: {delay} for {expected}");
                expected = (expected * 1.6).min(120.0);
            }
            backoff.reset();
            assert!(backoff.advance() <= Duration::from_millis(1200));
        }
    }
}
