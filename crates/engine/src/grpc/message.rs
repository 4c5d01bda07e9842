//! The five bytes before every message: a flag and the length (PROTOCOL-HTTP2.md, "Length-Prefixed-Message").

use farcall_core::{Code, Status};

use super::encoding::Encoding;
use crate::Role;

pub(crate) const PREFIX_LEN: usize = 5;

/// Memory that a message costs beside its bytes, in bytes: its place in queues on the way to the application.
pub(crate) const MESSAGE_OVERHEAD: usize = 64;

/// The prefix of a message. Longer than 4 GiB cannot be said; the caller has refused it.
pub(crate) fn prefix(len: usize, compressed: bool) -> [u8; PREFIX_LEN] {
    let [l0, l1, l2, l3] = (len as u32).to_be_bytes();
    [u8::from(compressed), l0, l1, l2, l3]
}

/// Why a message cannot be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MessageFault {
    TooLarge {
        len: usize,
        max: usize,
    },
    CompressedWithoutEncoding,
    UnknownFlag(u8),
    /// The stream ended within a message.
    Truncated,
    /// A compressed message is not what its encoding says.
    Corrupt,
}

impl MessageFault {
    /// The status the call ends with, in grpcio's words where it has some.
    pub(crate) fn status(self, role: Role) -> Status {
        match self {
            MessageFault::TooLarge { len, max } => too_large(role, "Received", len, max),
            MessageFault::CompressedWithoutEncoding => {
                Status::new(Code::Internal, "Compression bit set but no encoding configured")
            }
            MessageFault::UnknownFlag(flag) => {
                Status::new(Code::Internal, format!("a message with the unknown flag {flag}"))
            }
            MessageFault::Corrupt => Status::new(Code::Internal, "Decompression failed due to data error"),
            MessageFault::Truncated => Status::new(Code::Internal, "the stream ended within a message"),
        }
    }
}

/// The status of a message over the limit: `CLIENT: Received message larger than max (5 vs. 4)`.
pub(crate) fn too_large(role: Role, verb: &str, len: usize, max: usize) -> Status {
    let side = match role {
        Role::Client => "CLIENT",
        Role::Server => "SERVER",
    };
    Status::new(Code::ResourceExhausted, format!("{side}: {verb} message larger than max ({len} vs. {max})"))
}

/// Reads a prefix: the length of the message that follows, and whether it is compressed.
pub(crate) fn read_prefix(
    prefix: [u8; PREFIX_LEN],
    encoding: Encoding,
    max: Option<usize>,
) -> Result<(usize, bool), MessageFault> {
    let [flag, l0, l1, l2, l3] = prefix;
    let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
    match (flag, max) {
        (0 | 1, Some(max)) if len > max => Err(MessageFault::TooLarge { len, max }),
        (0, _) => Ok((len, false)),
        (1, _) if encoding == Encoding::Identity => Err(MessageFault::CompressedWithoutEncoding),
        (1, _) => Ok((len, true)),
        _ => Err(MessageFault::UnknownFlag(flag)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Encoding, MessageFault, prefix, read_prefix};

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(prefix(0x01_02_03_04, false), [0, 1, 2, 3, 4]);
        assert_eq!(read_prefix(prefix(0x01_02_03_04, false), Encoding::Identity, None), Ok((0x01_02_03_04, false)));
        assert_eq!(read_prefix([0, 0xff, 0xff, 0xff, 0xff], Encoding::Identity, None), Ok((u32::MAX as usize, false)));
    }

    #[test]
    fn takes_the_limit_and_not_a_byte_more() {
        assert_eq!(read_prefix(prefix(4, false), Encoding::Identity, Some(4)), Ok((4, false)));
        assert_eq!(
            read_prefix(prefix(5, false), Encoding::Identity, Some(4)),
            Err(MessageFault::TooLarge { len: 5, max: 4 })
        );
    }

    #[test]
    fn takes_compressed_messages_once_there_is_an_encoding() {
        assert_eq!(prefix(4, true), [1, 0, 0, 0, 4]);
        assert_eq!(read_prefix(prefix(4, true), Encoding::Gzip, Some(4)), Ok((4, true)));
        assert_eq!(read_prefix(prefix(4, false), Encoding::Gzip, Some(4)), Ok((4, false)));
        let fault = MessageFault::TooLarge { len: 5, max: 4 };
        assert_eq!(read_prefix(prefix(5, true), Encoding::Gzip, Some(4)), Err(fault));
    }

    #[test]
    fn refuses_other_flags() {
        assert_eq!(
            read_prefix([1, 0, 0, 0, 0], Encoding::Identity, None),
            Err(MessageFault::CompressedWithoutEncoding)
        );
        assert_eq!(read_prefix([2, 0, 0, 0, 0], Encoding::Identity, None), Err(MessageFault::UnknownFlag(2)));
    }
}
