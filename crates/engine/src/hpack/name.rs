use super::{
    hash,
    static_table::{self, FIELDS},
};

/// A field's name with what an encoder finds by it; of the names that a program knows, found once for all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name<'a> {
    text: &'a [u8],
    hash: u64,
    /// HPACK index of the first field of this name in the static table, and how many it has there.
    first: u8,
    count: u8,
}

impl<'a> Name<'a> {
    /// A name that stands in the program; slow for any other.
    pub(crate) const fn known(text: &'a [u8]) -> Name<'a> {
        Name::at(text, hash(0, text), static_table::search_name(text))
    }

    const fn at(text: &'a [u8], hash: u64, first: u8) -> Name<'a> {
        let count = if first == 0 { 0 } else { static_table::COUNTS[first as usize - 1] };
        Name { text, hash, first, count }
    }

    pub(crate) fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// HPACK index of a field of this name in the static table.
    pub(super) fn index(&self) -> Option<usize> {
        (self.first > 0).then_some(usize::from(self.first))
    }

    /// HPACK index of the field of this value there.
    pub(super) fn index_with(&self, value: &[u8]) -> Option<usize> {
        let first = self.index()?;
        let same_name = &FIELDS[first - 1..][..usize::from(self.count)];
        same_name.iter().position(|(_, known)| *known == value).map(|after| first + after)
    }
}

impl<'a> From<&'a [u8]> for Name<'a> {
    fn from(text: &'a [u8]) -> Name<'a> {
        let hash = hash(0, text);
        Name::at(text, hash, static_table::find_name(text, hash))
    }
}

#[cfg(test)]
mod tests {
    use super::{FIELDS, Name, hash};

    #[test]
    fn every_field_is_found_by_name_and_value() {
        for (i, (text, value)) in FIELDS.iter().enumerate() {
            for name in [Name::from(*text), Name::known(text)] {
                assert_eq!((name.text(), name.hash()), (*text, hash(0, text)));
                assert_eq!(FIELDS[name.index().unwrap() - 1].0, *text);
                assert_eq!(name.index_with(value), Some(i + 1));
                assert_eq!(name.index_with(b"no such value"), None);
            }
        }
    }

    #[test]
    fn other_names_are_not_found() {
        for text in [&b""[..], b"grpc-timeout", b"te", b":autho", b":authority2"] {
            for name in [Name::from(text), Name::known(text)] {
                assert_eq!((name.index(), name.index_with(b"")), (None, None));
            }
        }
    }
}
