//! Editions: what the features of an element are, its own and those it inherits.

use std::collections::BTreeMap;

use buffa::{UnknownField, UnknownFieldData, UnknownFields};
use buffa_descriptor::generated::descriptor::feature_set::{
    EnforceNamingStyle, EnumType, FieldPresence, JsonFormat, MessageEncoding, RepeatedFieldEncoding, Utf8Validation,
    visibility_feature::DefaultSymbolVisibility,
};
use buffa_descriptor::generated::descriptor::{Edition, FeatureSet};

use crate::dynamic::encode_fields;

/// Resolved features: every one has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) field_presence: FieldPresence,
    pub(crate) enum_type: EnumType,
    pub(crate) repeated_field_encoding: RepeatedFieldEncoding,
    pub(crate) utf8_validation: Utf8Validation,
    pub(crate) message_encoding: MessageEncoding,
    pub(crate) json_format: JsonFormat,
    pub(crate) enforce_naming_style: EnforceNamingStyle,
    pub(crate) default_symbol_visibility: DefaultSymbolVisibility,
}

/// Whether a file of this edition is proto2 or proto3.
pub(crate) fn is_legacy(edition: Edition) -> bool {
    (edition as i32) < Edition::EDITION_2023 as i32
}

impl Features {
    /// What holds where nothing is said.
    pub(crate) fn of_edition(edition: Edition) -> Self {
        let number = edition as i32;
        let proto2 = Features {
            field_presence: FieldPresence::EXPLICIT,
            enum_type: EnumType::CLOSED,
            repeated_field_encoding: RepeatedFieldEncoding::EXPANDED,
            utf8_validation: Utf8Validation::NONE,
            message_encoding: MessageEncoding::LENGTH_PREFIXED,
            json_format: JsonFormat::LEGACY_BEST_EFFORT,
            enforce_naming_style: EnforceNamingStyle::STYLE_LEGACY,
            default_symbol_visibility: DefaultSymbolVisibility::EXPORT_ALL,
        };
        if number < Edition::EDITION_PROTO3 as i32 {
            return proto2;
        }
        let edition_2023 = Features {
            enum_type: EnumType::OPEN,
            repeated_field_encoding: RepeatedFieldEncoding::PACKED,
            utf8_validation: Utf8Validation::VERIFY,
            json_format: JsonFormat::ALLOW,
            ..proto2
        };
        if number < Edition::EDITION_2023 as i32 {
            return Features { field_presence: FieldPresence::IMPLICIT, ..edition_2023 };
        }
        if number < Edition::EDITION_2024 as i32 {
            return edition_2023;
        }
        Features {
            enforce_naming_style: EnforceNamingStyle::STYLE2024,
            default_symbol_visibility: DefaultSymbolVisibility::EXPORT_TOP_LEVEL,
            ..edition_2023
        }
    }

    /// These, with what an element says of its own.
    pub(crate) fn with(mut self, own: Option<&FeatureSet>) -> Self {
        let Some(own) = own else { return self };
        fn replace<T: Copy>(value: &mut T, own: Option<T>) {
            if let Some(own) = own {
                *value = own;
            }
        }
        replace(&mut self.field_presence, own.field_presence);
        replace(&mut self.enum_type, own.enum_type);
        replace(&mut self.repeated_field_encoding, own.repeated_field_encoding);
        replace(&mut self.utf8_validation, own.utf8_validation);
        replace(&mut self.message_encoding, own.message_encoding);
        replace(&mut self.json_format, own.json_format);
        replace(&mut self.enforce_naming_style, own.enforce_naming_style);
        replace(&mut self.default_symbol_visibility, own.default_symbol_visibility);
        self
    }

    /// What is wrong with these, as protoc says it.
    pub(crate) fn complaint(&self) -> Option<String> {
        let unknown = [
            (self.field_presence as i32, "field_presence", "FIELD_PRESENCE"),
            (self.enum_type as i32, "enum_type", "ENUM_TYPE"),
            (self.repeated_field_encoding as i32, "repeated_field_encoding", "REPEATED_FIELD_ENCODING"),
            (self.utf8_validation as i32, "utf8_validation", "UTF8_VALIDATION"),
            (self.message_encoding as i32, "message_encoding", "MESSAGE_ENCODING"),
            (self.json_format as i32, "json_format", "JSON_FORMAT"),
            (self.enforce_naming_style as i32, "enforce_naming_style", "ENFORCE_NAMING_STYLE"),
            (
                self.default_symbol_visibility as i32,
                "default_symbol_visibility",
                "VisibilityFeature::DEFAULT_SYMBOL_VISIBILITY",
            ),
        ];
        let (_, field, constant) = unknown.into_iter().find(|&(value, _, _)| value == 0)?;
        Some(format!("Feature field `{field}` must resolve to a known value, found {constant}_UNKNOWN"))
    }
}

/// `pb.cpp` and `pb.java`, which protoc has as generated code.
const KNOWN_EXTENSIONS: std::ops::RangeInclusive<u32> = 1000..=1001;

/// Brings features into the order in which protoc writes them: the extensions it knows come first, each once and with
/// its fields in order. Others stay as they were set, one by one.
pub(crate) fn merge_known_extensions(features: &mut FeatureSet) {
    let fields = std::mem::take(&mut *features.__buffa_unknown_fields);
    let mut known: BTreeMap<u32, BTreeMap<u32, UnknownField>> = BTreeMap::new();
    let mut others = Vec::new();
    for field in fields {
        match known_extension(&field) {
            Some(inner) => {
                known.entry(field.number).or_default().extend(inner.into_iter().map(|field| (field.number, field)));
            }
            None => others.push(field),
        }
    }
    let merged = known.into_iter().map(|(number, inner)| {
        let mut fields = UnknownFields::new();
        inner.into_values().for_each(|field| fields.push(field));
        UnknownField { number, data: UnknownFieldData::LengthDelimited(encode_fields(&fields)) }
    });
    merged.chain(others).for_each(|field| features.__buffa_unknown_fields.push(field));
}

/// The fields of an extension protoc knows.
fn known_extension(field: &UnknownField) -> Option<UnknownFields> {
    match &field.data {
        UnknownFieldData::LengthDelimited(bytes) if KNOWN_EXTENSIONS.contains(&field.number) => {
            UnknownFields::decode_from_slice(bytes).ok()
        }
        _ => None,
    }
}
