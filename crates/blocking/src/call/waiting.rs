//! Threads that wait for a call: they read its connection, or are parked.

use std::{
    sync::{Arc, MutexGuard, PoisonError},
    time::Instant,
};

use super::{Call, CallState, Place, Waited};
use crate::leader;

impl Call {
    /// Waits until `done`; a client's thread reads the connection itself if no other does.
    pub fn wait(self: &Arc<Self>, until: Option<Instant>, done: &dyn Fn(&CallState) -> bool) -> Waited {
        let mut state = self.lock();
        if done(&state) {
            return Waited::Done;
        }
        state.waiting += 1;
        let wanted = state.inbox.is_empty() && std::mem::take(&mut state.large);
        drop(state);
        if wanted {
            self.with_engine(|engine, id| engine.want(id));
        }
        let waited = self.wait_for(until, done);
        self.lock().waiting -= 1;
        waited
    }

    fn wait_for(self: &Arc<Self>, until: Option<Instant>, done: &dyn Fn(&CallState) -> bool) -> Waited {
        loop {
            let state = self.lock();
            if done(&state) {
                return Waited::Done;
            }
            let connection = match (&state.place, state.connection()) {
                (Place::Gone, _) => return Waited::Done,
                (_, Some(connection)) if connection.can_be_led() || state.awaits_answer() => Arc::clone(connection),
                (_, Some(_)) => return self.park(state, until, done),
                (_, None) => {
                    let moved = |state: &CallState| {
                        state.connection().is_some() || matches!(state.place, Place::Gone) || done(state)
                    };
                    match self.park(state, until, &moved) {
                        Waited::Done => continue,
                        other => return other,
                    }
                }
            };
            drop(state);
            if !connection.can_be_led() {
                let waited = leader::wait_alone(&connection, self, until, done);
                return waited.unwrap_or_else(|| self.park(self.lock(), until, done));
            }
            match leader::wait(&connection, self, until, done) {
                // It may have gone back to waiting for a connection.
                Waited::Done if !self.lock().is_on(&connection) => {}
                other => return other,
            }
        }
    }

    /// Waits for [`update`](Call::update)s of others until `done`.
    pub(crate) fn park(
        &self,
        mut state: MutexGuard<'_, CallState>,
        until: Option<Instant>,
        done: &dyn Fn(&CallState) -> bool,
    ) -> Waited {
        state.parked += 1;
        let waited = loop {
            if done(&state) {
                break Waited::Done;
            }
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break Waited::TimedOut;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.parked -= 1;
        waited
    }
}
