//! Streams of the channel's own, which its brain opens on its connections: not calls of the application.

use std::{
    future::poll_fn,
    sync::{Arc, Weak},
    time::Instant,
};

use farcall_channel::{StreamEvent, StreamId, StreamRequest, balancer::Done};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::Encoding;
use tokio::runtime::Handle;

use crate::{
    call::Receiver,
    mailbox::{Command, Mailbox, Open},
    pump::{Pump, STOPPED},
    slot::Slot,
};

/// A stream that is open, as the pump keeps it.
#[derive(Debug)]
pub(crate) struct Standing {
    mailbox: Arc<Mailbox>,
    slot: Arc<Slot>,
}

impl Standing {
    /// Ends it.
    pub(crate) fn cancel(self) {
        let status = Status::new(Code::Cancelled, "the channel has no more use for it");
        let _ = self.mailbox.post(Command::Cancel(self.slot, status));
    }
}

/// A stream whose end is reported exactly once, also when its task is dropped.
struct Reading {
    pump: Weak<Pump>,
    id: StreamId,
    ended: bool,
}

/// Opens a stream, and reports to the brain what comes on it.
pub(crate) fn open(pump: &Arc<Pump>, id: StreamId, mailbox: Arc<Mailbox>, request: StreamRequest) {
    let mut reading = Reading { pump: Arc::downgrade(pump), id, ended: false };
    let open = Open {
        path: request.path.into(),
        authority: Arc::clone(&pump.authority),
        metadata: Metadata::new(),
        deadline: None,
        encoding: Encoding::Identity,
        subtype: "",
        unary: Some(request.message.into()),
        taken: false,
    };
    let slot = Arc::new(Slot::of_channel());
    if mailbox.post(Command::Open(Box::new(open), Arc::clone(&slot))).is_err() {
        return reading.end(&Status::new(Code::Unavailable, "the connection takes no more streams"));
    }
    pump.note_stream(id, Standing { mailbox: Arc::clone(&mailbox), slot: Arc::clone(&slot) });
    let receiver = Receiver::of_client(mailbox, slot, Done::default()).bounded(Some(request.max_message));
    // Outside of a runtime it ends at once.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(reading.run(receiver));
    }
}

impl Reading {
    async fn run(mut self, mut receiver: Receiver) {
        while let Some(message) = poll_fn(|context| receiver.poll_message(context)).await {
            if !self.tell(StreamEvent::Message(&message)) {
                return;
            }
        }
        let closed = poll_fn(|context| receiver.poll_closed(context)).await;
        self.end(&closed.status);
    }

    fn end(&mut self, status: &Status) {
        if !std::mem::replace(&mut self.ended, true) {
            self.tell(StreamEvent::Ended(status));
        }
    }

    /// Says whether the brain still has use for it.
    fn tell(&self, event: StreamEvent<'_>) -> bool {
        let Some(pump) = self.pump.upgrade() else { return false };
        pump.step(|state| {
            state.brain.handle_stream(self.id, event, Instant::now());
            match event {
                StreamEvent::Message(_) => state.streams.contains_key(&self.id),
                StreamEvent::Ended(_) => state.streams.remove(&self.id).is_none(),
            }
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.end(&Status::new(Code::Unavailable, STOPPED));
    }
}
