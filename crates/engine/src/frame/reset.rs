use super::{Head, kind, number};
use crate::error::{ErrorCode, Fault};

/// RST_STREAM (RFC 9113 6.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reset {
    pub(crate) stream: u32,
    pub(crate) code: ErrorCode,
}

impl Reset {
    pub(crate) fn decode(head: Head, payload: &[u8]) -> Result<Reset, Fault> {
        const SIZE: &str = "RST_STREAM that is not of 4 bytes";
        if payload.len() != 4 {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, SIZE));
        }
        Ok(Reset { stream: head.stream, code: ErrorCode(number(payload, SIZE)?) })
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Head { length: 4, kind: kind::RST_STREAM, flags: 0, stream: self.stream }.encode());
        out.extend_from_slice(&self.code.0.to_be_bytes());
    }
}
