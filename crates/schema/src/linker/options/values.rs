//! Which fields of an options message have values, however deep: an option may be set once only.

use crate::hash::HashMap;
use buffa::{UnknownFieldData, UnknownFields};

/// The fields of one message that have values.
#[derive(Default)]
pub(super) struct Values {
    fields: HashMap<i32, Values>,
    /// Values of the message itself whose fields have not been looked at yet.
    unread: Vec<UnknownFieldData>,
}

impl Values {
    /// Whether the field at the end of `path` has a value.
    pub(super) fn holds(&mut self, path: &[i32]) -> bool {
        let mut values = self;
        for number in path {
            values.read();
            match values.fields.get_mut(number) {
                Some(inner) => values = inner,
                None => return false,
            }
        }
        true
    }

    /// Gives the field at the end of `path` values.
    pub(super) fn add(&mut self, path: &[i32], added: impl IntoIterator<Item = UnknownFieldData>) {
        let mut values = self;
        for &number in path {
            values = values.fields.entry(number).or_default();
        }
        values.unread.extend(added);
    }

    fn read(&mut self) {
        for data in std::mem::take(&mut self.unread) {
            let fields = match data {
                UnknownFieldData::LengthDelimited(bytes) => {
                    UnknownFields::decode_from_slice(&bytes).unwrap_or_default()
                }
                UnknownFieldData::Group(fields) => fields,
                _ => continue,
            };
            for field in fields {
                self.fields.entry(field.number as i32).or_default().unread.push(field.data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Values;
    use crate::dynamic::encode_fields;
    use buffa::{UnknownField, UnknownFieldData, UnknownFields};

    #[test]
    fn what_is_in_a_message_that_was_set_as_a_whole_is_set() {
        let varint = |number| UnknownField { number, data: UnknownFieldData::Varint(1) };
        let mut inner = UnknownFields::new();
        inner.push(varint(3));
        let mut group = UnknownFields::new();
        group.push(UnknownField { number: 2, data: UnknownFieldData::LengthDelimited(encode_fields(&inner)) });
        let mut values = Values::default();
        values.add(&[1], [UnknownFieldData::Group(group)]);
        values.add(&[1, 4], [UnknownFieldData::Varint(1)]);
        for path in [&[1][..], &[1, 2], &[1, 2, 3], &[1, 4]] {
            assert!(values.holds(path), "{path:?}");
        }
        for path in [&[2][..], &[1, 1], &[1, 2, 4], &[1, 4, 1]] {
            assert!(!values.holds(path), "{path:?}");
        }
    }
}
