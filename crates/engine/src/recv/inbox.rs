/// One contiguous buffer between the transport and the frame reader. It starts small, grows while reads fill it, and
/// never holds more than the frame that is being waited for and what came with it.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// All of it initialized, so that the hands can read into a plain slice.
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    filled_up: bool,
    /// Reads in a row that needed little of the buffer.
    small_reads: u32,
}

/// The first size, and the least room given to a read. Ten thousand connections that are idle have this each.
const MIN: usize = 1 << 10;

/// Past this size a larger read saves no more time.
const MAX: usize = 128 << 10;

/// After so many small reads a buffer that grew for large ones is given back.
const PATIENCE: u32 = 16;

impl Inbox {
    /// Room to read into: at least `wanted` bytes (what the frame begun still lacks), never empty.
    pub(crate) fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.small_reads >= PATIENCE {
                self.buffer = Vec::new();
            }
        }
        let wanted = wanted.max(MIN);
        let size = if self.filled_up { (self.buffer.len() * 2).min(MAX) } else { self.buffer.len() };
        self.filled_up = false;
        if self.buffer.len() - self.end < wanted {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let size = size.max(self.end + wanted);
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// Room for what follows a read into another place: little, for that place is full before this is touched.
    pub(crate) fn little_room(&mut self) -> &mut [u8] {
        let grows = std::mem::take(&mut self.filled_up);
        let room = self.room(0);
        let little = room.len().min(MIN);
        self.filled_up = grows;
        &mut self.buffer[self.end..][..little]
    }

    /// The first `len` bytes of the little room were filled. Says nothing about what reads are like.
    pub(crate) fn fill_little(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
    }

    /// The first `len` bytes of the room were filled.
    pub(crate) fn fill(&mut self, len: usize) {
        self.end = (self.end + len).min(self.buffer.len());
        self.filled_up = self.end == self.buffer.len();
        self.small_reads = if len < MIN && self.buffer.len() > 2 * MIN { self.small_reads + 1 } else { 0 };
    }

    /// Gives the memory back while nothing is in it.
    pub(crate) fn slim(&mut self) {
        if self.start == self.end {
            *self = Inbox::default();
        }
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// What was read and not yet used.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The first `len` of [`bytes`](Inbox::bytes) were used.
    pub(crate) fn consume(&mut self, len: usize) {
        self.start += len;
        debug_assert!(self.start <= self.end);
    }
}

#[cfg(test)]
mod tests {
    use super::{Inbox, MAX, MIN, PATIENCE};

    fn read(inbox: &mut Inbox, wanted: usize, bytes: &[u8]) {
        inbox.room(wanted)[..bytes.len()].copy_from_slice(bytes);
        inbox.fill(bytes.len());
    }

    #[test]
    fn keeps_what_is_not_used() {
        let mut inbox = Inbox::default();
        read(&mut inbox, 0, b"abcdef");
        inbox.consume(4);
        read(&mut inbox, 5 * MIN, b"gh");
        assert_eq!(inbox.bytes(), b"efgh");
        inbox.consume(4);
        assert_eq!(inbox.bytes(), b"");
    }

    #[test]
    fn grows_while_reads_fill_it_and_no_further_than_it_should() {
        let mut inbox = Inbox::default();
        for _ in 0..20 {
            let room = inbox.room(0).len();
            assert!((MIN..=MAX).contains(&room));
            inbox.fill(room);
            inbox.consume(room);
        }
        assert_eq!(inbox.room(0).len(), MAX);
    }

    #[test]
    fn shrinks_when_reads_become_small_again() {
        let mut inbox = Inbox::default();
        read(&mut inbox, MAX, b"large");
        inbox.consume(5);
        for _ in 1..PATIENCE {
            assert!(inbox.room(0).len() >= MAX);
            read(&mut inbox, 0, b"small");
            inbox.consume(5);
        }
        assert_eq!(inbox.room(0).len(), MIN);
        read(&mut inbox, 0, b"small");
        assert_eq!(inbox.bytes(), b"small");
    }

    #[test]
    fn never_gives_less_room_than_wanted() {
        let mut inbox = Inbox::default();
        read(&mut inbox, 0, &[0; MIN - 1]);
        inbox.consume(1);
        assert!(inbox.room(3 * MIN).len() >= 3 * MIN);
        assert_eq!(inbox.bytes().len(), MIN - 2);
    }

    /// What is not used yet moves to the front rather than that the buffer grows behind it.
    #[test]
    fn stays_as_large_as_reads_are_whatever_is_left_over() {
        let mut inbox = Inbox::default();
        for _ in 0..100 {
            read(&mut inbox, 0, &[7; MIN / 2]);
            inbox.consume(inbox.bytes().len() - 1);
        }
        assert!(inbox.capacity() <= 2 * MIN, "{}", inbox.capacity());
    }

    /// A buffer that is not much larger than small reads need is kept, and so is one whose reads are not small.
    #[test]
    fn a_buffer_that_is_needed_is_kept() {
        for (size, len, kept) in [(2 * MIN, 5, true), (2 * MIN + 1, 5, false), (MAX, MIN, true), (MAX, MIN - 1, false)]
        {
            let mut inbox = Inbox::default();
            for _ in 0..=PATIENCE {
                inbox.room(size);
                inbox.fill(len);
                inbox.consume(len);
            }
            assert_eq!(inbox.room(0).len() == size, kept, "{len} bytes in {size}");
        }
    }

    #[test]
    fn gives_back_its_buffer_when_nothing_is_in_it() {
        let mut inbox = Inbox::default();
        read(&mut inbox, 0, b"ab");
        inbox.slim();
        assert_eq!(inbox.bytes(), b"ab");
        inbox.consume(2);
        inbox.slim();
        assert_eq!(inbox.capacity(), 0);
    }
}
