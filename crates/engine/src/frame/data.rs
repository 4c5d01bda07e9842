use super::{Head, flag, kind};
use crate::frame::HEAD_LEN;

/// The head of a DATA frame; its payload follows as it lies in the send queue. Never padded.
pub(crate) fn encode_head(stream: u32, length: usize, end_stream: bool) -> [u8; HEAD_LEN] {
    let flags = if end_stream { flag::END_STREAM } else { 0 };
    Head { length: length as u32, kind: kind::DATA, flags, stream }.encode()
}
