//! Byte strings as Python (and C) literals, escaped as protoc escapes them.

/// Escapes for a literal, non-printables as `\xNN`. A hex digit that follows such an escape is escaped too, so that
/// C, which reads `\x` greedily, reads the same bytes.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    let mut after_hex = false;
    for &byte in bytes {
        let plain = push_short(&mut out, byte, |byte| !(after_hex && byte.is_ascii_hexdigit()));
        if !plain {
            out.push_str("\\x");
            out.push(char::from(HEX_DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(HEX_DIGITS[usize::from(byte & 15)]));
        }
        after_hex = !plain;
    }
    out
}

/// Escapes for a literal, non-printables as `\NNN` (octal).
pub(crate) fn octal(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        if !push_short(&mut out, byte, |_| true) {
            out.push('\\');
            for shift in [6, 3, 0] {
                out.push(char::from(b'0' + (byte >> shift & 7)));
            }
        }
    }
    out
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Pushes `byte` if it has a short escape or is printable (and `may_stand` allows it); says whether it did.
fn push_short(out: &mut String, byte: u8, may_stand: impl Fn(u8) -> bool) -> bool {
    match byte {
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        b'"' => out.push_str("\\\""),
        b'\'' => out.push_str("\\'"),
        b'\\' => out.push_str("\\\\"),
        0x20..=0x7e if may_stand(byte) => out.push(char::from(byte)),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{hex, octal};

    #[test]
    fn a_hex_digit_after_a_hex_escape_is_escaped_too() {
        assert_eq!(hex(b"\x07demo\n2"), r"\x07\x64\x65mo\n2");
        assert_eq!(hex(b"\xffg\"'\\\r\t"), r#"\xffg\"\'\\\r\t"#);
    }

    #[test]
    fn octal_escapes_have_three_digits() {
        assert_eq!(octal(b"8\x01\xff\n"), r"8\001\377\n");
    }
}
