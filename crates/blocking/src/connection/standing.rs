//! Streams that the channel opens on a client's connection for itself: servers say on them how they are. They are no calls.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use farcall_channel::{StreamId, StreamRequest};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Event};

use super::{Connection, Notice, State};

/// A stream that the channel has opened.
pub(super) struct Standing {
    call: CallId,
    id: StreamId,
    max_message: usize,
}

impl Connection {
    /// Opens a stream of the channel's own; false when the connection takes none.
    pub(crate) fn open_stream(self: &Arc<Self>, id: StreamId, request: StreamRequest, authority: &str) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        let StreamRequest { path, message, max_message } = request;
        let opening = farcall_engine::Request { path, authority, metadata: &Metadata::new(), deadline: None };
        let Ok(call) = state.engine.open(opening, now) else { return false };
        // A refusal means that it has just ended, which an event will tell.
        let _ = state.engine.send_message(call, Bytes::from(message));
        let _ = state.engine.half_close(call);
        state.standing.push(Standing { call, id, max_message });
        let mut notices = Vec::new();
        self.settle(&mut state, now, &mut notices);
        self.rest(state, now, notices);
        true
    }

    /// Ends a stream of the channel's own.
    pub(crate) fn end_stream(self: &Arc<Self>, id: StreamId) {
        let found = self.lock().standing.iter().find(|standing| standing.id == id).map(|standing| standing.call);
        if let Some(call) = found {
            let status = Status::new(Code::Cancelled, "the channel has no more use for it");
            self.step(|engine, _| engine.cancel(call, status));
        }
    }
}

impl State {
    /// Hands on what comes on a stream of the channel's own; gives back what does not.
    pub(super) fn tell_stream(&mut self, event: Event, notices: &mut Vec<Notice>) -> Option<Event> {
        let call = match &event {
            Event::Headers { call, .. }
            | Event::Message { call, .. }
            | Event::LargeMessage { call }
            | Event::Writable { call }
            | Event::Closed { call, .. } => *call,
            _ => return Some(event),
        };
        let Some(index) = self.standing.iter().position(|standing| standing.call == call) else { return Some(event) };
        let Standing { id, max_message, .. } = self.standing[index];
        match event {
            Event::Message { message, .. } if message.len() > max_message => {
                let text = format!("CLIENT: Received message larger than max ({} vs. {max_message})", message.len());
                self.engine.cancel(call, Status::new(Code::ResourceExhausted, text));
            }
            Event::Message { message, .. } => {
                self.engine.release(call, message.len());
                notices.push(Notice::StreamMessage(id, message));
            }
            Event::LargeMessage { .. } => self.engine.want(call),
            Event::Closed { closed, .. } => {
                self.standing.swap_remove(index);
                notices.push(Notice::StreamEnded(id, closed.status));
            }
            _ => {}
        }
        None
    }
}
