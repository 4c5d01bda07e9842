//! What a build script gets: one file per subject.

mod build;
mod rust_names;
