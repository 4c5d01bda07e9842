//! `--python_out`: `_pb2.py`, a module that holds the serialized descriptor and builds its classes at import.

mod bootstrap;
mod occurrence;
mod protobuf;

use buffa::Message;
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};

use crate::python_names::{
    Imports, RELATIVE_IMPORTS, contains_keyword, import_call, import_statement, module_alias, module_name, output_path,
};
use crate::schema::{file_name, has_generic_services, public_dependencies};
use crate::text::{Text, line};
use crate::{Generator, OutputFile, Pyi, Request, Schema, encode_file, escape, parse_parameter, runtime};

use self::protobuf::Runtime;

/// Writes `_pb2.py`.
///
/// Options: `pyi_out` (the `.pyi` too), `annotate_code` and `experimental_strip_nonfunctional_codegen` (handed to
/// [`Pyi`]), `protobuf_runtime=5.29` (for that release of the Python package `protobuf` and later ones, from 4.25 on).
pub struct Python;

impl Generator for Python {
    fn generate(&self, request: &Request<'_>) -> Result<Vec<OutputFile>, String> {
        let mut pyi = false;
        let mut imports = Imports::Rooted;
        let mut target = Runtime::NEWEST;
        for (option, value) in parse_parameter(request.parameter) {
            match option {
                "pyi_out" => pyi = true,
                protobuf::OPTION => target = Runtime::parse(value)?,
                RELATIVE_IMPORTS => imports = Imports::Relative,
                "annotate_code" | "experimental_strip_nonfunctional_codegen" => {}
                unknown => {
                    let file = request.files_to_generate.first().map_or("", String::as_str);
                    return Err(format!("{file}: Unknown generator option: {unknown}"));
                }
            }
        }
        let mut outputs = Vec::new();
        for name in request.files_to_generate {
            let file = request.schema.file(name).ok_or_else(|| format!("{name}: File not found."))?;
            if pyi {
                outputs.push(Pyi::write(request.schema, file, imports));
            }
            let module = target.check(file).and_then(|()| Module::new(request.schema, file, imports, target).write());
            let module = module.map_err(|error| format!("{name}: {error}"))?;
            outputs.push(OutputFile::new(output_path(name, ".py"), module));
        }
        Ok(outputs)
    }
}

/// Public imports that one module follows; real ones follow a handful.
const MAX_PUBLIC_ALIASES: usize = 100_000;

struct Module<'a> {
    schema: &'a Schema<'a>,
    /// What the module embeds.
    file: FileDescriptorProto,
    serialized: Vec<u8>,
    imports: Imports,
    target: Runtime,
    out: String,
}

/// `out.push_str(&format!(..))` and a line feed.
macro_rules! emit {
    ($self:ident, $($arg:tt)*) => {{
        $self.out.push_str(&format!($($arg)*));
        $self.out.push('\n');
    }};
}

impl<'a> Module<'a> {
    fn new(schema: &'a Schema<'a>, file: &FileDescriptorProto, imports: Imports, target: Runtime) -> Self {
        let file = runtime::descriptor(file);
        let serialized = encode_file(&file);
        Self { schema, file, serialized, imports, target, out: String::new() }
    }

    fn write(mut self) -> Result<String, String> {
        let module = module_name(file_name(&self.file));
        self.header();
        self.imports()?;
        let literal = escape::hex(&self.serialized);
        let build = "_builder.BuildMessageAndEnumDescriptors(DESCRIPTOR, _globals)";
        if file_name(&self.file) == bootstrap::FILE {
            self.bootstrap(&literal, build);
        } else {
            emit!(self, "DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile(b'{literal}')\n");
            emit!(self, "_globals = globals()\n{build}");
        }
        emit!(self, "_builder.BuildTopDescriptorsAndMessages(DESCRIPTOR, '{module}', _globals)");
        emit!(self, "{}", self.target.pure_python());
        // The descriptors borrow from the file while the text grows beside it.
        let file = std::mem::take(&mut self.file);
        self.reset_options(&file);
        self.serialized_intervals(&file);
        if has_generic_services(&file) {
            emit!(self, "_builder.BuildServices(DESCRIPTOR, '{module}', _globals)");
        }
        emit!(self, "# @@protoc_insertion_point(module_scope)");
        Ok(self.out)
    }

    /// The part of `descriptor_pb2.py` in which it differs from all other modules.
    fn bootstrap(&mut self, literal: &str, build: &str) {
        let pure = "if not _descriptor._USE_C_DESCRIPTORS:";
        let mut out = Text::narrow();
        out.line(pure);
        out.indented(1, |out| bootstrap::file_descriptor(&self.file, literal, out));
        line!(out, "else:\n  DESCRIPTOR = _descriptor_pool.Default().AddSerializedFile(b'{literal}')\n");
        line!(out, "_globals = globals()\n{pure}");
        out.indented(1, |out| bootstrap::descriptors(self.schema, &self.file, out));
        line!(out, "else:\n  {build}");
        self.out.push_str(&out.finish());
    }

    fn header(&mut self) {
        let source = file_name(&self.file).to_owned();
        let target = self.target;
        emit!(self, "# -*- coding: utf-8 -*-");
        emit!(self, "# Generated by the protocol buffer compiler.  DO NOT EDIT!");
        if target.is_checked() {
            emit!(self, "# NO CHECKED-IN PROTOBUF GENCODE");
        }
        emit!(self, "# source: {source}");
        emit!(self, "# Protobuf Python Version: {}", target.text());
        emit!(self, "\"\"\"Generated protocol buffer code.\"\"\"");
        emit!(self, "from google.protobuf import descriptor as _descriptor");
        emit!(self, "from google.protobuf import descriptor_pool as _descriptor_pool");
        if target.is_checked() {
            emit!(self, "from google.protobuf import runtime_version as _runtime_version");
        }
        emit!(self, "from google.protobuf import symbol_database as _symbol_database");
        emit!(self, "from google.protobuf.internal import builder as _builder");
        if let Some(validation) = target.validation(&source) {
            emit!(self, "{validation}");
        }
        emit!(self, "# @@protoc_insertion_point(imports)\n");
        emit!(self, "_sym_db = _symbol_database.Default()\n\n");
    }

    fn imports(&mut self) -> Result<(), String> {
        let own = module_name(file_name(&self.file));
        let mut importlib = false;
        let mut aliases = 0;
        for dependency in self.file.dependency.clone() {
            let alias = module_alias(&dependency);
            let module = self.imports.path(&own, &module_name(&dependency));
            if contains_keyword(&module) {
                if !importlib {
                    emit!(self, "import importlib");
                    importlib = true;
                }
                emit!(self, "{alias} = {}", import_call(&module));
            } else {
                emit!(self, "{} as {alias}", import_statement(&module));
            }
            self.public_aliases(&alias, &dependency, &mut aliases)?;
        }
        emit!(self, "");
        let public: Vec<String> = public_dependencies(&self.file).map(module_name).collect();
        for module in public {
            let module = self.imports.path(&own, &module);
            emit!(self, "from {module} import *");
        }
        emit!(self, "");
        Ok(())
    }

    /// Gives this module the aliases of what an imported module imports publicly, and so on: a file that is reached
    /// on two ways is named twice, so that files that keep branching would double the text at each step.
    fn public_aliases(&mut self, copy_from: &str, dependency: &str, aliases: &mut usize) -> Result<(), String> {
        let mut stack = vec![dependency.to_owned()];
        while let Some(name) = stack.pop() {
            if name != dependency {
                let (alias, module) = (module_alias(&name), module_name(&name));
                emit!(self, "try:\n  {alias} = {copy_from}.{alias}");
                emit!(self, "except AttributeError:\n  {alias} = {copy_from}.{module}");
                *aliases += 1;
                if *aliases > MAX_PUBLIC_ALIASES {
                    return Err(format!("Public imports lead to more than {MAX_PUBLIC_ALIASES} modules."));
                }
            }
            let public: Vec<&str> = self.schema.file(&name).into_iter().flat_map(public_dependencies).collect();
            stack.extend(public.into_iter().rev().map(str::to_owned));
        }
        Ok(())
    }

    fn reset_options(&mut self, file: &FileDescriptorProto) {
        if !self.reset("DESCRIPTOR", &encoded(file.options.as_option())) {
            emit!(self, "  DESCRIPTOR.{} = None", self.target.options_attribute());
        }
        for declared in &file.enum_type {
            self.reset_enum(declared, "");
        }
        for extension in &file.extension {
            self.reset_field(extension, extension.name.as_deref().unwrap_or_default());
        }
        for message in &file.message_type {
            self.reset_message(message, "");
        }
        for service in &file.service {
            self.reset_service(service);
        }
    }

    fn reset_message(&mut self, message: &DescriptorProto, scope: &str) {
        let name = key(scope, message.name.as_deref());
        for nested in &message.nested_type {
            self.reset_message(nested, &name);
        }
        for oneof in &message.oneof_decl {
            let path = format!("{name}.oneofs_by_name['{}']", oneof.name.as_deref().unwrap_or_default());
            self.reset(&path, &encoded(oneof.options.as_option()));
        }
        for declared in &message.enum_type {
            self.reset_enum(declared, &name);
        }
        for (fields, map) in [(&message.field, "fields_by_name"), (&message.extension, "extensions_by_name")] {
            for field in fields {
                self.reset_field(field, &format!("{name}.{map}['{}']", field.name.as_deref().unwrap_or_default()));
            }
        }
        self.reset(&name, &encoded(message.options.as_option()));
    }

    fn reset_field(&mut self, field: &FieldDescriptorProto, path: &str) {
        self.reset(path, &encoded(field.options.as_option()));
    }

    fn reset_enum(&mut self, declared: &EnumDescriptorProto, scope: &str) {
        let name = key(scope, declared.name.as_deref());
        self.reset(&name, &encoded(declared.options.as_option()));
        for value in &declared.value {
            let path = format!("{name}.values_by_name[\"{}\"]", value.name.as_deref().unwrap_or_default());
            self.reset(&path, &encoded(value.options.as_option()));
        }
    }

    fn reset_service(&mut self, service: &ServiceDescriptorProto) {
        let name = key("", service.name.as_deref());
        self.reset(&name, &encoded(service.options.as_option()));
        for method in &service.method {
            let path = format!("{name}.methods_by_name['{}']", method.name.as_deref().unwrap_or_default());
            self.reset(&path, &encoded(method.options.as_option()));
        }
    }

    /// Writes the options of the descriptor at `path`, to be parsed again once extensions are known. Says whether
    /// there were any.
    fn reset(&mut self, path: &str, options: &[u8]) -> bool {
        if options.is_empty() {
            return false;
        }
        let (global, rest) = path.split_at(path.find('.').unwrap_or(path.len()));
        emit!(self, "  _globals['{global}']{rest}.{} = None", self.target.options_attribute());
        emit!(self, "  _globals['{global}']{rest}._serialized_options = b'{}'", escape::octal(options));
        true
    }

    /// Where each descriptor lies in the serialized file. protoc takes the first place where its bytes occur, even
    /// when that is another descriptor with the same bytes; so do we.
    fn serialized_intervals(&mut self, file: &FileDescriptorProto) {
        let mut parts = Vec::new();
        for declared in &file.enum_type {
            parts.push((key("", declared.name.as_deref()), declared.encode_to_vec()));
        }
        for message in &file.message_type {
            push_message(message, "", &mut parts);
        }
        for service in &file.service {
            parts.push((key("", service.name.as_deref()), service.encode_to_vec()));
        }
        let bytes: Vec<&[u8]> = parts.iter().map(|(_, part)| &part[..]).collect();
        let starts = occurrence::first_of_each(&self.serialized, &bytes);
        for ((name, part), start) in parts.iter().zip(starts) {
            emit!(self, "  _globals['{name}']._serialized_start={start}");
            emit!(self, "  _globals['{name}']._serialized_end={}", start + part.len());
        }
    }
}

/// Adds name and bytes of a message and of what is in it.
fn push_message(message: &DescriptorProto, scope: &str, parts: &mut Vec<(String, Vec<u8>)>) {
    let name = key(scope, message.name.as_deref());
    parts.push((name.clone(), message.encode_to_vec()));
    for nested in &message.nested_type {
        push_message(nested, &name, parts);
    }
    for declared in &message.enum_type {
        parts.push((key(&name, declared.name.as_deref()), declared.encode_to_vec()));
    }
}

/// The name of a descriptor's global: `_OUTER_INNER`.
fn key(scope: &str, name: Option<&str>) -> String {
    format!("{scope}_{}", name.unwrap_or_default().to_ascii_uppercase())
}

fn encoded<M: Message>(options: Option<&M>) -> Vec<u8> {
    options.map(Message::encode_to_vec).unwrap_or_default()
}
