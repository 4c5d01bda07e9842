//! Files of edition 2026 as bytes.
//!
//! The typed descriptors do not know that edition: a file of it has `EDITION_MAX`, and the edition's number among the
//! unknown fields.

use buffa::{Message, UnknownFieldData};
use buffa_descriptor::generated::descriptor::{Edition, FileDescriptorProto};

/// `FileDescriptorProto.edition`.
const FIELD: u32 = 14;

/// The tag of that field.
const TAG: u8 = 0x70;

/// The bytes of a file, whatever its edition.
pub fn encode_file(file: &FileDescriptorProto) -> Vec<u8> {
    let is_edition = |field: &&buffa::UnknownField| field.number == FIELD;
    let number = file.__buffa_unknown_fields.iter().find(is_edition).map(|field| &field.data);
    let Some(&UnknownFieldData::Varint(number)) = number.filter(|_| file.edition == Some(Edition::EDITION_MAX)) else {
        return file.encode_to_vec();
    };
    // The number goes where the edition was. All that is behind it is a field of option imports.
    let mut after = FileDescriptorProto { option_dependency: file.option_dependency.clone(), ..Default::default() };
    let mut before = FileDescriptorProto { edition: None, option_dependency: Vec::new(), ..file.clone() };
    for field in std::mem::take(&mut before.__buffa_unknown_fields) {
        if field.number != FIELD {
            after.__buffa_unknown_fields.push(field);
        }
    }
    let mut bytes = before.encode_to_vec();
    bytes.push(TAG);
    let mut rest = number;
    while rest > 0x7f {
        bytes.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend(after.encode_to_vec());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edition_is_where_it_belongs() {
        let mut file = FileDescriptorProto {
            name: Some("a".into()),
            edition: Some(Edition::EDITION_MAX),
            option_dependency: vec!["b".into()],
            ..FileDescriptorProto::default()
        };
        let number = buffa::UnknownField { number: FIELD, data: UnknownFieldData::Varint(1002) };
        file.__buffa_unknown_fields.push(number);
        assert_eq!(encode_file(&file), b"\x0a\x01a\x70\xea\x07\x7a\x01b");
        file.edition = Some(Edition::EDITION_2024);
        file.__buffa_unknown_fields.clear();
        assert_eq!(encode_file(&file), file.encode_to_vec());
    }
}
