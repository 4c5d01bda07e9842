use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Config};

use super::{
    Frame, Raw,
    feed::finish,
    raw::{header_block, prefixed},
    script::Script,
};

/// Plays bytes as a script for a peer that speaks frames, but any frames, to a server or a client whose application
/// does anything it may. Whatever comes, this side keeps to its contract and to the windows it was given.
pub fn hostile(script: &[u8]) {
    let mut script = Script::new(script);
    let server = script.below(2) == 0;
    let mut config = if server { Config::server() } else { Config::client() };
    config.limits.stream_window = script.pick(&[4 << 20, 65_535, 100]);
    config.limits.max_concurrent_streams = script.pick(&[None, Some(2)]).filter(|_| server);
    config.limits.unread = script.pick(&[256 << 20, 100]);
    if config.limits.unread == 100 {
        (config.limits.incomplete, config.limits.request_headers) = (100, 1000);
    }
    config.limits.unsent = script.pick(&[512 << 20, 100_000, 1]);
    config.runs = script.below(2) == 0;
    let raw = if server { Raw::server(config) } else { Raw::client(config) };
    let mut peer = Peer { script, server, raw, ledger: Ledger::default(), calls: Vec::new(), opened: 0 };
    if !server {
        peer.calls = vec![peer.raw.open(None), peer.raw.open(Some(Duration::from_secs(2)))];
    }
    while let Some(op) = peer.script.byte() {
        match op % 16 {
            0..10 => peer.sends(op),
            op => peer.application_does(op),
        }
        peer.look();
        if peer.raw.end.disconnected.is_some() {
            break;
        }
    }
    finish(peer.raw);
}

struct Peer<'a> {
    script: Script<'a>,
    server: bool,
    raw: Raw,
    ledger: Ledger,
    calls: Vec<CallId>,
    /// Streams that the peer of a server has opened.
    opened: u32,
}

/// What the connection may send, by the frames it was sent.
struct Ledger {
    connection: i64,
    initial: i64,
    /// What WINDOW_UPDATE gave and DATA took, apart from the initial window.
    streams: BTreeMap<u32, i64>,
    max_frame_size: usize,
    /// Streams that the connection has ended or reset.
    ended: BTreeMap<u32, bool>,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            connection: 65_535,
            initial: 65_535,
            streams: BTreeMap::new(),
            max_frame_size: 16_384,
            ended: BTreeMap::new(),
        }
    }
}

impl Ledger {
    /// A frame to the connection. Faulty ones end it, so what they do here is of no matter.
    fn received(&mut self, frame: &Frame) {
        let number = |at: usize| {
            let bytes = frame.payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_be_bytes)
        };
        match frame.kind {
            Frame::WINDOW_UPDATE if frame.stream == 0 => self.connection += i64::from(number(0)),
            Frame::WINDOW_UPDATE => *self.streams.entry(frame.stream).or_default() += i64::from(number(0)),
            Frame::SETTINGS if frame.flags & Frame::ACK == 0 => {
                for (at, setting) in frame.payload.chunks_exact(6).enumerate() {
                    match (setting[1], number(6 * at + 2)) {
                        (4, size) => self.initial = i64::from(size),
                        (5, size) => self.max_frame_size = (size as usize).max(16_384),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    /// A frame from the connection.
    fn sent(&mut self, frame: &Frame) {
        assert!(frame.payload.len() <= self.max_frame_size, "a frame of {} bytes", frame.payload.len());
        if !matches!(frame.kind, Frame::DATA | Frame::HEADERS | Frame::RST_STREAM) {
            return;
        }
        let ended = self.ended.entry(frame.stream).or_default();
        if frame.kind == Frame::RST_STREAM {
            *ended = true;
            return;
        }
        assert!(!*ended, "a frame after the end of its stream: {frame:?}");
        *ended = frame.flags & Frame::END_STREAM != 0;
        if frame.kind == Frame::DATA && !frame.payload.is_empty() {
            let len = frame.payload.len() as i64;
            let stream = self.streams.entry(frame.stream).or_default();
            assert!(len <= self.connection && len <= self.initial + *stream, "DATA of {len} bytes over the window");
            self.connection -= len;
            *stream -= len;
        }
    }
}

impl Peer<'_> {
    fn sends(&mut self, op: u8) {
        let first = self.server && self.opened == 0;
        let op = if first { 0 } else { op };
        let opens = first || self.server && matches!(op % 16, 0..3) && self.script.below(2) == 0;
        let stream = self.stream(opens);
        let end = if self.script.below(3) == 0 { Frame::END_STREAM } else { 0 };
        let frame = match op % 16 {
            0..3 => self.headers(stream, end),
            3..6 => self.data(stream, end),
            6 => self.window_update(stream),
            7 => self.settings(),
            8 => Frame::reset(stream, self.script.below(14) as u32),
            _ => self.rarely(stream, end),
        };
        self.ledger.received(&frame);
        self.raw.send(&[frame]);
    }

    /// Mostly one that is, or was, open: what comes for others is soon the end of the connection.
    fn stream(&mut self, opens: bool) -> u32 {
        if opens {
            self.opened += 1;
            return 2 * self.opened - 1;
        }
        let opened = if self.server { self.opened } else { self.calls.len() as u32 };
        match usize::from(self.script.byte().unwrap_or(9)) {
            0 => 0,
            1 => 2,
            2 => 2 * opened + 1,
            n => (2 * opened).saturating_sub(2 * (n as u32 % 6)).max(2) - 1,
        }
    }

    fn headers(&mut self, stream: u32, end: u8) -> Frame {
        let good = if self.server { Frame::request(stream, false, &[]) } else { Frame::response(stream) };
        let mut payload = match self.script.below(24) {
            0 => header_block(&[(":method", "GET"), (":scheme", "http"), (":path", "/")]),
            1 => header_block(&[("k", "v")]),
            2 => header_block(&[("grpc-status", "5"), ("grpc-message", "no"), ("k-bin", "AAE")]),
            3 => header_block(&[(":status", "103")]),
            4 => header_block(&[(":status", "503"), ("content-type", "text/html")]),
            5 => [&good.payload[..], &header_block(&[("content-length", "6")])].concat(),
            6 => [&good.payload[..], &header_block(&[("grpc-timeout", "1S")])].concat(),
            7 => [&good.payload[..], &header_block(&[("grpc-encoding", "gzip")])].concat(),
            8 => [&good.payload[..], &header_block(&[("Bad", "x")])].concat(),
            _ => good.payload,
        };
        match self.script.below(8) {
            0 => payload.extend([0x40, 1, b'i', 1, b'v']),
            1 if self.script.below(8) == 0 => payload.push(0xbe),
            2 => drop(payload.splice(0..0, [0x3f, 0x45])),
            _ => {}
        }
        // Without END_HEADERS a CONTINUATION has to follow, and most often does.
        if self.script.below(8) == 0 {
            let rest = payload.split_off(payload.len() / 2);
            self.raw.send(&[Frame::new(Frame::HEADERS, end, stream, payload)]);
            return Frame::new(Frame::CONTINUATION, Frame::END_HEADERS, stream, rest);
        }
        Frame::new(Frame::HEADERS, Frame::END_HEADERS | end, stream, payload)
    }

    fn data(&mut self, stream: u32, end: u8) -> Frame {
        let mut flags = end;
        let mut payload = match self.script.below(8) {
            0 => Vec::new(),
            1 => vec![0],
            2 => vec![1, 0, 0, 0, 0],
            3 => vec![0, 0, 0, 0, 10, 1, 2],
            4 => vec![0xff; self.script.below(256) * 100],
            5 => prefixed(&vec![0; self.script.below(256) * 100]),
            _ => prefixed(b"m"),
        };
        if self.script.below(6) == 0 {
            let padding = self.script.byte().unwrap_or(0);
            payload.insert(0, padding);
            payload.extend(vec![0; usize::from(padding)]);
            flags |= Frame::PADDED;
        }
        Frame::new(Frame::DATA, flags, stream, payload)
    }

    fn window_update(&mut self, stream: u32) -> Frame {
        let increment = match self.script.below(64) {
            0 => 0,
            1 => 0x7fff_ffff,
            n => [1, 5, 1000, 100_000][n % 4],
        };
        let connection = self.script.below(3) == 0;
        Frame::window_update(if connection { 0 } else { stream }, increment)
    }

    fn settings(&mut self) -> Frame {
        let setting = match self.script.below(64) {
            0 => (5, 1),
            1 => (2, 2),
            2 => (4, 0x8000_0000),
            3 => (4, 0x7fff_ffff),
            n @ 4..10 => (5, 16_384 << (n - 4)),
            n @ 10..16 => (1, [0, 50, 4096, 100_000][n % 4]),
            n @ 16..20 => (3, [0, 1, 100, u32::MAX][n % 4]),
            n @ 20..24 => (6, [0, 100, 16_384, u32::MAX][n % 4]),
            n @ 24..28 => (99, n as u32),
            n => (4, [0, 1, 100, 16_384, 65_535, 1 << 20][n % 6]),
        };
        Frame::settings(&[setting])
    }

    fn rarely(&mut self, stream: u32, end: u8) -> Frame {
        match self.script.below(256) {
            0 => Frame::new(Frame::CONTINUATION, Frame::END_HEADERS, stream, []),
            1 => Frame::new(Frame::PUSH_PROMISE, Frame::END_HEADERS, stream, [0, 0, 0, 2]),
            2 => Frame::new(self.script.byte().unwrap_or(0), self.script.byte().unwrap_or(0), stream, [0; 4]),
            3..10 => Frame::goaway(stream, self.script.below(14) as u32, "why"),
            10..20 => Frame::settings_ack(),
            n @ 20..100 => Frame::new(Frame::PING, (n % 2) as u8, 0, [7; 8]),
            100..180 => Frame::new(Frame::PRIORITY, 0, stream | 1, [0, 0, 0, 0, 16]),
            _ => Frame::new(99, end, stream, vec![0; 10]),
        }
    }

    fn application_does(&mut self, op: u8) {
        let live = |call: &CallId| self.raw.end.call(*call).closed.is_none();
        let live: Vec<CallId> = self.calls.iter().copied().filter(live).collect();
        let connection = &mut self.raw.end.connection;
        if op == 15 {
            return self.passes();
        }
        if live.is_empty() || (op == 10 && !self.server) {
            if !self.server && connection.accepts_calls() {
                let timeout = (self.script.below(4) == 0).then_some(Duration::from_secs(2));
                let call = self.raw.open(timeout);
                self.calls.push(call);
            }
            return;
        }
        let call = live[self.script.below(live.len())];
        // Each is refused when the call is past it.
        let _ = match op {
            10 => connection.send_headers(call, &Metadata::new()),
            11 => connection.send_message(call, &b"small"[..]),
            12 => {
                let message = Bytes::from(vec![1; self.script.below(256) * 1000]);
                connection.send_message(call, message)
            }
            13 if self.server => {
                let code = Code::ALL[self.script.below(Code::ALL.len())];
                connection.respond(call, &Status::new(code, "done"), &Metadata::new())
            }
            13 => connection.half_close(call),
            _ => {
                match self.script.below(4) {
                    0 => connection.cancel(call, Status::from(Code::Cancelled)),
                    _ => connection.release(call, self.script.below(256) * 10),
                }
                Ok(())
            }
        };
    }

    /// What concerns the whole connection.
    fn passes(&mut self) {
        match self.script.below(32) {
            0 => self.raw.end.connection.shutdown(self.raw.now),
            1..8 => {
                let time = Duration::from_millis(self.script.pick(&[1, 100, 1000, 30_000]));
                self.raw.sleep(time);
            }
            _ => self.raw.end.release ^= true,
        }
    }

    fn look(&mut self) {
        for frame in self.raw.frames() {
            self.ledger.sent(&frame);
        }
        while let Some(call) = self.raw.end.poll_request() {
            self.calls.push(call);
        }
    }
}
