//! The coding of `grpc-message` (PROTOCOL-HTTP2.md, "Percent-Encoded").

use std::borrow::Cow;

/// Appends `message` with every byte outside 0x20 to 0x7e, and `%`, as `%XX`.
pub(crate) fn encode(message: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.reserve(message.len());
    for &byte in message.as_bytes() {
        if plain(byte) {
            out.push(byte);
        } else {
            out.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 0xf)]]);
        }
    }
}

/// As much of the begin of `message` as comes to `most` bytes when it is [`encode`]d, in whole characters.
pub(crate) fn cut(message: &str, most: usize) -> &str {
    let mut length = 0;
    let fits = |c: char| {
        length += if c.is_ascii() && plain(c as u8) { 1 } else { 3 * c.len_utf8() };
        length <= most
    };
    let end = message.chars().take_while({
        let mut fits = fits;
        move |c| fits(*c)
    });
    &message[..end.map(char::len_utf8).sum()]
}

/// Reads a message and never fails: a `%` that is not followed by two hex digits stands for itself, and what is not
/// UTF-8 is read as Latin-1, as grpcio does.
pub(crate) fn decode(coded: &[u8]) -> String {
    let bytes = if coded.contains(&b'%') { Cow::Owned(unescaped(coded)) } else { Cow::Borrowed(coded) };
    match std::str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

fn plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'%'
}

fn unescaped(mut coded: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(coded.len());
    while let Some((&first, rest)) = coded.split_first() {
        let escaped = match rest {
            [high, low, ..] if first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                coded = &rest[2..];
            }
            None => {
                bytes.push(first);
                coded = rest;
            }
        }
    }
    bytes
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{cut, decode, encode};

    fn encoded(message: &str) -> String {
        let mut out = Vec::new();
        encode(message, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn escapes_what_a_header_cannot_carry() {
        assert_eq!(encoded("bad ☃ %\n"), "bad %E2%98%83 %25%0A");
        assert_eq!(encoded(" ~"), " ~");
        assert_eq!(encoded("\u{1f}\u{7f}"), "%1F%7F");
        assert_eq!(encoded(""), "");
    }

    #[test]
    fn never_drops_a_message() {
        for (coded, message) in [
            (&b"a%ZZb%e2%98%83 %"[..], "a%ZZb☃ %"),
            (b"a%FFb", "aÿb"),
            (b"%", "%"),
            (b"%4", "%4"),
            (b"%4G%41", "%4GA"),
            (b"%%41", "%A"),
            (b"raw \xe2\x98\x83", "raw ☃"),
            (b"\xff", "ÿ"),
            (b"", ""),
        ] {
            assert_eq!(decode(coded), message);
        }
    }

    proptest! {
        #[test]
        fn there_and_back(message: String) {
            let coded = encoded(&message);
            prop_assert!(coded.bytes().all(|byte| matches!(byte, 0x20..=0x7e)));
            prop_assert_eq!(decode(coded.as_bytes()), message);
        }

        #[test]
        fn any_bytes_decode(coded: Vec<u8>) {
            // Latin-1 doubles a byte at most.
            prop_assert!(decode(&coded).len() <= 2 * coded.len());
        }
    }

    #[test]
    fn cuts_by_what_is_coded_and_between_characters() {
        for (message, most, expected) in [
            ("abc", 2, "ab"),
            ("abc", 3, "abc"),
            ("a%c", 3, "a"),
            ("a%c", 4, "a%"),
            ("\u{161}b", 5, ""),
            ("\u{161}b", 6, "\u{161}"),
            ("\u{161}b", 7, "\u{161}b"),
            ("\u{2603}b", 8, ""),
            ("\u{2603}b", 9, "\u{2603}"),
        ] {
            assert_eq!(cut(message, most), expected, "{message:?} in {most} bytes");
        }
    }
}
