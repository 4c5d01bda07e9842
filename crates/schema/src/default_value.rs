//! Defaults of fields, as descriptors spell them.

use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;

use crate::c_number::{fraction, signed, unsigned};
use crate::text::{double_text, escape_bytes, float_text};

/// A default of a type that is a number, spelled as descriptors spell it. `None` if it is no number.
pub(crate) fn default_number(r#type: Type, default: &str) -> Option<String> {
    use Type::*;
    Some(match r#type {
        // What is too large for the type loses its upper bits, as in C.
        TYPE_INT32 | TYPE_SINT32 | TYPE_SFIXED32 => (signed(default)? as i32).to_string(),
        TYPE_INT64 | TYPE_SINT64 | TYPE_SFIXED64 => signed(default)?.to_string(),
        TYPE_UINT32 | TYPE_FIXED32 => (unsigned(default)? as u32).to_string(),
        TYPE_UINT64 | TYPE_FIXED64 => unsigned(default)?.to_string(),
        TYPE_FLOAT => float_text(fraction(default)? as f32),
        TYPE_DOUBLE => double_text(fraction(default)?),
        _ => return None,
    })
}

/// The spelling of a default if it has another one: text comes with that which the parser gave it.
pub(crate) fn canonical_default(r#type: Type, default: &str) -> Option<String> {
    match r#type {
        Type::TYPE_BYTES if default.contains('\\') => unescaped(default).map(|bytes| escape_bytes(&bytes)),
        Type::TYPE_BYTES | Type::TYPE_STRING | Type::TYPE_BOOL | Type::TYPE_ENUM => None,
        number => default_number(number, default),
    }
}

/// The bytes that C's escapes stand for. `None` if they are wrong.
pub(crate) fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\\' {
            bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes());
            continue;
        }
        bytes.push(match rest.next()? {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            quoted @ ('\\' | '?' | '\'' | '"') => quoted as u8,
            digit @ '0'..='7' => {
                let (more, value) = digits(&rest, 8, 2, digit.to_digit(8)?);
                rest = more;
                u8::try_from(value).ok()?
            }
            'x' | 'X' => {
                let first = rest.next()?.to_digit(16)?;
                let (more, value) = digits(&rest, 16, usize::MAX, first);
                rest = more;
                u8::try_from(value).ok()?
            }
            kind @ ('u' | 'U') => {
                let count = if kind == 'u' { 4 } else { 8 };
                let (more, value) = digits(&rest, 16, count, 0);
                if rest.as_str().len() - more.as_str().len() != count {
                    return None;
                }
                rest = more;
                bytes.extend(char::from_u32(value)?.encode_utf8(&mut [0; 4]).bytes());
                continue;
            }
            _ => return None,
        });
    }
    Some(bytes)
}

/// `value` with up to `count` more digits, and what follows them.
fn digits<'t>(text: &std::str::Chars<'t>, base: u32, count: usize, value: u32) -> (std::str::Chars<'t>, u32) {
    let mut rest = text.clone();
    let mut value = value;
    for _ in 0..count {
        let Some(digit) = rest.clone().next().and_then(|letter| letter.to_digit(base)) else { break };
        value = value.saturating_mul(base).saturating_add(digit);
        rest.next();
    }
    (rest, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_bytes() {
        for (text, expected) in [
            (r#"a\n\\\"\'\?"#, Some(&b"a\n\\\"'?"[..])),
            (r"\0\101\3777", Some(b"\0A\xff7")),
            (r"\x41\xff", Some(b"A\xff")),
            (r"\u00e4", Some("ä".as_bytes())),
            (r"\U0001F600", Some("😀".as_bytes())),
            (r"\400", None),
            (r"\x100", None),
            (r"\x", None),
            (r"\ud800", None),
            (r"\u12", None),
            (r"\q", None),
            (r"\", None),
        ] {
            assert_eq!(unescaped(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn numbers_lose_what_their_type_does_not_hold() {
        assert_eq!(default_number(Type::TYPE_INT32, "99999999999").as_deref(), Some("1215752191"));
        assert_eq!(default_number(Type::TYPE_UINT32, "-1").as_deref(), Some("4294967295"));
        assert_eq!(default_number(Type::TYPE_DOUBLE, "0x10").as_deref(), Some("16"));
        assert_eq!(default_number(Type::TYPE_FLOAT, "x"), None);
    }
}
