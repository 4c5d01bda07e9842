//! The blocking hands: sockets, one small reactor thread, and callers that read their own answers.
//!
//! A thread that waits for a call is the one that reads its connection (`leader`); the others wait to be told or to
//! take over. The [`reactor`] watches only connections on which nobody waits.
//!
//! What lives here: [`channel`]s and their [`call`]s, [`server`]s, and who looks after their connections.
//! What does not: sockets, TLS and options (`farcall-system`), which the asyncio hands share, and Python, which gives
//! closures for what it wants done ([`Callback`](farcall_system::Callback), [`Host`](farcall_system::Host)).
//!
//! Locks, outermost first: a channel's or a server's, a connection's, a call's. No lock is held while a closure of a
//! face runs.

mod attempts;
pub mod call;
pub mod channel;
pub mod connection;
mod dial;
pub mod handover;
mod leader;
mod listener;
mod notifier;
pub mod reactor;
pub mod server;
