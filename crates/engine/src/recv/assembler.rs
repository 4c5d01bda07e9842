use bytes::{Bytes, BytesMut};

use super::body::{Body, Spares};
use crate::grpc::{
    encoding::Encoding,
    message::{MessageFault, PREFIX_LEN, read_prefix},
    run::{self, Run},
};

/// Cuts a call's DATA, however chopped, into messages.
///
/// A small message that came whole is copied to the connection's [`Arena`]; a larger or chopped one into a [`Body`] of
/// its own, and where much of it is missing, the transport can read into that at once ([`room`](Assembler::room)).
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    prefix: [u8; PREFIX_LEN],
    prefix_len: usize,
    body: Body,
    /// Length of the message begun, once its prefix is whole.
    body_len: usize,
    /// Whether that message is compressed.
    compressed: bool,
    /// How the peer compresses.
    pub(crate) encoding: Encoding,
}

/// The memory for messages that all calls of a connection share: small ones lie one behind the other, so that they cost
/// no allocation each, and the buffers of large ones are used again.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    buffer: BytesMut,
    pub(crate) spares: Spares,
    /// What the buffer was allocated with last.
    size: usize,
    /// Whether several small messages are kept together.
    runs: bool,
}

/// What DATA completes.
#[derive(Debug)]
pub(crate) enum Whole {
    /// A message, and whether it is compressed.
    Message(Bytes, bool),
    Run(Run),
}

/// Messages up to this length go to the arena.
const SMALL: usize = 2 << 10;

/// What one run holds: allocators have buffers of this size at hand, and larger ones fresh from the system.
const LONGEST_RUN: usize = 32 << 10;

/// The arena's size: what one small message can keep alive. It begins at the least, and doubles each time it is used up.
const ARENA: usize = 16 << 10;
const LEAST_ARENA: usize = 1 << 8;

/// From this length on a message is large: what is missing of it is read where it belongs, and its buffer is kept.
pub(crate) const LARGE: usize = 64 << 10;

impl Arena {
    /// An arena that keeps small messages together that come together, or each by itself.
    pub(crate) fn new(runs: bool) -> Arena {
        Arena { runs, ..Arena::default() }
    }

    /// Time has passed: gives back the buffers of large messages that were of no use meanwhile.
    pub(crate) fn tick(&mut self) {
        self.spares.tick();
    }

    /// Gives back all memory that nobody else holds.
    pub(crate) fn slim(&mut self) {
        *self = Arena::new(self.runs);
    }

    fn copy(&mut self, bytes: &[u8]) -> Bytes {
        match bytes.len() {
            0 => Bytes::new(),
            1..=SMALL => {
                if self.buffer.capacity() < bytes.len() {
                    self.size = (self.size * 2).clamp(LEAST_ARENA.max(bytes.len()), ARENA);
                    self.buffer.reserve(self.size);
                }
                self.buffer.extend_from_slice(bytes);
                self.buffer.split().freeze()
            }
            _ => Bytes::copy_from_slice(bytes),
        }
    }

    /// The small messages that are whole at the begin of `data`, if there are several.
    fn run(&mut self, data: &[u8], max: Option<usize>) -> Option<Run> {
        if !self.runs {
            return None;
        }
        let data = &data[..data.len().min(LONGEST_RUN)];
        let (len, messages) = run::scan(data, max.unwrap_or(SMALL).min(SMALL));
        (messages > 1).then(|| Run::of_wire(self.copy(&data[..len]), messages))
    }
}

impl Assembler {
    /// Takes the next bytes of DATA and gives what they complete, in order.
    ///
    /// # Errors
    /// What is wrong with a message; no more may be pushed.
    pub(crate) fn push(
        &mut self,
        mut data: &[u8],
        max: Option<usize>,
        arena: &mut Arena,
        mut whole: impl FnMut(Whole) -> Result<(), MessageFault>,
    ) -> Result<(), MessageFault> {
        while !data.is_empty() {
            if self.prefix_len == 0
                && let Some(run) = arena.run(data, max)
            {
                data = &data[run.wire_len()..];
                whole(Whole::Run(run))?;
                continue;
            }
            if self.prefix_len < PREFIX_LEN {
                let taken = data.len().min(PREFIX_LEN - self.prefix_len);
                self.prefix[self.prefix_len..][..taken].copy_from_slice(&data[..taken]);
                self.prefix_len += taken;
                data = &data[taken..];
                if self.prefix_len < PREFIX_LEN {
                    break;
                }
                (self.body_len, self.compressed) = read_prefix(self.prefix, self.encoding, max)?;
            }
            let missing = self.body_len - self.body.len();
            if data.len() < missing {
                self.extend(data, arena);
                break;
            }
            let (rest, after) = data.split_at(missing);
            data = after;
            if self.body.capacity() == 0 {
                (self.prefix_len, self.body_len) = (0, 0);
                whole(Whole::Message(arena.copy(rest), self.compressed))?;
            } else {
                self.extend(rest, arena);
                self.complete(arena, &mut whole)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, arena: &mut Arena) {
        if self.body.capacity() == 0
            && self.body_len >= LARGE
            && let Some(spare) = arena.spares.take(self.body_len)
        {
            self.body = Body::within(spare);
        }
    }

    /// Whether the message begun, whose length is known, is still not whole after so many more bytes.
    #[inline]
    pub(crate) fn goes_on_after(&self, count: usize) -> bool {
        self.prefix_len == PREFIX_LEN && self.body_len - self.body.len() > count
    }

    /// The next bytes of a message that [goes on](Assembler::goes_on_after) after them.
    pub(crate) fn extend(&mut self, data: &[u8], arena: &mut Arena) {
        self.begin(arena);
        self.body.extend(data, self.body_len);
    }

    /// Makes room where the rest of a large message belongs, for at most `most` bytes; says for how many. For none when
    /// little is missing.
    pub(crate) fn prepare(&mut self, most: usize, arena: &mut Arena) -> usize {
        let most = most.min(if self.prefix_len == PREFIX_LEN { self.missing() } else { 0 });
        if most < LARGE {
            return 0;
        }
        self.begin(arena);
        self.body.prepare(most, self.body_len)
    }

    /// The room [prepared](Assembler::prepare). Once something is there, [`placed`](Assembler::placed) says so.
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        self.body.room(len)
    }

    /// So many bytes of DATA lie where they belong, of a message that [goes on](Assembler::goes_on_after) after them.
    pub(crate) fn fill(&mut self, count: usize) {
        self.body.fill(count);
    }

    /// So many bytes of DATA lie where they belong; gives the message if that completes it.
    ///
    /// # Errors
    /// What is wrong with the message.
    pub(crate) fn placed(
        &mut self,
        count: usize,
        arena: &mut Arena,
        mut whole: impl FnMut(Whole) -> Result<(), MessageFault>,
    ) -> Result<(), MessageFault> {
        self.body.fill(count);
        if self.missing() == 0 { self.complete(arena, &mut whole) } else { Ok(()) }
    }

    fn complete(
        &mut self,
        arena: &mut Arena,
        whole: &mut impl FnMut(Whole) -> Result<(), MessageFault>,
    ) -> Result<(), MessageFault> {
        let message = std::mem::take(&mut self.body).into_bytes();
        (self.prefix_len, self.body_len) = (0, 0);
        if message.len() >= LARGE {
            arena.spares.keep(&message);
        }
        whole(Whole::Message(message, self.compressed))
    }

    /// Memory of the message begun, in bytes.
    pub(crate) fn held(&self) -> usize {
        self.body.capacity()
    }

    /// Whether a message has begun that is not whole.
    pub(crate) fn has_begun(&self) -> bool {
        self.prefix_len > 0
    }

    /// How many bytes the message begun still lacks, as far as that is known.
    pub(crate) fn missing(&self) -> usize {
        match self.prefix_len {
            0 => 0,
            PREFIX_LEN => self.body_len - self.body.len(),
            begun => PREFIX_LEN - begun,
        }
    }

    /// The stream has ended: whether it did so between two messages.
    pub(crate) fn finish(&self) -> Result<(), MessageFault> {
        if self.prefix_len == 0 { Ok(()) } else { Err(MessageFault::Truncated) }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Arena, Assembler, LARGE, SMALL, Whole};
    use crate::grpc::message::{MessageFault, prefix};

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        messages.iter().flat_map(|message| [&prefix(message.len(), false)[..], message].concat()).collect()
    }

    #[test]
    fn cuts_any_chop_into_the_same_messages() {
        let messages: Vec<Vec<u8>> =
            [0, 1, 5, SMALL, SMALL + 1, 0, 70_000, 3].iter().map(|&len| vec![len as u8; len]).collect();
        let stream = framed(&messages);
        let chops = [1, 2, 3, 4, 5, 6, 7, 1000, 16_384, stream.len()];
        for (chop, runs) in chops.into_iter().flat_map(|chop| [(chop, false), (chop, true)]) {
            let (mut assembler, mut arena, mut found) = (Assembler::default(), Arena::new(runs), Vec::<Bytes>::new());
            for data in stream.chunks(chop) {
                assembler
                    .push(data, Some(70_000), &mut arena, |whole| {
                        match whole {
                            Whole::Message(message, compressed) => {
                                assert!(!compressed);
                                found.push(message);
                            }
                            Whole::Run(run) => found.extend(run),
                        }
                        Ok(())
                    })
                    .unwrap();
            }
            assert_eq!(assembler.finish(), Ok(()));
            assert!(found == messages, "chopped by {chop}, in runs: {runs}");
        }
    }

    #[test]
    fn knows_what_is_missing() {
        let (mut assembler, mut arena) = (Assembler::default(), Arena::default());
        let mut push = |data: &[u8]| {
            assembler.push(data, None, &mut arena, |_| panic!("no message yet")).unwrap();
            (assembler.missing(), assembler.finish())
        };
        assert_eq!(push(&[]), (0, Ok(())));
        assert_eq!(push(&[0, 0]), (3, Err(MessageFault::Truncated)));
        assert_eq!(push(&[0, 0]), (1, Err(MessageFault::Truncated)));
        assert_eq!(push(&[9]), (9, Err(MessageFault::Truncated)));
        assert_eq!(push(b"abc"), (6, Err(MessageFault::Truncated)));
    }

    #[test]
    fn an_announced_length_allocates_little() {
        let (mut assembler, mut arena) = (Assembler::default(), Arena::default());
        let mut push = |data: &[u8]| assembler.push(data, None, &mut arena, |_| panic!("no message yet"));
        push(&[0, 0xff, 0xff, 0xff, 0xff]).unwrap();
        push(b"x").unwrap();
        assert!(assembler.body.capacity() <= LARGE);
    }

    /// Small messages are copied into blocks that many share, each twice as large as the one before.
    #[test]
    fn small_messages_share_memory() {
        let mut arena = Arena::default();
        let messages: Vec<Bytes> = (0..1000).map(|_| arena.copy(&[7; 100])).collect();
        let starts = messages.windows(2).filter(|pair| pair[0].as_ptr().wrapping_add(100) != pair[1].as_ptr());
        let blocks = starts.count() + 1;
        assert!((2..=13).contains(&blocks), "{blocks} blocks");
    }

    /// The buffer of a large message is used again, unless it was of no use for a while.
    #[test]
    fn buffers_that_are_of_no_use_are_given_back() {
        let (mut assembler, mut arena) = (Assembler::default(), Arena::default());
        let stream = framed(&[vec![1; LARGE]]);
        let (begin, end) = stream.split_at(1000);
        for data in [begin, end] {
            assembler.push(data, None, &mut arena, |_| Ok(())).unwrap();
            assert_eq!(assembler.held() > 0, data.len() == 1000);
        }
        arena.tick();
        assert!(!arena.spares.is_empty());
        arena.tick();
        assert!(arena.spares.is_empty());
    }
}
