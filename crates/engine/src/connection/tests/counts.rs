//! What counts towards a limit. (The limits themselves, at the edge and one past it, are tried in `tests/limits.rs`.)

use farcall_core::{Metadata, Status};

use super::raw::Raw;
use crate::{Config, ErrorCode, Limits, frame::kind};

fn server(set: impl FnOnce(&mut Limits)) -> Raw {
    let mut config = Config::server();
    set(&mut config.limits);
    Raw::new(config)
}

const CALM: Option<ErrorCode> = Some(ErrorCode::ENHANCE_YOUR_CALM);

#[test]
fn calls_answered_and_not_written_count_as_open() {
    let mut raw = server(|limits| limits.max_concurrent_streams = Some(2));
    for stream in [1, 3] {
        raw.request(stream, true);
        let call = *raw.requests().last().unwrap();
        raw.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    }
    raw.request(5, true);
    assert_eq!(raw.requests().len(), 2);
    assert_eq!(raw.was_reset(5), Some(ErrorCode::REFUSED_STREAM));
}

#[test]
fn refusals_and_resets_of_bad_requests_are_induced_frames() {
    let mut raw = server(|limits| {
        limits.induced_frames = 3;
        limits.max_concurrent_streams = Some(0);
    });
    for stream in [1, 3, 5] {
        raw.request(stream, true);
    }
    assert_eq!(raw.connection.error(), None);
    raw.request(7, true);
    assert_eq!(raw.went_away(), CALM);
}

#[test]
fn streams_the_client_makes_the_server_reset() {
    for (count, expected) in [(3, None), (4, CALM)] {
        let mut raw = server(|limits| limits.resets = 3);
        for i in 0..count {
            raw.request(2 * i + 1, false);
            raw.frame(kind::WINDOW_UPDATE, 0, 2 * i + 1, &[0; 4]);
        }
        assert_eq!(raw.went_away(), expected);
    }
}

#[test]
fn an_answered_call_gives_a_reset_back() {
    let mut raw = server(|limits| limits.resets = 1);
    for i in 0..10 {
        raw.request(4 * i + 1, false);
        raw.reset(4 * i + 1);
        raw.request(4 * i + 3, true);
        let call = *raw.requests().last().unwrap();
        raw.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    }
    assert_eq!(raw.connection.error(), None);
}

#[test]
fn windows_that_settings_move() {
    let mut raw = server(|limits| limits.window_shifts = 4);
    raw.request(1, false);
    raw.request(3, false);
    let window = |raw: &mut Raw, size: u8| raw.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, size]);
    window(&mut raw, 7);
    // Nothing changes, nothing moves.
    window(&mut raw, 7);
    window(&mut raw, 8);
    assert_eq!(raw.connection.error(), None);
    window(&mut raw, 9);
    assert_eq!(raw.went_away(), CALM);
}
