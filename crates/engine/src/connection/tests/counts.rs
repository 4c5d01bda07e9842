//! What counts towards a limit. (The limits themselves, at the edge and one past it, are tried in `tests/limits.rs`.)

use farcall_core::{Metadata, Status};

use super::raw::Raw;
use crate::{Config, ErrorCode, Limits};

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
