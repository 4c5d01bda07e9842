use std::time::Duration;

use farcall_core::{Code, Metadata};

use crate::{Attempt, Retry, Seen, call::Transparent, limits::REPLAY_WITHOUT_POLICY};

/// How an attempt at a call has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    /// The status code.
    pub code: Code,
    /// Trailing metadata, in which the server may say when to come again.
    pub trailers: &'a Metadata,
    /// Whether the status is the server's.
    pub completed: bool,
    /// What the server may have seen of it, if the status is not its own.
    pub seen: Seen,
    /// Whether all that was sent is at hand to be sent again, and nothing of a response has been handed out.
    pub can_repeat: bool,
}

/// What becomes of a call whose attempt has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// This is its end.
    Over,
    /// It goes again at once, on the same connection if that takes calls.
    Again,
    /// It goes again at once, on the next connection: this one takes no calls.
    Elsewhere,
    /// It goes again after this time.
    After(Duration),
}

/// The attempts of one call: one rule for who makes it again, and when (gRFC A6).
///
/// What never left this side goes again each time. What a server refused goes again once, at once and on the same
/// connection, so that a server with too much to do is not given connections to make as well. Neither counts for the
/// retry policy, which has the word after that.
#[derive(Debug, Default)]
pub struct Attempts {
    transparent: Transparent,
    /// `None`: there is no policy.
    pub retry: Option<Box<Retry>>,
}

impl Attempts {
    /// Those of a call with this retry policy.
    pub fn new(retry: Option<Box<Retry>>) -> Attempts {
        Attempts { transparent: Transparent::default(), retry }
    }

    /// Whether requests of so many bytes are kept, so that they can be sent again, where `buffer` may be. Once they are not,
    /// the retry policy has nothing to say any more. Without one a little is kept all the same, for a server that drains
    /// has not looked at calls that crossed its GOAWAY.
    pub fn keep(&mut self, bytes: usize, buffer: usize) -> bool {
        let most = if self.retry.is_some() { buffer } else { buffer.min(REPLAY_WITHOUT_POLICY) };
        if bytes > most {
            self.retry = None;
        }
        bytes <= most
    }

    /// An attempt has ended.
    pub fn handle_ended(&mut self, ended: Ended<'_>) -> Next {
        let Ended { code, trailers, completed, seen, can_repeat } = ended;
        if !completed && code != Code::Unavailable {
            // This side has given up.
            return Next::Over;
        }
        if !completed && can_repeat {
            match self.transparent.again(seen) {
                Some(true) => return Next::Elsewhere,
                Some(false) => return Next::Again,
                None if seen == Seen::Dropped => return Next::Over,
                None => {}
            }
        }
        let delay = self.retry.as_mut().and_then(|retry| retry.handle_ended(Attempt { code, trailers, can_repeat }));
        delay.map_or(Next::Over, Next::After)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{MethodConfig, RetryPolicy};

    const LOST: Ended<'_> =
        Ended { code: Code::Unavailable, trailers: &NONE, completed: false, seen: Seen::Perhaps, can_repeat: true };
    static NONE: Metadata = Metadata::new();

    fn with_policy(max_attempts: u32) -> Attempts {
        let policy = RetryPolicy {
            max_attempts,
            initial_backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(1),
            multiplier: 1.0,
            codes: vec![Code::Unavailable],
        };
        let method = Arc::new(MethodConfig { retry: Some(policy), ..MethodConfig::default() });
        Attempts::new(Retry::new(&method, None, 1).map(Box::new))
    }

    #[test]
    fn requests_are_kept_up_to_the_buffer_and_without_a_policy_a_little() {
        let mut attempts = with_policy(3);
        assert!(attempts.keep(1 << 20, 1 << 20));
        assert!(!attempts.keep((1 << 20) + 1, 1 << 20));
        assert!(attempts.retry.is_none(), "what cannot be sent again is not tried again");
        assert!(attempts.keep(REPLAY_WITHOUT_POLICY, 1 << 20));
        assert!(!attempts.keep(REPLAY_WITHOUT_POLICY + 1, 1 << 20));
        assert!(!attempts.keep(2, 1));
    }

    #[test]
    fn what_was_refused_goes_again_once_and_where_it_was() {
        let mut attempts = Attempts::default();
        let refused = Ended { seen: Seen::Refused, ..LOST };
        assert_eq!(attempts.handle_ended(refused), Next::Again);
        assert_eq!(attempts.handle_ended(refused), Next::Over);
    }

    #[test]
    fn then_the_policy_has_the_word() {
        let mut attempts = with_policy(2);
        let refused = Ended { seen: Seen::Refused, ..LOST };
        assert_eq!(attempts.handle_ended(refused), Next::Again, "which does not count");
        assert!(matches!(attempts.handle_ended(refused), Next::After(_)));
        assert_eq!(attempts.handle_ended(refused), Next::Over, "two attempts of two");
    }

    #[test]
    fn what_never_left_goes_each_time() {
        let mut attempts = Attempts::default();
        for _ in 0..100 {
            assert_eq!(attempts.handle_ended(Ended { seen: Seen::Never, ..LOST }), Next::Elsewhere);
        }
        assert_eq!(attempts.handle_ended(Ended { seen: Seen::Refused, ..LOST }), Next::Again, "it did not count");
    }

    #[test]
    fn what_cannot_be_repeated_was_given_up_or_was_answered_is_over() {
        for seen in [Seen::Never, Seen::Refused] {
            let ended = Ended { seen, ..LOST };
            assert_eq!(Attempts::default().handle_ended(Ended { can_repeat: false, ..ended }), Next::Over);
            for code in [Code::Cancelled, Code::DeadlineExceeded, Code::Internal] {
                assert_eq!(with_policy(5).handle_ended(Ended { code, ..ended }), Next::Over, "{code}");
            }
            assert_eq!(Attempts::default().handle_ended(Ended { completed: true, ..ended }), Next::Over);
        }
        assert_eq!(Attempts::default().handle_ended(LOST), Next::Over);
    }
}
