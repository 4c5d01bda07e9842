//! The messages of one call on their way to the connection.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use farcall_core::Status;
use farcall_engine::{Limits, RunBuilder};

use crate::{
    calls::too_large,
    mailbox::{Command, Mailbox},
    requests::{Batch, Requests},
    slot::Slot,
};

/// Once so many bytes are together, they go to the connection.
const RUN: usize = 32 << 10;

/// What a message costs besides its own bytes.
const PREFIX: usize = 5;

/// Where one call's messages are put. Small ones gather here and go to the connection together: [`flush`](Outbox::flush)
/// must be called before their sender waits for anything but room.
#[derive(Debug)]
pub struct Outbox {
    mailbox: Arc<Mailbox>,
    pub(crate) slot: Arc<Slot>,
    run: RunBuilder,
    /// Whether the messages in the run may be compressed.
    compress: bool,
    /// Where messages go that may have to be sent again, instead of to the connection.
    kept: Option<Arc<Requests>>,
    /// The longest message that the service config allows.
    pub(crate) max: Option<usize>,
}

impl Outbox {
    pub(crate) fn new(mailbox: Arc<Mailbox>, slot: Arc<Slot>) -> Outbox {
        Outbox { mailbox, slot, run: RunBuilder::default(), compress: true, kept: None, max: None }
    }

    /// One whose messages may have to be sent again.
    pub(crate) fn kept(requests: Arc<Requests>) -> Outbox {
        // Of no connection: nothing is posted there.
        let mailbox = Arc::new(Mailbox::new(&Limits::default()));
        Outbox { kept: Some(requests), ..Outbox::new(mailbox, Arc::default()) }
    }

    /// Ready when another message keeps within bounds, or when the call is over.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.run.wire_len() >= RUN {
            self.flush();
        }
        match &self.kept {
            Some(requests) => requests.poll_room(context),
            None => self.slot.poll_room(context),
        }
    }

    /// Ready when the call is over.
    pub(crate) fn poll_closed(&self, context: &mut Context<'_>) -> Poll<()> {
        match &self.kept {
            Some(requests) => requests.poll_over(context),
            None => self.slot.poll_closed(context),
        }
    }

    /// Puts the message that `encode` appends to the buffer it is given. Says `false` when the call is over; how it
    /// ended its receiver knows. `compress` says whether it may be compressed, where the call's messages are.
    ///
    /// # Errors
    /// What `encode` says; then there is no message.
    pub fn put<E>(&mut self, compress: bool, encode: impl FnOnce(&mut BytesMut) -> Result<(), E>) -> Result<bool, E> {
        if self.is_closed() {
            return Ok(false);
        }
        if compress != self.compress {
            self.flush();
            self.compress = compress;
        }
        let before = self.run.wire_len();
        self.run.push(encode)?;
        Ok(self.max.is_none() || self.allows(self.run.wire_len() - before - PREFIX))
    }

    /// Whether the service config allows a message so long; else the call ends, and what has gathered is not sent.
    fn allows(&mut self, len: usize) -> bool {
        let Err(status) = too_large("Sent", len, self.max) else { return true };
        self.run.take();
        self.cancel(status);
        false
    }

    /// Puts a message that is not to be copied. Says `false` when the call is over.
    pub fn put_shared(&mut self, compress: bool, message: Bytes) -> bool {
        if self.is_closed() {
            return false;
        }
        self.flush();
        if !self.allows(message.len()) {
            return false;
        }
        if let Some(requests) = &self.kept {
            requests.push(Batch::Message(message, compress));
            return true;
        }
        self.slot.queue(message.len());
        self.post(Command::Message(Arc::clone(&self.slot), message, compress))
    }

    /// Lets the connection have what has gathered.
    pub fn flush(&mut self) {
        if !self.run.is_empty() {
            let run = self.run.take();
            if let Some(requests) = &self.kept {
                return requests.push(Batch::Run(run, self.compress));
            }
            self.slot.queue(run.wire_len());
            self.post(Command::Run(Arc::clone(&self.slot), run, self.compress));
        }
    }

    /// Whether the call is over, and nothing more will be sent.
    pub(crate) fn is_closed(&self) -> bool {
        match &self.kept {
            Some(requests) => requests.is_over(),
            None => self.slot.is_closed(),
        }
    }

    /// Client: there are no more messages.
    pub(crate) fn half_close(&mut self) {
        self.flush();
        match &self.kept {
            Some(requests) => requests.half_close(),
            None => drop(self.post(Command::HalfClose(Arc::clone(&self.slot)))),
        }
    }

    /// Ends the call at once.
    pub(crate) fn cancel(&self, status: Status) {
        match &self.kept {
            Some(requests) => requests.cancel(status),
            None => drop(self.post(Command::Cancel(Arc::clone(&self.slot), status))),
        }
    }

    /// Says `false` when the connection is over.
    pub(crate) fn post(&self, command: Command) -> bool {
        self.mailbox.post(command).is_ok()
    }
}
