use std::time::Instant;

use bytes::Bytes;
use farcall_core::{Metadata, Status};

use crate::{CallId, Cause, ConnectionError, Run, Subtype};

/// What a [`Connection`](crate::Connection) tells its owner, in the order it happened.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The peer's first SETTINGS arrived: the connection works (a channel calls this READY).
    Ready,
    /// Server: a call begins.
    Request {
        /// Its handle.
        call: CallId,
        /// What the client asked for.
        head: Box<RequestHead>,
    },
    /// Client: response headers arrived. Left out for a trailers-only response.
    Headers {
        /// The call.
        call: CallId,
        /// Initial metadata, without the headers that gRPC itself uses.
        metadata: Metadata,
    },
    /// A whole message arrived, decompressed.
    ///
    /// Its bytes count against the peer's flow-control window until
    /// [`release`](crate::Connection::release) gives them back.
    Message {
        /// The call.
        call: CallId,
        /// The message without its five-byte prefix.
        message: Bytes,
    },
    /// Several whole messages arrived: with [`Config::runs`](crate::Config::runs), in place of a
    /// [`Message`](Event::Message) for each. To be given back with
    /// [`release_many`](crate::Connection::release_many).
    Messages {
        /// The call.
        call: CallId,
        /// The messages.
        run: Run,
    },
    /// A message has begun that is larger than the call's window, and that is not let in before others
    /// ([`Limits::incomplete`](crate::Limits::incomplete)); or a compressed one has come and is not decompressed before
    /// the application has taken others ([`Limits::unread`](crate::Limits::unread)). When somebody waits for it, or comes to wait, say so with
    /// [`want`](crate::Connection::want). Told once for each, and not for those for which the window opens at once.
    LargeMessage {
        /// The call.
        call: CallId,
    },
    /// Server: the client has sent its last message.
    HalfClosed {
        /// The call.
        call: CallId,
    },
    /// The call's send buffer has room again, after [`writable`](crate::Connection::writable) was false.
    Writable {
        /// The call.
        call: CallId,
    },
    /// The call is over. Always the last event of a call, and exactly one.
    Closed {
        /// The call; its id is dead from now on.
        call: CallId,
        /// How it ended.
        closed: Box<Closed>,
    },
    /// A bound turned something away or holds it back, and the connection goes on: a stream was refused, a call ended, a
    /// message waits. For the operator's eyes ([`Reporter`](crate::Reporter)); nobody waits for it.
    Struck {
        /// [`Cause::Bound`] for what was turned away, [`Cause::HeldBack`] for what waits.
        cause: Cause,
        /// The bound's name in [`Limits`](crate::Limits), and what was done, in words.
        what: &'static str,
        /// How often in a row.
        times: u32,
    },
    /// The peer takes no new calls (GOAWAY received, or stream ids ran out); calls in flight go on.
    Draining,
    /// The connection is over. Always the last event. Bytes that [`poll_transmit`](crate::Connection::poll_transmit)
    /// still has (a GOAWAY) should be written before the transport is closed, which
    /// [`farewell`](crate::Connection::farewell) says how to do.
    Disconnected(ConnectionError),
}

/// What a client asked for.
#[derive(Clone, PartialEq, Debug)]
pub struct RequestHead {
    /// `:path`, which is `/package.Service/Method` from any gRPC client but may be any text.
    pub path: String,
    /// What the messages are, by the content-type.
    pub subtype: Subtype,
    /// `:authority`.
    pub authority: String,
    /// Custom metadata and `user-agent`, without the headers that gRPC itself uses.
    pub metadata: Metadata,
    /// When `grpc-timeout` runs out, on the clock of [`Connection::handle_received`](crate::Connection::handle_received).
    pub deadline: Option<Instant>,
}

/// How a call ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Closed {
    /// The status. On a server it is the one it answered with, or `CANCELLED`, `DEADLINE_EXCEEDED`, `UNAVAILABLE`...
    /// when something else ended the call.
    pub status: Status,
    /// Client: trailing metadata; empty when this side ended the call.
    pub trailers: Metadata,
    /// Whether the status came from the peer's (client: the server's trailers) or, on a server, whether the answer
    /// was handed to the transport whole. False when something local or the connection ended the call.
    pub completed: bool,
    /// Client: whether the server certainly did nothing for this call, so that it may be retried transparently
    /// (never sent, REFUSED_STREAM, or above the last stream of a GOAWAY).
    pub unprocessed: bool,
    /// Client: whether nothing of it has left this side. Then it is `unprocessed` whatever the server does, and may be made
    /// again as often as this happens.
    pub unsent: bool,
}
