//! Connections that end because they are idle, old, or never agreed upon.

use std::time::Duration;

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{Config, ConnectionError};

use crate::support::{Frame, Pair, Raw};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// The only GOAWAY so far: last stream and reason.
fn goaway(raw: &mut Raw) -> Option<(u32, u32, String)> {
    let frame = raw.frames_of(Frame::GOAWAY).into_iter().next()?;
    let last = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
    Some((last, frame.code(), String::from_utf8(frame.payload[8..].to_vec()).unwrap()))
}

fn max_idle() -> Raw {
    Raw::server(Config { max_connection_idle: Some(10 * MINUTE), seed: 7, ..Config::server() })
}

/// After this the connection has nothing to clear away.
const QUIET: Duration = Duration::from_secs(3);

/// When the connection wants to do something next, from now, once it has been quiet.
fn next(raw: &mut Raw) -> Duration {
    raw.sleep(QUIET);
    raw.end.next_timeout().expect("something is to come") - raw.now
}

#[test]
fn an_idle_connection_is_shut_down() {
    let mut raw = max_idle();
    let wait = next(&mut raw);
    assert!((9 * MINUTE..=11 * MINUTE).contains(&wait), "{wait:?}");
    raw.sleep(wait - MILLI);
    assert_eq!(goaway(&mut raw), None);
    raw.sleep(MILLI);
    assert_eq!(goaway(&mut raw), Some((0x7fff_ffff, 0, "max_idle".to_owned())));
    raw.sleep(20 * SECOND);
    assert_eq!(raw.end.disconnected, Some(ConnectionError::ClosedLocally));
}

#[test]
fn idle_begins_with_the_end_of_the_last_call() {
    let mut raw = max_idle();
    let wait = next(&mut raw);
    raw.send(&[Frame::request(1, true, &[])]);
    let call = raw.end.request();
    raw.sleep(100 * MINUTE);
    raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    assert_eq!(goaway(&mut raw), None);
    assert_eq!(next(&mut raw), wait);
    raw.sleep(wait - MILLI);
    assert_eq!(goaway(&mut raw), None);
    raw.sleep(MILLI);
    assert_eq!(goaway(&mut raw).unwrap().2, "max_idle");
}

#[test]
fn no_two_connections_are_of_one_age() {
    let times: Vec<Duration> = (0..100)
        .map(|seed| Config { max_connection_age: Some(1000 * SECOND), seed, ..Config::server() })
        .map(|config| QUIET + next(&mut Raw::server(config)))
        .collect();
    assert!(times.iter().all(|time| (900 * SECOND..=1100 * SECOND).contains(time)));
    assert!(times.iter().any(|time| *time < 950 * SECOND) && times.iter().any(|time| *time > 1050 * SECOND));
}

fn max_age(grace: Option<Duration>) -> Pair {
    let server = Config {
        max_connection_age: Some(10 * MINUTE),
        max_connection_age_grace: grace,
        keepalive_time: None,
        ..Config::server()
    };
    Pair::with(Config::client(), server)
}

#[test]
fn an_old_connection_takes_no_new_calls_and_finishes_the_others() {
    let mut pair = max_age(None);
    let (call, served) = pair.started("/s.S/M");
    pair.run_for(9 * MINUTE - MILLI);
    assert!(!pair.client.draining);
    pair.run_for(3 * MINUTE);
    assert!(pair.client.draining && pair.client.disconnected.is_none());
    pair.run_for(1000 * MINUTE);
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run_for(MINUTE);
    assert!(pair.client.closed(call).completed);
    assert_eq!(pair.server.disconnected, Some(ConnectionError::ClosedLocally));
}

#[test]
fn after_the_grace_all_is_over() {
    let mut pair = max_age(Some(30 * SECOND));
    let (call, served) = pair.started("/s.S/M");
    pair.run_for(QUIET);
    let old = pair.next_timeout().unwrap();
    pair.run_for(old - pair.now);
    assert!(pair.client.draining);
    pair.run_for(30 * SECOND - MILLI);
    assert!(pair.client.disconnected.is_none() && pair.server.disconnected.is_none());
    pair.run_for(MILLI);
    assert_eq!(pair.client.closed(call).status.code, Code::Unavailable);
    assert_eq!(pair.server.closed(served).status, Status::new(Code::Unavailable, "Stream removed (max_age)"));
    assert!(pair.client.disconnected.is_some());
    assert_eq!(pair.server.disconnected, Some(ConnectionError::ClosedLocally));
}

#[test]
fn settings_that_are_not_acknowledged_in_time() {
    for client in [true, false] {
        let config = if client { Config::client() } else { Config::server() };
        let mut raw = Raw::new(config.clone());
        raw.sleep(MINUTE - MILLI);
        assert_eq!(goaway(&mut raw), None);
        raw.sleep(MILLI);
        assert_eq!(goaway(&mut raw).unwrap().1, 4);
        assert!(matches!(raw.end.disconnected, Some(ConnectionError::PeerMisbehaved(..))));

        let mut raw = if client { Raw::client(config) } else { Raw::server(config) };
        raw.sleep(100 * MINUTE);
        assert_eq!(raw.end.next_timeout(), None);
        assert!(raw.end.disconnected.is_none());
    }
}

/// A frame or a header block that is begun must be finished, whatever its kind and wherever it stops.
#[test]
fn frames_that_are_begun_and_not_finished() {
    let request = Frame::request(3, false, &[]).encode();
    let data = Frame::message(1, false, &[7; 100_000]).encode();
    let first = Frame::new(Frame::HEADERS, 0, 3, []).encode();
    for (what, bytes) in [
        ("a head", &request[..5]),
        ("HEADERS", &request[..20]),
        ("a header block", &first[..]),
        ("DATA", &data[..50_000]),
        ("PING", &Frame::ping([0; 8]).encode()[..12]),
    ] {
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, false, &[])]);
        raw.sleep(Duration::from_secs(300));
        raw.send_bytes(bytes);
        raw.sleep(Duration::from_secs(120));
        assert_eq!(raw.end.disconnected, None, "{what}");
        raw.sleep(Duration::from_secs(2));
        let code = raw.frames_of(Frame::GOAWAY).first().map(Frame::code);
        assert_eq!(code, Some(11), "{what}");
    }
}

/// What comes slowly, but comes, is no fault in DATA; a header block has its time as a whole.
#[test]
fn frames_that_come_slowly() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[])]);
    let data = Frame::message(1, true, &[7; 1000]).encode();
    for piece in data.chunks(100) {
        raw.send_bytes(piece);
        raw.sleep(Duration::from_secs(100));
    }
    let call = raw.end.request();
    assert_eq!(raw.end.messages(call).len(), 1);
    let request = Frame::request(3, true, &[]).payload;
    raw.send(&[Frame::new(Frame::HEADERS, 0, 3, &request[..1])]);
    for byte in &request[1..10] {
        raw.sleep(Duration::from_secs(10));
        raw.send(&[Frame::new(Frame::CONTINUATION, 0, 3, [*byte])]);
    }
    assert_eq!(raw.end.disconnected, None, "after 90 seconds");
    for byte in &request[10..14] {
        raw.sleep(Duration::from_secs(10));
        raw.send(&[Frame::new(Frame::CONTINUATION, 0, 3, [*byte])]);
    }
    assert!(raw.end.disconnected.is_some(), "after 130 seconds");
}
