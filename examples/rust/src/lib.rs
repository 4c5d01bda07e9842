//! Runnable examples of the Rust face: see `src/bin`.
