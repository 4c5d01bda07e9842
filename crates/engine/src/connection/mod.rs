//! [`Connection`]: its state and its verbs. Bytes in are cut into frames in `receive` and dealt with in `headers`, `data`
//! and `control`; bytes out are made in `send` and wait in `transmit`; every way to end is in `end`.

mod account;
mod admission;
mod call;
mod control;
mod data;
mod end;
mod headers;
#[cfg(any(test, feature = "fuzzing"))]
mod ledger;
mod receive;
mod send;
#[cfg(test)]
mod tests;
mod transmit;
mod unpack;
mod upkeep;

use std::{collections::VecDeque, fmt, time::Instant};

use farcall_core::{Code, Metadata, Status};

pub use call::{CallId, Outgoing, Request, Role};
#[cfg(any(test, feature = "fuzzing"))]
pub use ledger::Ledger;
pub(crate) use transmit::LARGE;
pub use transmit::Transmit;
pub(crate) use unpack::Packed;

use crate::{
    CallError, Config, ConnectionError, ErrorCode, Event,
    bdp::Bdp,
    deadlines::Deadlines,
    floods::Floods,
    flow::{ReceiveWindow, SendWindow},
    frame::{DEFAULT_WINDOW, GoAway, MAX_U31, PREFACE, Ping, WindowUpdate, encode_settings},
    goaway::{self, Farewell, GoingAway, Local},
    grpc::{
        encoding::{Codecs, Encoding},
        message::{self, too_large},
        run::Run,
        subtype::{Media, Subtype},
    },
    hpack::Decoder,
    keepalive::{Keepalive, PingStrikes},
    lifetime::Lifetime,
    recv::{Arena, Inbox},
    send::Scheduler,
    settings::{self, PeerSettings},
    stream::{Store, Waiting},
};

/// How many events there stays room for when all are told.
const EVENTS_KEPT: usize = 256;

/// The brain of one connection. See the crate's documentation for the contract.
pub struct Connection {
    config: Config,
    store: Store,
    events: VecDeque<Event>,
    /// Calls that were over before they were told; what the events still say of them is passed over.
    unheard: usize,
    /// Set once: nothing lives after it.
    error: Option<ConnectionError>,
    /// The transport was gone before.
    transport_lost: bool,
    going_away: GoingAway,
    deadlines: Deadlines,
    floods: Floods,
    keepalive: Keepalive,
    strikes: PingStrikes,
    lifetime: Lifetime,
    /// The latest time anyone has told; verbs that come without one happen then.
    clock: Instant,
    peer: PeerSettings,
    /// The peer has acknowledged our SETTINGS.
    settings_acknowledged: bool,

    inbox: Inbox,
    /// How much of the rest of a message the transport may read into at once, apart from the inbox.
    lent: usize,
    reading: receive::Reading,
    /// A header block that has come in part.
    block: Option<Box<headers::Block>>,
    decoder: Decoder,
    arena: Arena,
    /// Whether anything came since the last tick, and when the next is due.
    busy: bool,
    tick_due: Option<Instant>,
    /// When the frame or header block began that is being read, or when the last of its DATA came.
    begun_at: Instant,
    /// Its time is up, and what the transport may hold of it is still to be read.
    overdue: bool,
    /// There once a message is compressed: few connections have any.
    codecs: Option<Box<Codecs>>,
    receive_window: ReceiveWindow,
    bdp: Bdp,
    /// Bytes of messages, prefixes included, that the application holds.
    unread: usize,
    admission: admission::Admission,
    account: account::Account,
    /// Calls with a compressed message that is held back; those that have ended are skipped.
    gated: VecDeque<CallId>,
    /// Server: the highest stream the client has opened.
    last_peer_stream: u32,
    /// Memory of messages that have come in part.
    incomplete: usize,
    /// Server: sizes of the open requests' header lists.
    request_headers: usize,

    transmit: Transmit,
    blocks: send::Blocks,
    send_window: SendWindow,
    /// Bytes that wait to be sent, of all calls; and whether they were too many and are not few again.
    unsent: usize,
    congested: bool,
    scheduler: Scheduler,
    /// Client: the next stream to open.
    next_stream: u32,
    /// Client: calls that wait for a stream, in order; those that ended meanwhile are skipped.
    waiting: VecDeque<CallId>,
    /// Server: calls whose last frame ends at this position of the output, and the status they were answered with.
    answered: VecDeque<(u64, CallId, Status)>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("role", &self.config.role)
            .field("calls", &self.calls())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// A fresh connection; its preface and SETTINGS wait in [`poll_transmit`](Connection::poll_transmit). A server's wait
    /// until the client's preface is here.
    pub fn new(mut config: Config, now: Instant) -> Connection {
        settings::legalize(&mut config.limits);
        let limits = &config.limits;
        let mut transmit = Transmit::default();
        transmit.small(|out| {
            if config.role == Role::Client {
                out.extend_from_slice(PREFACE);
            }
            encode_settings(settings::announced(config.role, limits), out);
            let increment = limits.connection_window - DEFAULT_WINDOW;
            if increment > 0 {
                WindowUpdate { stream: 0, increment }.encode(out);
            }
        });
        if config.role == Role::Server {
            // Until the client's preface has come, or the connection ends: to one of HTTP/1 these words would be noise.
            // It costs nothing, for a client of HTTP/2 speaks at once (RFC 9113 3.4).
            transmit.hold();
        }
        Connection {
            store: Store::default(),
            events: VecDeque::new(),
            unheard: 0,
            error: None,
            transport_lost: false,
            going_away: GoingAway::default(),
            deadlines: Deadlines::default(),
            floods: Floods::new(limits, now),
            keepalive: Keepalive::new(&config, now),
            strikes: PingStrikes::default(),
            lifetime: Lifetime::new(&config, now),
            clock: now,
            peer: PeerSettings::default(),
            settings_acknowledged: false,
            inbox: Inbox::default(),
            lent: 0,
            reading: receive::Reading::first(config.role),
            block: None,
            decoder: Decoder::new(limits.header_table_size),
            arena: Arena::new(config.runs),
            busy: false,
            tick_due: None,
            begun_at: now,
            overdue: false,
            codecs: None,
            receive_window: ReceiveWindow::new(limits.connection_window),
            bdp: Bdp::new(&config, now),
            unread: 0,
            admission: admission::Admission::default(),
            account: account::Account::new(config.budget.clone()),
            gated: VecDeque::new(),
            last_peer_stream: 0,
            incomplete: 0,
            request_headers: 0,
            transmit,
            blocks: send::Blocks::new(),
            send_window: SendWindow::new(DEFAULT_WINDOW),
            unsent: 0,
            congested: false,
            scheduler: Scheduler::default(),
            next_stream: 1,
            waiting: VecDeque::new(),
            answered: VecDeque::new(),
            config,
        }
    }

    // From the network and the clock.

    /// Where the next bytes from the transport belong: read into it, then say how many with
    /// [`handle_received`](Connection::handle_received). Never empty.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        let [first, _] = self.receive_buffers();
        first
    }

    /// [`receive_buffer`](Connection::receive_buffer), and where to go on once that is full, for a vectored read: the rest
    /// of a large message is read where it belongs, without a copy, and what follows it behind. The second may be empty.
    /// [`handle_received`](Connection::handle_received) takes the sum.
    pub fn receive_buffers(&mut self) -> [&mut [u8]; 2] {
        self.lent = 0;
        if self.inbox.bytes().is_empty()
            && let receive::Reading::Data(data) = &self.reading
            && let Some(rest) = data.room(&mut self.store, &mut self.arena, &mut self.incomplete)
        {
            self.lent = rest.len();
            return [rest, self.inbox.little_room()];
        }
        let wanted = self.reading.wanted().saturating_sub(self.inbox.bytes().len());
        [self.inbox.room(wanted), &mut []]
    }

    /// The first `len` bytes of [`receive_buffer`](Connection::receive_buffer) or of
    /// [`receive_buffers`](Connection::receive_buffers), whichever was asked for last, were filled; 0 is end of file.
    pub fn handle_received(&mut self, len: usize, now: Instant) {
        if len == 0 {
            return self.handle_transport_closed("Socket closed", now);
        }
        self.clock = now;
        self.keepalive.hear(&self.config, now);
        if !self.is_within_frame() {
            self.begun_at = now;
        }
        let placed = len.min(std::mem::take(&mut self.lent));
        match placed {
            0 => self.inbox.fill(len),
            _ => self.inbox.fill_little(len - placed),
        }
        self.read(placed, now);
        self.keep_within_budget();
        self.busy = true;
        self.tick_due.get_or_insert(now + upkeep::TICK);
    }

    /// The transport failed. `why` is for people, e.g. `Socket closed` or `Connection reset by peer`.
    pub fn handle_transport_closed(&mut self, why: &str, _now: Instant) {
        // What the peer said before it went tells more than how the transport ended.
        let why = match &self.going_away.peer {
            Some(peer) if peer.code != ErrorCode::NO_ERROR || !peer.debug.is_empty() => {
                &ConnectionError::GoneAway(peer.code, peer.debug.clone()).to_string()
            }
            _ => why,
        };
        let status = Status::new(Code::Unavailable, format!("Stream removed ({why})"));
        let error = match &self.going_away.peer {
            Some(peer) if peer.code != ErrorCode::NO_ERROR => ConnectionError::GoneAway(peer.code, peer.debug.clone()),
            _ if self.going_away.local != Local::Staying && self.calls() == 0 => ConnectionError::ClosedLocally,
            _ => ConnectionError::TransportClosed(why.to_owned()),
        };
        self.lose_transport(error, &status);
    }

    /// The time of [`poll_timeout`](Connection::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.clock = now;
        while let Some(call) = self.deadlines.pop_due(now) {
            self.expire(call);
        }
        self.prune_deadlines();
        if self.going_away.timeout().is_some_and(|until| until <= now) {
            self.finish_shutdown();
        }
        if self.error.is_none() {
            self.keep_up(now);
        }
    }

    // Verbs of a client.

    /// Opens a call. Over the peer's MAX_CONCURRENT_STREAMS it waits inside, in order, until a stream is free.
    /// Past its deadline already, it ends (`DEADLINE_EXCEEDED`) without a byte being sent; so it does
    /// (`RESOURCE_EXHAUSTED`) with more headers than the server takes (SETTINGS_MAX_HEADER_LIST_SIZE).
    ///
    /// # Errors
    /// [`CallError::WrongRole`] on a server, [`CallError::ConnectionClosing`] when
    /// [`accepts_calls`](Connection::accepts_calls) is false.
    pub fn open(&mut self, request: Request<'_>, now: Instant) -> Result<CallId, CallError> {
        self.open_encoded(request, Encoding::Identity, now)
    }

    /// [`open`](Connection::open) for a call whose messages are compressed, those that get shorter by it.
    ///
    /// # Errors
    /// As of [`open`](Connection::open).
    pub fn open_encoded(
        &mut self,
        request: Request<'_>,
        encoding: Encoding,
        now: Instant,
    ) -> Result<CallId, CallError> {
        self.open_with(request, encoding, Subtype::None, now)
    }

    /// [`open_encoded`](Connection::open_encoded) for a call whose content-type says what its messages are.
    ///
    /// # Errors
    /// As of [`open`](Connection::open).
    pub fn open_with(
        &mut self,
        request: Request<'_>,
        encoding: Encoding,
        subtype: Subtype,
        now: Instant,
    ) -> Result<CallId, CallError> {
        if self.config.role != Role::Client {
            return Err(CallError::WrongRole);
        }
        if !self.accepts_calls() {
            return Err(CallError::ConnectionClosing);
        }
        let stream = self.store.insert();
        let call = stream.call;
        stream.deadline = request.deadline;
        stream.encoding = encoding;
        stream.media = Media::Of(subtype);
        if let Some(deadline) = request.deadline {
            if deadline <= now {
                self.expire(call);
                return Ok(call);
            }
            self.deadlines.insert(deadline, call);
        }
        if self.waiting.is_empty() && self.may_open_stream() {
            self.start(call, request.path, request.authority, request.metadata, now);
        } else if let Some(stream) = self.store.live(call) {
            stream.waiting = Some(Box::new(Waiting {
                path: request.path.to_owned(),
                authority: request.authority.to_owned(),
                metadata: request.metadata.clone(),
            }));
            self.waiting.push_back(call);
        }
        Ok(call)
    }

    // Verbs of a server.

    /// Sends initial metadata now. Without it they go, empty, with the first message or the status. More than the client
    /// takes (SETTINGS_MAX_HEADER_LIST_SIZE) ends the call with `RESOURCE_EXHAUSTED`.
    ///
    /// # Errors
    /// [`CallError::HeadersSent`] when they are gone already; [`CallError::HalfClosed`] when the call is answered.
    pub fn send_headers(&mut self, call: CallId, metadata: &Metadata) -> Result<(), CallError> {
        if self.config.role != Role::Server {
            return Err(CallError::WrongRole);
        }
        let stream = self.store.live(call).ok_or(CallError::NoSuchCall)?;
        if stream.headers_sent {
            return Err(CallError::HeadersSent);
        }
        if stream.finished {
            return Err(CallError::HalfClosed);
        }
        match self.refuses_headers(call, metadata) {
            Some(status) => self.answer(call, &status, &Metadata::new()),
            None => self.write_response_headers(call, metadata),
        }
        Ok(())
    }

    /// Has the call's messages compressed from now on, those that get shorter by it, unless the client has not said that
    /// it reads this encoding.
    ///
    /// # Errors
    /// [`CallError::HeadersSent`] when the headers, which name the encoding, are gone already.
    pub fn set_encoding(&mut self, call: CallId, encoding: Encoding) -> Result<(), CallError> {
        if self.config.role != Role::Server {
            return Err(CallError::WrongRole);
        }
        let stream = self.store.live(call).ok_or(CallError::NoSuchCall)?;
        if stream.headers_sent {
            return Err(CallError::HeadersSent);
        }
        stream.encoding = if stream.accepted.contains(encoding) { encoding } else { Encoding::Identity };
        Ok(())
    }

    /// Ends the call with a status and trailing metadata; `trailers-only` when nothing was sent before. What the client
    /// still sends is discarded. `Closed` follows when the last byte is handed to the transport: it is there to be
    /// polled after [`Transmit`] has been advanced past it.
    ///
    /// Of more than the client takes (SETTINGS_MAX_HEADER_LIST_SIZE) the message is cut and says so; when the metadata
    /// alone is too large it is left out, and an `OK` becomes `RESOURCE_EXHAUSTED`.
    ///
    /// # Errors
    /// [`CallError::HalfClosed`] when the call is answered already.
    pub fn respond(&mut self, call: CallId, status: &Status, trailers: &Metadata) -> Result<(), CallError> {
        if self.config.role != Role::Server {
            return Err(CallError::WrongRole);
        }
        let stream = self.store.live(call).ok_or(CallError::NoSuchCall)?;
        if stream.finished {
            return Err(CallError::HalfClosed);
        }
        self.answer(call, status, trailers);
        Ok(())
    }

    /// Refuses a call of a [`Subtype`] that its method does not serve: HTTP's 415 (Unsupported Media Type) and, for gRPC
    /// clients, `UNIMPLEMENTED` with a text that names the method's `codec`.
    ///
    /// # Errors
    /// [`CallError::HeadersSent`] when headers are gone already; [`CallError::HalfClosed`] when the call is answered.
    pub fn refuse_subtype(&mut self, call: CallId, codec: &str) -> Result<(), CallError> {
        if self.config.role != Role::Server {
            return Err(CallError::WrongRole);
        }
        let stream = self.store.live(call).ok_or(CallError::NoSuchCall)?;
        if stream.finished {
            return Err(CallError::HalfClosed);
        }
        if stream.headers_sent {
            return Err(CallError::HeadersSent);
        }
        self.answer_unsupported(call, codec);
        Ok(())
    }

    // Verbs of both.

    /// Queues a message. It is always taken; ask [`writable`](Connection::writable) before, to keep memory bounded.
    /// One longer than [`Limits::max_send_message_length`](crate::Limits::max_send_message_length) ends the call.
    ///
    /// # Errors
    /// [`CallError::HalfClosed`] after [`half_close`](Connection::half_close) or [`respond`](Connection::respond).
    pub fn send_message<'a>(&mut self, call: CallId, message: impl Into<Outgoing<'a>>) -> Result<(), CallError> {
        self.send_message_with(call, message, true)
    }

    /// [`send_message`](Connection::send_message), where `compress` says whether this message may be compressed at all.
    /// It is when the call has an [`Encoding`] and that makes it shorter.
    ///
    /// # Errors
    /// As of [`send_message`](Connection::send_message).
    pub fn send_message_with<'a>(
        &mut self,
        call: CallId,
        message: impl Into<Outgoing<'a>>,
        compress: bool,
    ) -> Result<(), CallError> {
        let message = message.into();
        let max = self.max_send_message_length();
        let stream = self.store.live(call).ok_or(CallError::NoSuchCall)?;
        if stream.finished {
            return Err(CallError::HalfClosed);
        }
        if message.len() > max {
            let status = too_large(self.config.role, "Sent", message.len(), max);
            self.fail_call(call, status);
            return Ok(());
        }
        let queued = stream.queue.len();
        let limits = &self.config.limits;
        let by_others = self.congested && self.unsent - queued > limits.unsent.max(limits.overdraft);
        if by_others && self.config.role == Role::Server {
            let status = "too much memory is taken by messages that the client does not read";
            self.fail_call(call, Status::new(Code::ResourceExhausted, status));
            return Ok(());
        }
        if self.config.role == Role::Server && !stream.headers_sent {
            self.write_response_headers(call, &Metadata::new());
        }
        let Some(stream) = self.store.live(call) else { return Ok(()) };
        let body = match stream.encoding {
            Encoding::Identity => None,
            encoding => {
                compress.then(|| self.codecs.get_or_insert_default().compress(encoding, message.bytes())).flatten()
            }
        };
        match body {
            Some(body) => stream.queue.push(message::prefix(body.len(), true), Outgoing::Shared(body.into())),
            None => stream.queue.push(message::prefix(message.len(), false), message),
        }
        self.unsent += send::enqueued(stream, queued, self.config.limits.send_buffer, &mut self.scheduler);
        self.congested |= self.unsent >= self.config.limits.unsent;
        Ok(())
    }

    /// [`send_message_with`](Connection::send_message_with) for several messages.
    ///
    /// # Errors
    /// As of [`send_message`](Connection::send_message).
    pub fn send_run(&mut self, call: CallId, run: Run, compress: bool) -> Result<(), CallError> {
        let max = self.max_send_message_length();
        let stream = self.store.live(call).ok_or(CallError::NoSuchCall)?;
        let plain = !compress || stream.encoding == Encoding::Identity;
        let congested = self.unsent > self.config.limits.unsent;
        if !plain || congested || run.longest() > max || run.len() == 0 {
            for message in run {
                self.send_message_with(call, message, compress)?;
            }
            return Ok(());
        }
        if stream.finished {
            return Err(CallError::HalfClosed);
        }
        if self.config.role == Role::Server && !stream.headers_sent {
            self.write_response_headers(call, &Metadata::new());
        }
        let Some(stream) = self.store.live(call) else { return Ok(()) };
        let queued = stream.queue.len();
        stream.queue.push_wire(run.into_wire());
        self.unsent += send::enqueued(stream, queued, self.config.limits.send_buffer, &mut self.scheduler);
        self.congested |= self.unsent >= self.config.limits.unsent;
        Ok(())
    }

    /// The largest message that may be sent; more than 4 GiB cannot be said.
    fn max_send_message_length(&self) -> usize {
        self.config.limits.max_send_message_length.unwrap_or(u32::MAX as usize).min(u32::MAX as usize)
    }

    /// Client: no more messages will be sent.
    ///
    /// # Errors
    /// [`CallError::HalfClosed`] when that was said already.
    pub fn half_close(&mut self, call: CallId) -> Result<(), CallError> {
        if self.config.role != Role::Client {
            return Err(CallError::WrongRole);
        }
        let stream = self.store.live(call).ok_or(CallError::NoSuchCall)?;
        if stream.finished {
            return Err(CallError::HalfClosed);
        }
        stream.finished = true;
        self.schedule(call);
        Ok(())
    }

    /// Ends the call at once: RST_STREAM, and [`Event::Closed`] with this status. A call that is over is left alone,
    /// and so is one whose answer has been made into bytes already.
    pub fn cancel(&mut self, call: CallId, status: Status) {
        self.abandon(call, status);
    }

    /// The application has taken `len` bytes of messages (their lengths as delivered, prefix not counted): the window
    /// of the peer opens again. Harmless after the call is over.
    ///
    /// Right for one message at a time, an empty one too (each costs its sender five bytes of window for the prefix).
    /// For several at once, [`release_many`](Connection::release_many) is exact; here their number is estimated.
    pub fn release(&mut self, call: CallId, len: usize) {
        self.give_back(call, None, len, false);
    }

    /// The application has taken this many messages of `len` bytes together, and is done with them and with those before.
    pub fn release_many(&mut self, call: CallId, messages: usize, len: usize) {
        self.give_back(call, Some(messages), len, false);
    }

    /// The application has taken this many messages of `len` bytes together. Windows open again as after
    /// [`release_many`](Connection::release_many), but to the [`Budget`](crate::Budget) they count until the call's next
    /// ones are taken or released, or it ends. To be told for large messages; small ones may as well be released.
    pub fn take_many(&mut self, call: CallId, messages: usize, len: usize) {
        self.give_back(call, Some(messages), len, true);
    }

    /// Takes no new calls, lets those in flight finish, then disconnects (server: GOAWAY 2^31-1, PING, final GOAWAY).
    pub fn shutdown(&mut self, now: Instant) {
        if self.error.is_some() || self.going_away.local != Local::Staying {
            return;
        }
        self.drain(b"", now);
    }

    /// [`shutdown`](Connection::shutdown), with a reason for people to read.
    fn drain(&mut self, debug: &'static [u8], now: Instant) {
        self.going_away.reason = debug;
        if self.config.role == Role::Client {
            self.going_away.local = Local::Final;
            return self.finish_if_idle();
        }
        self.going_away.local = Local::Announced(now + goaway::PING_WAIT);
        let payload = goaway::ping_payload(self.config.seed);
        self.transmit.small(|out| {
            GoAway { last_stream: MAX_U31, code: ErrorCode::NO_ERROR, debug }.encode(out);
            Ping { payload, ack: false }.encode(out);
        });
    }

    /// Closes now: every call ends with `status`, GOAWAY goes out with `code` and `debug`.
    pub fn close(&mut self, code: ErrorCode, debug: &str, status: &Status, _now: Instant) {
        if self.error.is_none() {
            self.write_goaway(code, debug.as_bytes());
            self.finish(ConnectionError::ClosedLocally, status);
        }
    }

    // To the outside.

    /// The next event, `None` when there is none. A request that was reset, or ran out of time, before it was polled gives
    /// no events at all.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.settle_answered();
        match self.events.front() {
            None | Some(Event::Request { .. } | Event::Closed { .. }) => self.poll_event_of_call(),
            Some(_) if self.unheard > 0 => self.poll_event_of_call(),
            Some(_) => self.events.pop_front(),
        }
    }

    fn poll_event_of_call(&mut self) -> Option<Event> {
        loop {
            let Some(event) = self.events.pop_front() else {
                // Looking for them may have something to say.
                if self.has_held_back() && (self.unpack_next() || !self.events.is_empty()) {
                    continue;
                }
                self.keep_books();
                self.events.shrink_to(EVENTS_KEPT);
                return None;
            };
            if self.is_told(&event) {
                return Some(event);
            }
        }
    }

    /// Whether an event is given, now that it is next.
    #[inline]
    fn is_told(&mut self, event: &Event) -> bool {
        match *event {
            Event::Request { call, .. } => self.is_heard(call),
            Event::Closed { call, .. } => {
                let unheard = self.is_unheard(call);
                self.unheard -= usize::from(unheard);
                self.store.free(call);
                !unheard
            }
            Event::Message { call, .. }
            | Event::Messages { call, .. }
            | Event::LargeMessage { call }
            | Event::HalfClosed { call }
            | Event::Writable { call } => !self.is_unheard(call),
            _ => true,
        }
    }

    /// Whether a request gives events: not when its call has ended before it was polled.
    fn is_heard(&mut self, call: CallId) -> bool {
        let Some(stream) = self.store.ended(call) else { return true };
        stream.unheard = true;
        self.unheard += 1;
        false
    }

    #[inline]
    fn is_unheard(&mut self, call: CallId) -> bool {
        self.unheard > 0 && self.store.ended(call).is_some_and(|stream| stream.unheard)
    }

    /// What to write now, `None` when there is nothing. Frames are made when asked for, so ask again after writing
    /// all of it, and [`poll_event`](Connection::poll_event) again after that.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<&mut Transmit> {
        self.clock = now;
        if !self.scheduler.is_empty() || !self.waiting.is_empty() {
            self.gather(now);
        }
        self.settle_answered();
        self.transmit.is_due().then_some(&mut self.transmit)
    }

    /// When [`handle_timeout`](Connection::handle_timeout) must be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let times = [self.deadlines.next(), self.going_away.timeout(), self.upkeep_timeout()];
        times.into_iter().flatten().min().filter(|_| self.error.is_none())
    }

    // Getters.

    /// Whether [`send_message`](Connection::send_message) keeps within the call's send buffer
    /// ([`Limits::send_buffer`](crate::Limits::send_buffer)), and the connection within that of all calls
    /// ([`Limits::unsent`](crate::Limits::unsent)), or the call has nothing that waits. Once false, it is so until half the
    /// buffer is sent, or all that the call had, which [`Event::Writable`] tells.
    pub fn writable(&self, call: CallId) -> bool {
        self.store.peek(call).is_some_and(|stream| !stream.crowded && (!self.congested || stream.queue.is_empty()))
    }

    /// Calls that have not ended, those waiting for a stream included.
    pub fn calls(&self) -> usize {
        self.store.len()
    }

    /// Whether [`open`](Connection::open) would take a call.
    pub fn accepts_calls(&self) -> bool {
        self.error.is_none() && self.going_away.accepts_calls() && self.next_stream <= MAX_U31
    }

    /// How to part from the transport once the connection is over and its last bytes are written. `None`: close it. When
    /// a peer may still be sending, closing would have the operating system discard what is on its way to it, the reason
    /// in GOAWAY included; so close for writing only, and read on as [`Farewell`] says.
    pub fn farewell(&self, now: Instant) -> Option<Farewell> {
        let owed = match self.error.as_ref()? {
            ConnectionError::PeerMisbehaved(..) => true,
            ConnectionError::PeerIncompatible(_) | ConnectionError::ClosedLocally => self.config.role == Role::Server,
            _ => false,
        };
        let limits = &self.config.limits;
        (owed && !self.transport_lost && !limits.linger.is_zero()).then(|| Farewell::new(limits, now))
    }

    /// What the peer has announced, of what matters here; for people who look for a fault.
    pub fn peer_settings(&self) -> impl fmt::Display {
        self.peer
    }

    /// The code and debug data of the peer's GOAWAY, if it has sent one.
    pub fn peer_goaway(&self) -> Option<(ErrorCode, &[u8])> {
        self.going_away.peer.as_ref().map(|peer| (peer.code, peer.debug.as_slice()))
    }

    /// Why the connection is over; `None` while it lives.
    pub fn error(&self) -> Option<&ConnectionError> {
        self.error.as_ref()
    }
}
