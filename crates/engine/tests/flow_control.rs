//! Windows both ways: nobody sends more than it may, nobody waits for ever, and one slow call holds up no other.

use std::time::Duration;

use bytes::Bytes;
use farcall_core::{Metadata, Status};
use farcall_engine::Config;
use fastrand::Rng;

use crate::support::{Frame, Pair, Raw, Weather, raw::prefixed};

fn small_windows(mut config: Config) -> Config {
    config.limits.stream_window = 10_000;
    config.limits.connection_window = 65_535;
    config
}

fn pair() -> Pair {
    Pair::with(small_windows(Config::client()), small_windows(Config::server()))
}

#[test]
fn a_message_larger_than_every_window_arrives() {
    let mut pair = pair();
    let (call, served) = pair.started("/s.S/M");
    let message = Bytes::from(vec![3; 1_000_000]);
    pair.client.connection.send_message(call, message.clone()).unwrap();
    pair.server.connection.send_message(served, &message[..]).unwrap();
    pair.run();
    assert!(pair.server.messages(served) == [&message]);
    assert!(pair.client.messages(call) == [&message]);
}

#[test]
fn a_reader_that_takes_nothing_stops_the_writer_and_no_other_call() {
    let mut pair = pair();
    pair.server.release = false;
    let (slow, slow_served) = pair.started("/s.S/Slow");
    for _ in 0..100 {
        pair.client.connection.send_message(slow, &[1; 1000][..]).unwrap();
    }
    pair.run();
    let taken = pair.server.messages(slow_served).len();
    assert!((1..=10).contains(&taken), "{taken} messages in a window of 10,000 bytes");

    let (fast, fast_served) = pair.started("/s.S/Fast");
    pair.client.connection.send_message(fast, &[2; 5000][..]).unwrap();
    pair.run();
    assert_eq!(pair.server.messages(fast_served).len(), 1);

    // As the reader takes, the rest comes.
    pair.server.connection.release(slow_served, taken * 1000);
    let mut total = taken;
    for _ in 0..100 {
        pair.run();
        let more = pair.server.messages(slow_served).len();
        pair.server.connection.release(slow_served, more * 1000);
        total += more;
    }
    assert_eq!(total, 100);
}

#[test]
fn a_call_that_ends_gives_the_connections_window_back() {
    let mut pair = pair();
    pair.server.release = false;
    // Each leaves a full stream window behind that nobody released: together many times the connection's.
    for _ in 0..50 {
        let (call, served) = pair.started("/s.S/M");
        pair.client.connection.send_message(call, &[1; 9_000][..]).unwrap();
        pair.run();
        assert_eq!(pair.server.messages(served).len(), 1);
        pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
        pair.run();
        assert!(pair.client.closed(call).status.is_ok());
    }
}

#[test]
fn a_release_after_the_end_is_not_counted_twice() {
    let mut raw = Raw::server(small_windows(Config::server()));
    raw.end.release = false;
    let mut granted = 0u64;
    for stream in (1..200).step_by(2) {
        raw.send(&[Frame::request(stream, false, &[]), Frame::message(stream, true, &[1; 5_000])]);
        let call = raw.end.request();
        raw.end.connection.release(call, 5_000);
        raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
        granted += updates(&mut raw);
        raw.end.connection.release(call, 5_000);
        granted += updates(&mut raw);
    }
    assert!(granted <= 100 * 5_005, "{granted} bytes of window were given back for {}", 100 * 5_005);
}

fn updates(raw: &mut Raw) -> u64 {
    let frames = raw.frames_of(Frame::WINDOW_UPDATE);
    frames.iter().filter(|frame| frame.stream == 0).map(|frame| u64::from(frame.code())).sum()
}

#[test]
fn a_peer_may_fill_a_window_and_not_send_one_byte_more() {
    for (over, code) in [(0, None), (1, Some(3))] {
        let mut raw = Raw::server(small_windows(Config::server()));
        raw.end.release = false;
        raw.send(&[Frame::request(1, false, &[])]);
        // A message that is never whole, so that nothing is given back.
        let mut data = prefixed(&vec![0; 100_000]);
        data.truncate(10_000 + over);
        raw.send(&[Frame::data(1, false, data)]);
        let faults: Vec<_> = raw.frames().into_iter().filter(|f| matches!(f.kind, 3 | 7)).collect();
        assert_eq!(faults.first().map(Frame::code), code, "{over} bytes over");
    }
}

/// The connection's window opens again as bytes come in, so what counts is how much comes at once.
#[test]
fn the_connections_window_is_kept_too() {
    let mut config = small_windows(Config::server());
    config.limits.stream_window = 1 << 20;
    for (over, code) in [(0, None), (1, Some(3))] {
        let mut raw = Raw::server(config.clone());
        raw.send(&[Frame::request(1, false, &[])]);
        let mut data = prefixed(&vec![0; 100_000]);
        data.truncate(65_535 + over);
        raw.send(&[Frame::data(1, false, data)]);
        let faults = raw.frames_of(Frame::GOAWAY);
        assert_eq!(faults.first().map(Frame::code), code, "{over} bytes over");
    }
}

/// One slow reader per stream must not add up to any amount of memory: windows get no larger, and no calls are added.
/// The window of before the SETTINGS is used up and given back when they shrink it to less than nothing.
#[test]
fn what_was_taken_before_a_smaller_window_is_known_is_given_back_in_it() {
    let late = Weather { delay: Duration::from_millis(300), steady: true, ..Weather::CALM };
    let mut config = Config::server();
    config.limits.initial_stream_window = 1000;
    config.limits.stream_window = 1000;
    let mut pair = Pair::new(Config::client(), config, [Weather::CALM, late], Rng::with_seed(0));
    let call = pair.open("/s.S/M");
    pair.client.connection.send_message(call, &[1; 30_000][..]).unwrap();
    pair.run();
    let served = pair.server.request();
    assert_eq!(pair.server.messages(served), [vec![1; 30_000]]);
    for len in [100, 100_000, 10] {
        pair.client.connection.send_message(call, Bytes::from(vec![2; len])).unwrap();
        pair.run();
        assert!(pair.server.messages(served) == [vec![2; len]], "{len} bytes");
    }
}

#[test]
fn what_nobody_takes_is_bounded_over_all_calls() {
    let mut config = Config::server();
    config.limits.unread = 1 << 20;
    let mut pair = Pair::with(Config::client(), config);
    // Windows as wide as they get, as long as there is room for them.
    let mut calls = Vec::new();
    for _ in 0..100 {
        let call = pair.open("/s.S/M");
        pair.run();
        let Some(served) = pair.server.poll_request() else { break };
        for _ in 0..40 {
            pair.client.connection.send_message(call, &[1; 10_000][..]).unwrap();
        }
        pair.server.release = true;
        pair.run();
        pair.server.release = false;
        assert_eq!(pair.server.messages(served).len(), 40);
        for _ in 0..200 {
            pair.client.connection.send_message(call, &[1; 10_000][..]).unwrap();
        }
        pair.run();
        calls.push(served);
    }
    let came: usize = calls.iter().map(|call| pair.server.call(*call).messages.len() * 10_005).sum();
    let most = (1 << 20) + calls.len() * (128 << 10);
    assert!((1 << 20..=most).contains(&came), "{came} bytes of {} calls were taken in", calls.len());
    assert!((5..100).contains(&calls.len()), "{} calls were taken", calls.len());
    // As they are taken, the rest comes.
    let mut total = 0;
    for _ in 0..100 {
        for call in &calls {
            for message in pair.server.messages(*call) {
                pair.server.connection.release(*call, message.len());
                total += 1;
            }
        }
        pair.run();
    }
    assert_eq!(total, 200 * calls.len());
}

/// Nor may calls that end with messages nobody took keep the others from going on.
#[test]
fn what_nobody_took_counts_no_more_when_its_call_is_over() {
    let mut config = small_windows(Config::server());
    config.limits.unread = 20_000;
    let mut pair = Pair::with(Config::client(), config);
    pair.server.release = false;
    // More than may be unread and in flight together, so that the client has to stop.
    let calls: Vec<_> = (0..50).map(|_| pair.open("/s.S/M")).collect();
    for call in &calls {
        pair.client.connection.send_message(*call, &[1; 5_000][..]).unwrap();
    }
    for turn in 0..5 {
        pair.run();
        let (came, rest): (Vec<_>, Vec<_>) = pair
            .server
            .seen
            .iter()
            .filter(|(_, seen)| seen.closed.is_none())
            .partition(|(_, seen)| seen.messages.len() == 1);
        assert!(!came.is_empty(), "nothing came in turn {turn}");
        let came: Vec<_> = came.into_iter().map(|(call, _)| *call).collect();
        let done = rest.is_empty();
        for call in came {
            pair.server.connection.cancel(call, Status::from(farcall_core::Code::Cancelled));
        }
        if done {
            break;
        }
    }
    assert!(pair.server.seen.values().all(|seen| seen.messages.len() == 1), "every message came");
}

/// A message larger than the window has to arrive although the application can take nothing before it is whole.
#[test]
fn a_message_larger_than_the_window_is_let_in_before_it_is_whole() {
    let mut pair = pair();
    pair.server.release = false;
    let (call, served) = pair.started("/s.S/M");
    pair.client.connection.send_message(call, Bytes::from(vec![1; 500_000])).unwrap();
    pair.run();
    assert_eq!(pair.server.messages(served).len(), 1);
}

#[test]
fn window_updates_that_overflow_or_say_nothing_are_faults() {
    for (frame, kind, code) in [
        (Frame::window_update(0, 0), Frame::GOAWAY, 1),
        (Frame::window_update(0, 0x7fff_ffff), Frame::GOAWAY, 3),
        (Frame::window_update(1, 0), Frame::RST_STREAM, 1),
        (Frame::window_update(1, 0x7fff_ffff), Frame::RST_STREAM, 3),
    ] {
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, false, &[]), frame.clone()]);
        let faults = raw.frames_of(kind);
        assert_eq!(faults.first().map(Frame::code), Some(code), "{frame:?}");
    }
    // Up to 2^31-1 is fine.
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::window_update(0, 0x7fff_ffff - 65_535)]);
    assert!(raw.end.disconnected.is_none());
}

#[test]
fn an_initial_window_that_would_overflow_a_stream_is_a_fault() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::settings(&[(4, 0x8000_0000)])]);
    assert_eq!(raw.frames_of(Frame::GOAWAY).first().map(Frame::code), Some(3));

    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[]), Frame::window_update(1, 0x7fff_0000)]);
    raw.send(&[Frame::settings(&[(4, 0x7fff_ffff)])]);
    assert_eq!(raw.frames_of(Frame::GOAWAY).first().map(Frame::code), Some(3));
}

#[test]
fn a_smaller_initial_window_makes_a_window_negative_until_it_is_earned_back() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::settings(&[(4, 1000)]), Frame::request(1, true, &[])]);
    let call = raw.end.request();
    raw.end.connection.send_message(call, &[1; 2000][..]).unwrap();
    let sent = |raw: &mut Raw| -> usize { raw.frames_of(Frame::DATA).iter().map(|frame| frame.payload.len()).sum() };
    assert_eq!(sent(&mut raw), 1000);
    raw.send(&[Frame::settings(&[(4, 400)])]);
    assert_eq!(sent(&mut raw), 0);
    raw.send(&[Frame::window_update(1, 600)]);
    assert_eq!(sent(&mut raw), 0);
    raw.send(&[Frame::window_update(1, 5)]);
    assert_eq!(sent(&mut raw), 5);
    raw.send(&[Frame::settings(&[(4, 60_000)])]);
    assert_eq!(sent(&mut raw), 1000);
}

#[test]
fn the_peers_frame_size_is_kept() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, true, &[])]);
    let call = raw.end.request();
    raw.end.connection.send_message(call, Bytes::from(vec![1; 40_000])).unwrap();
    let sizes: Vec<_> = raw.frames_of(Frame::DATA).iter().map(|frame| frame.payload.len()).collect();
    assert!(sizes.iter().all(|size| *size <= 16_384), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 40_005);
}

#[test]
fn writable_tells_when_to_stop_and_when_to_go_on() {
    let mut pair = pair();
    pair.server.release = false;
    let (call, served) = pair.started("/s.S/M");
    assert!(pair.client.connection.writable(call));
    let mut sent = 0;
    while pair.client.connection.writable(call) {
        pair.client.connection.send_message(call, &[0; 1000][..]).unwrap();
        pair.run();
        sent += 1;
        assert!(sent < 1000, "the send buffer is bounded");
    }
    assert_eq!(pair.client.call(call).writable, 0);
    let mut taken = 0;
    while taken < sent {
        pair.run();
        let more = pair.server.messages(served).len();
        assert!(more > 0, "{taken} of {sent} messages came");
        pair.server.connection.release(served, more * 1000);
        taken += more;
    }
    pair.run();
    assert!(pair.client.connection.writable(call));
    assert_eq!(pair.client.call(call).writable, 1, "told once");
}
