use super::{HEAD_LEN, Head, flag, kind};
use crate::error::{ErrorCode, Fault};

/// PING (RFC 9113 6.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Ping {
    pub(crate) payload: [u8; 8],
    pub(crate) ack: bool,
}

impl Ping {
    pub(crate) fn decode(head: Head, payload: &[u8]) -> Result<Ping, Fault> {
        let payload = payload
            .try_into()
            .map_err(|_| Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, "PING that is not of 8 bytes"))?;
        Ok(Ping { payload, ack: head.has(flag::ACK) })
    }

    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        let flags = if self.ack { flag::ACK } else { 0 };
        out.reserve(HEAD_LEN + 8);
        out.extend_from_slice(&Head { length: 8, kind: kind::PING, flags, stream: 0 }.encode());
        out.extend_from_slice(&self.payload);
    }
}
