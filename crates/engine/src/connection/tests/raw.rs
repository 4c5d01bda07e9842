//! A peer that is no engine: it sends frames as a test likes them, and looks at what comes back.

use std::time::{Duration, Instant};

use bytes::Buf;
use farcall_core::Metadata;

use crate::{
    CallId, Closed, Config, Connection, ConnectionError, ErrorCode, Event, Request, Role,
    frame::{HEAD_LEN, Head, PREFACE, encode_settings, flag, kind},
    hpack::{Encoder, Indexing},
};

/// A connection under test, its peer played by hand.
pub(super) struct Raw {
    pub(super) connection: Connection,
    pub(super) now: Instant,
    pub(super) events: Vec<Event>,
    encoder: Encoder,
}

/// A frame that the connection sent.
pub(super) type Frame = (Head, Vec<u8>);

impl Raw {
    /// The peer has said hello, and has read what the connection said.
    pub(super) fn new(config: Config) -> Raw {
        let mut raw = Raw::unacknowledged(config);
        raw.frame(kind::SETTINGS, flag::ACK, 0, &[]);
        raw.written();
        raw
    }

    /// The peer has said hello, and has not read what the connection said.
    pub(super) fn unacknowledged(config: Config) -> Raw {
        let now = Instant::now();
        let server = config.role == Role::Server;
        let connection = Connection::new(config, now);
        let mut raw = Raw { connection, now, events: Vec::new(), encoder: Encoder::new() };
        let mut hello = if server { PREFACE.to_vec() } else { Vec::new() };
        encode_settings([], &mut hello);
        raw.bytes(&hello);
        raw.written();
        assert_eq!(std::mem::take(&mut raw.events), [Event::Ready]);
        raw
    }

    pub(super) fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.connection.receive_buffer();
            let taken = room.len().min(bytes.len());
            room[..taken].copy_from_slice(&bytes[..taken]);
            self.connection.handle_received(taken, self.now);
            bytes = &bytes[taken..];
        }
        self.events.extend(std::iter::from_fn(|| self.connection.poll_event()));
    }

    /// Nothing happens for a while; says how often the connection had to do something meanwhile.
    pub(super) fn let_quiet(&mut self) -> usize {
        let end = self.now + Duration::from_secs(50);
        let mut fired = 0;
        while let Some(at) = self.connection.poll_timeout().filter(|at| *at < end) {
            self.now = at;
            self.connection.handle_timeout(at);
            fired += 1;
        }
        self.now = end;
        fired
    }

    pub(super) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let head = Head { length: payload.len() as u32, kind, flags, stream };
        self.bytes(&[&head.encode()[..], payload].concat());
    }

    pub(super) fn block(&mut self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            self.encoder.encode(name.as_bytes().into(), value.as_bytes(), Indexing::Without, &mut block);
        }
        block
    }

    pub(super) fn headers(&mut self, stream: u32, end: bool, fields: &[(&str, &str)]) {
        let block = self.block(fields);
        let end = if end { flag::END_STREAM } else { 0 };
        self.frame(kind::HEADERS, flag::END_HEADERS | end, stream, &block);
    }

    pub(super) fn request(&mut self, stream: u32, end: bool) {
        self.headers(stream, end, &REQUEST);
    }

    pub(super) fn data(&mut self, stream: u32, end: bool, payload: &[u8]) {
        self.frame(kind::DATA, if end { flag::END_STREAM } else { 0 }, stream, payload);
    }

    pub(super) fn reset(&mut self, stream: u32) {
        self.frame(kind::RST_STREAM, 0, stream, &ErrorCode::CANCEL.0.to_be_bytes());
    }

    /// Opens a call of a client under test.
    pub(super) fn open(&mut self) -> CallId {
        let metadata = Metadata::new();
        let request = Request { path: "/a.B/C", authority: "a", metadata: &metadata, deadline: None };
        self.connection.open(request, self.now).unwrap()
    }

    /// What the connection has written since the last look.
    pub(super) fn written(&mut self) -> Vec<Frame> {
        let mut bytes = Vec::new();
        while let Some(transmit) = self.connection.poll_transmit(self.now) {
            let chunk = transmit.chunk();
            bytes.extend_from_slice(chunk);
            let taken = chunk.len();
            transmit.advance(taken);
        }
        self.events.extend(std::iter::from_fn(|| self.connection.poll_event()));
        let mut rest = bytes.strip_prefix(PREFACE).unwrap_or(&bytes);
        let mut frames = Vec::new();
        while let Some((head, after)) = rest.split_first_chunk::<HEAD_LEN>() {
            let head = Head::decode(head);
            let (payload, after) = after.split_at(head.length as usize);
            frames.push((head, payload.to_vec()));
            rest = after;
        }
        assert!(rest.is_empty(), "whole frames only");
        frames
    }

    /// The code of the RST_STREAM that was written for this stream.
    pub(super) fn was_reset(&mut self, stream: u32) -> Option<ErrorCode> {
        let frames = self.written();
        frames.iter().find(|(head, _)| (head.kind, head.stream) == (kind::RST_STREAM, stream)).map(code)
    }

    /// The code of the GOAWAY of a connection that has ended.
    pub(super) fn went_away(&mut self) -> Option<ErrorCode> {
        let frames = self.written();
        let goaway = frames.iter().find(|(head, _)| head.kind == kind::GOAWAY).map(code)?;
        match self.events.last() {
            Some(Event::Disconnected(ConnectionError::PeerMisbehaved(told, _))) => assert_eq!(*told, goaway),
            Some(Event::Disconnected(_)) => {}
            other => panic!("GOAWAY {goaway:?}, and then {other:?}"),
        }
        assert_eq!(self.connection.calls(), 0);
        Some(goaway)
    }

    /// The calls that began, in order.
    pub(super) fn requests(&self) -> Vec<CallId> {
        let request = |event: &Event| match event {
            Event::Request { call, .. } => Some(*call),
            _ => None,
        };
        self.events.iter().filter_map(request).collect()
    }

    /// How a call ended.
    pub(super) fn closed(&self, wanted: CallId) -> Option<&Closed> {
        self.events.iter().find_map(|event| match event {
            Event::Closed { call, closed } if *call == wanted => Some(&**closed),
            _ => None,
        })
    }
}

/// A request that any server takes.
pub(super) const REQUEST: [(&str, &str); 6] = [
    (":path", "/a.B/C"),
    (":authority", "a"),
    (":method", "POST"),
    (":scheme", "http"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
];

/// The code of an RST_STREAM or a GOAWAY.
fn code((head, payload): &Frame) -> ErrorCode {
    let at = if head.kind == kind::GOAWAY { 4 } else { 0 };
    ErrorCode(u32::from_be_bytes(payload[at..at + 4].try_into().unwrap()))
}
