//! New calls handed straight to threads of the pool that have just finished one and wait for the next.
//!
//! A thread pool of Python costs a call some Python on the reactor's thread and a fight over the interpreter. A thread
//! that waits here costs one wake-up.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use farcall_engine::RequestHead;
use farcall_system::lock;

use crate::call::Call;

/// A call that nobody serves yet.
pub type NewCall = (Arc<Call>, Box<RequestHead>);

/// Where threads wait.
#[derive(Default)]
pub struct Handover {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    /// No more than threads wait.
    calls: VecDeque<NewCall>,
    waiting: usize,
    closed: bool,
}

impl Handover {
    /// Gives away as many of `calls` as threads wait for one, the first first.
    pub fn give(&self, calls: &mut Vec<NewCall>) {
        let mut state = lock(&self.state);
        let count = calls.len().min(state.waiting - state.calls.len());
        if count > 0 {
            state.calls.extend(calls.drain(..count));
            drop(state);
            for _ in 0..count {
                self.more.notify_one();
            }
        }
    }

    /// Waits for a call, as long as `patience`.
    pub fn take(&self, patience: Duration) -> Option<NewCall> {
        let mut state = lock(&self.state);
        if !state.closed {
            state.waiting += 1;
            let nothing = |state: &mut State| state.calls.is_empty() && !state.closed;
            let waited = self.more.wait_timeout_while(state, patience, nothing);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.waiting -= 1;
        }
        state.calls.pop_front()
    }

    /// Nobody waits any more.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.more.notify_all();
    }
}
