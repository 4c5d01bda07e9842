use super::{Head, MAX_U31, kind, number};
use crate::error::{ErrorCode, Fault};

/// GOAWAY (RFC 9113 6.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GoAway<'a> {
    /// Streams above this were not and will not be looked at.
    pub(crate) last_stream: u32,
    pub(crate) code: ErrorCode,
    pub(crate) debug: &'a [u8],
}

impl<'a> GoAway<'a> {
    pub(crate) fn decode(payload: &'a [u8]) -> Result<GoAway<'a>, Fault> {
        const SIZE: &str = "GOAWAY of less than 8 bytes";
        let last_stream = number(payload, SIZE)? & MAX_U31;
        let code = ErrorCode(number(&payload[4..], SIZE)?);
        Ok(GoAway { last_stream, code, debug: &payload[8..] })
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let length = 8 + self.debug.len() as u32;
        out.extend_from_slice(&Head { length, kind: kind::GOAWAY, flags: 0, stream: 0 }.encode());
        out.extend_from_slice(&self.last_stream.to_be_bytes());
        out.extend_from_slice(&self.code.0.to_be_bytes());
        out.extend_from_slice(self.debug);
    }
}
