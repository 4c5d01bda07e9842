//! What only a server does with its calls.

use std::{sync::Arc, time::Instant};

use farcall_core::{Metadata, Status};
use farcall_engine::{CallError, CallId, Encoding};
use farcall_system::{Callback, channelz::Tally, message::Message, transport::Auth};

use super::{Call, CallState, Place};
use crate::connection::Connection;

/// A server's last message.
pub struct Last<'a> {
    /// The message.
    pub message: Message<'a>,
    /// Whether it may be compressed.
    pub compress: bool,
}

impl Call {
    /// A call that a server received.
    pub(crate) fn of_server(
        connection: &Arc<Connection>,
        id: CallId,
        deadline: Option<Instant>,
        auth: Option<Auth>,
    ) -> Arc<Call> {
        let place = Place::On(Arc::clone(connection), id);
        let peer = Arc::clone(&connection.peer);
        let tally = Some(Tally::of_server(&connection.entity));
        Arc::new(Call::new(deadline, None, None, auth, CallState { place, peer, tally, ..CallState::default() }))
    }

    /// Server: how its messages are compressed from now on; too late once the headers are gone.
    pub fn set_encoding(self: &Arc<Self>, encoding: Encoding) {
        // What is left to do then is nothing: the messages go as the headers said.
        let _ = self.with_engine(|engine, id| engine.set_encoding(id, encoding));
    }

    /// Server: sends initial metadata now.
    pub fn send_headers(self: &Arc<Self>, metadata: &Metadata) -> Result<(), CallError> {
        self.with_engine(|engine, id| engine.send_headers(id, metadata)).unwrap_or(Err(CallError::NoSuchCall))
    }

    /// Server: answers, with a last message if given, in one write.
    pub fn finish(self: &Arc<Self>, message: Option<Last<'_>>, status: &Status, trailers: &Metadata) -> bool {
        let answered = self.with_engine(|engine, id| {
            if let Some(Last { message, compress }) = message {
                engine.send_message_with(id, message.into_outgoing(), compress)?;
                self.lock().count_sent();
            }
            engine.respond(id, status, trailers)
        });
        matches!(answered, Some(Ok(())))
    }

    /// Server: refuses a call whose method reads messages of another codec.
    pub fn refuse_subtype(self: &Arc<Self>, codec: &str) {
        // A call that is over needs no answer.
        let _ = self.with_engine(|engine, id| engine.refuse_subtype(id, codec));
    }

    /// Has `callback` run once there is something to receive, or nothing will come; false when that is so already.
    pub fn when_receivable(&self, callback: Callback) -> bool {
        let mut state = self.lock();
        if state.receivable() {
            return false;
        }
        state.when_receivable = Some(callback);
        if std::mem::take(&mut state.large)
            && let Place::On(connection, id) = &state.place
        {
            let (connection, id) = (Arc::clone(connection), *id);
            drop(state);
            connection.ask_for(id);
        }
        true
    }
}

impl CallState {
    /// Server: whether this is the call, and it waits for its request.
    pub(crate) fn lacks_request(&self, id: CallId) -> bool {
        self.awaits_request() && matches!(&self.place, Place::On(_, mine) if *mine == id)
    }

    /// Server: whether this is the call, and no thread has taken its request.
    pub(crate) fn is_before_handler(&self, id: CallId) -> bool {
        let waits = self.awaits_request() || !self.inbox.is_empty();
        waits && matches!(&self.place, Place::On(_, mine) if *mine == id)
    }

    /// Server: whether it goes to a thread only once its request is here, and that is not so.
    pub(crate) fn awaits_request(&self) -> bool {
        self.when_receivable.is_some()
    }

    /// No more messages will come; what waited for one.
    pub(crate) fn half_close_arrived(&mut self) -> Option<Callback> {
        self.half_closed = true;
        self.when_receivable.take()
    }
}
