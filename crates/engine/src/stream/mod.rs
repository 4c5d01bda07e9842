//! Streams: their [`State`] and where they are kept.

mod state;
mod store;

pub(crate) use state::{Input, State, Step};
pub(crate) use store::{Line, Store, Stream, Waiting};
