//! Every state of a stream against every frame, on the wire.

use farcall_core::{Code, Metadata, Status};

use super::raw::Raw;
use crate::{
    Config, ErrorCode, Event, Role,
    frame::{flag, kind},
    stream::State,
};

const STATES: [State; 7] = [
    State::Idle,
    State::Open,
    State::HalfClosedLocal,
    State::HalfClosedRemote,
    State::Ended,
    State::ResetByPeer,
    State::ResetByUs,
];

/// What the peer sends for the stream.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Sent {
    Headers,
    Data,
    Priority,
    Reset,
    WindowUpdate,
    PushPromise,
    Continuation,
    Unknown,
}

const FRAMES: [Sent; 8] = [
    Sent::Headers,
    Sent::Data,
    Sent::Priority,
    Sent::Reset,
    Sent::WindowUpdate,
    Sent::PushPromise,
    Sent::Continuation,
    Sent::Unknown,
];

/// What comes of it.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Outcome {
    Fine,
    Stream(ErrorCode),
    Connection(ErrorCode),
}

const PROTOCOL: Outcome = Outcome::Connection(ErrorCode::PROTOCOL_ERROR);

/// A server whose stream 1 is in a state. There is none half-closed (local): its answer resets the rest.
fn server_in(state: State) -> Option<Raw> {
    let mut raw = Raw::new(Config::server());
    if state == State::Idle {
        return Some(raw);
    }
    raw.request(1, matches!(state, State::HalfClosedRemote | State::Ended));
    let call = raw.requests()[0];
    match state {
        State::Open | State::HalfClosedRemote => {}
        State::Ended => raw.connection.respond(call, &Status::OK, &Metadata::new()).unwrap(),
        State::ResetByPeer => raw.reset(1),
        State::ResetByUs => raw.connection.cancel(call, Status::from(Code::Internal)),
        State::HalfClosedLocal | State::Idle => return None,
    }
    raw.written();
    Some(raw)
}

/// A client whose stream 1 is in a state. There is none half-closed (remote): the server's end is the call's.
fn client_in(state: State) -> Option<Raw> {
    let mut raw = Raw::new(Config::client());
    if state == State::Idle {
        return Some(raw);
    }
    let call = raw.open();
    if matches!(state, State::HalfClosedLocal | State::Ended) {
        raw.connection.half_close(call).unwrap();
    }
    raw.written();
    match state {
        State::Open | State::HalfClosedLocal => raw.headers(1, false, &RESPONSE),
        State::Ended => raw.headers(1, true, &[(":status", "200"), ("grpc-status", "0")]),
        State::ResetByPeer => raw.reset(1),
        State::ResetByUs => raw.connection.cancel(call, Status::from(Code::Cancelled)),
        State::HalfClosedRemote | State::Idle => return None,
    }
    raw.written();
    Some(raw)
}

const RESPONSE: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

fn send(raw: &mut Raw, sent: Sent, role: Role, state: State) {
    match sent {
        Sent::Headers if role == Role::Client => raw.headers(1, true, &[("grpc-status", "0")]),
        Sent::Headers if state == State::Idle => raw.request(1, false),
        Sent::Headers => raw.headers(1, true, &[("a", "b")]),
        Sent::Data => raw.data(1, false, b"\0\0\0\0\x01x"),
        Sent::Priority => raw.frame(kind::PRIORITY, 0, 1, &[0, 0, 0, 3, 16]),
        Sent::Reset => raw.reset(1),
        Sent::WindowUpdate => raw.frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        Sent::PushPromise => raw.frame(kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0, 0, 0, 2]),
        Sent::Continuation => raw.frame(kind::CONTINUATION, flag::END_HEADERS, 1, b""),
        Sent::Unknown => raw.frame(0xfa, 0xff, 1, b"whatever"),
    }
}

/// RFC 9113 5.1, seen from the wire.
fn expected(role: Role, state: State, sent: Sent) -> Outcome {
    match (state, sent) {
        (_, Sent::Unknown | Sent::Priority) => Outcome::Fine,
        (_, Sent::PushPromise | Sent::Continuation) => PROTOCOL,
        (State::Idle, Sent::Headers) if role == Role::Server => Outcome::Fine,
        (State::Idle, _) => PROTOCOL,
        // The end of the call; this side has not ended its own.
        (State::Open, Sent::Headers) if role == Role::Client => Outcome::Stream(ErrorCode::NO_ERROR),
        (State::HalfClosedRemote | State::ResetByPeer, Sent::Headers | Sent::Data) => {
            Outcome::Stream(ErrorCode::STREAM_CLOSED)
        }
        (State::Ended, Sent::Headers | Sent::Data) => Outcome::Connection(ErrorCode::STREAM_CLOSED),
        _ => Outcome::Fine,
    }
}

#[test]
fn every_state_against_every_frame() {
    for role in [Role::Server, Role::Client] {
        for state in STATES {
            for sent in FRAMES {
                let at = match role {
                    Role::Server => server_in(state),
                    Role::Client => client_in(state),
                };
                let Some(mut raw) = at else { continue };
                send(&mut raw, sent, role, state);
                let what = format!("{sent:?} to a {role:?} in {state:?}");
                match expected(role, state, sent) {
                    Outcome::Connection(code) => assert_eq!(raw.went_away(), Some(code), "{what}"),
                    Outcome::Stream(code) => {
                        assert_eq!(raw.was_reset(1), Some(code), "{what}");
                        assert_eq!(raw.connection.error(), None, "{what}");
                    }
                    Outcome::Fine => {
                        let frames = raw.written();
                        assert_eq!(frames, [], "{what}");
                        assert_eq!(raw.connection.error(), None, "{what}");
                    }
                }
            }
        }
    }
}

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
