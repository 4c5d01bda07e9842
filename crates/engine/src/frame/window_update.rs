use super::{Head, MAX_U31, kind, number};
use crate::error::{ErrorCode, Fault};

/// WINDOW_UPDATE (RFC 9113 6.9), of a stream or, with stream 0, of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WindowUpdate {
    pub(crate) stream: u32,
    pub(crate) increment: u32,
}

impl WindowUpdate {
    pub(crate) fn decode(head: Head, payload: &[u8]) -> Result<WindowUpdate, Fault> {
        const SIZE: &str = "WINDOW_UPDATE that is not of 4 bytes";
        if payload.len() != 4 {
            return Err(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, SIZE));
        }
        let increment = number(payload, SIZE)? & MAX_U31;
        match (increment, head.stream) {
            (0, 0) => Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "WINDOW_UPDATE by 0")),
            (0, _) => Err(Fault::Stream(ErrorCode::PROTOCOL_ERROR, "WINDOW_UPDATE by 0")),
            _ => Ok(WindowUpdate { stream: head.stream, increment }),
        }
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&Head { length: 4, kind: kind::WINDOW_UPDATE, flags: 0, stream: self.stream }.encode());
        out.extend_from_slice(&self.increment.to_be_bytes());
    }
}
