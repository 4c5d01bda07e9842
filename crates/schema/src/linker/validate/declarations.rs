//! Extension ranges that declare their extensions, and extensions that must be declared.

use std::collections::HashSet;

use buffa_descriptor::generated::descriptor::descriptor_proto::ExtensionRange;
use buffa_descriptor::generated::descriptor::extension_range_options::{Declaration, VerificationState};

use crate::dynamic::{FieldRef, MessageRef};
use crate::limits::FIELD_NUMBER_MAX;
use crate::nodes::Node;
use crate::site::Site;
use crate::tag;

use super::Validator;

const SCALARS: [&str; 16] = [
    "double", "float", "int64", "uint64", "int32", "fixed32", "fixed64", "bool", "string", "bytes", "uint32", "enum",
    "sfixed32", "sfixed64", "sint32", "sint64",
];

/// What is wrong with a full name in a declaration.
fn name_complaint(name: &str) -> Option<String> {
    let Some(rest) = name.strip_prefix('.') else {
        return Some(format!("\"{name}\" must have a leading dot to indicate the fully-qualified scope."));
    };
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    (!rest.split('.').all(is_part)).then(|| format!("\"{name}\" contains invalid identifiers."))
}

impl<'a> Validator<'a> {
    pub(super) fn extension_ranges(&mut self, message: MessageRef<'a>, node: &Node<'a, '_>) {
        let max = if message.is_message_set() { i64::from(i32::MAX) } else { i64::from(FIELD_NUMBER_MAX) };
        let mut names = HashSet::new();
        for (index, range) in message.proto().extension_range.iter().enumerate() {
            if i64::from(range.end.unwrap_or(0)) > max + 1 {
                self.error(Site::Nowhere, format!("Extension numbers cannot be greater than {max}."));
            }
            let Some(options) = range.options.as_option().filter(|options| !options.declaration.is_empty()) else {
                continue;
            };
            if options.verification == Some(VerificationState::UNVERIFIED) {
                let text = "Cannot mark the extension range as UNVERIFIED when it has extension(s) declared.";
                return self.error(Site::Nowhere, text);
            }
            let path = [node.path, &[tag::message::EXTENSION_RANGE, index as i32]].concat();
            self.declarations(range, &options.declaration, &path, &mut names);
        }
    }

    fn declarations(
        &mut self,
        range: &ExtensionRange,
        declarations: &'a [Declaration],
        path: &[i32],
        names: &mut HashSet<&'a str>,
    ) {
        let site = || Site::At(path.to_vec());
        let mut numbers = HashSet::new();
        for declaration in declarations {
            let number = declaration.number.unwrap_or(0);
            if number < range.start.unwrap_or(0) || number >= range.end.unwrap_or(0) {
                self.error(site(), format!("Extension declaration number {number} is not in the extension range."));
            }
            if !numbers.insert(number) {
                self.error(site(), format!("Extension declaration number {number} is declared multiple times."));
            }
            let (Some(name), Some(field_type)) = (&declaration.full_name, &declaration.r#type) else {
                let one_of_two = declaration.full_name.is_some() != declaration.r#type.is_some();
                if one_of_two || declaration.reserved != Some(true) {
                    let text =
                        format!("Extension declaration #{number} should have both \"full_name\" and \"type\" set.");
                    self.error(Site::Nowhere, text);
                }
                continue;
            };
            if !names.insert(name) {
                let text = format!("Extension field name \"{name}\" is declared multiple times.");
                return self.error(Site::Nowhere, text);
            }
            let type_complaint = name_complaint(field_type).filter(|_| !SCALARS.contains(&field_type.as_str()));
            for complaint in name_complaint(name).into_iter().chain(type_complaint) {
                self.error(Site::Nowhere, complaint);
            }
        }
    }

    pub(super) fn extension_declaration(&mut self, field: FieldRef<'a>, parent: MessageRef<'a>, node: &Node<'a, '_>) {
        let file = self.pool.file(self.pool.message_file(field.parent)).name();
        if file == "google/protobuf/descriptor.proto" {
            return;
        }
        let number = field.number();
        let range = parent.extension_range(number);
        let Some(options) = range.and_then(|range| range.options.as_option()) else { return };
        let site = Site::Extendee(node.path.to_vec());
        let (full_name, parent_name) = (field.full_name(), parent.full_name());
        match parent.declaration(number) {
            Some(declaration) if declaration.reserved == Some(true) => self.error(
                site,
                format!(
                    "Cannot use number {number} for extension field {full_name}, as it is reserved in the extension \
                     declarations for message {parent_name}."
                ),
            ),
            Some(declaration) => self.check_declaration(field, declaration, &site, parent_name),
            None if !options.declaration.is_empty() || options.verification == Some(VerificationState::DECLARATION) => {
                self.error(
                    site,
                    format!(
                        "Missing extension declaration for field {full_name} with number {number} in extendee message \
                         {parent_name}. An extension range must declare for all extension fields if its verification \
                         state is DECLARATION or there's any declaration in the range already. Otherwise, consider \
                         splitting up the range."
                    ),
                );
            }
            None => {}
        }
    }

    fn check_declaration(&mut self, field: FieldRef<'a>, declaration: &Declaration, site: &Site, parent: &str) {
        let number = field.number();
        if let Some(declared) = declaration.r#type.as_deref().filter(|name| !name.is_empty())
            && !self.report.had_errors
        {
            let actual = match &field.proto.type_name {
                Some(name) => name.clone(),
                None => scalar_name(field),
            };
            let is_bare = !SCALARS.contains(&declared) && !declared.starts_with('.');
            let declared = if is_bare { format!(".{declared}") } else { declared.to_owned() };
            if declared != actual {
                let text = format!(
                    "\"{parent}\" extension field {number} is expected to be type \"{declared}\", not \"{actual}\"."
                );
                self.error(site.clone(), text);
            }
        }
        let actual = format!(".{}", field.full_name());
        if let Some(declared) = declaration.full_name.as_deref().filter(|name| !name.is_empty() && *name != actual) {
            let text = format!(
                "\"{parent}\" extension field {number} is expected to have field name \"{declared}\", not \"{actual}\"."
            );
            self.error(site.clone(), text);
        }
        let is_repeated = declaration.repeated == Some(true);
        if is_repeated != field.is_repeated() {
            let expected = if is_repeated { "repeated" } else { "optional" };
            let text = format!("\"{parent}\" extension field {number} is expected to be {expected}.");
            self.error(site.clone(), text);
        }
    }
}

/// The keyword of a scalar type.
fn scalar_name(field: FieldRef<'_>) -> String {
    let declared = field.proto.r#type.map(|scalar| format!("{scalar:?}")).unwrap_or_default();
    declared.trim_start_matches("TYPE_").to_ascii_lowercase()
}
