//! A server's side of a call.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use farcall_channel::Address;
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{Encoding, RequestHead};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::{
    call::Receiver,
    mailbox::{Answer, Command, Mailbox},
    outbox::Outbox,
    slot::Slot,
};

/// A call that has come in.
#[derive(Debug)]
pub struct Incoming {
    /// What the client asks for.
    pub head: Box<RequestHead>,
    /// Who asks.
    pub peer: Arc<Address>,
    /// What the TLS handshake of the connection found out; `None` for plain text.
    #[cfg(feature = "tls")]
    pub handshake: Option<Arc<farcall_security::Handshake>>,
    /// The client's messages.
    pub receiver: Receiver,
    /// The way back.
    pub responder: Responder,
}

impl Incoming {
    pub(crate) fn new(head: Box<RequestHead>, peer: Arc<Address>, mailbox: &Arc<Mailbox>, slot: Arc<Slot>) -> Incoming {
        Incoming {
            head,
            peer,
            #[cfg(feature = "tls")]
            handshake: None,
            receiver: Receiver::of_server(Arc::clone(mailbox), Arc::clone(&slot)),
            responder: Responder { outbox: Outbox::new(Arc::clone(mailbox), slot), answered: false },
        }
    }
}

/// The server's direction of a call.
///
/// Dropped without an answer, as by a handler that panics, it answers `UNKNOWN`.
#[derive(Debug)]
pub struct Responder {
    outbox: Outbox,
    answered: bool,
}

impl Responder {
    /// Sends initial metadata now. Messages are compressed by `encoding`, if the client has said that it reads it.
    pub fn headers(&self, metadata: Metadata, encoding: Encoding) {
        self.outbox.post(Command::Headers(Arc::clone(&self.outbox.slot), metadata, encoding));
    }

    /// Where messages are put.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Ends the call with a status.
    pub fn respond(mut self, status: Status, trailers: Metadata) {
        self.answer(Answer { encoding: Encoding::Identity, headers: None, message: None, status, trailers });
    }

    /// Refuses the call, for its method's messages are of this codec and not what the client has announced: HTTP's 415
    /// and `UNIMPLEMENTED`.
    pub fn refuse_subtype(mut self, codec: &'static str) {
        self.answered = true;
        self.outbox.post(Command::RefuseSubtype(Arc::clone(&self.outbox.slot), codec));
    }

    /// Ends the call well, after its one message, which is compressed by `encoding` if the client reads that.
    pub fn respond_with(mut self, headers: Option<Metadata>, message: Bytes, encoding: Encoding, trailers: Metadata) {
        self.answer(Answer { encoding, headers, message: Some(message), status: Status::OK, trailers });
    }

    /// The life of the call, for a handler to run in.
    pub fn scope(&self) -> Scope {
        Scope { slot: Arc::clone(&self.outbox.slot) }
    }

    fn answer(&mut self, answer: Answer) {
        self.answered = true;
        self.outbox.flush();
        self.outbox.post(Command::Respond(Arc::clone(&self.outbox.slot), Box::new(answer)));
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if self.answered || self.outbox.is_closed() {
            return;
        }
        let why = if std::thread::panicking() { "the handler panicked" } else { "the handler gave no answer" };
        let status = Status::new(Code::Unknown, why);
        let trailers = Metadata::new();
        self.answer(Answer { encoding: Encoding::Identity, headers: None, message: None, status, trailers });
    }
}

/// The life of a call.
#[derive(Debug)]
pub struct Scope {
    slot: Arc<Slot>,
}

impl Scope {
    /// Runs a handler for as long as the call lives, in a task of its own: the future is dropped when the call is
    /// cancelled, past its deadline, or lost.
    ///
    /// Where all tasks share one thread, it runs at once, and gets a task when it waits for something.
    pub fn run<F: Future<Output = ()> + Send + 'static>(self, handler: F) {
        let (slot, runtime) = (self.slot, Handle::current());
        if runtime.runtime_flavor() != RuntimeFlavor::CurrentThread {
            runtime.spawn(Scoped { slot, watching: false, handler });
            return;
        }
        let mut handler = Box::pin(handler);
        // What it waits for is asked again by the task, and wakes that.
        if !slot.is_closed() && handler.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            runtime.spawn(Scoped { slot, watching: false, handler });
        }
    }
}

pin_project_lite::pin_project! {
    struct Scoped<F> {
        slot: Arc<Slot>,
        watching: bool,
        #[pin]
        handler: F,
    }
}

impl<F: Future<Output = ()>> Future for Scoped<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.slot.is_closed() || this.handler.poll(context).is_ready() {
            return Poll::Ready(());
        }
        if !*this.watching {
            *this.watching = true;
            return this.slot.poll_closed(context);
        }
        Poll::Pending
    }
}
