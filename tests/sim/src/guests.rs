//! Those beside whom honest calls go on: callers who open many calls and give them up at once, callers whose headers are
//! too large, and peers that send anything. Nothing of what they do may end another's call.

use std::{
    hash::{Hash, Hasher},
    time::{Duration, Instant},
};

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Config, Request};
use fastrand::Rng;

use crate::{
    end::End,
    raw::{Frame, Raw, header_block, prefixed},
};

/// The paths of calls that no plan tells of.
pub(crate) const BURST: &str = "/guest.Burst/Call";
pub(crate) const LONG: &str = "/guest.Long/Call";

/// Calls of one caller that all end in a moment.
#[derive(Debug)]
pub(crate) struct Burst {
    pub(crate) link: usize,
    calls: Vec<CallId>,
    /// When they are given up.
    pub(crate) until: Instant,
}

impl Burst {
    /// Opens them, with deadlines or without.
    pub(crate) fn open(link: usize, client: &mut End, now: Instant, rng: &mut Rng) -> Burst {
        let count = if rng.u8(0..20) == 0 { rng.usize(0..3_000) } else { rng.usize(0..60) };
        let after = Duration::from_micros(rng.u64(0..400_000));
        let timed = rng.bool();
        let metadata = Metadata::new();
        let mut calls = Vec::new();
        for _ in 0..count {
            let deadline = timed.then(|| now + Duration::from_micros(rng.u64(0..400_000)));
            let request = Request { path: BURST, authority: "sim.example", metadata: &metadata, deadline };
            let Ok(call) = client.connection.open(request, now) else { break };
            client.opened(call);
            if rng.bool() {
                let _ = client.connection.send_message(call, &b"of no use"[..]);
            }
            calls.push(call);
        }
        client.drain();
        Burst { link, calls, until: now + after }
    }

    /// Gives up what is left.
    pub(crate) fn give_up(self, client: &mut End) {
        for call in self.calls {
            client.connection.cancel(call, Status::from(Code::Cancelled));
        }
        client.drain();
    }
}

/// A call whose request, or whose answer, has headers that the other end does not take.
#[derive(Debug)]
pub(crate) struct Long {
    pub(crate) link: usize,
    call: CallId,
    request: bool,
}

impl Long {
    pub(crate) fn open(link: usize, client: &mut End, now: Instant, rng: &mut Rng) -> Option<Long> {
        let mut metadata = Metadata::new();
        let request = rng.bool();
        if request {
            metadata.append("k", "v".repeat(rng.usize(20_000..100_000))).expect("legal metadata");
        }
        let request_head = Request { path: LONG, authority: "sim.example", metadata: &metadata, deadline: None };
        let call = client.connection.open(request_head, now).ok()?;
        client.opened(call);
        client.drain();
        Some(Long { link, call, request })
    }

    /// The server's side of it: an error whose text is too long.
    pub(crate) fn answer(server: &mut End, call: CallId) {
        let status = Status::new(Code::Internal, "a".repeat(130_000));
        // It may be over already.
        let _ = server.connection.respond(call, &status, &Metadata::new());
        server.drain();
    }

    /// Whether it has ended, as it must unless the connection did.
    pub(crate) fn is_over(&self, client: &End, disturbed: bool) -> bool {
        let Some(closed) = &client.call(self.call).closed else { return false };
        let expected = if self.request { Code::ResourceExhausted } else { Code::Internal };
        let cut = self.request || closed.status.message.ends_with("bytes of headers]");
        let refused = closed.status.code == Code::Unavailable && (disturbed || closed.unprocessed);
        assert!(closed.status.code == expected && cut || refused, "a call with long headers: {:?}", closed.status.code);
        true
    }
}

/// A peer that sends anything, on a connection of its own to a server that honest peers use too.
pub(crate) struct Hostile {
    raw: Raw,
    opened: u32,
    started: Instant,
}

impl Hostile {
    pub(crate) fn new(config: Config, now: Instant) -> Hostile {
        let mut raw = Raw::server_at(config, now);
        raw.end.release = false;
        Hostile { raw, opened: 0, started: now }
    }

    /// Does one thing; a hash of what came of it.
    pub(crate) fn act(&mut self, now: Instant, rng: &mut Rng, state: &mut impl Hasher) {
        let time = now.saturating_duration_since(self.raw.now);
        self.raw.sleep(time);
        if self.raw.end.disconnected.is_some() {
            return;
        }
        let stream = 2 * rng.u32(0..self.opened.max(1)) + 1;
        let frames = match rng.u8(0..9) {
            0 => self.resets(rng.u32(0..200)),
            1 => self.requests(rng.u32(0..50)),
            // Messages that are begun and not ended.
            2 => vec![Frame::data(stream, false, [&[0, 0, 63, 255, 255][..], &vec![7; rng.usize(0..60_000)]].concat())],
            3 => vec![Frame::data(stream, false, prefixed(&vec![7; rng.usize(0..60_000)]))],
            4 => vec![Frame::ping([1; 8]); rng.usize(0..20)],
            5 => vec![Frame::settings(&[(4, rng.u32(0..1 << 20)), (6, rng.u32(0..20_000))])],
            6 => self.long_request(rng.usize(0..200_000)),
            7 => vec![Frame::window_update(if rng.bool() { 0 } else { stream }, rng.u32(1..100_000))],
            _ => vec![Frame::reset(stream, 8)],
        };
        self.raw.send(&frames);
        let written = self.raw.frames().len();
        (now.saturating_duration_since(self.started), written, self.raw.end.disconnected.is_some()).hash(state);
    }

    fn next(&mut self) -> u32 {
        self.opened += 1;
        2 * self.opened - 1
    }

    fn requests(&mut self, count: u32) -> Vec<Frame> {
        (0..count).map(|_| Frame::request(self.next(), false, &[])).collect()
    }

    fn resets(&mut self, count: u32) -> Vec<Frame> {
        let one = |_| {
            let stream = self.next();
            [Frame::request(stream, false, &[]), Frame::reset(stream, 8)]
        };
        (0..count).flat_map(one).collect()
    }

    fn long_request(&mut self, length: usize) -> Vec<Frame> {
        let stream = self.next();
        let mut block = Frame::request(stream, true, &[]).payload;
        block.extend(header_block(&[("k", &"v".repeat(length))]));
        let last = block.len().div_ceil(16_000) - 1;
        let piece = |(i, piece): (usize, &[u8])| {
            let kind = if i == 0 { Frame::HEADERS } else { Frame::CONTINUATION };
            Frame::new(kind, if i == last { Frame::END_HEADERS } else { 0 }, stream, piece)
        };
        block.chunks(16_000).enumerate().map(piece).collect()
    }
}
