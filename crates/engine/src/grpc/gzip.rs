//! The frame that gzip puts around a deflated message (RFC 1952).

use flate2::Crc;

/// One member, which is all that a message may be.
pub(super) struct Member<'a> {
    pub(super) deflated: &'a [u8],
    crc: u32,
    /// Length of what comes out, modulo 2^32.
    pub(super) len: u32,
}

/// Bits of the flags; the text bit means nothing here, and those above must be 0.
mod flag {
    pub(super) const HEADER_CRC: u8 = 2;
    pub(super) const EXTRA: u8 = 4;
    pub(super) const NAME: u8 = 8;
    pub(super) const COMMENT: u8 = 16;
    pub(super) const RESERVED: u8 = 0xe0;
}

impl<'a> Member<'a> {
    /// Takes header and trailer off; `None` when either is not one.
    pub(super) fn parse(body: &'a [u8]) -> Option<Member<'a>> {
        let (header, mut rest) = body.split_first_chunk::<10>()?;
        // The time, the system and how hard the compressor tried say nothing about the content.
        let [0x1f, 0x8b, 8, flags, ..] = *header else { return None };
        if flags & flag::RESERVED != 0 {
            return None;
        }
        if flags & flag::EXTRA != 0 {
            let (len, after) = rest.split_first_chunk::<2>()?;
            rest = after.get(usize::from(u16::from_le_bytes(*len))..)?;
        }
        for text in [flag::NAME, flag::COMMENT] {
            if flags & text != 0 {
                rest = &rest[rest.iter().position(|byte| *byte == 0)? + 1..];
            }
        }
        if flags & flag::HEADER_CRC != 0 {
            let (crc, after) = rest.split_first_chunk::<2>()?;
            if u32::from(u16::from_le_bytes(*crc)) != checksum(&body[..body.len() - rest.len()]) & 0xffff {
                return None;
            }
            rest = after;
        }
        let (rest, len) = rest.split_last_chunk::<4>()?;
        let (deflated, crc) = rest.split_last_chunk::<4>()?;
        Some(Member { deflated, crc: u32::from_le_bytes(*crc), len: u32::from_le_bytes(*len) })
    }

    /// Whether this is what was compressed.
    pub(super) fn matches(&self, message: &[u8]) -> bool {
        message.len() as u32 == self.len && checksum(message) == self.crc
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::{Member, checksum};

    fn member(flags: u8, options: &[u8]) -> Vec<u8> {
        let header = [&[0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 5, 6][..], options].concat();
        [&header[..], b"deflated", &checksum(b"text").to_le_bytes(), &4u32.to_le_bytes()].concat()
    }

    #[test]
    fn takes_every_option_off() {
        let header_crc = {
            let header = [0x1f, 0x8b, 8, 2, 1, 2, 3, 4, 5, 6];
            checksum(&header).to_le_bytes()[..2].to_vec()
        };
        let cases = [
            (0, Vec::new()),
            (1, Vec::new()),
            (4, b"\x03\x00abc".to_vec()),
            (8, b"name\0".to_vec()),
            (16, b"\0".to_vec()),
            (28, b"\x00\x00name\0comment\0".to_vec()),
            (2, header_crc),
        ];
        for (flags, options) in cases {
            let body = member(flags, &options);
            let member = Member::parse(&body).unwrap_or_else(|| panic!("flags {flags}"));
            assert_eq!(member.deflated, b"deflated");
            assert!(member.matches(b"text") && !member.matches(b"test") && !member.matches(b"texts"));
        }
    }

    #[test]
    fn refuses_what_is_no_member() {
        let whole = member(28, b"\x02\x00abname\0comment\0");
        for len in 0..whole.len() - 8 {
            // What is cut may still end in eight bytes, but never be the whole.
            let cut = Member::parse(&whole[..len]);
            assert!(cut.is_none_or(|member| member.deflated.len() < 8));
        }
        for (at, byte) in [(0, 0), (1, 0), (2, 7), (3, 0x20), (3, 0x80)] {
            let mut bad = member(0, b"");
            bad[at] = byte;
            assert!(Member::parse(&bad).is_none(), "{byte} at {at}");
        }
        assert!(Member::parse(&member(2, b"\0\0")).is_none(), "the checksum of the header counts");
        assert!(Member::parse(&member(8, b"\x01")).is_none(), "a name without its end");
    }
}
