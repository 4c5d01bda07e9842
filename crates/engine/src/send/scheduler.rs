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

impl Scheduler {
    pub(crate) fn push(&mut self, call: CallId) {
        self.ready.push_back(call);
    }

    pub(crate) fn pop(&mut self) -> Option<CallId> {
        self.ready.pop_front()
    }

    /// Sets a call aside until the connection's window opens.
    pub(crate) fn block(&mut self, call: CallId) {
        self.blocked.push_back(call);
    }

    /// The connection's window has opened.
    pub(crate) fn unblock(&mut self) {
        self.ready.append(&mut self.blocked);
    }

    /// Whether no other call waits for its turn.
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty()
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
