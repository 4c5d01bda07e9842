//! How much of each call's messages may come: windows that grow with what the application takes, and messages larger
//! than their window, which are let in one after the other.

use std::collections::VecDeque;

use super::{CallId, Connection, receive::Reading};
use crate::{
    Cause, Event,
    bdp::Bdp,
    flow::{Given, Growth, ReceiveWindow},
    frame::{DEFAULT_WINDOW, WindowUpdate},
    stream::{Line, Stream},
};

/// By how much a window grows when half of it was taken: few steps to the largest, and none for those who need none.
const STEP: u32 = 4;

/// A window is no larger than this part of the memory that is left for all of them.
const SHARE: usize = 8;

/// How many messages of a call may wait for the application while the next is let in.
const AHEAD: usize = 1;

/// What was given to all calls beyond their initial windows, and who waits for more.
#[derive(Debug, Default)]
pub(super) struct Admission {
    given: Given,
    /// Messages that somebody waits for and that are let in but have not come whole.
    begun: usize,
    /// Calls with a message that somebody waits for, with their first, and with one that follows others: first come
    /// first. Those that do not wait any more are skipped.
    lines: [VecDeque<CallId>; 3],
    /// How many are in the lines.
    queued: usize,
}

/// The lines, the first before the second before the third.
const LINES: [Line; 3] = [Line::Now, Line::First, Line::Ahead];

impl Admission {
    /// Changes the window of a stream and keeps the books.
    fn change<R>(&mut self, window: &mut ReceiveWindow, how: impl FnOnce(&mut ReceiveWindow) -> R) -> R {
        let before = window.given();
        let result = how(window);
        let after = window.given();
        if before != after {
            self.given.window = self.given.window + after.window - before.window;
            self.given.lent = self.given.lent + after.lent - before.lent;
        }
        result
    }

    /// `count` bytes of a stream are used up: mostly much of its window is left, and that is all. False, and nothing is
    /// done, when it is not, or when a message has begun that may want more of it.
    #[inline]
    pub(super) fn use_up(&mut self, stream: &mut Stream, count: usize, bdp: &Bdp) -> bool {
        if stream.assembler.has_begun() || bdp.has_outgrown(stream.receive_window.size()) {
            return false;
        }
        let less = stream.receive_window.use_up_within(count);
        self.given.window -= less.unwrap_or(0);
        less.is_some()
    }

    /// A call has ended that stood like this.
    pub(super) fn end(&mut self, window: &ReceiveWindow, line: Line) {
        let given = window.given();
        self.given.window -= given.window;
        self.given.lent -= given.lent;
        self.leave(line);
    }

    fn leave(&mut self, line: Line) {
        self.begun -= usize::from(line == Line::Begun);
    }

    /// All that was given beyond initial windows.
    #[inline]
    pub(super) fn given_out(&self) -> usize {
        self.given.window + self.given.lent
    }

    /// Whether a message that lacks so many bytes may come. One that somebody waits for always may when it is the only
    /// one; one that does not need to be kept when no other is. What comes ahead of its reader leaves half of the memory
    /// to calls that cannot begin without theirs.
    fn has_room(&self, line: Line, lacking: usize, limit: usize) -> bool {
        let limit = if line == Line::Ahead { limit / 2 } else { limit };
        self.is_alone(line) || self.given.lent + lacking <= limit
    }

    /// Whether a message of this line would be the only one of its kind.
    fn is_alone(&self, line: Line) -> bool {
        if line == Line::Now { self.begun == 0 } else { self.given.lent == 0 }
    }

    fn push(&mut self, index: usize, call: CallId) {
        self.lines[index].push_back(call);
        self.queued += 1;
    }

    fn pop(&mut self, index: usize) {
        self.queued -= usize::from(self.lines[index].pop_front().is_some());
    }

    /// Forgets calls that wait no more once they are the most.
    fn prune(&mut self, live: usize, is_live: impl Fn(CallId) -> bool) {
        for line in &mut self.lines {
            if line.len() > 2 * live + 16 {
                let before = line.len();
                line.retain(|call| is_live(*call));
                self.queued -= before - line.len();
            }
        }
    }

    pub(super) fn slim(&mut self) {
        self.lines.iter_mut().for_each(VecDeque::shrink_to_fit);
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn given(&self) -> (usize, usize, usize) {
        (self.given.window, self.given.lent, self.begun)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn len(&self) -> usize {
        self.queued
    }
}

impl Connection {
    /// Somebody waits for the call's next message: one that is larger than the call's window, as told by
    /// [`Event::LargeMessage`], is let in before those that nobody waits for. At least one such message always is.
    /// Harmless when there is none, and after the call is over.
    pub fn want(&mut self, call: CallId) {
        if let Some(stream) = self.store.live(call).filter(|stream| stream.gated) {
            stream.awaited = true;
            self.unpack(call);
        }
        if self.lacking(call) == 0 {
            return;
        }
        let Some(stream) = self.store.live(call) else { return };
        if matches!(stream.line, Line::Out | Line::First | Line::Ahead) {
            self.line_up(call, Line::Now);
            self.admit();
        }
    }

    /// `count` bytes of a stream are used up.
    pub(super) fn open_stream_window(&mut self, call: CallId, count: usize) {
        let Some(stream) = self.store.live(call) else { return };
        if self.admission.use_up(stream, count, &self.bdp) {
            self.admit();
        } else {
            self.reopen_stream_window(call, count);
        }
    }

    /// [`open_stream_window`](Connection::open_stream_window) where that takes more than a [look](Admission::use_up).
    pub(super) fn reopen_stream_window(&mut self, call: CallId, count: usize) {
        let Some(stream) = self.store.live(call) else { return };
        let size = stream.receive_window.size();
        // One that has come as far as it does by being used grows as soon as the way to the peer is known to be longer.
        let grows = self.bdp.has_outgrown(size);
        let growth = if grows { Growth::AtOnce } else { Growth::WhenUsed };
        let increment = if stream.state.remote_may_send() && (grows || stream.receive_window.is_used(count)) {
            let size = if stream.discarding { size } else { self.window_for(size) };
            let Some(stream) = self.store.live(call) else { return };
            self.admission.change(&mut stream.receive_window, |window| window.release(count, size, growth))
        } else {
            self.admission.change(&mut stream.receive_window, |window| window.use_up(count))
        };
        let Some(stream) = self.store.live(call) else { return };
        if let Some(increment) = increment {
            let stream = stream.id;
            self.transmit.small(|out| WindowUpdate { stream, increment }.encode(out));
        }
        if stream.assembler.has_begun() {
            self.consider(call);
        } else {
            self.admit();
        }
    }

    /// What a window of this size becomes when it is announced anew: larger step by step while its messages are taken,
    /// and smaller the more was given to others or waits to be taken.
    fn window_for(&self, size: u32) -> u32 {
        if !self.settings_acknowledged {
            return size;
        }
        let limits = &self.config.limits;
        let taken = self.unread.max(self.admission.given.window);
        let share = (limits.unread.saturating_sub(taken) / SHARE).min(self.window_within_budget());
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        size.saturating_mul(STEP).min(self.bdp.stream_window()).min(share).max(limits.initial_stream_window)
    }

    /// The peer will send no more on this stream.
    pub(super) fn close_stream_window(&mut self, call: CallId) {
        let Some(stream) = self.store.live(call) else { return };
        self.admission.change(&mut stream.receive_window, ReceiveWindow::close);
    }

    /// The peer has acknowledged our SETTINGS, and with them the initial window.
    pub(super) fn settle_stream_windows(&mut self) {
        let initial = self.config.limits.initial_stream_window;
        let mut open = Vec::new();
        for stream in self.store.iter_mut().filter(|stream| stream.id != 0) {
            if stream.state.remote_may_send() {
                let settle = |window: &mut ReceiveWindow| window.settings_acknowledged(initial);
                self.admission.change(&mut stream.receive_window, settle);
            }
            if stream.state.remote_may_send() || stream.assembler.has_begun() {
                open.push(stream.call);
            }
        }
        // A message that was let in over a smaller window is let in still; and where more was taken than the window has
        // now, nothing may come that would give it back.
        open.into_iter().for_each(|call| self.reopen_stream_window(call, 0));
    }

    /// Looks after a call whose message may lack room in its window.
    pub(super) fn consider(&mut self, call: CallId) {
        if self.lacking(call) == 0 {
            return;
        }
        let Some(stream) = self.store.live(call) else { return };
        match stream.line {
            Line::Begun | Line::Admitted => return self.lend(call),
            Line::Out if !stream.begun => self.line_up(call, Line::First),
            Line::Out if stream.held_messages <= AHEAD => self.line_up(call, Line::Ahead),
            _ => {}
        }
        self.admit();
        if let Some(stream) = self.store.live(call)
            && !matches!(stream.line, Line::Begun | Line::Admitted)
            && !std::mem::replace(&mut stream.offered, true)
        {
            let waits = stream.line != Line::Out && self.account.timeout().is_none();
            self.events.push_back(Event::LargeMessage { call });
            if waits {
                self.strike(Cause::HeldBack, "incomplete: a large message waits until others have come");
            }
        }
    }

    /// How many bytes of the call's message there is no room for in its window.
    fn lacking(&self, call: CallId) -> usize {
        let Some(stream) = self.store.peek(call) else { return 0 };
        let paid = match &self.reading {
            Reading::Data(data) => data.left_of(call),
            _ => 0,
        };
        let lacking = stream.lacking(paid);
        if lacking == 0 {
            return 0;
        }
        // Before our SETTINGS are acknowledged they may have made a window larger already.
        let known = self.settings_acknowledged || self.config.limits.initial_stream_window <= DEFAULT_WINDOW;
        if !known || stream.discarding || !stream.state.remote_may_send() {
            return 0;
        }
        lacking
    }

    fn line_up(&mut self, call: CallId, line: Line) {
        let Some(stream) = self.store.live(call) else { return };
        stream.line = line;
        if let Some(index) = LINES.iter().position(|known| *known == line) {
            self.admission.push(index, call);
        }
        let store = &self.store;
        self.admission.prune(store.len(), |call| store.is_live(call));
    }

    /// Lets messages in, as many as may be.
    #[inline]
    pub(super) fn admit(&mut self) {
        if self.admission.queued > 0 {
            self.admit_in_line();
        }
    }

    fn admit_in_line(&mut self) {
        for (index, line) in LINES.into_iter().enumerate() {
            while let Some(call) = self.admission.lines[index].front().copied() {
                let lacking = self.lacking_in(call, line);
                if lacking > 0 && !self.may_come(call, line, lacking) {
                    return;
                }
                self.admission.pop(index);
                if lacking > 0 {
                    self.admission.begun += usize::from(line == Line::Now);
                    self.let_in(call, if line == Line::Now { Line::Begun } else { Line::Admitted });
                }
            }
        }
    }

    /// Whether a message that lacks so many bytes may come, by the connection's own bounds and by the budget.
    fn may_come(&mut self, call: CallId, line: Line, lacking: usize) -> bool {
        // What comes ahead of its reader does not come past the budget: somebody who waits for it says so.
        let (lent, alone) = (self.admission.given.lent, line != Line::Ahead && self.admission.is_alone(line));
        self.admission.has_room(line, lacking, self.config.limits.incomplete)
            && self.affords(call, lacking, lent, alone)
    }

    /// What the message of a call lacks that stands in this line; nothing when it has left it.
    fn lacking_in(&mut self, call: CallId, line: Line) -> usize {
        if self.store.peek(call).is_none_or(|stream| stream.line != line) {
            return 0;
        }
        let lacking = self.lacking(call);
        if lacking == 0
            && let Some(stream) = self.store.live(call)
        {
            stream.line = Line::Out;
        }
        lacking
    }

    fn let_in(&mut self, call: CallId, line: Line) {
        if let Some(stream) = self.store.live(call) {
            stream.line = line;
            self.lend(call);
        }
    }

    /// Opens the window for what is missing of a message.
    fn lend(&mut self, call: CallId) {
        let lacking = self.lacking(call);
        let Some(stream) = self.store.live(call) else { return };
        let increment = self.admission.change(&mut stream.receive_window, |window| window.extend(lacking));
        if let Some(increment) = increment {
            let stream = stream.id;
            self.transmit.small(|out| WindowUpdate { stream, increment }.encode(out));
        }
    }

    /// A message has come whole, for which the call may have waited in line.
    pub(super) fn message_came(&mut self, call: CallId) {
        let Some(stream) = self.store.live(call) else { return };
        stream.offered = false;
        let line = std::mem::take(&mut stream.line);
        self.admission.leave(line);
        self.admit();
    }

    /// Memory that messages take beyond what was given for them: what came in initial windows, and what keeping it
    /// costs.
    pub(super) fn overdraft(&self) -> usize {
        let Given { window, lent } = self.admission.given;
        (self.unread + self.incomplete).saturating_sub(window + lent)
    }
}

#[cfg(test)]
mod tests {
    use super::{Admission, LINES, Line};
    use crate::CallId;

    fn call(index: usize) -> CallId {
        CallId { index: index as u32, generation: 0 }
    }

    fn lengths(admission: &Admission) -> [usize; 3] {
        admission.lines.each_ref().map(|line| line.len())
    }

    #[test]
    fn a_line_is_looked_through_once_most_in_it_wait_no_more() {
        for (live, index) in [0, 1, 5].into_iter().flat_map(|live| (0..3).map(move |index| (live, index))) {
            let most = 2 * live + 16;
            let mut admission = Admission::default();
            admission.push((index + 1) % 3, call(1_000));
            (0..most).for_each(|count| admission.push(index, call(count)));
            admission.prune(live, |call| call.index < 2);
            assert_eq!((lengths(&admission)[index], admission.len()), (most, most + 1), "as many as there may be");
            admission.push(index, call(most));
            admission.prune(live, |call| call.index < 2);
            assert_eq!((lengths(&admission)[index], admission.len()), (2, 3), "line {index}, {live} calls");
            assert_eq!(lengths(&admission)[(index + 1) % 3], 1, "the others are not");
        }
    }

    #[test]
    fn what_is_in_line_is_counted() {
        let mut admission = Admission::default();
        (0..6).for_each(|count| admission.push(count % 3, call(count)));
        assert_eq!(admission.len(), 6);
        (0..9).for_each(|count| admission.pop(count % 3));
        assert_eq!((admission.len(), lengths(&admission)), (0, [0; 3]));
        admission.slim();
        assert_eq!(admission.lines.each_ref().map(|line| line.capacity()), [0; 3]);
    }

    /// What comes ahead of its reader leaves half of the memory to others, and what somebody waits for comes alone.
    #[test]
    fn there_is_room_for_a_part_of_what_may_be_lent() {
        let mut admission = Admission::default();
        for line in LINES {
            assert!(admission.has_room(line, 1_000, 100), "the only one of its kind");
        }
        admission.given.lent = 40;
        for (line, room) in [(Line::Now, 1_000), (Line::First, 60), (Line::Ahead, 10)] {
            assert!(admission.has_room(line, room, 100));
            assert_eq!(admission.has_room(line, room + 1, 100), line == Line::Now, "{line:?}");
        }
        admission.begun = 1;
        assert!(admission.has_room(Line::Now, 60, 100) && !admission.has_room(Line::Now, 61, 100));
    }
}
