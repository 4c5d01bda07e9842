//! `--pyi_out`: `_pb2.pyi`, the types of `_pb2.py` for checkers and editors.

use std::collections::{HashMap, HashSet};

use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

use crate::python_names::{
    Imports, RELATIVE_IMPORTS, contains_keyword, import_call, import_statement, is_keyword, module_name, output_path,
};
use crate::schema::{TypeEntry, file_name, has_generic_services, is_repeated, package, public_dependencies};
use crate::text::{Text, line};
use crate::{Generator, OutputFile, Request, Schema, parse_parameter};

/// Writes `_pb2.pyi`.
///
/// Options: `annotate_code` and `experimental_strip_nonfunctional_codegen`, which change nothing in the text, and
/// `NAME.pyi`, which names the output file.
pub struct Pyi;

impl Generator for Pyi {
    fn generate(&self, request: &Request<'_>) -> Result<Vec<OutputFile>, String> {
        let mut outputs = Vec::new();
        for name in request.files_to_generate {
            let mut path = None;
            let mut imports = Imports::Rooted;
            for (option, _) in parse_parameter(request.parameter) {
                match option {
                    "annotate_code" | "experimental_strip_nonfunctional_codegen" => {}
                    RELATIVE_IMPORTS => imports = Imports::Relative,
                    named if named.ends_with(".pyi") => path = Some(named),
                    unknown => return Err(format!("{name}: Unknown generator option: {unknown}")),
                }
            }
            let file = request.schema.file(name).ok_or_else(|| format!("{name}: File not found."))?;
            let mut output = Self::write(request.schema, file, imports);
            if let Some(path) = path {
                path.clone_into(&mut output.name);
            }
            outputs.push(output);
        }
        Ok(outputs)
    }
}

impl Pyi {
    pub(crate) fn write(schema: &Schema<'_>, file: &FileDescriptorProto, imports: Imports) -> OutputFile {
        let stub = Stub { schema, file, imports, aliases: HashMap::new(), out: Text::new() };
        OutputFile::new(output_path(file_name(file), ".pyi"), stub.write())
    }
}

struct Stub<'a> {
    schema: &'a Schema<'a>,
    imports: Imports,
    file: &'a FileDescriptorProto,
    /// File name -> the alias its module is imported under.
    aliases: HashMap<String, String>,
    out: Text,
}

/// What the messages of a file use.
#[derive(Default)]
struct Uses {
    datetime: bool,
    containers: bool,
    enums: bool,
    extensions: bool,
    well_known_bases: bool,
    iterable: bool,
    mapping: bool,
    optional: bool,
    union: bool,
}

/// Messages whose Python class has a second base with the methods of a well-known type.
const WELL_KNOWN_BASES: [&str; 6] = ["Any", "Duration", "FieldMask", "ListValue", "Struct", "Timestamp"];

impl<'a> Stub<'a> {
    fn write(mut self) -> String {
        let mut uses = Uses { enums: !self.file.enum_type.is_empty(), ..Uses::default() };
        for message in &self.file.message_type {
            self.find_uses(message, &mut uses);
        }
        if uses.datetime {
            self.out.push("import datetime\n\n");
        }
        self.module_imports();
        self.runtime_imports(&uses);
        self.public_names();
        self.out.push("\nDESCRIPTOR: _descriptor.FileDescriptor\n");
        self.public_values();
        for declared in &self.file.enum_type {
            self.out.blank();
            self.enumeration(declared, "");
        }
        for declared in &self.file.enum_type {
            let type_name = resolve_keyword(name_of(declared.name.as_ref()));
            self.enum_values(declared, &type_name);
        }
        self.extensions(&self.file.extension);
        for message in &self.file.message_type {
            self.out.blank();
            self.message(message, &[]);
        }
        if has_generic_services(self.file) {
            for service in &self.file.service {
                let name = name_of(service.name.as_ref());
                line!(self.out, "\nclass {name}(_service.service): ...\n\nclass {name}_Stub({name}): ...");
            }
        }
        self.out.finish()
    }

    fn find_uses(&self, message: &DescriptorProto, uses: &mut Uses) {
        uses.extensions |= !message.extension_range.is_empty();
        uses.enums |= !message.enum_type.is_empty();
        uses.well_known_bases |= self.is_well_known(message, true);
        for field in &message.field {
            if is_keyword(name_of(field.name.as_ref())) {
                continue;
            }
            uses.optional = true;
            uses.containers |= is_repeated(field);
            uses.datetime |= datetime_type(field).is_some();
            if let Some((_, value)) = self.schema.map_entry(field) {
                uses.mapping = true;
                uses.union |= is_message(value) || is_enum(value);
                continue;
            }
            uses.iterable |= is_repeated(field);
            uses.mapping |= is_message(field);
            uses.union |= is_message(field) || is_enum(field);
        }
        for nested in &message.nested_type {
            self.find_uses(nested, uses);
        }
    }

    fn is_well_known(&self, message: &DescriptorProto, top_level: bool) -> bool {
        top_level
            && package(self.file) == "google.protobuf"
            && WELL_KNOWN_BASES.contains(&name_of(message.name.as_ref()))
    }

    fn module_imports(&mut self) {
        let mut taken = HashSet::new();
        let mut importlib = false;
        for dependency in &self.file.dependency {
            self.module_import(dependency, &mut taken, &mut importlib);
            let Some(file) = self.schema.file(dependency) else { continue };
            for public in public_dependencies(file) {
                self.module_import(public, &mut taken, &mut importlib);
            }
        }
    }

    fn module_import(&mut self, file: &str, taken: &mut HashSet<String>, importlib: &mut bool) {
        let module = module_name(file);
        let mut alias = format!("_{}", last_part(&module));
        while !taken.insert(alias.clone()) {
            alias.push_str("_1");
        }
        let module = self.imports.path(&module_name(file_name(self.file)), &module);
        if contains_keyword(&module) {
            if !*importlib {
                self.out.line("import importlib");
                *importlib = true;
            }
            line!(self.out, "{alias} = {}", import_call(&module));
        } else {
            line!(self.out, "{} as {alias}", import_statement(&module));
        }
        self.aliases.insert(file.to_owned(), alias);
    }

    fn runtime_imports(&mut self, uses: &Uses) {
        let modules = [
            (uses.containers, "google.protobuf.internal", "containers"),
            (uses.enums, "google.protobuf.internal", "enum_type_wrapper"),
            (uses.extensions, "google.protobuf.internal", "python_message"),
            (uses.well_known_bases, "google.protobuf.internal", "well_known_types"),
            (true, "google.protobuf", "descriptor"),
            (!self.file.message_type.is_empty(), "google.protobuf", "message"),
            (has_generic_services(self.file), "google.protobuf", "service"),
        ];
        for (_, package, module) in modules.iter().filter(|(used, ..)| *used) {
            line!(self.out, "from {package} import {module} as _{module}");
        }
        let abc = [(uses.iterable, "Iterable"), (uses.mapping, "Mapping")];
        let typing = [(true, "ClassVar"), (uses.optional, "Optional"), (uses.union, "Union")];
        for (package, names) in [("collections.abc", abc.as_slice()), ("typing", typing.as_slice())] {
            let names: Vec<String> =
                names.iter().filter(|(used, _)| *used).map(|(_, name)| format!("{name} as _{name}")).collect();
            if !names.is_empty() {
                line!(self.out, "from {package} import {}", names.join(", "));
            }
        }
    }

    /// The files that this one imports publicly.
    fn public_files(&self) -> Vec<&'a FileDescriptorProto> {
        public_dependencies(self.file).filter_map(|name| self.schema.file(name)).collect()
    }

    fn public_names(&mut self) {
        for public in self.public_files() {
            let own = module_name(file_name(self.file));
            let module = self.imports.path(&own, &module_name(file_name(public)));
            let messages = public.message_type.iter().map(|message| name_of(message.name.as_ref()));
            let enums = public.enum_type.iter().map(|declared| name_of(declared.name.as_ref()));
            for name in messages.chain(enums) {
                line!(self.out, "from {module} import {name} as {name}");
            }
        }
    }

    fn public_values(&mut self) {
        for public in self.public_files() {
            self.extensions(&public.extension);
            for declared in &public.enum_type {
                let name = resolve_keyword(name_of(declared.name.as_ref()));
                let type_name = format!("{}.{name}", self.alias(file_name(public)));
                self.enum_values(declared, &type_name);
            }
        }
    }

    fn extensions(&mut self, extensions: &[FieldDescriptorProto]) {
        for extension in extensions {
            let name = name_of(extension.name.as_ref());
            line!(self.out, "{}_FIELD_NUMBER: _ClassVar[int]", name.to_ascii_uppercase());
            line!(self.out, "{name}: _descriptor.FieldDescriptor");
        }
    }

    fn enumeration(&mut self, declared: &EnumDescriptorProto, type_name: &str) {
        let name = name_of(declared.name.as_ref());
        let top_level = resolve_keyword(name);
        let type_name = if type_name.is_empty() { &top_level } else { type_name };
        line!(self.out, "class {name}(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):");
        self.out.indented(1, |out| {
            out.line("__slots__ = ()");
            for value in &declared.value {
                line!(out, "{}: _ClassVar[{type_name}]", name_of(value.name.as_ref()));
            }
        });
    }

    fn enum_values(&mut self, declared: &EnumDescriptorProto, type_name: &str) {
        for value in &declared.value {
            line!(self.out, "{}: {type_name}", name_of(value.name.as_ref()));
        }
    }

    /// Writes the class of `message`; `outer` are the names of the messages around it.
    fn message(&mut self, message: &DescriptorProto, outer: &[&str]) {
        let name = name_of(message.name.as_ref());
        let base = if self.is_well_known(message, outer.is_empty()) {
            format!(", _well_known_types.{name}")
        } else {
            String::new()
        };
        line!(self.out, "class {name}(_message.Message{base}):");
        let mut path = outer.to_vec();
        path.push(name);
        // `indented` lends the text to its body, and the body needs all of `self`: lend the text out by hand.
        let mut out = std::mem::replace(&mut self.out, Text::new());
        out.indented(1, |out| {
            std::mem::swap(&mut self.out, out);
            self.message_body(message, &path);
            std::mem::swap(&mut self.out, out);
        });
        self.out = out;
    }

    fn message_body(&mut self, message: &DescriptorProto, path: &[&str]) {
        let fields: Vec<&FieldDescriptorProto> =
            message.field.iter().filter(|field| !is_keyword(name_of(field.name.as_ref()))).collect();
        self.slots(&fields);
        if !message.extension_range.is_empty() {
            self.out.line("Extensions: _python_message._ExtensionDict");
        }
        for declared in &message.enum_type {
            let mut enum_path = path.to_vec();
            enum_path.push(name_of(declared.name.as_ref()));
            let type_name = dotted(&enum_path);
            self.enumeration(declared, &type_name);
            self.enum_values(declared, &type_name);
        }
        for nested in &message.nested_type {
            self.message(nested, path);
        }
        self.extensions(&message.extension);
        for field in &message.field {
            line!(self.out, "{}_FIELD_NUMBER: _ClassVar[int]", name_of(field.name.as_ref()).to_ascii_uppercase());
        }
        for field in &fields {
            let line = format!("{}: {}", name_of(field.name.as_ref()), self.attribute_type(field, path));
            self.out.line(&line);
        }
        self.init(message, &fields, path);
    }

    fn slots(&mut self, fields: &[&FieldDescriptorProto]) {
        let names: Vec<String> = fields.iter().map(|field| format!("\"{}\"", name_of(field.name.as_ref()))).collect();
        let comma = if names.len() == 1 { "," } else { "" };
        line!(self.out, "__slots__ = ({}{comma})", names.join(", "));
    }

    fn init(&mut self, message: &DescriptorProto, fields: &[&FieldDescriptorProto], path: &[&str]) {
        let mut receiver = "self".to_owned();
        while fields.iter().any(|field| field.name.as_deref() == Some(&receiver)) {
            receiver.push('_');
        }
        let mut text = format!("def __init__({receiver}");
        for field in fields {
            let argument = self.argument_type(field, path);
            text += &format!(", {}: _Optional[{argument}] = ...", name_of(field.name.as_ref()));
        }
        if fields.len() != message.field.len() {
            text += ", **kwargs";
        }
        line!(self.out, "{text}) -> None: ...");
    }

    /// The type of a field when it is read.
    fn attribute_type(&self, field: &FieldDescriptorProto, path: &[&str]) -> String {
        if let Some((key, value)) = self.schema.map_entry(field) {
            let container = if is_message(value) { "MessageMap" } else { "ScalarMap" };
            let (key, value) = (self.value_type(key, path), self.value_type(value, path));
            return format!("_containers.{container}[{key}, {value}]");
        }
        let value = self.value_type(field, path);
        match (is_repeated(field), is_message(field)) {
            (false, _) => value,
            (true, false) => format!("_containers.RepeatedScalarFieldContainer[{value}]"),
            (true, true) => format!("_containers.RepeatedCompositeFieldContainer[{value}]"),
        }
    }

    /// The type that the constructor takes for a field, besides `None`.
    fn argument_type(&self, field: &FieldDescriptorProto, path: &[&str]) -> String {
        if let Some((key, value)) = self.schema.map_entry(field) {
            return format!("_Mapping[{}, {}]", self.value_type(key, path), self.value_type(value, path));
        }
        let mut value = self.value_type(field, path);
        if is_message(field) {
            let datetime = datetime_type(field).map(|name| format!("datetime.{name}, ")).unwrap_or_default();
            value = format!("_Union[{datetime}{value}, _Mapping]");
        } else if is_enum(field) {
            value = format!("_Union[{value}, str]");
        }
        if is_repeated(field) { format!("_Iterable[{value}]") } else { value }
    }

    /// The type of one value of a field of the message at `path`.
    fn value_type(&self, field: &FieldDescriptorProto, path: &[&str]) -> String {
        use Type::*;
        match field.r#type {
            Some(TYPE_DOUBLE | TYPE_FLOAT) => "float".into(),
            Some(TYPE_BOOL) => "bool".into(),
            Some(TYPE_STRING) => "str".into(),
            Some(TYPE_BYTES) => "bytes".into(),
            Some(TYPE_MESSAGE | TYPE_GROUP) => {
                let name = self.type_name(field);
                // Inside a nested class, a top-level class of the same name needs its module to be told apart.
                if path.len() > 1 && path.last() == Some(&name.as_str()) {
                    return format!("{}.{name}", module_name(file_name(self.file)));
                }
                name
            }
            Some(TYPE_ENUM) => self.type_name(field),
            _ => "int".into(),
        }
    }

    /// How this module names the message or enum of `field`.
    fn type_name(&self, field: &FieldDescriptorProto) -> String {
        let full_name = field.type_name.as_deref().unwrap_or_default();
        let Some(TypeEntry { file, path, .. }) = self.schema.type_entry(full_name) else {
            return full_name.to_owned();
        };
        let name = dotted(path);
        if file.name == self.file.name { name } else { format!("{}.{name}", self.alias(file_name(file))) }
    }

    fn alias(&self, file: &str) -> String {
        self.aliases.get(file).cloned().unwrap_or_else(|| format!("_{}", last_part(&module_name(file))))
    }
}

fn last_part(module: &str) -> &str {
    module.rsplit('.').next().unwrap_or(module)
}

/// `Outer.Inner`, with names that are keywords reached without naming them in the syntax.
fn dotted(path: &[&str]) -> String {
    let mut parts = path.iter();
    let mut name = resolve_keyword(parts.next().copied().unwrap_or_default());
    for part in parts {
        name = if is_keyword(part) { format!("getattr({name}, '{part}')") } else { format!("{name}.{part}") };
    }
    name
}

fn resolve_keyword(name: &str) -> String {
    if is_keyword(name) { format!("globals()['{name}']") } else { name.to_owned() }
}

fn is_message(field: &FieldDescriptorProto) -> bool {
    matches!(field.r#type, Some(Type::TYPE_MESSAGE | Type::TYPE_GROUP))
}

fn is_enum(field: &FieldDescriptorProto) -> bool {
    field.r#type == Some(Type::TYPE_ENUM)
}

/// The class of `datetime` that a field's constructor argument may be.
fn datetime_type(field: &FieldDescriptorProto) -> Option<&'static str> {
    match field.type_name.as_deref() {
        Some(".google.protobuf.Timestamp") => Some("datetime"),
        Some(".google.protobuf.Duration") => Some("timedelta"),
        _ => None,
    }
}

fn name_of(name: Option<&String>) -> &str {
    name.map_or("", String::as_str)
}
