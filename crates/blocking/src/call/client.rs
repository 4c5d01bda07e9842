//! What only a client does with its calls: they wait for connections, and attempts at them may be made again.

use std::{
    sync::{Arc, Weak},
    time::Instant,
};

use bytes::Bytes;
use farcall_channel::{
    MethodConfig, Ticket, Waiting,
    call::{Budget, Plan},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::Encoding;
use farcall_system::{
    channelz::Tally,
    message::{Message, too_large},
};

use super::{Call, CallState, Place, locally_ended};
use crate::{
    attempts::{At, Trial},
    channel::Channel,
    notifier::Notifier,
};

/// What a call asked for before it had a connection.
#[derive(Default)]
pub struct Outbox {
    pub(crate) channel: Weak<Channel>,
    /// `/package.Service/Method`.
    pub path: String,
    /// Sent at its beginning.
    pub metadata: Metadata,
    /// `None` leaves it to the service config.
    pub wait_for_ready: Option<bool>,
    /// How its messages are compressed.
    pub encoding: Encoding,
    pub(crate) messages: Vec<Bytes>,
    /// Of all messages.
    pub(crate) bytes: usize,
    /// How many bytes are kept to be sent again.
    pub(crate) retry_buffer: usize,
    /// No more messages will be sent.
    pub half_closed: bool,
    /// It waits for metadata that somebody else makes, and goes nowhere before.
    pub held: bool,
    /// Its name among those that wait.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) tally: Option<Tally>,
}

impl Outbox {
    /// Of a call of this method with this metadata, and no requests yet.
    pub fn new(path: String, metadata: Metadata) -> Outbox {
        Outbox { path, metadata, ..Outbox::default() }
    }

    pub(crate) fn push(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.messages.push(message);
    }
}

impl Call {
    /// A call of a client that has no connection yet.
    pub(crate) fn of_client(
        mut outbox: Outbox,
        deadline: Option<Instant>,
        notifier: Arc<Notifier>,
        config: Option<Arc<MethodConfig>>,
        plan: Option<(Box<Plan>, &Arc<Budget>)>,
    ) -> Arc<Call> {
        let tally = outbox.tally.take();
        let outbox = Box::new(outbox);
        let hedges = plan.as_ref().is_some_and(|(plan, _)| plan.hedges());
        let place = match plan {
            None => Place::Waiting(outbox),
            Some((plan, budget)) => Place::Trying(Box::new(Trial::new(outbox, plan, budget))),
        };
        let mut call =
            Call::new(deadline, Some(notifier), config, None, CallState { place, tally, ..CallState::default() });
        call.hedges = hedges;
        Arc::new(call)
    }

    /// Client: no more messages will be sent.
    pub fn half_close(self: &Arc<Self>) {
        let tries = {
            let mut state = self.lock();
            if let Place::Waiting(outbox) = &mut state.place {
                outbox.half_closed = true;
                return;
            }
            matches!(state.place, Place::Trying(_))
        };
        if tries && self.send_by_attempts(Trial::half_close) {
            return;
        }
        // Over or half-closed already: nothing is left to say.
        let _ = self.with_engine(|engine, id| {
            if let Some(replay) = &mut self.lock().replay {
                replay.half_closed = true;
            }
            engine.half_close(id)
        });
    }

    /// Client: why the service config does not allow this request, if it does not.
    pub(super) fn refuse_request(&self, message: &Message<'_>) -> Option<Status> {
        too_large("Sent", message.len(), self.config.as_ref()?.max_request)
    }

    /// Client: why the service config does not allow this response, if it does not.
    pub(crate) fn refuse_response(&self, message: &Bytes) -> Option<Status> {
        too_large("Received", message.len(), self.config.as_ref()?.max_response)
    }

    /// Client: ends a call that still waits for a connection, with `status`. No lock may be held.
    pub(crate) fn fail_waiting(self: &Arc<Self>, status: Status) {
        let mut state = self.lock();
        if state.outbox().is_some() {
            let attempts = state.give_up();
            let ended = state.end(locally_ended(status));
            drop(state);
            attempts.into_iter().for_each(At::cancel);
            self.after_end(ended);
        }
    }

    /// Client: what the channel's brain needs to know of a call that is to wait; `None` when it does not wait any more.
    pub(crate) fn waiting(&self) -> Option<Waiting> {
        let mut state = self.lock();
        let outbox = state.outbox()?;
        let waiting = Waiting::new(outbox.path.as_str(), outbox.wait_for_ready.unwrap_or(false), self.deadline);
        Some(waiting.with_metadata(&outbox.metadata))
    }

    /// Client: its name among those that wait; false when it does not wait any more.
    pub(crate) fn set_ticket(&self, ticket: Ticket) -> bool {
        let mut state = self.lock();
        let Some(outbox) = state.outbox() else { return false };
        outbox.ticket = Some(ticket);
        true
    }

    /// Client: the metadata that a held call waited for is here; false when it was not waited for.
    pub fn proceed(self: &Arc<Self>, metadata: &Metadata) -> bool {
        let (channel, ticket) = {
            let mut state = self.lock();
            let Some(outbox) = state.outbox() else { return false };
            if !std::mem::take(&mut outbox.held) {
                return false;
            }
            // Only their sum can be too much, and that the server says.
            let _ = outbox.metadata.extend(metadata);
            (outbox.channel.upgrade(), outbox.ticket)
        };
        match channel {
            Some(channel) => ticket.iter().for_each(|ticket| channel.resume(*ticket)),
            None => self.fail_waiting(Status::new(Code::Cancelled, "Channel deallocated!")),
        }
        true
    }
}

impl CallState {
    /// Client: what it asks for, as long as it may have to be asked for on another connection.
    pub(super) fn outbox(&mut self) -> Option<&mut Outbox> {
        match &mut self.place {
            Place::Waiting(outbox) => Some(outbox),
            Place::Trying(trial) => Some(&mut trial.outbox),
            Place::On(..) | Place::Gone => None,
        }
    }

    /// Client: attempts at it that nothing is to come of.
    pub(super) fn give_up(&mut self) -> Vec<At> {
        match &mut self.place {
            Place::Trying(trial) => trial.give_up(),
            Place::Waiting(_) | Place::On(..) | Place::Gone => Vec::new(),
        }
    }
}

/// How a call ends whose deadline passed before it had a connection.
pub(crate) fn deadline_exceeded() -> Status {
    Status::new(Code::DeadlineExceeded, "Deadline Exceeded")
}
