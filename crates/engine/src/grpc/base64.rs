//! The coding of `-bin` metadata values: Base64 without padding, read with or without it.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const CODING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A value that is not Base64.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InvalidBase64;

impl fmt::Display for InvalidBase64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("illegal base64 encoding")
    }
}

impl std::error::Error for InvalidBase64 {}

/// Appends `value`, coded.
pub(crate) fn encode(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Room for padding too, which the crate's own length counts until it has looked.
    out.resize(start + value.len().div_ceil(3) * 4, 0);
    // The room is never too small, so nothing is ever left out here.
    let len = CODING.encode_slice(value, &mut out[start..]).unwrap_or(0);
    out.truncate(start + len);
}

/// Gives each value of a header: one, or several that a hop joined by commas. `scratch` holds the value meanwhile.
///
/// # Errors
/// One of them is not Base64; those before it were given.
pub(crate) fn decode(header: &[u8], scratch: &mut Vec<u8>, mut value: impl FnMut(&[u8])) -> Result<(), InvalidBase64> {
    for coded in header.split(|&byte| byte == b',') {
        scratch.clear();
        CODING.decode_vec(coded.trim_ascii(), scratch).map_err(|_| InvalidBase64)?;
        value(scratch);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{InvalidBase64, decode, encode};

    fn encoded(value: &[u8]) -> Vec<u8> {
        let mut out = b"before:".to_vec();
        encode(value, &mut out);
        assert_eq!(&out[..7], b"before:");
        out.split_off(7)
    }

    fn decoded(header: &[u8]) -> Result<Vec<Vec<u8>>, InvalidBase64> {
        let mut values = Vec::new();
        decode(header, &mut Vec::new(), |value| values.push(value.to_vec())).map(|()| values)
    }

    #[test]
    fn writes_no_padding() {
        assert_eq!(encoded(b"f"), b"Zg");
        assert_eq!(encoded(b"foo"), b"Zm9v");
        assert_eq!(encoded(&[0xfb, 0xff]), b"+/8");
        assert_eq!(encoded(b""), b"");
    }

    #[test]
    fn reads_with_and_without_padding_and_joined() {
        for header in [&b"Zg"[..], b"Zg==", b" Zg== ", b"Zh"] {
            assert_eq!(decoded(header).unwrap(), [b"f"], "{}", header.escape_ascii());
        }
        assert_eq!(decoded(b"").unwrap(), [b""]);
        assert_eq!(decoded(b"Zg==,Zm9v, ,Zg").unwrap(), [&b"f"[..], b"foo", b"", b"f"]);
    }

    #[test]
    fn refuses_what_is_not_base64() {
        for header in [&b"Z"[..], b"Z===", b"Zg=a", b"Zm_v", b"Zm9v\0", b"Zg Zg", b"!", b"Zm9v,!"] {
            assert_eq!(decoded(header), Err(InvalidBase64), "{}", header.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn there_and_back(values in prop::collection::vec(any::<Vec<u8>>(), 1..4)) {
            let joined = values.iter().map(|value| encoded(value)).collect::<Vec<_>>().join(&b","[..]);
            prop_assert_eq!(decoded(&joined).unwrap(), values);
        }

        #[test]
        fn any_bytes_decode_or_are_refused(header: Vec<u8>) {
            let _ = decoded(&header);
        }
    }
}
