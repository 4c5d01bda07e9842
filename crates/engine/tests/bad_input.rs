//! Peers that speak something else, or speak badly: an error that names the fault, promptly, and nothing worse.

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{Config, ConnectionError, ErrorCode};

use crate::support::{
    Frame, Raw,
    raw::{PREFACE, header_block, prefixed},
};

fn misbehaved(raw: &Raw) -> Option<u32> {
    match &raw.end.disconnected {
        Some(ConnectionError::PeerMisbehaved(ErrorCode(code), _)) => Some(*code),
        _ => None,
    }
}

/// The code of the GOAWAY that a server answers these frames with, if it does.
fn fault(frames: &[Frame]) -> Option<u32> {
    let mut raw = Raw::server(Config::server());
    raw.send(frames);
    let goaway = raw.frames_of(Frame::GOAWAY).first().map(Frame::code);
    assert_eq!(goaway, misbehaved(&raw));
    goaway
}

/// The code of the RST_STREAM that a server answers these frames with, if it does; the connection has to live.
fn reset(frames: &[Frame]) -> Option<u32> {
    let mut raw = Raw::server(Config::server());
    raw.send(frames);
    assert_eq!(raw.end.disconnected, None);
    raw.frames_of(Frame::RST_STREAM).first().map(Frame::code)
}

#[test]
fn http_1_to_a_server() {
    for text in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /s.S/M HTTP/1.0\r\n\r\n", "PUT", "PRI * HTTP/1.1\r\n\r\n"] {
        let mut raw = Raw::new(Config::server());
        raw.send_bytes(text.as_bytes());
        raw.send_end_of_file();
        let error = raw.end.disconnected.as_ref().expect("the connection is over");
        assert!(!error.to_string().is_empty(), "{text}");
    }
    let mut raw = Raw::new(Config::server());
    raw.send_bytes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(matches!(raw.end.disconnected, Some(ConnectionError::PeerIncompatible(_))));
}

#[test]
fn a_client_of_http_1_is_answered_in_http_1() {
    for text in ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "POST /s.S/M HTTP/1.0\r\n\r\n", "OPTIONS * HTTP/1.1\r\n"] {
        for cut in 1..4 {
            let mut raw = Raw::new(Config::server());
            assert_eq!(raw.bytes(), b"", "SETTINGS would be noise to it");
            raw.send_bytes(&text.as_bytes()[..cut]);
            raw.send_bytes(&text.as_bytes()[cut..]);
            let answer = String::from_utf8(raw.bytes()).expect("nothing but text");
            let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
            assert!(head.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{head}");
            assert!(head.contains("Connection: close"), "{head}");
            assert_eq!(body.lines().count(), 1, "{body}");
            assert!(body.contains("gRPC") && body.contains("HTTP/2"), "{body}");
        }
    }
}

#[test]
fn what_is_neither_http_1_nor_the_preface_is_answered_in_http_2() {
    for text in ["INVALID CONNECTION PREFACE\r\n\r\n", "GETTING / HTTP/1.1\r\n\r\n", "PRI * HTTP/1.1\r\n\r\n"] {
        let mut raw = Raw::new(Config::server());
        raw.send_bytes(text.as_bytes());
        let frames = raw.frames();
        assert_eq!(frames.last().map(|frame| frame.kind), Some(Frame::GOAWAY), "{text}");
    }
}

#[test]
fn a_server_speaks_once_it_has_heard_the_preface() {
    let mut raw = Raw::new(Config::server());
    let (last, begin) = PREFACE.split_last().unwrap();
    for byte in begin {
        raw.send_bytes(&[*byte]);
        assert_eq!(raw.bytes(), b"");
    }
    raw.send_bytes(&[*last]);
    assert_eq!(raw.frames().first().map(|frame| frame.kind), Some(Frame::SETTINGS));
}

#[test]
fn a_client_that_says_nothing_hears_at_the_end_why() {
    let config = Config::server();
    let timeout = config.limits.settings_timeout;
    let mut raw = Raw::new(config);
    raw.sleep(timeout);
    let frames: Vec<u8> = raw.frames().iter().map(|frame| frame.kind).collect();
    assert_eq!(frames.first(), Some(&Frame::SETTINGS));
    assert_eq!(frames.last(), Some(&Frame::GOAWAY));
}

#[test]
fn http_1_to_a_client() {
    let mut raw = Raw::new(Config::client());
    let call = raw.open(None);
    raw.collect();
    raw.send_bytes(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert!(matches!(raw.end.disconnected, Some(ConnectionError::PeerIncompatible(_))), "{:?}", raw.end.disconnected);
    assert_eq!(raw.end.closed(call).status.code, Code::Unavailable);
}

#[test]
fn garbage_ends_the_connection_whatever_its_length() {
    for role in [Config::client, Config::server] {
        for len in [9, 24, 100, 10_000, 1 << 20] {
            let mut raw = Raw::new(role());
            let garbage: Vec<u8> = (0..len).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            raw.send_bytes(&garbage);
            raw.send_end_of_file();
            assert!(raw.end.disconnected.is_some(), "{len} bytes");
        }
    }
}

#[test]
fn a_wrong_preface_is_refused_at_its_first_wrong_byte() {
    for wrong in 0..PREFACE.len() {
        let mut raw = Raw::new(Config::server());
        let mut preface = PREFACE.to_vec();
        preface[wrong] ^= 1;
        raw.send_bytes(&preface[..=wrong]);
        assert!(raw.end.disconnected.is_some(), "byte {wrong}");
    }
}

#[test]
fn a_preface_may_come_byte_by_byte() {
    let mut raw = Raw::new(Config::server());
    for byte in [PREFACE, &Frame::settings(&[]).encode()].concat() {
        assert!(!raw.end.ready);
        raw.send_bytes(&[byte]);
    }
    assert!(raw.end.ready);
}

#[test]
fn the_first_frame_must_be_settings() {
    for frame in [Frame::ping([0; 8]), Frame::settings_ack(), Frame::window_update(0, 1), Frame::request(1, true, &[])]
    {
        let mut raw = Raw::new(Config::server());
        raw.send_bytes(PREFACE);
        raw.send(std::slice::from_ref(&frame));
        assert!(raw.end.disconnected.is_some(), "{frame:?}");
    }
}

#[test]
fn the_end_of_the_transport_within_a_frame_ends_the_calls() {
    let whole = [Frame::request(1, false, &[]).encode(), Frame::message(1, false, b"message").encode()].concat();
    for len in 0..=whole.len() {
        let mut raw = Raw::server(Config::server());
        raw.send_bytes(&whole[..len]);
        raw.send_end_of_file();
        assert!(matches!(raw.end.disconnected, Some(ConnectionError::TransportClosed(_))), "{len}");
        assert!(raw.end.seen.values().all(|seen| seen.closed.is_some()));
    }
}

#[test]
fn a_frame_may_be_as_long_as_announced_and_no_longer() {
    let mut config = Config::server();
    config.limits.max_frame_size = 20_000;
    for (len, code) in [(20_000, None), (20_001, Some(6))] {
        let mut raw = Raw::server(config.clone());
        raw.send(&[Frame::request(1, false, &[])]);
        let mut data = prefixed(&vec![0; 30_000]);
        data.truncate(len);
        raw.send(&[Frame::data(1, false, data)]);
        assert_eq!(misbehaved(&raw), code, "{len} bytes");
    }
    // The length alone is enough: the payload is not waited for.
    let mut raw = Raw::server(config);
    raw.send_bytes(&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]);
    assert_eq!(misbehaved(&raw), Some(6));
}

#[test]
fn frames_of_a_wrong_length() {
    for (kind, stream, len) in [
        (Frame::PRIORITY, 1, 4),
        (Frame::RST_STREAM, 1, 3),
        (Frame::RST_STREAM, 1, 5),
        (Frame::SETTINGS, 0, 5),
        (Frame::PING, 0, 7),
        (Frame::PING, 0, 9),
        (Frame::GOAWAY, 0, 7),
        (Frame::WINDOW_UPDATE, 0, 3),
        (Frame::WINDOW_UPDATE, 1, 5),
    ] {
        let frame = Frame::new(kind, 0, stream, vec![1; len]);
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, false, &[]), frame.clone()]);
        let codes: Vec<_> = raw.frames().iter().filter(|f| matches!(f.kind, 3 | 7)).map(Frame::code).collect();
        assert_eq!(codes, [6], "{frame:?}");
    }
    assert_eq!(fault(&[Frame::new(Frame::SETTINGS, Frame::ACK, 0, [0; 6])]), Some(6));
}

#[test]
fn frames_on_a_wrong_stream() {
    for frame in [
        Frame::data(0, false, []),
        Frame::request(0, true, &[]),
        Frame::request(2, true, &[]),
        Frame::reset(0, 8),
        Frame::reset(1, 8),
        Frame::data(1, false, []),
        Frame::window_update(1, 1),
        Frame::new(Frame::SETTINGS, 0, 1, []),
        Frame::new(Frame::PING, 0, 1, [0; 8]),
        Frame::new(Frame::GOAWAY, 0, 1, [0; 8]),
        Frame::new(Frame::CONTINUATION, Frame::END_HEADERS, 1, []),
        Frame::new(Frame::PUSH_PROMISE, Frame::END_HEADERS, 1, [0, 0, 0, 2]),
    ] {
        assert_eq!(fault(std::slice::from_ref(&frame)), Some(1), "{frame:?}");
    }
}

#[test]
fn a_client_refuses_pushes_and_calls() {
    for frame in [
        Frame::new(Frame::PUSH_PROMISE, Frame::END_HEADERS, 1, [0, 0, 0, 2]),
        Frame::response(2),
        Frame::response(3),
        Frame::data(3, false, []),
    ] {
        let mut raw = Raw::client(Config::client());
        raw.open(None);
        raw.frames();
        raw.send(std::slice::from_ref(&frame));
        assert_eq!(misbehaved(&raw), Some(1), "{frame:?}");
    }
}

#[test]
fn stream_ids_only_grow() {
    let first = Frame::request(5, true, &[]);
    assert!(fault(&[first.clone(), Frame::request(3, true, &[])]).is_some());
    assert_eq!(fault(&[first, Frame::request(7, true, &[])]), None);
}

#[test]
fn nothing_may_come_between_headers_and_their_continuation() {
    let whole = Frame::request(1, true, &[]);
    let (start, rest) = whole.payload.split_at(10);
    let headers = Frame::new(Frame::HEADERS, Frame::END_STREAM, 1, start);
    let continuation = Frame::new(Frame::CONTINUATION, Frame::END_HEADERS, 1, rest);
    assert_eq!(fault(&[headers.clone(), continuation.clone()]), None);
    for between in
        [Frame::ping([0; 8]), Frame::data(1, false, []), Frame::request(3, true, &[]), Frame::new(99, 0, 0, [])]
    {
        assert_eq!(fault(&[headers.clone(), between, continuation.clone()]), Some(1));
    }
    assert_eq!(fault(&[headers.clone(), Frame { stream: 3, ..continuation.clone() }]), Some(1));
    assert_eq!(fault(&[continuation]), Some(1));
}

#[test]
fn continuations_without_end_are_cut_off() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::new(Frame::HEADERS, 0, 1, [])]);
    for _ in 0..100_000 {
        raw.send(&[Frame::new(Frame::CONTINUATION, 0, 1, [])]);
        if raw.end.disconnected.is_some() {
            break;
        }
    }
    assert!(raw.end.disconnected.is_some(), "empty CONTINUATIONs");

    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::new(Frame::HEADERS, 0, 1, [])]);
    let block = header_block(&[("k", &"v".repeat(10_000))]);
    for sent in 1..10_000 {
        raw.send(&[Frame::new(Frame::CONTINUATION, 0, 1, block.clone())]);
        if raw.end.disconnected.is_some() {
            assert!(sent * block.len() <= Config::server().limits.header_block + block.len());
            break;
        }
    }
    assert!(raw.end.disconnected.is_some(), "long CONTINUATIONs");
}

#[test]
fn a_broken_header_block_ends_the_connection() {
    let frame = Frame::new(Frame::HEADERS, Frame::END_HEADERS, 1, [0xbe]);
    assert_eq!(fault(&[frame]), Some(9));
}

/// Whatever becomes of a header block, the decoder has to read it, for the next may refer to what it held.
#[test]
fn a_header_block_that_nobody_wants_is_read_all_the_same() {
    let with_entry = |frame: Frame| {
        // The literal `k: v`, to be indexed.
        let payload = [&frame.payload[..], &[0x40, 1, b'k', 1, b'v']].concat();
        Frame { payload, ..frame }
    };
    let big = "v".repeat(17 << 10);
    let mut config = Config::server();
    config.limits.max_concurrent_streams = Some(2);
    for (what, before, unwanted) in [
        ("after END_STREAM", vec![Frame::request(1, true, &[])], Frame::headers(1, true, &[])),
        ("after RST_STREAM", vec![Frame::request(1, false, &[]), Frame::reset(1, 8)], Frame::headers(1, true, &[])),
        (
            "of a request too many",
            vec![Frame::request(1, false, &[]), Frame::request(3, false, &[])],
            Frame::request(5, true, &[]),
        ),
        ("of a malformed request", vec![], Frame::headers(1, true, &[("no", "path")])),
        ("of a request too large", vec![], Frame::request(1, true, &[("big", &big)])),
        ("of trailers without END_STREAM", vec![Frame::request(1, false, &[])], Frame::headers(1, false, &[])),
    ] {
        let mut raw = Raw::server(config.clone());
        raw.send(&before);
        while raw.end.poll_request().is_some() {}
        raw.send(&[with_entry(unwanted)]);
        assert!(raw.end.poll_request().is_none(), "{what}");
        let open = before.iter().filter(|frame| frame.kind == Frame::HEADERS);
        raw.send(&open.map(|frame| Frame::reset(frame.stream, 8)).collect::<Vec<_>>());
        let mut good = Frame::request(7, true, &[]);
        good.payload.push(0xbe);
        raw.send(&[good]);
        assert!(raw.end.disconnected.is_none(), "{what}: {:?}", raw.end.disconnected);
        let call = raw.end.request();
        let head = raw.end.call(call).head.as_ref().unwrap();
        assert_eq!(head.metadata.first("k"), Some(&b"v"[..]), "{what}");
    }
}

#[test]
fn a_response_that_nobody_wants_is_read_all_the_same() {
    let response = |stream: u32, more: &[u8]| {
        let mut frame = Frame::response(stream);
        frame.payload.extend_from_slice(more);
        frame
    };
    for (what, reset) in [("after the server's RST_STREAM", true), ("after the client's", false)] {
        let mut raw = Raw::client(Config::client());
        let unwanted = raw.open(None);
        let wanted = raw.open(None);
        raw.frames();
        match reset {
            true => raw.send(&[Frame::reset(1, 2)]),
            false => raw.end.connection.cancel(unwanted, Status::from(Code::Cancelled)),
        }
        raw.frames();
        raw.send(&[response(1, &[0x40, 1, b'k', 1, b'v']), response(3, &[0xbe])]);
        assert!(raw.end.disconnected.is_none(), "{what}: {:?}", raw.end.disconnected);
        let headers = raw.end.call(wanted).headers.as_ref().unwrap();
        assert_eq!(headers.first("k"), Some(&b"v"[..]), "{what}");
    }
}

/// Frames that make a call ready to send find one that waits for the end of its request.
#[test]
fn a_request_of_plain_http_that_is_not_over_has_nothing_to_send() {
    let request = Frame::headers(1, false, &[(":method", "GET"), (":scheme", "http"), (":path", "/")]);
    let mut raw = Raw::server(Config::server());
    raw.send(&[request, Frame::window_update(1, 10), Frame::settings(&[(4, 100_000)]), Frame::window_update(0, 10)]);
    assert_eq!(raw.frames(), [Frame::settings_ack()]);
    raw.send(&[Frame::data(1, true, [])]);
    let frames = raw.frames();
    assert_eq!(frames.first().map(|frame| frame.kind), Some(Frame::HEADERS));
    assert!(frames.last().is_some_and(|frame| frame.flags & Frame::END_STREAM != 0));
    assert_eq!(raw.end.connection.calls(), 0);
}

/// RST_STREAM may not be sent for a stream that was never opened.
#[test]
fn a_fault_of_a_stream_that_is_not_there_is_one_of_the_connection() {
    assert_eq!(fault(&[Frame::window_update(1, 0)]), Some(1));
    assert_eq!(fault(&[Frame::new(Frame::PRIORITY, 0, 1, [0; 4])]), Some(6));
}

/// Its header block would go unread, so it is the end of the connection and not of the stream.
#[test]
fn a_stream_that_depends_on_itself() {
    let request = Frame::request(1, true, &[]);
    let payload = [&[0, 0, 0, 1, 16][..], &request.payload].concat();
    let frame = Frame { flags: request.flags | 0x20, payload, ..request };
    assert_eq!(fault(&[frame]), Some(1));
}

#[test]
fn unknown_frames_flags_and_settings_are_ignored() {
    assert_eq!(
        fault(&[
            Frame::new(0x42, 0xff, 0, b"?".repeat(100)),
            Frame::new(0xfe, 0, 7, []),
            Frame::settings(&[(0xff, 1), (0xfe03, 1), (0, 0)]),
            Frame::new(Frame::PING, 0xfe, 0, [0; 8]),
            Frame::new(Frame::PRIORITY, 0, 9, [0, 0, 0, 1, 16]),
            Frame::request(1, true, &[]),
        ]),
        None
    );
}

#[test]
fn settings_out_of_range() {
    for (setting, code) in [((2, 2), 1), ((4, 1 << 31), 3), ((5, 16_383), 1), ((5, 1 << 24), 1)] {
        assert_eq!(fault(&[Frame::settings(&[setting])]), Some(code), "{setting:?}");
    }
    assert_eq!(fault(&[Frame::settings(&[(4, (1 << 31) - 1), (5, (1 << 24) - 1), (5, 16_384)])]), None);
}

/// Whoever connects again at once after a connection that was ready would never rest.
#[test]
fn a_peer_whose_first_settings_are_unsound_was_never_ready() {
    for (config, preface) in [(Config::client(), &[][..]), (Config::server(), PREFACE)] {
        for setting in [(2, 2), (4, 1 << 31), (5, 16_383)] {
            let mut raw = Raw::new(config.clone());
            raw.send_bytes(preface);
            raw.send(&[Frame::settings(&[(3, 100), setting])]);
            assert!(misbehaved(&raw).is_some() && !raw.end.ready, "{setting:?}");
        }
    }
}

#[test]
fn settings_and_pings_are_answered() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::settings(&[(3, 100)]), Frame::ping(*b"12345678")]);
    let frames = raw.frames();
    assert_eq!(frames, [Frame::settings_ack(), Frame::new(Frame::PING, Frame::ACK, 0, *b"12345678")]);
}

/// A peer that asks and never reads the answers must not fill this side's memory.
#[test]
fn floods_of_what_must_be_answered_are_cut_off() {
    for frame in [Frame::ping([0; 8]), Frame::settings(&[]), Frame::settings(&[(4, 1)])] {
        let mut raw = Raw::server(Config::server());
        let flood: Vec<u8> = frame.encode().repeat(1000);
        for _ in 0..1000 {
            let buffer = raw.end.connection.receive_buffer();
            let len = buffer.len().min(flood.len());
            // Whole frames, and the answers are not read.
            let len = len - len % frame.encode().len();
            buffer[..len].copy_from_slice(&flood[..len]);
            raw.end.connection.handle_received(len, raw.now);
            raw.end.drain();
            if raw.end.disconnected.is_some() {
                break;
            }
        }
        assert!(raw.end.disconnected.is_some(), "a million of {frame:?}");
    }
}

#[test]
fn rapid_resets_are_cut_off() {
    let mut raw = Raw::server(Config::server());
    for stream in (1..200_000).step_by(2) {
        raw.send(&[Frame::request(stream, false, &[]), Frame::reset(stream, 8)]);
        if raw.end.disconnected.is_some() {
            break;
        }
    }
    assert_eq!(misbehaved(&raw), Some(11));
}

#[test]
fn frames_that_carry_nothing_are_cut_off() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[])]);
    for _ in 0..200_000 {
        raw.send(&[Frame::data(1, false, [])]);
        if raw.end.disconnected.is_some() {
            break;
        }
    }
    assert_eq!(misbehaved(&raw), Some(11));
}

#[test]
fn padding_longer_than_its_frame() {
    let frame = Frame::new(Frame::DATA, Frame::PADDED, 1, [5, 0, 0, 0, 0]);
    assert_eq!(fault(&[Frame::request(1, false, &[]), frame]), Some(1));
    let frame = Frame::new(Frame::DATA, Frame::PADDED, 1, []);
    assert!(fault(&[Frame::request(1, false, &[]), frame]).is_some());
    let mut payload = vec![3];
    payload.extend(prefixed(b"padded"));
    payload.extend([0; 3]);
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[]), Frame::new(Frame::DATA, Frame::PADDED, 1, payload)]);
    let call = raw.end.request();
    assert_eq!(raw.end.messages(call), [&b"padded"[..]]);
}

#[test]
fn malformed_requests_are_reset() {
    let block = |fields: &[(&str, &str)]| Frame::headers(1, true, fields);
    let (method, scheme, path) = ((":method", "POST"), (":scheme", "http"), (":path", "/s.S/M"));
    let (authority, kind, te) = ((":authority", "a"), ("content-type", "application/grpc"), ("te", "trailers"));
    for frame in [
        block(&[scheme, path, authority, kind, te]),
        block(&[method, path, authority, kind, te]),
        block(&[method, scheme, authority, kind, te]),
        block(&[method, method, scheme, path, authority, kind, te]),
        block(&[method, scheme, path, authority, kind, te, (":path", "/late")]),
        block(&[method, scheme, path, authority, (":other", "x"), kind, te]),
        block(&[method, scheme, path, authority, (":status", "200"), kind, te]),
        block(&[method, scheme, path, authority, kind, te, ("Upper", "x")]),
        block(&[method, scheme, path, authority, kind, te, ("", "x")]),
        block(&[method, scheme, path, authority, kind, te, ("connection", "close")]),
        block(&[method, scheme, path, authority, kind, te, ("new\nline", "x")]),
        block(&[method, scheme, path, authority, kind, te, ("newline", "x\ny")]),
    ] {
        assert!(reset(std::slice::from_ref(&frame)).is_some(), "{frame:?}");
    }
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    let mut config = Config::server();
    config.limits.max_receive_message_length = Some(1000);
    let mut raw = Raw::server(config);
    raw.send(&[Frame::request(1, false, &[]), Frame::message(1, false, &[7; 1000])]);
    let call = raw.end.request();
    assert_eq!(raw.end.messages(call), [&[7; 1000][..]]);
    // The prefix alone is enough.
    raw.send(&[Frame::data(1, false, &prefixed(&[7; 1001])[..5])]);
    let closed = raw.end.closed(call);
    assert_eq!(
        closed.status,
        Status::new(Code::ResourceExhausted, "SERVER: Received message larger than max (1001 vs. 1000)")
    );
    assert!(raw.end.disconnected.is_none());
    assert_eq!(raw.end.struck, [("max_receive_message_length", 1)].into());

    let mut config = Config::client();
    config.limits.max_receive_message_length = Some(1000);
    let mut raw = Raw::client(config);
    let call = raw.open(None);
    raw.frames();
    raw.send(&[Frame::response(1), Frame::message(1, false, &[7; 1001])]);
    let text = "CLIENT: Received message larger than max (1001 vs. 1000)";
    assert_eq!(raw.end.closed(call).status, Status::new(Code::ResourceExhausted, text));
    assert_eq!(raw.end.struck, [("max_receive_message_length", 1)].into());
    assert!(raw.frames().iter().any(|frame| frame.kind == Frame::RST_STREAM));
}

#[test]
fn a_message_too_long_to_send_ends_the_call() {
    let mut config = Config::client();
    config.limits.max_send_message_length = Some(1000);
    let mut raw = Raw::client(config);
    let call = raw.open(None);
    raw.end.connection.send_message(call, &[0; 1000][..]).unwrap();
    raw.collect();
    assert!(raw.end.call(call).closed.is_none());
    let _ = raw.end.connection.send_message(call, &[0; 1001][..]);
    raw.collect();
    let text = "CLIENT: Sent message larger than max (1001 vs. 1000)";
    assert_eq!(raw.end.closed(call).status, Status::new(Code::ResourceExhausted, text));
}

#[test]
fn a_header_list_may_be_as_large_as_the_limit_and_no_larger() {
    let mut config = Config::server();
    config.limits.max_header_list_size = 1000;
    let base: usize =
        ":methodPOST:schemehttp:path/s.S/M:authoritytest.examplecontent-typeapplication/grpctetrailers".len() + 6 * 32;
    for (over, refused) in [(0, false), (1, true)] {
        let mut raw = Raw::server(config.clone());
        let value = "v".repeat(1000 + over - base - 33);
        raw.send(&[Frame::request(1, false, &[("k", &value)]), Frame::request(3, false, &[])]);
        assert!(raw.end.disconnected.is_none());
        let open = raw.end.seen.values().filter(|seen| seen.closed.is_none()).count();
        assert_eq!(open, if refused { 1 } else { 2 }, "{over} bytes over");
    }
}

#[test]
fn response_headers_that_are_too_large_end_the_call() {
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    let value = "v".repeat(16 << 10);
    raw.send(&[Frame::headers(1, false, &[(":status", "200"), ("content-type", "application/grpc"), ("k", &value)])]);
    assert_eq!(raw.end.closed(call).status.code, Code::ResourceExhausted);
    assert!(raw.end.disconnected.is_none());
}

#[test]
fn a_response_that_is_not_grpc_tells_its_http_status() {
    for (status, code) in [("404", Code::Unimplemented), ("503", Code::Unavailable), ("200", Code::Unknown)] {
        let mut raw = Raw::client(Config::client());
        let call = raw.open(None);
        raw.frames();
        raw.send(&[
            Frame::headers(1, false, &[(":status", status), ("content-type", "text/html")]),
            Frame::data(1, true, "<h1>no</h1>"),
        ]);
        assert_eq!(raw.end.closed(call).status.code, code, "{status}");
    }
}

#[test]
fn grpc_statuses_that_are_odd() {
    for (text, code) in [("05", Code::NotFound), ("99", Code::Unknown), ("abc", Code::Internal), ("-1", Code::Internal)]
    {
        let mut raw = Raw::client(Config::client());
        let call = raw.open(None);
        raw.frames();
        raw.send(&[Frame::response(1), Frame::trailers(1, text)]);
        let closed_code = raw.end.closed(call).status.code;
        assert!(closed_code == code || text == "-1" && closed_code == Code::Unknown, "{text}: {closed_code}");
    }
}

#[test]
fn a_stream_that_ends_without_trailers() {
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    raw.send(&[Frame::response(1), Frame::data(1, true, [])]);
    let closed = raw.end.closed(call);
    assert_eq!(closed.status.code, Code::Unknown);
    assert_eq!(closed.status.message, "Stream removed (Data frame with END_STREAM flag received)");
}

#[test]
fn a_stream_that_ends_within_a_message() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[]), Frame::data(1, true, [0, 0, 0, 0, 9, 1, 2])]);
    let call = raw.end.request();
    assert!(raw.end.messages(call).is_empty());
    assert_eq!(raw.end.closed(call).status.code, Code::Internal);

    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    raw.send(&[Frame::response(1), Frame::data(1, false, [0, 0, 0, 0, 9, 1, 2]), Frame::trailers(1, "0")]);
    assert_eq!(raw.end.closed(call).status.code, Code::Internal);
}

#[test]
fn a_compressed_message_without_an_encoding() {
    for (flag, text) in [(1, Some("Compression bit set but no encoding configured")), (2, None), (255, None)] {
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, false, &[]), Frame::data(1, false, [flag, 0, 0, 0, 1, 0])]);
        let call = raw.end.request();
        let closed = raw.end.closed(call);
        assert_eq!(closed.status.code, Code::Internal);
        assert!(text.is_none_or(|text| closed.status.message.contains(text)), "{closed:?}");
        assert!(raw.end.disconnected.is_none());
    }
}

#[test]
fn an_unknown_encoding_is_unimplemented() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[("grpc-encoding", "snappy")]), Frame::request(3, false, &[])]);
    let frames = raw.frames();
    assert!(frames.iter().any(|f| f.stream == 1 && matches!(f.kind, Frame::HEADERS | Frame::RST_STREAM)), "{frames:?}");
    assert_eq!(raw.end.seen.values().filter(|seen| seen.closed.is_none()).count(), 1);

    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    let fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "snappy")];
    raw.send(&[Frame::headers(1, false, &fields), Frame::data(1, false, [1, 0, 0, 0, 1, 0])]);
    assert_eq!(raw.end.closed(call).status.code, Code::Internal);
}

#[test]
fn illegal_base64_in_a_binary_header() {
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    raw.send(&[Frame::headers(
        1,
        false,
        &[(":status", "200"), ("content-type", "application/grpc"), ("x-bin", "!!!")],
    )]);
    let closed = raw.end.closed(call);
    assert_eq!(closed.status.code, Code::Internal);
    assert!(closed.status.message.contains("Error parsing 'x-bin' metadata: illegal base64 encoding"), "{closed:?}");
}

#[test]
fn the_server_goes_on_after_a_bad_call() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[
        Frame::headers(1, false, &[("no", "pseudo-headers")]),
        Frame::request(3, false, &[]),
        Frame::data(3, false, [9; 10]),
        Frame::request(5, false, &[]),
        Frame::message(5, true, b"good"),
    ]);
    let mut calls: Vec<_> = std::iter::from_fn(|| raw.end.poll_request()).collect();
    let good = calls.pop().unwrap();
    assert_eq!(raw.end.messages(good), [&b"good"[..]]);
    raw.end.connection.respond(good, &Status::OK, &Metadata::new()).unwrap();
    raw.collect();
    assert!(raw.end.closed(good).completed);
}
