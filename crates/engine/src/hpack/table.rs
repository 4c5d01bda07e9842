//! The dynamic table of RFC 7541 section 2.3.2: what the encoder of one side and the decoder of the other both keep.

use std::collections::VecDeque;

use super::FIELD_OVERHEAD;

/// Fields in the order they came; the bytes of all lie in one buffer, so an entry costs no allocation.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Entries back to back, after the bytes of evicted ones, which go when they are as many as the table may hold.
    bytes: Vec<u8>,
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// In HPACK's measure, overhead included.
    size: usize,
    max_size: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    name_len: usize,
    value_len: usize,
}

impl Entry {
    fn size(self) -> usize {
        self.name_len + self.value_len + FIELD_OVERHEAD
    }
}

impl Table {
    pub(super) fn new(max_size: usize) -> Table {
        Table { max_size, ..Table::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn max_size(&self) -> usize {
        self.max_size
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The entry of this age, 0 being the newest: a name and a value.
    pub(super) fn field(&self, age: usize) -> Option<(&[u8], &[u8])> {
        let position = self.entries.len().checked_sub(age.checked_add(1)?)?;
        let entry = self.entries[position];
        let bytes = &self.bytes[entry.start..][..entry.name_len + entry.value_len];
        Some(bytes.split_at(entry.name_len))
    }

    /// Makes room and adds a field; says whether it is in. One that is larger than the table empties it instead, which
    /// is no error (RFC 7541 4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) -> bool {
        let entry = Entry { start: self.bytes.len(), name_len: name.len(), value_len: value.len() };
        let fits = entry.size() <= self.max_size;
        self.evict_to(self.max_size.saturating_sub(entry.size()));
        if fits {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(value);
            self.size += entry.size();
            self.entries.push_back(Entry { start, ..entry });
        }
        fits
    }

    /// What a field does that is larger than the table.
    pub(super) fn clear(&mut self) {
        self.evict_to(0);
    }

    pub(super) fn set_max_size(&mut self, max_size: usize) {
        self.max_size = max_size;
        self.evict_to(max_size);
    }

    fn evict_to(&mut self, size: usize) {
        while self.size > size
            && let Some(entry) = self.entries.pop_front()
        {
            self.size -= entry.size();
        }
        let dead = self.entries.front().map_or(self.bytes.len(), |oldest| oldest.start);
        if dead > self.max_size || self.entries.is_empty() {
            self.bytes.drain(..dead);
            for entry in &mut self.entries {
                entry.start -= dead;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn a_field_as_large_as_the_table_is_taken_and_one_past_it_empties_it() {
        let mut table = Table::new(64);
        assert!(table.insert(b"a", &[b'x'; 31]));
        assert_eq!((table.len(), table.size()), (1, 64));
        assert!(!table.insert(b"a", &[b'x'; 32]));
        assert_eq!((table.len(), table.size()), (0, 0));
    }

    #[test]
    fn the_oldest_field_makes_room() {
        let mut table = Table::new(3 * 34);
        for value in 0..10u8 {
            assert!(table.insert(b"n", &[value]));
        }
        assert_eq!(table.field(0), Some((&b"n"[..], &[9][..])));
        assert_eq!(table.field(2), Some((&b"n"[..], &[7][..])));
        assert_eq!(table.field(3), None);
        assert_eq!(table.field(usize::MAX), None);
        table.set_max_size(2 * 34 - 1);
        assert_eq!(table.len(), 1);
        assert_eq!(table.field(0), Some((&b"n"[..], &[9][..])));
    }

    #[test]
    fn bytes_stay_bounded_however_many_fields_pass() {
        let mut table = Table::new(4096);
        for i in 0..100_000u32 {
            table.insert(b"name", &vec![b'v'; (i % 3000) as usize]);
            assert!(table.bytes.len() <= 2 * 4096 + 3004);
            assert!(table.size() <= 4096);
        }
    }
}
