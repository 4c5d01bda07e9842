//! What the command does, seen from outside: one file per subject.

#[cfg(unix)]
mod bad_input;
mod codec;
mod command;
mod descriptor_sets;
mod edition_2026;
mod gallery;
mod goldens;
#[cfg(unix)]
mod outputs;
#[cfg(unix)]
mod plugins;
