//! A fake world for connections: virtual time, a wire that chops, delays, stalls and breaks, and checkers that watch
//! every event. Everything follows from one seed.

#![allow(dead_code, unused_imports, reason = "each user of the fake world needs a part of it")]
#![allow(unreachable_pub, reason = "shared with the fuzz targets, which include it by its path")]

mod end;
mod feed;
mod hostile;
mod pair;
pub mod raw;
mod script;
mod wire;

pub use end::End;
pub use feed::{feed_client, feed_server};
pub use hostile::hostile;
pub use pair::Pair;
pub use raw::{Frame, Raw};
pub use script::play;
pub use wire::Weather;

use farcall_engine::Closed;

/// A closed call in a few words, for comparing: the code's name and the message.
pub fn words(closed: &Closed) -> (&'static str, &str) {
    (closed.status.code.name(), &closed.status.message)
}
