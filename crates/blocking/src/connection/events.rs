//! What the brain of a connection tells, and whom.

use std::{sync::Arc, time::Instant};

use farcall_channel::Connectivity;
use farcall_engine::{CallId, Event};
use farcall_system::{memory, reports::Remark, trace};

use super::{Connection, Notice, State};
use crate::{
    attempts::Fate,
    call::{Call, CallState, Place},
};

impl Connection {
    /// Hands on what the brain has to tell; whether there was anything.
    pub(super) fn tell_events(self: &Arc<Self>, state: &mut State, now: Instant, notices: &mut Vec<Notice>) -> bool {
        let before = state.told;
        while let Some(event) = state.engine.poll_event() {
            state.told += 1;
            self.tell(state, event, now, notices);
        }
        state.told != before
    }

    /// Hands one event to the call it belongs to, or notes it for the owner.
    fn tell(self: &Arc<Self>, state: &mut State, event: Event, now: Instant, notices: &mut Vec<Notice>) {
        notices.extend(trace::event(&self.peer, &state.engine, &event).map(Notice::Trace));
        let event = if state.standing.is_empty() {
            event
        } else {
            let Some(event) = state.tell_stream(event, notices) else { return };
            event
        };
        match event {
            Event::Ready => {
                self.entity.becomes(Connectivity::Ready);
                notices.push(Notice::Ready);
            }
            Event::Draining => notices.push(Notice::Draining),
            Event::Struck { cause, what, times } => notices.push(Notice::Remark(Remark::of_bound(cause, what, times))),
            Event::Disconnected(error) => {
                notices.extend(Remark::of_end(&error, &state.transport).map(Notice::Remark));
                let refused = state.transport.failure();
                notices.push(Notice::Lost { why: error.to_string(), connected: state.connected, refused });
            }
            Event::Request { call: id, head } => {
                let call = Call::of_server(self, id, head.deadline, state.transport.auth());
                state.place(id, Arc::clone(&call));
                notices.push(Notice::Request(call, head));
            }
            Event::Headers { call: id, metadata } => {
                state.answered = true;
                if let Some(Some(call)) = state.calls.get(id.index()) {
                    let losers = call.update(|call| call.headers_arrived(self, id, metadata));
                    if !losers.is_empty() {
                        notices.extend(losers.into_iter().map(Notice::Cancel));
                    }
                }
            }
            Event::Message { call: id, message } => {
                let Some(Some(call)) = state.calls.get(id.index()) else { return };
                if call.hedges && !call.lock().takes(self, id) {
                    return;
                }
                if let Some(status) = call.refuse_response(&message) {
                    // The server may have ended it already.
                    call.lock().refused = Some(status.clone());
                    state.engine.cancel(id, status);
                    return;
                }
                self.entity.received();
                memory::arrives(message.len());
                notices.extend(call.update(|call| call.message_arrived(message)).map(Notice::Receivable));
            }
            Event::HalfClosed { call: id } => {
                if let Some(Some(call)) = state.calls.get(id.index()) {
                    notices.extend(call.update(CallState::half_close_arrived).map(Notice::Receivable));
                }
            }
            Event::LargeMessage { call: id } => {
                let Some(Some(call)) = state.calls.get(id.index()) else { return };
                let mut call = call.lock();
                if matches!(call.place, Place::Trying(_)) && !call.takes(self, id) {
                    return;
                }
                if call.is_large_awaited() {
                    drop(call);
                    state.engine.want(id);
                } else if call.awaits_request() {
                    drop(call);
                    state.ask(id);
                }
            }
            Event::Writable { call: id } => {
                let State { calls, engine, .. } = state;
                if let Some(Some(call)) = calls.get(id.index()) {
                    call.update(|call| call.room_again(engine, self, id));
                }
            }
            Event::Closed { call: id, mut closed } => {
                if let Some(call) = state.calls.get_mut(id.index()).and_then(Option::take) {
                    state.answered |= closed.completed;
                    let (fate, others) = call.update(|call| call.attempt_ended(self, id, &closed, now));
                    if !others.is_empty() {
                        notices.extend(others.into_iter().map(Notice::Cancel));
                    }
                    match fate {
                        Fate::Over => {}
                        Fate::Again { elsewhere } => return notices.push(Notice::Again { call, elsewhere }),
                        Fate::Lost => return,
                    }
                    let callbacks = call.update(|call| {
                        if let Some(status) = call.refused.take() {
                            closed.status = status;
                            closed.completed = false;
                        }
                        call.end(closed)
                    });
                    notices.push(Notice::Ended(call, callbacks));
                }
            }
            _ => {}
        }
    }
}

impl State {
    pub(super) fn place(&mut self, id: CallId, call: Arc<Call>) {
        let index = id.index();
        if self.calls.len() <= index {
            self.calls.resize_with(index + 1, || None);
        }
        self.calls[index] = Some(call);
    }

    /// Server: a call that is given to the pool once its request is here lacks that, which is too large to come unless
    /// somebody waits for it.
    pub(super) fn ask(&mut self, id: CallId) {
        self.asked.push_back(id);
        // Those that have ended are skipped later, and forgotten when they are the most.
        if self.asked.len() > 2 * self.calls.len() + 16 {
            let mut asked = std::mem::take(&mut self.asked);
            asked.retain(|id| self.lacks_request(*id));
            self.asked = asked;
        }
    }

    pub(super) fn lacks_request(&self, id: CallId) -> bool {
        let call = self.calls.get(id.index()).and_then(Option::as_ref);
        call.is_some_and(|call| call.lock().lacks_request(id))
    }

    /// Server: waits for the next of these requests, once a thread has taken the one before: as many come as the pool has use
    /// for, whatever paused calls have taken up, and no more wait for a thread. Says whether it did.
    pub(super) fn ask_next(&mut self) -> bool {
        let asking = self.asking.and_then(|id| Some((id, self.calls.get(id.index())?.as_ref()?)));
        if asking.is_some_and(|(id, call)| call.lock().is_before_handler(id)) {
            return false;
        }
        self.asking = None;
        while let Some(id) = self.asked.pop_front() {
            if self.lacks_request(id) {
                self.asking = Some(id);
                self.engine.want(id);
                return true;
            }
        }
        false
    }
}
