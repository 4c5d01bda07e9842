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
//! One law: *after any `handle_*` or verb, drain the polls until nothing is left.* Writing bytes can end a call too
//! (a server's answer is whole when its last byte is handed on), so poll events once more after the last write.
//!
//! So the loop of any hands looks like this, whatever carries the bytes:
//!
//! ```
//! use std::time::Instant;
//!
//! use bytes::Buf;
//! use farcall_core::{Metadata, Status};
//! use farcall_engine::{Config, Connection, Event, Request};
//!
//! /// Carries what one end has to say to the other.
//! fn carry(from: &mut Connection, to: &mut Connection) {
//!     while let Some(transmit) = from.poll_transmit(Instant::now()) {
//!         let room = to.receive_buffer();
//!         let len = room.len().min(transmit.chunk().len());
//!         room[..len].copy_from_slice(&transmit.chunk()[..len]);
//!         transmit.advance(len);
//!         to.handle_received(len, Instant::now());
//!     }
//! }
//!
//! let mut client = Connection::new(Config::client(), Instant::now());
//! let mut server = Connection::new(Config::server(), Instant::now());
//! let metadata = Metadata::new();
//! let request = Request { path: "/a.Greeter/Greet", authority: "example.org", metadata: &metadata, deadline: None };
//! let call = client.open(request, Instant::now())?;
//! client.send_message(call, &b"you"[..])?;
//! client.half_close(call)?;
//! carry(&mut client, &mut server);
//! while let Some(event) = server.poll_event() {
//!     match event {
//!         Event::Message { call, message } => {
//!             server.release(call, message.len());
//!             server.send_message(call, &[b"Hello, ", &message[..]].concat()[..])?;
//!         }
//!         Event::HalfClosed { call } => server.respond(call, &Status::OK, &metadata)?,
//!         _ => {}
//!     }
//! }
//! carry(&mut server, &mut client);
//! let events: Vec<Event> = std::iter::from_fn(|| client.poll_event()).collect();
//! assert!(matches!(&events[2], Event::Message { message, .. } if message == "Hello, you"));
//! assert!(matches!(&events[3], Event::Closed { closed, .. } if closed.status.is_ok()));
//! # Ok::<(), farcall_engine::CallError>(())
//! ```
//!
//! Every call, on either side, ends with exactly one [`Event::Closed`], whatever ended it; after that its
//! [`CallId`] is dead and every verb on it is refused.

mod bdp;
mod budget;
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
mod keepalive;
mod lifetime;
mod limits;
mod recv;
mod report;
mod send;
mod settings;
mod stream;

pub use budget::Budget;
pub use config::Config;
#[doc(hidden)]
#[cfg(any(test, feature = "fuzzing"))]
pub use connection::Ledger;
pub use connection::{CallId, Connection, Outgoing, Request, Role, Transmit};
pub use error::{CallError, ConnectionError, ErrorCode};
pub use event::{Closed, Event, RequestHead};
pub use goaway::Farewell;
pub use grpc::{
    encoding::{Encoding, Encodings},
    run::{Run, RunBuilder},
    subtype::Subtype,
};
pub use limits::{Limits, REPORT_INTERVAL};
pub use report::{Cause, Report, Reporter};
