//! PINGs that ask whether the peer is there, and clients that ask too often.

use std::time::Duration;

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{Config, ConnectionError, ErrorCode};

use crate::support::{Frame, Pair, Raw};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

fn client(change: impl FnOnce(&mut Config)) -> Raw {
    let mut config = Config { keepalive_time: Some(30 * SECOND), ..Config::client() };
    change(&mut config);
    Raw::client(config)
}

/// PINGs of this side, acknowledgements left out.
fn pings(raw: &mut Raw) -> usize {
    raw.frames_of(Frame::PING).iter().filter(|frame| frame.flags & Frame::ACK == 0).count()
}

fn ack(raw: &mut Raw) {
    raw.send(&[Frame::new(Frame::PING, Frame::ACK, 0, *b"farcall?")]);
}

#[test]
fn a_silent_peer_is_asked_and_given_up() {
    let mut raw = client(|_| {});
    let call = raw.open(None);
    raw.sleep(30 * SECOND - MILLI);
    assert_eq!(pings(&mut raw), 0);
    raw.sleep(MILLI);
    assert_eq!(pings(&mut raw), 1);
    raw.sleep(20 * SECOND - MILLI);
    assert!(raw.end.disconnected.is_none());
    raw.sleep(MILLI);
    assert_eq!(raw.end.disconnected, Some(ConnectionError::TimedOut("keepalive watchdog timeout")));
    let closed = raw.end.closed(call);
    assert_eq!(closed.status, Status::new(Code::Unavailable, "Stream removed (keepalive watchdog timeout)"));
    assert!(!closed.unprocessed && !closed.completed);
}

#[test]
fn a_peer_that_answers_is_asked_again_after_the_same_time() {
    for timeout in [5 * SECOND, 300 * SECOND] {
        let mut raw = client(|config| config.keepalive_timeout = timeout);
        raw.open(None);
        raw.sleep(30 * SECOND);
        assert_eq!(pings(&mut raw), 1);
        raw.sleep(SECOND);
        ack(&mut raw);
        raw.sleep(30 * SECOND - MILLI);
        assert_eq!(pings(&mut raw), 0, "{timeout:?}");
        raw.sleep(MILLI);
        assert_eq!(pings(&mut raw), 1, "{timeout:?}");
    }
}

#[test]
fn anything_that_comes_is_a_sign_of_life() {
    let mut raw = client(|_| {});
    raw.open(None);
    for _ in 0..10 {
        raw.sleep(29 * SECOND);
        raw.send(&[Frame::window_update(0, 1)]);
    }
    assert_eq!(pings(&mut raw), 0);
    raw.sleep(30 * SECOND);
    assert_eq!(pings(&mut raw), 1);
    raw.sleep(19 * SECOND);
    raw.send(&[Frame::window_update(0, 1)]);
    raw.sleep(29 * SECOND);
    assert!(raw.end.disconnected.is_none());
}

#[test]
fn nobody_is_asked_without_calls_unless_that_is_wanted() {
    let mut raw = client(|_| {});
    raw.sleep(3600 * SECOND);
    assert_eq!(pings(&mut raw), 0);
    assert_eq!(raw.end.next_timeout(), None);
    // The first call finds out at once whether the connection still lives.
    raw.open(None);
    raw.sleep(Duration::ZERO);
    assert_eq!(pings(&mut raw), 1);

    let mut raw = client(|config| config.keepalive_without_calls = true);
    raw.sleep(30 * SECOND);
    assert_eq!(pings(&mut raw), 1);
    raw.sleep(20 * SECOND);
    assert!(raw.end.disconnected.is_some());
}

#[test]
fn a_client_asks_nobody_by_default_and_a_server_every_two_hours() {
    let mut raw = Raw::client(Config::client());
    raw.open(None);
    raw.sleep(100 * 3600 * SECOND);
    assert_eq!(pings(&mut raw), 0);

    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[])]);
    raw.sleep(2 * 3600 * SECOND - MILLI);
    assert_eq!(pings(&mut raw), 0);
    raw.sleep(MILLI);
    assert_eq!(pings(&mut raw), 1);
    raw.sleep(20 * SECOND);
    assert!(raw.end.disconnected.is_some());
}

#[test]
fn pings_without_data_become_rare() {
    let mut raw = client(|config| config.keepalive_time = Some(10 * SECOND));
    let call = raw.open(None);
    raw.frames();
    for wait in [10, 10, 60, 60] {
        raw.sleep(wait * SECOND - MILLI);
        assert_eq!(pings(&mut raw), 0, "{wait}");
        raw.sleep(MILLI);
        assert_eq!(pings(&mut raw), 1, "{wait}");
        ack(&mut raw);
    }
    raw.end.connection.send_message(call, &b"data"[..]).unwrap();
    raw.frames();
    raw.sleep(60 * SECOND);
    ack(&mut raw);
    pings(&mut raw);
    raw.sleep(10 * SECOND);
    assert_eq!(pings(&mut raw), 1);
}

#[test]
fn times_that_do_not_fit_are_never() {
    let mut raw = client(|config| {
        (config.keepalive_time, config.keepalive_timeout) = (Some(Duration::MAX), Duration::MAX);
        config.limits.settings_timeout = Duration::MAX;
    });
    raw.open(None);
    raw.sleep(3 * SECOND);
    assert_eq!(raw.end.next_timeout(), None);
    let mut raw = client(|config| config.keepalive_timeout = Duration::MAX);
    raw.open(None);
    raw.sleep(30 * SECOND);
    assert_eq!((pings(&mut raw), raw.end.next_timeout()), (1, None));
}

/// A server with a call, or without one.
fn server(with_call: bool, change: impl FnOnce(&mut Config)) -> Raw {
    let mut config = Config::server();
    change(&mut config);
    let mut raw = Raw::server(config);
    if with_call {
        raw.send(&[Frame::request(1, false, &[])]);
    }
    raw
}

/// Sends PINGs at these distances; says whether the server had enough at the last one, and not before.
fn had_enough(raw: &mut Raw, distances: &[Duration]) -> bool {
    for distance in distances {
        assert!(raw.end.disconnected.is_none());
        raw.sleep(*distance);
        raw.send(&[Frame::ping([1; 8])]);
    }
    let goaway = raw.frames_of(Frame::GOAWAY).pop();
    if let Some(goaway) = &goaway {
        assert_eq!((goaway.code(), &goaway.payload[8..]), (11, &b"too_many_pings"[..]));
    }
    goaway.is_some()
}

#[test]
fn strikes_at_the_limit_and_one_past() {
    const FIVE_MINUTES: Duration = Duration::from_secs(300);
    const TWO_HOURS: Duration = Duration::from_secs(7200);
    for (with_call, interval) in [(true, FIVE_MINUTES), (false, TWO_HOURS)] {
        // The first PING is free, two strikes are forgiven.
        let short = interval - MILLI;
        assert!(!had_enough(&mut server(with_call, |_| {}), &[SECOND, short, short]));
        assert!(had_enough(&mut server(with_call, |_| {}), &[SECOND, short, short, short]));
        // The server's own keepalive would see nothing come back.
        let patient = |config: &mut Config| config.keepalive_time = None;
        assert!(!had_enough(&mut server(with_call, patient), &[interval; 20]));
        assert!(!had_enough(&mut server(with_call, |config| config.limits.ping_strikes = 0), &[SECOND; 100]));
        assert!(!had_enough(&mut server(with_call, |config| config.limits.ping_strikes = 1), &[SECOND; 2]));
        assert!(had_enough(&mut server(with_call, |config| config.limits.ping_strikes = 1), &[SECOND; 3]));
    }
    let permitted = |config: &mut Config| config.keepalive_without_calls = true;
    assert!(!had_enough(&mut server(false, permitted), &[FIVE_MINUTES; 3]));
    assert!(had_enough(&mut server(false, permitted), &[FIVE_MINUTES - MILLI; 4]));
}

#[test]
fn data_sent_forgives_strikes() {
    let mut raw = server(true, |_| {});
    let call = raw.end.request();
    for _ in 0..10 {
        assert!(!had_enough(&mut raw, &[MILLI; 3]));
        raw.end.connection.send_message(call, &b"data"[..]).unwrap();
        raw.frames();
    }
    assert!(!had_enough(&mut raw, &[MILLI; 3]));
    raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    raw.frames();
    assert!(!had_enough(&mut raw, &[MILLI; 3]));
    assert!(had_enough(&mut raw, &[MILLI]));
}

#[test]
fn a_client_that_is_told_of_too_many_pings_is_to_ask_half_as_often() {
    let config = Config { keepalive_time: Some(30 * SECOND), max_pings_without_data: 0, ..Config::client() };
    let mut pair = Pair::with(config, Config::server());
    let (call, _) = pair.started("/s.S/M");
    assert_eq!(pair.client.connection.next_keepalive_time(), Some(30 * SECOND));
    pair.run_for(119 * SECOND);
    assert!(pair.client.disconnected.is_none());
    pair.run_for(SECOND);
    let expected = ConnectionError::GoneAway(ErrorCode::ENHANCE_YOUR_CALM, b"too_many_pings".to_vec());
    assert_eq!(pair.client.disconnected, Some(expected));
    assert_eq!(pair.client.closed(call).status.code, Code::Unavailable);
    assert_eq!(pair.client.connection.next_keepalive_time(), Some(60 * SECOND));
}

#[test]
fn another_goaway_changes_no_keepalive() {
    for (code, debug) in [(0, "too_many_pings"), (11, "calm")] {
        let mut raw = client(|_| {});
        raw.send(&[Frame::goaway(0, code, debug)]);
        assert_eq!(raw.end.connection.next_keepalive_time(), Some(30 * SECOND));
    }
}

/// Ten seconds, as a client may have it against a server of ours that permits no more than one in five minutes.
#[test]
fn a_quick_client_stays_welcome_while_data_flows() {
    let config = Config { keepalive_time: Some(10 * SECOND), ..Config::client() };
    let mut pair = Pair::with(config, Config::server());
    let (call, served) = pair.started("/s.S/M");
    for _ in 0..100 {
        pair.run_for(11 * SECOND);
        pair.server.connection.send_message(served, &b"tick"[..]).unwrap();
    }
    assert!(pair.client.disconnected.is_none());
    assert_eq!(pair.client.messages(call).len(), 99);
}
