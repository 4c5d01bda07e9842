//! The Rust generated for the files of `corpus.txt`, warnings being errors, and what `main` does with it.
//!
//! That it compiles is the first test; `test_round_trips.py` and `tests/services.rs` are the others. What the code looks
//! like is tested in `crates/codegen`, and larger corpora are tried by `tests/golden/rust/corpus.py`.
#![deny(warnings)]

/// The generated code.
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/_includes.rs"));
}

#[path = "../../golden/rust/crate/trips.rs"]
mod trips;

/// Messages there and back, until standard input ends.
///
/// # Errors
/// Of standard input and output.
#[allow(deprecated)]
pub fn serve() -> std::io::Result<()> {
    trips::serve(include!(concat!(env!("OUT_DIR"), "/table.rs")))
}
