//! See Cargo.toml: filled in below.
