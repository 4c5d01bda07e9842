//! Numbers as C reads them: what a descriptor's default may say.

/// A whole number as `strtoll` with base 0 takes it: decimal, octal after `0`, hexadecimal after `0x`; what is too large
/// becomes the largest. `None` if something else follows.
pub(crate) fn signed(text: &str) -> Option<i64> {
    let (is_negative, magnitude) = parts(text)?;
    let limit = i64::MAX.unsigned_abs();
    Some(match (is_negative, magnitude) {
        (false, magnitude) => magnitude.min(limit) as i64,
        (true, magnitude) if magnitude > limit => i64::MIN,
        (true, magnitude) => -(magnitude as i64),
    })
}

/// The same for `strtoull`, which takes a sign, too.
pub(crate) fn unsigned(text: &str) -> Option<u64> {
    let (is_negative, magnitude) = parts(text)?;
    Some(if is_negative && magnitude < u64::MAX { magnitude.wrapping_neg() } else { magnitude })
}

/// A number with a fraction, decimal or hexadecimal, `inf` or `nan`, as `strtod` takes it.
pub(crate) fn fraction(text: &str) -> Option<f64> {
    let trimmed = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.starts_with("0x") || digits.starts_with("0X") {
        let (is_negative, magnitude) = parts(text)?;
        let magnitude = magnitude as f64;
        return Some(if is_negative { -magnitude } else { magnitude });
    }
    trimmed.parse().ok()
}

fn parts(text: &str) -> Option<(bool, u64)> {
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0u64;
    for digit in digits.chars() {
        value = value.saturating_mul(base).saturating_add(u64::from(digit.to_digit(base as u32)?));
    }
    Some((is_negative, value))
}

#[cfg(test)]
mod tests {
    use super::{fraction, signed, unsigned};

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, expected) in [
            ("12", Some(12)),
            (" +12", Some(12)),
            ("-0x80000000", Some(-2_147_483_648)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("99999999999999999999", Some(i64::MAX)),
            ("-99999999999999999999", Some(i64::MIN)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("", None),
            ("-", None),
            ("0x", None),
            ("08", None),
            ("12x", None),
            ("1.5", None),
        ] {
            assert_eq!(signed(text), expected, "{text}");
        }
        for (text, expected) in
            [("-1", Some(u64::MAX)), ("18446744073709551616", Some(u64::MAX)), ("0xff", Some(255)), ("x", None)]
        {
            assert_eq!(unsigned(text), expected, "{text}");
        }
        for (text, expected) in
            [("1.5", Some(1.5)), ("0x10", Some(16.0)), ("1e999", Some(f64::INFINITY)), ("1.5f", None), ("", None)]
        {
            assert_eq!(fraction(text), expected, "{text}");
        }
    }
}
