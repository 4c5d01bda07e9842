//! Editions: what the features of an element are, its own and those it inherits.

use std::collections::BTreeMap;

use buffa::{UnknownField, UnknownFieldData, UnknownFields};
use buffa_descriptor::generated::descriptor::feature_set::{
    EnforceNamingStyle, EnumType, FieldPresence, JsonFormat, MessageEncoding, RepeatedFieldEncoding, Utf8Validation,
    visibility_feature::DefaultSymbolVisibility,
};
use buffa_descriptor::generated::descriptor::{Edition, FeatureSet};

use crate::dynamic::encode_fields;

/// `FeatureSet.enforce_naming_style` and its values.
const NAMING_STYLE_FIELD: u32 = 7;
pub(crate) const STYLE_2024: i32 = EnforceNamingStyle::STYLE2024 as i32;
const STYLE_LEGACY: i32 = EnforceNamingStyle::STYLE_LEGACY as i32;
pub(crate) const STYLE_2026: i32 = 3;

/// `FeatureSet.enforce_proto_limits` and its values.
const PROTO_LIMITS_FIELD: u32 = 9;
pub(crate) const NO_LIMITS: i32 = 1;
const LIMITS_2026: i32 = 2;

/// Resolved features: every one has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Features {
    pub(crate) field_presence: FieldPresence,
    pub(crate) enum_type: EnumType,
    pub(crate) repeated_field_encoding: RepeatedFieldEncoding,
    pub(crate) utf8_validation: Utf8Validation,
    pub(crate) message_encoding: MessageEncoding,
    pub(crate) json_format: JsonFormat,
    /// Numbers, for the typed features do not know all of them.
    pub(crate) enforce_naming_style: i32,
    pub(crate) enforce_proto_limits: i32,
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
            enforce_naming_style: STYLE_LEGACY,
            enforce_proto_limits: NO_LIMITS,
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
        let edition_2024 = Features {
            enforce_naming_style: STYLE_2024,
            default_symbol_visibility: DefaultSymbolVisibility::EXPORT_TOP_LEVEL,
            ..edition_2023
        };
        match edition {
            Edition::EDITION_MAX => Features {
                enforce_naming_style: STYLE_2026,
                enforce_proto_limits: LIMITS_2026,
                default_symbol_visibility: DefaultSymbolVisibility::STRICT,
                ..edition_2024
            },
            Edition::EDITION_UNSTABLE => Features { enforce_naming_style: STYLE_2026, ..edition_2024 },
            _ => edition_2024,
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
        replace(&mut self.enforce_naming_style, own.enforce_naming_style.map(|style| style as i32));
        for field in own.__buffa_unknown_fields.iter() {
            match (field.number, &field.data) {
                (NAMING_STYLE_FIELD, UnknownFieldData::Varint(style)) => self.enforce_naming_style = *style as i32,
                (PROTO_LIMITS_FIELD, UnknownFieldData::Varint(limits)) => self.enforce_proto_limits = *limits as i32,
                _ => {}
            }
        }
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
            (self.enforce_naming_style, "enforce_naming_style", "ENFORCE_NAMING_STYLE"),
            (self.enforce_proto_limits, "enforce_proto_limits", "ProtoLimitsFeature::PROTO_LIMITS"),
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
