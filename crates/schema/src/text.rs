//! Values as text, the way C++ writes them into descriptors.

/// `value` with `precision` significant digits, as C's `%.*g`.
fn general(value: f64, precision: usize) -> String {
    let scientific = format!("{value:.*e}", precision - 1);
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |digits: String| {
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.').to_owned() } else { digits }
    };
    if exponent < -4 || exponent >= precision as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa.to_owned()), exponent.abs());
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    trim(format!("{value:.decimals$}"))
}

/// `inf`, `-inf`, `nan`, or `None` for a finite number.
fn special(value: f64) -> Option<String> {
    if value.is_nan() {
        return Some("nan".into());
    }
    value.is_infinite().then(|| if value > 0.0 { "inf" } else { "-inf" }.into())
}

/// The shorter of 15 and 17 significant digits that reads back as `value`.
pub(crate) fn double_text(value: f64) -> String {
    special(value).unwrap_or_else(|| {
        let short = general(value, 15);
        if short.parse() == Ok(value) { short } else { general(value, 17) }
    })
}

/// The shorter of 6 and 9 significant digits that reads back as `value`.
pub(crate) fn float_text(value: f32) -> String {
    special(f64::from(value)).unwrap_or_else(|| {
        let short = general(f64::from(value), 6);
        if short.parse() == Ok(value) { short } else { general(f64::from(value), 9) }
    })
}

/// C escapes: what is not printable ASCII in octal.
pub(crate) fn escape_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            b'"' => text.push_str("\\\""),
            b'\'' => text.push_str("\\'"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(byte as char),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_read_as_c_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (1e10, "10000000000"),
            (1e15, "1e+15"),
            (123456789012345.0, "123456789012345"),
            (1e-5, "1e-05"),
            (1.0 / 3.0, "0.33333333333333331"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "4.94065645841247e-324"),
        ] {
            assert_eq!(double_text(value), text);
        }
        assert_eq!(double_text(f64::NEG_INFINITY), "-inf");
        assert_eq!(double_text(f64::NAN), "nan");
    }

    #[test]
    fn floats_read_as_c_writes_them() {
        for (value, text) in [(0.1, "0.1"), (1e10, "1e+10"), (16777216.0, "16777216"), (1.0 / 3.0, "0.333333343")] {
            assert_eq!(float_text(value), text);
        }
    }

    #[test]
    fn bytes_are_escaped_in_octal() {
        assert_eq!(escape_bytes(b"a\x00\x01\xfe\"'\\\n\r\t"), "a\\000\\001\\376\\\"\\'\\\\\\n\\r\\t");
    }
}
