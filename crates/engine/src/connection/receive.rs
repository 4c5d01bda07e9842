//! Bytes in: the inbox cut into frames, and each frame checked as far as its head goes.

use std::time::Instant;

use farcall_core::{Code, Status};

use super::{Connection, Role, data::Data};
use crate::{
    ConnectionError,
    error::{ErrorCode, Fault},
    frame::{
        BEFORE_BLOCK, GoAway, HEAD_LEN, Head, PREFACE, Ping, Reset, Settings, WindowUpdate, block_bounds, flag, kind,
    },
    recv::Inbox,
    stream::{Input, State, Step},
};

/// The answer to a request of HTTP/1. It has no length, because the connection ends behind it.
const HTTP1_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\
    \r\n\
    This port speaks gRPC, which needs HTTP/2 from the first byte (curl: --http2-prior-knowledge).\n";

/// What the next bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    /// A client's preface.
    Preface,
    Head,
    /// The whole payload of a frame that is not DATA.
    Payload(Head),
    Data(Data),
    /// What comes before the header block in a HEADERS frame that is too long to be read whole.
    BlockStart(Head),
    /// So much of a header block, and of padding behind it, in a frame that is too long to be read whole.
    Block {
        head: Head,
        left: u32,
        padding: u8,
    },
    /// This much of a frame of an unknown type.
    Unknown(u32),
    /// The connection is over, whatever comes.
    Nothing,
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
            Reading::BlockStart(head) => BEFORE_BLOCK.min(head.length as usize),
            Reading::Block { left, .. } => PIECE.min(*left as usize),
            _ => 0,
        }
    }
}

/// How much of a header block is decoded at once when its frame is too long to be read whole, in bytes: little enough to
/// wait for, and not so little that the waiting costs more.
const PIECE: usize = 16 << 10;

/// What a request of HTTP/1 begins with (RFC 9110 9.3).
const METHODS: [&[u8]; 9] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"DELETE ", b"CONNECT ", b"OPTIONS ", b"TRACE ", b"PATCH "];

/// Why reading stops.
pub(super) enum Stop {
    /// More bytes are needed.
    Starved,
    /// The peer is not one of HTTP/2.
    Incompatible(&'static str),
    /// The client speaks HTTP/1.
    Http1,
    /// A breach of the protocol on this stream, or on the connection.
    Fault(Fault, u32),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault, 0)
    }
}

pub(super) const fn broken(what: &'static str) -> Stop {
    Stop::Fault(Fault::Connection(ErrorCode::PROTOCOL_ERROR, what), 0)
}

const fn wrong_size(what: &'static str) -> Stop {
    Stop::Fault(Fault::Connection(ErrorCode::FRAME_SIZE_ERROR, what), 0)
}

impl Connection {
    /// Reads all that is in the inbox, after the bytes of DATA that were placed where they belong.
    pub(super) fn read(&mut self, mut placed: usize, now: Instant) {
        let mut inbox = std::mem::take(&mut self.inbox);
        while self.error.is_none() {
            match self.step(std::mem::take(&mut placed), &mut inbox, now) {
                Ok(()) => {}
                Err(Stop::Starved) => break,
                Err(Stop::Incompatible(what)) => {
                    self.give_up(ErrorCode::PROTOCOL_ERROR, ConnectionError::PeerIncompatible(what));
                }
                Err(Stop::Http1) => self.answer_http1(),
                Err(Stop::Fault(fault, id)) => self.punish(fault, id, now),
            }
        }
        if self.error.is_some() {
            self.reading = Reading::Nothing;
            inbox.consume(inbox.bytes().len());
        }
        self.inbox = inbox;
    }

    /// Whether a frame or a header block has begun and not ended. Asked between reads.
    pub(super) fn is_within_frame(&self) -> bool {
        match self.reading {
            Reading::Nothing => false,
            Reading::Head | Reading::Preface => !self.inbox.bytes().is_empty() || self.block.is_some(),
            _ => true,
        }
    }

    /// Uses up what was placed, or one piece of the inbox.
    fn step(&mut self, placed: usize, inbox: &mut Inbox, now: Instant) -> Result<(), Stop> {
        match self.reading {
            Reading::Preface => self.read_preface(inbox),
            Reading::Head => self.read_head(inbox, now),
            Reading::Payload(head) => {
                let payload = inbox.bytes().get(..head.length as usize).ok_or(Stop::Starved)?;
                self.reading = Reading::Head;
                let result = self.read_payload(head, payload, now);
                inbox.consume(head.length as usize);
                result
            }
            Reading::Data(data) => self.read_data(data, placed, inbox, now),
            Reading::BlockStart(head) => {
                let there = inbox.bytes().get(..BEFORE_BLOCK.min(head.length as usize)).ok_or(Stop::Starved)?;
                let (start, left) = block_bounds(head, there)?;
                let padding = (head.length as usize - start - left) as u8;
                inbox.consume(start);
                self.reading = Reading::Block { head, left: left as u32, padding };
                self.begin_block(head)?;
                Ok(())
            }
            Reading::Block { head, left, padding } => self.read_piece(head, left, padding, inbox, now),
            Reading::Unknown(left) => {
                let taken = inbox.bytes().len().min(left as usize) as u32;
                inbox.consume(taken as usize);
                self.reading = if taken == left { Reading::Head } else { Reading::Unknown(left - taken) };
                if taken < left { Err(Stop::Starved) } else { Ok(()) }
            }
            Reading::Nothing => Err(Stop::Starved),
        }
    }

    /// Decodes the next piece of a header block whose frame is not read whole.
    fn read_piece(&mut self, head: Head, left: u32, padding: u8, inbox: &mut Inbox, now: Instant) -> Result<(), Stop> {
        let there = inbox.bytes();
        if there.len() < PIECE.min(left as usize) {
            return Err(Stop::Starved);
        }
        let taken = there.len().min(left as usize);
        self.feed_block(&there[..taken])?;
        let left = left - taken as u32;
        let passed = if left == 0 { usize::from(padding).min(there.len() - taken) } else { 0 };
        inbox.consume(taken + passed);
        let padding = padding - passed as u8;
        if left > 0 || padding > 0 {
            self.reading = Reading::Block { head, left, padding };
            return if left == 0 { Err(Stop::Starved) } else { Ok(()) };
        }
        self.reading = Reading::Head;
        if head.has(flag::END_HEADERS) {
            let id = head.stream;
            self.end_block(now).map_err(|fault| Stop::Fault(fault, id))?;
        }
        Ok(())
    }

    fn read_preface(&mut self, inbox: &mut Inbox) -> Result<(), Stop> {
        let bytes = inbox.bytes();
        let length = bytes.len().min(PREFACE.len());
        if bytes[..length] != PREFACE[..length] {
            return Err(match bytes {
                [0x16, 3, ..] => Stop::Incompatible("it speaks TLS"),
                bytes if METHODS.iter().any(|method| bytes.iter().zip(*method).all(|(a, b)| a == b)) => Stop::Http1,
                _ => Stop::Incompatible("its first bytes are not the preface of HTTP/2"),
            });
        }
        if length < PREFACE.len() {
            return Err(Stop::Starved);
        }
        inbox.consume(length);
        self.reading = Reading::Head;
        self.transmit.release();
        Ok(())
    }

    /// Answers a client of HTTP/1, mostly a person with curl or a browser, in its own language.
    fn answer_http1(&mut self) {
        let error = ConnectionError::PeerIncompatible("it speaks HTTP/1");
        let status = Status::new(Code::Unavailable, format!("Stream removed ({error})"));
        self.transmit.discard();
        self.transmit.small(|out| out.extend_from_slice(HTTP1_ANSWER));
        self.finish(error, &status);
    }

    fn read_head(&mut self, inbox: &mut Inbox, now: Instant) -> Result<(), Stop> {
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
        if head.kind != kind::CONTINUATION {
            self.begun_at = now;
        }
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
                let of_block = matches!(head.kind, kind::HEADERS | kind::CONTINUATION);
                if of_block {
                    self.count_block(head)?;
                }
                let long = head.length as usize > self.config.limits.control_frame;
                if long && !of_block {
                    return Err(
                        Fault::Connection(ErrorCode::ENHANCE_YOUR_CALM, "a frame too large to be sensible").into()
                    );
                }
                inbox.consume(HEAD_LEN);
                self.reading = match head.kind {
                    kind::HEADERS if long => Reading::BlockStart(head),
                    kind::CONTINUATION if long => Reading::Block { head, left: head.length, padding: 0 },
                    _ => Reading::Payload(head),
                };
                Ok(())
            }
            _ => {
                inbox.consume(HEAD_LEN);
                self.reading = Reading::Unknown(head.length);
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
        if let Some(id) = self.unfinished_block()
            && (head.kind != kind::CONTINUATION || head.stream != id)
        {
            return Err(broken("a frame within a header block"));
        }
        let of_connection = match head.kind {
            kind::SETTINGS | kind::PING | kind::GOAWAY => true,
            kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM => false,
            kind::PUSH_PROMISE => return Err(broken("PUSH_PROMISE, which is switched off")),
            kind::CONTINUATION if self.block.is_none() => {
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
            kind::SETTINGS => self.read_settings(Settings::decode(head, payload)?, now),
            kind::PING => self.read_ping(Ping::decode(head, payload)?, now),
            kind::GOAWAY => self.read_goaway(GoAway::decode(payload)?, now),
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
}
