//! The brain of `.proto`: source text in, linked descriptors and diagnostics out.
//!
//! A file goes through these rooms: `lexer` (tokens) -> `parser` (a `FileDescriptorProto` with source
//! information) -> `linker` (names resolved, options interpreted, checks made) -> [`CompileResult`].
//! Messages and bytes are those of libprotoc 35.1.
//!
//! Not here: the file system, search paths and the command line (`farcall-protoc`), and the writing of code
//! (`farcall-codegen`). The caller gives a [`SourceTree`].

mod builtin;
mod comments;
mod compiler;
mod diagnostic;
mod dynamic;
mod elements;
mod feature_support;
mod features;
mod final_checks;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod json_name;
mod lexer;
mod limits;
mod linker;
mod nodes;
mod parser;
mod pool;
mod retention;
mod site;
mod source_tree;
mod tag;
mod text;
mod text_format;
mod token;
pub mod wellknown;

pub use compiler::{CompileResult, Compiler};
pub use diagnostic::{Diagnostic, Severity};
pub use source_tree::{SourceError, SourceTree};
