use super::{Head, flag};
use crate::error::{ErrorCode, Fault};

/// The part of a HEADERS payload that belongs to the header block: padding and priority are taken off.
pub(crate) fn block_fragment(head: Head, payload: &[u8]) -> Result<&[u8], Fault> {
    let (start, length) = block_bounds(head, payload)?;
    Ok(&payload[start..start + length])
}

/// How much may come before the header block in a HEADERS payload, in bytes.
pub(crate) const BEFORE_BLOCK: usize = 6;

/// Where in a HEADERS payload the header block begins, and how long it is. Of the payload no more is looked at than may
/// come [before](BEFORE_BLOCK).
pub(crate) fn block_bounds(head: Head, mut payload: &[u8]) -> Result<(usize, usize), Fault> {
    let there = payload.len();
    let mut padding = 0;
    if head.has(flag::PADDED) {
        let (&length, rest) = payload.split_first().ok_or(SHORT)?;
        (padding, payload) = (length as usize, rest);
    }
    if head.has(flag::PRIORITY) {
        let (priority, rest) = payload.split_first_chunk::<5>().ok_or(SHORT)?;
        let dependency = u32::from_be_bytes([priority[0], priority[1], priority[2], priority[3]]) & super::MAX_U31;
        if dependency == head.stream {
            // For the stream alone the block would have to be read all the same; no honest peer gets here.
            return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a stream that depends on itself"));
        }
        payload = rest;
    }
    let start = there - payload.len();
    let length = (head.length as usize)
        .checked_sub(start + padding)
        .ok_or(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "HEADERS with more padding than payload"))?;
    Ok((start, length))
}

const SHORT: Fault = Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "HEADERS too short for its flags");

#[cfg(test)]
mod tests {
    use super::block_fragment;
    use crate::{
        error::{ErrorCode, Fault},
        frame::{Head, flag, kind},
    };

    fn fragment(flags: u8, payload: &[u8]) -> Result<&[u8], Fault> {
        block_fragment(Head { length: payload.len() as u32, kind: kind::HEADERS, flags, stream: 3 }, payload)
    }

    #[test]
    fn takes_padding_and_priority_off() {
        assert_eq!(fragment(0, b"block"), Ok(&b"block"[..]));
        assert_eq!(fragment(flag::PADDED, b"\x02block\0\0"), Ok(&b"block"[..]));
        assert_eq!(fragment(flag::PRIORITY, b"\x80\0\0\x01\x10block"), Ok(&b"block"[..]));
        assert_eq!(fragment(flag::PADDED | flag::PRIORITY, b"\x01\0\0\0\x01\x10block\0"), Ok(&b"block"[..]));
        assert_eq!(fragment(flag::PADDED, b"\x03\0\0\0"), Ok(&b""[..]));
    }

    #[test]
    fn refuses_what_is_too_short() {
        for (flags, payload) in [(flag::PADDED, &b""[..]), (flag::PRIORITY, b"\0\0\0\x01")] {
            assert!(matches!(fragment(flags, payload), Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, _))));
        }
        assert!(matches!(fragment(flag::PADDED, b"\x04\0\0\0"), Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, _))));
    }

    #[test]
    fn refuses_a_stream_that_depends_on_itself() {
        assert!(matches!(
            fragment(flag::PRIORITY, b"\0\0\0\x03\x10"),
            Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, _))
        ));
    }
}
