//! Messages on their way out, and what both hands say of an attempt at a call and its messages.

use bytes::Bytes;
use farcall_channel::Seen;
use farcall_core::{Code, Status};
use farcall_engine::{Closed, Outgoing};

/// Why a connection is left that has not broken.
pub const NO_MORE_CALLS: &str = "the server takes no more calls";

/// Messages below this are copied into the connection's buffer, larger ones are referenced.
const COPIED: usize = 16 << 10;

/// A message on its way out.
pub enum Message<'a> {
    /// Lives only as long as the verb.
    Borrowed(&'a [u8]),
    /// May be kept.
    Owned(Bytes),
}

impl<'a> Message<'a> {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Message::Borrowed(bytes) => bytes.len(),
            Message::Owned(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// To be kept; copies what is borrowed.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Message::Borrowed(bytes) => Bytes::copy_from_slice(bytes),
            Message::Owned(bytes) => bytes,
        }
    }

    /// As the engine takes it; copies what is borrowed and too large to be copied by the engine.
    pub fn into_outgoing(self) -> Outgoing<'a> {
        match self {
            Message::Borrowed(bytes) if bytes.len() < COPIED => Outgoing::Copied(bytes),
            Message::Borrowed(bytes) => Outgoing::Shared(Bytes::copy_from_slice(bytes)),
            Message::Owned(bytes) => Outgoing::Shared(bytes),
        }
    }
}

/// What the server may have seen of an attempt that has ended.
pub fn seen(closed: &Closed) -> Seen {
    match (closed.unprocessed, closed.unsent) {
        (true, true) => Seen::Never,
        (true, false) => Seen::Refused,
        (false, _) => Seen::Perhaps,
    }
}

/// How a call ends one of whose messages is longer than the service config allows, if it is.
pub fn too_large(verb: &str, len: usize, max: Option<usize>) -> Option<Status> {
    let max = max.filter(|max| len > *max)?;
    let text = format!("CLIENT: {verb} message larger than max ({len} vs. {max})");
    Some(Status::new(Code::ResourceExhausted, text))
}
