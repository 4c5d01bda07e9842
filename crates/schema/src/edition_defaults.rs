//! What `--edition_defaults_out` writes: the default of every feature in every edition.

use std::collections::BTreeSet;

use buffa::encoding::{Tag, WireType, encode_varint};
use buffa::{UnknownField, UnknownFieldData};
use buffa_descriptor::generated::descriptor::field_descriptor_proto::Type;
use buffa_descriptor::generated::descriptor::field_options::EditionDefault;
use buffa_descriptor::generated::descriptor::{Edition, FieldOptions};

use crate::compiler::Compiler;
use crate::dynamic::{FieldRef, MessageRef};
use crate::feature_support::{Support, short_name};
use crate::source_tree::SourceTree;

/// Field numbers of `FeatureSetDefaults` and of the message for one edition in it.
mod number {
    pub(super) const DEFAULTS: u32 = 1;
    pub(super) const MINIMUM: u32 = 4;
    pub(super) const MAXIMUM: u32 = 5;
    pub(super) const EDITION: u32 = 3;
    pub(super) const OVERRIDABLE: u32 = 4;
    pub(super) const FIXED: u32 = 5;
}

/// An edition as flags call it: `PROTO2`, `2023`.
pub fn edition_by_name(name: &str) -> Option<i32> {
    const NAMED: [i32; 13] = [0, 900, 998, 999, 1000, 1001, 1002, 9999, 1, 2, 99997, 99998, 99999];
    let known = NAMED.iter().chain(&[i32::MAX]).copied();
    known.into_iter().find(|&edition| if edition == 0 { name == "UNKNOWN" } else { short_name(edition) == name })
}

impl<S: SourceTree> Compiler<S> {
    /// The `google.protobuf.FeatureSetDefaults`, serialized, of the `FeatureSet` that was compiled and of the extensions
    /// of it that were: from which edition on which feature has which default, for editions from `minimum` to `maximum`.
    ///
    /// # Errors
    /// protoc's sentence: there is no `FeatureSet`, the range is empty, or a default is wrong.
    pub fn edition_defaults(&self, minimum: i32, maximum: i32) -> Result<Vec<u8>, String> {
        let pool = self.pool();
        let Some(features) = MessageRef::find(pool, "google.protobuf.FeatureSet") else {
            return Err("Could not find FeatureSet in descriptor pool.  Please make sure descriptor.proto is in your \
                        import path"
                .into());
        };
        if minimum > maximum {
            return Err(format!(
                "Invalid edition range, edition {} is newer than edition {}",
                short_name(minimum),
                short_name(maximum)
            ));
        }
        let extensions: Vec<FieldRef<'_>> =
            pool.extensions_of(features.id).filter_map(|id| FieldRef::extension(pool, id)).collect();
        let messages =
            || std::iter::once(features).chain(extensions.iter().filter_map(|extension| extension.message()));
        let mut editions = BTreeSet::new();
        for field in messages().flat_map(MessageRef::fields) {
            collect_editions(field, maximum, &mut editions);
        }
        let mut out = Vec::new();
        for edition in editions {
            let (mut fixed, mut overridable) = defaults(features, edition)?;
            for extension in &extensions {
                let Some(message) = extension.message() else { continue };
                let (inner_fixed, inner_overridable) = defaults(message, edition)?;
                put_bytes(extension.number() as u32, &inner_fixed, &mut fixed);
                put_bytes(extension.number() as u32, &inner_overridable, &mut overridable);
            }
            let mut entry = Vec::new();
            put_number(number::EDITION, edition as u64, &mut entry);
            put_bytes(number::OVERRIDABLE, &overridable, &mut entry);
            put_bytes(number::FIXED, &fixed, &mut entry);
            put_bytes(number::DEFAULTS, &entry, &mut out);
        }
        put_number(number::MINIMUM, minimum as u64, &mut out);
        put_number(number::MAXIMUM, maximum as u64, &mut out);
        Ok(out)
    }
}

fn support(field: FieldRef<'_>) -> Option<Support> {
    let options: Option<&FieldOptions> = field.proto.options.as_option();
    options.and_then(|options| options.feature_support.as_option()).map(Support::of)
}

/// The defaults that a feature declares, by edition.
fn declared(field: FieldRef<'_>) -> Vec<(i32, &str)> {
    let declared = field.proto.options.as_option().map_or(&[][..], |options| &options.edition_defaults);
    let mut defaults: Vec<(i32, &str)> =
        declared.iter().map(|default| (edition_of(default), default.value.as_deref().unwrap_or_default())).collect();
    defaults.sort_by_key(|(edition, _)| *edition);
    defaults
}

/// The edition of a default; the typed message does not know all of them.
fn edition_of(default: &EditionDefault) -> i32 {
    let unknown = |field: &UnknownField| match (field.number, &field.data) {
        (number::EDITION, UnknownFieldData::Varint(edition)) => Some(*edition as i32),
        _ => None,
    };
    let known = default.edition.map(|edition: Edition| edition as i32);
    known.or_else(|| default.__buffa_unknown_fields.iter().find_map(unknown)).unwrap_or(0)
}

/// The editions in which something about a feature changes.
fn collect_editions(field: FieldRef<'_>, maximum: i32, editions: &mut BTreeSet<i32>) {
    let support = support(field).unwrap_or_default();
    let changes = declared(field).into_iter().map(|(edition, _)| edition);
    let lifetime = support.introduced.into_iter().chain(support.removed);
    // The edition that is never finished lies in every range.
    let counts = |edition: &i32| *edition <= maximum || *edition == Edition::EDITION_UNSTABLE as i32;
    editions.extend(changes.chain(lifetime).filter(counts));
}

/// The features of one message in an edition, serialized: those that may not be set there, and the others.
fn defaults(message: MessageRef<'_>, edition: i32) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (mut fixed, mut overridable) = (Vec::new(), Vec::new());
    let mut fields: Vec<FieldRef<'_>> = message.fields().collect();
    fields.sort_by_key(|field| field.number());
    for field in fields {
        let name = field.full_name();
        let declared = declared(field);
        let Some((_, value)) = declared.iter().rev().find(|(since, _)| *since <= edition) else {
            let edition = short_name(edition);
            return Err(format!("No valid default found for edition {edition} in feature field {name}"));
        };
        let number = match field.proto.r#type {
            Some(Type::TYPE_BOOL) if matches!(*value, "true" | "false") => Some(u64::from(*value == "true")),
            _ => field.enumeration().and_then(|known| known.number_of(value)).map(|number| number as u64),
        };
        let Some(number) = number else {
            return Err(format!(
                "Parsing error in edition_defaults for feature field {name}. Could not parse: {value}"
            ));
        };
        let support = support(field).unwrap_or_default();
        let is_fixed = support.introduced.is_some_and(|introduced| edition < introduced)
            || support.removed.is_some_and(|removed| edition >= removed);
        put_number(field.number() as u32, number, if is_fixed { &mut fixed } else { &mut overridable });
    }
    Ok((fixed, overridable))
}

fn put_number(field: u32, value: u64, out: &mut Vec<u8>) {
    Tag::new(field, WireType::Varint).encode(out);
    encode_varint(value, out);
}

fn put_bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    Tag::new(field, WireType::LengthDelimited).encode(out);
    encode_varint(bytes.len() as u64, out);
    out.extend(bytes);
}
