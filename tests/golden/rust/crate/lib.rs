//! The code generated for a corpus, as a crate of its own, and what `main` does with it.
#![deny(warnings)]

#[path = "proto/mod.rs"]
pub mod proto;

mod trips;

pub use trips::serve;
