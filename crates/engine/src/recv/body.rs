use bytes::Bytes;

/// The bytes of a message that has begun. Its buffer grows with what has come and not with what was announced, so a
/// peer cannot have memory for a promise.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// All of it initialized, so that the transport can read into a plain slice; what lies behind `filled` is of no
    /// meaning.
    buffer: Vec<u8>,
    filled: usize,
}

/// What is allocated for a message on the word of its prefix alone.
const FIRST_GROWTH: usize = 64 << 10;

/// By how much a buffer that is full grows: few copies on the way to a large message, and bounded work for each byte
/// that came.
const GROWTH: usize = 4;

impl Body {
    /// One that lies in a buffer that is there already.
    pub(crate) fn within(buffer: Vec<u8>) -> Body {
        Body { buffer, filled: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.filled
    }

    /// Memory that it takes.
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Adds the next bytes of a message that is `whole` bytes long.
    pub(crate) fn extend(&mut self, data: &[u8], whole: usize) {
        self.reserve(data.len(), whole);
        let (inside, behind) = data.split_at(data.len().min(self.buffer.len() - self.filled));
        self.buffer[self.filled..][..inside.len()].copy_from_slice(inside);
        self.buffer.extend_from_slice(behind);
        self.filled += data.len();
    }

    /// Makes room for the next bytes, at most `most` of them and at least one; says for how many.
    pub(crate) fn prepare(&mut self, most: usize, whole: usize) -> usize {
        self.reserve(most.min(FIRST_GROWTH), whole);
        let end = self.buffer.capacity().min(self.filled + most);
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        end - self.filled
    }

    /// Where the next bytes belong, for as many as were prepared.
    pub(crate) fn room(&mut self, len: usize) -> &mut [u8] {
        &mut self.buffer[self.filled..][..len]
    }

    /// The first `count` bytes of the room were filled.
    pub(crate) fn fill(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.buffer.len());
    }

    fn reserve(&mut self, more: usize, whole: usize) {
        let needed = self.filled + more;
        if self.buffer.capacity() < needed {
            let grown = needed.max(GROWTH * self.filled).max(FIRST_GROWTH).min(whole);
            self.buffer.truncate(self.filled);
            self.buffer.reserve_exact(grown - self.filled);
        }
    }

    pub(crate) fn into_bytes(mut self) -> Bytes {
        self.buffer.truncate(self.filled);
        self.buffer.into()
    }
}

/// Buffers of large messages, each to be used again when the application has done with its message: fresh memory of
/// that size has to be cleared first, and costs more than what is read into it.
#[derive(Debug, Default)]
pub(crate) struct Spares {
    /// Messages that were given out, oldest first.
    kept: Vec<Bytes>,
    /// One was kept or used since the last [`tick`](Spares::tick).
    in_use: bool,
}

/// How many are kept, and how many bytes of them.
const SPARES: usize = 4;
const SPARE_BYTES: usize = 16 << 20;

impl Spares {
    /// Keeps a message's buffer for another one.
    pub(crate) fn keep(&mut self, message: &Bytes) {
        if message.len() > SPARE_BYTES {
            return;
        }
        let mut held: usize = self.kept.iter().map(Bytes::len).sum();
        while self.kept.len() == SPARES || held + message.len() > SPARE_BYTES {
            held -= self.kept.remove(0).len();
        }
        self.kept.push(message.clone());
        self.in_use = true;
    }

    /// A buffer for a message of this length, if there is one that nobody else has and that is not much too large.
    pub(crate) fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        let fits = |spare: &Bytes| (len..=2 * len).contains(&spare.len()) && spare.is_unique();
        let spare = self.kept.remove(self.kept.iter().position(fits)?);
        self.in_use = true;
        spare.try_into_mut().ok().map(Vec::from)
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Time has passed: gives back what was of no use meanwhile.
    pub(crate) fn tick(&mut self) {
        if !std::mem::take(&mut self.in_use) {
            self.kept = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Body, FIRST_GROWTH, GROWTH, SPARE_BYTES, SPARES, Spares};

    #[test]
    fn takes_bytes_either_way_and_keeps_their_order() {
        let whole: Vec<u8> = (0..1_000_000u64).map(|i| ((i * i) >> 7) as u8).collect();
        for spare in [None, Some(vec![9; 1_000_000]), Some(vec![9; 1_200_000])] {
            let mut body = spare.map_or_else(Body::default, Body::within);
            let mut turn = 0;
            while body.len() < whole.len() {
                turn += 1;
                let rest = &whole[body.len()..];
                let most = rest.len().min(turn * 7919 % 90_000 + 1);
                if turn % 3 == 0 {
                    body.extend(&rest[..most], whole.len());
                } else {
                    let room = body.prepare(most, whole.len());
                    assert!((1..=most).contains(&room));
                    let part = room - room / 3;
                    body.room(room)[..part].copy_from_slice(&rest[..part]);
                    body.fill(part);
                }
            }
            assert!(body.into_bytes() == whole);
        }
    }

    #[test]
    fn grows_with_what_has_come() {
        let mut body = Body::default();
        assert_eq!(body.prepare(1 << 30, 1 << 30), FIRST_GROWTH);
        while body.capacity() < 1 << 24 {
            let room = body.prepare(1 << 20, 1 << 24);
            body.fill(room);
            assert!(body.capacity() <= (GROWTH * body.len()).max(FIRST_GROWTH));
        }
        assert_eq!(body.capacity(), 1 << 24, "no more than it takes");
    }

    #[test]
    fn a_buffer_is_used_again_when_its_message_is_gone() {
        let mut spares = Spares::default();
        let message = Bytes::from(vec![1; 100_000]);
        let place = message.as_ptr();
        spares.keep(&message);
        assert_eq!(spares.take(100_000), None, "the application still has it");
        drop(message);
        assert_eq!(spares.take(100_001), None, "too small");
        assert_eq!(spares.take(49_999), None, "too large");
        let buffer = spares.take(50_000).unwrap();
        assert_eq!(buffer.as_ptr(), place);
        assert_eq!(spares.take(50_000), None, "it is gone");
    }

    #[test]
    fn few_are_kept_and_not_for_long() {
        let mut spares = Spares::default();
        spares.keep(&Bytes::from(vec![1; SPARE_BYTES + 1]));
        assert!(spares.is_empty());
        for len in [SPARE_BYTES, SPARE_BYTES / 2, SPARE_BYTES / 2, 1] {
            spares.keep(&Bytes::from(vec![1; len]));
        }
        assert_eq!(spares.kept.iter().map(Bytes::len).collect::<Vec<_>>(), [SPARE_BYTES / 2, 1]);
        for _ in 0..=SPARES {
            spares.keep(&Bytes::from(vec![1; 2]));
        }
        assert_eq!(spares.kept.len(), SPARES);
        spares.tick();
        assert!(!spares.is_empty(), "they were in use until now");
        spares.tick();
        assert!(spares.is_empty());
    }
}
