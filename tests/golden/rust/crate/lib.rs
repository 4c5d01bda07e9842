//! The code generated for a corpus, as a crate of its own, and what `main` does with it.
#![deny(warnings)]

#[path = "proto/mod.rs"]
pub mod proto;

mod trips;

/// Messages there and back, until standard input ends.
///
/// # Errors
/// Of standard input and output.
#[allow(deprecated)]
pub fn serve() -> std::io::Result<()> {
    trips::serve(include!("table.rs"))
}
