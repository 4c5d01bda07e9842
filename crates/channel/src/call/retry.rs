use std::{sync::Arc, time::Instant};

use farcall_core::{Code, Metadata};

use super::{Pushback, Throttle};
use crate::{Backoff, MethodConfig, limits::REPLAY_PER_CALL};

/// Request metadata that tells the server which attempt it sees, from the second on.
pub const PREVIOUS_ATTEMPTS: &str = "grpc-previous-rpc-attempts";

/// What a channel's owner chooses about retries.
#[derive(Clone, Debug)]
pub struct RetryConfig {
    /// Whether policies of the service config count. Default true.
    pub enabled: bool,
    /// Whether hedging policies do, among them. Default true.
    pub hedging: bool,
    /// Bytes of a call's messages that are kept to send again; a call that has sent more is not retried.
    /// Default 256 KiB.
    pub buffer: usize,
}

impl Default for RetryConfig {
    fn default() -> RetryConfig {
        RetryConfig { enabled: true, hedging: true, buffer: REPLAY_PER_CALL }
    }
}

/// One call under a retry policy (gRFC A6): one attempt after the other.
#[derive(Debug)]
pub(super) struct Retrying {
    method: Arc<MethodConfig>,
    throttle: Option<Arc<Throttle>>,
    /// Attempts that have ended and count.
    ended: u32,
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

    /// Attempts that have ended and count.
    pub(super) fn ended(&self) -> u32 {
        self.ended
    }

    /// An attempt has ended that the server may have worked on: when the next begins, `None` when there is none.
    /// `can_repeat`: nothing of an answer has been seen, and all that was sent is kept.
    pub(super) fn handle_ended(
        &mut self,
        code: Code,
        trailers: &Metadata,
        can_repeat: bool,
        now: Instant,
    ) -> Option<Instant> {
        let policy = self.method.retry.as_ref()?;
        if code == Code::Ok {
            if let Some(throttle) = &self.throttle {
                throttle.succeed();
            }
            return None;
        }
        let pushback = Pushback::of(trailers);
        let retryable = policy.codes.contains(&code);
        let refused = pushback == Some(Pushback::Never);
        if !retryable && !refused {
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

#[cfg(test)]
mod tests {
    use std::{
        sync::Arc,
        time::{Duration, Instant},
    };

    use farcall_core::{Code, Metadata};

    use super::Retrying;
    use crate::{MethodConfig, RetryPolicy, Throttle, ThrottlingConfig};

    fn method(max_attempts: u32) -> Arc<MethodConfig> {
        let retry = Some(RetryPolicy {
            max_attempts,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(3),
            multiplier: 2.0,
            codes: vec![Code::Unavailable],
        });
        Arc::new(MethodConfig { retry, ..MethodConfig::default() })
    }

    fn end(retry: &mut Retrying, code: Code, pushback: Option<&str>, can_repeat: bool) -> Option<Duration> {
        let mut trailers = Metadata::new();
        if let Some(text) = pushback {
            trailers.append("grpc-retry-pushback-ms", text).unwrap();
        }
        let now = Instant::now();
        retry.handle_ended(code, &trailers, can_repeat, now).map(|at| at - now)
    }

    #[test]
    fn backs_off_until_the_attempts_are_used_up() {
        for seed in 0..50 {
            let mut retry = Retrying::new(&method(4), None, seed).unwrap();
            for bound in [1.0, 2.0, 3.0] {
                let delay = end(&mut retry, Code::Unavailable, None, true).unwrap().as_secs_f64();
                assert!((bound * 0.8..=bound * 1.2).contains(&delay), "seed {seed}: {delay} for {bound}");
            }
            assert_eq!(end(&mut retry, Code::Unavailable, None, true), None);
            assert_eq!(retry.ended(), 4);
        }
    }

    #[test]
    fn other_codes_success_and_what_cannot_be_repeated_end_it() {
        for (code, can_repeat) in [(Code::Internal, true), (Code::Ok, true), (Code::Unavailable, false)] {
            assert_eq!(end(&mut Retrying::new(&method(4), None, 1).unwrap(), code, None, can_repeat), None);
        }
        assert!(Retrying::new(&Arc::default(), None, 1).is_none(), "no policy");
    }

    #[test]
    fn a_server_may_say_when_and_that_not() {
        let mut retry = Retrying::new(&method(5), None, 1).unwrap();
        assert_eq!(end(&mut retry, Code::Unavailable, Some("250"), true), Some(Duration::from_millis(250)));
        let delay = end(&mut retry, Code::Unavailable, None, true).unwrap();
        assert!(delay <= Duration::from_millis(1200), "pushback starts the delays from the first again");
        for text in ["-1", "soon", ""] {
            let mut retry = Retrying::new(&method(5), None, 1).unwrap();
            assert_eq!(end(&mut retry, Code::Unavailable, Some(text), true), None, "{text:?}");
        }
    }

    #[test]
    fn too_many_failures_stop_retries_until_successes_come() {
        let throttle = Arc::new(Throttle::new(ThrottlingConfig { max_tokens: 4, thousandths_per_success: 500 }));
        let attempt = |code| {
            let mut retry = Retrying::new(&method(5), Some(&throttle), 1).unwrap();
            end(&mut retry, code, None, true).is_some()
        };
        assert!(attempt(Code::Unavailable), "3 of 4 left");
        assert!(!attempt(Code::Unavailable), "2 of 4 are not more than half");
        assert!(!attempt(Code::Unavailable), "1 of 4");
        for _ in 0..5 {
            attempt(Code::Ok);
        }
        assert!(attempt(Code::Unavailable), "3.5 less 1");
    }
}
