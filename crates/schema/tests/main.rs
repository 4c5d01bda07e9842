//! What the compiler says and gives, seen from outside: one file per subject.

mod support;

mod bad_input;
mod diagnostics;
mod golden;
mod limits;
