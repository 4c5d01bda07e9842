use std::collections::VecDeque;

use crate::CallId;

/// What one call may send in its turn while others wait for theirs, in bytes; a message longer than this is a large one.
pub(crate) const TURN: usize = 32 << 10;

/// What one call may send in its turn while no other waits, or no other but those with large messages.
pub(crate) const LONG_TURN: usize = 256 << 10;

/// How many large messages are begun before one of them is finished, as far as it is this side that chooses.
const LARGE_AT_ONCE: usize = 4;

/// After so many bytes a large message counts no more as one of [`LARGE_AT_ONCE`], so that another is begun: a few that
/// are very long keep no other waiting until they are through.
const PATIENCE: usize = 16 << 20;

/// What a call has to send next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Messages that fit into a turn, or the end of the call.
    Small,
    /// A large message, nothing of which is sent.
    Fresh,
    /// The rest of a large message, and how much of it is sent.
    Begun { taken: usize },
}

/// Whose turn it is to send. A call is in here at most once; the flag that says so lies with its stream.
///
/// Small messages go round robin. Large ones are finished before more are begun, a few at a time, for each that is
/// incomplete takes memory at the peer. Between the two, bytes are shared evenly: a small message never waits for a
/// large one to end, and a stream of small ones never stops the large.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    small: VecDeque<CallId>,
    /// Small, and ready but for the connection's window.
    blocked: VecDeque<CallId>,
    /// Large messages to begin, in order.
    fresh: VecDeque<CallId>,
    /// Large messages to go on with, and whether each counts.
    begun: VecDeque<(CallId, bool)>,
    /// How many of `begun` count.
    counted: usize,
    /// How many are in the other queues than `small`.
    others: usize,
    /// What small messages may send before a large one has its turn.
    credit: usize,
}

/// How many entries are not worth cleaning up.
const FEW: usize = 64;

impl Scheduler {
    pub(crate) fn push(&mut self, call: CallId, class: Class) {
        match class {
            Class::Small => return self.small.push_back(call),
            Class::Fresh => self.fresh.push_back(call),
            Class::Begun { taken } => {
                let counts = taken < PATIENCE;
                self.counted += usize::from(counts);
                self.begun.push_back((call, counts));
            }
        }
        self.others += 1;
    }

    /// Whether it is nobody's turn.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.small.is_empty() && self.others == 0
    }

    /// The next call; `open` says whether the connection's window is. Until it is, only those with small messages are
    /// looked at, for some have nothing to send but their end, and the others are [`block`](Scheduler::block)ed. Then these
    /// are taken one at a time: a window that opens by a byte must not cost a look at all of them.
    pub(crate) fn pop(&mut self, open: bool) -> Option<CallId> {
        if !open || self.others == 0 { self.small.pop_front() } else { self.pop_any() }
    }

    fn pop_any(&mut self) -> Option<CallId> {
        if self.credit == 0
            && let Some(call) = self.pop_large()
        {
            return Some(call);
        }
        if let Some(call) = self.blocked.pop_front() {
            self.others -= 1;
            return Some(call);
        }
        self.small.pop_front().or_else(|| self.pop_large())
    }

    fn pop_large(&mut self) -> Option<CallId> {
        let fresh = if self.counted < LARGE_AT_ONCE { self.fresh.pop_front() } else { None };
        let call = fresh.or_else(|| {
            let (call, counts) = self.begun.pop_front()?;
            self.counted -= usize::from(counts);
            Some(call)
        })?;
        self.credit = TURN;
        self.others -= 1;
        Some(call)
    }

    /// How much the call whose turn it is may send.
    pub(crate) fn turn(&self, class: Class) -> usize {
        let alone = self.small.is_empty() && self.blocked.is_empty();
        let alone = alone && (class != Class::Small || (self.fresh.is_empty() && self.begun.is_empty()));
        if alone { LONG_TURN } else { TURN }
    }

    /// So many bytes of small messages were sent.
    pub(crate) fn charge(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_sub(bytes);
    }

    /// Sets a call with small messages aside until the connection's window opens.
    pub(crate) fn block(&mut self, call: CallId) {
        self.blocked.push_back(call);
        self.others += 1;
    }

    /// Forgets calls that have ended, once they are the most; `live` says how many have not. Their turns may never come.
    #[inline]
    pub(crate) fn prune(&mut self, live: usize, is_live: impl Fn(CallId) -> bool) {
        let most = 2 * live + FEW;
        if self.small.len() + self.others > most {
            self.forget(most, is_live);
        }
    }

    fn forget(&mut self, most: usize, is_live: impl Fn(CallId) -> bool) {
        for turns in [&mut self.small, &mut self.blocked, &mut self.fresh] {
            if turns.len() > most {
                turns.retain(|call| is_live(*call));
            }
        }
        if self.begun.len() > most {
            self.begun.retain(|(call, _)| is_live(*call));
            self.counted = self.begun.iter().filter(|(_, counts)| *counts).count();
        }
        self.others = self.blocked.len() + self.fresh.len() + self.begun.len();
    }

    /// Turns that are due or blocked, those of calls that have ended included.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn len(&self) -> usize {
        self.small.len() + self.others
    }

    /// Gives back memory that is not in use.
    pub(crate) fn slim(&mut self) {
        for turns in [&mut self.small, &mut self.blocked, &mut self.fresh] {
            turns.shrink_to_fit();
        }
        self.begun.shrink_to_fit();
    }

    pub(crate) fn clear(&mut self) {
        *self = Scheduler::default();
    }
}

#[cfg(test)]
mod tests {
    use super::{Class, FEW, LARGE_AT_ONCE, LONG_TURN, PATIENCE, Scheduler, TURN};
    use crate::CallId;

    fn call(index: u32) -> CallId {
        CallId { index, generation: 0 }
    }

    fn popped(scheduler: &mut Scheduler) -> Option<u32> {
        scheduler.pop(true).map(|call| call.index)
    }

    #[test]
    fn blocked_calls_wait_for_the_window_and_go_first_then_one_at_a_time() {
        let mut scheduler = Scheduler::default();
        scheduler.block(call(1));
        scheduler.block(call(2));
        scheduler.push(call(3), Class::Small);
        assert_eq!(scheduler.pop(false), Some(call(3)));
        assert_eq!(scheduler.pop(false), None);
        scheduler.push(call(4), Class::Small);
        assert_eq!(
            [true, false, true, true].map(|open| scheduler.pop(open)),
            [1, 4, 2, 0].map(|i| (i > 0).then(|| call(i)))
        );
    }

    #[test]
    fn large_messages_wait_for_the_window_and_are_not_looked_at() {
        let mut scheduler = Scheduler::default();
        scheduler.push(call(1), Class::Fresh);
        scheduler.push(call(2), Class::Begun { taken: 1 });
        assert_eq!(scheduler.pop(false), None);
        assert_eq!([popped(&mut scheduler), popped(&mut scheduler), popped(&mut scheduler)], [Some(1), Some(2), None]);
    }

    /// As many as may be are begun, then these go round; as one of them ends the next is begun.
    #[test]
    fn large_messages_are_finished_before_more_are_begun() {
        let most = LARGE_AT_ONCE as u32;
        let mut scheduler = Scheduler::default();
        for index in 0..2 * most {
            scheduler.push(call(index), Class::Fresh);
        }
        for round in 0..3 {
            for index in 0..most {
                assert_eq!(popped(&mut scheduler), Some(index), "round {round}");
                scheduler.push(call(index), Class::Begun { taken: TURN });
            }
        }
        assert_eq!(popped(&mut scheduler), Some(0));
        assert_eq!(popped(&mut scheduler), Some(most), "the first was the last of its message");
        scheduler.push(call(most), Class::Begun { taken: TURN });
        assert_eq!(popped(&mut scheduler), Some(1));
    }

    #[test]
    fn a_very_long_message_stops_counting_and_goes_on() {
        let mut scheduler = Scheduler::default();
        for index in 0..LARGE_AT_ONCE as u32 {
            scheduler.push(call(index), Class::Begun { taken: PATIENCE - 1 });
        }
        scheduler.push(call(100), Class::Fresh);
        assert_eq!(popped(&mut scheduler), Some(0));
        scheduler.push(call(0), Class::Begun { taken: PATIENCE });
        assert_eq!(popped(&mut scheduler), Some(100));
        scheduler.push(call(100), Class::Begun { taken: 1 });
        scheduler.push(call(101), Class::Fresh);
        let rest: Vec<_> = std::iter::from_fn(|| popped(&mut scheduler)).take(3).collect();
        assert_eq!(rest, [1, 101, 2]);
    }

    /// Small ones go for as many bytes as a large one had, and a large one goes when these are used up.
    #[test]
    fn small_and_large_share_the_bytes() {
        let mut scheduler = Scheduler::default();
        scheduler.push(call(9), Class::Begun { taken: 1 });
        for index in 0..3 {
            scheduler.push(call(index), Class::Small);
        }
        assert_eq!(popped(&mut scheduler), Some(9));
        scheduler.push(call(9), Class::Begun { taken: 1 });
        assert_eq!(popped(&mut scheduler), Some(0));
        scheduler.charge(TURN - 1);
        assert_eq!(popped(&mut scheduler), Some(1));
        scheduler.charge(1);
        assert_eq!(popped(&mut scheduler), Some(9));
        assert_eq!(popped(&mut scheduler), Some(2));
        scheduler.charge(TURN);
        scheduler.push(call(3), Class::Small);
        assert_eq!(popped(&mut scheduler), Some(3), "there is no large one");
    }

    #[test]
    fn a_turn_is_long_while_no_small_message_waits() {
        let large = Class::Begun { taken: 1 };
        let mut scheduler = Scheduler::default();
        assert_eq!((scheduler.turn(Class::Small), scheduler.turn(large)), (LONG_TURN, LONG_TURN));
        scheduler.push(call(1), Class::Fresh);
        assert_eq!((scheduler.turn(Class::Small), scheduler.turn(large)), (TURN, LONG_TURN));
        assert_eq!(popped(&mut scheduler), Some(1));
        scheduler.push(call(1), large);
        assert_eq!((scheduler.turn(Class::Small), scheduler.turn(large)), (TURN, LONG_TURN));
        scheduler.block(call(2));
        assert_eq!((scheduler.turn(Class::Fresh), scheduler.turn(large)), (TURN, TURN));
        assert_eq!(popped(&mut scheduler), Some(2));
        scheduler.push(call(2), Class::Small);
        assert_eq!(scheduler.turn(large), TURN);
    }

    #[test]
    fn turns_of_calls_that_have_ended_do_not_pile_up() {
        let mut scheduler = Scheduler::default();
        for index in 0..10_000 {
            scheduler.block(call(index));
            for class in [Class::Small, Class::Fresh, Class::Begun { taken: 1 }] {
                scheduler.push(call(index), class);
            }
            scheduler.prune(1, |call| call.index == 0);
            assert!(scheduler.len() <= 4 * (FEW + 3));
        }
        assert!(!scheduler.is_empty());
        scheduler.prune(0, |call| call.index == 0);
        assert!(scheduler.counted <= scheduler.begun.len());
        assert_eq!(scheduler.pop(true), Some(call(0)), "one that lives is kept");
        while popped(&mut scheduler).is_some() {}
        assert!(scheduler.is_empty());
        assert_eq!(scheduler.len(), 0);
    }

    fn turns(count: usize, kind: usize, scheduler: &mut Scheduler) {
        for index in 0..count as u32 {
            match kind {
                0 => scheduler.push(call(index), Class::Small),
                1 => scheduler.block(call(index)),
                2 => scheduler.push(call(index), Class::Fresh),
                _ => scheduler.push(call(index), Class::Begun { taken: 1 }),
            }
        }
    }

    #[test]
    fn calls_that_live_keep_their_turns_whatever_their_kind() {
        let mut scheduler = Scheduler::default();
        for (kind, count) in [70, 80, 90, 100].into_iter().enumerate() {
            turns(count, kind, &mut scheduler);
        }
        scheduler.prune(1, |_| true);
        assert_eq!(scheduler.len(), 340);
        assert_eq!(std::iter::from_fn(|| popped(&mut scheduler)).count(), 340);
        assert_eq!((scheduler.counted, scheduler.is_empty()), (0, true));
    }

    #[test]
    fn turns_are_looked_through_once_those_of_a_kind_are_many_more_than_calls() {
        for (live, kind) in [0, 5].into_iter().flat_map(|live| (0..4).map(move |kind| (live, kind))) {
            let most = 2 * live + FEW;
            let mut scheduler = Scheduler::default();
            turns(most, kind, &mut scheduler);
            scheduler.prune(live, |_| false);
            assert_eq!(scheduler.len(), most, "as many as there may be");
            turns(1, (kind + 1) % 4, &mut scheduler);
            scheduler.prune(live, |_| false);
            assert_eq!(scheduler.len(), most + 1, "no kind has more");
            turns(1, kind, &mut scheduler);
            scheduler.prune(live, |_| false);
            assert_eq!(scheduler.len(), 1, "kind {kind} had one more");
            scheduler.clear();
            assert_eq!((scheduler.is_empty(), scheduler.len()), (true, 0));
        }
    }

    #[test]
    fn an_empty_scheduler_gives_back_its_room() {
        let mut scheduler = Scheduler::default();
        (0..4).for_each(|kind| turns(100, kind, &mut scheduler));
        while popped(&mut scheduler).is_some() {}
        scheduler.slim();
        let Scheduler { small, blocked, fresh, begun, .. } = scheduler;
        assert_eq!([small.capacity(), blocked.capacity(), fresh.capacity(), begun.capacity()], [0; 4]);
    }
}
