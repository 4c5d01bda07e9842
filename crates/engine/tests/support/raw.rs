use std::time::{Duration, Instant};

use bytes::Buf;
use farcall_core::Metadata;
use farcall_engine::{CallId, Config, Request};
use fastrand::Rng;

use super::{
    End, Weather,
    wire::{Arrival, Wire},
};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it lies on the wire, made and read by hand so that it can be as wrong as a test likes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;

    pub const ACK: u8 = 1;
    pub const END_STREAM: u8 = 1;
    pub const END_HEADERS: u8 = 4;
    pub const PADDED: u8 = 8;

    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { kind, flags, stream, payload: payload.into() }
    }

    pub fn settings(values: &[(u16, u32)]) -> Frame {
        let payload = values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        Frame::new(Frame::SETTINGS, 0, 0, payload.collect::<Vec<u8>>())
    }

    pub fn settings_ack() -> Frame {
        Frame::new(Frame::SETTINGS, Frame::ACK, 0, [])
    }

    pub fn headers(stream: u32, end_stream: bool, fields: &[(&str, &str)]) -> Frame {
        let flags = Frame::END_HEADERS | if end_stream { Frame::END_STREAM } else { 0 };
        Frame::new(Frame::HEADERS, flags, stream, header_block(fields))
    }

    /// The headers of a plain gRPC request.
    pub fn request(stream: u32, end_stream: bool, more: &[(&str, &str)]) -> Frame {
        let fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/s.S/M"),
            (":authority", "test.example"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
        ];
        Frame::headers(stream, end_stream, &[&fields, more].concat())
    }

    pub fn response(stream: u32) -> Frame {
        Frame::headers(stream, false, &[(":status", "200"), ("content-type", "application/grpc")])
    }

    pub fn trailers(stream: u32, status: &str) -> Frame {
        Frame::headers(stream, true, &[("grpc-status", status)])
    }

    pub fn data(stream: u32, end_stream: bool, payload: impl Into<Vec<u8>>) -> Frame {
        Frame::new(Frame::DATA, if end_stream { Frame::END_STREAM } else { 0 }, stream, payload)
    }

    /// A whole message in one DATA frame.
    pub fn message(stream: u32, end_stream: bool, message: &[u8]) -> Frame {
        Frame::data(stream, end_stream, prefixed(message))
    }

    pub fn reset(stream: u32, code: u32) -> Frame {
        Frame::new(Frame::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    pub fn window_update(stream: u32, increment: u32) -> Frame {
        Frame::new(Frame::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    pub fn goaway(last_stream: u32, code: u32, debug: &str) -> Frame {
        let payload = [&last_stream.to_be_bytes()[..], &code.to_be_bytes(), debug.as_bytes()].concat();
        Frame::new(Frame::GOAWAY, 0, 0, payload)
    }

    pub fn ping(payload: [u8; 8]) -> Frame {
        Frame::new(Frame::PING, 0, 0, payload)
    }

    pub fn encode(&self) -> Vec<u8> {
        let length = (self.payload.len() as u32).to_be_bytes();
        [&length[1..], &[self.kind, self.flags], &self.stream.to_be_bytes(), &self.payload].concat()
    }

    /// RST_STREAM or GOAWAY: its code.
    pub fn code(&self) -> u32 {
        let at = if self.kind == Frame::GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }

    /// Takes whole frames off the front of `bytes`.
    pub fn decode_all(bytes: &mut Vec<u8>) -> Vec<Frame> {
        let mut frames = Vec::new();
        while bytes.len() >= 9 {
            let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
            if bytes.len() < 9 + length {
                break;
            }
            let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
            frames.push(Frame::new(bytes[3], bytes[4], stream, &bytes[9..9 + length]));
            bytes.drain(..9 + length);
        }
        frames
    }
}

/// The five-byte prefix and the message.
pub fn prefixed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
}

/// A header block of plain literals, which no state is needed for.
pub fn header_block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let mut rest = text.len();
            if rest < 127 {
                block.push(rest as u8);
            } else {
                block.push(127);
                rest -= 127;
                while rest >= 128 {
                    block.push(128 | (rest & 127) as u8);
                    rest >>= 7;
                }
                block.push(rest as u8);
            }
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// One connection against a peer that is a test's own hands.
pub struct Raw {
    pub end: End,
    pub now: Instant,
    rng: Rng,
    written: Vec<u8>,
}

impl Raw {
    /// A connection that has heard nothing yet.
    pub fn new(config: Config) -> Raw {
        Raw::at(config, Instant::now())
    }

    /// [`new`](Raw::new) at a time.
    pub fn at(config: Config, now: Instant) -> Raw {
        Raw { end: End::new(config, Wire::new(Weather::CALM), now), now, rng: Rng::with_seed(0), written: Vec::new() }
    }

    /// A server whose client has sent its preface and SETTINGS, and read the server's.
    pub fn server(config: Config) -> Raw {
        Raw::server_at(config, Instant::now())
    }

    /// [`server`](Raw::server) at a time.
    pub fn server_at(config: Config, now: Instant) -> Raw {
        let mut raw = Raw::at(config, now);
        raw.send_bytes(PREFACE);
        raw.send(&[Frame::settings(&[]), Frame::settings_ack()]);
        raw.written.clear();
        raw
    }

    /// A client whose server has sent its SETTINGS, and read the client's.
    pub fn client(config: Config) -> Raw {
        let mut raw = Raw::new(config);
        raw.send(&[Frame::settings(&[]), Frame::settings_ack()]);
        raw.written.clear();
        raw
    }

    /// Opens a call as the client.
    pub fn open(&mut self, timeout: Option<Duration>) -> CallId {
        let metadata = Metadata::new();
        let deadline = timeout.map(|timeout| self.now + timeout);
        let request = Request { path: "/s.S/M", authority: "test.example", metadata: &metadata, deadline };
        let call = self.end.connection.open(request, self.now).expect("the connection takes calls");
        self.end.opened(call);
        call
    }

    pub fn send(&mut self, frames: &[Frame]) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        self.send_bytes(&bytes);
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.deliver(Arrival::Bytes(bytes.to_vec().into()));
    }

    pub fn send_end_of_file(&mut self) {
        self.deliver(Arrival::EndOfFile);
    }

    fn deliver(&mut self, arrival: Arrival) {
        self.end.inbound.send(arrival, self.now, &mut self.rng);
        while self.end.read(self.now, &mut self.rng) {
            self.collect();
        }
        self.collect();
    }

    /// Takes what the connection writes.
    pub fn collect(&mut self) {
        self.end.drain();
        while let Some(transmit) = self.end.connection.poll_transmit(self.now) {
            assert!(transmit.has_remaining(), "a transmit has something to transmit");
            let len = transmit.remaining();
            self.written.extend_from_slice(&transmit.copy_to_bytes(len));
        }
        self.end.drain();
    }

    /// Lets time pass.
    pub fn sleep(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.end.next_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.end.time_out(self.now);
            self.collect();
        }
        self.now = end;
    }

    /// The bytes written since last asked.
    pub fn bytes(&mut self) -> Vec<u8> {
        self.collect();
        std::mem::take(&mut self.written)
    }

    /// The frames written since last asked.
    pub fn frames(&mut self) -> Vec<Frame> {
        self.collect();
        if let Some(rest) = self.written.strip_prefix(PREFACE) {
            self.written = rest.to_vec();
        }
        if self.written.starts_with(b"HTTP/1.1 400 ") {
            self.written.clear();
        }
        let frames = Frame::decode_all(&mut self.written);
        assert!(self.written.is_empty(), "only whole frames are written");
        frames
    }

    /// The frames of one kind written since last asked.
    pub fn frames_of(&mut self, kind: u8) -> Vec<Frame> {
        self.frames().into_iter().filter(|frame| frame.kind == kind).collect()
    }
}
