//! Protobuf's encoding, for the few small messages that brains read and write by hand: those of gRPC's own that go with
//! calls. Messages of users are generated code's.

/// What a field has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer, a bool or an enum; negative ones are very large.
    Varint(u64),
    /// A double.
    Double(f64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
    /// Of a type that nobody here reads.
    Other,
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the beginning of a message.
    pub fn new(message: &'a [u8]) -> Reader<'a> {
        Reader(message)
    }

    /// The next field and its value; `Some(None)` at the end, `None` for what is no message.
    #[allow(clippy::option_option, reason = "so that `?` passes over what is no message")]
    pub fn field(&mut self) -> Option<Option<(u64, Value<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Double(f64::from_le_bytes(*self.take(8)?.first_chunk()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(len)?)
            }
            5 => {
                self.take(4)?;
                Value::Other
            }
            _ => return None,
        };
        Some(Some((tag >> 3, value)))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, left) = self.0.split_at_checked(len)?;
        self.0 = left;
        Some(taken)
    }
}

/// Writes a field with an integer, a bool or an enum.
pub fn put_varint(out: &mut Vec<u8>, field: u8, number: u64) {
    varint(out, u64::from(field) << 3);
    varint(out, number);
}

/// Writes a field with a double.
pub fn put_double(out: &mut Vec<u8>, field: u8, number: f64) {
    varint(out, u64::from(field) << 3 | 1);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes a field with a string, bytes or a message.
pub fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    varint(out, u64::from(field) << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
        let mut reader = Reader::new(message);
        let mut fields = Vec::new();
        while let Some(field) = reader.field()? {
            fields.push(field);
        }
        Some(fields)
    }

    #[test]
    fn what_is_written_is_read() {
        let long = [7; 300];
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let mut message = Vec::new();
        numbers.iter().for_each(|number| put_varint(&mut message, 1, *number));
        put_double(&mut message, 15, -0.5);
        put_bytes(&mut message, 16, &long);
        put_bytes(&mut message, 255, b"");
        let mut expected: Vec<_> = numbers.iter().map(|number| (1, Value::Varint(*number))).collect();
        expected.extend([(15, Value::Double(-0.5)), (16, Value::Bytes(&long)), (255, Value::Bytes(b""))]);
        assert_eq!(fields(&message), Some(expected));
    }

    #[test]
    fn bytes_as_protoc_writes_them() {
        let mut message = Vec::new();
        put_varint(&mut message, 1, 300);
        put_double(&mut message, 2, 1.0);
        put_bytes(&mut message, 3, b"ab");
        assert_eq!(message, b"\x08\xac\x02\x11\0\0\0\0\0\0\xf0\x3f\x1a\x02ab");
    }

    #[test]
    fn fields_of_other_types_are_passed_over() {
        assert_eq!(fields(b"\x0d\x01\x02\x03\x04\x08\x05"), Some(vec![(1, Value::Other), (1, Value::Varint(5))]));
        assert_eq!(fields(b""), Some(vec![]));
    }

    #[test]
    fn what_is_cut_or_no_message_is_none() {
        for strange in [
            &b"\x08"[..],
            b"\x08\x80",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x11\0\0\0\0\0\0\0",
            b"\x0d\0\0\0",
            b"\x1a\x02a",
            b"\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0b",
            b"\x0c",
            b"\x0e",
        ] {
            assert_eq!(fields(strange), None, "{strange:?}");
        }
    }
}
