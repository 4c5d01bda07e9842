//! Connections that end in good order.

use std::time::Duration;

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallError, Config, ConnectionError, ErrorCode};

use crate::support::{Frame, Pair, Raw};

#[test]
fn a_server_that_shuts_down_finishes_its_calls_first() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    pair.server.connection.shutdown(pair.now);
    pair.run();
    assert!(pair.client.draining);
    assert!(!pair.client.connection.accepts_calls());
    assert_eq!(pair.open_with("/s.S/M", &Metadata::new(), None), Err(CallError::ConnectionClosing));
    assert!(pair.client.disconnected.is_none() && pair.server.disconnected.is_none());

    pair.client.connection.send_message(call, &b"still"[..]).unwrap();
    pair.run();
    assert_eq!(pair.server.messages(served), [&b"still"[..]]);
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run_for(Duration::from_secs(60));
    assert!(pair.client.closed(call).completed);
    assert_eq!(pair.server.disconnected, Some(ConnectionError::ClosedLocally));
    assert!(pair.client.disconnected.is_some());
}

#[test]
fn a_server_without_calls_shuts_down_at_once() {
    let mut pair = Pair::calm();
    pair.run();
    pair.server.connection.shutdown(pair.now);
    pair.run_for(Duration::from_secs(60));
    assert_eq!(pair.server.disconnected, Some(ConnectionError::ClosedLocally));
    assert!(pair.client.draining && pair.client.disconnected.is_some());
}

/// A request on its way when the server begins to shut down is served: the first GOAWAY names no last stream.
#[test]
fn a_request_that_crosses_the_shutdown_is_served() {
    let mut pair = Pair::calm();
    pair.run();
    let call = pair.open("/s.S/M");
    pair.server.connection.shutdown(pair.now);
    pair.run();
    let served = pair.server.request();
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run_for(Duration::from_secs(60));
    assert!(pair.client.closed(call).completed);
    assert!(pair.server.disconnected.is_some() && pair.client.disconnected.is_some());
}

#[test]
fn a_client_that_shuts_down_finishes_its_calls_first() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    pair.client.connection.shutdown(pair.now);
    assert_eq!(pair.open_with("/s.S/M", &Metadata::new(), None), Err(CallError::ConnectionClosing));
    pair.run();
    assert!(pair.client.disconnected.is_none());
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run_for(Duration::from_secs(60));
    assert!(pair.client.closed(call).completed);
    assert!(pair.client.disconnected.is_some() && pair.server.disconnected.is_some());
}

#[test]
fn closing_ends_every_call_now() {
    let mut pair = Pair::calm();
    let (first, first_served) = pair.started("/s.S/M");
    let (second, _) = pair.started("/s.S/M");
    let status = Status::new(Code::Cancelled, "Channel closed!");
    pair.client.connection.close(ErrorCode::NO_ERROR, "bye", &status, pair.now);
    pair.run();
    for call in [first, second] {
        assert_eq!(pair.client.closed(call).status, status);
    }
    assert_eq!(pair.client.disconnected, Some(ConnectionError::ClosedLocally));
    assert!(pair.server.call(first_served).closed.is_some());
    assert!(pair.server.disconnected.is_some());
}

#[test]
fn closing_with_an_error_tells_the_peer_why() {
    let mut pair = Pair::calm();
    let (call, _) = pair.started("/s.S/M");
    let status = Status::from(Code::Unavailable);
    pair.server.connection.close(ErrorCode::ENHANCE_YOUR_CALM, "too_many_pings", &status, pair.now);
    pair.run();
    let expected = ConnectionError::GoneAway(ErrorCode::ENHANCE_YOUR_CALM, b"too_many_pings".to_vec());
    assert_eq!(pair.client.disconnected, Some(expected));
    assert_eq!(pair.client.closed(call).status.code, Code::Unavailable);
}

#[test]
fn calls_above_the_last_stream_were_not_processed() {
    let mut raw = Raw::client(Config::client());
    let calls = [raw.open(None), raw.open(None), raw.open(None)];
    raw.frames();
    raw.send(&[Frame::goaway(3, 0, "")]);
    assert!(raw.end.draining);
    let closed = raw.end.closed(calls[2]);
    assert!(closed.unprocessed);
    assert_eq!(closed.status.code, Code::Unavailable);
    assert_eq!(closed.status.message, "Stream removed (GOAWAY received; Error code: 0; Debug Text: )");
    for (call, stream) in [(calls[0], 1), (calls[1], 3)] {
        assert!(raw.end.call(call).closed.is_none());
        raw.send(&[Frame::response(stream), Frame::message(stream, false, b"m"), Frame::trailers(stream, "0")]);
        assert!(raw.end.closed(call).completed);
    }
}

#[test]
fn the_last_stream_may_come_down_and_never_go_up() {
    let mut raw = Raw::client(Config::client());
    let calls = [raw.open(None), raw.open(None)];
    raw.frames();
    raw.send(&[Frame::goaway(0x7fff_ffff, 0, "")]);
    assert!(calls.iter().all(|call| raw.end.call(*call).closed.is_none()));
    raw.send(&[Frame::goaway(1, 0, "")]);
    assert!(raw.end.call(calls[0]).closed.is_none());
    assert!(raw.end.closed(calls[1]).unprocessed);
    raw.send(&[Frame::goaway(3, 0, "")]);
    assert!(raw.end.disconnected.is_some() || raw.end.call(calls[0]).closed.is_none());
}

#[test]
fn a_server_answers_pings_while_it_shuts_down() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[])]);
    raw.end.connection.shutdown(raw.now);
    let frames = raw.frames();
    let first = frames.iter().find(|frame| frame.kind == Frame::GOAWAY).unwrap();
    assert_eq!(u32::from_be_bytes(first.payload[..4].try_into().unwrap()), 0x7fff_ffff);
    let ping = frames.iter().find(|frame| frame.kind == Frame::PING).unwrap().clone();
    raw.send(&[Frame::ping([7; 8])]);
    assert_eq!(raw.frames(), [Frame::new(Frame::PING, Frame::ACK, 0, [7; 8])]);
    raw.send(&[Frame::new(Frame::PING, Frame::ACK, 0, ping.payload)]);
    let last = raw.frames_of(Frame::GOAWAY).remove(0);
    assert_eq!(u32::from_be_bytes(last.payload[..4].try_into().unwrap()), 1);
}

/// However the transport ends after it, the calls end with the reason that the server gave.
#[test]
fn the_reason_in_goaway_is_what_calls_end_with() {
    for (code, debug, expected) in [
        (11, "too_many_pings", "Stream removed (GOAWAY received; Error code: 11; Debug Text: too_many_pings)"),
        (0, "max_age", "Stream removed (GOAWAY received; Error code: 0; Debug Text: max_age)"),
        (2, "", "Stream removed (GOAWAY received; Error code: 2; Debug Text: )"),
        (0, "", "Stream removed (Broken pipe)"),
    ] {
        let mut raw = Raw::client(Config::client());
        let call = raw.open(None);
        raw.send(&[Frame::goaway(1, code, debug)]);
        raw.end.connection.handle_transport_closed("Broken pipe", raw.now);
        raw.end.drain();
        assert_eq!(raw.end.closed(call).status, Status::new(Code::Unavailable, expected));
    }
    // The last GOAWAY of several need not say it again.
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.send(&[Frame::goaway(u32::MAX >> 1, 0, "max_age"), Frame::goaway(1, 0, "")]);
    raw.send_end_of_file();
    let expected = "Stream removed (GOAWAY received; Error code: 0; Debug Text: max_age)";
    assert_eq!(raw.end.closed(call).status.message, expected);
}

#[test]
fn every_goaway_of_a_server_that_is_too_old_says_so() {
    let mut raw = Raw::server(Config { max_connection_age: Some(Duration::from_secs(10)), ..Config::server() });
    raw.send(&[Frame::request(1, true, &[])]);
    raw.sleep(Duration::from_secs(12));
    let frames = raw.frames();
    let ping = frames.iter().find(|frame| frame.kind == Frame::PING).unwrap();
    raw.send(&[Frame::new(Frame::PING, Frame::ACK, 0, ping.payload.clone())]);
    let goaways: Vec<_> = frames.into_iter().chain(raw.frames()).filter(|frame| frame.kind == Frame::GOAWAY).collect();
    let reasons: Vec<_> = goaways.iter().map(|frame| String::from_utf8_lossy(&frame.payload[8..])).collect();
    assert_eq!(reasons, ["max_age", "max_age"]);
}

/// A transport that still carries the last words is not closed at once; one that is gone is.
#[test]
fn who_says_goodbye_reads_on_for_a_moment() {
    let linger = Config::server().limits.linger;
    let mut raw = Raw::server(Config::server());
    assert_eq!(raw.end.connection.farewell(raw.now), None, "while it lives");
    raw.send(&[Frame::data(1, false, [])]);
    let farewell = raw.end.connection.farewell(raw.now).expect("the client may still be sending");
    assert_eq!(farewell.until(), raw.now + linger);
    raw.end.connection.handle_transport_closed("Broken pipe", raw.now);

    let ended = |config: Config, end: fn(&mut Raw)| {
        let mut raw =
            if config.role == farcall_engine::Role::Server { Raw::server(config) } else { Raw::client(config) };
        end(&mut raw);
        raw.collect();
        assert!(raw.end.disconnected.is_some());
        raw.end.connection.farewell(raw.now).is_some()
    };
    let close = |raw: &mut Raw| {
        raw.end.connection.close(ErrorCode::NO_ERROR, "", &Status::from(Code::Cancelled), raw.now);
    };
    let breach = |raw: &mut Raw| raw.send(&[Frame::new(Frame::PING, 0, 1, [0; 8])]);
    assert!(ended(Config::server(), close));
    assert!(ended(Config::server(), |raw| raw.send_bytes(b"GET / HTTP/1.1\r\n\r\n")));
    assert!(!ended(Config::server(), |raw| raw.send_end_of_file()));
    assert!(ended(Config::client(), breach));
    assert!(!ended(Config::client(), close));
    let mut config = Config::server();
    config.limits.linger = Duration::ZERO;
    assert!(!ended(config, close));
}
