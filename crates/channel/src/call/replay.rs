use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Bytes that all calls of a channel may keep to be sent again.
#[derive(Debug)]
pub struct Budget {
    left: AtomicUsize,
}

impl Budget {
    /// One of so many bytes.
    pub fn new(bytes: usize) -> Budget {
        Budget { left: AtomicUsize::new(bytes) }
    }

    /// Bytes that nobody keeps.
    pub fn left(&self) -> usize {
        self.left.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: usize) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give(&self, bytes: usize) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What an attempt has sent of its call's requests.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Cursor(usize);

/// The next that an attempt has to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Piece<M> {
    /// A message.
    Message(M),
    /// There are no more.
    HalfClose,
}

/// The requests of one call, as long as they may have to be sent again.
///
/// `M` is the hands' message, or several: it is cloned, and never looked into. Each attempt pulls what it has room for
/// through its own [`Cursor`]. Once an attempt has won, what it has sent is freed.
#[derive(Debug)]
pub struct Replay<M> {
    pieces: VecDeque<(M, usize)>,
    /// Pieces that were freed.
    freed: usize,
    /// What the pieces here hold.
    bytes: usize,
    /// What has been taken of the budget.
    taken: usize,
    most: usize,
    budget: Option<Arc<Budget>>,
    half_closed: bool,
    committed: bool,
}

impl<M: Clone> Replay<M> {
    /// An empty one that keeps `most` bytes, and of a channel's together what the budget has.
    pub fn new(most: usize, budget: Option<Arc<Budget>>) -> Replay<M> {
        Replay {
            pieces: VecDeque::new(),
            freed: 0,
            bytes: 0,
            taken: 0,
            most,
            budget,
            half_closed: false,
            committed: false,
        }
    }

    /// The application sends a message of so many bytes; an empty one counts as one, for it is kept too. Says `false` when that is more than is kept: then
    /// [`Rpc::handle_overflow`](super::Rpc::handle_overflow) says whose call it is, and [`commit`](Replay::commit) is next.
    #[must_use]
    pub fn push(&mut self, message: M, bytes: usize) -> bool {
        let bytes = bytes.max(1);
        self.pieces.push_back((message, bytes));
        self.bytes += bytes;
        if self.committed {
            return true;
        }
        if self.bytes > self.most || self.budget.as_ref().is_some_and(|budget| !budget.take(bytes)) {
            return false;
        }
        self.taken += bytes;
        true
    }

    /// The application sends no more.
    pub fn half_close(&mut self) {
        self.half_closed = true;
    }

    /// What the attempt with this cursor sends next, if it has not sent all there is.
    pub fn next(&mut self, cursor: &mut Cursor) -> Option<Piece<M>> {
        let at = cursor.0.checked_sub(self.freed)?;
        if at == 0
            && self.committed
            && let Some((message, bytes)) = self.pieces.pop_front()
        {
            self.bytes -= bytes;
            (self.freed, cursor.0) = (self.freed + 1, cursor.0 + 1);
            return Some(Piece::Message(message));
        }
        match self.pieces.get(at) {
            Some((message, _)) => {
                cursor.0 += 1;
                Some(Piece::Message(message.clone()))
            }
            None if self.half_closed && at == self.pieces.len() => {
                cursor.0 += 1;
                Some(Piece::HalfClose)
            }
            None => None,
        }
    }

    /// Whether there is a message that the attempt with this cursor has not sent.
    pub(super) fn has_message(&self, cursor: Cursor) -> bool {
        cursor.0 < self.freed + self.pieces.len()
    }

    /// Whether the attempt with this cursor has sent all there is, and that there is no more if that is so.
    pub(super) fn is_sent(&self, cursor: Cursor) -> bool {
        cursor.0 >= self.freed + self.pieces.len() + usize::from(self.half_closed)
    }

    /// Bytes that the attempt with this cursor has not sent.
    pub fn ahead(&self, cursor: Cursor) -> usize {
        let sent = cursor.0.saturating_sub(self.freed);
        self.pieces.iter().skip(sent).map(|(_, bytes)| bytes).sum()
    }

    /// The attempt with this cursor has won: what it has sent is freed, and so is from now on what it sends. The others get
    /// nothing any more.
    pub fn commit(&mut self, winner: Cursor) {
        self.committed = true;
        self.give_back();
        while self.freed < winner.0
            && let Some((_, bytes)) = self.pieces.pop_front()
        {
            self.bytes -= bytes;
            self.freed += 1;
        }
    }

    /// What it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl<M> Replay<M> {
    fn give_back(&mut self) {
        let taken = std::mem::take(&mut self.taken);
        self.budget.take().inspect(|budget| budget.give(taken));
    }
}

impl<M> Drop for Replay<M> {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(replay: &mut Replay<&'static str>, cursor: &mut Cursor) -> String {
        let mut text = String::new();
        while let Some(piece) = replay.next(cursor) {
            match piece {
                Piece::Message(message) => text += message,
                Piece::HalfClose => text.push('.'),
            }
        }
        text
    }

    #[test]
    fn each_attempt_sends_all_from_the_beginning_and_the_end_once() {
        let mut replay = Replay::new(100, None);
        let (mut first, mut second) = (Cursor::default(), Cursor::default());
        assert!(replay.push("a", 1) && replay.push("b", 1));
        assert_eq!(all(&mut replay, &mut first), "ab");
        assert!(replay.push("c", 1));
        assert_eq!((replay.ahead(first), replay.ahead(second)), (1, 3));
        replay.half_close();
        assert_eq!(all(&mut replay, &mut second), "abc.");
        assert_eq!(all(&mut replay, &mut first), "c.");
        assert_eq!(all(&mut replay, &mut first), "");
    }

    #[test]
    fn the_winner_goes_on_and_what_it_sends_is_freed() {
        let mut replay = Replay::new(100, None);
        let (mut winner, mut loser) = (Cursor::default(), Cursor::default());
        assert!(replay.push("a", 1) && replay.push("b", 1) && replay.push("c", 1));
        assert_eq!(replay.next(&mut winner), Some(Piece::Message("a")));
        replay.commit(winner);
        assert_eq!(replay.bytes(), 2);
        assert_eq!(replay.next(&mut loser), None, "what it needs is gone");
        assert_eq!(all(&mut replay, &mut winner), "bc");
        assert!(replay.push("d", 1_000_000), "nothing is kept any more");
        replay.half_close();
        assert_eq!(all(&mut replay, &mut winner), "d.");
        assert_eq!(all(&mut replay, &mut winner), "");
        assert_eq!(replay.bytes(), 0);
    }

    #[test]
    fn a_call_keeps_so_much_and_no_byte_more() {
        let mut replay = Replay::new(11, None);
        assert!(replay.push("a", 11));
        assert!(!replay.push("b", 1));
        assert_eq!(all(&mut replay, &mut Cursor::default()), "ab", "it is sent all the same");

        let mut replay = Replay::new(11, None);
        assert!(replay.push("a", 10) && replay.push("", 0));
        assert!(!replay.push("", 0), "an empty one is kept too");
    }

    #[test]
    fn a_channel_keeps_so_much_for_all_its_calls_and_gets_it_back() {
        let budget = Arc::new(Budget::new(10));
        let replay = || Replay::new(100, Some(Arc::clone(&budget)));
        let (mut first, mut second) = (replay(), replay());
        assert!(first.push("a", 6) && second.push("b", 4));
        assert!(!second.push("c", 1), "one past it");
        second.commit(Cursor::default());
        assert_eq!(budget.left(), 4);
        drop((first, second));
        assert_eq!(budget.left(), 10);
    }
}
