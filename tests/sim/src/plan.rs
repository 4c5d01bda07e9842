//! What the two applications will do in one call. Both ends know it, so each can tell what must come from the other.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use farcall_channel::MethodConfig;
use farcall_core::{Code, Metadata, Status};
use farcall_engine::Encoding;
use fastrand::Rng;

use crate::names::SERVICES;

/// The plan of one call.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Lengths of the messages to the server.
    pub(crate) requests: Vec<usize>,
    /// Lengths of the messages to the client.
    pub(crate) responses: Vec<usize>,
    /// When the server sends a response and its status.
    pub(crate) order: Order,
    /// The server ends the call after so many requests, whatever else was planned.
    pub(crate) early: Option<usize>,
    pub(crate) status: Status,
    pub(crate) trailers: Metadata,
    pub(crate) metadata: Metadata,
    /// How the client, the server compresses.
    pub(crate) encoding: [Encoding; 2],
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait_for_ready: bool,
    /// The client, the server gives the call up after this time.
    pub(crate) cancel: [Option<Duration>; 2],
    /// The server's application never answers by itself.
    pub(crate) hangs: bool,
    /// Initial metadata goes before the first message.
    pub(crate) headers_first: bool,
    /// How long the client, the server thinks before each message it sends.
    pub(crate) think: [Duration; 2],
    /// How long the client, the server holds each message it has read.
    pub(crate) hold: [Duration; 2],
    /// Which service it is of.
    pub(crate) service: usize,
    /// How the call is made again, or several times at once; known when it begins.
    pub(crate) policy: Option<Arc<MethodConfig>>,
    /// So many attempts that count fail, and what the server says about coming back then.
    pub(crate) failing: u32,
    pub(crate) pushback: Option<&'static str>,
    /// Bytes of requests that are kept to be sent again.
    pub(crate) kept: usize,
}

/// When a server sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    /// When all requests have come (unary, client streaming, server streaming).
    AfterAll,
    /// One response to each request (ping-pong).
    InTurn,
    /// As it likes, the status when all requests have come.
    Free,
}

impl Plan {
    /// Any call of the four kinds.
    pub(crate) fn random(rng: &mut Rng) -> Plan {
        let many = |rng: &mut Rng| {
            let bound = if rng.u8(0..8) == 0 { 80 } else { 6 };
            rng.usize(0..bound)
        };
        let (requests, responses, order) = match rng.u8(0..4) {
            0 => (1, 1, Order::AfterAll),
            1 => (many(rng), 1, Order::AfterAll),
            2 => (1, many(rng), Order::AfterAll),
            _ if rng.bool() => {
                let turns = many(rng);
                (turns, turns, Order::InTurn)
            }
            _ => (many(rng), many(rng), Order::Free),
        };
        let early = (rng.u8(0..8) == 0).then(|| rng.usize(0..=requests));
        let status = match rng.u8(0..6) {
            0 => Status::new(Code::ALL[rng.usize(1..17)], "a reason, 100% ünïcode"),
            _ => Status::OK,
        };
        Plan {
            requests: lengths(requests, rng),
            responses: lengths(responses, rng),
            order,
            early,
            status,
            trailers: trailers(rng),
            metadata: metadata(rng),
            encoding: [encoding(rng), encoding(rng)],
            timeout: (rng.u8(0..3) == 0).then(|| Duration::from_micros(rng.u64(0..8_000_000))),
            wait_for_ready: rng.bool(),
            cancel: [cancel(rng), cancel(rng)],
            hangs: rng.u8(0..12) == 0,
            headers_first: rng.bool(),
            think: [pause(rng), pause(rng)],
            hold: [pause(rng), pause(rng)],
            service: service(rng),
            policy: None,
            failing: rng.u32(0..7).saturating_sub(2),
            pushback: *rng.choice(&[None, None, None, Some("0"), Some("700"), Some("-1")]).expect("a choice"),
            kept: *rng.choice(&[1 << 30, 100_000, 1000]).expect("a choice"),
        }
    }

    /// What comes of an attempt before which so many others count.
    pub(crate) fn of_attempt(&self, previous: u32) -> Plan {
        if self.policy.is_none() || previous >= self.failing {
            return self.clone();
        }
        let mut trailers = Metadata::new();
        if let Some(text) = self.pushback {
            trailers.append("grpc-retry-pushback-ms", text).expect("legal metadata");
        }
        let status = Status::new(Code::Unavailable, "not yet");
        // Trailers only.
        Plan { responses: Vec::new(), early: Some(0), headers_first: false, status, trailers, ..self.clone() }
    }

    /// A call that needs every window many times over, and must succeed.
    pub(crate) fn probe() -> Plan {
        Plan {
            requests: vec![200_000; 3],
            responses: vec![200_000; 3],
            order: Order::InTurn,
            early: None,
            status: Status::OK,
            trailers: Metadata::new(),
            metadata: Metadata::new(),
            encoding: [Encoding::Identity; 2],
            timeout: None,
            wait_for_ready: true,
            cancel: [None; 2],
            hangs: false,
            headers_first: false,
            think: [Duration::ZERO; 2],
            hold: [Duration::ZERO; 2],
            service: 0,
            policy: None,
            failing: 0,
            pushback: None,
            kept: 0,
        }
    }
}

/// Every third call is of one that nothing is asked of.
fn service(rng: &mut Rng) -> usize {
    if rng.u8(0..3) == 0 { 0 } else { rng.usize(1..SERVICES) }
}

fn lengths(count: usize, rng: &mut Rng) -> Vec<usize> {
    let length = |_| match rng.u8(0..40) {
        0..8 => 0,
        8..30 => rng.usize(1..200),
        30..37 => rng.usize(200..20_000),
        37..39 => rng.usize(20_000..100_000),
        _ => rng.usize(100_000..400_000),
    };
    (0..count).map(length).collect()
}

fn metadata(rng: &mut Rng) -> Metadata {
    let mut metadata = Metadata::new();
    for i in 0..rng.usize(0..4) {
        let mut value = vec![0; rng.usize(0..40)];
        rng.fill(&mut value);
        let added = match rng.u8(0..3) {
            0 => metadata.append(&format!("key-{i}"), format!("value {}", rng.u8(..))),
            1 => metadata.append("repeated", "always the same"),
            _ => metadata.append(&format!("key-{i}-bin"), value),
        };
        added.expect("legal metadata");
    }
    metadata
}

/// With a report of the server's load, now and then (gRFC A51), which need not make sense.
fn trailers(rng: &mut Rng) -> Metadata {
    let mut trailers = metadata(rng);
    let report = match rng.u8(0..6) {
        0 => (0..rng.usize(0..20)).map(|_| rng.u8(..)).collect::<Vec<_>>(),
        // cpu_utilization and rps_fractional.
        1 | 2 => [&[0x09][..], &rng.f64().to_le_bytes(), &[0x31], &(100.0 * rng.f64()).to_le_bytes()].concat(),
        _ => return trailers,
    };
    trailers.append("endpoint-load-metrics-bin", report).expect("legal metadata");
    trailers
}

fn encoding(rng: &mut Rng) -> Encoding {
    match rng.u8(0..8) {
        0 => Encoding::Gzip,
        1 => Encoding::Deflate,
        _ => Encoding::Identity,
    }
}

fn cancel(rng: &mut Rng) -> Option<Duration> {
    (rng.u8(0..10) == 0).then(|| Duration::from_micros(rng.u64(0..3_000_000)))
}

fn pause(rng: &mut Rng) -> Duration {
    match rng.u8(0..8) {
        0 => Duration::from_micros(rng.u64(0..500_000)),
        1 => Duration::from_micros(rng.u64(0..5_000)),
        _ => Duration::ZERO,
    }
}

/// The text that all messages are windows on. Where a window begins tells whose and which message it is.
#[derive(Debug)]
pub(crate) struct Text(Bytes);

/// No power of two, nor any other period that frames or windows have.
const TEXT: usize = 1_000_003;

impl Text {
    /// Half of it noise, and half what compresses well: the same few thousand bytes with a count between them.
    pub(crate) fn new() -> Text {
        let mut text = vec![0; TEXT];
        Rng::with_seed(0).fill(&mut text);
        let (phrase, half) = (text[..5_003].to_vec(), TEXT / 2);
        for (index, part) in text[half..].chunks_mut(phrase.len()).enumerate() {
            part.copy_from_slice(&phrase[..part.len()]);
            let count = index.to_be_bytes();
            let len = part.len().min(count.len());
            part[..len].copy_from_slice(&count[..len]);
        }
        Text(text.into())
    }

    /// The message of a call's attempt, by direction and index.
    pub(crate) fn message(&self, tag: usize, attempt: usize, side: usize, index: usize, len: usize) -> Bytes {
        let name = (tag as u64) << 32 | (attempt as u64) << 24 | (side as u64) << 23 | index as u64;
        let start = Rng::with_seed(name).usize(0..=TEXT - len);
        self.0.slice(start..start + len)
    }
}
