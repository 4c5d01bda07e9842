use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::ThrottlingConfig;

/// Counts failures and successes of all calls of a channel: past a bound there are no retries and no hedges (gRFC A6).
#[derive(Debug)]
pub struct Throttle {
    config: ThrottlingConfig,
    /// Thousandths of tokens, from none to the config's most.
    tokens: AtomicU32,
}

impl Throttle {
    /// A full one.
    pub fn new(config: ThrottlingConfig) -> Throttle {
        Throttle { config, tokens: AtomicU32::new(config.max_tokens * 1000) }
    }

    /// That of a newer config: as full as this one, in proportion.
    #[must_use]
    pub fn updated(&self, config: ThrottlingConfig) -> Throttle {
        let most = u64::from(self.config.max_tokens.max(1));
        let scaled = u64::from(self.tokens()) * u64::from(config.max_tokens) / most;
        let tokens = u32::try_from(scaled).unwrap_or(u32::MAX).min(config.max_tokens * 1000);
        Throttle { config, tokens: AtomicU32::new(tokens) }
    }

    /// That of a config, which may be the one before it, or none.
    pub(crate) fn follow(before: Option<&Arc<Throttle>>, config: Option<ThrottlingConfig>) -> Option<Arc<Throttle>> {
        let config = config?;
        Some(match before {
            Some(same) if same.config == config => Arc::clone(same),
            Some(other) => Arc::new(other.updated(config)),
            None => Arc::new(Throttle::new(config)),
        })
    }

    /// What is left, in thousandths of tokens.
    pub fn tokens(&self) -> u32 {
        self.tokens.load(Ordering::Relaxed)
    }

    /// The most there can be, in thousandths of tokens.
    pub fn most(&self) -> u32 {
        self.config.max_tokens * 1000
    }

    /// Whether there may be another attempt at a call: more than half of the tokens are left.
    pub fn allows(&self) -> bool {
        self.tokens() > self.most() / 2
    }

    pub(crate) fn succeed(&self) {
        self.change(|tokens| tokens.saturating_add(self.config.thousandths_per_success).min(self.most()));
    }

    /// Whether there may be another attempt after this failure.
    pub(crate) fn fail(&self) -> bool {
        self.change(|tokens| tokens.saturating_sub(1000)) > self.most() / 2
    }

    fn change(&self, change: impl Fn(u32) -> u32) -> u32 {
        let changed = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tokens| Some(change(tokens)));
        change(changed.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::Throttle;
    use crate::ThrottlingConfig;

    fn throttle(max_tokens: u32) -> Throttle {
        Throttle::new(ThrottlingConfig { max_tokens, thousandths_per_success: 500 })
    }

    #[test]
    fn a_failure_takes_a_token_and_half_of_them_is_too_few() {
        let throttle = throttle(4);
        assert!(throttle.fail() && throttle.allows(), "3 of 4");
        assert!(!throttle.fail() && !throttle.allows(), "2 of 4");
        throttle.succeed();
        assert!(throttle.allows(), "2.5 of 4");
    }

    #[test]
    fn tokens_stay_within_none_and_most() {
        let throttle = throttle(2);
        throttle.succeed();
        assert_eq!(throttle.tokens(), 2000);
        for _ in 0..3 {
            throttle.fail();
        }
        assert_eq!(throttle.tokens(), 0);
    }

    #[test]
    fn a_newer_config_finds_it_as_full_as_it_was() {
        let old = throttle(10);
        old.fail();
        old.fail();
        let new = old.updated(ThrottlingConfig { max_tokens: 1000, thousandths_per_success: 1 });
        assert_eq!((new.tokens(), new.most()), (800_000, 1_000_000));
        assert_eq!(new.updated(ThrottlingConfig { max_tokens: 1, thousandths_per_success: 1 }).tokens(), 800);
    }
}
