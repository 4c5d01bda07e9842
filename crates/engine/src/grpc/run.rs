use bytes::{Buf, Bytes, BytesMut};

use super::message::{PREFIX_LEN, prefix};

/// Whole messages, none of them compressed, one behind the other as they are on the wire: many small messages move
/// for the price of one. It is an iterator over them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Run {
    bytes: Bytes,
    messages: usize,
    /// At least the length of every message.
    longest: usize,
}

impl Run {
    /// What lies in `bytes` must be so many whole messages.
    pub(crate) fn of_wire(bytes: Bytes, messages: usize) -> Run {
        Run { longest: bytes.len(), bytes, messages }
    }

    /// Length in bytes, the prefix of five bytes before each message included.
    pub fn wire_len(&self) -> usize {
        self.bytes.len()
    }

    /// Length of the messages together, prefixes not counted.
    pub fn body_len(&self) -> usize {
        self.bytes.len() - PREFIX_LEN * self.messages
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    pub(crate) fn into_wire(self) -> Bytes {
        self.bytes
    }
}

impl Iterator for Run {
    type Item = Bytes;

    #[inline]
    fn next(&mut self) -> Option<Bytes> {
        let len = body_len(&self.bytes)?;
        let end = PREFIX_LEN + len;
        let message = if len <= COPIED {
            Bytes::copy_from_slice(&self.bytes[PREFIX_LEN..end])
        } else {
            self.bytes.slice(PREFIX_LEN..end)
        };
        self.messages -= 1;
        self.bytes.advance(end);
        Some(message)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.messages, Some(self.messages))
    }
}

impl ExactSizeIterator for Run {}

/// Messages up to this length are given out as copies: a small allocation costs less than counting one more reference
/// and one less, and does not keep the whole run alive.
const COPIED: usize = 128;

/// The length that the prefix at the begin of `bytes` tells, if there is a whole one.
#[inline]
fn body_len(bytes: &[u8]) -> Option<usize> {
    let [_, l0, l1, l2, l3] = *bytes.first_chunk::<PREFIX_LEN>()?;
    Some(u32::from_be_bytes([l0, l1, l2, l3]) as usize)
}

/// The whole, uncompressed messages at the begin of `data`, none longer than `longest`: their bytes, prefixes
/// included, and their number.
pub(crate) fn scan(data: &[u8], longest: usize) -> (usize, usize) {
    let (mut rest, mut messages) = (data, 0);
    while let Some((&[flag, l0, l1, l2, l3], body)) = rest.split_first_chunk::<PREFIX_LEN>() {
        let len = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        if flag != 0 || len > longest || len > body.len() {
            break;
        }
        rest = &body[len..];
        messages += 1;
    }
    (data.len() - rest.len(), messages)
}

/// Makes a [`Run`], message by message.
#[derive(Default, Debug)]
pub struct RunBuilder {
    buffer: BytesMut,
    messages: usize,
    longest: usize,
}

/// The first allocation: as many messages as a call has that is not a busy one.
const FIRST: usize = 256;

impl RunBuilder {
    /// Adds the message that `encode` appends to the buffer it is given. When it fails, nothing is added.
    ///
    /// # Errors
    /// What `encode` says.
    ///
    /// # Panics
    /// When `encode` takes away from the buffer what was there before.
    pub fn push<E>(&mut self, encode: impl FnOnce(&mut BytesMut) -> Result<(), E>) -> Result<(), E> {
        if self.buffer.capacity() == 0 {
            self.buffer.reserve(FIRST);
        }
        let start = self.buffer.len();
        let body = start + PREFIX_LEN;
        self.buffer.extend_from_slice(&[0; PREFIX_LEN]);
        let result = encode(&mut self.buffer);
        if result.is_err() {
            self.buffer.truncate(start);
            return result;
        }
        assert!(self.buffer.len() >= body, "an encoder may append to its buffer, and no more");
        let len = self.buffer.len() - body;
        self.buffer[start..body].copy_from_slice(&prefix(len, false));
        self.messages += 1;
        self.longest = self.longest.max(len);
        result
    }

    /// Length in bytes as yet, prefixes included.
    pub fn wire_len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// The messages so far; those that follow make another run.
    pub fn take(&mut self) -> Run {
        let (messages, longest) = (std::mem::take(&mut self.messages), std::mem::take(&mut self.longest));
        Run { bytes: self.buffer.split().freeze(), messages, longest }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Run, RunBuilder, scan};

    fn run(messages: &[&[u8]]) -> Run {
        let mut builder = RunBuilder::default();
        for message in messages {
            builder
                .push::<()>(|buffer| {
                    buffer.extend_from_slice(message);
                    Ok(())
                })
                .unwrap();
        }
        builder.take()
    }

    #[test]
    fn gives_back_the_messages_it_was_made_of() {
        for messages in [&[][..], &[&b""[..]], &[b"abc"], &[b"abc", b"", b"defgh", b""]] {
            let run = run(messages);
            assert_eq!((run.len(), run.wire_len() - run.body_len()), (messages.len(), 5 * messages.len()));
            assert_eq!(run.longest(), messages.iter().map(|message| message.len()).max().unwrap_or(0));
            assert!(run.eq(messages.iter().map(|message| Bytes::copy_from_slice(message))));
        }
    }

    #[test]
    fn a_message_that_fails_to_be_encoded_leaves_nothing_behind() {
        let mut builder = RunBuilder::default();
        let mut push = |text: &[u8], result| {
            builder.push(|buffer| {
                buffer.extend_from_slice(text);
                result
            })
        };
        push(b"one", Ok(())).unwrap();
        push(b"half", Err("no")).unwrap_err();
        push(b"two", Ok(())).unwrap();
        assert!(builder.take().eq(["one", "two"]));
        assert!(builder.is_empty() && builder.take().next().is_none());
    }

    #[test]
    fn scans_whole_plain_short_messages_and_no_further() {
        let wire = run(&[b"abc", b"", b"defgh"]).into_wire();
        assert_eq!(scan(&wire, 5), (23, 3));
        assert_eq!(scan(&wire, 4), (13, 2), "one too long");
        assert_eq!(scan(&wire[..22], 5), (13, 2), "one in part");
        assert_eq!(scan(&wire[..4], 5), (0, 0));
        let mut compressed = wire.to_vec();
        compressed[8] = 1;
        assert_eq!(scan(&compressed, 5), (8, 1));
    }
}
