//! Frames where they may not, or need not, be. (Every state against every frame is tried in `tests/states.rs`.)

use farcall_core::{Code, Status};

use super::raw::Raw;
use crate::{
    Config, ErrorCode, Event,
    frame::{MAX_U31, flag, kind},
};

const RESPONSE: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

#[test]
fn a_fault_of_one_stream_leaves_the_others_alone() {
    let mut raw = Raw::new(Config::server());
    raw.request(1, true);
    raw.request(3, false);
    let [first, second] = raw.requests()[..] else { panic!("two calls") };
    raw.data(1, false, b"");
    assert_eq!(raw.was_reset(1), Some(ErrorCode::STREAM_CLOSED));
    assert!(raw.closed(first).is_some_and(|closed| !closed.completed));
    raw.data(3, true, b"\0\0\0\0\x01x");
    assert!(raw.events.contains(&Event::HalfClosed { call: second }));
    assert!(raw.closed(second).is_none());
}

#[test]
fn a_stream_that_was_skipped_cannot_be_opened_any_more() {
    let mut raw = Raw::new(Config::server());
    raw.request(5, false);
    raw.request(3, false);
    assert_eq!(raw.went_away(), Some(ErrorCode::PROTOCOL_ERROR));
}

#[test]
fn only_odd_streams_are_a_clients() {
    let mut raw = Raw::new(Config::server());
    raw.request(2, false);
    assert_eq!(raw.went_away(), Some(ErrorCode::PROTOCOL_ERROR));
}

#[test]
fn frames_for_streams_long_forgotten_are_ignored() {
    let mut raw = Raw::new(Config::client());
    let calls: Vec<_> = (0..100).map(|_| raw.open()).collect();
    for call in calls {
        raw.connection.cancel(call, Status::from(Code::Cancelled));
    }
    for _ in 0..100 {
        let call = raw.open();
        raw.connection.cancel(call, Status::from(Code::Cancelled));
    }
    raw.written();
    raw.headers(1, false, &RESPONSE);
    raw.data(1, true, b"\0\0\0\0\x01x");
    assert_eq!((raw.written(), raw.connection.error()), (vec![], None));
}

#[test]
fn an_interim_response_changes_nothing() {
    let mut raw = Raw::new(Config::client());
    let call = raw.open();
    raw.connection.half_close(call).unwrap();
    raw.written();
    for _ in 0..2 {
        raw.headers(1, false, &[(":status", "103"), ("link", "x")]);
    }
    raw.headers(1, true, &[(":status", "200"), ("grpc-status", "5"), ("grpc-message", "a%20b")]);
    let closed = raw.closed(call).unwrap();
    assert_eq!(closed.status, Status::new(Code::NotFound, "a b"));
    assert!(closed.trailers.is_empty());
}

#[test]
fn content_length_is_kept() {
    for (length, good) in [("6", true), ("5", false), ("7", false)] {
        let mut raw = Raw::new(Config::server());
        raw.headers(1, false, &[&super::raw::REQUEST[..], &[("content-length", length)]].concat());
        raw.data(1, true, b"\0\0\0\0\x01x");
        let expected = if good { None } else { Some(ErrorCode::PROTOCOL_ERROR) };
        assert_eq!(raw.was_reset(1), expected, "{length}");
    }
}

#[test]
fn a_client_may_send_trailers_and_nothing_is_in_them() {
    let mut raw = Raw::new(Config::server());
    raw.request(1, false);
    raw.headers(1, true, &[("x", "y")]);
    let call = raw.requests()[0];
    assert_eq!(raw.events.last(), Some(&Event::HalfClosed { call }));
    for (end, field) in [(false, ("x", "y")), (true, (":path", "/")), (true, ("Upper", "x"))] {
        let mut raw = Raw::new(Config::server());
        raw.request(1, false);
        raw.headers(1, end, &[field]);
        assert_eq!(raw.was_reset(1), Some(ErrorCode::PROTOCOL_ERROR), "{field:?}");
    }
}

#[test]
fn a_client_of_plain_http_gets_an_answer_it_can_read() {
    let get = [(":path", "/"), (":authority", "a"), (":method", "GET"), (":scheme", "http")];
    let mut raw = Raw::new(Config::server());
    raw.headers(1, false, &get);
    raw.headers(3, true, &get);
    let kinds = |frames: Vec<super::raw::Frame>| -> Vec<_> {
        frames.into_iter().map(|(head, _)| (head.stream, head.kind, head.flags & flag::END_STREAM)).collect()
    };
    // The one that has ended is answered, the other is waited for.
    assert_eq!(kinds(raw.written()), [(3, kind::HEADERS, 0), (3, kind::DATA, 0), (3, kind::HEADERS, 1)]);
    raw.data(1, false, b"any body");
    assert_eq!(kinds(raw.written()), []);
    raw.data(1, true, b"");
    let frames = raw.written();
    assert_eq!(frames[1].1, b"a gRPC request's :method is POST\n");
    assert_eq!(kinds(frames), [(1, kind::HEADERS, 0), (1, kind::DATA, 0), (1, kind::HEADERS, 1)]);
    // The application hears of neither.
    assert_eq!((&raw.events[..], raw.connection.calls()), (&[][..], 0));
    raw.headers(5, false, &get);
    raw.reset(5);
    assert_eq!((&raw.events[..], raw.connection.calls()), (&[][..], 0));
}

#[test]
fn the_last_stream_id_is_used_and_none_after_it() {
    let mut raw = Raw::new(Config::client());
    // No call may begin yet, so both wait.
    raw.frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 0]);
    raw.connection.next_stream = MAX_U31;
    let calls = [raw.open(), raw.open()];
    raw.frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]);
    let last = raw.written().into_iter().filter(|(head, _)| head.kind == kind::HEADERS).map(|(head, _)| head.stream);
    assert_eq!(last.collect::<Vec<_>>(), [MAX_U31]);
    assert!(raw.events.contains(&Event::Draining) && !raw.connection.accepts_calls());
    assert!(raw.closed(calls[0]).is_none());
    let closed = raw.closed(calls[1]).unwrap();
    assert_eq!((closed.status.code, closed.unprocessed), (Code::Unavailable, true));
    raw.headers(MAX_U31, true, &[(":status", "200"), ("grpc-status", "0")]);
    assert!(raw.closed(calls[0]).is_some_and(|closed| closed.completed));
}
