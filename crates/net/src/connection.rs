//! The task of one connection: it alone touches the engine and the socket.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Buf;
use farcall_channel::Address;
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{
    CallId, Cause, Closed, Connection, ConnectionError, ErrorCode, Event, Farewell, Outgoing, Request, RequestHead,
    Subtype,
};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::{
    connect::reason,
    mailbox::{Answer, Command, Mailbox, Open},
    messages::{Messages, Taken},
    slot::{Slot, cost},
    stream::Transport,
    timer::Timer,
};

/// How many pieces one `writev` takes.
const WRITE_PIECES: usize = 64;

/// How long a connection that is over may take to get its last words (a GOAWAY) out.
const LINGER: Duration = Duration::from_secs(1);

/// How often what is there is read after writing has failed.
const LAST_READS: usize = 64;

/// From so many calls on it is likely that several have something to send at the same time.
const CROWD: usize = 8;

/// Who a connection reports to: a channel, or a server.
pub(crate) trait Owner: Send + Unpin + 'static {
    /// The peer's SETTINGS are here.
    fn ready(&mut self);
    /// Server: a call begins.
    fn request(&mut self, head: Box<RequestHead>, slot: Arc<Slot>);
    /// The connection takes no new calls. `keepalive` is the keepalive time for the next one.
    fn draining(&mut self, keepalive: Option<Duration>);
    /// A bound has turned something away, or held it back, so often.
    fn struck(&mut self, cause: Cause, what: &'static str, times: u32);
    /// Who is at the other end.
    fn peer(&self) -> &Address;
    /// The connection is over. Told exactly once.
    fn disconnected(&mut self, why: &ConnectionError, keepalive: Option<Duration>);
}

/// The connection's task: reads, steps the engine, writes, until the connection is over.
#[derive(Debug)]
pub(crate) struct Driver<S, O: Owner> {
    io: S,
    engine: Connection,
    mailbox: Arc<Mailbox>,
    owner: O,
    /// The calls, by [`CallId::index`].
    calls: Vec<Option<Call>>,
    /// Kept between turns for their memory.
    batch: Vec<Command>,
    wake: Vec<Waker>,
    begun: Vec<(Box<RequestHead>, Arc<Slot>)>,
    timer: Timer,
    /// It waits for commands, among others.
    waiting: bool,
    /// Whether it lets others go first when a command wakes it, as long as there is a [`CROWD`].
    polite: bool,
    /// Streams that are no calls of the application.
    of_channel: usize,
    /// When a peer that has not sent its SETTINGS is given up.
    ready_by: Option<Instant>,
    phase: Phase,
}

#[derive(Debug)]
struct Call {
    slot: Arc<Slot>,
    /// Cost of the messages over the engine's send buffer, given back when it has room.
    held: usize,
    /// A unary request, kept until the server has certainly seen it.
    open: Option<Box<Open>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Alive,
    /// The engine is done; its last bytes may still be written, until then.
    Over {
        give_up_at: Instant,
    },
    /// They are written, and the peer is given time to read them.
    Parting(Farewell),
    /// The socket is of no use any more.
    Broken,
}

impl<S, O> Driver<S, O>
where
    S: Transport,
    O: Owner,
{
    pub(crate) fn new(io: S, engine: Connection, mailbox: Arc<Mailbox>, owner: O) -> Self {
        Driver {
            io,
            engine,
            mailbox,
            owner,
            calls: Vec::new(),
            batch: Vec::new(),
            wake: Vec::new(),
            begun: Vec::new(),
            timer: Timer::default(),
            waiting: false,
            polite: is_polite(),
            of_channel: 0,
            ready_by: None,
            phase: Phase::Alive,
        }
    }

    /// The peer's SETTINGS must be here by then.
    pub(crate) fn ready_by(mut self, at: Instant) -> Self {
        self.ready_by = Some(at);
        self
    }

    /// One turn; says whether another may find something to do.
    fn turn(&mut self, context: &mut Context<'_>) -> bool {
        let now = Instant::now();
        let mut busy = self.take_commands(now);
        busy |= self.read(context, now);
        if self.engine.poll_timeout().is_some_and(|at| at <= now) {
            self.engine.handle_timeout(now);
            busy = true;
        }
        if self.ready_by.take_if(|at| *at <= now).is_some() {
            let status = Status::new(Code::Unavailable, "the handshake timed out");
            self.engine.close(ErrorCode::NO_ERROR, "handshake timed out", &status, now);
            busy = true;
        }
        self.drain_events(now);
        // Who was given something may run on another thread while this one writes.
        self.wake_all();
        if self.begin_calls() {
            // Those that were answered on the spot.
            self.take_commands(now);
            self.drain_events(now);
            busy = true;
        }
        if self.write(context, now) {
            // What was written may have ended calls and made room.
            self.drain_events(now);
            self.wake_all();
            busy = true;
        }
        busy
    }

    fn take_commands(&mut self, now: Instant) -> bool {
        let mut batch = std::mem::take(&mut self.batch);
        self.mailbox.take(&mut batch);
        let any = !batch.is_empty();
        for command in batch.drain(..) {
            self.apply(command, now);
        }
        self.batch = batch;
        any
    }

    /// A verb that the engine refuses belongs to a call that is over, whose slot knows already.
    fn apply(&mut self, command: Command, now: Instant) {
        match command {
            Command::Open(open, slot) => self.open(open, slot, now),
            Command::Message(slot, message, compress) => self.send(&slot, message.len(), |engine, id| {
                let _ = engine.send_message_with(id, Outgoing::Shared(message), compress);
            }),
            Command::Run(slot, run, compress) => self.send(&slot, run.wire_len(), |engine, id| {
                let _ = engine.send_run(id, run, compress);
            }),
            Command::Headers(slot, metadata, encoding) => {
                if let Some(id) = slot.id.get() {
                    let _ = self.engine.set_encoding(*id, encoding);
                    let _ = self.engine.send_headers(*id, &metadata);
                }
            }
            Command::HalfClose(slot) => {
                let _ = slot.id.get().map(|id| self.engine.half_close(*id));
            }
            Command::Respond(slot, answer) => {
                if let Some(id) = slot.id.get() {
                    self.respond(*id, *answer);
                }
            }
            Command::RefuseSubtype(slot, codec) => {
                let _ = slot.id.get().map(|id| self.engine.refuse_subtype(*id, codec));
            }
            Command::Cancel(slot, status) => {
                if let Some(id) = slot.id.get() {
                    self.engine.cancel(*id, status);
                }
            }
            Command::Want(slot) => {
                if let Some(id) = slot.id.get() {
                    self.engine.want(*id);
                }
            }
            Command::Release(slot, taken) => {
                if let Some(id) = slot.id.get() {
                    self.engine.release_many(*id, taken.messages, taken.bytes);
                }
            }
            Command::Take(slot, taken) => {
                if let Some(id) = slot.id.get() {
                    self.engine.take_many(*id, taken.messages, taken.bytes);
                }
            }
            Command::Shutdown => self.engine.shutdown(now),
            Command::Close(status) => self.engine.close(ErrorCode::NO_ERROR, "", &status, now),
        }
    }

    /// Calls of the application that are in flight.
    fn calls(&self) -> usize {
        self.engine.calls().saturating_sub(self.of_channel)
    }

    /// Whether the server is at work on a call.
    fn note_use(&self) {
        if self.calls() > 0 {
            self.mailbox.set_useful();
        }
    }

    fn open(&mut self, mut open: Box<Open>, slot: Arc<Slot>, now: Instant) {
        let request =
            Request { path: &open.path, authority: &open.authority, metadata: &open.metadata, deadline: open.deadline };
        let id = match self.engine.open_with(request, open.encoding, Subtype::of(open.subtype), now) {
            Ok(id) => id,
            Err(error) => {
                let status = Status::new(Code::Unavailable, error.to_string());
                self.note_use();
                return refuse(&slot, open, status, &mut self.wake);
            }
        };
        let peer = self.owner.peer();
        tracing::debug!(target: "farcall::call", %peer, call = %id, path = %open.path, "call begun");
        open.taken = true;
        let _ = slot.id.set(id);
        let unary = open.unary.clone();
        self.of_channel += usize::from(slot.of_channel);
        if self.calls.len() <= id.index() {
            self.calls.resize_with(id.index() + 1, || None);
        }
        self.calls[id.index()] = Some(Call { slot, held: 0, open: unary.is_some().then_some(open) });
        if let Some(message) = unary {
            let _ = self.engine.send_message(id, Outgoing::Shared(message));
            let _ = self.engine.half_close(id);
        }
    }

    /// Sends messages of `len` bytes.
    fn send(&mut self, slot: &Arc<Slot>, len: usize, send: impl FnOnce(&mut Connection, CallId)) {
        let cost = cost(len);
        let known = slot.id.get().and_then(|id| {
            let call = self.calls.get_mut(id.index())?.as_mut()?;
            Arc::ptr_eq(&call.slot, slot).then_some((*id, call))
        });
        let Some((id, call)) = known else { return };
        send(&mut self.engine, id);
        if self.engine.writable(id) {
            slot.sent(cost, &mut self.wake);
        } else {
            call.held += cost;
        }
    }

    fn respond(&mut self, id: CallId, answer: Answer) {
        // Refused when headers are gone already, which said it.
        let _ = self.engine.set_encoding(id, answer.encoding);
        if let Some(headers) = answer.headers {
            let _ = self.engine.send_headers(id, &headers);
        }
        if let Some(message) = answer.message {
            let _ = self.engine.send_message(id, Outgoing::Shared(message));
        }
        let _ = self.engine.respond(id, &answer.status, &answer.trailers);
    }

    fn read(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        if self.phase != Phase::Alive {
            return false;
        }
        let [first, second] = self.engine.receive_buffers();
        match self.io.poll_receive(context, first, second) {
            Poll::Pending => return false,
            Poll::Ready(Ok(len)) => self.engine.handle_received(len, now),
            Poll::Ready(Err(error)) => self.engine.handle_transport_closed(&reason(&error), now),
        }
        true
    }

    /// Writing has failed. What the peer said before it went is read first: it may be why.
    fn lose(&mut self, why: &str, context: &mut Context<'_>, now: Instant) {
        for _ in 0..LAST_READS {
            if self.engine.error().is_some() || !self.read(context, now) {
                break;
            }
            self.drain_events(now);
        }
        self.engine.handle_transport_closed(why, now);
        self.drain_events(now);
        self.phase = Phase::Broken;
    }

    /// Says whether anything was written, or the writing failed.
    fn write(&mut self, context: &mut Context<'_>, now: Instant) -> bool {
        let mut any = false;
        while self.phase != Phase::Broken
            && let Some(transmit) = self.engine.poll_transmit(now)
        {
            let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
            let count = transmit.chunks_vectored(&mut pieces);
            match Pin::new(&mut self.io).poll_write_vectored(context, &pieces[..count]) {
                Poll::Pending => break,
                Poll::Ready(Ok(len)) if len > 0 => transmit.advance(len),
                Poll::Ready(result) => {
                    let error = result.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                    self.lose(&reason(&error), context, now);
                }
            }
            any = true;
        }
        // What a stream with TLS has sealed; a socket has nothing to flush.
        if self.phase != Phase::Broken
            && let Poll::Ready(Err(error)) = Pin::new(&mut self.io).poll_flush(context)
        {
            self.lose(&reason(&error), context, now);
            any = true;
        }
        any
    }

    fn drain_events(&mut self, now: Instant) {
        let mut draining = false;
        while let Some(event) = self.engine.poll_event() {
            draining |= matches!(event, Event::Draining);
            self.handle(event, now);
        }
        // Only now: what came with a GOAWAY says whether the connection was of use.
        if draining {
            self.note_use();
            self.owner.draining(self.engine.next_keepalive_time());
        }
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Ready => {
                self.ready_by = None;
                let (peer, settings) = (self.owner.peer(), self.engine.peer_settings());
                tracing::debug!(target: "farcall::connection", %peer, %settings, "SETTINGS received");
                self.owner.ready();
            }
            Event::Struck { cause, what, times } => self.owner.struck(cause, what, times),
            Event::Request { call, head } => {
                tracing::debug!(target: "farcall::call", peer = %self.owner.peer(), %call, path = %head.path, "call received");
                let slot = Arc::new(Slot::of(call));
                if self.calls.len() <= call.index() {
                    self.calls.resize_with(call.index() + 1, || None);
                }
                self.calls[call.index()] = Some(Call { slot: Arc::clone(&slot), held: 0, open: None });
                self.begun.push((head, slot));
            }
            Event::Headers { call, metadata } => {
                if let Some(entry) = entry(&mut self.calls, call) {
                    if !entry.slot.of_channel {
                        self.mailbox.set_useful();
                    }
                    entry.slot.headers(metadata, &mut self.wake);
                }
            }
            Event::Message { call, message } => {
                let mut taken = Taken::default();
                taken.add(&message);
                self.arrive(call, taken, |messages| messages.push(message));
            }
            Event::Messages { call, run } => {
                let taken = Taken { messages: run.len(), bytes: run.body_len() };
                self.arrive(call, taken, |messages| messages.push_run(run));
            }
            Event::LargeMessage { call } if entry(&mut self.calls, call).is_some_and(|entry| entry.slot.large()) => {
                self.engine.want(call);
            }
            Event::HalfClosed { call } => {
                if let Some(entry) = entry(&mut self.calls, call) {
                    entry.slot.half_closed(&mut self.wake);
                }
            }
            Event::Writable { call } => {
                if let Some(entry) = entry(&mut self.calls, call) {
                    let held = std::mem::take(&mut entry.held);
                    entry.slot.sent(held, &mut self.wake);
                }
            }
            Event::Closed { call, closed } => {
                let (peer, status) = (self.owner.peer(), &closed.status);
                let (code, message) = (status.code, &status.message);
                tracing::debug!(target: "farcall::call", %peer, %call, ?code, %message, "call ended");
                if let Some(entry) = self.calls.get_mut(call.index()).and_then(Option::take) {
                    self.of_channel -= usize::from(entry.slot.of_channel);
                    if closed.completed && !entry.slot.of_channel {
                        self.mailbox.set_useful();
                    }
                    let goes_again = closed.unprocessed && closed.status.code == Code::Unavailable;
                    let mut open = if goes_again { entry.open } else { None };
                    if let Some(open) = &mut open {
                        open.taken = !closed.unsent;
                    }
                    entry.slot.close(closed, open, &mut self.wake);
                }
            }
            Event::Draining => {
                let peer = self.owner.peer();
                match self.engine.peer_goaway() {
                    Some((code, reason)) => {
                        let reason = reason.escape_ascii();
                        tracing::debug!(target: "farcall::connection", %peer, code = code.0, %reason, "GOAWAY received");
                    }
                    None => tracing::debug!(target: "farcall::connection", %peer, "stream ids used up"),
                }
                self.mailbox.drain();
            }
            Event::Disconnected(why) => {
                tracing::debug!(target: "farcall::connection", peer = %self.owner.peer(), %why, "connection over");
                self.phase = Phase::Over { give_up_at: now + LINGER };
                self.end(&why);
            }
            // A newer engine may tell more than this one asks for.
            _ => {}
        }
    }

    /// Hands over the calls that have begun, with what has come of them already. Says whether there were any.
    fn begin_calls(&mut self) -> bool {
        let any = !self.begun.is_empty();
        for (head, slot) in self.begun.drain(..) {
            self.owner.request(head, slot);
        }
        any
    }

    /// Leaves messages with their call; those that nobody wants are taken at once.
    fn arrive(&mut self, call: CallId, size: Taken, put: impl FnOnce(&mut Messages)) {
        let kept = entry(&mut self.calls, call).is_some_and(|entry| entry.slot.arrive(put, &mut self.wake));
        if !kept {
            self.engine.release_many(call, size.messages, size.bytes);
        }
    }

    fn wake_all(&mut self) {
        for waker in self.wake.drain(..) {
            waker.wake();
        }
    }

    /// Writes the last words of a connection that is over, and closes the socket.
    fn finish(&mut self, give_up_at: Instant, context: &mut Context<'_>) -> Poll<()> {
        let now = Instant::now();
        self.write(context, now);
        let unsent = self.phase != Phase::Broken
            && (self.engine.poll_transmit(now).is_some() || Pin::new(&mut self.io).poll_flush(context).is_pending());
        if unsent && now < give_up_at && self.timer.poll(give_up_at, context).is_pending() {
            return Poll::Pending;
        }
        // Whether the peer still hears of it makes no difference any more.
        let _ = Pin::new(&mut self.io).poll_shutdown(context);
        match self.engine.farewell(now).filter(|_| !unsent && self.phase != Phase::Broken) {
            Some(farewell) => {
                self.phase = Phase::Parting(farewell);
                self.part(farewell, context)
            }
            None => Poll::Ready(()),
        }
    }

    /// Reads what the peer still sends, for it would be told that the connection is broken before it has read why.
    fn part(&mut self, mut farewell: Farewell, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.io.poll_receive(context, self.engine.receive_buffer(), &mut []) {
                Poll::Ready(Ok(len)) if farewell.discard(len, Instant::now()) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        self.phase = Phase::Parting(farewell);
        self.timer.poll(farewell.until(), context)
    }
}

impl<S, O: Owner> Driver<S, O> {
    /// Refuses what still waits in the mailbox, ends what the engine has not ended, and tells the owner.
    fn end(&mut self, why: &ConnectionError) {
        let status = Status::new(Code::Unavailable, why.to_string());
        for command in self.mailbox.close() {
            if let Command::Open(open, slot) = command {
                refuse(&slot, open, status.clone(), &mut self.wake);
            }
        }
        for call in self.calls.drain(..).flatten() {
            call.slot.close(Box::new(over(status.clone(), false)), None, &mut self.wake);
        }
        self.owner.disconnected(why, self.engine.next_keepalive_time());
        for waker in self.wake.drain(..) {
            waker.wake();
        }
    }
}

impl<S, O> Future for Driver<S, O>
where
    S: Transport,
    O: Owner,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let crowded = this.polite && this.engine.calls() >= CROWD;
        if std::mem::take(&mut this.waiting) && crowded && this.mailbox.has_woken() {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            match this.phase {
                Phase::Alive => {}
                Phase::Over { give_up_at } => return this.finish(give_up_at, context),
                Phase::Parting(farewell) => return this.part(farewell, context),
                Phase::Broken => return Poll::Ready(()),
            }
            if this.turn(context) || this.phase != Phase::Alive {
                continue;
            }
            this.mailbox.note_calls(this.calls());
            if !this.mailbox.wait(context) {
                continue;
            }
            match this.engine.poll_timeout().into_iter().chain(this.ready_by).min() {
                Some(at) if this.timer.poll(at, context).is_ready() => {}
                _ => {
                    this.waiting = true;
                    return Poll::Pending;
                }
            }
        }
    }
}

/// A task that is dropped half-way (its run time shuts down, a server is stopped at once) still tells everyone.
impl<S, O: Owner> Drop for Driver<S, O> {
    fn drop(&mut self) {
        if self.phase == Phase::Alive {
            self.end(&ConnectionError::ClosedLocally);
        }
    }
}

/// A run time with several threads runs a task that is woken before those that wait for their turn. Those may have
/// something to send as well, and it should go with the same system call: a connection waits for its turn.
fn is_polite() -> bool {
    Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() != RuntimeFlavor::CurrentThread)
}

fn entry(calls: &mut [Option<Call>], id: CallId) -> Option<&mut Call> {
    calls.get_mut(id.index())?.as_mut()
}

/// A call that never was.
fn refuse(slot: &Slot, open: Box<Open>, status: Status, wake: &mut Vec<Waker>) {
    let open = open.unary.is_some().then_some(open);
    slot.close(Box::new(over(status, true)), open, wake);
}

fn over(status: Status, unprocessed: bool) -> Closed {
    Closed { status, trailers: Metadata::new(), completed: false, unprocessed, unsent: unprocessed }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bytes::Bytes;
    use farcall_engine::{Config, Encoding};
    use tokio::io::DuplexStream;

    use super::*;

    impl Transport for DuplexStream {}

    struct Told(mpsc::Sender<String>, Address);

    impl Owner for Told {
        fn ready(&mut self) {}
        fn struck(&mut self, _cause: Cause, _what: &'static str, _times: u32) {}
        fn peer(&self) -> &Address {
            &self.1
        }
        fn request(&mut self, _head: Box<RequestHead>, _slot: Arc<Slot>) {}
        fn draining(&mut self, _keepalive: Option<Duration>) {}
        fn disconnected(&mut self, why: &ConnectionError, _keepalive: Option<Duration>) {
            self.0.send(why.to_string()).unwrap();
        }
    }

    /// A client's connection over a pipe of `room` bytes, and what its owner is told.
    fn client(room: usize) -> (Driver<DuplexStream, Told>, DuplexStream, mpsc::Receiver<String>) {
        let (near, far) = tokio::io::duplex(room);
        let (sender, told) = mpsc::channel();
        let config = Config::client();
        let mailbox = Arc::new(Mailbox::new(&config.limits));
        (
            Driver::new(near, Connection::new(config, Instant::now()), mailbox, Told(sender, Address::Unix("".into()))),
            far,
            told,
        )
    }

    fn open(mailbox: &Mailbox) -> Arc<Slot> {
        let slot = Arc::<Slot>::default();
        let open = Open {
            path: "/a.B/C".into(),
            authority: "a".into(),
            metadata: Metadata::new(),
            deadline: None,
            encoding: Encoding::Identity,
            subtype: "",
            unary: Some(Bytes::new()),
            taken: false,
        };
        mailbox.post(Command::Open(Box::new(open), Arc::clone(&slot))).unwrap();
        slot
    }

    #[tokio::test]
    async fn a_peer_that_does_not_read_cannot_keep_a_connection_that_is_over() {
        // There is not even room for the preface.
        let (driver, _far, told) = client(1);
        driver.mailbox.post(Command::Close(Status::from(Code::Cancelled))).unwrap();
        driver.await;
        assert_eq!(told.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn a_task_that_is_dropped_ends_its_calls() {
        let (mut driver, _far, told) = client(1 << 16);
        let (posted, taken) = (open(&driver.mailbox), open(&driver.mailbox));
        let mut context = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut driver).poll(&mut context).is_pending());
        let late = open(&driver.mailbox);
        drop(driver);
        for slot in [posted, taken, late] {
            assert_eq!(slot.lock().closed.take().unwrap().status.code, Code::Unavailable);
        }
        assert_eq!(told.try_iter().count(), 1);
    }

    #[tokio::test]
    async fn a_peer_that_hangs_up_is_told_once() {
        let (driver, far, told) = client(1 << 16);
        let mailbox = Arc::clone(&driver.mailbox);
        let slot = open(&mailbox);
        drop(far);
        driver.await;
        assert!(slot.is_closed());
        assert!(mailbox.post(Command::Shutdown).is_err());
        assert_eq!(told.try_iter().count(), 1);
    }
}
