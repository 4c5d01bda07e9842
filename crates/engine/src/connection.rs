use std::time::Instant;

use bytes::{Buf, Bytes};
use farcall_core::{Metadata, Status};

use crate::{CallError, Config, ConnectionError, ErrorCode, Event};

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
    /// The slot, dense from 0; reused after [`Event::Closed`].
    pub fn index(self) -> usize {
        self.index as usize
    }
}

/// A call to open.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `/package.Service/Method`.
    pub path: &'a str,
    /// `:authority`.
    pub authority: &'a str,
    /// Custom metadata.
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

/// Bytes to write, gathered from all ready streams: a [`Buf`] over small frames (contiguous) and large payloads
/// (referenced). Write [`chunks_vectored`](Buf::chunks_vectored) in one `writev`, then
/// [`advance`](Buf::advance) by what the transport took.
#[derive(Debug, Default)]
pub struct Transmit {
    _todo: (),
}

/// The brain of one connection. See the crate's documentation for the contract.
#[derive(Debug)]
pub struct Connection {
    _todo: (),
}

#[allow(unused_variables, clippy::todo, clippy::missing_errors_doc)]
impl Connection {
    /// A fresh connection; its preface and SETTINGS wait in [`poll_transmit`](Connection::poll_transmit).
    pub fn new(config: Config, now: Instant) -> Connection {
        todo!()
    }

    // From the network and the clock.

    /// Where the next bytes from the transport belong: read into it, then say how many with
    /// [`handle_received`](Connection::handle_received). Never empty while the connection lives.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        todo!()
    }

    /// The first `len` bytes of [`receive_buffer`](Connection::receive_buffer) were filled; 0 is end of file.
    pub fn handle_received(&mut self, len: usize, now: Instant) {
        todo!()
    }

    /// The transport failed. `why` is for people, e.g. `Socket closed` or `Connection reset by peer`.
    pub fn handle_transport_closed(&mut self, why: &str, now: Instant) {
        todo!()
    }

    /// The time of [`poll_timeout`](Connection::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    // Verbs of a client.

    /// Opens a call. Over the peer's MAX_CONCURRENT_STREAMS it waits inside, in order, until a stream is free.
    pub fn open(&mut self, request: Request<'_>, now: Instant) -> Result<CallId, CallError> {
        todo!()
    }

    // Verbs of a server.

    /// Sends initial metadata now. Without it they go, empty, with the first message or the status.
    pub fn send_headers(&mut self, call: CallId, metadata: &Metadata) -> Result<(), CallError> {
        todo!()
    }

    /// Ends the call with a status and trailing metadata; `trailers-only` when nothing was sent before. What the client
    /// still sends is discarded. `Closed` follows when the last byte is handed to the transport.
    pub fn respond(&mut self, call: CallId, status: &Status, trailers: &Metadata) -> Result<(), CallError> {
        todo!()
    }

    // Verbs of both.

    /// Queues a message. It is always taken; ask [`writable`](Connection::writable) before, to keep memory bounded.
    pub fn send_message<'a>(&mut self, call: CallId, message: impl Into<Outgoing<'a>>) -> Result<(), CallError> {
        todo!()
    }

    /// Client: no more messages will be sent.
    pub fn half_close(&mut self, call: CallId) -> Result<(), CallError> {
        todo!()
    }

    /// Ends the call at once: RST_STREAM, and [`Event::Closed`] with this status. A call that is over is left alone.
    pub fn cancel(&mut self, call: CallId, status: Status) {
        todo!()
    }

    /// The application has taken `len` bytes of messages (their lengths as delivered, prefix not counted): the peer's
    /// windows open again. Harmless after the call is over.
    pub fn release(&mut self, call: CallId, len: usize) {
        todo!()
    }

    /// Takes no new calls, lets those in flight finish, then disconnects (server: GOAWAY 2^31-1, PING, final GOAWAY).
    pub fn shutdown(&mut self, now: Instant) {
        todo!()
    }

    /// Closes now: every call ends with `status`, GOAWAY goes out with `code` and `debug`.
    pub fn close(&mut self, code: ErrorCode, debug: &str, status: &Status, now: Instant) {
        todo!()
    }

    // To the outside.

    /// The next event, `None` when all are told.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }

    /// What to write now, `None` when there is nothing. Frames are made when asked for, so ask again after writing
    /// all of it.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<&mut Transmit> {
        todo!()
    }

    /// When [`handle_timeout`](Connection::handle_timeout) must be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    // Getters.

    /// Whether [`send_message`](Connection::send_message) keeps within the call's send buffer
    /// ([`Limits::send_buffer`](crate::Limits::send_buffer)). True again is told by [`Event::Writable`].
    pub fn writable(&self, call: CallId) -> bool {
        todo!()
    }

    /// Calls that have not ended, those waiting for a stream included.
    pub fn calls(&self) -> usize {
        todo!()
    }

    /// Whether [`open`](Connection::open) would take a call.
    pub fn accepts_calls(&self) -> bool {
        todo!()
    }

    /// Why the connection is over; `None` while it lives.
    pub fn error(&self) -> Option<&ConnectionError> {
        todo!()
    }
}

impl Buf for Transmit {
    fn remaining(&self) -> usize {
        0
    }

    fn chunk(&self) -> &[u8] {
        &[]
    }

    fn advance(&mut self, _cnt: usize) {}
}
