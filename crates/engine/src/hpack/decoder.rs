use super::{DEFAULT_TABLE_SIZE, Error, FIELD_OVERHEAD, huffman, static_table, table::Table};

/// What a string's scratch may keep allocated from one block to the next, in bytes.
const SCRATCH_KEPT: usize = 4 << 10;

/// The receiving half of header compression for one connection.
///
/// What it keeps is bounded by the table's size. While it reads, a string cannot be longer than its block, or 8/5 of that
/// when Huffman-coded. Its work is bounded by the block and by what is given to the caller.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
    /// This side's SETTINGS_HEADER_TABLE_SIZE.
    announced: usize,
    /// The largest size that the peer may choose for the table now.
    allowed: usize,
    /// SETTINGS made the table smaller than it is: the next block must begin by saying so.
    size_update_due: bool,
    name: Vec<u8>,
    value: Vec<u8>,
}

/// What a block came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DecodedList {
    /// Size of the whole list (each field its name, its value and 32), also of the fields not given; saturates.
    pub(crate) size: u32,
    /// The list passed `max_list_size`: from the field that did, fields were not given.
    pub(crate) too_large: bool,
}

impl Decoder {
    /// A decoder for a side whose SETTINGS_HEADER_TABLE_SIZE is `max_table_size`.
    ///
    /// A peer that has not read these SETTINGS yet may use the default of 4096, so that much is allowed until
    /// [`settings_acknowledged`](Decoder::settings_acknowledged).
    pub(crate) fn new(max_table_size: u32) -> Decoder {
        Decoder {
            table: Table::new(DEFAULT_TABLE_SIZE as usize),
            announced: max_table_size as usize,
            allowed: max_table_size.max(DEFAULT_TABLE_SIZE) as usize,
            size_update_due: false,
            name: Vec::new(),
            value: Vec::new(),
        }
    }

    /// The peer has acknowledged the SETTINGS: a table larger than they allow is an error from the next block on.
    pub(crate) fn settings_acknowledged(&mut self) {
        self.allowed = self.announced;
        self.size_update_due = self.table.max_size() > self.allowed;
    }

    /// Reads a whole header block and gives its fields, in order, as long as their list is within `max_list_size`.
    /// The dynamic table is kept in step in any case.
    ///
    /// # Errors
    /// The block breaks RFC 7541; the decoder is of no use any more. Fields before the fault were given.
    pub(crate) fn decode(
        &mut self,
        block: &[u8],
        max_list_size: u32,
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<DecodedList, Error> {
        let mut input = Input(block);
        self.size_updates(&mut input)?;
        let mut list = DecodedList { size: 0, too_large: false };
        let mut count = |name: &[u8], value: &[u8]| {
            let size = name.len() + value.len() + FIELD_OVERHEAD;
            list.size = list.size.saturating_add(u32::try_from(size).unwrap_or(u32::MAX));
            list.too_large |= list.size > max_list_size;
            if !list.too_large {
                field(name, value);
            }
        };
        while let Some(first) = input.0.first() {
            match first {
                0x80.. => {
                    let (name, value) = lookup(&self.table, input.integer(7)?)?;
                    count(name, value);
                }
                0x40.. => {
                    let (name, value) = literal(&self.table, &mut input, 6, &mut self.name, &mut self.value)?;
                    count(name, value);
                    self.table.insert(name, value);
                }
                0x20.. => return Err(Error::SizeUpdate),
                _ => {
                    let (name, value) = literal(&self.table, &mut input, 4, &mut self.name, &mut self.value)?;
                    count(name, value);
                }
            }
        }
        for scratch in [&mut self.name, &mut self.value] {
            scratch.clear();
            scratch.shrink_to(SCRATCH_KEPT);
        }
        Ok(list)
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    fn size_updates(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        while input.0.first().is_some_and(|first| first & 0xe0 == 0x20) {
            let size = input.integer(5)?;
            if size > self.allowed {
                return Err(Error::SizeUpdate);
            }
            self.table.set_max_size(size);
            self.size_update_due = false;
        }
        if self.size_update_due { Err(Error::SizeUpdate) } else { Ok(()) }
    }
}

/// The field that an index names (RFC 7541 2.3.3).
fn lookup(table: &Table, index: usize) -> Result<(&[u8], &[u8]), Error> {
    let position = index.checked_sub(1).ok_or(Error::Index)?;
    match static_table::FIELDS.get(position) {
        Some(&field) => Ok(field),
        None => table.field(position - static_table::FIELDS.len()).ok_or(Error::Index),
    }
}

/// A field that stands in the block itself, though its name may be an entry's, which is copied because the field may
/// push that entry out. The index has `bits` bits.
fn literal<'block: 's, 's>(
    table: &Table,
    input: &mut Input<'block>,
    bits: u32,
    name: &'s mut Vec<u8>,
    value: &'s mut Vec<u8>,
) -> Result<(&'s [u8], &'s [u8]), Error> {
    let name = match input.integer(bits)? {
        0 => input.string(name)?,
        index => {
            name.clear();
            name.extend_from_slice(lookup(table, index)?.0);
            name
        }
    };
    Ok((name, input.string(value)?))
}

/// What is left of the block.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> Result<u8, Error> {
        let (&first, rest) = self.0.split_first().ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(first)
    }

    /// An integer that begins in the low `bits` bits of the next byte (RFC 7541 5.1), of at most 32 bits.
    fn integer(&mut self, bits: u32) -> Result<usize, Error> {
        let largest = (1u32 << bits) - 1;
        let first = u32::from(self.byte()?) & largest;
        if first < largest {
            return Ok(first as usize);
        }
        let mut value = u64::from(first);
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            value += u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let value = u32::try_from(value).map_err(|_| Error::Integer)?;
                return Ok(value as usize);
            }
        }
        Err(Error::Integer)
    }

    /// A string (RFC 7541 5.2): a slice of the block, or of `scratch` when it is Huffman-coded.
    fn string<'s>(&mut self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Error>
    where
        'a: 's,
    {
        let huffman = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let len = self.integer(7)?;
        let (text, rest) = self.0.split_at_checked(len).ok_or(Error::Truncated)?;
        self.0 = rest;
        if !huffman {
            return Ok(text);
        }
        scratch.clear();
        huffman::decode(text, scratch)?;
        Ok(scratch)
    }
}

#[cfg(test)]
pub(super) fn integer(coded: &[u8], bits: u32) -> Result<usize, Error> {
    Input(coded).integer(bits)
}

#[cfg(test)]
mod tests {
    use super::{Decoder, SCRATCH_KEPT};
    use crate::hpack::{Encoder, Indexing};

    #[test]
    fn a_large_field_keeps_no_memory() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        for len in [SCRATCH_KEPT, SCRATCH_KEPT + 1, 100_000] {
            let mut block = Vec::new();
            encoder.encode(&vec![b'n'; len], &vec![b'v'; len], Indexing::Without, &mut block);
            decoder.decode(&block, 0, |_, _| ()).unwrap();
            assert!(decoder.name.capacity() <= SCRATCH_KEPT && decoder.value.capacity() <= SCRATCH_KEPT);
        }
    }
}
