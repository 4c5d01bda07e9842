//! The vocabulary every room of Farcall shares: [`Code`] and [`Status`], [`Metadata`], [`Timeout`], [`MethodPath`].
//!
//! What lives here: plain values and the rules for reading and writing them.
//! What does not: anything that keeps state over time (that is a brain: `engine`, `channel`) or touches
//! the operating system (that is a hand: `net`, `python`).

mod code;
mod metadata;
mod method;
mod status;
mod timeout;
pub mod wire;

pub use code::Code;
pub use metadata::{Metadata, MetadataError};
pub use method::{InvalidMethodPath, MethodPath};
pub use status::Status;
pub use timeout::{InvalidTimeout, Timeout};
