use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
    time::Instant,
};

use farcall_core::{Metadata, Status};

use super::State;
use crate::{
    CallId, Closed,
    connection::Packed,
    flow::{ReceiveWindow, SendWindow},
    grpc::{
        encoding::{Encoding, Encodings},
        subtype::Media,
    },
    recv::Assembler,
    send::Queue,
};

/// One call and its stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) call: CallId,
    /// 0 as long as the call waits for a stream.
    pub(crate) id: u32,
    pub(crate) state: State,
    /// The call has ended: its `Closed` is told or waits to be polled, and nothing else happens to it.
    pub(crate) over: bool,
    /// The application has half-closed (client) or responded (server).
    pub(crate) finished: bool,
    /// Server: not a call but a request that is refused once it has come whole. The application never hears of it.
    pub(crate) refused: Option<Box<Refused>>,
    /// Client: where the request's HEADERS end in the connection's output.
    pub(crate) request_end: u64,
    /// Server: response headers are sent.
    pub(crate) headers_sent: bool,
    /// The application has taken a message of it. A handler that waits for its first has not: to have many begin for
    /// nothing is what a flood of resets is about.
    pub(crate) begun: bool,
    /// The call was over before the application heard of it, and it never will.
    pub(crate) unheard: bool,
    /// Client: response headers have arrived.
    pub(crate) headers_received: bool,
    /// Messages of the peer are not wanted any more, or are not gRPC's.
    pub(crate) discarding: bool,
    /// The scheduler has it.
    pub(crate) scheduled: bool,
    /// The send buffer is full: `Writable` is owed.
    pub(crate) crowded: bool,
    /// Client: `:status`.
    pub(crate) http: u16,
    /// DATA still to come by content-length.
    pub(crate) content_length: Option<u64>,
    pub(crate) deadline: Option<Instant>,
    /// Server: from then on a reset by the client is for its deadline, as far as can be known.
    pub(crate) excused_from: Option<Instant>,
    pub(crate) queue: Queue,
    pub(crate) send_window: SendWindow,
    pub(crate) receive_window: ReceiveWindow,
    pub(crate) assembler: Assembler,
    /// Where the message begun stands that is larger than the window, and whether the application has been told of it.
    pub(crate) line: Line,
    pub(crate) offered: bool,
    /// Messages that wait compressed, and those behind them; what they cost; whether one is held back because too much
    /// is unread, and somebody waits for it.
    pub(crate) packed: VecDeque<Packed>,
    pub(crate) packed_cost: usize,
    pub(crate) gated: bool,
    pub(crate) awaited: bool,
    /// What came behind them: a client's last message (server), the end of the call (client).
    pub(crate) half_closed_behind: bool,
    pub(crate) ended: Option<Box<Closed>>,
    /// Server: size of the request's header list.
    pub(crate) header_list: usize,
    /// Bytes of messages that the application has, and their number.
    pub(crate) held: usize,
    pub(crate) held_messages: usize,
    /// Bytes of messages that it has taken and is not done with.
    pub(crate) in_hand: usize,
    /// By how much what the application has is longer than it was in its compressed form: so much of what it releases
    /// opens no window.
    pub(crate) inflated: usize,
    /// How messages are compressed that go out, and how the peer may have them.
    pub(crate) encoding: Encoding,
    pub(crate) accepted: Encodings,
    /// The content-type of headers that go out.
    pub(crate) media: Media,
    /// Server: what is sent when the queue is empty.
    pub(crate) answer: Option<Answer>,
    /// Client: the request, as long as it waits for a stream.
    pub(crate) waiting: Option<Box<Waiting>>,
}

/// Where a message stands that is larger than its call's window.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Line {
    /// There is none, or others of its call are to be taken before.
    #[default]
    Out,
    /// Somebody waits for it.
    Now,
    /// It is the first of its call, and waits for its turn.
    First,
    /// The application has taken others of its call, and it waits for its turn.
    Ahead,
    /// It is let in.
    Admitted,
    /// It is let in because somebody waits for it.
    Begun,
}

/// The `:status` of an answer to a request that is not gRPC's, and the status that tells why.
pub(crate) type Refused = (u16, Status);

/// Trailers that wait for messages to go first.
pub(crate) type Answer = Box<(Status, Metadata)>;

/// A request that waits for a stream.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) path: String,
    pub(crate) authority: String,
    pub(crate) metadata: Metadata,
}

impl Stream {
    /// How many bytes of the message begun there is no room for in the window, when so many of it have been `paid`.
    #[inline]
    pub(crate) fn lacking(&self, paid: usize) -> usize {
        self.receive_window.lacks(self.assembler.missing().saturating_sub(paid))
    }

    fn vacant(call: CallId) -> Stream {
        Stream {
            call,
            id: 0,
            state: State::Idle,
            over: true,
            finished: false,
            refused: None,
            request_end: 0,
            headers_sent: false,
            begun: false,
            unheard: false,
            headers_received: false,
            discarding: false,
            scheduled: false,
            crowded: false,
            http: 0,
            content_length: None,
            deadline: None,
            excused_from: None,
            queue: Queue::default(),
            send_window: SendWindow::new(0),
            receive_window: ReceiveWindow::new(0),
            assembler: Assembler::default(),
            line: Line::Out,
            offered: false,
            packed: VecDeque::new(),
            packed_cost: 0,
            gated: false,
            awaited: false,
            half_closed_behind: false,
            ended: None,
            header_list: 0,
            held: 0,
            held_messages: 0,
            in_hand: 0,
            inflated: 0,
            encoding: Encoding::Identity,
            accepted: Encodings::IDENTITY,
            media: Media::default(),
            answer: None,
            waiting: None,
        }
    }
}

/// All calls of a connection: slots that are used again, found by handle or by stream id.
#[derive(Debug, Default)]
pub(crate) struct Store {
    slots: Vec<Stream>,
    vacant: Vec<u32>,
    ids: HashMap<u32, u32, BuildHasherDefault<IdHasher>>,
    /// The stream that was found last, and its slot: frames of one stream often come together. Stream 0 is none.
    recent: (u32, u32),
    /// How the streams that closed last did so, newest at the back.
    closed: VecDeque<(u32, State)>,
    live: usize,
    /// The generation that new slots begin with: above those of slots that were given back.
    generation: u32,
}

/// How many closed streams are remembered, to tell what was in flight from what breaks the protocol.
const REMEMBERED: usize = 128;

impl Store {
    /// A new call, without a stream as yet.
    pub(crate) fn insert(&mut self) -> &mut Stream {
        let index = self.vacant.pop().unwrap_or_else(|| {
            let index = self.slots.len() as u32;
            if index == 0 {
                // Many a connection has one call at a time, and a vector would begin with room for four.
                self.slots.reserve_exact(1);
            }
            self.slots.push(Stream::vacant(CallId { index, generation: self.generation }));
            index
        });
        self.live += 1;
        let stream = &mut self.slots[index as usize];
        stream.over = false;
        stream
    }

    /// The handle's call has a stream from now on.
    pub(crate) fn link(&mut self, call: CallId, id: u32) {
        self.ids.insert(id, call.index);
    }

    /// The call, unless it is over.
    pub(crate) fn live(&mut self, call: CallId) -> Option<&mut Stream> {
        self.slots.get_mut(call.index()).filter(|stream| stream.call == call && !stream.over)
    }

    pub(crate) fn is_live(&self, call: CallId) -> bool {
        self.peek(call).is_some()
    }

    /// [`live`](Store::live), to look only.
    pub(crate) fn peek(&self, call: CallId) -> Option<&Stream> {
        self.slots.get(call.index()).filter(|stream| stream.call == call && !stream.over)
    }

    /// The call of a stream that is not closed.
    pub(crate) fn by_id(&mut self, id: u32) -> Option<&mut Stream> {
        if self.recent.0 != id || id == 0 {
            self.recent = (id, *self.ids.get(&id)?);
        }
        self.slots.get_mut(self.recent.1 as usize)
    }

    /// How a stream that is neither open nor idle closed; `None` when that is forgotten, or when its id was skipped.
    pub(crate) fn closed_state(&self, id: u32) -> Option<State> {
        self.closed.iter().rev().find(|(closed, _)| *closed == id).map(|(_, state)| *state)
    }

    /// A stream has closed: it is found no more, and how it closed is remembered. Does nothing when it was not open.
    pub(crate) fn unlink(&mut self, id: u32, state: State) {
        if self.ids.remove(&id).is_some() {
            self.recent = (0, 0);
            self.remember(id, state);
        }
    }

    /// Remembers how a stream closed.
    pub(crate) fn remember(&mut self, id: u32, state: State) {
        if self.closed.len() == REMEMBERED {
            self.closed.pop_front();
        }
        self.closed.push_back((id, state));
    }

    /// The call has ended. Its slot stays taken until [`free`](Store::free).
    pub(crate) fn end(&mut self, call: CallId) {
        let Some(stream) = self.live(call) else { return };
        let mut queue = std::mem::take(&mut stream.queue);
        queue.clear();
        *stream = Stream { queue, scheduled: stream.scheduled, ..Stream::vacant(call) };
        self.live -= 1;
    }

    /// A call that has ended, whose slot is not free yet.
    pub(crate) fn ended(&mut self, call: CallId) -> Option<&mut Stream> {
        self.slots.get_mut(call.index()).filter(|stream| stream.call == call && stream.over)
    }

    /// The application knows that the call has ended: its slot may be used again.
    pub(crate) fn free(&mut self, call: CallId) {
        let slot = &mut self.slots[call.index()];
        debug_assert!(slot.over && slot.call == call);
        slot.unheard = false;
        slot.call.generation = slot.call.generation.wrapping_add(1);
        slot.scheduled = false;
        self.vacant.push(call.index);
    }

    /// Gives back memory that is not in use; all slots, when no call has one.
    pub(crate) fn slim(&mut self) {
        self.ids.shrink_to_fit();
        if self.vacant.len() < self.slots.len() {
            return;
        }
        if let Some(last) = self.slots.iter().map(|slot| slot.call.generation).max() {
            self.generation = last.wrapping_add(1);
        }
        (self.slots, self.vacant) = (Vec::new(), Vec::new());
    }

    #[cfg(test)]
    pub(crate) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Calls that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Streams that are not closed.
    pub(crate) fn streams(&self) -> usize {
        self.ids.len()
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Stream> {
        self.slots.iter().filter(|stream| !stream.over)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.slots.iter_mut().filter(|stream| !stream.over)
    }
}

/// Spreads stream ids, which count up by two, over the map's buckets. A peer that picks its ids can make a few collide
/// but not many: they only go up, and no more are kept than streams may be open.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        let hash = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = hash ^ hash >> 32;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{REMEMBERED, Store};
    use crate::stream::State;

    #[test]
    fn a_stale_handle_is_never_mistaken() {
        let mut store = Store::default();
        let first = store.insert().call;
        store.end(first);
        assert!(!store.is_live(first));
        let meanwhile = store.insert().call;
        assert_ne!(meanwhile.index(), first.index(), "a slot is not used again before it is freed");
        store.free(first);
        let second = store.insert().call;
        assert_eq!(second.index(), first.index());
        assert!(store.is_live(second) && !store.is_live(first));
        assert_eq!(store.len(), 2);
    }

    #[test]
    fn slots_that_were_given_back_leave_no_handle_that_could_be_mistaken() {
        let mut store = Store::default();
        let calls: Vec<_> = std::iter::repeat_with(|| store.insert().call).take(3).collect();
        for call in &calls {
            store.end(*call);
        }
        store.free(calls[0]);
        store.free(calls[1]);
        store.slim();
        assert_eq!(store.slots.len(), 3, "the application does not know of the last one's end");
        store.free(calls[2]);
        store.slim();
        assert_eq!(store.slots.capacity(), 0);
        let next = store.insert().call;
        assert_eq!(next.index(), 0);
        assert!(!calls.contains(&next) && calls.iter().all(|call| !store.is_live(*call)));
    }

    #[test]
    fn finds_open_streams_by_id_and_no_others() {
        let mut store = Store::default();
        let calls = [1, 3].map(|id| {
            let call = store.insert().call;
            store.link(call, id);
            (id, call)
        });
        assert!(store.by_id(0).is_none());
        for _ in 0..2 {
            for (id, call) in calls {
                assert_eq!(store.by_id(id).map(|stream| stream.call), Some(call));
                assert!(store.by_id(5).is_none());
            }
        }
        store.unlink(3, State::Ended);
        assert!(store.by_id(3).is_none(), "though it was found last");
        assert_eq!(store.by_id(1).map(|stream| stream.call), Some(calls[0].1));
    }

    #[test]
    fn remembers_how_the_last_streams_closed() {
        let mut store = Store::default();
        for id in 0..=REMEMBERED as u32 {
            store.remember(id, State::Ended);
        }
        assert_eq!(store.closed_state(0), None);
        assert_eq!(store.closed_state(1), Some(State::Ended));
        assert_eq!(store.closed.len(), REMEMBERED);
    }
}
