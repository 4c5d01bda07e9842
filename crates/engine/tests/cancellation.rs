//! Calls that end before their time.

use bytes::Bytes;
use farcall_core::{Code, Metadata, Status};
use farcall_engine::Config;

use crate::support::{Frame, Pair, Raw, Weather, words};

fn cancelled() -> Status {
    Status::new(Code::Cancelled, "Locally cancelled by application!")
}

#[test]
fn the_client_cancels() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    pair.client.connection.cancel(call, cancelled());
    pair.run();
    let closed = pair.client.closed(call);
    assert_eq!(closed.status, cancelled());
    assert!(!closed.completed && !closed.unprocessed);
    assert_eq!(pair.server.closed(served).status.code, Code::Cancelled);
    assert_eq!((pair.client.connection.calls(), pair.server.connection.calls()), (0, 0));
}

#[test]
fn a_call_cancelled_before_it_left_ends_for_both() {
    let mut pair = Pair::calm();
    pair.run();
    let call = pair.open("/s.S/M");
    pair.client.connection.cancel(call, cancelled());
    pair.run();
    assert_eq!(pair.client.closed(call).status, cancelled());
    if let Some(served) = pair.server.poll_request() {
        assert_eq!(pair.server.closed(served).status.code, Code::Cancelled);
    }
    let (_, served) = pair.started("/s.S/N");
    assert_eq!(pair.server.call(served).head.as_ref().unwrap().path, "/s.S/N");
}

#[test]
fn cancelling_twice_or_after_the_end_changes_nothing() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    pair.client.connection.cancel(call, cancelled());
    pair.client.connection.cancel(call, Status::from(Code::Aborted));
    pair.run();
    pair.client.connection.cancel(call, Status::from(Code::Aborted));
    pair.server.connection.cancel(served, Status::from(Code::Aborted));
    pair.run();
    assert_eq!(pair.client.closed(call).status, cancelled());
}

#[test]
fn the_server_cancels() {
    for (code, reset, seen) in [
        (Code::Cancelled, 8, Code::Cancelled),
        (Code::Unavailable, 7, Code::Unavailable),
        (Code::ResourceExhausted, 11, Code::ResourceExhausted),
        (Code::Internal, 2, Code::Internal),
    ] {
        let mut pair = Pair::calm();
        let (call, served) = pair.started("/s.S/M");
        pair.server.connection.cancel(served, Status::new(code, "why"));
        pair.run();
        assert_eq!(words(pair.server.closed(served)), (code.name(), "why"));
        let closed = pair.client.closed(call);
        assert_eq!(closed.status.code, seen);
        let text = format!("Stream removed (RST_STREAM (Received RST_STREAM with error code {reset}))");
        assert_eq!(closed.status.message, text);
    }
}

#[test]
fn what_waits_to_be_sent_is_dropped_and_other_calls_go_on() {
    let mut server = Config::server();
    server.limits.stream_window = 1000;
    let mut pair = Pair::with(Config::client(), server);
    pair.server.release = false;
    let (stuck, _) = pair.started("/s.S/Stuck");
    pair.client.connection.send_message(stuck, Bytes::from(vec![0; 1 << 20])).unwrap();
    let (other, other_served) = pair.started("/s.S/Other");
    pair.client.connection.cancel(stuck, cancelled());
    pair.client.connection.send_message(other, &b"fine"[..]).unwrap();
    pair.run();
    assert_eq!(pair.server.messages(other_served), [&b"fine"[..]]);
}

#[test]
fn a_call_that_waits_for_a_stream_can_be_cancelled() {
    let mut server = Config::server();
    server.limits.max_concurrent_streams = Some(1);
    let mut pair = Pair::with(Config::client(), server);
    pair.run();
    let first = pair.open("/s.S/First");
    let second = pair.open("/s.S/Second");
    let third = pair.open("/s.S/Third");
    pair.run();
    pair.client.connection.cancel(second, cancelled());
    pair.client.connection.cancel(first, cancelled());
    pair.run();
    assert!(pair.client.closed(second).unprocessed);
    pair.server.request();
    let served = pair.server.request();
    assert_eq!(pair.server.call(served).head.as_ref().unwrap().path, "/s.S/Third");
    assert!(pair.client.call(third).closed.is_none());
}

/// The answer crosses the cancellation on the wire: each side keeps the end it came to.
#[test]
fn an_answer_and_a_cancellation_may_cross() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    pair.server.connection.send_message(served, &b"late"[..]).unwrap();
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.client.connection.cancel(call, cancelled());
    pair.run();
    assert_eq!(pair.client.closed(call).status, cancelled());
    assert!(pair.server.call(served).closed.is_some());
    let (_, served) = pair.started("/s.S/N");
    assert!(pair.server.call(served).closed.is_none());
}

#[test]
fn a_refused_stream_may_be_tried_again() {
    for (code, unprocessed) in [(7, true), (8, false), (2, false)] {
        let mut raw = Raw::client(Config::client());
        let call = raw.open(None);
        raw.frames();
        raw.send(&[Frame::reset(1, code)]);
        assert_eq!(raw.end.closed(call).unprocessed, unprocessed, "RST_STREAM {code}");
    }
}

#[test]
fn the_connection_is_lost() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    pair.break_wire();
    pair.run();
    let closed = pair.client.closed(call);
    assert_eq!(closed.status.code, Code::Unavailable);
    assert!(!closed.completed && !closed.unprocessed);
    assert!(!pair.server.closed(served).completed);
    assert!(pair.client.disconnected.is_some() && pair.server.disconnected.is_some());
    assert!(!pair.client.connection.accepts_calls());
}

#[test]
fn a_call_that_never_left_a_lost_connection_is_unprocessed() {
    let mut pair = Pair::calm();
    pair.run();
    pair.break_wire();
    let call = pair.open("/s.S/M");
    while pair.client.read(pair.now, &mut pair.rng) {}
    let closed = pair.client.closed(call);
    assert_eq!(closed.status.code, Code::Unavailable);
    assert!(closed.unprocessed);
}

/// Wherever the transport breaks, each call ends once at each end that knew of it, and the client has the answer or
/// `UNAVAILABLE`.
#[test]
fn the_connection_is_lost_at_any_byte() {
    let mut answered = 0;
    for (way, breaks_after) in (1..700).flat_map(|bytes| [(0, bytes), (1, bytes)]) {
        let mut weather = [Weather::CALM; 2];
        weather[way].breaks_after = Some(breaks_after);
        let mut pair = Pair::new(Config::client(), Config::server(), weather, fastrand::Rng::with_seed(0));
        let call = pair.open("/s.S/M");
        pair.client.connection.send_message(call, &[7; 200][..]).unwrap();
        pair.client.connection.half_close(call).unwrap();
        pair.run();
        while let Some(served) = pair.server.poll_request() {
            if pair.server.call(served).half_closed && pair.server.call(served).closed.is_none() {
                pair.server.connection.send_message(served, &[8; 200][..]).unwrap();
                pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
            }
        }
        pair.run();
        if pair.client.call(call).closed.is_none() {
            pair.break_wire();
            pair.run();
        }
        let closed = pair.client.closed(call);
        match closed.completed {
            true => {
                assert!(closed.status.is_ok());
                answered += 1;
            }
            false => assert_eq!(closed.status.code, Code::Unavailable, "way {way}, after {breaks_after} bytes"),
        }
        assert!(!closed.unprocessed || pair.server.seen.is_empty());
        assert!(pair.server.disconnected.is_none() || pair.server.seen.values().all(|seen| seen.closed.is_some()));
    }
    assert!((1..1398).contains(&answered), "{answered} calls were answered: some breaks are early and some late");
}

#[test]
fn verbs_after_the_end_of_the_connection_are_refused() {
    let mut pair = Pair::calm();
    let (call, _) = pair.started("/s.S/M");
    pair.break_wire();
    pair.run();
    assert!(pair.client.connection.send_message(call, &b"x"[..]).is_err());
    assert!(pair.client.connection.half_close(call).is_err());
    pair.client.connection.cancel(call, cancelled());
    pair.client.connection.release(call, 1);
    assert!(pair.open_with("/s.S/M", &Metadata::new(), None).is_err());
    assert_eq!(pair.client.connection.poll_event(), None);
    assert_eq!(pair.client.connection.poll_timeout(), None);
}

/// After this side reset a stream, frames that were on their way are no fault of the peer, and their bytes still count.
#[test]
fn frames_that_cross_a_reset_are_ignored_and_counted() {
    let mut config = Config::client();
    config.limits.connection_window = 65_535;
    let mut raw = Raw::client(config);
    let mut stream = 1;
    for _ in 0..20 {
        let call = raw.open(None);
        raw.frames();
        raw.end.connection.cancel(call, cancelled());
        raw.frames();
        raw.send(&[
            Frame::response(stream),
            Frame::message(stream, false, &[0; 10_000]),
            Frame::window_update(stream, 10),
            Frame::trailers(stream, "0"),
        ]);
        assert!(raw.end.disconnected.is_none(), "{:?}", raw.end.disconnected);
        stream += 2;
    }
}
