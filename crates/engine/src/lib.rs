//! The brain of one gRPC connection: HPACK, HTTP/2 (RFC 9113) and gRPC framing as a pure state machine.
//!
//! Bytes, time and randomness come in as arguments; bytes, events and deadlines come out. There is no socket, no
//! clock, no thread and no `unsafe` here; those live in `farcall-net` (tokio) and `farcall-python`.
//!
//! # The contract
//!
//! [`Connection`] has four kinds of methods:
//!
//! * **getters**;
//! * **`handle_*`**: what came from the network or the clock;
//! * **plain verbs**: what the application wants ([`open`](Connection::open), [`send_message`](Connection::send_message),
//!   [`half_close`](Connection::half_close), [`cancel`](Connection::cancel), [`respond`](Connection::respond), ...);
//! * **`poll_*`**: what must go outside: events, bytes to write, the next time-out.
//!
//! One law: *after any `handle_*` or verb, drain the polls until nothing is left.*
//!
//! Every call, on either side, ends with exactly one [`Event::Closed`], whatever ended it; after that its
//! [`CallId`] is dead and every verb on it is refused.

mod config;
mod connection;
mod deadlines;
mod error;
mod event;
mod floods;
mod flow;
mod frame;
#[doc(hidden)]
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod goaway;
mod grpc;
mod hpack;
mod limits;
mod recv;
mod send;
mod settings;
mod stream;

pub use config::Config;
pub use connection::{CallId, Connection, Outgoing, Request, Role, Transmit};
pub use error::{CallError, ConnectionError, ErrorCode};
pub use event::{Closed, Event, RequestHead};
pub use limits::Limits;
