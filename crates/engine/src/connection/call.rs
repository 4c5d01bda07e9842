use std::{fmt, time::Instant};

use bytes::Bytes;
use farcall_core::Metadata;

/// Which end of the connection this is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Opens calls.
    Client,
    /// Answers calls.
    Server,
}

/// The handle of a call within its connection: a slot and its generation, so a stale handle is never mistaken.
/// `index` is small and dense, fit for a slab on the hands' side.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct CallId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl CallId {
    /// The slot, dense from 0; reused after [`Event::Closed`](crate::Event::Closed) was polled.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// A call to open.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `/package.Service/Method`.
    pub path: &'a str,
    /// `:authority`.
    pub authority: &'a str,
    /// Custom metadata. Keys that gRPC or HTTP set themselves (`content-type`, `te`, `user-agent`, ...) are left out.
    pub metadata: &'a Metadata,
    /// When the call must be over. Sent as `grpc-timeout` and enforced by this side as well.
    pub deadline: Option<Instant>,
}

/// A message to send, without the five-byte prefix.
#[derive(Clone, Debug)]
pub enum Outgoing<'a> {
    /// Copied into the connection's own buffer: right for small messages.
    Copied(&'a [u8]),
    /// Referenced until written: right for large messages (a small one is copied all the same).
    Shared(Bytes),
}

impl Outgoing<'_> {
    pub(crate) fn len(&self) -> usize {
        self.bytes().len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Outgoing::Copied(message) => message,
            Outgoing::Shared(message) => message,
        }
    }
}

impl<'a> From<&'a [u8]> for Outgoing<'a> {
    fn from(message: &'a [u8]) -> Self {
        Outgoing::Copied(message)
    }
}

impl From<Bytes> for Outgoing<'_> {
    fn from(message: Bytes) -> Self {
        Outgoing::Shared(message)
    }
}
