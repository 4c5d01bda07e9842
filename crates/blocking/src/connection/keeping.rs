//! Who looks after a connection: a thread that waits for a call, or the reactor.

use std::{
    sync::{Arc, MutexGuard, atomic::Ordering},
    time::Instant,
};

use farcall_engine::Role;
use farcall_system::socket::os_text;

use super::{Connection, Keeper, Notice, Ready, State};
use crate::leader::Alarm;

impl Connection {
    /// Makes the calling thread the one that looks after it.
    pub(crate) fn take_over(self: &Arc<Self>, state: &mut State) {
        self.reactor.unwatch(self, state);
        state.keeper = Keeper::Leader;
        state.uses += 1;
    }

    /// The leader leaves: a thread that waits takes over, else the reactor.
    pub(crate) fn leave(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        state.keeper = Keeper::Nobody;
        if state.over {
            return;
        }
        let now = Instant::now();
        if state.is_crowded() {
            self.give_to_reactor(&mut state, now);
        } else if let Some(follower) = state.followers.pop_front() {
            state.keeper = Keeper::Promised;
            follower.promote();
        }
        self.rest(state, now, Vec::new());
    }

    /// The end of every step: somebody looks after the connection from here on, and the owner hears what there is to
    /// tell, without the lock. (It is not taken again: another thread may wait for it already.)
    pub(super) fn rest(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now: Instant, mut notices: Vec<Notice>) {
        self.find_keeper(&mut state, now);
        if state.engine.error().is_some() && !state.over {
            // Nobody could.
            self.settle(&mut state, now, &mut notices);
        }
        drop(state);
        self.tell_owner(notices);
    }

    pub(super) fn find_keeper(self: &Arc<Self>, state: &mut State, now: Instant) {
        match state.keeper {
            Keeper::Nobody if state.needs_keeper() || self.role == Role::Server => self.give_to_reactor(state, now),
            Keeper::Nobody => self.reactor.linger(self, state),
            // It will look at the clock before it sleeps.
            Keeper::Promised => {}
            Keeper::Leader | Keeper::Reactor => {
                let due = state.engine.poll_timeout();
                if due.is_some_and(|due| state.armed.is_none_or(|armed| due < armed)) {
                    state.armed = due;
                    if state.keeper == Keeper::Leader { self.ring() } else { self.reactor.arm(self, state) }
                }
            }
        }
    }

    pub(crate) fn give_to_reactor(self: &Arc<Self>, state: &mut State, now: Instant) {
        if state.over {
            return;
        }
        state.armed = state.engine.poll_timeout();
        if let Err(error) = self.reactor.watch(self, state) {
            // Nobody can watch it: better lost now than silent for ever.
            state.engine.handle_transport_closed(&os_text(&error), now);
        }
    }

    pub(super) fn watch_room(&self, state: &mut State, now: Instant) {
        if let Err(error) = self.reactor.watch_room(self, state) {
            state.engine.handle_transport_closed(&os_text(&error), now);
        }
    }

    /// What wakes the leader; `None` when there is no descriptor for it.
    pub(crate) fn alarm(&self) -> Option<&Alarm> {
        self.alarm.get_or_init(|| Alarm::new().ok()).as_ref()
    }

    pub(super) fn ring(&self) {
        if let Some(Some(alarm)) = self.alarm.get() {
            alarm.ring();
        }
    }

    // For the reactor.

    /// The socket is ready; whether to come back because more may be there to read.
    pub(crate) fn handle_ready(self: &Arc<Self>, ready: Ready) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        if state.keeper != Keeper::Reactor {
            return false;
        }
        if ready.writable {
            state.blocked = false;
            if state.connecting && !self.finish_connecting(&mut state, now) {
                drop(self.settle_and_tell(state, now));
                return false;
            }
        }
        let mut notices = Vec::new();
        let more = ready.readable && !state.connecting && self.read(&mut state, ready.ended, now, &mut notices);
        if self.in_handshake() {
            self.handshaking.store(state.transport.in_handshake(), Ordering::Relaxed);
        }
        self.settle(&mut state, now, &mut notices);
        self.rest(state, now, notices);
        more
    }

    /// The handshake of the transport is over; whether it went well.
    fn finish_connecting(&self, state: &mut State, now: Instant) -> bool {
        state.connecting = false;
        match self.socket.take_error() {
            Ok(None) => {
                state.connected = true;
                true
            }
            Ok(Some(error)) | Err(error) => {
                state.engine.handle_transport_closed(&os_text(&error), now);
                false
            }
        }
    }

    /// The reactor's timer for it went off.
    pub(crate) fn handle_timer(self: &Arc<Self>, now: Instant) {
        let mut state = self.lock();
        state.timer = None;
        if state.keeper != Keeper::Reactor || state.over {
            return;
        }
        state.armed = None;
        let mut notices = Vec::new();
        if state.engine.poll_timeout().is_some_and(|due| due <= now) {
            state.engine.handle_timeout(now);
            self.settle(&mut state, now, &mut notices);
        }
        self.rest(state, now, notices);
        self.look_after_memory();
    }

    /// Asks whether all is quiet, without the lock.
    pub(crate) fn look_after_memory(&self) {
        self.reactor.look_after_memory();
    }
}
