//! When a feature or option came, fell from favour, and went.

use buffa::UnknownFieldData;
use buffa_descriptor::generated::descriptor::Edition;
use buffa_descriptor::generated::descriptor::field_options::FeatureSupport;

/// `FieldOptions.FeatureSupport`, with editions as numbers: `descriptor.proto` knows more of them, and more fields,
/// than the typed message does.
#[derive(Clone, Default)]
pub(crate) struct Support {
    pub(crate) introduced: Option<i32>,
    pub(crate) deprecated: Option<i32>,
    pub(crate) warning: Option<String>,
    pub(crate) removed: Option<i32>,
    pub(crate) removal_error: Option<String>,
}

impl Support {
    pub(crate) fn of(typed: &FeatureSupport) -> Self {
        let number = |edition: Option<Edition>| edition.map(|edition| edition as i32);
        let mut support = Support {
            introduced: number(typed.edition_introduced),
            deprecated: number(typed.edition_deprecated),
            warning: typed.deprecation_warning.clone(),
            removed: number(typed.edition_removed),
            removal_error: None,
        };
        for field in &typed.__buffa_unknown_fields {
            match (field.number, &field.data) {
                (1, UnknownFieldData::Varint(edition)) => support.introduced = Some(*edition as i32),
                (2, UnknownFieldData::Varint(edition)) => support.deprecated = Some(*edition as i32),
                (4, UnknownFieldData::Varint(edition)) => support.removed = Some(*edition as i32),
                (5, UnknownFieldData::LengthDelimited(text)) => {
                    support.removal_error = Some(String::from_utf8_lossy(text).into_owned());
                }
                _ => {}
            }
        }
        support
    }

    /// This, with what `own` says put over it.
    pub(crate) fn with(self, own: Support) -> Self {
        Support {
            introduced: own.introduced.or(self.introduced),
            deprecated: own.deprecated.or(self.deprecated),
            warning: own.warning.or(self.warning),
            removed: own.removed.or(self.removed),
            removal_error: own.removal_error.or(self.removal_error),
        }
    }

    /// What is wrong with it.
    pub(crate) fn complaint(&self, full_name: &str) -> Option<String> {
        let introduced = self.introduced.unwrap_or(0);
        if let Some(deprecated) = self.deprecated {
            if deprecated < introduced {
                return Some(format!("{full_name} was deprecated before it was introduced."));
            }
            if self.warning.is_none() {
                return Some(format!("{full_name} is deprecated but does not specify a deprecation warning."));
            }
        } else if self.warning.is_some() {
            return Some(format!(
                "{full_name} specifies a deprecation warning but is not marked deprecated in any edition."
            ));
        }
        let Some(removed) = self.removed else {
            return self
                .removal_error
                .is_some()
                .then(|| format!("{full_name} specifies a removal error but is not marked removed in any edition."));
        };
        if self.deprecated.unwrap_or(0) >= removed {
            return Some(format!("{full_name} was deprecated after it was removed."));
        }
        if removed < introduced {
            return Some(format!("{full_name} was removed before it was introduced."));
        }
        (introduced != removed && self.removal_error.is_none())
            .then(|| format!("{full_name} has been removed but does not specify a removal error."))
    }
}

/// An edition as messages call it.
pub(crate) fn short_name(edition: i32) -> String {
    match edition {
        900 => "LEGACY".into(),
        998 => "PROTO2".into(),
        999 => "PROTO3".into(),
        1000 => "2023".into(),
        1001 => "2024".into(),
        1002 => "2026".into(),
        9999 => "UNSTABLE".into(),
        1 | 2 | 99997..=99999 => format!("{edition}_TEST_ONLY"),
        i32::MAX => "MAX".into(),
        _ => "UNKNOWN".into(),
    }
}
