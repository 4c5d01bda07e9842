use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::{Class, TURN};
use crate::connection::{LARGE, Outgoing, Transmit};
use crate::grpc::message::PREFIX_LEN;

/// The messages of one call that wait to be sent, prefixes included, as one run of bytes: small ones copied one behind
/// the other, large ones referenced.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    copied: Vec<u8>,
    /// What lies before this in `copied` was taken.
    copied_start: usize,
    pieces: VecDeque<Piece>,
    len: usize,
    /// How many of the pieces are large.
    larges: usize,
    /// How much of the large message at the front is taken.
    taken: usize,
}

#[derive(Debug)]
enum Piece {
    /// This many bytes of `copied`.
    Copied(usize),
    Shared(Bytes),
    /// The body of a message longer than a [`TURN`]; its prefix is the end of the piece before.
    Large(Bytes),
}

/// What an empty queue may keep allocated for its next call.
const KEPT: usize = 4 << 10;

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push(&mut self, prefix: [u8; PREFIX_LEN], message: Outgoing<'_>) {
        let large = match message {
            Outgoing::Copied(message) if message.len() >= LARGE => Bytes::copy_from_slice(message),
            Outgoing::Shared(message) if message.len() >= LARGE => message,
            Outgoing::Copied(message) => return self.copy(prefix, message),
            Outgoing::Shared(message) => return self.copy(prefix, &message),
        };
        self.copy(prefix, &[]);
        self.len += large.len();
        self.larges += usize::from(large.len() > TURN);
        self.pieces.push_back(if large.len() > TURN { Piece::Large(large) } else { Piece::Shared(large) });
    }

    /// Messages that have their prefixes.
    pub(crate) fn push_wire(&mut self, wire: Bytes) {
        if wire.len() >= LARGE {
            self.len += wire.len();
            return self.pieces.push_back(Piece::Shared(wire));
        }
        self.copied.extend_from_slice(&wire);
        self.copied(wire.len());
    }

    /// A line that is no message and has no prefix.
    pub(crate) fn push_text(&mut self, line: &str) {
        self.copied.extend_from_slice(line.as_bytes());
        self.copied.push(b'\n');
        self.copied(line.len() + 1);
    }

    #[inline]
    fn copy(&mut self, prefix: [u8; PREFIX_LEN], message: &[u8]) {
        self.copied.extend_from_slice(&prefix);
        self.copied.extend_from_slice(message);
        self.copied(PREFIX_LEN + message.len());
    }

    /// So many bytes were put behind `copied`.
    fn copied(&mut self, added: usize) {
        self.len += added;
        match self.pieces.back_mut() {
            Some(Piece::Copied(length)) => *length += added,
            _ => self.pieces.push_back(Piece::Copied(added)),
        }
    }

    /// What comes next.
    #[inline]
    pub(crate) fn class(&self) -> Class {
        if self.larges == 0 { Class::Small } else { self.class_among_large() }
    }

    fn class_among_large(&self) -> Class {
        match (self.pieces.front(), self.pieces.get(1)) {
            (Some(Piece::Large(_)), _) => Class::Begun { taken: self.taken },
            (Some(Piece::Copied(length)), Some(Piece::Large(_))) if *length <= PREFIX_LEN => {
                if *length == PREFIX_LEN {
                    Class::Fresh
                } else {
                    Class::Begun { taken: 0 }
                }
            }
            _ => Class::Small,
        }
    }

    /// How much of what is of the same class comes next, as far as `most`: small messages before a large one, or a large
    /// one and no more.
    #[inline]
    pub(crate) fn portion(&self, most: usize) -> usize {
        if self.larges == 0 { most.min(self.len) } else { self.portion_among_large(most) }
    }

    fn portion_among_large(&self, most: usize) -> usize {
        let mut before = 0;
        for piece in &self.pieces {
            match piece {
                _ if before >= most => return most,
                Piece::Copied(length) => before += length,
                Piece::Shared(bytes) => before += bytes.len(),
                Piece::Large(bytes) if before <= PREFIX_LEN => return most.min(before + bytes.len()),
                Piece::Large(_) => return most.min(before - PREFIX_LEN),
            }
        }
        most.min(before)
    }

    /// Moves the first `count` bytes (at most [`len`](Queue::len)) to `out`.
    pub(crate) fn take(&mut self, count: usize, out: &mut Transmit) {
        debug_assert!(count <= self.len);
        self.len -= count;
        let mut left = count;
        while left > 0 {
            let Some(front) = self.pieces.front_mut() else { break };
            let (taken, whole) = match front {
                Piece::Copied(length) => {
                    let taken = left.min(*length);
                    let bytes = &self.copied[self.copied_start..][..taken];
                    out.small(|out| out.extend_from_slice(bytes));
                    self.copied_start += taken;
                    *length -= taken;
                    (taken, *length == 0)
                }
                Piece::Shared(bytes) | Piece::Large(bytes) => {
                    let taken = left.min(bytes.len());
                    self.taken += taken;
                    if taken >= LARGE {
                        out.large(bytes.split_to(taken));
                    } else {
                        out.small(|out| out.extend_from_slice(&bytes[..taken]));
                        bytes.advance(taken);
                    }
                    (taken, bytes.is_empty())
                }
            };
            left -= taken;
            if whole {
                self.larges -= usize::from(matches!(self.pieces.pop_front(), Some(Piece::Large(_))));
                self.taken = 0;
            }
        }
        self.reclaim();
    }

    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        (self.len, self.larges, self.taken) = (0, 0, 0);
        self.copied_start = self.copied.len();
        self.reclaim();
    }

    fn reclaim(&mut self) {
        if self.copied_start == self.copied.len() {
            self.copied.clear();
            self.copied.shrink_to(KEPT);
            self.copied_start = 0;
        } else if self.copied_start > KEPT && self.copied_start > self.copied.len() / 2 {
            self.copied.drain(..self.copied_start);
            self.copied_start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, Bytes};

    use super::{Class, KEPT, Queue, TURN};
    use crate::connection::{LARGE, Outgoing, Transmit};

    #[test]
    fn gives_back_the_same_bytes_in_any_portions() {
        let large = Bytes::from(vec![7; LARGE + 3]);
        let copied_large = vec![9; LARGE];
        let mut whole = b"PRE01abcPRE02".to_vec();
        whole.extend_from_slice(&large);
        whole.extend_from_slice(b"PRE03de");
        whole.extend_from_slice(b"PRE04");
        whole.extend_from_slice(&copied_large);
        whole.extend_from_slice(b"PRE05fPRE06");
        whole.extend_from_slice(&large);
        for portion in [1, 7, 4096, LARGE, LARGE + 1, whole.len()] {
            let mut queue = Queue::default();
            queue.push(*b"PRE01", Outgoing::Copied(b"abc"));
            queue.push(*b"PRE02", Outgoing::Shared(large.clone()));
            queue.push(*b"PRE03", Outgoing::Shared(Bytes::from_static(b"de")));
            queue.push(*b"PRE04", Outgoing::Copied(&copied_large));
            queue.push_wire(Bytes::from_static(b"PRE05fPRE06"));
            queue.push_wire(large.clone());
            assert_eq!(queue.len(), whole.len());
            let mut out = Transmit::default();
            while !queue.is_empty() {
                queue.take(portion.min(queue.len()), &mut out);
            }
            let length = out.remaining();
            assert!(out.copy_to_bytes(length) == whole, "portions of {portion}");
        }
    }

    #[test]
    fn tells_large_messages_from_small_ones_before_and_behind_them() {
        let large = TURN + 1;
        let mut queue = Queue::default();
        let mut out = Transmit::default();
        assert_eq!((queue.class(), queue.portion(100)), (Class::Small, 0));
        queue.push([0; 5], Outgoing::Copied(&[1; TURN]));
        queue.push([0; 5], Outgoing::Copied(b"abc"));
        for _ in 0..2 {
            queue.push([0; 5], Outgoing::Copied(&vec![2; large]));
        }
        queue.push([0; 5], Outgoing::Copied(b"abc"));
        let before = 5 + TURN + 5 + 3;
        assert_eq!((queue.class(), queue.portion(100), queue.portion(usize::MAX)), (Class::Small, 100, before));
        queue.take(before - 1, &mut out);
        assert_eq!((queue.class(), queue.portion(100)), (Class::Small, 1));
        queue.take(1, &mut out);
        assert_eq!((queue.class(), queue.portion(100), queue.portion(usize::MAX)), (Class::Fresh, 100, 5 + large));
        queue.take(2, &mut out);
        assert_eq!((queue.class(), queue.portion(usize::MAX)), (Class::Begun { taken: 0 }, 3 + large));
        queue.take(3, &mut out);
        assert_eq!(queue.class(), Class::Begun { taken: 0 });
        queue.take(large - 1, &mut out);
        assert_eq!((queue.class(), queue.portion(100)), (Class::Begun { taken: large - 1 }, 1));
        queue.take(1, &mut out);
        assert_eq!(queue.class(), Class::Fresh, "the next is not begun by the end of this one");
        queue.take(5 + large, &mut out);
        assert_eq!((queue.class(), queue.portion(100)), (Class::Small, 8));
        queue.push([0; 5], Outgoing::Copied(&vec![2; large]));
        queue.take(13 + 9, &mut out);
        assert_eq!(queue.class(), Class::Begun { taken: 9 });
        queue.clear();
        queue.push([0; 5], Outgoing::Copied(&vec![2; large]));
        queue.take(6, &mut out);
        assert_eq!(queue.class(), Class::Begun { taken: 1 }, "what was dropped is not counted");
    }

    #[test]
    fn references_large_messages() {
        let large = Bytes::from(vec![7; LARGE]);
        let mut queue = Queue::default();
        queue.push([0; 5], Outgoing::Shared(large.clone()));
        let mut out = Transmit::default();
        queue.take(queue.len(), &mut out);
        out.advance(5);
        assert_eq!(out.chunk().as_ptr(), large.as_ptr());
    }

    /// Small messages are copied one behind the other; a large one is a piece of its own behind its prefix, and one that
    /// takes more than a turn is known as such until it is gone.
    #[test]
    fn small_messages_share_a_piece_and_large_ones_have_their_own() {
        for (len, pieces, larges) in [(0, 1, 0), (LARGE - 1, 1, 0), (LARGE, 4, 0), (TURN, 4, 0), (TURN + 1, 4, 2)] {
            for shared in [false, true] {
                let body = Bytes::from(vec![1; len]);
                let mut queue = Queue::default();
                for _ in 0..2 {
                    queue.push([0; 5], if shared { Outgoing::Shared(body.clone()) } else { Outgoing::Copied(&body) });
                }
                assert_eq!((queue.pieces.len(), queue.larges), (pieces, larges), "{len} bytes, shared: {shared}");
                queue.take(queue.len(), &mut Transmit::default());
                assert_eq!((queue.pieces.len(), queue.larges), (0, 0), "{len} bytes, shared: {shared}");
            }
        }
        for (len, pieces) in [(LARGE - 1, 1), (LARGE, 2)] {
            let mut queue = Queue::default();
            for _ in 0..2 {
                queue.push_wire(Bytes::from(vec![1; len]));
            }
            assert_eq!(queue.pieces.len(), pieces, "a run of {len} bytes");
        }
    }

    /// What was copied and has gone is kept no longer than it takes to be much, and more than what is left.
    #[test]
    fn what_has_gone_is_not_kept() {
        for (whole, gone) in [(4 * KEPT, 2 * KEPT), (KEPT + 1000, KEPT)] {
            let (mut queue, mut out) = (Queue::default(), Transmit::default());
            queue.push_text(&"x".repeat(whole - 1));
            queue.take(gone, &mut out);
            assert_eq!(queue.copied.len(), whole, "{gone} of {whole} bytes are not worth it");
            queue.take(1, &mut out);
            assert_eq!(queue.copied.len(), whole - gone - 1);
            queue.take(queue.len(), &mut out);
            assert_eq!(queue.copied.len(), 0);
            assert!(queue.copied.capacity() <= KEPT);
        }
    }
}
