//! Compiles `.proto` files in `build.rs`, without protoc.
//!
//! ```no_run
//! // build.rs
//! fn main() -> Result<(), farcall_build::Error> {
//!     farcall_build::configure().compile(&["proto/greeter.proto"], &["proto"])
//! }
//! ```
//!
//! For every proto package a file `package.name.rs` appears in Cargo's `OUT_DIR`, to be included in a module of the
//! same name with `farcall::include_proto!("package.name")`. Where packages use one another's types, include
//! `farcall::include_proto!("_includes")` instead: it declares the whole tree of modules.
//!
//! The user's crate needs `farcall`, and `buffa` for the messages (`buffa-types` too where `google/protobuf/*.proto`
//! are used). `google/protobuf/*.proto` need not be on the include path.
//!
//! Here are the include path, the environment of a build script and files. What `.proto` means is in
//! `farcall-schema`, what the code looks like in `farcall-codegen`.

mod tree;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use buffa::Message;
use buffa_descriptor::generated::descriptor::FileDescriptorSet;
use farcall_codegen::{
    Attribute, AttributeTarget, FieldKind, FieldType, Include, Request, Rust, RustError, RustOptions, Schema,
};
use farcall_schema::{Compiler, Diagnostic, Drawing, Severity};

use tree::IncludePath;

pub use farcall_codegen::MessageCodec;

/// Starts with the defaults: messages for `buffa`, clients and servers, output in `OUT_DIR`.
pub fn configure() -> Builder {
    Builder {
        options: RustOptions { include: Include::OutDir, ..RustOptions::default() },
        out_dir: None,
        skipped: Vec::new(),
        descriptor_set: None,
        experimental: false,
    }
}

/// Compiles one file with its own directory as the include path and the defaults of [`configure`].
///
/// # Errors
/// As [`Builder::compile`].
pub fn compile_protos(proto: impl AsRef<Path>) -> Result<(), Error> {
    let proto = proto.as_ref();
    configure().compile(&[proto], &[proto.parent().unwrap_or(Path::new("."))])
}

/// What to generate and where to put it.
#[derive(Clone, Debug)]
#[must_use = "nothing is generated until `compile`"]
pub struct Builder {
    options: RustOptions,
    out_dir: Option<PathBuf>,
    /// Packages, with a leading dot.
    skipped: Vec<String>,
    descriptor_set: Option<PathBuf>,
    /// Whether files may be of edition 2026.
    experimental: bool,
}

impl Builder {
    /// Whether clients are generated. Default: true.
    pub fn build_client(mut self, enable: bool) -> Self {
        self.options.client = enable;
        self
    }

    /// Whether server traits are generated. Default: true.
    pub fn build_server(mut self, enable: bool) -> Self {
        self.options.server = enable;
        self
    }

    /// Whether messages also get borrowed views. Default: false.
    pub fn build_views(mut self, enable: bool) -> Self {
        self.options.views = enable;
        self
    }

    /// Whether messages also get the JSON mapping, as implementations of `serde`'s traits. The crate that includes them
    /// needs `serde`, and the features `json` of `buffa` and `buffa-types`. Default: false.
    pub fn build_json(mut self, enable: bool) -> Self {
        self.options.json = enable;
        self
    }

    /// Whether messages also get the text format, as implementations of `buffa::text::TextFormat`. The crate that includes
    /// them needs the feature `text` of `buffa`. Default: false.
    pub fn build_text(mut self, enable: bool) -> Self {
        self.options.text = enable;
        self
    }

    /// Puts an attribute, `#[derive(Hash)]` for example, on the messages, enums and oneofs that `path` leads to: `.` are
    /// all, `.pkg` those of a package, `.pkg.Msg` a message and what is in it, `.pkg.Msg.oneof` a oneof.
    pub fn type_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::Types, path.into(), attribute.into())
    }

    /// As [`type_attribute`](Self::type_attribute), for messages only.
    pub fn message_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::Messages, path.into(), attribute.into())
    }

    /// As [`type_attribute`](Self::type_attribute), for enums only, oneofs not among them.
    pub fn enum_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::Enums, path.into(), attribute.into())
    }

    /// Puts an attribute on fields: `.pkg.Msg.field`, in a oneof `.pkg.Msg.oneof.field`, or all below `path`.
    pub fn field_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::Fields, path.into(), attribute.into())
    }

    /// Puts an attribute on the structs of clients: those of all services (`.`), of a package's or of `.pkg.Service`.
    pub fn client_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::Clients, path.into(), attribute.into())
    }

    /// As [`client_attribute`](Self::client_attribute), on the structs of servers.
    pub fn server_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::Servers, path.into(), attribute.into())
    }

    /// As [`client_attribute`](Self::client_attribute), on the traits of servers.
    pub fn trait_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::Traits, path.into(), attribute.into())
    }

    /// As [`client_attribute`](Self::client_attribute), on the modules of clients: `#[cfg(feature = "client")]`, say.
    pub fn client_mod_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::ClientModules, path.into(), attribute.into())
    }

    /// As [`client_attribute`](Self::client_attribute), on the modules of servers.
    pub fn server_mod_attribute(self, path: impl Into<String>, attribute: impl Into<String>) -> Self {
        self.attribute(AttributeTarget::ServerModules, path.into(), attribute.into())
    }

    fn attribute(mut self, target: AttributeTarget, path: String, text: String) -> Self {
        self.options.attributes.push(Attribute { target, path, text });
        self
    }

    /// Has `bytes` fields below `path` (see [`field_attribute`](Self::field_attribute)) be `bytes::Bytes`, of which
    /// clones are cheap, instead of `Vec<u8>`.
    pub fn bytes(mut self, path: impl Into<String>) -> Self {
        self.options.bytes.push(path.into());
        self
    }

    /// Has maps below `path` (see [`field_attribute`](Self::field_attribute)) be `BTreeMap`s, which are always written in
    /// the same order, instead of `HashMap`s.
    pub fn btree_map(mut self, path: impl Into<String>) -> Self {
        self.options.btree_maps.push(path.into());
        self
    }

    /// Has fields below `path` that are one message be boxed, which those that contain themselves are anyway.
    pub fn boxed(mut self, path: impl Into<String>) -> Self {
        self.options.boxed.push(path.into());
        self
    }

    /// Has `string` fields below `path` be of another type than `String`: `rust_type` is its path, `::my::Str`, and it
    /// implements `buffa::ProtoString`. Keys and values of maps stay `String`s. Of two calls for a field the later counts,
    /// here and with the other types.
    pub fn string_type(self, path: impl Into<String>, rust_type: impl Into<String>) -> Self {
        self.field_type(FieldKind::String, path.into(), rust_type.into())
    }

    /// As [`string_type`](Self::string_type) for `bytes` fields, of a type that implements `buffa::ProtoBytes`.
    pub fn bytes_type(self, path: impl Into<String>, rust_type: impl Into<String>) -> Self {
        self.field_type(FieldKind::Bytes, path.into(), rust_type.into())
    }

    /// Has maps below `path` be of another type than `HashMap`: `rust_type` is its path without parameters, `::my::Map`,
    /// and it implements `buffa::MapStorage`.
    pub fn map_type(self, path: impl Into<String>, rust_type: impl Into<String>) -> Self {
        self.field_type(FieldKind::Map, path.into(), rust_type.into())
    }

    /// Has `repeated` fields below `path` be of another type than `Vec`: `rust_type` has `*` where the element's type
    /// goes, `::my::List<*>`, and implements `buffa::ProtoList`.
    pub fn repeated_type(self, path: impl Into<String>, rust_type: impl Into<String>) -> Self {
        self.field_type(FieldKind::Repeated, path.into(), rust_type.into())
    }

    /// Has fields below `path` that are one message be kept behind another pointer: `rust_type` has `*` where the
    /// message's type goes, `::my::Pointer<*>`, and implements `buffa::ProtoBox`.
    pub fn box_type(self, path: impl Into<String>, rust_type: impl Into<String>) -> Self {
        self.field_type(FieldKind::Message, path.into(), rust_type.into())
    }

    fn field_type(mut self, kind: FieldKind, path: String, rust: String) -> Self {
        self.options.field_types.push(FieldType { kind, path, rust });
        self
    }

    /// Whether the methods of server traits have bodies, which answer UNIMPLEMENTED, so that a server may leave some out.
    /// Responses that are a stream are a `farcall::codegen::BoxStream` then, and no type of the implementer's. Default:
    /// false.
    pub fn generate_default_stubs(mut self, enable: bool) -> Self {
        self.options.default_stubs = enable;
        self
    }

    /// Generates nothing for imports of a package, `.buf.validate` for example, and the packages below it, of which only
    /// options are used. Where a message of theirs is used, name it with [`extern_path`](Self::extern_path) instead.
    pub fn skip(mut self, package: impl Into<String>) -> Self {
        self.skipped.push(package.into());
        self
    }

    /// Also writes the files that were compiled and all they import, with comments, to `path` as a
    /// `google.protobuf.FileDescriptorSet`: for reflection. A path that is not absolute is below the output directory, where
    /// `farcall::include_file_descriptor_set!` finds it.
    pub fn file_descriptor_set_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.descriptor_set = Some(path.into());
        self
    }

    /// Whether files may be of edition 2026, as protoc 36 has it, which no release of grpcio-tools takes yet. What it means may
    /// change until one does. Default: false; such files are refused.
    pub fn experimental_editions(mut self, enable: bool) -> Self {
        self.experimental = enable;
        self
    }

    /// Which runtime the messages belong to. With [`MessageCodec::Prost`] only services are generated, and the
    /// messages come from `prost-build`, in modules laid out the same way, or from [`Builder::extern_path`].
    pub fn codec(mut self, codec: MessageCodec) -> Self {
        self.options.codec = codec;
        self
    }

    /// Uses Rust types that exist already: `extern_path(".google.type", "::some_crate::google::type_")`. The proto
    /// path is a package or a message, with a leading dot.
    pub fn extern_path(mut self, proto_path: impl Into<String>, rust_path: impl Into<String>) -> Self {
        self.options.extern_paths.push((proto_path.into(), rust_path.into()));
        self
    }

    /// Where the files go, and must exist. Default: `OUT_DIR`. Elsewhere the tree of modules is `mod.rs`.
    pub fn out_dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(directory.into());
        self.options.include = Include::Relative;
        self
    }

    /// Compiles `protos`, paths on disk that lie below one of `includes`, where imports are looked up too. Code is
    /// generated for the imports as well, but for `google/protobuf/*.proto` and what extern paths cover. Tells Cargo
    /// to run again when one of the files that were read changes.
    ///
    /// # Errors
    /// [`Error`], with all that is wrong with the files: each with protoc's sentence, `file:line:column`, the line of the
    /// file and, where there is a plain one, the way out.
    pub fn compile(self, protos: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<(), Error> {
        let roots = includes.iter().map(|include| include.as_ref().to_path_buf()).collect();
        let tree = IncludePath::new(roots, self.experimental);
        let inputs = protos.iter().map(|proto| tree.virtual_path(proto.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let files = load(&tree, Vec::new(), &inputs);
        for path in tree.files_read() {
            println!("cargo:rerun-if-changed={}", path.display());
        }
        self.generate(&tree, &files?, &inputs)
    }

    /// Generates what [`compile`](Self::compile) does, from a file that holds a `google.protobuf.FileDescriptorSet` instead
    /// of `.proto` files: as `protoc --include_imports --include_source_info --descriptor_set_out` or `buf build` write it.
    /// Code is generated for all that is in it, but for `google/protobuf/*.proto` and what extern paths cover.
    /// `google/protobuf/*.proto` may be missing. Comments come along if the set has source information.
    ///
    /// # Errors
    /// [`Error`]: the file cannot be read, or is no set of files that go together.
    pub fn compile_descriptor_set(self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        println!("cargo:rerun-if-changed={}", path.display());
        let bytes = tree::read_file(path).map_err(|error| Error(format!("{}: {error}", path.display())))?;
        let set = FileDescriptorSet::decode_from_slice(&bytes)
            .map_err(|error| Error(format!("{}: not a FileDescriptorSet: {error}", path.display())))?;
        let inputs: Vec<String> = set.file.iter().filter_map(|file| file.name.clone()).collect();
        let tree = IncludePath::new(Vec::new(), self.experimental);
        let files = load(&tree, set.file, &inputs)?;
        // All are inputs, but those that are at home elsewhere are none of ours.
        let inputs: Vec<String> = files
            .iter()
            .filter(|file| !self.exists_already(file))
            .filter_map(|file| file.name.clone().filter(|name| inputs.contains(name)))
            .collect();
        self.generate(&tree, &files, &inputs)
    }

    fn generate(self, tree: &IncludePath, files: &[Arc<File>], inputs: &[String]) -> Result<(), Error> {
        let out_dir = match &self.out_dir {
            Some(directory) => directory.clone(),
            None => std::env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| {
                Error("OUT_DIR is not set: call this from build.rs, or set an output directory".into())
            })?,
        };
        let schema = Schema::new(files.iter().map(Arc::as_ref));
        let generated: Vec<String> = files
            .iter()
            .filter_map(|file| file.name.clone().filter(|name| inputs.contains(name) || !self.exists_already(file)))
            .collect();
        let request = Request { schema: &schema, files_to_generate: &generated, parameter: "" };
        let descriptor_set = self.descriptor_set;
        let outputs = Rust { options: self.options }.write(&request).map_err(|error| drawn(tree, error))?;
        for output in outputs {
            write(&out_dir.join(&output.name), output.content.as_bytes())?;
        }
        if let Some(path) = &descriptor_set {
            let file = files.iter().map(|file| File::clone(file)).collect();
            let set = FileDescriptorSet { file, ..FileDescriptorSet::default() };
            write(&out_dir.join(path), &set.encode_to_vec())?;
        }
        Ok(())
    }

    /// Whether the types of an imported file have a home: a crate for those of `google.protobuf`, or an extern path. Or
    /// need none.
    fn exists_already(&self, file: &File) -> bool {
        let package = format!(".{}", file.package.as_deref().unwrap_or_default());
        let extern_paths = self.options.extern_paths.iter().map(|(proto, _)| proto);
        let mut elsewhere = extern_paths.chain(&self.skipped).map(String::as_str);
        farcall_codegen::is_in_a_crate(file.name.as_deref().unwrap_or_default(), self.options.json)
            || elsewhere
                .any(|path| package.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    }
}

/// The files at these virtual paths and all they import, with source information. `supplied` are linked already.
fn load(tree: &IncludePath, supplied: Vec<File>, inputs: &[String]) -> Result<Vec<Arc<File>>, Error> {
    let mut compiler = Compiler::new(tree);
    if tree.for_2026 {
        compiler.accept_edition_2026();
        compiler.accept_unfinished_editions();
    }
    for file in supplied {
        compiler.add_descriptor(file);
    }
    let paths: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let result = compiler.compile(&paths);
    let (errors, others): (Vec<_>, Vec<_>) =
        result.diagnostics.iter().partition(|diagnostic| diagnostic.severity == Severity::Error);
    for warning in others {
        // Cargo takes one line.
        let file = tree.disk_path(&warning.file).unwrap_or_else(|| warning.file.clone());
        println!("cargo:warning={}", Diagnostic { file, ..warning.clone() });
    }
    if result.ok {
        let with_source_info = |mut file: Arc<File>| {
            let info = file.name.as_deref().and_then(|name| compiler.source_info(name, |_| true));
            let changed = Arc::make_mut(&mut file);
            if info.is_some() {
                changed.source_code_info = info.into();
            }
            farcall_schema::complete_json_names(changed);
            file
        };
        return Ok(result.files.into_iter().map(with_source_info).collect());
    }
    let mut drawing = Drawing::new(&tree, |file| tree.disk_path(file), false);
    let drawn: Vec<String> = errors.iter().map(|error| drawing.draw(error)).collect();
    Err(Error(drawn.join("\n\n")))
}

/// What the generator has to say, drawn as the errors of the compiler are.
fn drawn(tree: &IncludePath, error: RustError) -> Error {
    let RustError { file: Some(file), position, name, message } = error else { return Error(error.message) };
    let message = name.map_or_else(|| message.clone(), |name| format!("{name}: {message}"));
    let (line, column) = position.map_or((None, 0), |(line, column)| (Some(line), column));
    let diagnostic = Diagnostic { file, line, column, severity: Severity::Error, message };
    Error(Drawing::new(&tree, |file| tree.disk_path(file), false).draw(&diagnostic))
}

fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    std::fs::write(path, content).map_err(|error| Error(format!("{}: {error}", path.display())))
}

type File = buffa_descriptor::generated::descriptor::FileDescriptorProto;

/// Why no code was generated: the `.proto` files' errors, drawn one below the other, or what the file system said.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As `Display`, because that is what a build script's `main` prints of an error.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.0)
    }
}

impl std::error::Error for Error {}
