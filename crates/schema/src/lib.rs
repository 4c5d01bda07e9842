//! The brain of `.proto`: source text in, linked descriptors and diagnostics out.
//!
//! ```
//! use std::collections::HashMap;
//!
//! let text = "syntax = \"proto3\"; message A { B b = 1; }";
//! let files = HashMap::from([("a.proto".to_owned(), text.as_bytes().to_vec())]);
//! let result = farcall_schema::Compiler::new(files).compile(&["a.proto"]);
//! assert!(!result.ok);
//! assert_eq!(result.diagnostics[0].to_string(), "a.proto:1:32: \"B\" is not defined.");
//! ```
//!
//! A file goes through these rooms: `lexer` (tokens and the `comments` between them) -> `parser` (a
//! `FileDescriptorProto` that says what the source says, every position recorded, whatever other files hold) ->
//! `linker` (every declaration named, names resolved, options interpreted, the whole validated) -> `final_checks`
//! (what waits until all files are there). `compiler` leads files through, imports first. Besides: `pool` knows all
//! names (and `index` the members of large messages), `dynamic`, `text_format` and
//! `text_printer` are the messages options are made of (and those that `messages` encodes and decodes), `features` the editions', `retention`
//! takes out what is for source only, `drawing` draws diagnostics for people, with `advice`, `site` finds positions when there is something to complain of, `limits` bounds
//! everything a file could ask for. Files are parsed as
//! [`SourceTree::for_each`] has it, at the same time if it can, and linked one by one, for names must be found in
//! protoc's order.
//!
//! Bytes, sentences, positions and their order are those of libprotoc 35.1, as grpcio-tools 1.85.1 carries it;
//! `tests/diagnostics` and `tests/golden/descriptors` hold it to that.
//!
//! Not here: the file system, search paths and the command line (`farcall-protoc`), and the writing of code
//! (`farcall-codegen`). The caller gives a [`SourceTree`].

mod advice;
mod builtin;
mod c_number;
mod comments;
mod compiler;
mod default_value;
mod diagnostic;
mod drawing;
mod dynamic;
mod edition_defaults;
mod elements;
mod feature_support;
mod features;
mod file_set;
mod final_checks;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod index;
mod json_name;
mod lexer;
mod limits;
mod linker;
mod messages;
mod nodes;
mod parser;
mod pool;
mod positions;
mod retention;
mod site;
mod source_tree;
mod supplied;
mod tag;
mod text;
mod text_format;
mod text_printer;
mod token;
pub mod wellknown;

pub use compiler::{CompileResult, Compiler};
pub use diagnostic::{Diagnostic, Severity};
pub use drawing::Drawing;
pub use edition_defaults::edition_by_name;
pub use final_checks::may_be_unfinished;
pub use json_name::complete_json_names;
pub use messages::{Decoded, Encoded, decode_raw};
pub use source_tree::{SourceError, SourceTree};
