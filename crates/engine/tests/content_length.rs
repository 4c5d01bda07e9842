//! DATA that is not as long as `content-length` says is malformed (RFC 9113 8.1.1), and padding is none of it.

use farcall_core::{Code, Status};
use farcall_engine::Config;

use crate::support::{
    Frame, Raw,
    raw::{header_block, prefixed},
};

const PROTOCOL_ERROR: u32 = 1;

/// A message of three bytes, which is eight with its prefix, in one frame, in two, and in one that is padded.
fn ways(end_stream: bool) -> [Vec<Frame>; 3] {
    let payload = prefixed(b"abc");
    let padded = [&[4], &payload[..], &[0; 4]].concat();
    let flags = Frame::PADDED | if end_stream { Frame::END_STREAM } else { 0 };
    [
        vec![Frame::data(1, end_stream, payload.clone())],
        vec![Frame::data(1, false, &payload[..6]), Frame::data(1, end_stream, &payload[6..])],
        vec![Frame::new(Frame::DATA, flags, 1, padded)],
    ]
}

fn resets(raw: &mut Raw) -> Vec<u32> {
    assert_eq!(raw.end.disconnected, None);
    raw.frames_of(Frame::RST_STREAM).iter().map(Frame::code).collect()
}

#[test]
fn of_a_request() {
    for (length, resets_it) in [("8", false), ("7", true), ("9", true), ("0", true)] {
        for frames in ways(true) {
            let mut raw = Raw::server(Config::server());
            raw.send(&[Frame::request(1, false, &[("content-length", length)])]);
            raw.send(&frames);
            let expected = if resets_it { vec![PROTOCOL_ERROR] } else { vec![] };
            assert_eq!(resets(&mut raw), expected, "{length}: {frames:?}");
            let call = raw.end.request();
            assert_eq!(raw.end.call(call).half_closed, !resets_it, "{length}: {frames:?}");
        }
    }
}

#[test]
fn of_a_request_without_data() {
    for (length, expected) in [("0", vec![]), ("1", vec![PROTOCOL_ERROR])] {
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, true, &[("content-length", length)])]);
        assert_eq!(resets(&mut raw), expected, "{length}");
        // With DATA that is empty, and with trailers.
        for last in [Frame::data(1, true, []), Frame::headers(1, true, &[("x", "y")])] {
            let mut raw = Raw::server(Config::server());
            raw.send(&[Frame::request(1, false, &[("content-length", length)]), last]);
            assert_eq!(resets(&mut raw), expected, "{length}");
        }
    }
}

#[test]
fn of_a_response() {
    let cases = [
        ("8", Status::OK),
        ("7", Status::new(Code::Internal, "Stream removed (DATA beyond content-length)")),
        ("9", Status::new(Code::Internal, "Stream removed (less DATA than content-length)")),
    ];
    for (length, status) in cases {
        for mut frames in ways(false) {
            let mut raw = Raw::client(Config::client());
            let call = raw.open(None);
            raw.frames();
            let headers = [(":status", "200"), ("content-type", "application/grpc"), ("content-length", length)];
            frames.insert(0, Frame::headers(1, false, &headers));
            frames.push(Frame::trailers(1, "0"));
            raw.send(&frames);
            assert_eq!(raw.end.closed(call).status, status, "{length}: {frames:?}");
        }
    }
}

/// What is not gRPC's is not read: its length is nobody's business.
#[test]
fn of_a_response_that_is_not_grpc() {
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    let headers = [(":status", "503"), ("content-type", "text/plain"), ("content-length", "20")];
    let block = header_block(&headers);
    raw.send(&[
        Frame::new(Frame::HEADERS, Frame::END_HEADERS, 1, block),
        Frame::data(1, false, *b"short"),
        Frame::headers(1, true, &[("x", "y")]),
    ]);
    assert_eq!(raw.end.closed(call).status.code, Code::Unavailable);
}
