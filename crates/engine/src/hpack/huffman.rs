//! The Huffman code of RFC 7541 appendix B.
//!
//! The code is canonical: among codes of one length, values follow symbols. So short codes are found by one look into
//! a table, long ones (rare in headers) by comparing with the first code of each length.

use super::Error;

/// Code (in the low bits) and length in bits of each byte, then of EOS.
#[rustfmt::skip]
const CODES: [(u32, u8); 257] = [
    (0x1ff8, 13), (0x7fffd8, 23), (0xfffffe2, 28), (0xfffffe3, 28), (0xfffffe4, 28), (0xfffffe5, 28),
    (0xfffffe6, 28), (0xfffffe7, 28), (0xfffffe8, 28), (0xffffea, 24), (0x3ffffffc, 30), (0xfffffe9, 28),
    (0xfffffea, 28), (0x3ffffffd, 30), (0xfffffeb, 28), (0xfffffec, 28), (0xfffffed, 28), (0xfffffee, 28),
    (0xfffffef, 28), (0xffffff0, 28), (0xffffff1, 28), (0xffffff2, 28), (0x3ffffffe, 30), (0xffffff3, 28),
    (0xffffff4, 28), (0xffffff5, 28), (0xffffff6, 28), (0xffffff7, 28), (0xffffff8, 28), (0xffffff9, 28),
    (0xffffffa, 28), (0xffffffb, 28), (0x14, 6), (0x3f8, 10), (0x3f9, 10), (0xffa, 12),
    (0x1ff9, 13), (0x15, 6), (0xf8, 8), (0x7fa, 11), (0x3fa, 10), (0x3fb, 10),
    (0xf9, 8), (0x7fb, 11), (0xfa, 8), (0x16, 6), (0x17, 6), (0x18, 6),
    (0x0, 5), (0x1, 5), (0x2, 5), (0x19, 6), (0x1a, 6), (0x1b, 6),
    (0x1c, 6), (0x1d, 6), (0x1e, 6), (0x1f, 6), (0x5c, 7), (0xfb, 8),
    (0x7ffc, 15), (0x20, 6), (0xffb, 12), (0x3fc, 10), (0x1ffa, 13), (0x21, 6),
    (0x5d, 7), (0x5e, 7), (0x5f, 7), (0x60, 7), (0x61, 7), (0x62, 7),
    (0x63, 7), (0x64, 7), (0x65, 7), (0x66, 7), (0x67, 7), (0x68, 7),
    (0x69, 7), (0x6a, 7), (0x6b, 7), (0x6c, 7), (0x6d, 7), (0x6e, 7),
    (0x6f, 7), (0x70, 7), (0x71, 7), (0x72, 7), (0xfc, 8), (0x73, 7),
    (0xfd, 8), (0x1ffb, 13), (0x7fff0, 19), (0x1ffc, 13), (0x3ffc, 14), (0x22, 6),
    (0x7ffd, 15), (0x3, 5), (0x23, 6), (0x4, 5), (0x24, 6), (0x5, 5),
    (0x25, 6), (0x26, 6), (0x27, 6), (0x6, 5), (0x74, 7), (0x75, 7),
    (0x28, 6), (0x29, 6), (0x2a, 6), (0x7, 5), (0x2b, 6), (0x76, 7),
    (0x2c, 6), (0x8, 5), (0x9, 5), (0x2d, 6), (0x77, 7), (0x78, 7),
    (0x79, 7), (0x7a, 7), (0x7b, 7), (0x7ffe, 15), (0x7fc, 11), (0x3ffd, 14),
    (0x1ffd, 13), (0xffffffc, 28), (0xfffe6, 20), (0x3fffd2, 22), (0xfffe7, 20), (0xfffe8, 20),
    (0x3fffd3, 22), (0x3fffd4, 22), (0x3fffd5, 22), (0x7fffd9, 23), (0x3fffd6, 22), (0x7fffda, 23),
    (0x7fffdb, 23), (0x7fffdc, 23), (0x7fffdd, 23), (0x7fffde, 23), (0xffffeb, 24), (0x7fffdf, 23),
    (0xffffec, 24), (0xffffed, 24), (0x3fffd7, 22), (0x7fffe0, 23), (0xffffee, 24), (0x7fffe1, 23),
    (0x7fffe2, 23), (0x7fffe3, 23), (0x7fffe4, 23), (0x1fffdc, 21), (0x3fffd8, 22), (0x7fffe5, 23),
    (0x3fffd9, 22), (0x7fffe6, 23), (0x7fffe7, 23), (0xffffef, 24), (0x3fffda, 22), (0x1fffdd, 21),
    (0xfffe9, 20), (0x3fffdb, 22), (0x3fffdc, 22), (0x7fffe8, 23), (0x7fffe9, 23), (0x1fffde, 21),
    (0x7fffea, 23), (0x3fffdd, 22), (0x3fffde, 22), (0xfffff0, 24), (0x1fffdf, 21), (0x3fffdf, 22),
    (0x7fffeb, 23), (0x7fffec, 23), (0x1fffe0, 21), (0x1fffe1, 21), (0x3fffe0, 22), (0x1fffe2, 21),
    (0x7fffed, 23), (0x3fffe1, 22), (0x7fffee, 23), (0x7fffef, 23), (0xfffea, 20), (0x3fffe2, 22),
    (0x3fffe3, 22), (0x3fffe4, 22), (0x7ffff0, 23), (0x3fffe5, 22), (0x3fffe6, 22), (0x7ffff1, 23),
    (0x3ffffe0, 26), (0x3ffffe1, 26), (0xfffeb, 20), (0x7fff1, 19), (0x3fffe7, 22), (0x7ffff2, 23),
    (0x3fffe8, 22), (0x1ffffec, 25), (0x3ffffe2, 26), (0x3ffffe3, 26), (0x3ffffe4, 26), (0x7ffffde, 27),
    (0x7ffffdf, 27), (0x3ffffe5, 26), (0xfffff1, 24), (0x1ffffed, 25), (0x7fff2, 19), (0x1fffe3, 21),
    (0x3ffffe6, 26), (0x7ffffe0, 27), (0x7ffffe1, 27), (0x3ffffe7, 26), (0x7ffffe2, 27), (0xfffff2, 24),
    (0x1fffe4, 21), (0x1fffe5, 21), (0x3ffffe8, 26), (0x3ffffe9, 26), (0xffffffd, 28), (0x7ffffe3, 27),
    (0x7ffffe4, 27), (0x7ffffe5, 27), (0xfffec, 20), (0xfffff3, 24), (0xfffed, 20), (0x1fffe6, 21),
    (0x3fffe9, 22), (0x1fffe7, 21), (0x1fffe8, 21), (0x7ffff3, 23), (0x3fffea, 22), (0x3fffeb, 22),
    (0x1ffffee, 25), (0x1ffffef, 25), (0xfffff4, 24), (0xfffff5, 24), (0x3ffffea, 26), (0x7ffff4, 23),
    (0x3ffffeb, 26), (0x7ffffe6, 27), (0x3ffffec, 26), (0x3ffffed, 26), (0x7ffffe7, 27), (0x7ffffe8, 27),
    (0x7ffffe9, 27), (0x7ffffea, 27), (0x7ffffeb, 27), (0xffffffe, 28), (0x7ffffec, 27), (0x7ffffed, 27),
    (0x7ffffee, 27), (0x7ffffef, 27), (0x7fffff0, 27), (0x3ffffee, 26), (0x3fffffff, 30),
];

const EOS: usize = 256;
const LONGEST: usize = 30;

/// Codes of up to this many bits are found by one look.
const SHORT: u32 = 10;

/// By the next `SHORT` bits: symbol and length of the code they begin with, length 0 if it is longer.
static SHORT_CODES: [(u8, u8); 1 << SHORT] = {
    let mut table = [(0, 0); 1 << SHORT];
    let mut symbol = 0;
    while symbol < EOS {
        let (code, length) = CODES[symbol];
        if length as u32 <= SHORT {
            let free = SHORT - length as u32;
            let mut rest = 0;
            while rest < 1 << free {
                table[(code << free | rest) as usize] = (symbol as u8, length);
                rest += 1;
            }
        }
        symbol += 1;
    }
    table
};

/// The codes of one length: the first, the one after the last (both left-aligned in 64 bits, for a code can be all
/// ones), and where their symbols start in `SYMBOLS`.
#[derive(Clone, Copy)]
struct Length {
    first: u64,
    end: u64,
    symbols: usize,
}

/// Symbols in the order of their codes.
static SYMBOLS: [u16; 257] = sorted().0;
static LENGTHS: [Length; LONGEST + 1] = sorted().1;

const fn sorted() -> ([u16; 257], [Length; LONGEST + 1]) {
    let mut symbols = [0; 257];
    let mut lengths = [Length { first: 0, end: 0, symbols: 0 }; LONGEST + 1];
    let mut count = 0;
    let mut end = 0;
    let mut length = 1;
    while length <= LONGEST {
        lengths[length] = Length { first: end, end, symbols: count };
        let mut symbol = 0;
        while symbol <= EOS {
            if CODES[symbol].1 as usize == length {
                symbols[count] = symbol as u16;
                count += 1;
                end += 1 << (32 - length);
            }
            symbol += 1;
        }
        lengths[length].end = end;
        length += 1;
    }
    (symbols, lengths)
}

/// How many bytes `text` takes when coded.
pub(crate) fn encoded_len(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&byte| usize::from(CODES[usize::from(byte)].1)).sum();
    bits.div_ceil(8)
}

/// Appends `text`, coded, padded with the first bits of EOS.
pub(crate) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut bits = 0u64;
    let mut count = 0;
    for &byte in text {
        let (code, length) = CODES[usize::from(byte)];
        bits = bits << length | u64::from(code);
        count += u32::from(length);
        if count >= 32 {
            count -= 32;
            out.extend_from_slice(&((bits >> count) as u32).to_be_bytes());
        }
    }
    if count > 0 {
        let padded = bits << (64 - count) | ((1 << (64 - count)) - 1);
        out.extend_from_slice(&padded.to_be_bytes()[..count.div_ceil(8) as usize]);
    }
}

/// Appends the text that `coded` stands for: at most 8/5 of its length.
pub(crate) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.reserve(coded.len() * 8 / 5);
    let mut rest = coded;
    // The next bits, `count` of them, in the low end.
    let mut bits = 0u64;
    let mut count = 0;
    loop {
        if count <= 32 {
            if let Some((word, after)) = rest.split_first_chunk::<4>() {
                bits = bits << 32 | u64::from(u32::from_be_bytes(*word));
                count += 32;
                rest = after;
            } else {
                for &byte in rest {
                    bits = bits << 8 | u64::from(byte);
                    count += 8;
                }
                rest = &[];
            }
        }
        if count == 0 {
            return Ok(());
        }
        // Filled up with ones, as padding is, so that a short rest reads as the beginning of EOS.
        let next = bits << (64 - count) | ((1 << (64 - count)) - 1);
        let (symbol, length) = first_code(next >> 32);
        if length > count {
            let padding = (1 << count) - 1;
            let valid = count < 8 && bits & padding == padding;
            return if valid { Ok(()) } else { Err(Error::Huffman) };
        }
        let Ok(byte) = u8::try_from(symbol) else {
            return Err(Error::Huffman);
        };
        out.push(byte);
        count -= length;
    }
}

/// Symbol and length of the code that these 32 bits begin with.
fn first_code(next: u64) -> (u16, u32) {
    let (symbol, length) = SHORT_CODES[(next >> (32 - SHORT)) as usize];
    if length > 0 {
        return (u16::from(symbol), u32::from(length));
    }
    let long = LENGTHS.iter().enumerate().skip(SHORT as usize + 1).find(|(_, codes)| next < codes.end);
    // The last length ends at 2^32, so there always is one.
    let (length, codes) = long.unwrap_or((LONGEST, &LENGTHS[LONGEST]));
    let position = codes.symbols + ((next - codes.first) >> (32 - length)) as usize;
    (SYMBOLS[position], length as u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{CODES, EOS, decode, encode, encoded_len};
    use crate::hpack::Error;

    fn decoded(coded: &[u8]) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        decode(coded, &mut text).map(|()| text)
    }

    /// The first `length` bits of `code`, then ones to fill the byte and `more` bytes of ones.
    fn padded(code: u32, length: u8, more: usize) -> Vec<u8> {
        let bits = u64::from(code) << (64 - length) | (u64::MAX >> length);
        let mut bytes = bits.to_be_bytes()[..usize::from(length).div_ceil(8)].to_vec();
        bytes.resize(bytes.len() + more, 0xff);
        bytes
    }

    #[test]
    fn every_symbol_there_and_back() {
        for (byte, (code, length)) in (0..=u8::MAX).zip(CODES) {
            let mut coded = Vec::new();
            encode(&[byte], &mut coded);
            assert_eq!(coded, padded(code, length, 0));
            assert_eq!(decoded(&coded).unwrap(), [byte]);
        }
    }

    #[test]
    fn eos_is_refused_wherever_it_stands() {
        let (eos, length) = CODES[EOS];
        assert_eq!(decoded(&padded(eos, length, 0)), Err(Error::Huffman));
        assert_eq!(decoded(&[0xff; 4]), Err(Error::Huffman));
        assert_eq!(decoded(&[0xff; 5]), Err(Error::Huffman));
        let (a, a_length) = CODES[usize::from(b'a')];
        let both = u64::from(a) << 30 | u64::from(eos);
        let bytes = (both << (64 - 30 - a_length) | (u64::MAX >> (30 + a_length))).to_be_bytes();
        assert_eq!(decoded(&bytes[..5]), Err(Error::Huffman));
    }

    #[test]
    fn padding_is_at_most_seven_ones() {
        // '0' is 00000: three bits of padding.
        assert_eq!(decoded(&[0b0000_0111]).unwrap(), b"0");
        assert_eq!(decoded(&[0b0000_0110]), Err(Error::Huffman));
        assert_eq!(decoded(&[0b0000_0000]), Err(Error::Huffman));
        // '&' is 11111000, so no padding; a whole byte of it is too much.
        assert_eq!(decoded(&[0b1111_1000]).unwrap(), b"&");
        assert_eq!(decoded(&[0b1111_1000, 0xff]), Err(Error::Huffman));
        assert_eq!(decoded(&[0xff]), Err(Error::Huffman));
        assert_eq!(decoded(&[0b0000_0111, 0xff]), Err(Error::Huffman));
        // ':' is 1011100: one bit of padding; '\\' is 19 bits: five.
        assert_eq!(decoded(&[0b1011_1001]).unwrap(), b":");
        assert_eq!(decoded(&[0xff, 0xfe, 0x1f]).unwrap(), b"\\");
        assert_eq!(decoded(&[0xff, 0xfe, 0x1e]), Err(Error::Huffman));
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    proptest! {
        #[test]
        fn text_there_and_back(text: Vec<u8>) {
            let mut coded = Vec::new();
            encode(&text, &mut coded);
            prop_assert_eq!(coded.len(), encoded_len(&text));
            prop_assert_eq!(decoded(&coded).unwrap(), text);
        }

        /// What decodes at all is the one way to write it.
        #[test]
        fn bytes_there_and_back(coded: Vec<u8>) {
            if let Ok(text) = decoded(&coded) {
                prop_assert!(text.len() <= coded.len() * 8 / 5);
                let mut again = Vec::new();
                encode(&text, &mut again);
                prop_assert_eq!(again, coded);
            }
        }
    }
}
