use super::{DEFAULT_TABLE_SIZE, Error, FIELD_OVERHEAD, huffman, static_table, table::Table};

/// What a string's scratch may keep allocated from one block to the next, in bytes.
const SCRATCH_KEPT: usize = 4 << 10;

/// The receiving half of header compression for one connection.
///
/// What it keeps is bounded by the table's size. While it reads, a string cannot be longer than its block, or 8/5 of that
/// when Huffman-coded. Its work is bounded by the block and by what is given to the caller. Between the pieces of a block
/// it keeps a field that is not whole, and of that no string of more than four times the list's or the table's size.
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
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct DecodedList {
    /// Size of the whole list (each field its name, its value and 32), also of the fields not given; saturates. Of a
    /// Huffman-coded string that was passed over it is the coded length that counts.
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
        while input.0.first().is_some_and(|first| first & 0xe0 == 0x20) {
            self.size_update(&mut input)?;
        }
        if self.size_update_due {
            return Err(Error::SizeUpdate);
        }
        let mut list = DecodedList::default();
        while let Some(first) = input.0.first().copied() {
            self.read_field(first, &mut input, &mut list, max_list_size, &mut field)?;
        }
        self.forget_strings();
        Ok(list)
    }

    fn forget_strings(&mut self) {
        for scratch in [&mut self.name, &mut self.value] {
            scratch.clear();
            scratch.shrink_to(SCRATCH_KEPT);
        }
    }

    /// [`decode`](Decoder::decode) for a block that comes piece by piece: reads the next one, as far as it has whole
    /// fields. What is left of it is kept, but of a field that is too large for the list and for the table only how long
    /// it is.
    ///
    /// # Errors
    /// As of [`decode`](Decoder::decode).
    pub(crate) fn feed(
        &mut self,
        partial: &mut Partial,
        piece: &[u8],
        max_list_size: u32,
        mut field: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Error> {
        let skipped = partial.skip.min(piece.len());
        partial.skip -= skipped;
        let piece = &piece[skipped..];
        let mut kept = std::mem::take(&mut partial.kept);
        let mut input = Input(if kept.is_empty() {
            piece
        } else {
            kept.extend_from_slice(piece);
            &kept
        });
        let before = input.0.len();
        while !input.0.is_empty() {
            let mark = input.0;
            match self.step(&mut input, partial, max_list_size, &mut field) {
                Ok(()) => {}
                Err(Error::Truncated) => {
                    input.0 = mark;
                    if !self.skip(&mut input, partial, max_list_size)? {
                        break;
                    }
                }
                Err(error) => return Err(error),
            }
        }
        // A field may come in many pieces, and must not be copied with each.
        let left = input.0.len();
        partial.kept = if left == before && !kept.is_empty() { kept } else { input.0.to_vec() };
        self.forget_strings();
        Ok(())
    }

    /// The block ends here.
    ///
    /// # Errors
    /// It ends within a field, or does not say what it must.
    pub(crate) fn finish(&mut self, partial: Partial) -> Result<DecodedList, Error> {
        if !partial.kept.is_empty() || partial.skip > 0 || partial.value_follows {
            return Err(Error::Truncated);
        }
        if self.size_update_due {
            return Err(Error::SizeUpdate);
        }
        Ok(partial.list)
    }

    /// Reads one field, or one size update before the first.
    fn step(
        &mut self,
        input: &mut Input<'_>,
        partial: &mut Partial,
        max_list_size: u32,
        field: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Error> {
        if partial.value_follows {
            return Err(Error::Truncated);
        }
        let first = input.0.first().copied().ok_or(Error::Truncated)?;
        if !partial.begun && first & 0xe0 == 0x20 {
            return self.size_update(input);
        }
        if self.size_update_due {
            return Err(Error::SizeUpdate);
        }
        self.read_field(first, input, &mut partial.list, max_list_size, field)?;
        partial.begun = true;
        Ok(())
    }

    /// Reads the field that begins with this byte.
    #[inline]
    fn read_field(
        &mut self,
        first: u8,
        input: &mut Input<'_>,
        list: &mut DecodedList,
        max_list_size: u32,
        field: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), Error> {
        let mut count = |name: &[u8], value: &[u8]| {
            list.add(name.len() + value.len() + FIELD_OVERHEAD, max_list_size);
            if !list.too_large {
                field(name, value);
            }
        };
        match first {
            0x80.. => {
                let (name, value) = lookup(&self.table, input.integer(7)?)?;
                count(name, value);
            }
            0x40.. => {
                let (name, value) = literal(&self.table, input, 6, &mut self.name, &mut self.value)?;
                count(name, value);
                self.table.insert(name, value);
            }
            0x20.. => return Err(Error::SizeUpdate),
            _ => {
                let (name, value) = literal(&self.table, input, 4, &mut self.name, &mut self.value)?;
                count(name, value);
            }
        }
        Ok(())
    }

    /// Begins to pass over the field that `input` ends in, when one of its strings is too large for whatever could be done
    /// with it; false when more must come first.
    fn skip(&mut self, input: &mut Input<'_>, partial: &mut Partial, max_list_size: u32) -> Result<bool, Error> {
        if std::mem::take(&mut partial.value_follows) {
            let mark = input.0;
            match input.length() {
                Ok((length, _)) => {
                    partial.list.add(length, max_list_size);
                    return Ok(partial.pass(input, length));
                }
                Err(Error::Truncated) => {
                    (input.0, partial.value_follows) = (mark, true);
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        let too_large = |(length, huffman): (usize, bool)| {
            let least = if huffman { length / 30 * 8 } else { length };
            least > self.table.max_size().max(max_list_size as usize)
        };
        let mut ahead = Input(input.0);
        let first = ahead.0.first().copied().unwrap_or(0x80);
        let indexed = match first {
            0x80.. => return Ok(false),
            0x40.. => true,
            _ => false,
        };
        let Ok(index) = ahead.integer(if indexed { 6 } else { 4 }) else { return Ok(false) };
        let Ok(mut string) = ahead.length() else { return Ok(false) };
        let mut before = FIELD_OVERHEAD;
        partial.value_follows = index == 0 && too_large(string);
        if index > 0 {
            before += lookup(&self.table, index)?.0.len();
        } else if !partial.value_follows {
            before += string.0;
            let Some(after) = ahead.0.get(string.0..) else { return Ok(false) };
            ahead.0 = after;
            match ahead.length() {
                Ok(value) => string = value,
                Err(_) => return Ok(false),
            }
        }
        if !too_large(string) {
            return Ok(false);
        }
        partial.list.add(before + string.0, max_list_size);
        if indexed {
            self.table.clear();
        }
        partial.begun = true;
        *input = ahead;
        Ok(partial.pass(input, string.0))
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    fn size_update(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let size = input.integer(5)?;
        if size > self.allowed {
            return Err(Error::SizeUpdate);
        }
        self.table.set_max_size(size);
        self.size_update_due = false;
        Ok(())
    }
}

/// How far a block that comes piece by piece has been read.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    list: DecodedList,
    /// A field was read: no size update may come any more.
    begun: bool,
    /// The field that is not whole.
    kept: Vec<u8>,
    /// So much of a string is passed over, as it comes.
    skip: usize,
    /// That was a name, and its value is passed over as well.
    value_follows: bool,
}

impl Partial {
    /// Passes over a string; says whether there is more behind.
    fn pass(&mut self, input: &mut Input<'_>, length: usize) -> bool {
        let there = length.min(input.0.len());
        input.0 = &input.0[there..];
        self.skip = length - there;
        self.skip == 0
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> usize {
        self.kept.capacity()
    }
}

impl DecodedList {
    fn add(&mut self, size: usize, max_list_size: u32) {
        let size = u32::try_from(size).unwrap_or(u32::MAX);
        self.size = self.size.saturating_add(size);
        self.too_large |= self.size > max_list_size;
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
    let index = input.integer(bits)?;
    // Both are looked for before either is decoded: a field that is not whole costs next to nothing.
    let coded_name = if index == 0 { Some(input.string()?) } else { None };
    let coded_value = input.string()?;
    let name = match coded_name {
        Some(coded) => coded.decode(name)?,
        None => {
            name.clear();
            name.extend_from_slice(lookup(table, index)?.0);
            name
        }
    };
    Ok((name, coded_value.decode(value)?))
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

    /// The length of the string that begins here, as it is coded, and whether that is by Huffman.
    fn length(&mut self) -> Result<(usize, bool), Error> {
        let huffman = self.0.first().is_some_and(|first| first & 0x80 != 0);
        Ok((self.integer(7)?, huffman))
    }

    /// A string as it is coded.
    fn string(&mut self) -> Result<Coded<'a>, Error> {
        let (len, huffman) = self.length()?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(Error::Truncated)?;
        self.0 = rest;
        Ok(Coded { bytes, huffman })
    }
}

/// A string (RFC 7541 5.2) as it stands in the block.
struct Coded<'a> {
    bytes: &'a [u8],
    huffman: bool,
}

impl<'a> Coded<'a> {
    /// A slice of the block, or of `scratch` when it is Huffman-coded.
    fn decode<'s>(self, scratch: &'s mut Vec<u8>) -> Result<&'s [u8], Error>
    where
        'a: 's,
    {
        if !self.huffman {
            return Ok(self.bytes);
        }
        scratch.clear();
        huffman::decode(self.bytes, scratch)?;
        Ok(scratch)
    }
}

#[cfg(test)]
pub(super) fn integer(coded: &[u8], bits: u32) -> Result<usize, Error> {
    Input(coded).integer(bits)
}

#[cfg(test)]
mod tests {
    use super::{DecodedList, Decoder, Partial, SCRATCH_KEPT};
    use crate::hpack::{Encoder, Error, Indexing};

    type Fields = Vec<(Vec<u8>, Vec<u8>)>;

    /// The fields of a block that comes in pieces of one length, what it came to, and the most that was kept between them.
    fn in_pieces(decoder: &mut Decoder, block: &[u8], length: usize) -> Result<(Fields, DecodedList, usize), Error> {
        let (mut partial, mut fields, mut most) = (Partial::default(), Vec::new(), 0);
        for piece in block.chunks(length) {
            decoder.feed(&mut partial, piece, 16 << 10, |name, value| fields.push((name.to_vec(), value.to_vec())))?;
            most = most.max(partial.kept());
        }
        Ok((fields, decoder.finish(partial)?, most))
    }

    /// Whatever the pieces, the fields are the same, and so is the table.
    #[test]
    fn pieces_of_any_length_come_to_the_same() {
        let huge = "\u{1}".repeat(70_000);
        let plain = "q".repeat(70_000);
        let block = |encoder: &mut Encoder| {
            let mut block = Vec::new();
            for (name, value, indexing) in [
                (":path", "/a.B/C", Indexing::Incremental),
                ("k", "small", Indexing::Incremental),
                (&plain[..], "value of a huge name", Indexing::Without),
                ("huge", &huge[..], Indexing::Without),
                ("k", "small", Indexing::Incremental),
                ("never", "x", Indexing::Never),
                (":path", "/a.B/C", Indexing::Incremental),
            ] {
                encoder.encode(name.as_bytes().into(), value.as_bytes(), indexing, &mut block);
            }
            block
        };
        let (mut encoder, mut whole) = (Encoder::new(), Decoder::new(4096));
        let blocks = [block(&mut encoder), block(&mut encoder)];
        let expected = blocks.each_ref().map(|block| {
            let mut fields = Vec::new();
            let list = whole.decode(block, 16 << 10, |name, value| fields.push((name.to_vec(), value.to_vec())));
            (fields, list.unwrap().too_large)
        });
        for length in [1, 2, 3, 7, 1000, 16_384, 100_000] {
            let mut decoder = Decoder::new(4096);
            for (block, (fields, too_large)) in blocks.iter().zip(&expected) {
                let (found, list, _) = in_pieces(&mut decoder, block, length).unwrap();
                assert_eq!((&found, list.too_large), (fields, *too_large), "pieces of {length}");
                assert!(list.size > 140_000 && list.too_large);
            }
            assert_eq!(decoder.table().len(), whole.table().len(), "pieces of {length}");
        }
    }

    /// A field that no table could hold empties it, whether it is read or passed over.
    #[test]
    fn a_field_that_is_passed_over_empties_the_table() {
        let literal = |value_len: usize| {
            let mut block = vec![0x40, 1, b'k', 0x7f];
            let mut left = value_len - 127;
            while left >= 128 {
                block.push(128 | (left & 127) as u8);
                left >>= 7;
            }
            block.push(left as u8);
            block.extend(std::iter::repeat_n(b'v', value_len));
            block
        };
        for (length, pieces) in [(20_000, usize::MAX), (20_000, 100), (16 << 10, 100), ((16 << 10) + 1, 100)] {
            let mut decoder = Decoder::new(4096);
            decoder.decode(&[0x40, 1, b'a', 1, b'b'], 1000, |_, _| ()).unwrap();
            assert_eq!(decoder.table().len(), 1);
            let (fields, list, _) = in_pieces(&mut decoder, &literal(length), pieces).unwrap();
            assert_eq!((fields.len(), list.size as usize, list.too_large), (0, length + 33, true), "{length}");
            assert_eq!(decoder.table().len(), 0, "{length} in pieces of {pieces}");
        }
    }

    #[test]
    fn a_field_that_is_passed_over_is_not_kept() {
        let mut block = vec![0x00, 0x01, b'k', 0x7f, 0x81, 0x80, 0x80, 0x08];
        block.resize(block.len() + 128 + (16 << 20), b'v');
        block.extend_from_slice(&[0x00, 1, b'l', 1, b'w']);
        let (fields, list, most) = in_pieces(&mut Decoder::new(4096), &block, 10_000).unwrap();
        assert_eq!((fields.len(), list.too_large), (0, true));
        assert!(list.size as usize > 16 << 20);
        assert!(most <= 20_000, "{most} bytes were kept");
    }

    #[test]
    fn a_block_that_ends_within_a_field_is_told_so_however_it_came() {
        let mut block = Vec::new();
        let mut encoder = Encoder::new();
        encoder.encode((&[b'n'; 20_000][..]).into(), &[b'v'; 20_000], Indexing::Without, &mut block);
        for cut in [1, 2, 3, 10, 15_000, 19_000, block.len() / 2, block.len() - 1] {
            for length in [1, 100, usize::MAX] {
                let result = in_pieces(&mut Decoder::new(4096), &block[..cut], length);
                assert_eq!(result.map(|_| ()), Err(Error::Truncated), "{cut} bytes in pieces of {length}");
            }
        }
    }

    #[test]
    fn a_large_field_keeps_no_memory() {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        for len in [SCRATCH_KEPT, SCRATCH_KEPT + 1, 100_000] {
            let mut block = Vec::new();
            encoder.encode((&vec![b'n'; len][..]).into(), &vec![b'v'; len], Indexing::Without, &mut block);
            decoder.decode(&block, 0, |_, _| ()).unwrap();
            assert!(decoder.name.capacity() <= SCRATCH_KEPT && decoder.value.capacity() <= SCRATCH_KEPT);
        }
    }

    /// A change of the table's size comes before the first field, also when the block comes in pieces.
    #[test]
    fn a_table_is_resized_at_the_begin_of_a_block_only() {
        for (block, good) in [(&[0x20, 0x82][..], true), (&[0x20, 0x3f, 0x0a, 0x82], true), (&[0x82, 0x20], false)] {
            for pieces in [1, block.len()] {
                let result = in_pieces(&mut Decoder::new(4096), block, pieces).map(|(fields, ..)| fields.len());
                assert_eq!(
                    result,
                    if good { Ok(1) } else { Err(Error::SizeUpdate) },
                    "{block:?} in pieces of {pieces}"
                );
            }
        }
    }

    /// A field that is passed over counts with all that it has, and must be there to its end.
    #[test]
    fn a_field_that_is_passed_over_is_counted_and_has_an_end() {
        // 20,000 bytes behind `user-agent` of the static table, and behind a name of its own.
        let length = [0x7f, 0xa1, 0x9b, 0x01];
        for (begin, name) in [(&[0x0f, 0x2b][..], 10), (&[0x00, 1, b'k'], 1)] {
            let block = [begin, &length, &[b'v'; 20_000]].concat();
            for pieces in [100, 19_000] {
                let (_, list, _) = in_pieces(&mut Decoder::new(4096), &block, pieces).unwrap();
                assert_eq!((list.size, list.too_large), (20_000 + name + 32, true));
                let cut = &block[..block.len() - 1];
                assert_eq!(in_pieces(&mut Decoder::new(4096), cut, pieces).unwrap_err(), Error::Truncated);
            }
        }
    }
}
