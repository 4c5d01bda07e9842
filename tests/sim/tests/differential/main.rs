//! The same bytes to our server and to `h2`'s: what one accepts the other accepts, what is an error of the stream or of
//! the connection to one is so to the other, and the same requests come out. Where they differ on purpose, or where
//! `h2` departs from RFC 9113, the list below says so.
//!
//! `FARCALL_SEEDS=10000` plays more conversations, `FARCALL_SEED=17` one again.

mod frames;
mod rival;
#[path = "../../../../crates/engine/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use farcall_engine::{Config, RequestHead};
use fastrand::Rng;
use frames::{Client, Step};
use rival::Rival;
use support::{
    Frame, Raw,
    raw::{PREFACE, prefixed},
};

/// How far an error reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Verdict {
    Fine,
    Stream,
    Connection,
}

use Verdict::{Connection, Fine, Stream};

/// Frames that the two take differently: ours, theirs, and why.
#[rustfmt::skip]
const INTENDED: &[(&str, Verdict, Verdict, &str)] = &[
    // RFC 9113 8.1.1: malformed requests are errors of the stream. To h2 a field that cannot be is an error of HPACK.
    ("line feed in a value", Stream, Connection, "RFC 9113 8.2.1: malformed, an error of the stream"),
    ("unknown pseudo header", Stream, Connection, "RFC 9113 8.3: malformed, an error of the stream"),
    ("upper case", Stream, Connection, "RFC 9113 8.2.1: malformed, an error of the stream"),
    ("pseudo header in trailers", Stream, Fine, "RFC 9113 8.1: malformed; h2 lets it pass"),
    ("data after the end", Stream, Connection, "RFC 9113 5.1, half-closed (remote): STREAM_CLOSED, of the stream"),
    ("headers after a reset", Stream, Connection, "RFC 9113 5.1, closed: may be an error of either"),
    ("headers after a reset", Stream, Fine, "RFC 9113 5.1, closed: h2 says so once for each stream"),
    ("data after a reset", Stream, Fine, "RFC 9113 5.1, closed: h2 says so once for each stream"),
    ("window update of 0 on a stream", Stream, Connection, "RFC 9113 6.9: an error of the stream"),
    ("priority that depends on itself", Connection, Stream, "the stream is idle, and RFC 9113 6.4 forbids to reset it"),
];

/// What frames that a server wrote say of the frames it was sent.
fn verdict(frames: &[Frame]) -> Verdict {
    let of = |frame: &Frame| match frame.kind {
        Frame::GOAWAY if frame.code() != 0 => Connection,
        Frame::RST_STREAM => Stream,
        _ => Fine,
    };
    frames.iter().map(of).max().unwrap_or(Fine)
}

/// Something that the two take differently: the frame, ours, theirs.
type Difference = (&'static str, Verdict, Verdict);

/// One conversation: how many steps of it both took alike, and the difference that ended it.
fn converse(seed: u64) -> (usize, Option<Difference>) {
    let mut client = Client::new(Rng::with_seed(seed));
    let mut config = Config::server();
    config.limits.stream_window = 65_535;
    config.limits.connection_window = 65_535;
    config.limits.max_frame_size = 16_384;
    // gRPC's own rule, of which h2 knows nothing.
    config.limits.ping_strikes = u32::MAX;
    let (mut ours, mut theirs) = (Raw::new(config), Rival::new());
    let greeting = [PREFACE.to_vec(), Frame::settings(&[]).encode(), Frame::settings_ack().encode()].concat();
    ours.send_bytes(&greeting);
    ours.frames();
    theirs.feed(&greeting);
    let (steps, show) = (client.rng.usize(1..60), env("FARCALL_SEED").is_some());
    for done in 0..steps {
        let Step { name, bytes } = client.step();
        ours.send_bytes(&bytes);
        let ours_wrote = ours.frames();
        let theirs_wrote = Frame::decode_all(&mut theirs.feed(&bytes));
        let (mine, yours) =
            (verdict(&ours_wrote), verdict(&theirs_wrote).max(if theirs.failed { Connection } else { Fine }));
        if show {
            let head = &bytes[..bytes.len().min(20)];
            eprintln!("{name} {head:02x?}\n  ours:   {ours_wrote:?}\n  theirs: {theirs_wrote:?}");
        }
        if mine != yours {
            return (done, Some((name, mine, yours)));
        }
        if mine == Connection {
            return (done + 1, None);
        }
        compare_requests(seed, name, &ours, &theirs);
    }
    (steps, None)
}

/// The same requests have come out so far.
fn compare_requests(seed: u64, name: &str, ours: &Raw, theirs: &Rival) {
    let mut heads: Vec<_> = ours.end.seen.values().collect();
    heads.sort_by_key(|seen| seen.head.as_ref().map(number));
    assert_eq!(heads.len(), theirs.requests.len(), "seed {seed}, {name}: requests");
    for (mine, yours) in heads.into_iter().zip(&theirs.requests) {
        let head = mine.head.as_ref().expect("a request has a head");
        assert_eq!((&head.path, &head.authority), (&yours.path, &yours.authority), "seed {seed}, {name}");
        for (key, value) in head.metadata.iter() {
            let found = yours.fields.iter().any(|(name, found)| name == key && found == value);
            assert!(found, "seed {seed}, {name}: metadata {key}");
        }
        let whole: Vec<u8> = mine.messages.iter().flat_map(|message| prefixed(message)).collect();
        assert!(yours.body.starts_with(&whole), "seed {seed}, {name}: messages");
        if mine.closed.is_none() {
            assert_eq!(mine.half_closed, yours.ended, "seed {seed}, {name}: the end of {}", head.path);
        }
    }
}

/// The stream a request came on, which is its path.
fn number(head: &RequestHead) -> u32 {
    head.path.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(u32::MAX)
}

fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn our_server_and_that_of_h2_understand_the_same() {
    let seeds = match env("FARCALL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..env("FARCALL_SEEDS").unwrap_or(3000),
    };
    let count = seeds.end - seeds.start;
    let (mut alike, mut differences) = (0, BTreeMap::new());
    for seed in seeds {
        let (steps, difference) = converse(seed);
        alike += steps;
        if let Some(difference) = difference {
            differences.entry(difference).or_insert(seed);
        }
    }
    let intended =
        |(what, mine, yours): Difference| INTENDED.iter().any(|(name, a, b, _)| (*name, *a, *b) == (what, mine, yours));
    let unknown = differences.iter().filter(|(difference, _)| !intended(**difference));
    let unknown: Vec<String> = unknown
        .map(|((name, mine, yours), seed)| format!("{name}: ours {mine:?}, theirs {yours:?} (seed {seed})"))
        .collect();
    assert!(unknown.is_empty(), "taken differently:\n{}", unknown.join("\n"));
    assert!(count == 1 || alike as u64 > 3 * count, "{alike} steps only were taken alike");
}
