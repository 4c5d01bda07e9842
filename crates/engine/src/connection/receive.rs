//! Bytes in: frames cut out of the inbox, and every frame but header blocks dealt with.

use std::time::Instant;

use farcall_core::{Code, Metadata, Status};

use super::{CallId, Connection, Role, Transmit};
use crate::{
    Closed, ConnectionError, Event,
    error::{ErrorCode, Fault},
    frame::{
        GoAway, HEAD_LEN, Head, MAX_U31, PREFACE, Ping, Reset, Setting, Settings, WindowUpdate, encode_settings_ack,
        flag, kind, settings_parameters,
    },
    goaway::{self, PeerGoAway},
    grpc::{message::MessageFault, status_map},
    recv::Inbox,
    stream::{Input, State, Step, Stream},
};

/// What the next bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// A client's preface.
    Preface,
    Head,
    /// The whole payload of a frame that is not DATA.
    Payload(Head),
    Data(Data),
    /// This much of a frame of an unknown type.
    Unknown(usize),
    /// The connection is over, whatever comes.
    Nothing,
}

/// The rest of a DATA frame, which is used as it comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Data {
    id: u32,
    /// `None` when nobody wants it.
    call: Option<CallId>,
    left: usize,
    padding: usize,
    end_stream: bool,
}

impl Reading {
    pub(super) fn first(role: Role) -> Reading {
        match role {
            Role::Client => Reading::Head,
            Role::Server => Reading::Preface,
        }
    }

    /// How many bytes must be there at once to go on.
    pub(super) fn wanted(&self) -> usize {
        match self {
            Reading::Payload(head) => head.length as usize,
            _ => 0,
        }
    }
}

/// Why reading stops.
enum Stop {
    /// More bytes are needed.
    Starved,
    /// The peer is not one of HTTP/2.
    Incompatible(&'static str),
    /// A breach of the protocol on this stream, or on the connection.
    Fault(Fault, u32),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault, 0)
    }
}

const fn broken(what: &'static str) -> Stop {
    Stop::Fault(Fault::Connection(ErrorCode::PROTOCOL_ERROR, what), 0)
}

const fn wrong_size(what: &'static str) -> Stop {
    Stop::Fault(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, what), 0)
}

impl Connection {
    /// Reads all that is in the inbox.
    pub(super) fn read(&mut self, now: Instant) {
        let mut inbox = std::mem::take(&mut self.inbox);
        while self.error.is_none() {
            match self.step(&mut inbox, now) {
                Ok(()) => {}
                Err(Stop::Starved) => break,
                Err(Stop::Incompatible(what)) => {
                    self.give_up(ErrorCode::PROTOCOL_ERROR, ConnectionError::PeerIncompatible(what));
                }
                Err(Stop::Fault(fault, id)) => self.punish(fault, id, now),
            }
        }
        if self.error.is_some() {
            self.reading = Reading::Nothing;
            inbox.consume(inbox.bytes().len());
        }
        self.inbox = inbox;
    }

    /// Uses up one piece of the inbox.
    fn step(&mut self, inbox: &mut Inbox, now: Instant) -> Result<(), Stop> {
        match self.reading {
            Reading::Preface => self.read_preface(inbox),
            Reading::Head => self.read_head(inbox),
            Reading::Payload(head) => {
                let payload = inbox.bytes().get(..head.length as usize).ok_or(Stop::Starved)?;
                self.reading = Reading::Head;
                let result = self.read_payload(head, payload, now);
                inbox.consume(head.length as usize);
                result
            }
            Reading::Data(data) => self.read_data(data, inbox, now),
            Reading::Unknown(left) => {
                let taken = left.min(inbox.bytes().len());
                inbox.consume(taken);
                self.reading = if taken == left { Reading::Head } else { Reading::Unknown(left - taken) };
                if taken < left { Err(Stop::Starved) } else { Ok(()) }
            }
            Reading::Nothing => Err(Stop::Starved),
        }
    }

    fn read_preface(&mut self, inbox: &mut Inbox) -> Result<(), Stop> {
        let bytes = inbox.bytes();
        let length = bytes.len().min(PREFACE.len());
        if bytes[..length] != PREFACE[..length] {
            return Err(Stop::Incompatible(match bytes {
                [0x16, 3, ..] => "it speaks TLS",
                [b'A'..=b'Z', b'A'..=b'Z', ..] => "it speaks HTTP/1",
                _ => "its first bytes are not the preface of HTTP/2",
            }));
        }
        if length < PREFACE.len() {
            return Err(Stop::Starved);
        }
        inbox.consume(length);
        self.reading = Reading::Head;
        Ok(())
    }

    fn read_head(&mut self, inbox: &mut Inbox) -> Result<(), Stop> {
        let bytes = inbox.bytes();
        if !self.peer.received {
            self.check_first_bytes(bytes)?;
        }
        let (head, payload) = bytes.split_first_chunk::<HEAD_LEN>().ok_or(Stop::Starved)?;
        let head = Head::decode(head);
        if head.length > self.config.limits.max_frame_size {
            return Err(wrong_size("a frame over MAX_FRAME_SIZE"));
        }
        self.check_head(head)?;
        match head.kind {
            kind::DATA => {
                let padded = head.has(flag::PADDED);
                if padded && head.length == 0 {
                    return Err(wrong_size("DATA too short for its padding"));
                }
                let padding = match payload.first() {
                    _ if !padded => None,
                    Some(&length) => Some(length),
                    None => return Err(Stop::Starved),
                };
                inbox.consume(HEAD_LEN + usize::from(padded));
                self.begin_data(head, padding)
            }
            kind::HEADERS..=kind::CONTINUATION => {
                if head.length as usize > self.config.limits.header_block {
                    return Err(
                        Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM, "a frame too large to be sensible").into()
                    );
                }
                inbox.consume(HEAD_LEN);
                self.reading = Reading::Payload(head);
                Ok(())
            }
            _ => {
                inbox.consume(HEAD_LEN);
                self.reading = Reading::Unknown(head.length as usize);
                Ok(())
            }
        }
    }

    /// Tells a peer of another protocol by its first bytes, so that it is called what it is.
    fn check_first_bytes(&self, bytes: &[u8]) -> Result<(), Stop> {
        if bytes.starts_with(b"HTTP/1") {
            return Err(Stop::Incompatible("it answers in HTTP/1"));
        }
        if bytes.len() >= HEAD_LEN && bytes[3] != kind::SETTINGS {
            return Err(Stop::Incompatible("its first frame is not SETTINGS"));
        }
        Ok(())
    }

    /// What can be said of a frame by its head alone.
    fn check_head(&self, head: Head) -> Result<(), Stop> {
        if let Some(id) = self.block.stream()
            && (head.kind != kind::CONTINUATION || head.stream != id)
        {
            return Err(broken("a frame within a header block"));
        }
        let of_connection = match head.kind {
            kind::SETTINGS | kind::PING | kind::GOAWAY => true,
            kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM => false,
            kind::PUSH_PROMISE => return Err(broken("PUSH_PROMISE, which is switched off")),
            kind::CONTINUATION if self.block.stream().is_none() => {
                return Err(broken("CONTINUATION without HEADERS"));
            }
            _ => return Ok(()),
        };
        match (of_connection, head.stream) {
            (true, 0) => Ok(()),
            (true, _) => Err(broken("a frame of the connection on a stream")),
            (false, 0) => Err(broken("a frame of a stream on the connection")),
            (false, _) => Ok(()),
        }
    }

    fn read_payload(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<(), Stop> {
        let on_stream = |fault| Stop::Fault(fault, head.stream);
        match head.kind {
            kind::HEADERS => self.read_headers(head, payload, now).map_err(on_stream),
            kind::CONTINUATION => self.read_continuation(head, payload, now).map_err(on_stream),
            kind::PRIORITY => self.read_priority(head, payload).map_err(on_stream),
            kind::RST_STREAM => self.read_reset(Reset::decode(head, payload)?, now).map_err(on_stream),
            kind::SETTINGS => self.read_settings(Settings::decode(head, payload)?),
            kind::PING => self.read_ping(Ping::decode(head, payload)?),
            kind::GOAWAY => self.read_goaway(GoAway::decode(payload)?),
            kind::WINDOW_UPDATE => {
                let update = WindowUpdate::decode(head, payload).map_err(on_stream)?;
                self.read_window_update(update).map_err(on_stream)
            }
            _ => Ok(()),
        }
    }

    /// What comes on a stream that is not open: the step its state takes.
    pub(super) fn step_closed(&self, id: u32, input: Input) -> Result<(), Fault> {
        let state = if self.is_idle(id) {
            State::Idle
        } else {
            // What is forgotten was in flight.
            self.store.closed_state(id).unwrap_or(State::ResetByUs)
        };
        match state.step(input) {
            Step::Fault(fault) => Err(fault),
            _ => Ok(()),
        }
    }

    /// Whether a stream was never opened.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        match self.config.role {
            Role::Client => id.is_multiple_of(2) || id >= self.next_stream,
            Role::Server => id.is_multiple_of(2) || id > self.last_peer_stream,
        }
    }

    fn begin_data(&mut self, head: Head, padding: Option<u8>) -> Result<(), Stop> {
        let id = head.stream;
        let overhead = padding.map_or(0, |padding| usize::from(padding) + 1);
        let Some(left) = (head.length as usize).checked_sub(overhead) else {
            return Err(broken("DATA with more padding than payload"));
        };
        let end_stream = head.has(flag::END_STREAM);
        if left > 0 {
            self.floods.full_frame();
        } else if !end_stream {
            self.floods.empty_frame(&self.config.limits)?;
        }
        self.receive_window
            .receive(head.length)
            .map_err(|code| Fault::Connection(code, "DATA over the connection's window"))?;
        self.open_connection_window(head.length as usize);
        // From here on the rest of the frame is dropped when the stream fails.
        let mut data = Data { id, call: None, left, padding: overhead.saturating_sub(1), end_stream };
        self.reading = Reading::Data(data);
        let Some(stream) = self.store.by_id(id) else {
            return self.step_closed(id, Input::ReceiveData).map_err(|fault| Stop::Fault(fault, id));
        };
        let on_stream = |code, what| Stop::Fault(Fault::Stream(code, what), id);
        match stream.state.step(Input::ReceiveData) {
            Step::Fault(fault) => return Err(Stop::Fault(fault, id)),
            Step::To(_) => {}
            _ => return Ok(()),
        }
        if self.config.role == Role::Client && !stream.headers_received {
            return Err(on_stream(ErrorCode::PROTOCOL_ERROR, "DATA before HEADERS"));
        }
        stream.receive_window.receive(head.length).map_err(|code| on_stream(code, "DATA over the stream's window"))?;
        if let Some(length) = &mut stream.content_length {
            *length = length
                .checked_sub(left as u64)
                .ok_or(on_stream(ErrorCode::PROTOCOL_ERROR, "DATA beyond content-length"))?;
        }
        let call = stream.call;
        let unwanted = if stream.discarding { head.length as usize } else { overhead };
        if unwanted > 0 {
            self.open_stream_window(call, unwanted);
        }
        data.call = Some(call);
        self.reading = Reading::Data(data);
        Ok(())
    }

    fn read_data(&mut self, mut data: Data, inbox: &mut Inbox, now: Instant) -> Result<(), Stop> {
        let taken = data.left.min(inbox.bytes().len());
        data.left -= taken;
        let fault = match data.call {
            Some(call) if taken > 0 => self.deliver(call, &inbox.bytes()[..taken], data.left),
            _ => None,
        };
        inbox.consume(taken);
        let padding = data.padding.min(inbox.bytes().len());
        if data.left == 0 {
            inbox.consume(padding);
            data.padding -= padding;
        }
        let whole = data.left == 0 && data.padding == 0;
        self.reading = if whole { Reading::Head } else { Reading::Data(data) };
        if let Some((call, fault)) = data.call.zip(fault) {
            self.fail_call(call, fault.status(self.config.role));
        }
        if !whole {
            return Err(Stop::Starved);
        }
        match data.call {
            Some(call) if data.end_stream => self.end_of_stream(call, now).map_err(|fault| Stop::Fault(fault, data.id)),
            _ => Ok(()),
        }
    }

    /// Gives DATA to its call; `left` bytes of the frame are still to come.
    fn deliver(&mut self, call: CallId, bytes: &[u8], left: usize) -> Option<MessageFault> {
        let stream = self.store.live(call).filter(|stream| !stream.discarding)?;
        let (events, unread) = (&mut self.events, &mut self.unread);
        let (held, messages) = (&mut stream.held, &mut stream.held_messages);
        let max = self.config.limits.max_receive_message_length;
        let result = stream.assembler.push(bytes, max, &mut self.arena, |message| {
            *held += message.len();
            *messages += 1;
            *unread += message.len() + crate::grpc::message::PREFIX_LEN;
            events.push_back(Event::Message { call, message });
        });
        if let Err(fault) = result {
            stream.discarding = true;
            return Some(fault);
        }
        // A message larger than the window would otherwise wait for room that it takes up itself.
        // Before our SETTINGS are acknowledged the peer's window is not known: they may have made it large already.
        if self.settings_acknowledged {
            require(&mut self.transmit, stream, left);
        }
        None
    }

    /// The peer's END_STREAM, on DATA or on a client's trailers.
    pub(super) fn end_of_stream(&mut self, call: CallId, now: Instant) -> Result<(), Fault> {
        let Some(stream) = self.store.live(call) else { return Ok(()) };
        if !stream.state.is_open() {
            return Ok(());
        }
        if stream.content_length.is_some_and(|left| left > 0) {
            return Err(Fault::Stream(ErrorCode::PROTOCOL_ERROR, "less DATA than content-length"));
        }
        stream.state.advance(Input::ReceiveEnd);
        let whole = if stream.discarding { Ok(()) } else { stream.assembler.finish() };
        match self.config.role {
            Role::Server => match whole {
                Ok(()) if stream.finished => {}
                Ok(()) => self.events.push_back(Event::HalfClosed { call }),
                Err(fault) => self.fail_call(call, fault.status(Role::Server)),
            },
            Role::Client => {
                let status = match stream.http {
                    200 => Status::new(Code::Unknown, "Stream removed (Data frame with END_STREAM flag received)"),
                    http => status_map::from_http(http),
                };
                self.end_answered(call, status, Metadata::new(), now);
            }
        }
        Ok(())
    }

    /// PRIORITY means nothing any more (RFC 9113 5.3); only its form is checked.
    fn read_priority(&mut self, head: Head, payload: &[u8]) -> Result<(), Fault> {
        let Ok([d0, d1, d2, d3, _weight]) = <[u8; 5]>::try_from(payload) else {
            return Err(Fault::Stream(ErrorCode::FRAME_SIZE_ERROR, "PRIORITY that is not of 5 bytes"));
        };
        if u32::from_be_bytes([d0, d1, d2, d3]) & MAX_U31 == head.stream {
            return Err(Fault::Stream(ErrorCode::PROTOCOL_ERROR, "a stream that depends on itself"));
        }
        match self.store.by_id(head.stream) {
            Some(_) => Ok(()),
            None => self.step_closed(head.stream, Input::ReceivePriority),
        }
    }

    fn read_reset(&mut self, reset: Reset, now: Instant) -> Result<(), Fault> {
        let Some(stream) = self.store.by_id(reset.stream) else {
            return self.step_closed(reset.stream, Input::ReceiveReset);
        };
        stream.state.advance(Input::ReceiveReset);
        let call = stream.call;
        let expired = stream.deadline.is_some_and(|deadline| deadline <= now);
        let status = match self.config.role {
            Role::Client => match status_map::from_reset(reset.code) {
                Status { code: Code::Cancelled, .. } if expired => {
                    Status::new(Code::DeadlineExceeded, "Deadline Exceeded")
                }
                status => status,
            },
            Role::Server => {
                self.floods.reset(&self.config.limits, now)?;
                let ErrorCode(code) = reset.code;
                Status::new(Code::Cancelled, format!("RST_STREAM received; Error code: {code}"))
            }
        };
        let unprocessed = self.config.role == Role::Client && reset.code == ErrorCode::REFUSED_STREAM;
        self.end_call(call, Closed { status, trailers: Metadata::new(), completed: false, unprocessed });
        Ok(())
    }

    fn read_window_update(&mut self, update: WindowUpdate) -> Result<(), Fault> {
        const OVERFLOW: &str = "WINDOW_UPDATE beyond 2^31-1";
        let increment = i64::from(update.increment);
        if update.stream == 0 {
            let code = ErrorCode::FLOW_CONTROL_ERROR;
            self.send_window.shift(increment).map_err(|_| Fault::Connection(code, OVERFLOW))?;
            self.scheduler.unblock();
            return Ok(());
        }
        let Some(stream) = self.store.by_id(update.stream) else {
            return self.step_closed(update.stream, Input::ReceiveWindowUpdate);
        };
        let call = stream.call;
        let code = ErrorCode::FLOW_CONTROL_ERROR;
        stream.send_window.shift(increment).map_err(|_| Fault::Stream(code, OVERFLOW))?;
        self.schedule(call);
        Ok(())
    }

    fn read_settings(&mut self, settings: Settings<'_>) -> Result<(), Stop> {
        let found = match settings {
            Settings::Parameters(found) => found,
            Settings::Ack if !self.peer.received => return Err(Stop::Incompatible("it acknowledges SETTINGS first")),
            Settings::Ack => {
                self.settings_in_force();
                return Ok(());
            }
        };
        for setting in settings_parameters(found) {
            self.apply(setting?)?;
        }
        self.transmit.small(encode_settings_ack);
        self.count_induced()?;
        if !self.peer.received {
            self.peer.received = true;
            if !found.iter().any(|parameter| parameter[..2] == [0, 3]) {
                self.peer.max_concurrent_streams = u32::MAX;
            }
            self.events.push_back(Event::Ready);
        }
        Ok(())
    }

    fn apply(&mut self, setting: Setting) -> Result<(), Fault> {
        match setting {
            Setting::HeaderTableSize(size) => self.blocks.encoder.set_max_table_size(size),
            Setting::EnablePush(true) if self.config.role == Role::Client => {
                return Err(Fault::Connection(ErrorCode::PROTOCOL_ERROR, "a server that switches push on"));
            }
            Setting::MaxConcurrentStreams(limit) => self.peer.max_concurrent_streams = limit,
            Setting::InitialWindowSize(size) => self.shift_send_windows(size)?,
            Setting::MaxFrameSize(size) => self.blocks.max_frame_size = size,
            // Advice, which gRPC leaves to the peer's own answer.
            Setting::EnablePush(_) | Setting::MaxHeaderListSize(_) => {}
        }
        Ok(())
    }

    fn shift_send_windows(&mut self, initial: u32) -> Result<(), Fault> {
        let by = i64::from(initial) - i64::from(self.peer.initial_window);
        self.peer.initial_window = initial;
        let mut open = Vec::new();
        for stream in self.store.iter_mut().filter(|stream| stream.id != 0) {
            let code = ErrorCode::FLOW_CONTROL_ERROR;
            stream
                .send_window
                .shift(by)
                .map_err(|_| Fault::Connection(code, "INITIAL_WINDOW_SIZE that takes a window beyond 2^31-1"))?;
            open.push(stream.call);
        }
        if by > 0 {
            open.into_iter().for_each(|call| self.schedule(call));
        }
        Ok(())
    }

    /// The peer has acknowledged our SETTINGS.
    fn settings_in_force(&mut self) {
        if std::mem::replace(&mut self.settings_acknowledged, true) {
            return;
        }
        self.decoder.settings_acknowledged();
        let initial = self.config.limits.initial_stream_window;
        for stream in self.store.iter_mut().filter(|stream| stream.id != 0) {
            stream.receive_window.settings_acknowledged(initial);
            // A message that was let in over a smaller window is let in still.
            require(&mut self.transmit, stream, 0);
        }
    }

    fn read_ping(&mut self, ping: Ping) -> Result<(), Stop> {
        if !ping.ack {
            self.transmit.small(|out| Ping { ack: true, ..ping }.encode(out));
            self.count_induced()?;
        } else if ping.payload == goaway::ping_payload(self.config.seed) {
            self.finish_shutdown();
        }
        Ok(())
    }

    fn read_goaway(&mut self, goaway: GoAway<'_>) -> Result<(), Stop> {
        let known = self.going_away.peer.as_ref();
        let first = known.is_none();
        let peer = PeerGoAway {
            last_stream: goaway.last_stream.min(known.map_or(MAX_U31, |known| known.last_stream)),
            code: goaway.code,
            debug: goaway.debug[..goaway.debug.len().min(goaway::DEBUG_KEPT)].to_vec(),
        };
        self.going_away.peer = Some(peer);
        if first {
            self.events.push_back(Event::Draining);
        }
        if self.config.role == Role::Client {
            self.end_unanswered();
        }
        Ok(())
    }
}

/// Makes sure that the rest of the message begun may come, of which `left` bytes are paid for.
fn require(transmit: &mut Transmit, stream: &mut Stream, left: usize) {
    let missing = stream.assembler.missing().saturating_sub(left);
    if missing > 0
        && stream.state.remote_may_send()
        && let Some(increment) = stream.receive_window.require(missing)
    {
        let stream = stream.id;
        transmit.small(|out| WindowUpdate { stream, increment }.encode(out));
    }
}
