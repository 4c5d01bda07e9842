//! The messages of one call on their way to the connection.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use farcall_engine::RunBuilder;

use crate::{
    mailbox::{Command, Mailbox},
    slot::Slot,
};

/// Once so many bytes are together, they go to the connection.
const RUN: usize = 32 << 10;

/// Where one call's messages are put. Small ones gather here and go to the connection together: [`flush`](Outbox::flush)
/// must be called before their sender waits for anything but room.
#[derive(Debug)]
pub struct Outbox {
    mailbox: Arc<Mailbox>,
    pub(crate) slot: Arc<Slot>,
    run: RunBuilder,
    /// Whether the messages in the run may be compressed.
    compress: bool,
}

impl Outbox {
    pub(crate) fn new(mailbox: Arc<Mailbox>, slot: Arc<Slot>) -> Outbox {
        Outbox { mailbox, slot, run: RunBuilder::default(), compress: true }
    }

    /// Ready when another message keeps within bounds, or when the call is over.
    pub fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.run.wire_len() >= RUN {
            self.flush();
        }
        self.slot.poll_room(context)
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
        self.run.push(encode)?;
        Ok(true)
    }

    /// Puts a message that is not to be copied. Says `false` when the call is over.
    pub fn put_shared(&mut self, compress: bool, message: Bytes) -> bool {
        if self.is_closed() {
            return false;
        }
        self.flush();
        self.slot.queue(message.len());
        self.post(Command::Message(Arc::clone(&self.slot), message, compress))
    }

    /// Lets the connection have what has gathered.
    pub fn flush(&mut self) {
        if !self.run.is_empty() {
            let run = self.run.take();
            self.slot.queue(run.wire_len());
            self.post(Command::Run(Arc::clone(&self.slot), run, self.compress));
        }
    }

    /// Whether the call is over, and nothing more will be sent.
    pub(crate) fn is_closed(&self) -> bool {
        self.slot.is_closed()
    }

    /// Says `false` when the connection is over.
    pub(crate) fn post(&self, command: Command) -> bool {
        self.mailbox.post(command).is_ok()
    }
}
