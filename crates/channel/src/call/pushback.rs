use std::time::Duration;

use farcall_core::Metadata;

/// Trailing metadata by which a server says when to come back, in milliseconds; anything else says not to.
pub(crate) const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// What a server says about coming back (gRFC A6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pushback {
    /// After this time, and not before.
    After(Duration),
    /// Not at all: the value is negative, no number, or one of several.
    Never,
}

impl Pushback {
    /// What these trailers say, if anything.
    pub(crate) fn of(trailers: &Metadata) -> Option<Pushback> {
        let mut values = trailers.all(PUSHBACK);
        let value = values.next()?;
        match milliseconds(value).filter(|_| values.next().is_none()) {
            Some(delay) => Some(Pushback::After(delay)),
            None => Some(Pushback::Never),
        }
    }
}

fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let number: u32 = digits.parse().ok()?;
    Some(Duration::from_millis(u64::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_a_delay_and_anything_else_is_never() {
        let of = |values: &[&str]| {
            let mut trailers = Metadata::new();
            for value in values {
                trailers.append(PUSHBACK, *value).unwrap();
            }
            Pushback::of(&trailers)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["0"]), Some(Pushback::After(Duration::ZERO)));
        assert_eq!(of(&["250"]), Some(Pushback::After(Duration::from_millis(250))));
        for values in [&["-1"][..], &["soon"], &[""], &["+5"], &["1.5"], &["4294967296"], &["5", "5"]] {
            assert_eq!(of(values), Some(Pushback::Never), "{values:?}");
        }
    }
}
