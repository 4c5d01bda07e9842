//! When calls must be over.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use crate::CallId;

/// The deadlines of all calls, nearest first. Those of calls that have ended stay in until they come to the top, or
/// until they are the most, so that ending a call costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: BinaryHeap<Reverse<(Instant, CallId)>>,
}

/// How many entries are not worth cleaning up.
const FEW: usize = 64;

impl Deadlines {
    pub(crate) fn insert(&mut self, deadline: Instant, call: CallId) {
        self.heap.push(Reverse((deadline, call)));
    }

    /// The nearest deadline, exact after [`prune`](Deadlines::prune).
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((deadline, _))| *deadline)
    }

    /// A call whose deadline is not after `now`. It may have ended.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<CallId> {
        let Reverse((deadline, call)) = *self.heap.peek()?;
        if deadline > now {
            return None;
        }
        self.heap.pop();
        Some(call)
    }

    /// Forgets calls that have ended; `live` says how many have not.
    pub(crate) fn prune(&mut self, live: usize, is_live: impl Fn(CallId) -> bool) {
        if self.heap.len() > 2 * live + FEW {
            self.heap.retain(|Reverse((_, call))| is_live(*call));
        }
        while self.heap.peek().is_some_and(|Reverse((_, call))| !is_live(*call)) {
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Deadlines, FEW};
    use crate::CallId;

    fn call(index: u32) -> CallId {
        CallId { index, generation: 0 }
    }

    #[test]
    fn gives_the_due_ones_in_order() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        for seconds in [3, 1, 2] {
            deadlines.insert(at(seconds), call(seconds as u32));
        }
        assert_eq!(deadlines.next(), Some(at(1)));
        assert_eq!(deadlines.pop_due(at(2)), Some(call(1)));
        assert_eq!(deadlines.pop_due(at(2)), Some(call(2)));
        assert_eq!(deadlines.pop_due(at(2)), None);
    }

    #[test]
    fn forgets_calls_that_ended() {
        let start = Instant::now();
        let mut deadlines = Deadlines::default();
        for index in 0..(FEW as u32 + 5) {
            deadlines.insert(start + Duration::from_secs(u64::from(index)), call(index));
        }
        deadlines.prune(2, |live| live == call(1) || live == call(9));
        assert_eq!(deadlines.next(), Some(start + Duration::from_secs(1)));
        deadlines.prune(1, |live| live == call(9));
        assert_eq!(deadlines.next(), Some(start + Duration::from_secs(9)));
        assert_eq!(deadlines.heap.len(), 1);
    }

    #[test]
    fn looks_through_its_calls_once_most_have_ended() {
        for live in [0, 5] {
            let most = (2 * live + FEW) as u32;
            let start = Instant::now();
            let mut deadlines = Deadlines::default();
            // The first is the one that lives: those due before it are forgotten at any time.
            deadlines.insert(start, call(0));
            (1..most).for_each(|index| deadlines.insert(start + Duration::from_secs(1), call(index)));
            deadlines.prune(live, |live| live == call(0));
            assert_eq!(deadlines.heap.len(), most as usize, "as many as there may be");
            deadlines.insert(start + Duration::from_secs(1), call(most));
            deadlines.prune(live, |live| live == call(0));
            assert_eq!(deadlines.heap.len(), 1);
        }
    }
}
