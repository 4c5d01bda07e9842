//! Records of the DNS, asked of name servers (RFC 1035): what the system's own `getaddrinfo` cannot look up.
//!
//! The hands bring messages to name servers and back, one exchange after the other:
//!
//! ```no_run
//! use farcall_channel::{dns::{Lookup, NameServers, Step}, resolver::{Answer, Question}};
//! # fn exchange(exchange: &farcall_channel::dns::Exchange, lookup: &mut Lookup) -> Result<(), String> { Ok(()) }
//!
//! fn look_up(question: Question, servers: NameServers, seed: u64) -> Result<Answer, String> {
//!     let mut lookup = Lookup::new(question, servers, seed);
//!     loop {
//!         match lookup.poll() {
//!             Step::Done(answer) => return answer,
//!             Step::Ask(asked) => {
//!                 // Send it, and give what comes to `handle_received` until that says true.
//!                 if let Err(why) = exchange(&asked, &mut lookup) {
//!                     lookup.handle_failed(&why);
//!                 }
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! The library `simple-dns` reads and writes messages. Answers that do not fit into 512 bytes are asked for again over TCP, so
//! that no message is longer than 64 KiB. There is no cache: a channel asks seldom.

mod lookup;
mod message;
mod servers;

pub use lookup::{Exchange, Lookup, Over, Step};
pub use servers::NameServers;

/// The longest message over UDP that is read, bytes. Without EDNS name servers send 512 at most.
pub const LONGEST_DATAGRAM: usize = 4096;

/// Said when no answer has come in time, in the words of c-ares, as grpcio says it.
pub const TIMED_OUT: &str = "Timeout while contacting DNS servers";
