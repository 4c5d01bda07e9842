//! Frames of a client that mostly keeps to the protocol.

use fastrand::Rng;

use crate::support::{
    Frame,
    raw::{header_block, prefixed},
};

/// What a client sends next, and what that is called in the list of differences.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// A client that knows what it has opened.
pub(crate) struct Client {
    pub(crate) rng: Rng,
    next_stream: u32,
    /// Streams that it may still send on, half-closed ones, and those it has reset.
    open: Vec<u32>,
    ended: Vec<u32>,
    reset: Vec<u32>,
    /// Bytes of a message that are still to be sent, by stream.
    rest: Vec<(u32, Vec<u8>)>,
}

const REQUEST: [(&str, &str); 6] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/s.S/M"),
    (":authority", "test.example"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
];

const PRIORITY: u8 = 0x20;

impl Client {
    pub(crate) fn new(rng: Rng) -> Client {
        Client { rng, next_stream: 1, open: Vec::new(), ended: Vec::new(), reset: Vec::new(), rest: Vec::new() }
    }

    pub(crate) fn step(&mut self) -> Step {
        let (name, bytes) = if self.rng.u8(0..100) < 85 { self.legal() } else { self.illegal() };
        Step { name, bytes }
    }

    fn pick(&mut self, streams: &[u32]) -> Option<u32> {
        self.rng.choice(streams).copied()
    }

    fn open_stream(&mut self) -> Option<u32> {
        let open = self.open.clone();
        self.pick(&open)
    }

    fn end(&mut self, stream: u32) {
        self.open.retain(|open| *open != stream);
        self.ended.push(stream);
    }

    // What a client may send.

    fn legal(&mut self) -> (&'static str, Vec<u8>) {
        let Some(stream) = self.open_stream() else { return self.request() };
        match self.rng.u8(0..20) {
            0..4 => self.request(),
            4..10 => self.data(stream),
            10 => self.trailers(stream),
            11 => {
                self.open.retain(|open| *open != stream);
                self.reset.push(stream);
                ("reset", Frame::reset(stream, self.rng.u32(0..14)).encode())
            }
            12 => ("ping", Frame::ping([self.rng.u8(..); 8]).encode()),
            13 => {
                let values = [(1, self.rng.u32(0..10_000)), (4, self.rng.u32(0..1 << 20)), (5, 16_384), (99, 7)];
                ("settings", Frame::settings(&values[self.rng.usize(0..4)..]).encode())
            }
            14 => ("window update", Frame::window_update(0, self.rng.u32(1..10_000)).encode()),
            15 => ("window update of a stream", Frame::window_update(stream, self.rng.u32(1..10_000)).encode()),
            16 => {
                let of = self.rng.u32(1..self.next_stream + 20);
                ("priority", Frame::new(Frame::PRIORITY, 0, of, [0, 0, 0, 0, self.rng.u8(..)]).encode())
            }
            17 => ("unknown frame", Frame::new(self.rng.u8(10..), self.rng.u8(..), stream, [7; 30]).encode()),
            18 => self.late(),
            _ => {
                let len = self.rng.usize(0..20);
                ("unknown flags", Frame::new(Frame::PING, 0xf0, 0, [len as u8; 8]).encode())
            }
        }
    }

    /// What was under way when a stream ended.
    fn late(&mut self) -> (&'static str, Vec<u8>) {
        let gone = [&self.ended[..], &self.reset].concat();
        let Some(stream) = self.pick(&gone) else { return self.request() };
        ("window update after the end", Frame::window_update(stream, 10).encode())
    }

    fn request(&mut self) -> (&'static str, Vec<u8>) {
        let path = format!("/s.S/{}", self.next_stream);
        let mut fields = REQUEST.to_vec();
        fields[2] = (":path", &path);
        let long = "x".repeat(self.rng.usize(0..300));
        if self.rng.bool() {
            fields.push(("some-key", &long));
        }
        let end = self.rng.u8(0..6) == 0;
        let stream = self.next_stream;
        self.next_stream += if self.rng.u8(0..8) == 0 { 4 } else { 2 };
        if end {
            self.ended.push(stream)
        } else {
            self.open.push(stream)
        };
        let block = header_block(&fields);
        self.header_frames(stream, end, block)
    }

    /// A header block in one of the ways to send it.
    fn header_frames(&mut self, stream: u32, end: bool, block: Vec<u8>) -> (&'static str, Vec<u8>) {
        let end = if end { Frame::END_STREAM } else { 0 };
        match self.rng.u8(0..6) {
            0 => {
                let payload = [&[3][..], &block, &[0; 3]].concat();
                let flags = end | Frame::END_HEADERS | Frame::PADDED;
                ("headers with padding", Frame::new(Frame::HEADERS, flags, stream, payload).encode())
            }
            1 => {
                let payload = [&[0, 0, 0, 0, 9][..], &block].concat();
                let flags = end | Frame::END_HEADERS | PRIORITY;
                ("headers with priority", Frame::new(Frame::HEADERS, flags, stream, payload).encode())
            }
            2 => {
                let (first, rest) = block.split_at(self.rng.usize(1..block.len()));
                let headers = Frame::new(Frame::HEADERS, end, stream, first).encode();
                let rest = Frame::new(Frame::CONTINUATION, Frame::END_HEADERS, stream, rest).encode();
                ("headers with continuation", [headers, rest].concat())
            }
            _ => ("headers", Frame::new(Frame::HEADERS, end | Frame::END_HEADERS, stream, block).encode()),
        }
    }

    fn trailers(&mut self, stream: u32) -> (&'static str, Vec<u8>) {
        if self.rest.iter().any(|(of, _)| *of == stream) {
            // A message cut short is an error of gRPC, of which h2 knows nothing.
            return self.data(stream);
        }
        self.end(stream);
        self.header_frames(stream, true, header_block(&[("some-trailer", "value")]))
    }

    /// A message, or a piece of one, in DATA with or without padding.
    fn data(&mut self, stream: u32) -> (&'static str, Vec<u8>) {
        let begun = self.rest.iter().position(|(of, _)| *of == stream);
        let mut bytes = match begun {
            Some(at) => self.rest.swap_remove(at).1,
            None => {
                let message = vec![stream as u8; self.rng.usize(0..1000)];
                prefixed(&message)
            }
        };
        if self.rng.u8(0..4) == 0 {
            let rest = bytes.split_off(self.rng.usize(1..=bytes.len()));
            if !rest.is_empty() {
                self.rest.push((stream, rest));
            }
        }
        let whole = self.rest.iter().all(|(of, _)| *of != stream);
        let end = whole && self.rng.u8(0..6) == 0;
        if end {
            self.end(stream);
        }
        let end = if end { Frame::END_STREAM } else { 0 };
        if self.rng.u8(0..4) > 0 {
            return ("data", Frame::new(Frame::DATA, end, stream, bytes).encode());
        }
        let padding = self.rng.u8(0..30);
        let payload = [&[padding][..], &bytes, &vec![0; usize::from(padding)]].concat();
        ("data with padding", Frame::new(Frame::DATA, end | Frame::PADDED, stream, payload).encode())
    }

    // What it may not.

    fn illegal(&mut self) -> (&'static str, Vec<u8>) {
        let idle = self.next_stream + 2 * self.rng.u32(0..5);
        match self.rng.u8(0..4) {
            0 => self.illegal_on_stream(idle),
            1 => self.illegal_control(idle),
            2 => self.illegal_form(idle),
            _ => self.illegal_headers(),
        }
    }

    fn illegal_on_stream(&mut self, idle: u32) -> (&'static str, Vec<u8>) {
        let (ended, reset) = (self.ended.clone(), self.reset.clone());
        let (ended, reset) = (self.pick(&ended).unwrap_or(idle), self.pick(&reset).unwrap_or(idle));
        let closed = if ended == idle { "a frame on an idle stream" } else { "" };
        let name = |name| if closed.is_empty() { name } else { closed };
        let of_reset = |name| if reset == idle { "a frame on an idle stream" } else { name };
        match self.rng.u8(0..12) {
            0 => ("data on an idle stream", Frame::data(idle, false, [1; 9]).encode()),
            1 => (name("data after the end"), Frame::data(ended, false, [1; 9]).encode()),
            2 => (of_reset("data after a reset"), Frame::data(reset, false, [1; 9]).encode()),
            3 => ("window update of an idle stream", Frame::window_update(idle, 5).encode()),
            4 => ("reset of an idle stream", Frame::reset(idle, 8).encode()),
            5 if ended != idle => ("headers after the end", Frame::request(ended, false, &[]).encode()),
            6 if reset != idle => ("headers after a reset", Frame::request(reset, true, &[]).encode()),
            7 => ("headers on an even stream", Frame::request(idle + 1, true, &[]).encode()),
            8 => ("headers on the connection", Frame::request(0, true, &[]).encode()),
            9 => ("data on the connection", Frame::data(0, true, [0; 5]).encode()),
            10 => ("data on an even stream", Frame::data(2, true, [0; 5]).encode()),
            _ => ("reset of an even stream", Frame::reset(2, 8).encode()),
        }
    }

    fn illegal_control(&mut self, idle: u32) -> (&'static str, Vec<u8>) {
        let stream = self.open_stream().unwrap_or(0);
        let (name, frame) = match self.rng.u8(0..18) {
            0 => ("window update of 0", Frame::window_update(0, 0)),
            1 if stream != 0 => ("window update of 0 on a stream", Frame::window_update(stream, 0)),
            2 => ("window update over the top", Frame::window_update(0, (1 << 31) - 1)),
            3 if stream != 0 => ("window update over the top on a stream", Frame::window_update(stream, (1 << 31) - 1)),
            4 => ("window update too short", Frame::new(Frame::WINDOW_UPDATE, 0, 0, [0; 3])),
            5 => ("ping too short", Frame::new(Frame::PING, 0, 0, [0; 7])),
            6 => ("ping on a stream", Frame::new(Frame::PING, 0, idle, [0; 8])),
            7 => ("settings of a wrong length", Frame::new(Frame::SETTINGS, 0, 0, [0; 5])),
            8 => ("settings on a stream", Frame::new(Frame::SETTINGS, 0, idle, [])),
            9 => ("settings acknowledged with a payload", Frame::new(Frame::SETTINGS, Frame::ACK, 0, [0; 6])),
            10 => ("settings: push of 2", Frame::settings(&[(2, 2)])),
            11 => ("settings: window over the top", Frame::settings(&[(4, 1 << 31)])),
            12 => ("settings: frame size too small", Frame::settings(&[(5, 16_383)])),
            13 => ("settings: frame size too large", Frame::settings(&[(5, 1 << 24)])),
            14 => ("reset too short", Frame::new(Frame::RST_STREAM, 0, idle, [0; 3])),
            15 => ("reset of the connection", Frame::reset(0, 8)),
            16 => ("goaway on a stream", Frame::new(Frame::GOAWAY, 0, 1, [0; 8])),
            _ => ("goaway too short", Frame::new(Frame::GOAWAY, 0, 0, [0; 7])),
        };
        (name, frame.encode())
    }

    fn illegal_form(&mut self, idle: u32) -> (&'static str, Vec<u8>) {
        let stream = self.open_stream().unwrap_or(idle);
        let (name, frame) = match self.rng.u8(0..9) {
            0 => ("push promise", Frame::new(Frame::PUSH_PROMISE, Frame::END_HEADERS, idle, [0, 0, 0, 2])),
            1 => ("continuation alone", Frame::new(Frame::CONTINUATION, Frame::END_HEADERS, idle, [])),
            2 => {
                let headers = Frame::new(Frame::HEADERS, 0, idle, header_block(&REQUEST)).encode();
                return ("a frame within a header block", [headers, Frame::ping([0; 8]).encode()].concat());
            }
            3 => {
                let headers = Frame::new(Frame::HEADERS, 0, idle, header_block(&REQUEST)).encode();
                let other = Frame::new(Frame::CONTINUATION, Frame::END_HEADERS, idle + 2, []).encode();
                return ("continuation of another stream", [headers, other].concat());
            }
            4 => ("more padding than payload", Frame::new(Frame::DATA, Frame::PADDED, stream, [9, 0, 0])),
            5 => {
                let flags = Frame::PADDED | Frame::END_HEADERS;
                ("headers with more padding than payload", Frame::new(Frame::HEADERS, flags, idle, [9, 0, 0]))
            }
            6 => ("a frame too large", Frame::new(self.rng.u8(0..10), 0, stream, vec![0; 16_385])),
            7 => ("priority of a wrong length", Frame::new(Frame::PRIORITY, 0, idle, [0; 4])),
            _ => {
                let payload = [&idle.to_be_bytes()[..], &[1]].concat();
                ("priority that depends on itself", Frame::new(Frame::PRIORITY, 0, idle, payload))
            }
        };
        (name, frame.encode())
    }

    fn illegal_headers(&mut self) -> (&'static str, Vec<u8>) {
        if self.rng.u8(0..6) == 0
            && let Some(stream) = self.open_stream()
        {
            return match self.rng.u8(0..2) {
                0 => ("trailers without the end", Frame::headers(stream, false, &[("a", "b")]).encode()),
                _ => ("pseudo header in trailers", Frame::headers(stream, true, &[(":path", "/a")]).encode()),
            };
        }
        let stream = self.next_stream;
        self.next_stream += 2;
        self.ended.push(stream);
        let all = REQUEST;
        let (name, fields): (&'static str, Vec<(&str, &str)>) = match self.rng.u8(0..14) {
            0 => ("upper case", [&all[..], &[("Key", "value")]].concat()),
            1 => ("pseudo header after another", [&all[..], &[(":path", "/b")]].concat()),
            2 => ("no path", [&all[..2], &all[3..]].concat()),
            3 => ("no method", all[1..].to_vec()),
            4 => ("no scheme", [&all[..1], &all[2..]].concat()),
            5 => ("two paths", [&all[..3], &all[2..]].concat()),
            6 => ("empty path", [&all[..2], &[(":path", "")], &all[3..]].concat()),
            7 => ("connection header", [&all[..], &[("connection", "close")]].concat()),
            8 => ("transfer-encoding", [&all[..], &[("transfer-encoding", "chunked")]].concat()),
            9 => ("te other than trailers", [&all[..5], &[("te", "gzip")]].concat()),
            10 => ("unknown pseudo header", [&[(":new", "a")], &all[..]].concat()),
            11 => ("status in a request", [&[(":status", "200")], &all[..]].concat()),
            12 => ("line feed in a value", [&all[..], &[("key", "a\nb")]].concat()),
            _ => ("content-length without body", [&all[..], &[("content-length", "5")]].concat()),
        };
        if self.rng.u8(0..8) == 0 {
            let block = [[0x80], [0xff], [0x3f], [0x7f]][self.rng.usize(0..4)];
            return ("garbage for HPACK", Frame::new(Frame::HEADERS, 5, stream, block).encode());
        }
        (name, Frame::headers(stream, true, &fields).encode())
    }
}
