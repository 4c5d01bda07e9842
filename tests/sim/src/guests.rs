//! Those beside whom honest calls go on: callers who open many calls and give them up at once, callers whose headers are
//! too large, calls whose messages nobody takes, and peers that send anything. Nothing of what they do may end another's
//! call, or hold it up.

use std::{
    hash::{Hash, Hasher},
    time::{Duration, Instant},
};

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Config, Encoding, Request};
use fastrand::Rng;

use crate::{
    end::End,
    raw::{Frame, Raw, header_block, prefixed},
};

/// The paths of calls that no plan tells of.
pub(crate) const BURST: &str = "/guest.Burst/Call";
pub(crate) const LONG: &str = "/guest.Long/Call";
pub(crate) const PAUSED: &str = "/guest.Paused/Call";

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
        // Its channel's application has left.
        let left = closed.status == crate::hand::closed();
        assert!(closed.status.code == expected && cut || refused || left, "a call with long headers: {closed:?}");
        true
    }
}

/// A call of large messages, in one direction or both, that nobody takes until every honest call has ended.
#[derive(Debug)]
pub(crate) struct Paused {
    pub(crate) link: usize,
    call: CallId,
}

impl Paused {
    pub(crate) fn open(link: usize, client: &mut End, now: Instant, rng: &mut Rng) -> Option<Paused> {
        let metadata = Metadata::new();
        let request = Request { path: PAUSED, authority: "sim.example", metadata: &metadata, deadline: None };
        let call = client.connection.open_encoded(request, encoding(rng), now).ok()?;
        client.opened(call);
        send_many(client, call, rng);
        Some(Paused { link, call })
    }

    /// The server's side of it, which takes nothing and never answers.
    pub(crate) fn answer(server: &mut End, call: CallId, rng: &mut Rng) {
        // It may be over already.
        let _ = server.connection.set_encoding(call, encoding(rng));
        if rng.bool() {
            send_many(server, call, rng);
        }
    }

    /// It is over.
    pub(crate) fn give_up(self, client: &mut End) {
        client.connection.cancel(self.call, Status::from(Code::Cancelled));
        client.drain();
    }
}

fn encoding(rng: &mut Rng) -> Encoding {
    if rng.bool() { Encoding::Identity } else { Encoding::Gzip }
}

/// Sends without asking whether there is room.
fn send_many(end: &mut End, call: CallId, rng: &mut Rng) {
    for _ in 0..rng.usize(0..6) {
        let len = if rng.bool() { rng.usize(0..400_000) } else { rng.usize(0..2_000) };
        if end.connection.send_message(call, &vec![7; len][..]).is_err() {
            break;
        }
    }
    end.drain();
}

/// A zlib stream of as many zeros as are in the result (RFC 1950, and a block of fixed codes of RFC 1951).
fn bomb(repeats: usize) -> Vec<u8> {
    // The last block, of fixed codes; a zero; 258 more, from a byte before, again and again; the end.
    let repeated = "1100010100000".repeat(repeats);
    let bits = ["110", "00110000", &repeated, "0000000"].concat();
    let mut out = vec![0x78, 0x9c];
    out.extend(bits.as_bytes().chunks(8).map(|byte| byte.iter().rev().fold(0, |bits, bit| bits << 1 | (bit - b'0'))));
    let sum = ((1 + 258 * repeats) % 65_521) as u32;
    out.extend((sum << 16 | 1).to_be_bytes());
    out
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
        let frames = match rng.u8(0..10) {
            0 => self.resets(rng.u32(0..200)),
            1 => self.requests(rng.u32(0..50)),
            // Messages that are begun and not ended.
            2 => vec![Frame::data(stream, false, [&[0, 0, 63, 255, 255][..], &vec![7; rng.usize(0..60_000)]].concat())],
            3 => vec![Frame::data(stream, false, prefixed(&vec![7; rng.usize(0..60_000)]))],
            4 => vec![Frame::ping([1; 8]); rng.usize(0..20)],
            5 => vec![Frame::settings(&[(4, rng.u32(0..1 << 20)), (6, rng.u32(0..20_000))])],
            6 => self.long_request(rng.usize(0..200_000)),
            7 => self.bombs(rng.u32(0..20), rng.usize(0..4_000)),
            8 => vec![Frame::window_update(if rng.bool() { 0 } else { stream }, rng.u32(1..100_000))],
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

    /// Calls with compressed messages of few bytes that become many.
    fn bombs(&mut self, count: u32, repeats: usize) -> Vec<Frame> {
        let body = bomb(repeats);
        let message = [&[1][..], &(body.len() as u32).to_be_bytes(), &body].concat();
        let one = |_| {
            let stream = self.next();
            [
                Frame::request(stream, false, &[("grpc-encoding", "deflate")]),
                Frame::data(stream, false, message.clone()),
                Frame::data(stream, false, message.clone()),
            ]
        };
        (0..count).flat_map(one).collect()
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

#[cfg(test)]
mod tests {
    use super::{Frame, Raw, bomb};
    use farcall_engine::Config;

    #[test]
    fn a_bomb_is_what_it_says() {
        let mut raw = Raw::server_at(Config::server(), std::time::Instant::now());
        let body = bomb(300);
        assert!(body.len() < 600);
        let message = [&[1][..], &(body.len() as u32).to_be_bytes(), &body].concat();
        raw.send(&[Frame::request(1, false, &[("grpc-encoding", "deflate")]), Frame::data(1, true, message)]);
        let call = raw.end.request();
        assert!(raw.end.messages(call) == [vec![0; 1 + 300 * 258]]);
    }
}
