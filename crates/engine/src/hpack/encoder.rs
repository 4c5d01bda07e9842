use super::{DEFAULT_TABLE_SIZE, FIELD_OVERHEAD, Name, hash, huffman, static_table, table::Table};

/// What the peer should do with a field (RFC 7541 6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Indexing {
    /// Keep it: it will come again.
    Incremental,
    /// Do not keep it: it is different each time.
    Without,
    /// Neither keep it nor let any hop compress it: it is secret.
    Never,
}

/// The sending half of header compression for one connection.
#[derive(Debug)]
pub(crate) struct Encoder {
    table: Table,
    index: Index,
    size_update: Option<SizeUpdate>,
}

/// A change of the table's size that the peer has not been told yet: the smallest size it had on the way, then the
/// last (RFC 7541 4.2).
#[derive(Clone, Copy, Debug)]
struct SizeUpdate {
    smallest: usize,
    last: usize,
}

impl Encoder {
    /// An encoder with the default table of 4096 bytes, empty.
    pub(crate) fn new() -> Encoder {
        Encoder { table: Table::new(DEFAULT_TABLE_SIZE as usize), index: Index::default(), size_update: None }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE. Of more than the default 4096 bytes no use is made: the table is this
    /// side's memory too. The peer is told at the start of the next block, so call it only between blocks.
    pub(crate) fn set_max_table_size(&mut self, size: u32) {
        let size = size.min(DEFAULT_TABLE_SIZE) as usize;
        if size == self.table.max_size() {
            return;
        }
        let smallest = self.size_update.map_or(size, |update| update.smallest.min(size));
        self.size_update = Some(SizeUpdate { smallest, last: size });
        self.table.set_max_size(size);
    }

    /// Appends one field of a block to `out`.
    pub(crate) fn encode(&mut self, name: Name<'_>, value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        if self.size_update.is_some() {
            self.say_size(out);
        }
        if indexing == Indexing::Never {
            return self.encode_literal(name, value, indexing, out);
        }
        let found = name
            .index_with(value)
            .or_else(|| self.find(hash(name.hash(), value), |field| field.1 == value && field.0 == name.text()));
        match found {
            Some(index) => encode_integer(index, 7, 0x80, out),
            None => self.encode_literal(name, value, indexing, out),
        }
    }

    fn say_size(&mut self, out: &mut Vec<u8>) {
        if let Some(SizeUpdate { smallest, last }) = self.size_update.take() {
            if smallest < last {
                encode_integer(smallest, 5, 0x20, out);
            }
            encode_integer(last, 5, 0x20, out);
        }
    }

    fn encode_literal(&mut self, name: Name<'_>, value: &[u8], indexing: Indexing, out: &mut Vec<u8>) {
        // A field that would push most others out is not worth its place.
        let large = (name.text().len() + value.len() + FIELD_OVERHEAD) * 4 > self.table.max_size() * 3;
        let insert = indexing == Indexing::Incremental && !large;
        let (bits, pattern) = match indexing {
            Indexing::Incremental if insert => (6, 0x40),
            Indexing::Incremental | Indexing::Without => (4, 0x00),
            Indexing::Never => (4, 0x10),
        };
        let index = name.index().or_else(|| self.find(name.hash(), |field| field.0 == name.text()));
        encode_integer(index.unwrap_or(0), bits, pattern, out);
        if index.is_none() {
            encode_string(name.text(), out);
        }
        encode_string(value, out);
        if insert && self.table.insert(name.text(), value) {
            let own_name = name.index().is_none().then_some(name.hash());
            self.index.insert(&self.table, own_name, hash(name.hash(), value));
        }
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// HPACK index of a field of the dynamic table.
    fn find(&self, hash: u64, wanted: impl Fn((&[u8], &[u8])) -> bool) -> Option<usize> {
        for place in self.index.places(hash) {
            let age = age(self.index.inserted, *place);
            if self.table.field(age).is_some_and(&wanted) {
                return Some(static_table::FIELDS.len() + 1 + age);
            }
        }
        None
    }
}

/// Where in the dynamic table a field or a name may be: a bucket for each hash, in which the place whose field is oldest
/// is given up for a new one. Fields that left the table need no removal; they are too old.
#[derive(Debug, Default)]
struct Index {
    /// Fields inserted so far (wrapping); a place keeps what this was after its field came.
    inserted: u32,
    /// A power of two of them, or none as long as there is no field: many a connection has few, and thousands may be idle.
    buckets: Box<[[u32; PLACES]]>,
}

const PLACES: usize = 4;
/// Four times the places that fields need that have names of their own.
const BUCKETS_PER_FIELD: usize = 2;
const FEWEST_BUCKETS: usize = 8;
/// Enough for fields of a usual length in a table of 4096 bytes.
const MOST_BUCKETS: usize = 128;
const GROWTH: usize = 4;

impl Index {
    /// Notes the field that the table has just got as its newest, under the hash of the whole and perhaps of its name.
    fn insert(&mut self, table: &Table, name_hash: Option<u64>, field_hash: u64) {
        self.inserted = self.inserted.wrapping_add(1);
        if self.buckets.len() < MOST_BUCKETS && self.buckets.len() < table.len() * BUCKETS_PER_FIELD {
            self.grow(table);
        }
        self.note(0, name_hash, field_hash);
    }

    /// More buckets, with the older fields in their new places.
    fn grow(&mut self, table: &Table) {
        let count = (self.buckets.len() * GROWTH).clamp(FEWEST_BUCKETS, MOST_BUCKETS);
        self.buckets = vec![[0; PLACES]; count].into();
        for age in (1..table.len()).rev() {
            let Some((name, value)) = table.field(age) else { continue };
            let name = Name::from(name);
            let own_name = name.index().is_none().then_some(name.hash());
            self.note(age, own_name, hash(name.hash(), value));
        }
    }

    /// Notes the field of this age.
    fn note(&mut self, of_age: usize, name_hash: Option<u64>, field_hash: u64) {
        for hash in [Some(field_hash), name_hash].into_iter().flatten() {
            let inserted = self.inserted;
            let bucket = self.bucket(hash);
            let places = self.buckets.get_mut(bucket).into_iter().flatten();
            if let Some(oldest) = places.max_by_key(|place| age(inserted, **place)) {
                *oldest = inserted.wrapping_sub(of_age as u32);
            }
        }
    }

    /// The places where the wanted field may be.
    fn places(&self, hash: u64) -> &[u32] {
        self.buckets.get(self.bucket(hash)).map_or(&[], |places| places)
    }

    fn bucket(&self, hash: u64) -> usize {
        hash as usize & self.buckets.len().wrapping_sub(1)
    }
}

/// How many fields have come since the one that was noted as `kept`.
fn age(inserted: u32, kept: u32) -> usize {
    inserted.wrapping_sub(kept) as usize
}

fn encode_string(text: &[u8], out: &mut Vec<u8>) {
    let coded_len = huffman::encoded_len(text);
    if coded_len < text.len() {
        encode_integer(coded_len, 7, 0x80, out);
        huffman::encode(text, out);
    } else {
        encode_integer(text.len(), 7, 0x00, out);
        out.extend_from_slice(text);
    }
}

/// An integer whose first `bits` bits share a byte with `pattern` (RFC 7541 5.1).
#[inline]
pub(super) fn encode_integer(value: usize, bits: u32, pattern: u8, out: &mut Vec<u8>) {
    let largest = (1 << bits) - 1;
    if value < largest {
        out.push(pattern | value as u8);
    } else {
        encode_long_integer(value, largest, pattern, out);
    }
}

fn encode_long_integer(value: usize, largest: usize, pattern: u8, out: &mut Vec<u8>) {
    out.push(pattern | largest as u8);
    let mut rest = value - largest;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}
