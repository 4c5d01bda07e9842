//! Each of the limits, at the limit and one past it. (Sizes of messages, header lists, frames and windows have theirs in
//! `tests/`, against the public face.)

use farcall_core::{Metadata, Status};

use super::raw::Raw;
use crate::{
    Config, ErrorCode, Limits,
    frame::{flag, kind},
};

fn server(set: impl FnOnce(&mut Limits)) -> Raw {
    let mut config = Config::server();
    set(&mut config.limits);
    Raw::new(config)
}

const CALM: Option<ErrorCode> = Some(ErrorCode::ENHANCE_YOUR_CALM);

#[test]
fn concurrent_streams_announced_or_not() {
    let announced: fn(&mut Limits) = |limits| limits.max_concurrent_streams = Some(2);
    let silent: fn(&mut Limits) = |limits| limits.unannounced_streams = 2;
    for set in [announced, silent] {
        let mut raw = server(set);
        raw.request(1, true);
        raw.request(3, true);
        assert_eq!(raw.written(), []);
        raw.request(5, true);
        assert_eq!(raw.was_reset(5), Some(ErrorCode::REFUSED_STREAM));
        assert_eq!(raw.requests().len(), 2);
        // One ends, and there is room for another.
        let first = raw.requests()[0];
        raw.connection.respond(first, &Status::OK, &Metadata::new()).unwrap();
        raw.written();
        raw.request(7, true);
        assert_eq!(raw.requests().len(), 3);
        assert_eq!(raw.connection.error(), None);
    }
}

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
fn length_of_a_header_block() {
    for (limit, good) in [(0, true), (1, false)] {
        let mut raw = server(|limits| limits.header_block = 1000);
        let mut block = raw.block(&super::raw::REQUEST);
        // A tilde is longer in Huffman's code, so the value goes as it is.
        let overhead = raw.block(&[("padding", &"~".repeat(500))]).len() - 500;
        let field = raw.block(&[("padding", &"~".repeat(1000 - block.len() - overhead + limit))]);
        block.extend_from_slice(&field);
        assert_eq!(block.len(), 1000 + limit);
        let (first, rest) = block.split_at(500);
        raw.frame(kind::HEADERS, 0, 1, first);
        raw.frame(kind::CONTINUATION, flag::END_HEADERS, 1, rest);
        assert_eq!(raw.requests().len(), usize::from(good));
        assert_eq!(raw.went_away(), if good { None } else { CALM });
    }
}

#[test]
fn length_of_frames_that_are_read_whole() {
    for (length, expected) in [(1000, None), (1001, CALM)] {
        let mut raw = server(|limits| limits.header_block = 1000);
        raw.frame(kind::GOAWAY, 0, 0, &vec![0; length]);
        assert_eq!(raw.went_away(), expected);
    }
}

#[test]
fn continuations_of_a_block() {
    for (count, expected) in [(3, None), (4, CALM)] {
        let mut raw = server(|limits| limits.continuations = 3);
        let block = raw.block(&super::raw::REQUEST);
        raw.frame(kind::HEADERS, 0, 1, &block);
        for i in 1..=count {
            raw.frame(kind::CONTINUATION, if i == count { flag::END_HEADERS } else { 0 }, 1, b"");
        }
        assert_eq!(raw.went_away(), expected);
    }
    // The count starts anew with each block.
    let mut raw = server(|limits| limits.continuations = 3);
    for stream in [1, 3] {
        let block = raw.block(&super::raw::REQUEST);
        raw.frame(kind::HEADERS, 0, stream, &block);
        for i in 1..=3 {
            raw.frame(kind::CONTINUATION, if i == 3 { flag::END_HEADERS } else { 0 }, stream, b"");
        }
    }
    assert_eq!(raw.requests().len(), 2);
}

#[test]
fn induced_frames_that_the_peer_does_not_read() {
    let mut raw = server(|limits| limits.induced_frames = 3);
    for _ in 0..3 {
        raw.frame(kind::PING, 0, 0, &[0; 8]);
    }
    // All of it is read, and the count starts anew.
    assert_eq!(raw.written().len(), 3);
    for _ in 0..3 {
        raw.frame(kind::SETTINGS, 0, 0, &[]);
    }
    assert_eq!(raw.connection.error(), None);
    raw.frame(kind::SETTINGS, 0, 0, &[]);
    assert_eq!(raw.went_away(), CALM);
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
fn streams_reset_by_the_client() {
    for (count, expected) in [(3, None), (4, CALM)] {
        let mut raw = server(|limits| limits.resets = 3);
        for i in 0..count {
            raw.request(2 * i + 1, false);
            raw.reset(2 * i + 1);
        }
        assert_eq!(raw.went_away(), expected);
    }
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
fn data_frames_without_data() {
    for (count, expected) in [(3, None), (4, CALM)] {
        let mut raw = server(|limits| limits.empty_frames = 3);
        raw.request(1, false);
        for _ in 0..count {
            raw.data(1, false, b"");
        }
        assert_eq!(raw.went_away(), expected);
    }
    // Padding is no data.
    let mut raw = server(|limits| limits.empty_frames = 3);
    raw.request(1, false);
    for _ in 0..4 {
        raw.frame(kind::DATA, flag::PADDED, 1, &[2, 0, 0]);
    }
    assert_eq!(raw.went_away(), CALM);
}
