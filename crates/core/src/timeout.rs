use std::{fmt, time::Duration};

/// The value of the `grpc-timeout` header: at most eight digits and a unit (PROTOCOL-HTTP2.md, "Timeout").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Timeout(pub Duration);

impl Timeout {
    /// No header asks for longer than this; beyond it a timeout is written as this (as C-core does).
    pub const MAX: Duration = Duration::from_secs(27_000 * 3600);

    /// Reads a header value. A valid value is never an error for being long: it saturates at [`Timeout::MAX`].
    pub fn parse(text: &[u8]) -> Result<Timeout, InvalidTimeout> {
        let (&unit, digits) = text.split_last().ok_or(InvalidTimeout)?;
        if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return Err(InvalidTimeout);
        }
        let count = digits.iter().fold(0u64, |n, d| n * 10 + u64::from(d - b'0'));
        let duration = match unit {
            b'H' => Duration::from_secs(count * 3600),
            b'M' => Duration::from_secs(count * 60),
            b'S' => Duration::from_secs(count),
            b'm' => Duration::from_millis(count),
            b'u' => Duration::from_micros(count),
            b'n' => Duration::from_nanos(count),
            _ => return Err(InvalidTimeout),
        };
        Ok(Timeout(duration.min(Timeout::MAX)))
    }

    /// Writes the shortest text of C-core's precision, rounded up so that the server never gives up first:
    /// milliseconds below a second, then three significant digits, in the largest unit that is exact.
    pub fn encode(self, out: &mut Vec<u8>) {
        let millis = self.0.as_nanos().div_ceil(1_000_000);
        let (count, unit) = match millis {
            0 => (1, b'n'),
            _ if self.0 >= Timeout::MAX => (27_000, b'H'),
            1..1_000 => (millis, b'm'),
            1_000..100_000 => {
                let step = if millis < 10_000 { 10 } else { 100 };
                let rounded = millis.div_ceil(step) * step;
                if rounded % 1_000 == 0 { seconds(rounded / 1_000) } else { (rounded, b'm') }
            }
            _ => seconds(millis.div_ceil(1_000)),
        };
        out.extend_from_slice(count.to_string().as_bytes());
        out.push(unit);
    }
}

/// Whole seconds, kept to three significant digits (rounded up), in hours or minutes where that is exact.
fn seconds(seconds: u128) -> (u128, u8) {
    let mut step = 1;
    while seconds.div_ceil(step) >= 1_000 {
        step *= 10;
    }
    let rounded = seconds.div_ceil(step) * step;
    if rounded.is_multiple_of(3600) {
        (rounded / 3600, b'H')
    } else if rounded.is_multiple_of(60) {
        (rounded / 60, b'M')
    } else if rounded < 100_000_000 {
        (rounded, b'S')
    } else {
        (rounded.div_ceil(3600), b'H')
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.encode(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

/// The text is not one to eight digits followed by one of `H M S m u n`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InvalidTimeout;

impl fmt::Display for InvalidTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a grpc-timeout is one to eight digits and one of H, M, S, m, u, n")
    }
}

impl std::error::Error for InvalidTimeout {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Timeout;

    fn text(seconds: f64) -> String {
        Timeout(Duration::from_secs_f64(seconds)).to_string()
    }

    #[test]
    fn writes_what_c_core_writes() {
        for (seconds, expected) in [
            (0.0, "1n"),
            (0.499, "499m"),
            (5.0, "5S"),
            (5.4291, "5430m"),
            (9.999, "10S"),
            (60.0, "1M"),
            (61.0, "61S"),
            (3600.0, "1H"),
            (1e9, "27000H"),
        ] {
            assert_eq!(text(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn never_writes_less_than_asked_nor_more_than_eight_digits() {
        let mut millis = 1u64;
        while millis < 97_200_000_000 {
            let asked = Duration::from_millis(millis);
            let written = Timeout(asked).to_string();
            assert!(written.len() <= 9, "{written}");
            let read = Timeout::parse(written.as_bytes()).unwrap().0;
            assert!(read >= asked, "{asked:?} was written as {written}");
            assert!(read <= asked + asked / 90 + Duration::from_millis(1), "{asked:?} was written as {written}");
            millis = millis + millis / 7 + 1;
        }
    }

    #[test]
    fn reads_every_unit_and_refuses_the_rest() {
        assert_eq!(Timeout::parse(b"3S").unwrap().0, Duration::from_secs(3));
        assert_eq!(Timeout::parse(b"00000007u").unwrap().0, Duration::from_micros(7));
        assert_eq!(Timeout::parse(b"99999999H").unwrap().0, Timeout::MAX);
        for bad in ["", "S", "1", "1s", "-1S", "1.5S", "123456789S", " 1S", "1 S"] {
            assert!(Timeout::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
