//! `--rust_out`: messages by `buffa-codegen`, services by [`service`].
//!
//! One file per package, `pkg.name.rs`, holds everything of that package. A type of another package is named by a
//! path relative to the tree of packages (`super::super::other::Msg`), so the files are to be included in nested
//! modules named like the packages; `mod.rs` (`_includes.rs` for Cargo's `OUT_DIR`), written beside them, does that.

mod culprit;
mod deprecated;
mod docs;
mod error;
mod finish;
mod google;
mod letters;
mod links;
mod marks;
mod members;
mod names;
mod numbers;
mod options;
mod packages;
mod prost_path;
mod service;
mod tree;

use std::collections::BTreeMap;

use buffa_codegen::context::CodeGenContext;
use buffa_codegen::idents::escape_mod_ident;
use buffa_codegen::{GeneratedFile, GeneratedFileKind};
use buffa_descriptor::generated::descriptor::{FileDescriptorProto, ServiceDescriptorProto};

use self::culprit::Culprit;
use self::deprecated::Deprecated;
pub use self::error::RustError;
use self::names::Names;
pub use self::options::{Attribute, AttributeTarget, FieldKind, FieldType, Include, MessageCodec, RustOptions};
use self::packages::Packages;
use crate::schema::{file_name, package};
use crate::{Generator, OutputFile, Request, Schema};

/// Writes Rust.
///
/// Options of the parameter, on top of those given: `codec=buffa|prost`, `extern_path=.pkg=::path`, `client=false`,
/// `server=false`, `json`, `text`, `views`, `bytes=.path`, `btree_map=.path`, `boxed=.path`, `default_stubs`.
#[derive(Clone, Debug, Default)]
pub struct Rust {
    /// What to write.
    pub options: RustOptions,
}

impl Generator for Rust {
    fn generate(&self, request: &Request<'_>) -> Result<Vec<OutputFile>, String> {
        self.write(request).map_err(|error| error.to_string())
    }
}

impl Rust {
    /// As [`Generator::generate`].
    ///
    /// # Errors
    /// [`RustError`], which says where.
    pub fn write(&self, request: &Request<'_>) -> Result<Vec<OutputFile>, RustError> {
        let options = self.options.clone().with_parameter(request.parameter).map_err(RustError::of_options)?;
        // `buffa-codegen` wants the files side by side.
        let mut files: Vec<FileDescriptorProto> = request.schema.files().iter().copied().cloned().collect();
        let left_out = numbers::leave_out(&mut files, request.files_to_generate);
        let mut names = Names::choose(&files);
        names.rename(&mut files);
        let deprecated = Deprecated::find(&files);
        let mut config = options.config(&names, &deprecated);
        let mut to_generate = request.files_to_generate.to_vec();
        google::prepare(&mut files, &mut to_generate, &mut config.extern_paths);
        let mut packages = BTreeMap::new();
        if options.codec == MessageCodec::Buffa {
            let generated = buffa_codegen::generate(&files, &to_generate, &config).map_err(|error| {
                let fails = |files: &[FileDescriptorProto], to_generate: &[String]| {
                    buffa_codegen::generate(files, to_generate, &config).is_err()
                };
                let message = as_in_files(&error.to_string(), &names);
                match culprit::find(&files, &to_generate, fails) {
                    Some(culprit) => RustError::at(&culprit, request.schema.file(&culprit.file), message),
                    None => RustError::of_options(message),
                }
            })?;
            packages = finished(generated, &names, &deprecated);
            for (package, comment) in left_out {
                packages.entry(package).or_default().push_str(&comment);
            }
        }
        let context = CodeGenContext::for_generate(&files, &to_generate, &config);
        for name in request.files_to_generate {
            let file = request.schema.file(name).ok_or_else(|| RustError {
                file: Some(name.clone()),
                message: "File not found.".into(),
                ..RustError::default()
            })?;
            for (index, declared) in file.service.iter().enumerate() {
                let code = write_service(request.schema, &context, &options, &names, file, index, declared)?;
                let content = packages.entry(package(file).to_owned()).or_insert_with(|| finish::HEADER.to_owned());
                content.push('\n');
                content.push_str(&code);
            }
        }
        packages.retain(|_, content| content.lines().any(|line| !line.is_empty() && !line.starts_with("//")));
        let tree = tree::file_name(options.include);
        let files = Packages::files(packages.keys().map(String::as_str), tree);
        let modules = packages.keys().map(|package| (names.packages.modules(package), files[package].as_str()));
        let tree = tree::module_tree(modules, options.include);
        let outputs =
            packages.iter().map(|(package, code)| OutputFile::new(&files[package], as_in_files(code, &names)));
        Ok(outputs.chain([tree]).collect())
    }
}

/// `text` without the marks that names bear while `buffa-codegen` writes.
fn as_in_files(text: &str, names: &Names) -> String {
    letters::unmarked(&names.marks.unmarked(text))
}

/// What `buffa-codegen` wrote for each package, by its proto name, as it goes into files but for marks.
fn finished(generated: Vec<GeneratedFile>, names: &Names, deprecated: &Deprecated) -> BTreeMap<String, String> {
    let packages = generated.into_iter().filter(|file| file.kind == GeneratedFileKind::PackageMod);
    let finish = |file: GeneratedFile| {
        let code = links::relative(&file.content, &file.package);
        let code = finish::finished(&code, &deprecated.words);
        (names.old_package(&file.package), names.restore(code, &file.package))
    };
    packages.map(finish).collect()
}

/// Whether the types of a file are in the crates `buffa-types` and `buffa-descriptor`, with JSON if `json`, so that it
/// need not be generated.
pub fn is_in_a_crate(file: &str, json: bool) -> bool {
    google::is_in_a_crate(file, json)
}

/// What a service's author wrote above its declarations: lines ready to follow `///`, without the space that
/// usually begins them.
pub(crate) struct Comments {
    pub(crate) service: Vec<String>,
    /// By method, in order of declaration.
    pub(crate) methods: Vec<Vec<String>>,
}

fn write_service(
    schema: &Schema<'_>,
    context: &CodeGenContext<'_>,
    options: &RustOptions,
    names: &Names,
    file: &FileDescriptorProto,
    index: usize,
    declared: &ServiceDescriptorProto,
) -> Result<String, RustError> {
    let resolve = |name: &str| match options.codec {
        MessageCodec::Buffa => {
            let from = names.packages.of(package(file));
            context.rust_type_relative(names.of(name), from, 1).map(|path| escaped(&path))
        }
        MessageCodec::Prost => prost_path::resolve(schema, &options.extern_paths, package(file), name),
    };
    let mut types = BTreeMap::new();
    for (method, declared) in declared.method.iter().enumerate() {
        for name in [&declared.input_type, &declared.output_type].into_iter().flatten() {
            let path = resolve(name).ok_or_else(|| {
                let culprit = Culprit::method(file_name(file), index, method);
                RustError::at(&culprit, Some(file), format!("no Rust type for {name}"))
            })?;
            types.insert(name.as_str(), path);
        }
    }
    let comments = Comments {
        service: comment_lines(file, &[6, index]),
        methods: (0..declared.method.len()).map(|method| comment_lines(file, &[6, index, 2, method])).collect(),
    };
    let types = |name: &str| types.get(name).cloned().unwrap_or_default();
    let rust_name = names.of_service(package(file), declared.name.as_deref().unwrap_or_default());
    Ok(service::generate(declared, &rust_name, package(file), &comments, &types, options))
}

/// A path with its keywords as Rust takes them.
fn escaped(path: &str) -> String {
    let segments = path.split("::").map(|segment| match segment {
        "super" | "crate" | "self" => segment.to_owned(),
        other => escape_mod_ident(other),
    });
    segments.collect::<Vec<_>>().join("::")
}

/// The comment above (else beside) the declaration at `path`.
fn comment_lines(file: &FileDescriptorProto, path: &[usize]) -> Vec<String> {
    let location = file.source_code_info.as_option().and_then(|source| {
        source.location.iter().find(|location| {
            location.path.len() == path.len()
                && location.path.iter().zip(path).all(|(&part, &want)| usize::try_from(part) == Ok(want))
        })
    });
    let text =
        location.and_then(|location| location.leading_comments.as_deref().or(location.trailing_comments.as_deref()));
    let Some(text) = text else { return Vec::new() };
    text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned()).collect()
}
