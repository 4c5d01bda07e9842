//! Windows that grow with what the way to the peer can carry.

use std::time::Duration;

use bytes::Bytes;
use farcall_engine::Config;
use fastrand::Rng;

use crate::support::{Frame, Pair, Raw, Weather};

const MILLI: Duration = Duration::from_millis(1);
const PIECE: usize = 16_000;

fn config(mut config: Config) -> Config {
    config.limits.initial_stream_window = 64 << 10;
    config.limits.stream_window = 64 << 10;
    config.limits.connection_window = 128 << 10;
    config.limits.max_stream_window = 1 << 20;
    config
}

/// A client that has one call and reads what its server sends.
fn client(probe: bool) -> Raw {
    let mut raw = Raw::client(Config { bdp_probe: probe, ..config(Config::client()) });
    raw.open(None);
    raw.frames();
    raw.send(&[Frame::response(1)]);
    raw
}

/// Sends so many bytes of messages; returns the PINGs and what WINDOW_UPDATE gave (connection, stream).
fn send(raw: &mut Raw, bytes: usize) -> (Vec<Frame>, [u32; 2]) {
    for _ in 0..bytes / PIECE {
        raw.send(&[Frame::message(1, false, &[0; PIECE - 5])]);
    }
    let frames = raw.frames();
    let given = |stream| {
        let updates = frames.iter().filter(|frame| frame.kind == Frame::WINDOW_UPDATE && frame.stream == stream);
        updates.map(|frame| u32::from_be_bytes(frame.payload[..4].try_into().unwrap())).sum()
    };
    let given = [given(0), given(1)];
    (frames.into_iter().filter(|frame| frame.kind == Frame::PING).collect(), given)
}

fn acknowledge(raw: &mut Raw, pings: &[Frame]) {
    raw.now += 50 * MILLI;
    for ping in pings {
        raw.send(&[Frame::new(Frame::PING, Frame::ACK, 0, ping.payload.clone())]);
    }
}

#[test]
fn a_peer_that_fills_the_window_gets_a_larger_one() {
    let mut raw = client(true);
    let (pings, _) = send(&mut raw, 2 * PIECE);
    assert!(pings.is_empty(), "not for so little");
    let (pings, _) = send(&mut raw, PIECE);
    assert_eq!(pings.len(), 1);
    let (more, before) = send(&mut raw, 10 * PIECE);
    assert!(more.is_empty(), "one at a time");
    assert!(before.iter().all(|given| *given <= 13 * PIECE as u32), "{before:?}");
    acknowledge(&mut raw, &pings);
    raw.now += 51 * MILLI;
    let (more, given) = send(&mut raw, 2 * PIECE);
    assert!(more.is_empty(), "it rests");
    let total = |at: usize| given[at] + before[at];
    // Twice 64 KiB for the stream, twice that for the connection; what came is given back as ever.
    assert!((64 << 10..(64 << 10) + 15 * PIECE as u32).contains(&(total(1))), "{given:?}");
    assert!(total(0) >= 128 << 10, "{given:?}");
    raw.now += 100 * MILLI;
    assert_eq!(send(&mut raw, 5 * PIECE).0.len(), 1);
}

#[test]
fn one_that_does_not_fill_it_gets_none() {
    let mut raw = client(true);
    let (pings, before) = send(&mut raw, 3 * PIECE);
    let (_, meanwhile) = send(&mut raw, PIECE);
    acknowledge(&mut raw, &pings);
    raw.now += 51 * MILLI;
    let (_, after) = send(&mut raw, 2 * PIECE);
    for at in [0, 1] {
        assert!(before[at] + meanwhile[at] + after[at] <= 6 * PIECE as u32);
    }
}

#[test]
fn what_is_switched_off_sends_no_ping() {
    let mut raw = client(false);
    for _ in 0..100 {
        raw.now += 100 * MILLI;
        assert!(send(&mut raw, 10 * PIECE).0.is_empty());
    }
}

/// On a fast and long way the same download takes far less time with probing, and nobody counts its PINGs as strikes. The
/// way is equally long for all: where each piece draws its own delay, one lucky PING can set a rate that no later one
/// comes up to, and the window stays twice what it was.
#[test]
fn a_long_way_is_filled() {
    let time = |probe, seed| {
        let weather = Weather { delay: 20 * MILLI, steady: true, ..Weather::CALM };
        let client = Config { bdp_probe: probe, ..config(Config::client()) };
        let mut pair = Pair::new(client, Config::server(), [weather; 2], Rng::with_seed(seed));
        let (call, served) = pair.started("/s.S/M");
        let piece = Bytes::from(vec![1; PIECE]);
        for _ in 0..2000 {
            pair.server.connection.send_message(served, piece.clone()).unwrap();
        }
        let start = pair.now;
        pair.run();
        assert_eq!(pair.client.messages(call).len(), 2000);
        assert!(pair.client.disconnected.is_none());
        pair.now - start
    };
    for seed in 0..3 {
        let (with, without) = (time(true, seed), time(false, seed));
        assert!(with * 3 < without, "seed {seed}: {with:?} against {without:?}");
    }
}

/// What windows may grow to is kept to the byte: that much may come on a stream, and one byte more is a breach.
#[test]
fn windows_grow_up_to_their_limit_and_not_past_it() {
    for over in [0, 1] {
        let mut raw = client(true);
        let (mut window, mut connection) = (64i64 << 10, 128i64 << 10);
        let mut widest = 0;
        for turn in 0..100 {
            // Before the PING's answer and right behind it as much as the window lets through: that is what holds the
            // peer back.
            let mut pings = Vec::new();
            for part in 0..2 {
                let bytes = window as usize / PIECE * PIECE;
                let (more, given) = send(&mut raw, bytes);
                pings.extend(more);
                window += i64::from(given[1]) - bytes as i64;
                connection += i64::from(given[0]) - bytes as i64;
                widest = widest.max(window);
                assert!(window <= 1 << 20 && connection <= 2 << 20, "in turn {turn}: {window}, {connection}");
                if part == 0 {
                    acknowledge(&mut raw, &std::mem::take(&mut pings));
                }
            }
            raw.now += 100 * MILLI;
        }
        assert!(widest > 1 << 19, "it has grown: {widest}");
        raw.end.release = false;
        let mut left = window as usize;
        while left > 0 {
            let len = left.min(PIECE);
            let message = if len < 5 { vec![0; len] } else { [&prefix(len - 5)[..], &vec![0; len - 5]].concat() };
            raw.send(&[Frame::data(1, false, message)]);
            left -= len;
        }
        assert_eq!(raw.frames_of(Frame::RST_STREAM), []);
        raw.send(&[Frame::data(1, true, vec![0; over])]);
        let resets: Vec<u32> = raw.frames_of(Frame::RST_STREAM).iter().map(Frame::code).collect();
        // FLOW_CONTROL_ERROR.
        assert_eq!(resets.contains(&3), over == 1, "{resets:?}");
    }
}

fn prefix(len: usize) -> [u8; 5] {
    let [a, b, c, d] = (len as u32).to_be_bytes();
    [0, a, b, c, d]
}
