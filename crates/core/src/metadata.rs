use std::fmt;

/// Call metadata: an ordered list of keys and values, a key may come more than once.
///
/// All bytes lie in one buffer, so metadata of any size costs two allocations, and empty metadata none.
/// A key that ends in `-bin` has a value of any bytes (base64 is the wire's business); every other value is
/// printable ASCII. Order is kept as given.
///
/// ```
/// use farcall_core::Metadata;
///
/// let mut metadata = Metadata::new();
/// metadata.append("x-request-id", "17")?;
/// metadata.append("trace-bin", [0, 159])?;
/// assert_eq!(metadata.first("x-request-id"), Some(&b"17"[..]));
/// # Ok::<(), farcall_core::MetadataError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

/// Where an entry's key and value end; it starts where the one before it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Entry {
    key_end: u32,
    value_end: u32,
}

impl Metadata {
    /// Empty metadata; allocates nothing.
    pub const fn new() -> Metadata {
        Metadata { bytes: Vec::new(), entries: Vec::new() }
    }

    /// Adds an entry at the end, after checking it.
    ///
    /// # Errors
    /// [`MetadataError`] names the rule that the key or the value breaks.
    pub fn append(&mut self, key: &str, value: impl AsRef<[u8]>) -> Result<(), MetadataError> {
        let value = value.as_ref();
        if key.is_empty() || !key.bytes().all(is_key_byte) {
            return Err(MetadataError::Key(key.to_owned()));
        }
        if !Metadata::is_binary(key) && !value.iter().all(|b| (0x20..=0x7e).contains(b)) {
            return Err(MetadataError::Value(key.to_owned()));
        }
        self.append_unchecked(key, value)
    }

    /// Adds an entry that the caller has checked already, as a decoder has.
    ///
    /// # Errors
    /// [`MetadataError::TooLarge`] when the whole would pass 4 GiB.
    pub fn append_unchecked(&mut self, key: &str, value: &[u8]) -> Result<(), MetadataError> {
        let key_end = u32::try_from(self.bytes.len() + key.len()).map_err(|_| MetadataError::TooLarge)?;
        let value_end =
            u32::try_from(self.bytes.len() + key.len() + value.len()).map_err(|_| MetadataError::TooLarge)?;
        self.bytes.reserve(key.len() + value.len());
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(value);
        self.entries.push(Entry { key_end, value_end });
        Ok(())
    }

    /// The entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> + Clone {
        let mut start = 0;
        self.entries.iter().map(move |entry| {
            let (key_end, value_end) = (entry.key_end as usize, entry.value_end as usize);
            let key = std::str::from_utf8(&self.bytes[start..key_end]).unwrap_or_default();
            let value = &self.bytes[key_end..value_end];
            start = value_end;
            (key, value)
        })
    }

    /// The first value of a key.
    pub fn first(&self, key: &str) -> Option<&[u8]> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Every value of a key, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Removes every value of a key; says whether there was one.
    pub fn remove(&mut self, key: &str) -> bool {
        if self.first(key).is_none() {
            return false;
        }
        let mut kept = Metadata::new();
        for (k, value) in self.iter().filter(|(k, _)| *k != key) {
            // What fitted before fits now.
            let _ = kept.append_unchecked(k, value);
        }
        *self = kept;
        true
    }

    /// Adds every entry of `other` at the end.
    ///
    /// # Errors
    /// [`MetadataError::TooLarge`] when the whole would pass 4 GiB.
    pub fn extend(&mut self, other: &Metadata) -> Result<(), MetadataError> {
        other.iter().try_for_each(|(key, value)| self.append_unchecked(key, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many bytes all keys and values have together.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a key's values are binary: it ends in `-bin`.
    pub fn is_binary(key: &str) -> bool {
        key.ends_with("-bin")
    }
}

/// A byte that a metadata key may have (PROTOCOL-HTTP2.md, "Header-Name").
fn is_key_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.')
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(k, v)| (k, v.escape_ascii().to_string()))).finish()
    }
}

/// Why an entry was refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataError {
    /// The key is empty or has a byte outside `a-z 0-9 _ - .`.
    Key(String),
    /// The value of this key, which does not end in `-bin`, has a byte outside 0x20 to 0x7e.
    Value(String),
    /// The metadata would pass 4 GiB.
    TooLarge,
}

impl fmt::Display for MetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetadataError::Key(key) => {
                write!(f, "illegal metadata key {key:?}: a key is made of a-z, 0-9, '_', '-' and '.'")
            }
            MetadataError::Value(key) => write!(
                f,
                "illegal metadata value for {key:?}: use printable ASCII, or a key that ends in \"-bin\" for other bytes"
            ),
            MetadataError::TooLarge => f.write_str("metadata of more than 4 GiB"),
        }
    }
}

impl std::error::Error for MetadataError {}

#[cfg(test)]
mod tests {
    use super::{Metadata, MetadataError};

    fn sample() -> Metadata {
        let mut metadata = Metadata::new();
        metadata.append("a", "1").unwrap();
        metadata.append("b-bin", [0u8, 255]).unwrap();
        metadata.append("a", "").unwrap();
        metadata
    }

    #[test]
    fn keeps_order_and_repeats() {
        let metadata = sample();
        let pairs: Vec<_> = metadata.iter().collect();
        assert_eq!(pairs, [("a", &b"1"[..]), ("b-bin", &[0, 255]), ("a", b"")]);
        assert_eq!(metadata.all("a").count(), 2);
        assert_eq!(metadata.first("b-bin"), Some(&[0u8, 255][..]));
        assert_eq!(metadata.first("c"), None);
        assert_eq!((metadata.len(), metadata.size()), (3, 10));
    }

    #[test]
    fn removes_every_value_of_a_key() {
        let mut metadata = sample();
        assert!(metadata.remove("a"));
        assert!(!metadata.remove("a"));
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("b-bin", &[0u8, 255][..])]);
    }

    #[test]
    fn refuses_illegal_keys_and_values() {
        let mut metadata = Metadata::new();
        for key in ["", "A", "a b", ":path", "é", "a\n"] {
            assert_eq!(metadata.append(key, "x"), Err(MetadataError::Key(key.to_owned())));
        }
        for value in ["\n", "\u{7f}", "é", "\t"] {
            assert_eq!(metadata.append("k", value), Err(MetadataError::Value("k".to_owned())));
        }
        assert!(metadata.is_empty());
        metadata.append("k", " ~").unwrap();
    }
}
