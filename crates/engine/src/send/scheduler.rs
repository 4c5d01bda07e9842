use std::collections::VecDeque;

use crate::CallId;

/// Whose turn it is to send: round robin over the calls that have something ready. A call is in here at most once; the
/// flag that says so lies with its stream.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    ready: VecDeque<CallId>,
    /// Ready, but for the connection's window.
    blocked: VecDeque<CallId>,
}

/// How many entries are not worth cleaning up.
const FEW: usize = 64;

impl Scheduler {
    pub(crate) fn push(&mut self, call: CallId) {
        self.ready.push_back(call);
    }

    /// The next call; `open` says whether the connection's window is. Blocked calls are left alone until it is, and then
    /// taken one at a time: a window that opens by a byte must not cost a look at all of them.
    pub(crate) fn pop(&mut self, open: bool) -> Option<CallId> {
        let blocked = if open { self.blocked.pop_front() } else { None };
        blocked.or_else(|| self.ready.pop_front())
    }

    /// Sets a call aside until the connection's window opens.
    pub(crate) fn block(&mut self, call: CallId) {
        self.blocked.push_back(call);
    }

    /// Whether no other call waits for its turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.blocked.is_empty()
    }

    /// Forgets calls that have ended, once they are the most; `live` says how many have not. Their turns may never come.
    pub(crate) fn prune(&mut self, live: usize, is_live: impl Fn(CallId) -> bool) {
        if self.blocked.len() > 2 * live + FEW {
            self.blocked.retain(|call| is_live(*call));
        }
        if self.ready.len() > 2 * live + FEW {
            self.ready.retain(|call| is_live(*call));
        }
    }

    /// Turns that are due or blocked, those of calls that have ended included.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn len(&self) -> usize {
        self.ready.len() + self.blocked.len()
    }

    /// Gives back memory that is not in use.
    pub(crate) fn slim(&mut self) {
        self.ready.shrink_to_fit();
        self.blocked.shrink_to_fit();
    }

    pub(crate) fn clear(&mut self) {
        self.ready.clear();
        self.blocked.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{FEW, Scheduler};
    use crate::CallId;

    fn call(index: u32) -> CallId {
        CallId { index, generation: 0 }
    }

    #[test]
    fn blocked_calls_wait_for_the_window_and_go_first_then_one_at_a_time() {
        let mut scheduler = Scheduler::default();
        scheduler.block(call(1));
        scheduler.block(call(2));
        scheduler.push(call(3));
        assert!(!scheduler.is_idle());
        assert_eq!(scheduler.pop(false), Some(call(3)));
        assert_eq!(scheduler.pop(false), None);
        scheduler.push(call(4));
        assert_eq!(
            [true, false, true, true].map(|open| scheduler.pop(open)),
            [1, 4, 2, 0].map(|i| (i > 0).then(|| call(i)))
        );
        assert!(scheduler.is_idle());
    }

    #[test]
    fn turns_of_calls_that_have_ended_do_not_pile_up() {
        let mut scheduler = Scheduler::default();
        for index in 0..10_000 {
            scheduler.block(call(index));
            scheduler.push(call(index));
            scheduler.prune(1, |call| call.index == 0);
            assert!(scheduler.len() <= 2 * (FEW + 3));
        }
        assert_eq!(scheduler.pop(true), Some(call(0)), "one that lives is kept");
    }
}
