//! The brain of generation: linked descriptors in, source text out.
//!
//! One room per output: `python` (`_pb2.py`), `pyi` (`_pb2.pyi`), `grpc_python` (`_pb2_grpc.py`), `rust` (messages
//! by `buffa-codegen`, services by our own generator). All of them are a [`Generator`] and read the same
//! [`Schema`]. The Python outputs are those of grpcio-tools [`GRPC_PYTHON_VERSION`], byte for byte.
//!
//! Not here: parsing `.proto` text and its diagnostics (`farcall-schema`), and files, argv and standard error
//! (`farcall-protoc`, `farcall-build`).

mod edition;
mod escape;
mod grpc_python;
mod pyi;
mod python;
mod python_names;
mod runtime;
mod rust;
mod schema;
mod text;

pub use edition::encode_file;
pub use grpc_python::GrpcPython;
pub use pyi::Pyi;
pub use python::Python;
pub use runtime::is_read_for_python;
pub use rust::{
    Attribute, AttributeTarget, FieldKind, FieldType, Include, MessageCodec, Rust, RustError, RustOptions,
    is_in_a_crate,
};
pub use schema::Schema;

/// The grpcio version that `_pb2_grpc.py` asks for.
pub const GRPC_PYTHON_VERSION: &str = "1.85.1";

/// The protobuf Python runtime that `_pb2.py` asks for: major, minor, patch.
pub const PROTOBUF_PYTHON_VERSION: (u32, u32, u32) = (7, 35, 1);

/// What one generator is asked to do; the shape of protoc's `CodeGeneratorRequest`.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Every file of the run, dependencies before the files that import them.
    pub schema: &'a Schema<'a>,
    /// Names of the files to write code for, in the order given on the command line.
    pub files_to_generate: &'a [String],
    /// The `OPTIONS` of `--x_out=OPTIONS:DIR`; empty when there are none.
    pub parameter: &'a str,
}

/// A file, or a piece of one, that a generator wrote; the shape of protoc's `CodeGeneratorResponse.File`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputFile {
    /// Path under the output directory, with `/`.
    pub name: String,
    /// When set, `content` goes into the file `name` of the same directory, written by an earlier generator of
    /// the run, just before its line `@@protoc_insertion_point(NAME)`.
    pub insertion_point: Option<String>,
    /// The text.
    pub content: String,
}

impl OutputFile {
    /// A whole file.
    pub fn new(name: impl Into<String>, content: impl Into<String>) -> Self {
        Self { name: name.into(), insertion_point: None, content: content.into() }
    }
}

/// Writes code for files of a schema.
pub trait Generator {
    /// Writes the code for all of `request.files_to_generate`.
    ///
    /// # Errors
    /// The text that protoc prints after `--x_out: `: the user's option or file that is wrong.
    fn generate(&self, request: &Request<'_>) -> Result<Vec<OutputFile>, String>;
}

/// Splits `a=b,c` into `[("a", "b"), ("c", "")]`; empty pieces are dropped, as protoc does.
pub(crate) fn parse_parameter(parameter: &str) -> impl Iterator<Item = (&str, &str)> {
    parameter.split(',').filter(|piece| !piece.is_empty()).map(|piece| piece.split_once('=').unwrap_or((piece, "")))
}
