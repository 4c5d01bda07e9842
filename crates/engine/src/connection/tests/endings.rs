//! How calls and connections end, as seen by those who asked for them.

use std::time::Duration;

use farcall_core::{Code, Metadata, Status};

use super::{Joined, closed, events, pattern, raw::Raw};
use crate::{
    Cause, Config, ConnectionError, ErrorCode, Event, Request,
    frame::{MAX_U31, kind},
};

const RESPONSE: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

fn goaway(raw: &mut Raw, last_stream: u32, code: ErrorCode, debug: &str) {
    raw.frame(kind::GOAWAY, 0, 0, &[&last_stream.to_be_bytes()[..], &code.0.to_be_bytes(), debug.as_bytes()].concat());
}

/// A call that is cancelled before anybody hears of it leaves no trace, and the events of those around it are all there.
#[test]
fn calls_that_end_unheard_of_take_no_events_of_others_with_them() {
    let mut pair = Joined::new();
    let (first, second) = (pair.open("/a.B/First"), pair.open("/a.B/Second"));
    pair.settle();
    for call in [first, second] {
        pair.client.send_message(call, pattern(10)).unwrap();
        pair.client.half_close(call).unwrap();
    }
    pair.settle();
    pair.client.cancel(first, Status::from(Code::Cancelled));
    pair.settle();
    let found = events(&mut pair.server);
    let [Event::Request { call, head }, Event::Message { call: of_message, .. }, Event::HalfClosed { call: of_end }] =
        &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!((&*head.path, of_message, of_end), ("/a.B/Second", call, call));
}

/// A client whose peer goes away ends by itself once it has no calls, and says what the peer said.
#[test]
fn a_client_of_a_server_that_goes_away_ends_with_its_last_call() {
    for calls in [false, true] {
        let mut raw = Raw::new(Config::client());
        let call = calls.then(|| raw.open());
        raw.written();
        goaway(&mut raw, 1, ErrorCode::ENHANCE_YOUR_CALM, "why");
        assert_eq!(raw.connection.error().is_some(), !calls);
        assert_eq!(raw.connection.peer_goaway(), Some((ErrorCode::ENHANCE_YOUR_CALM, &b"why"[..])));
        if let Some(call) = call {
            raw.headers(1, true, &[&RESPONSE[..], &[("grpc-status", "0")]].concat());
            assert!(raw.closed(call).is_some_and(|closed| closed.completed));
        }
        let gone = ConnectionError::GoneAway(ErrorCode::ENHANCE_YOUR_CALM, b"why".to_vec());
        assert_eq!(raw.connection.error(), Some(&gone));
        let goaways: Vec<_> = raw.written().into_iter().filter(|(head, _)| head.kind == kind::GOAWAY).collect();
        assert_eq!(goaways.len(), 1, "it says so");
    }
}

#[test]
fn who_was_going_anyway_ends_of_its_own_will() {
    let mut raw = Raw::new(Config::client());
    let call = raw.open();
    raw.written();
    raw.connection.shutdown(raw.now);
    goaway(&mut raw, 1, ErrorCode::NO_ERROR, "");
    raw.headers(1, true, &[&RESPONSE[..], &[("grpc-status", "0")]].concat());
    assert!(raw.closed(call).is_some_and(|closed| closed.completed));
    assert_eq!(raw.connection.error(), Some(&ConnectionError::ClosedLocally));
}

/// The client's GOAWAY is about streams that a server opens, of which there are none.
#[test]
fn a_server_serves_a_client_that_goes_away() {
    let mut raw = Raw::new(Config::server());
    goaway(&mut raw, MAX_U31, ErrorCode::NO_ERROR, "");
    assert_eq!(raw.connection.error(), None);
    raw.request(1, true);
    let [call] = raw.requests()[..] else { panic!("a call") };
    goaway(&mut raw, 0, ErrorCode::NO_ERROR, "");
    assert!(raw.closed(call).is_none());
    raw.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    raw.written();
    assert!(raw.closed(call).is_some_and(|closed| closed.completed));
    assert_eq!(raw.connection.error(), None);
}

#[test]
fn the_last_goaway_that_says_why_is_kept() {
    for (first, second, kept) in [("", "late", "late"), ("early", "", "early"), ("early", "late", "late")] {
        let mut raw = Raw::new(Config::client());
        raw.open();
        raw.written();
        goaway(&mut raw, MAX_U31, ErrorCode::NO_ERROR, first);
        goaway(&mut raw, 1, ErrorCode::NO_ERROR, second);
        assert_eq!(raw.connection.peer_goaway(), Some((ErrorCode::NO_ERROR, kept.as_bytes())));
    }
}

#[test]
fn a_server_shuts_down_once() {
    const NOTHING: [u8; 0] = [];
    let mut raw = Raw::new(Config::server());
    assert_eq!(raw.connection.peer_goaway(), None);
    raw.request(1, false);
    let kinds = |raw: &mut Raw| raw.written().iter().map(|(head, _)| head.kind).collect::<Vec<_>>();
    kinds(&mut raw);
    raw.connection.shutdown(raw.now);
    assert_eq!(kinds(&mut raw), [kind::GOAWAY, kind::PING]);
    raw.connection.shutdown(raw.now);
    assert_eq!(kinds(&mut raw), NOTHING);
    raw.connection.close(ErrorCode::NO_ERROR, "", &Status::from(Code::Unavailable), raw.now);
    assert_eq!(kinds(&mut raw), [kind::GOAWAY]);
    raw.connection.shutdown(raw.now);
    assert_eq!(kinds(&mut raw), NOTHING);
}

/// What was written to the last byte may have been seen, and is not to be sent again without thought.
#[test]
fn a_request_is_unsent_until_its_last_byte_is_written() {
    let mut raw = Raw::new(Config::client());
    let written = raw.open();
    raw.written();
    let unwritten = raw.open();
    raw.connection.handle_transport_closed("Socket closed", raw.now);
    raw.written();
    assert_eq!([written, unwritten].map(|call| raw.closed(call).unwrap().unsent), [false, true]);
}

/// Nothing can be said to a peer whose transport is gone.
#[test]
fn there_is_a_farewell_only_while_there_is_a_transport() {
    for lost in [false, true] {
        let mut raw = Raw::new(Config::server());
        raw.connection.shutdown(raw.now);
        if lost {
            raw.connection.handle_transport_closed("Socket closed", raw.now);
        } else {
            raw.connection.close(ErrorCode::NO_ERROR, "", &Status::from(Code::Unavailable), raw.now);
        }
        assert_eq!(raw.connection.error(), Some(&ConnectionError::ClosedLocally));
        assert_eq!(raw.connection.farewell(raw.now).is_none(), lost);
    }
}

/// The server gives up on a call at the same time as the client, and may be the first to say so.
#[test]
fn a_cancellation_past_the_deadline_is_the_deadlines() {
    for (status, late, code) in [
        ("1", true, Code::DeadlineExceeded),
        ("1", false, Code::Cancelled),
        ("5", true, Code::NotFound),
        ("0", true, Code::Ok),
    ] {
        let mut raw = Raw::new(Config::client());
        let (metadata, deadline) = (Metadata::new(), raw.now + Duration::from_secs(1));
        let request = Request { path: "/a.B/C", authority: "a", metadata: &metadata, deadline: Some(deadline) };
        let call = raw.connection.open(request, raw.now).unwrap();
        raw.written();
        raw.now = if late { deadline } else { deadline - Duration::from_millis(1) };
        raw.headers(1, true, &[&RESPONSE[..], &[("grpc-status", status)]].concat());
        assert_eq!(raw.closed(call).unwrap().status.code, code);
    }
}

#[test]
fn strikes_of_one_kind_that_follow_each_other_are_one_event() {
    let mut pair = Joined::new();
    for what in ["one", "one", "other", "one"] {
        pair.server.strike(Cause::Bound, what);
    }
    let found: Vec<_> = events(&mut pair.server)
        .into_iter()
        .map(|event| match event {
            Event::Struck { what, times, .. } => (what, times),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, [("one", 2), ("other", 1), ("one", 1)]);
}

#[test]
fn a_call_that_ends_while_its_peer_sends_is_closed_once() {
    let mut pair = Joined::new();
    let call = pair.open("/a.B/C");
    pair.client.send_message(call, pattern(100_000)).unwrap();
    pair.client.cancel(call, Status::new(Code::Aborted, "enough"));
    assert_eq!(closed(&mut pair.client).status, Status::new(Code::Aborted, "enough"));
    pair.client.cancel(call, Status::from(Code::Cancelled));
    assert_eq!(events(&mut pair.client), []);
}

/// Behind its last GOAWAY a server looks at no new stream, and at those it has to their end.
#[test]
fn a_server_that_has_named_its_last_stream_takes_no_other() {
    let mut raw = Raw::new(Config::server());
    raw.request(1, false);
    raw.connection.shutdown(raw.now);
    let frames = raw.written();
    let ping = frames.iter().find(|(head, _)| head.kind == kind::PING).expect("a PING").1.clone();
    raw.request(3, false);
    assert_eq!(raw.requests().len(), 2, "it may have been on its way");
    raw.frame(kind::PING, crate::frame::flag::ACK, 0, &ping);
    let frames = raw.written();
    assert_eq!(frames[0].1[..4], 3u32.to_be_bytes());
    raw.request(5, true);
    assert_eq!((raw.requests().len(), raw.connection.calls(), raw.written()), (2, 2, vec![]));
}

/// The last id but one is no reason to look for another connection.
#[test]
fn a_client_drains_with_its_last_stream_and_not_before() {
    let mut raw = Raw::new(Config::client());
    raw.frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]);
    raw.connection.next_stream = MAX_U31 - 2;
    let calls = [raw.open(), raw.open()];
    raw.written();
    assert!(raw.connection.accepts_calls() && !raw.events.contains(&Event::Draining));
    assert!(calls.iter().all(|call| raw.closed(*call).is_none()), "the second waits for the first");
    raw.headers(MAX_U31 - 2, true, &[&RESPONSE[..], &[("grpc-status", "0")]].concat());
    raw.written();
    assert!(raw.events.contains(&Event::Draining) && raw.closed(calls[1]).is_none());
}
