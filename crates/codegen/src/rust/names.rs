//! Rust names for packages, messages, enums and services.
//!
//! A type keeps its name where Rust can have it. `foo_bar` becomes `FooBar`, which no keyword, primitive type or module
//! is called; what then is taken (`HTTPServer` and `HttpServer` would both need a module `http_server`) gets an
//! underscore at the end. Types are renamed in the descriptors before `buffa-codegen` sees them, for it takes names as
//! they come, and in what it writes the names that protobuf knows are put back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};
use heck::ToUpperCamelCase;

use super::marks::Marks;
use super::packages::Packages;
use super::{letters, members};
use crate::schema::{is_map_entry, package};

#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) marks: Marks,
    pub(super) packages: Packages,
    /// Types whose Rust name is not their own: full names with a leading dot, old to new. What is nested in a type that
    /// is renamed is here as well.
    renamed: HashMap<String, String>,
    /// New to old, without the dot; extensions too.
    old: HashMap<String, String>,
    /// Fields and oneofs that are called otherwise in Rust, by full name with a leading dot: their new names.
    members: HashMap<String, String>,
    /// Values of enums that are called otherwise in Rust, old and new, by the full name of the enum with a leading dot.
    values: HashMap<String, Vec<(String, String)>>,
    /// What services are called in Rust: by full name, with a leading dot.
    services: HashMap<String, String>,
}

/// A type to find a name for.
struct Candidate<'a> {
    name: &'a str,
    nested: Nested<'a>,
}

enum Nested<'a> {
    Enum,
    Message(&'a DescriptorProto),
}

impl Candidate<'_> {
    fn is_map_entry(&self) -> bool {
        matches!(self.nested, Nested::Message(message) if is_map_entry(message))
    }
}

impl Names {
    pub(super) fn choose(files: &[FileDescriptorProto]) -> Self {
        let mut packages: BTreeMap<&str, Vec<Candidate<'_>>> = BTreeMap::new();
        for file in files {
            let types = packages.entry(package(file)).or_default();
            types.extend(candidates(&file.message_type, &file.enum_type));
        }
        let mut names = Self::default();
        names.packages = Packages::choose(packages.keys().copied(), &mut names.marks);
        for (&package, types) in &packages {
            let modules = names.packages.modules(package);
            let below = packages.keys().filter_map(|other| segment_below(&modules, &names.packages.modules(other)));
            // Beside the modules of messages, `buffa-codegen` has one of this name for the views of oneofs.
            let below: BTreeSet<String> = below.chain(["oneof".to_owned()]).collect();
            let (old, new) = (scope(package), scope(names.packages.of(package)));
            let modules = names.choose_in_scope(&old, &new, types, &below);
            let services =
                files.iter().filter(|file| crate::schema::package(file) == package).flat_map(|file| &file.service);
            names.choose_services(&old, services.filter_map(|service| service.name.as_deref()), &modules);
        }
        let renamed = names.packages.renamed().map(|(old, new)| (scope(old), scope(new)));
        names.renamed.extend(renamed);
        names.old = names.renamed.iter().map(|(old, new)| (new[1..].to_owned(), old[1..].to_owned())).collect();
        names
    }

    /// Returns the modules of the scope. `packages` are those that packages in it become, and others that are taken.
    fn choose_in_scope(
        &mut self,
        old: &str,
        new: &str,
        types: &[Candidate<'_>],
        packages: &BTreeSet<String>,
    ) -> HashSet<String> {
        let mut taken: HashSet<String> =
            types.iter().map(|t| t.name).filter(|name| is_good(name)).map(Into::into).collect();
        // A package is a module, which cannot be called like a type; and `buffa-codegen` does not see that the view of a type
        // with a mark is called like another type.
        let views = types.iter().filter_map(|t| letters::only(t.name)).flat_map(letters::views_of);
        let reserved: BTreeSet<String> = packages.iter().cloned().chain(views).collect();
        taken.extend(reserved.iter().cloned());
        let mut modules: HashSet<String> = HashSet::new();
        // Those that are good already come first, and last the entries of maps, whose names nobody chose.
        let (good, mut others): (Vec<_>, Vec<_>) =
            types.iter().partition(|candidate| is_good(candidate.name) && !candidate.is_map_entry());
        others.sort_by_key(|candidate| candidate.is_map_entry());
        for candidate in good.into_iter().chain(others) {
            let mut name = if is_good(candidate.name) {
                if !reserved.contains(candidate.name) {
                    taken.remove(candidate.name);
                }
                candidate.name.to_owned()
            } else {
                converted(candidate.name)
            };
            let is_unavailable =
                |module: &str| packages.contains(module) || matches!(module, "self" | "super" | "crate");
            let is_free = |name: &str| match candidate.nested {
                Nested::Enum => true,
                Nested::Message(message) => {
                    let module = module_name(name);
                    !modules.contains(&module) && (!has_module(message) || !is_unavailable(&module))
                }
            };
            while taken.contains(&name) || !is_free(&name) {
                name.push('_');
            }
            let marked = letters::marked(&name);
            let (old, new) = (format!("{old}.{}", candidate.name), format!("{new}.{marked}"));
            if let Nested::Message(message) = candidate.nested {
                modules.insert(module_name(&name));
                let inner: Vec<_> = candidates(&message.nested_type, &message.enum_type).collect();
                self.choose_in_scope(&old, &new, &inner, &BTreeSet::new());
            }
            if old != new {
                self.renamed.insert(old, new);
            }
            taken.insert(name);
        }
        modules.extend(packages.iter().cloned());
        modules
    }

    fn choose_services<'a>(&mut self, scope: &str, services: impl Iterator<Item = &'a str>, modules: &HashSet<String>) {
        let mut taken = HashSet::new();
        let (good, others): (Vec<_>, Vec<_>) = services.partition(|name| is_good(name));
        for service in good.into_iter().chain(others) {
            let plain = if is_good(service) { service.to_owned() } else { converted(service) };
            // A number does instead of the underscore, which Rust's style has no use for in a type.
            let plain = plain.trim_end_matches('_').to_owned();
            let mut is_free = |name: &str| {
                let module = super::service::snake_case(name);
                let mut faces = ["client", "server"].into_iter().map(|face| format!("{module}_{face}"));
                name != "Self" && !faces.any(|face| modules.contains(&face)) && taken.insert(module)
            };
            let mut name = plain.clone();
            let mut number = 2;
            while !is_free(&name) {
                name = format!("{plain}{number}");
                number += 1;
            }
            self.services.insert(format!("{scope}.{service}"), name);
        }
    }

    /// What a service is called in Rust.
    pub(super) fn of_service(&self, package: &str, service: &str) -> String {
        self.services.get(&format!("{}.{service}", scope(package))).map_or(service, String::as_str).to_owned()
    }

    /// What a package of the renamed files is called in proto.
    pub(super) fn old_package(&self, package: &str) -> String {
        self.old.get(package).map_or(package, String::as_str).to_owned()
    }

    /// The full name that a type has in the renamed files.
    pub(super) fn of<'a>(&'a self, full_name: &'a str) -> &'a str {
        self.renamed.get(full_name).map_or(full_name, String::as_str)
    }

    /// The path that leads to the same things in the renamed files: to a package, a type, or a member of one, maybe
    /// through its oneof.
    pub(super) fn path(&self, path: &str) -> String {
        let (mut old, mut above, mut new) = (String::new(), String::new(), String::new());
        for segment in path.split('.').filter(|segment| !segment.is_empty()) {
            let member = |scope: &str| self.members.get(&format!("{scope}.{segment}"));
            let renamed = member(&old).or_else(|| member(&above)).map_or(segment, String::as_str);
            let below = format!("{old}.{segment}");
            above = std::mem::replace(&mut old, below);
            new = match self.renamed.get(&old) {
                Some(new) => new.clone(),
                None => format!("{new}.{renamed}"),
            };
        }
        if new.is_empty() { ".".to_owned() } else { new }
    }

    /// Renames declarations and references.
    pub(super) fn rename(&mut self, files: &mut [FileDescriptorProto]) {
        for file in files.iter_mut() {
            let scope = scope(package(file));
            self.rename_values(&mut file.message_type, &mut file.enum_type, &scope);
        }
        let mut constants: HashMap<String, HashSet<String>> = HashMap::new();
        for file in files {
            let package = package(file).to_owned();
            let scope = scope(&package);
            let taken = constants.entry(package.clone()).or_default();
            let new_package = self.packages.of(&package).to_owned();
            self.old.extend(members::rename_extensions(&mut file.extension, &package, &new_package, taken));
            if new_package != package {
                file.package = Some(new_package);
            }
            self.rename_types(&mut file.message_type, &mut file.enum_type, &scope);
            self.rename_references(&mut file.extension);
            for method in file.service.iter_mut().flat_map(|service| &mut service.method) {
                self.rename_reference(&mut method.input_type);
                self.rename_reference(&mut method.output_type);
            }
        }
    }

    fn rename_values(&mut self, messages: &mut [DescriptorProto], enums: &mut [EnumDescriptorProto], scope: &str) {
        for declared in enums {
            let renamed = members::rename_values(declared, &mut self.marks);
            if !renamed.is_empty() {
                self.values.insert(format!("{scope}.{}", declared.name.as_deref().unwrap_or_default()), renamed);
            }
        }
        for message in messages {
            let scope = format!("{scope}.{}", message.name.as_deref().unwrap_or_default());
            self.rename_values(&mut message.nested_type, &mut message.enum_type, &scope);
        }
    }

    fn rename_types(&mut self, messages: &mut [DescriptorProto], enums: &mut [EnumDescriptorProto], scope: &str) {
        for message in messages {
            let full_name = format!("{scope}.{}", message.name.as_deref().unwrap_or_default());
            self.rename_types(&mut message.nested_type, &mut message.enum_type, &full_name);
            self.rename_references(&mut message.field);
            for (old, new) in members::rename(message, &mut self.marks) {
                self.members.insert(format!("{full_name}.{old}"), new);
            }
            let new_name = self.of(&full_name)[1..].to_owned();
            let renamed =
                members::rename_extensions(&mut message.extension, &full_name[1..], &new_name, &mut HashSet::new());
            self.old.extend(renamed);
            self.rename_references(&mut message.extension);
            self.rename_declaration(&mut message.name, &full_name);
        }
        for declared in enums {
            let full_name = format!("{scope}.{}", declared.name.as_deref().unwrap_or_default());
            self.rename_declaration(&mut declared.name, &full_name);
        }
    }

    fn rename_declaration(&self, name: &mut Option<String>, full_name: &str) {
        if let Some((_, new)) = self.renamed.get(full_name).and_then(|new| new.rsplit_once('.')) {
            *name = Some(new.to_owned());
        }
    }

    fn rename_references(&self, fields: &mut [FieldDescriptorProto]) {
        for field in fields {
            let values = field.type_name.as_ref().and_then(|name| self.values.get(name)).into_iter().flatten();
            if let Some(default) = &mut field.default_value
                && let Some((_, new)) = values.clone().find(|(old, _)| old == default)
            {
                *default = new.clone();
            }
            self.rename_reference(&mut field.type_name);
            self.rename_reference(&mut field.extendee);
        }
    }

    fn rename_reference(&self, name: &mut Option<String>) {
        if let Some(new) = name.as_deref().and_then(|name| self.renamed.get(name)) {
            *name = Some(new.clone());
        }
    }

    /// Puts the names that protobuf knows back into the string literals of the code for the renamed files of `package`.
    pub(super) fn restore(&self, code: String, package: &str) -> String {
        if self.old.is_empty() {
            return code;
        }
        let mut out = String::with_capacity(code.len());
        for line in code.split_inclusive('\n') {
            let relative = line.trim_start().starts_with("const NAME: &");
            let mut rest = line;
            while let Some((before, after)) = rest.split_once('"') {
                out.push_str(before);
                out.push('"');
                rest = after;
                if let Some((literal, _)) = after.split_once('"')
                    && let Some(old) = self.old_literal(literal, relative.then_some(package))
                {
                    out.push_str(&old);
                    rest = &after[literal.len()..];
                }
            }
            out.push_str(rest);
        }
        out
    }

    /// What a literal is to say, if it is the name of a type that was renamed or a URL that ends with one.
    fn old_literal(&self, literal: &str, relative_to: Option<&str>) -> Option<String> {
        match relative_to {
            Some("") | None => {
                let (url, name) = literal
                    .rsplit_once('/')
                    .map_or(("", literal), |(_, name)| (&literal[..literal.len() - name.len()], name));
                self.old.get(name).map(|old| format!("{url}{old}"))
            }
            Some(package) => {
                let old = self.old.get(&format!("{package}.{literal}"))?;
                let old_package = self.old.get(package).map_or(package, String::as_str);
                Some(old.strip_prefix(old_package)?.strip_prefix('.')?.to_owned())
            }
        }
    }
}

fn candidates<'a>(
    messages: &'a [DescriptorProto],
    enums: &'a [EnumDescriptorProto],
) -> impl Iterator<Item = Candidate<'a>> {
    let messages = messages.iter().map(|message| Candidate {
        name: message.name.as_deref().unwrap_or_default(),
        nested: Nested::Message(message),
    });
    let enums = enums
        .iter()
        .map(|declared| Candidate { name: declared.name.as_deref().unwrap_or_default(), nested: Nested::Enum });
    messages.chain(enums)
}

/// The full name of a package as names of types begin with it.
fn scope(package: &str) -> String {
    if package.is_empty() { String::new() } else { format!(".{package}") }
}

/// The module in that of a package that leads to the modules of another, if that is below it.
fn segment_below(package: &[String], other: &[String]) -> Option<String> {
    other.strip_prefix(package)?.first().cloned()
}

/// Whether there is a module for what is in the message.
fn has_module(message: &DescriptorProto) -> bool {
    !message.enum_type.is_empty()
        || !message.extension.is_empty()
        || !message.oneof_decl.is_empty()
        || message.nested_type.iter().any(|nested| !is_map_entry(nested))
}

/// Whether Rust can have the name as it is, and would.
pub(super) fn is_good(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase()) && !name.contains('_') && name != "Self"
}

/// A name that `is_good`, made of any.
pub(super) fn converted(name: &str) -> String {
    match name.to_upper_camel_case() {
        camel if camel == "Self" => "Self_".into(),
        camel if camel.starts_with(|first: char| first.is_ascii_uppercase()) => camel,
        // `_1` and `_`, or a letter without case.
        other => format!("X{other}"),
    }
}

/// The module that `buffa-codegen` makes for what is in a message.
pub(super) fn module_name(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (index, &char) in chars.iter().enumerate() {
        if char.is_uppercase() && index > 0 {
            let before = chars[index - 1];
            let before_small = chars.get(index + 1).is_some_and(|next| next.is_lowercase());
            if before.is_lowercase() || before.is_uppercase() && before_small {
                out.push('_');
            }
        }
        out.extend(char.to_lowercase());
    }
    out
}
