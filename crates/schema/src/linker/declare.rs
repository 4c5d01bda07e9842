//! The first pass: every declaration gets its full name, and is checked as far as it can be on its own.

use buffa_descriptor::generated::descriptor::descriptor_proto::{ExtensionRange, ReservedRange};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::{Label, Type};
use buffa_descriptor::generated::descriptor::{
    DescriptorProto, Edition, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
    UninterpretedOption,
};

use crate::default_value::{default_number, unescaped};
use crate::hash::HashSet;
use crate::limits::{
    FIELD_NUMBER_MAX, FULL_NAME, FULL_NAMES, MESSAGE_FIELDS, MESSAGE_NESTING, PACKAGE_DOTS, PACKAGE_NAME,
};
use crate::pool::{EnumId, FileId, Kind, MessageId, Symbol};
use crate::site::Site;
use crate::tag;

use super::Linker;
use super::clash::Clash;

/// Where a declaration lies.
pub(super) struct Scope<'a> {
    /// Its parent's full name; empty at the top of a file without package.
    pub(super) name: &'a str,
    /// Indices of the messages around it.
    pub(super) chain: &'a [u32],
    /// Source path of its parent.
    pub(super) path: &'a [i32],
    /// The message it lies in.
    pub(super) message: Option<MessageId>,
}

impl Scope<'_> {
    pub(super) fn join(&self, name: &str) -> String {
        join(self.name, name)
    }

    /// Index of the top-level message, if the parent is one.
    fn top_level(&self) -> Option<usize> {
        match self.chain {
            [index] => Some(*index as usize),
            _ => None,
        }
    }
}

pub(super) fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { [scope, ".", name].concat() }
}

fn name_of(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or_default()
}

impl Linker<'_> {
    /// False if the file is beyond help.
    pub(super) fn declare(&mut self, minds_unused: bool) -> bool {
        let proto = self.proto();
        if !self.declare_package(&proto) || !self.find_imports(&proto, minds_unused) {
            return false;
        }
        let package = proto.package.as_deref().unwrap_or_default();
        let scope = |step: &'static [i32]| Scope { name: package, chain: &[], path: step, message: None };
        for (index, message) in proto.message_type.iter().enumerate() {
            self.declare_message(message, index, &scope(&[tag::file::MESSAGE]));
        }
        for (index, definition) in proto.enum_type.iter().enumerate() {
            self.declare_enum(definition, index, &scope(&[tag::file::ENUM]));
        }
        for (index, service) in proto.service.iter().enumerate() {
            self.declare_service(service, index, &scope(&[tag::file::SERVICE]));
        }
        for (index, extension) in proto.extension.iter().enumerate() {
            self.declare_extension(extension, index, &scope(&[tag::file::EXTENSION]));
        }
        self.check_options(proto.options.as_option().map(|options| &options.uninterpreted_option));
        if self.has_too_long_names() {
            let limit = FULL_NAMES >> 20;
            self.error(Site::Nowhere, format!("The full names in this file take more than {limit} MiB."));
        }
        !self.has_too_long_names()
    }

    fn has_too_long_names(&self) -> bool {
        self.full_names > FULL_NAMES
    }

    fn declare_package(&mut self, proto: &FileDescriptorProto) -> bool {
        let Some(package) = proto.package.as_deref().filter(|package| !package.is_empty()) else { return true };
        let site = Site::At(vec![tag::file::PACKAGE]);
        if package.len() > PACKAGE_NAME {
            self.error(site, "Package name is too long");
            return false;
        }
        if package.matches('.').count() > PACKAGE_DOTS {
            self.error(site, "Exceeds Maximum Package Depth");
            return false;
        }
        let mut name = package;
        loop {
            let symbol = Symbol { file: self.id, kind: Kind::Package };
            match self.pool.add_symbol(name, symbol) {
                Ok(()) => self.check_name(&name[name.rfind('.').map_or(0, |dot| dot + 1)..], site.clone()),
                Err(existing) => {
                    if existing.kind != Kind::Package {
                        let file = self.pool.file(existing.file).name();
                        let message = format!(
                            "\"{name}\" is already defined (as something other than a package) in file \"{file}\"."
                        );
                        self.error(site, message);
                    }
                    return true;
                }
            }
            match name.rfind('.') {
                Some(dot) => name = &name[..dot],
                None => return true,
            }
        }
    }

    /// False if the file imports itself, which was reported when it was loaded.
    fn find_imports(&mut self, proto: &FileDescriptorProto, minds_unused: bool) -> bool {
        let mut seen = HashSet::default();
        let mut dependencies = Vec::new();
        for name in &proto.dependency {
            if !seen.insert(name) {
                self.error(Site::Import(name.clone()), format!("Import \"{name}\" was listed twice."));
            }
            match self.pool.file_by_path(name) {
                Some(id) if id == self.id => return false,
                Some(id) => {
                    self.track_import(id, minds_unused);
                    dependencies.push(id);
                }
                None => self.import_error(name),
            }
        }
        let mut option_dependencies = Vec::new();
        for name in &proto.option_dependency {
            if !seen.insert(name) {
                self.error(Site::Import(name.clone()), format!("Import \"{name}\" was listed twice."));
            }
            let id = self.pool.file_by_path(name);
            if id == Some(self.id) {
                return false;
            }
            if let Some(id) = id {
                self.track_import(id, minds_unused);
            }
            option_dependencies.push(id);
        }
        self.check_import_kinds(proto);
        if dependencies.len() == proto.dependency.len() {
            for &index in &proto.public_dependency {
                if let Some(id) = dependencies.get(index as usize) {
                    self.names.unused.remove(id);
                }
            }
        }
        self.names.imports.clone_from(&dependencies);
        self.names.option_imports = option_dependencies.iter().copied().flatten().collect();
        self.pool.set_dependencies(self.id, dependencies, option_dependencies);
        true
    }

    fn track_import(&mut self, id: FileId, minds_unused: bool) {
        if minds_unused && self.pool.file(id).proto.public_dependency.is_empty() {
            self.names.unused.insert(id);
        }
    }

    pub(crate) fn import_error(&mut self, name: &str) {
        self.error(Site::Import(name.to_owned()), format!("Import \"{name}\" was not found or had errors."));
    }

    /// Gives `full_name` its meaning or reports who has it. `path` is the element's.
    fn add_symbol(&mut self, full_name: &str, path: &[i32], has_location: bool, kind: Kind) -> bool {
        self.full_names += full_name.len();
        if self.has_too_long_names() {
            return false;
        }
        if full_name.contains('\0') {
            self.error(Site::below(path, &[1]), format!("\"{full_name}\" contains null character."));
            return false;
        }
        let existing = match self.pool.add_symbol(full_name, Symbol { file: self.id, kind }) {
            Ok(()) => return true,
            Err(existing) => existing,
        };
        // A name is the first field of every kind of declaration.
        let site = if has_location { Site::below(path, &[1]) } else { Site::Nowhere };
        let message = if existing.file != self.id {
            format!("\"{full_name}\" is already defined in file \"{}\".", self.pool.file(existing.file).name())
        } else {
            match full_name.rsplit_once('.') {
                None => format!("\"{full_name}\" is already defined."),
                Some((scope, name)) => format!("\"{name}\" is already defined in \"{scope}\"."),
            }
        };
        self.error(site, message);
        false
    }

    /// Options must have names; `()` is none.
    fn check_options<'o>(&mut self, options: impl IntoIterator<Item = &'o Vec<UninterpretedOption>>) {
        let mut parts = options.into_iter().flatten().flat_map(|option| &option.name);
        if parts.any(|part| part.name_part.is_empty()) {
            self.error(Site::Nowhere, "Uninterpreted option is missing name or value.");
        }
    }

    /// Checks the name of the declaration at `path`.
    fn check_names(&mut self, name: &Option<String>, full_name: &str, path: &[i32]) {
        // A name is the first field of every kind of declaration.
        if full_name.len() > FULL_NAME {
            self.error(Site::below(path, &[1]), "Name too long.");
        }
        self.check_name(name_of(name), Site::below(path, &[1]));
    }

    fn declare_message(&mut self, message: &DescriptorProto, index: usize, outer: &Scope<'_>) {
        if self.has_too_long_names() {
            return;
        }
        let full_name = outer.join(name_of(&message.name));
        let path = [outer.path, &[index as i32]].concat();
        self.check_names(&message.name, &full_name, &path);
        let id = self.pool.add_message(full_name.clone(), self.id, outer.chain, index as u32);
        let chain = [outer.chain, &[index as u32]].concat();
        let below = |step: i32| [&path[..], &[step]].concat();
        let inner = |path: Vec<i32>| Inner { name: &full_name, chain: &chain, path, message: id };

        for (index, oneof) in message.oneof_decl.iter().enumerate() {
            if self.has_too_long_names() {
                return;
            }
            let name = join(&full_name, name_of(&oneof.name));
            self.check_name(name_of(&oneof.name), Site::Nowhere);
            self.check_options(oneof.options.as_option().map(|options| &options.uninterpreted_option));
            self.add_symbol(&name, &[&below(tag::message::ONEOF)[..], &[index as i32]].concat(), false, Kind::Oneof);
        }
        let fields = inner(below(tag::message::FIELD));
        for (index, field) in message.field.iter().enumerate() {
            self.declare_field(field, index, &fields.scope(), message);
        }
        let enums = inner(below(tag::message::ENUM));
        for (index, definition) in message.enum_type.iter().enumerate() {
            self.declare_enum(definition, index, &enums.scope());
        }
        let ranges = inner(below(tag::message::EXTENSION_RANGE));
        for (index, range) in message.extension_range.iter().enumerate() {
            self.check_extension_range(range, index, &ranges.scope());
            self.check_options(range.options.as_option().map(|options| &options.uninterpreted_option));
        }
        let extensions = inner(below(tag::message::EXTENSION));
        for (index, extension) in message.extension.iter().enumerate() {
            self.declare_extension(extension, index, &extensions.scope());
        }
        let reserved = inner(below(tag::message::RESERVED_RANGE));
        for (index, range) in message.reserved_range.iter().enumerate() {
            self.check_reserved_range(range, index, &reserved.scope());
        }
        self.check_options(message.options.as_option().map(|options| &options.uninterpreted_option));
        if chain.len() as u32 >= MESSAGE_NESTING {
            self.error(Site::Nowhere, "Reached maximum recursion limit for nested messages.");
            return;
        }
        let nested = inner(below(tag::message::NESTED));
        for (index, message) in message.nested_type.iter().enumerate() {
            self.declare_message(message, index, &nested.scope());
        }
        self.add_symbol(&full_name, &path, true, Kind::Message(id));
        self.check_message(message, &full_name, &path, chain.len() == 1);
    }

    fn declare_field(
        &mut self,
        field: &FieldDescriptorProto,
        index: usize,
        scope: &Scope<'_>,
        parent: &DescriptorProto,
    ) {
        if self.has_too_long_names() {
            return;
        }
        let path = [scope.path, &[index as i32]].concat();
        let full_name = scope.join(name_of(&field.name));
        self.check_names(&field.name, &full_name, &path);
        self.check_field_proto(field, &full_name, &path, scope, false);
        if let Some(index) = field.oneof_index.filter(|&index| index < 0 || index as usize >= parent.oneof_decl.len()) {
            let name = name_of(&parent.name);
            self.error(
                Site::FieldType(path.clone()),
                format!("FieldDescriptorProto.oneof_index {index} is out of range for type \"{name}\"."),
            );
        }
        self.check_options(field.options.as_option().map(|options| &options.uninterpreted_option));
        if let Some(message) = scope.message {
            self.add_symbol(&full_name, &path, true, Kind::Field(message, index as u32));
        }
    }

    fn declare_extension(&mut self, extension: &FieldDescriptorProto, index: usize, scope: &Scope<'_>) {
        if self.has_too_long_names() {
            return;
        }
        let path = [scope.path, &[index as i32]].concat();
        let full_name = scope.join(name_of(&extension.name));
        self.check_names(&extension.name, &full_name, &path);
        self.check_field_proto(extension, &full_name, &path, scope, true);
        self.check_options(extension.options.as_option().map(|options| &options.uninterpreted_option));
        let id = self.pool.add_extension(full_name.clone(), self.id, scope.chain, index as u32);
        self.add_symbol(&full_name, &path, true, Kind::Extension(id));
        self.extensions.insert(path, id);
    }

    /// What can be said about a field before its type is known.
    fn check_field_proto(
        &mut self,
        field: &FieldDescriptorProto,
        full_name: &str,
        path: &[i32],
        scope: &Scope<'_>,
        is_extension: bool,
    ) {
        if field.proto3_optional == Some(true) && self.pool.file(self.id).edition() != Edition::EDITION_PROTO3 {
            // Without a blank before `fields`, as protoc has it.
            let message = format!("The [proto3_optional=true] option may only be set on proto3fields, not {full_name}");
            self.error(Site::FieldType(path.to_vec()), message);
        }
        if is_extension && field.label == Some(Label::LABEL_REQUIRED) {
            let message = format!("The extension {full_name} cannot be required.");
            self.error(Site::FieldType(path.to_vec()), message);
        }
        if let Some(default) = &field.default_value {
            let site = Site::below(path, &[tag::field::DEFAULT_VALUE]);
            if field.label == Some(Label::LABEL_REPEATED) {
                self.error(site.clone(), "Repeated fields can't have default values.");
            }
            if let Some(complaint) = default_complaint(field.r#type, default) {
                self.error(site, complaint);
            }
        }
        let number = field.number.unwrap_or(0);
        let site = || Site::below(path, &[tag::field::NUMBER]);
        // Extensions count towards the message they are declared in.
        let hinted = scope.top_level();
        if number <= 0 {
            self.hint(hinted, &site(), 0, 1);
            self.error(site(), "Field numbers must be positive integers.");
        } else if !is_extension && number > FIELD_NUMBER_MAX {
            self.hint(hinted, &site(), 0, 1);
            self.error(site(), format!("Field numbers cannot be greater than {FIELD_NUMBER_MAX}."));
        }
        let extendee = || Site::Extendee(path.to_vec());
        match (is_extension, &field.extendee) {
            (true, None) => self.error(extendee(), "FieldDescriptorProto.extendee not set for extension field."),
            (false, Some(_)) => self.error(extendee(), "FieldDescriptorProto.extendee set for non-extension field."),
            _ => {}
        }
        if is_extension && field.oneof_index.is_some() {
            let site = Site::FieldType(path.to_vec());
            self.error(site, "FieldDescriptorProto.oneof_index should not be set for extensions.");
        }
    }

    fn check_extension_range(&mut self, range: &ExtensionRange, index: usize, scope: &Scope<'_>) {
        let site = Site::below(scope.path, &[index as i32]);
        let (start, end) = (range.start.unwrap_or(0), range.end.unwrap_or(0));
        if start <= 0 {
            self.hint(scope.top_level(), &site, start, end);
            self.error(site.clone(), "Extension numbers must be positive integers.");
        }
        if start >= end {
            self.error(site, "Extension range end number must be greater than start number.");
        }
    }

    fn check_reserved_range(&mut self, range: &ReservedRange, index: usize, scope: &Scope<'_>) {
        let site = Site::below(scope.path, &[index as i32]);
        let (start, end) = (range.start.unwrap_or(0), range.end.unwrap_or(0));
        if start <= 0 {
            self.hint(scope.top_level(), &site, start, end);
            self.error(site.clone(), "Reserved numbers must be positive integers.");
        }
        if start >= end {
            self.error(site, "Reserved range end number must be greater than start number.");
        }
    }

    /// What fields and ranges of one message say against each other.
    fn check_message(&mut self, message: &DescriptorProto, full_name: &str, path: &[i32], is_top_level: bool) {
        let hinted = if is_top_level { path.last().map(|&index| index as usize) } else { None };
        let site = |step: i32, index: usize| Site::below(path, &[step, index as i32]);
        let extensions: Vec<(i32, i32)> =
            message.extension_range.iter().map(|range| (range.start.unwrap_or(0), range.end.unwrap_or(0))).collect();
        let reserved: Vec<(i32, i32)> =
            message.reserved_range.iter().map(|range| (range.start.unwrap_or(0), range.end.unwrap_or(0))).collect();
        let overlap =
            |(start, end): (i32, i32), (other_start, other_end): (i32, i32)| end > other_start && other_end > start;

        let wide = |&(start, end): &(i32, i32)| (i64::from(start), i64::from(end));
        let clash = Clash::of(reserved.iter().map(wide), extensions.iter().map(wide));
        for (index, &range) in reserved.iter().enumerate().filter(|(_, range)| clash.reserved.has_others(wide(range))) {
            if self.report.is_full() {
                break;
            }
            for &other in reserved[index + 1..].iter().filter(|&&other| overlap(range, other)) {
                let text = overlap_text("Reserved", other, range);
                self.error(site(tag::message::RESERVED_RANGE, index), text);
            }
        }
        let mut names = HashSet::default();
        for name in &message.reserved_name {
            if !names.insert(name.as_str()) {
                self.error(Site::below(path, &[1]), format!("Field name \"{name}\" is reserved multiple times."));
            }
        }
        if message.field.len() > MESSAGE_FIELDS {
            let count = message.field.len();
            self.error(Site::Nowhere, format!("{count} fields in {full_name} exceeds the limit of {MESSAGE_FIELDS}"));
        }
        for (field_index, field) in message.field.iter().enumerate() {
            if self.report.is_full() {
                break;
            }
            let (name, number) = (name_of(&field.name), field.number.unwrap_or(0));
            let takes = |&(start, end): &(i32, i32)| start <= number && number < end;
            let (extensions, reserved) =
                if clash.has(number) { (&extensions[..], &reserved[..]) } else { (&[][..], &[][..]) };
            for (index, range) in extensions.iter().enumerate().filter(|(_, range)| takes(range)) {
                let site = site(tag::message::EXTENSION_RANGE, index);
                self.hint(hinted, &site, 0, 1);
                let (start, end) = (range.0, range.1.wrapping_sub(1));
                self.error(site, format!("Extension range {start} to {end} includes field \"{name}\" ({number})."));
            }
            for (index, _) in reserved.iter().enumerate().filter(|(_, range)| takes(range)) {
                let site = site(tag::message::RESERVED_RANGE, index);
                self.hint(hinted, &site, 0, 1);
                self.error(site, format!("Field \"{name}\" uses reserved number {number}."));
            }
            if names.contains(name) {
                let site = Site::below(path, &[tag::message::FIELD, field_index as i32, tag::field::NAME]);
                self.error(site, format!("Field name \"{name}\" is reserved."));
            }
        }
        for (index, &range) in extensions.iter().enumerate().filter(|(_, range)| clash.all.has_others(wide(range))) {
            if self.report.is_full() {
                break;
            }
            let site = site(tag::message::EXTENSION_RANGE, index);
            for &other in reserved.iter().filter(|&&other| overlap(range, other)) {
                let (start, end) = (range.0, range.1.wrapping_sub(1));
                self.error(
                    site.clone(),
                    format!(
                        "Extension range {start} to {end} overlaps with reserved range {} to {}.",
                        other.0,
                        other.1.wrapping_sub(1)
                    ),
                );
            }
            for &other in extensions[index + 1..].iter().filter(|&&other| overlap(range, other)) {
                self.error(site.clone(), overlap_text("Extension", other, range));
            }
        }
    }

    fn declare_enum(&mut self, definition: &EnumDescriptorProto, index: usize, scope: &Scope<'_>) {
        if self.has_too_long_names() {
            return;
        }
        let path = [scope.path, &[index as i32]].concat();
        let full_name = scope.join(name_of(&definition.name));
        self.check_names(&definition.name, &full_name, &path);
        let id = self.pool.add_enum(full_name.clone(), self.id, scope.chain, index as u32);
        if definition.value.is_empty() {
            self.error(Site::below(&path, &[1]), "Enums must contain at least one value.");
        }
        self.declare_enum_values(definition, id, &path, scope);
        for (index, range) in definition.reserved_range.iter().enumerate() {
            if range.start > range.end {
                let site = Site::below(&path, &[tag::enumeration::RESERVED_RANGE, index as i32]);
                self.error(site, "Reserved range end number must be greater than start number.");
            }
        }
        self.check_options(definition.options.as_option().map(|options| &options.uninterpreted_option));
        self.add_symbol(&full_name, &path, true, Kind::Enum(id));
        self.check_enum(definition, &path);
    }

    fn declare_enum_values(&mut self, definition: &EnumDescriptorProto, id: EnumId, path: &[i32], scope: &Scope<'_>) {
        let mut inner = HashSet::default();
        for (index, value) in definition.value.iter().enumerate() {
            if self.has_too_long_names() {
                return;
            }
            let name = name_of(&value.name);
            // A value is a sibling of its enum.
            let full_name = scope.join(name);
            let value_path = [path, &[tag::enumeration::VALUE, index as i32]].concat();
            self.check_names(&value.name, &full_name, &value_path);
            self.check_options(value.options.as_option().map(|options| &options.uninterpreted_option));
            let added_outside = self.add_symbol(&full_name, &value_path, true, Kind::EnumValue(id));
            if inner.insert(name) && !added_outside && !self.has_too_long_names() {
                let outside = match scope.name {
                    "" => "the global scope".to_owned(),
                    scope => format!("\"{scope}\""),
                };
                let message = format!(
                    "Note that enum values use C++ scoping rules, meaning that enum values are siblings of their type, \
                     not children of it.  Therefore, \"{name}\" must be unique within {outside}, not just within \"{}\".",
                    name_of(&definition.name)
                );
                self.error(Site::below(&value_path, &[1]), message);
            }
        }
    }

    fn check_enum(&mut self, definition: &EnumDescriptorProto, path: &[i32]) {
        let site = |index: usize| Site::below(path, &[tag::enumeration::RESERVED_RANGE, index as i32]);
        let ranges: Vec<(i32, i32)> =
            definition.reserved_range.iter().map(|range| (range.start.unwrap_or(0), range.end.unwrap_or(0))).collect();
        let wide = |&(start, end): &(i32, i32)| (i64::from(start), i64::from(end) + 1);
        let clash = Clash::of(ranges.iter().map(wide), std::iter::empty());
        for (index, &range) in ranges.iter().enumerate().filter(|(_, range)| clash.reserved.has_others(wide(range))) {
            if self.report.is_full() {
                break;
            }
            for other in &ranges[index + 1..] {
                if range.1 >= other.0 && other.1 >= range.0 {
                    let message = format!(
                        "Reserved range {} to {} overlaps with already-defined range {} to {}.",
                        other.0, other.1, range.0, range.1
                    );
                    self.error(site(index), message);
                }
            }
        }
        let mut names = HashSet::default();
        for name in &definition.reserved_name {
            if !names.insert(name.as_str()) {
                self.error(Site::below(path, &[1]), format!("Enum value \"{name}\" is reserved multiple times."));
            }
        }
        for (value_index, value) in definition.value.iter().enumerate() {
            if self.report.is_full() {
                break;
            }
            let (name, number) = (name_of(&value.name), value.number.unwrap_or(0));
            let ranges = if clash.has(number) { &ranges[..] } else { &[] };
            for (index, _) in ranges.iter().enumerate().filter(|(_, range)| range.0 <= number && number <= range.1) {
                self.error(site(index), format!("Enum value \"{name}\" uses reserved number {number}."));
            }
            if names.contains(name) {
                let site = Site::below(path, &[tag::enumeration::VALUE, value_index as i32, tag::enum_value::NAME]);
                self.error(site, format!("Enum value \"{name}\" is reserved."));
            }
        }
    }

    fn declare_service(&mut self, service: &ServiceDescriptorProto, index: usize, scope: &Scope<'_>) {
        if self.has_too_long_names() {
            return;
        }
        let path = [scope.path, &[index as i32]].concat();
        let full_name = scope.join(name_of(&service.name));
        self.check_names(&service.name, &full_name, &path);
        for (index, method) in service.method.iter().enumerate() {
            if self.has_too_long_names() {
                return;
            }
            let path = [&path[..], &[tag::service::METHOD, index as i32]].concat();
            self.check_name(name_of(&method.name), Site::below(&path, &[1]));
            self.check_options(method.options.as_option().map(|options| &options.uninterpreted_option));
            self.add_symbol(&join(&full_name, name_of(&method.name)), &path, true, Kind::Method);
        }
        self.check_options(service.options.as_option().map(|options| &options.uninterpreted_option));
        self.add_symbol(&full_name, &path, true, Kind::Service);
    }
}

/// A [`Scope`] that owns its path.
struct Inner<'a> {
    name: &'a str,
    chain: &'a [u32],
    path: Vec<i32>,
    message: MessageId,
}

impl Inner<'_> {
    fn scope(&self) -> Scope<'_> {
        Scope { name: self.name, chain: self.chain, path: &self.path, message: Some(self.message) }
    }
}

fn overlap_text(kind: &str, later: (i32, i32), earlier: (i32, i32)) -> String {
    format!(
        "{kind} range {} to {} overlaps with already-defined range {} to {}.",
        later.0,
        later.1.wrapping_sub(1),
        earlier.0,
        earlier.1.wrapping_sub(1)
    )
}

/// What is wrong with a default, which the parser need not have seen.
fn default_complaint(field_type: Option<Type>, default: &str) -> Option<String> {
    match field_type? {
        Type::TYPE_MESSAGE | Type::TYPE_GROUP => Some("Messages can't have default values.".into()),
        Type::TYPE_BOOL if !matches!(default, "true" | "false") => {
            Some("Boolean default must be true or false.".into())
        }
        Type::TYPE_BYTES if unescaped(default).is_none() => Some("Invalid escaping in default value.".into()),
        Type::TYPE_BOOL | Type::TYPE_BYTES | Type::TYPE_STRING | Type::TYPE_ENUM => None,
        number => {
            default_number(number, default).is_none().then(|| format!("Couldn't parse default value \"{default}\"."))
        }
    }
}
