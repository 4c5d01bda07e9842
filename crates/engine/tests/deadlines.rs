//! Deadlines, on both sides.

use std::time::Duration;

use farcall_core::{Code, Metadata, Status};
use farcall_engine::Config;

use crate::support::{Frame, Pair, Raw, words};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_server_learns_the_deadline() {
    let mut pair = Pair::calm();
    pair.open_with("/s.S/M", &Metadata::new(), Some(5 * SECOND)).unwrap();
    pair.run();
    let served = pair.server.request();
    let head = pair.server.call(served).head.as_ref().unwrap();
    assert_eq!(head.deadline, Some(pair.start + 5 * SECOND));
    assert_eq!(head.metadata.first("grpc-timeout"), None);
}

#[test]
fn both_sides_give_up_at_the_deadline() {
    let mut pair = Pair::calm();
    let call = pair.open_with("/s.S/M", &Metadata::new(), Some(5 * SECOND)).unwrap();
    pair.run_for(5 * SECOND - Duration::from_millis(1));
    let served = pair.server.request();
    assert!(pair.client.call(call).closed.is_none());
    assert!(pair.server.call(served).closed.is_none());
    pair.run_for(Duration::from_millis(1));
    let closed = pair.client.closed(call);
    assert_eq!(words(closed), ("DEADLINE_EXCEEDED", "Deadline Exceeded"));
    assert!(!closed.completed && !closed.unprocessed);
    assert_eq!(pair.server.closed(served).status.code, Code::DeadlineExceeded);
    assert!(pair.client.disconnected.is_none() && pair.server.disconnected.is_none());
}

#[test]
fn an_answer_in_time_is_an_answer_and_the_timer_is_forgotten() {
    let mut pair = Pair::calm();
    let call = pair.open_with("/s.S/M", &Metadata::new(), Some(6 * SECOND)).unwrap();
    pair.run_for(4 * SECOND);
    let served = pair.server.request();
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();
    assert!(pair.client.closed(call).status.is_ok());
    let deadline = pair.start + 6 * SECOND;
    assert!(pair.next_timeout().is_none_or(|at| at < deadline), "only a tick may be left");
    pair.run_for(10 * SECOND);
    assert_eq!(pair.next_timeout(), None);
    assert!(pair.server.closed(served).completed);
}

#[test]
fn a_deadline_that_has_passed_fails_the_call_at_once() {
    let mut pair = Pair::calm();
    pair.run();
    pair.run_for(SECOND);
    let call = pair.open_with("/s.S/M", &Metadata::new(), Some(Duration::ZERO)).unwrap();
    pair.run_for(Duration::ZERO);
    assert_eq!(words(pair.client.closed(call)), ("DEADLINE_EXCEEDED", "Deadline Exceeded"));
}

#[test]
fn a_call_that_waits_for_a_stream_has_its_deadline_too() {
    let mut server = Config::server();
    server.limits.max_concurrent_streams = Some(1);
    let mut pair = Pair::with(Config::client(), server);
    pair.run();
    let first = pair.open("/s.S/First");
    let second = pair.open_with("/s.S/Second", &Metadata::new(), Some(SECOND)).unwrap();
    pair.run_for(2 * SECOND);
    let closed = pair.client.closed(second);
    assert_eq!(closed.status.code, Code::DeadlineExceeded);
    assert!(closed.unprocessed, "it never left");
    assert!(pair.client.call(first).closed.is_none());
    pair.server.request();
    assert!(pair.server.poll_request().is_none());
}

#[test]
fn deadlines_fire_in_their_order() {
    let mut pair = Pair::calm();
    let calls: Vec<_> = [3, 1, 2, 1]
        .map(|seconds| (seconds, pair.open_with("/s.S/M", &Metadata::new(), Some(seconds * SECOND)).unwrap()))
        .into();
    for passed in 1..=3 {
        pair.run_for(SECOND);
        for (seconds, call) in &calls {
            assert_eq!(pair.client.call(*call).closed.is_some(), *seconds <= passed);
        }
    }
}

#[test]
fn a_bad_timeout_fails_the_call_and_not_the_connection() {
    for bad in ["5", "S", "123456789S", "-1S", "1s"] {
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, true, &[("grpc-timeout", bad)]), Frame::request(3, true, &[])]);
        let frames = raw.frames();
        assert!(
            frames.iter().any(|f| f.stream == 1 && matches!(f.kind, Frame::HEADERS | Frame::RST_STREAM)),
            "{bad}: {frames:?}"
        );
        assert!(raw.end.disconnected.is_none());
        assert_eq!(raw.end.seen.values().filter(|seen| seen.closed.is_none()).count(), 1);
    }
}

/// In words, not by a reset: a client whose own timer is a little late would take a reset for a cancellation.
#[test]
fn the_server_answers_a_deadline_with_a_status() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[("grpc-timeout", "1S")])]);
    let call = raw.end.request();
    raw.sleep(SECOND);
    assert_eq!(raw.end.closed(call).status.code, Code::DeadlineExceeded);
    let frames = raw.frames();
    let kinds: Vec<_> =
        frames.iter().map(|frame| (frame.kind, frame.stream, frame.flags & Frame::END_STREAM)).collect();
    assert_eq!(kinds, [(Frame::HEADERS, 1, Frame::END_STREAM), (Frame::RST_STREAM, 1, 0)]);
    assert_eq!(frames[1].code(), 0);
}

#[test]
fn a_deadline_that_only_the_server_saw_pass_is_a_deadline_for_the_client() {
    let mut pair = Pair::calm();
    let call = pair.open_with("/s.S/M", &Metadata::new(), Some(SECOND)).unwrap();
    pair.run();
    let served = pair.server.request();
    pair.now += SECOND;
    assert!(pair.server.time_out(pair.now));
    while pair.server.write(&mut pair.client.inbound, pair.now, &mut pair.rng) {}
    while pair.client.read(pair.now, &mut pair.rng) {}
    assert_eq!(words(pair.client.closed(call)), ("DEADLINE_EXCEEDED", "Deadline Exceeded"));
    assert_eq!(pair.server.closed(served).status.code, Code::DeadlineExceeded);
}

/// A reset that comes after the deadline, before this side's own timer was looked at, is the deadline's doing.
#[test]
fn a_cancel_from_the_peer_past_the_deadline_is_the_deadline() {
    let mut raw = Raw::client(Config::client());
    let call = raw.open(Some(SECOND));
    raw.frames();
    raw.now += SECOND;
    raw.send(&[Frame::reset(1, 8)]);
    assert_eq!(raw.end.closed(call).status.code, Code::DeadlineExceeded);
}

/// A call without any time left is answered, and its handler never begins.
#[test]
fn a_request_whose_time_is_up_when_it_comes() {
    for (timeout, end_stream) in [("0n", true), ("0S", true), ("0H", false)] {
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, end_stream, &[("grpc-timeout", timeout)])]);
        assert_eq!(raw.end.poll_request(), None, "{timeout}");
        let frames = raw.frames();
        assert_eq!(
            frames.iter().map(|frame| frame.kind).collect::<Vec<_>>(),
            match end_stream {
                true => vec![Frame::HEADERS],
                false => vec![Frame::HEADERS, Frame::RST_STREAM],
            }
        );
        let mut client = Raw::client(Config::client());
        let call = client.open(None);
        client.send(&frames);
        assert_eq!(client.end.closed(call).status, Status::new(Code::DeadlineExceeded, "Deadline Exceeded"));
    }
}

/// What ends before it could be told is not told at all.
#[test]
fn a_request_that_is_over_before_it_is_told_is_never_told() {
    let mut raw = Raw::server(Config::server());
    let id = |i: u32| 2 * i + 1;
    let mut frames = Vec::new();
    for i in 0..3 {
        frames.push(Frame::request(id(i), false, &[]));
        frames.push(Frame::message(id(i), true, b"m"));
        if i != 1 {
            frames.push(Frame::reset(id(i), 8));
        }
    }
    raw.send(&frames);
    let served = raw.end.request();
    assert_eq!((raw.end.poll_request(), raw.end.seen.len()), (None, 1));
    assert_eq!(raw.end.messages(served).len(), 1);
    raw.end.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    raw.collect();
    assert!(raw.end.closed(served).completed);
    assert_eq!(raw.end.connection.calls(), 0);
    // Their slots are used again.
    raw.send(&[Frame::request(7, true, &[]), Frame::request(9, true, &[])]);
    let calls = [raw.end.request(), raw.end.request()];
    assert!(calls.iter().all(|call| call.index() < 3), "{calls:?}");
}
