//! The way from the application to a connection's task: typed commands, taken in batches.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Waker},
    time::Instant,
};

use bytes::Bytes;
use farcall_core::{Metadata, Status};
use farcall_engine::{Encoding, Limits, Run};

use crate::{messages::Taken, slot::Slot};

/// What a client asks for. It is kept until the call has left, so that it can go again elsewhere.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) path: Cow<'static, str>,
    pub(crate) authority: Arc<str>,
    pub(crate) metadata: Metadata,
    pub(crate) deadline: Option<Instant>,
    /// How messages are compressed.
    pub(crate) encoding: Encoding,
    /// What they are; empty leaves it open.
    pub(crate) subtype: &'static str,
    /// The one message of a unary request, which is then over.
    pub(crate) unary: Option<Bytes>,
    /// Whether an engine has taken it: then a server may have seen it, unless the engine says otherwise.
    pub(crate) taken: bool,
}

/// What a server answers, in one go.
#[derive(Debug)]
pub(crate) struct Answer {
    /// How the message is compressed, if the client reads that.
    pub(crate) encoding: Encoding,
    pub(crate) headers: Option<Metadata>,
    pub(crate) message: Option<Bytes>,
    pub(crate) status: Status,
    pub(crate) trailers: Metadata,
}

/// What the application wants of the connection.
#[derive(Debug)]
pub(crate) enum Command {
    /// Client: begin a call.
    Open(Box<Open>, Arc<Slot>),
    /// Server: send initial metadata now. Messages are compressed so, if the client reads that.
    Headers(Arc<Slot>, Metadata, Encoding),
    /// Send a message, which may be compressed or not.
    Message(Arc<Slot>, Bytes, bool),
    /// Send several.
    Run(Arc<Slot>, Run, bool),
    /// Client: no more messages.
    HalfClose(Arc<Slot>),
    /// Server: the answer, or its end.
    Respond(Arc<Slot>, Box<Answer>),
    /// Server: the method's messages are of this codec, and not what the client has announced.
    RefuseSubtype(Arc<Slot>, &'static str),
    /// End the call at once.
    Cancel(Arc<Slot>, Status),
    /// A message that waits to be let in is waited for.
    Want(Arc<Slot>),
    /// Messages were taken, and the application is done with those before.
    Release(Arc<Slot>, Taken),
    /// Messages were taken, and the application has them in hand.
    Take(Arc<Slot>, Taken),
    /// Take no new calls, finish those in flight, disconnect.
    Shutdown,
    /// End every call with this status and disconnect.
    Close(Status),
}

/// A connection's mailbox.
#[derive(Debug)]
pub(crate) struct Mailbox {
    queue: Mutex<Queue>,
    /// Bytes taken by applications that may wait in the queue before the connection is woken to give them back.
    release_threshold: usize,
    /// Client: the server has answered a call on it, or is at work on one.
    useful: AtomicBool,
    /// Calls in flight, when the connection's task last waited.
    calls: AtomicUsize,
}

#[derive(Debug, Default)]
struct Queue {
    commands: Vec<Command>,
    /// What the commands give back, of windows and of memory.
    released: usize,
    waker: Option<Waker>,
    /// The connection waits, and is to be woken. While it is awake it looks here by itself before it waits.
    asleep: bool,
    /// Takes no new calls.
    draining: bool,
    /// Takes nothing any more.
    closed: bool,
}

impl Queue {
    /// What is to be woken, if anything.
    fn wake(&mut self) -> Option<Waker> {
        if std::mem::take(&mut self.asleep) { self.waker.take() } else { None }
    }
}

impl Mailbox {
    pub(crate) fn new(limits: &Limits) -> Mailbox {
        // Half the smallest window there is: that much is announced again, and a peer that has used up all of it must
        // not wait for bytes that only wait to be told.
        let smallest = limits.initial_stream_window.min(limits.connection_window) as usize;
        Mailbox {
            queue: Mutex::default(),
            release_threshold: (smallest / 2).clamp(1, 64 << 10),
            useful: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
        }
    }

    /// Posts a command and wakes the connection. A command that comes too late is given back.
    pub(crate) fn post(&self, command: Command) -> Result<(), Command> {
        let waker = {
            let mut queue = self.lock();
            if queue.closed || (queue.draining && matches!(command, Command::Open(..))) {
                return Err(command);
            }
            queue.commands.push(command);
            queue.wake()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Gives messages back to the peer's windows, without waking the connection for a few. The application is done with
    /// them and with what it had `in_hand`, in bytes.
    pub(crate) fn release(&self, slot: &Arc<Slot>, taken: Taken, in_hand: usize) {
        // For a little memory nobody is woken.
        let freed = if in_hand >= self.release_threshold { in_hand } else { 0 };
        self.give_back(Command::Release(Arc::clone(slot), taken), taken.window() + freed);
    }

    /// The same for messages that the application has in hand.
    pub(crate) fn take_up(&self, slot: &Arc<Slot>, taken: Taken) {
        self.give_back(Command::Take(Arc::clone(slot), taken), taken.window());
    }

    fn give_back(&self, command: Command, bytes: usize) {
        let waker = {
            let mut queue = self.lock();
            if queue.closed {
                return;
            }
            queue.commands.push(command);
            queue.released += bytes;
            if queue.released >= self.release_threshold { queue.wake() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    // The connection's side.

    /// Swaps the waiting commands into `batch`, which is empty.
    pub(crate) fn take(&self, batch: &mut Vec<Command>) {
        let mut queue = self.lock();
        std::mem::swap(&mut queue.commands, batch);
        queue.released = 0;
        queue.asleep = false;
    }

    /// The connection is about to wait: the context is woken for the next command. Says `false` when there are some
    /// already.
    pub(crate) fn wait(&self, context: &Context<'_>) -> bool {
        let mut queue = self.lock();
        if !queue.commands.is_empty() {
            return false;
        }
        queue.asleep = true;
        match &mut queue.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => queue.waker = Some(context.waker().clone()),
        }
        true
    }

    /// Whether a command has come since [`wait`](Mailbox::wait) that woke the connection.
    pub(crate) fn has_woken(&self) -> bool {
        !self.lock().asleep
    }

    /// So many calls are in flight.
    pub(crate) fn note_calls(&self, calls: usize) {
        self.calls.store(calls, Ordering::Relaxed);
    }

    /// Whether a call is in flight, or about to begin.
    pub(crate) fn is_in_use(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0 || !self.lock().commands.is_empty()
    }

    pub(crate) fn is_useful(&self) -> bool {
        self.useful.load(Ordering::Acquire)
    }

    /// The server has answered a call, or is at work on one.
    pub(crate) fn set_useful(&self) {
        if !self.is_useful() {
            self.useful.store(true, Ordering::Release);
        }
    }

    /// From now on calls are refused.
    pub(crate) fn drain(&self) {
        self.lock().draining = true;
    }

    /// From now on everything is refused; what still waits is returned.
    pub(crate) fn close(&self) -> Vec<Command> {
        let mut queue = self.lock();
        queue.closed = true;
        queue.waker = None;
        std::mem::take(&mut queue.commands)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing under the lock can panic half-way, so a poisoned queue is still whole.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use std::task::{Context, Wake, Waker};

    use farcall_core::{Metadata, Status};
    use farcall_engine::{Encoding, Limits};

    use super::{Command, Mailbox, Open};
    use crate::{messages::Taken, slot::Slot};

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A mailbox whose connection waits, and how often it was woken.
    fn waited_for() -> (Mailbox, Arc<Count>) {
        let (mailbox, count) = (Mailbox::new(&Limits::default()), Arc::<Count>::default());
        wait(&mailbox, &count);
        (mailbox, count)
    }

    fn wait(mailbox: &Mailbox, count: &Arc<Count>) -> usize {
        let waker = Waker::from(Arc::clone(count));
        let mut batch = Vec::new();
        loop {
            let mut more = Vec::new();
            mailbox.take(&mut more);
            batch.append(&mut more);
            if mailbox.wait(&Context::from_waker(&waker)) {
                return batch.len();
            }
        }
    }

    fn open() -> Command {
        let open = Open {
            path: "/a.B/C".into(),
            authority: "a".into(),
            metadata: Metadata::new(),
            deadline: None,
            encoding: Encoding::Identity,
            subtype: "",
            unary: None,
            taken: false,
        };
        Command::Open(Box::new(open), Arc::default())
    }

    #[test]
    fn a_batch_wakes_once() {
        let (mailbox, count) = waited_for();
        for _ in 0..10 {
            mailbox.post(Command::Shutdown).unwrap();
        }
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(wait(&mailbox, &count), 10);
        mailbox.post(Command::Shutdown).unwrap();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn what_is_taken_wakes_only_at_the_threshold() {
        let (mailbox, count) = waited_for();
        let slot = Arc::new(Slot::default());
        mailbox.release(&slot, Taken { messages: 1, bytes: (64 << 10) - 5 - 5 - 1 }, 0);
        assert_eq!(count.0.load(Ordering::SeqCst), 0, "one byte under it");
        mailbox.take_up(&slot, Taken { messages: 1, bytes: 1 });
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert_eq!(wait(&mailbox, &count), 2);
        mailbox.release(&slot, Taken { messages: 1, bytes: 1 }, 0);
        assert_eq!(count.0.load(Ordering::SeqCst), 1, "what was told counts no more");
        mailbox.release(&slot, Taken::default(), 64 << 10);
        assert_eq!(count.0.load(Ordering::SeqCst), 2, "what was in hand is memory for others");
    }

    #[test]
    fn a_draining_connection_refuses_calls_only_and_a_closed_one_everything() {
        let (mailbox, _) = waited_for();
        mailbox.post(open()).unwrap();
        mailbox.drain();
        assert!(matches!(mailbox.post(open()), Err(Command::Open(..))));
        mailbox.post(Command::Cancel(Arc::default(), Status::OK)).unwrap();
        assert_eq!(mailbox.close().len(), 2);
        assert!(mailbox.post(Command::Shutdown).is_err());
        assert!(mailbox.close().is_empty());
    }
}
