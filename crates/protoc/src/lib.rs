//! The face of the compiler: a command that takes protoc's arguments and answers in protoc's words.
//!
//! `arguments` reads argv, `source_tree` finds files under `-I`, `output` gathers what generators wrote and puts it
//! on disk (by way of `staging` and `create`, or into an `archive`), `plugin` runs generators that are programs, `descriptor_set` reads and writes
//! descriptor sets, `codec` messages, `imports` checks what inputs may import. Nothing stays written unless everything succeeded.
//!
//! Not here: what `.proto` means (`farcall-schema`) and what code looks like (`farcall-codegen`).

mod archive;
mod arguments;
mod codec;
mod create;
mod descriptor_set;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod help;
mod imports;
mod output;
mod parallel;
mod plugin;
mod read;
mod report;
mod run;
mod source_tree;
mod staging;

use std::io::Write;

/// The libprotoc whose output and words this command reproduces.
pub const LIBPROTOC_VERSION: &str = "35.1";

pub use run::{Generated, Outcome, generate};

/// Whether `google/protobuf/*.proto` are found without `-I`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bundled {
    /// After every `-I`, the files built into this crate are searched.
    Fallback,
    /// Only what `-I` reaches is found, as in `grpc_tools.protoc.main`.
    Absent,
}

/// Who reads standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// A program: diagnostics are protoc's lines unless `--error_format` says otherwise.
    Program,
    /// Someone at a terminal: diagnostics are drawn unless `--error_format` says otherwise.
    Person {
        /// Whether drawings have colour.
        colour: bool,
    },
}

/// Runs the compiler as [`run_for`] does for [`Reader::Program`].
pub fn run(arguments: &[String], bundled: Bundled, stdout: &mut dyn Write, stderr: &mut dyn Write) -> u8 {
    run_for(Reader::Program, arguments, bundled, stdout, stderr)
}

/// Runs the compiler. `arguments[0]` is the program's name, as in `std::env::args`.
///
/// Returns the exit code: 0 if everything was written, 1 after an error, which is then on `stderr`.
pub fn run_for(
    reader: Reader,
    arguments: &[String],
    bundled: Bundled,
    stdout: &mut dyn Write,
    stderr: &mut dyn Write,
) -> u8 {
    run::run(reader, arguments, bundled, stdout, stderr)
}
