use super::MAX_U31;

/// Length of every frame's head, in bytes.
pub(crate) const HEAD_LEN: usize = 9;

/// Frame types. An unknown one is ignored (RFC 9113 4.1), so this is not an enum.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Frame flags; flags that a type does not know are ignored.
pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// The nine bytes before every payload (RFC 9113 4.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    /// Length of the payload, below 2^24.
    pub(crate) length: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// The stream, 0 for the connection; the reserved bit is dropped.
    pub(crate) stream: u32,
}

impl Head {
    pub(crate) fn decode(bytes: &[u8; HEAD_LEN]) -> Head {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes;
        Head {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & MAX_U31,
        }
    }

    pub(crate) fn encode(self) -> [u8; HEAD_LEN] {
        let [_, l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }

    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Head, flag, kind};

    #[test]
    fn reads_what_it_writes() {
        let head = Head { length: 0xab_cdef, kind: kind::HEADERS, flags: flag::END_HEADERS, stream: 0x7fff_fffe };
        assert_eq!(head.encode(), [0xab, 0xcd, 0xef, 1, 4, 0x7f, 0xff, 0xff, 0xfe]);
        assert_eq!(Head::decode(&head.encode()), head);
    }

    #[test]
    fn ignores_the_reserved_bit() {
        assert_eq!(Head::decode(&[0, 0, 0, 0, 0, 0x80, 0, 0, 1]).stream, 1);
    }
}
