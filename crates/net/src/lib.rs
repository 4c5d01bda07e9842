//! Hands on tokio: the only place of the Rust face with sockets, DNS, timers and tasks.
//!
//! What lives here:
//! * [`Channel`], which brings calls to connections, and behind it what pumps the channel's brain (`farcall-channel`): it
//!   resolves, connects, sleeps;
//! * the connection's task, which pumps the connection's brain (`farcall-engine`): it reads, steps, writes;
//! * [`Listener`] and [`serve`], which accept connections and hand their calls to a handler;
//! * [`Sender`], [`Receiver`] and [`Responder`], the two directions of a call, and [`Outbox`] and [`Messages`], what is
//!   on its way there and back.
//!
//! What does not: anything that decides (the brains), and anything with message types, codecs or service names (the
//! face, `farcall`). Messages are bytes here.
//!
//! How a call moves: the application posts typed commands into the connection's mailbox; the connection's task applies
//! them to the engine in batches and writes what comes of them in one `writev`; what arrives is put into the call's
//! slot, and the task that waits there is woken once. Small messages of a stream make each of these steps together. No lock is held while anything waits, and no task is spawned for
//! a client's call, but for one with a stream of requests under a retry or hedging policy.

mod attempts;
mod call;
mod calls;
mod channel;
mod connect;
mod connection;
mod incoming;
mod listener;
mod mailbox;
mod memory;
mod messages;
mod names;
mod outbox;
mod pump;
mod reports;
mod requests;
mod server;
mod slot;
mod standing;
mod stream;
mod timer;
#[cfg(feature = "tls")]
mod tls;

pub use call::{Answered, Receiver, Sender};
pub use calls::NewCall;
pub use channel::{Channel, ChannelConfig};
pub use incoming::{Incoming, Responder, Scope};
pub use listener::Listener;
pub use messages::Messages;
pub use names::{Looked, Resolve, Updates, host_name};
pub use outbox::Outbox;
pub use server::{ServerConfig, serve};
#[cfg(feature = "tls")]
pub use tls::{ClientTls, SystemClock};
