use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};

/// Bytes to write, gathered from all ready streams: a [`Buf`] over small frames (contiguous) and large payloads
/// (referenced). Write [`chunks_vectored`](Buf::chunks_vectored) in one `writev`, then
/// [`advance`](Buf::advance) by what the transport took.
#[derive(Debug, Default)]
pub struct Transmit {
    /// Frame heads, control frames and small payloads; what lies before `small_start` is written.
    small: Vec<u8>,
    small_start: usize,
    chunks: VecDeque<Chunk>,
    remaining: usize,
    /// Bytes ever written by the hands; with `remaining` it tells where in the connection's output a frame ends.
    written: u64,
    /// Nothing is written yet, until [`release`](Transmit::release).
    withheld: bool,
}

#[derive(Debug)]
enum Chunk {
    /// This many bytes of `small`.
    Small(usize),
    Large(Bytes),
}

/// Payloads of at least this length are referenced, shorter ones copied: below it a copy costs less than one more
/// chunk in `writev`.
pub(crate) const LARGE: usize = 8 << 10;

/// What `small` may keep allocated while nothing is to be written.
const KEPT: usize = 64 << 10;

impl Transmit {
    /// Appends what `write` puts at the end of the buffer it is given.
    pub(crate) fn small<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        let before = self.small.len();
        let result = write(&mut self.small);
        let added = self.small.len() - before;
        match self.chunks.back_mut() {
            _ if added == 0 => {}
            Some(Chunk::Small(length)) => *length += added,
            _ => self.chunks.push_back(Chunk::Small(added)),
        }
        self.remaining += added;
        result
    }

    pub(crate) fn large(&mut self, payload: Bytes) {
        self.remaining += payload.len();
        self.chunks.push_back(Chunk::Large(payload));
    }

    /// The position behind the last byte appended, counted from the connection's first.
    pub(crate) fn end(&self) -> u64 {
        self.written + self.remaining as u64
    }

    /// The position of the next byte to write.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Keeps everything back for now.
    pub(crate) fn hold(&mut self) {
        self.withheld = true;
    }

    /// Lets everything go.
    pub(crate) fn release(&mut self) {
        self.withheld = false;
    }

    /// Whether there is something to write now.
    pub(crate) fn is_due(&self) -> bool {
        self.remaining > 0 && !self.withheld
    }

    /// Drops what is not written; it will not be.
    pub(crate) fn discard(&mut self) {
        self.chunks.clear();
        (self.remaining, self.small_start) = (0, self.small.len());
        self.reclaim();
    }

    /// Gives the memory back while nothing is in it.
    pub(crate) fn slim(&mut self) {
        if self.remaining == 0 {
            *self = Transmit { written: self.written, withheld: self.withheld, ..Transmit::default() };
        }
    }

    fn reclaim(&mut self) {
        if self.small_start == self.small.len() {
            self.small.clear();
            self.small.shrink_to(KEPT);
            self.small_start = 0;
        } else if self.small_start > KEPT {
            self.small.drain(..self.small_start);
            self.small_start = 0;
        }
    }
}

impl Buf for Transmit {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        match self.chunks.front() {
            None => &[],
            Some(Chunk::Small(length)) => &self.small[self.small_start..][..*length],
            Some(Chunk::Large(payload)) => payload,
        }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut small = &self.small[self.small_start..];
        let count = slices.len().min(self.chunks.len());
        for (slice, chunk) in slices.iter_mut().zip(&self.chunks) {
            *slice = IoSlice::new(match chunk {
                Chunk::Small(length) => {
                    let (head, tail) = small.split_at(*length);
                    small = tail;
                    head
                }
                Chunk::Large(payload) => payload,
            });
        }
        count
    }

    fn advance(&mut self, count: usize) {
        assert!(count <= self.remaining, "advance by {count} of {} bytes", self.remaining);
        self.remaining -= count;
        self.written += count as u64;
        let mut left = count;
        while left > 0 {
            let Some(front) = self.chunks.front_mut() else { break };
            let length = match front {
                Chunk::Small(length) => *length,
                Chunk::Large(payload) => payload.len(),
            };
            let taken = left.min(length);
            left -= taken;
            if let Chunk::Small(_) = front {
                self.small_start += taken;
            }
            if taken == length {
                self.chunks.pop_front();
                continue;
            }
            match front {
                Chunk::Small(length) => *length -= taken,
                Chunk::Large(payload) => payload.advance(taken),
            }
        }
        self.reclaim();
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use bytes::{Buf, Bytes};

    use super::{KEPT, Transmit};

    fn sample() -> Transmit {
        let mut transmit = Transmit::default();
        transmit.small(|out| out.extend_from_slice(b"ab"));
        transmit.small(|out| out.extend_from_slice(b"cd"));
        transmit.large(Bytes::from_static(b"LARGE"));
        transmit.small(|_| ());
        transmit.small(|out| out.extend_from_slice(b"e"));
        transmit
    }

    fn vectored(transmit: &Transmit) -> Vec<Vec<u8>> {
        let mut slices = [IoSlice::new(&[]); 8];
        let count = transmit.chunks_vectored(&mut slices);
        slices[..count].iter().map(|slice| slice.to_vec()).collect()
    }

    #[test]
    fn small_frames_are_one_chunk_and_large_ones_their_own() {
        assert_eq!(vectored(&sample()), [&b"abcd"[..], b"LARGE", b"e"]);
        assert_eq!(sample().end(), 10);
    }

    #[test]
    fn advances_by_any_step() {
        for step in 1..=10 {
            let mut transmit = sample();
            let mut seen = Vec::new();
            while transmit.has_remaining() {
                let whole = vectored(&transmit).concat();
                assert_eq!(whole.len(), transmit.remaining());
                let taken = step.min(whole.len());
                seen.extend_from_slice(&whole[..taken]);
                transmit.advance(taken);
            }
            assert_eq!(seen, b"abcdLARGEe");
            assert_eq!((transmit.written(), transmit.end()), (10, 10));
            transmit.small(|out| out.push(b'x'));
            assert_eq!(transmit.chunk(), b"x");
        }
    }

    #[test]
    fn discards_what_is_not_written() {
        let mut transmit = sample();
        transmit.advance(3);
        transmit.discard();
        assert_eq!((transmit.remaining(), transmit.written(), transmit.end()), (0, 3, 3));
    }

    #[test]
    fn appends_behind_what_is_partly_written() {
        let mut transmit = sample();
        transmit.advance(9);
        transmit.small(|out| out.push(b'f'));
        assert_eq!(transmit.chunk(), b"ef");
    }

    #[test]
    fn what_has_gone_is_not_kept() {
        let mut transmit = Transmit::default();
        transmit.small(|out| out.resize(3 * KEPT, 7));
        transmit.advance(KEPT);
        assert_eq!(transmit.small.len(), 3 * KEPT, "not worth moving the others for");
        transmit.advance(1);
        assert_eq!((transmit.small.len(), transmit.remaining()), (2 * KEPT - 1, 2 * KEPT - 1));
        transmit.advance(2 * KEPT - 1);
        assert_eq!(transmit.small.len(), 0);
        assert!(transmit.small.capacity() <= KEPT);
    }

    #[test]
    fn gives_back_its_room_when_nothing_waits_and_forgets_nothing() {
        let mut transmit = sample();
        transmit.hold();
        transmit.advance(9);
        transmit.slim();
        assert_eq!(transmit.chunk(), b"e", "what waits is kept");
        transmit.advance(1);
        transmit.slim();
        assert_eq!((transmit.small.capacity(), transmit.chunks.capacity()), (0, 0));
        transmit.small(|out| out.push(b'x'));
        assert_eq!((transmit.written(), transmit.end(), transmit.is_due()), (10, 11, false));
        transmit.release();
        assert!(transmit.is_due());
    }
}
