//! Messages that are compressed on their way.

use bytes::Bytes;
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallError, CallId, Config, Encoding, Encodings, Request};

use crate::support::{Frame, Pair, Raw, words};

const BOTH: [Encoding; 2] = [Encoding::Deflate, Encoding::Gzip];

/// "hello hello hello", by gzip's own program.
const HELLO: [u8; 28] =
    [31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 203, 72, 205, 201, 201, 87, 200, 64, 144, 0, 128, 136, 249, 229, 17, 0, 0, 0];

/// A message with the flag of a compressed one.
fn compressed(stream: u32, body: &[u8]) -> Frame {
    Frame::data(stream, false, [&[1][..], &(body.len() as u32).to_be_bytes(), body].concat())
}

fn open(pair: &mut Pair, encoding: Encoding) -> (CallId, CallId) {
    let metadata = Metadata::new();
    let request = Request { path: "/s.S/M", authority: "test.example", metadata: &metadata, deadline: None };
    let call = pair.client.connection.open_encoded(request, encoding, pair.now).unwrap();
    pair.client.opened(call);
    pair.run();
    (call, pair.server.request())
}

#[test]
fn both_ways_and_message_by_message() {
    for encoding in BOTH {
        let mut pair = Pair::calm();
        let (call, served) = open(&mut pair, encoding);
        pair.server.connection.set_encoding(served, encoding).unwrap();
        let messages: Vec<Bytes> = [0, 1, 100, 50_000, 300_000].map(|len| Bytes::from(vec![7; len])).to_vec();
        for message in &messages {
            for compress in [true, false] {
                pair.client.connection.send_message_with(call, message.clone(), compress).unwrap();
                pair.server.connection.send_message_with(served, &message[..], compress).unwrap();
            }
        }
        pair.client.connection.half_close(call).unwrap();
        pair.run();
        pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
        pair.run();
        let twice: Vec<Bytes> = messages.iter().flat_map(|message| [message.clone(), message.clone()]).collect();
        assert!(pair.server.messages(served) == twice, "{encoding:?}");
        assert!(pair.client.messages(call) == twice, "{encoding:?}");
        assert!(pair.client.closed(call).status.is_ok());
        assert_eq!(pair.client.call(call).headers, Some(Metadata::new()), "the encoding is no metadata");
    }
}

/// The window is counted in bytes of the wire, whatever becomes of them.
#[test]
fn windows_are_kept_to_the_byte_over_many_messages() {
    for len in [10_000, 30] {
        let mut server = Config::server();
        (server.limits.stream_window, server.limits.connection_window) = (10_000, 65_535);
        server.bdp_probe = false;
        let mut pair = Pair::with(Config::client(), server);
        let (call, served) = open(&mut pair, Encoding::Gzip);
        let message = Bytes::from(vec![7; len]);
        for _ in 0..1000 {
            pair.client.connection.send_message(call, message.clone()).unwrap();
        }
        pair.client.connection.half_close(call).unwrap();
        pair.run();
        assert_eq!(pair.server.messages(served).len(), 1000);
        assert!(pair.server.call(served).half_closed);
    }
}

/// Made longer by being compressed: what the wire took more than the application gets is given back at once.
#[test]
fn a_compressed_message_that_is_longer_than_its_own_self_blocks_nobody() {
    let mut config = Config::server();
    (config.limits.stream_window, config.bdp_probe) = (100, false);
    let mut raw = Raw::server(config);
    raw.send(&[Frame::request(1, false, &[("grpc-encoding", "deflate")])]);
    let call = raw.end.request();
    // The empty message, in eight bytes.
    let empty = [0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01];
    for _ in 0..1000 {
        raw.send(&[compressed(1, &empty)]);
    }
    assert!(raw.end.disconnected.is_none() && raw.end.call(call).closed.is_none());
    assert_eq!(raw.end.messages(call).len(), 1000);
}

#[test]
fn what_a_server_reads_from_others() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[("grpc-encoding", "gzip")]), compressed(1, &HELLO)]);
    let call = raw.end.request();
    assert_eq!(raw.end.messages(call), [&b"hello hello hello"[..]]);
    // One that is not compressed may come at any time.
    raw.send(&[Frame::message(1, false, b"plain")]);
    assert_eq!(raw.end.messages(call), [&b"plain"[..]]);
}

#[test]
fn what_is_wrong_with_a_compressed_message() {
    let mut bad = HELLO.to_vec();
    bad[12] ^= 0xff;
    const NO_ENCODING: &str = "Compression bit set but no encoding configured";
    let cases = [
        (vec![("grpc-encoding", "gzip")], bad, "Decompression failed due to data error"),
        (vec![], HELLO.to_vec(), NO_ENCODING),
        (vec![("grpc-encoding", "identity")], HELLO.to_vec(), NO_ENCODING),
    ];
    for (headers, body, message) in cases {
        let mut raw = Raw::server(Config::server());
        raw.send(&[Frame::request(1, false, &headers), compressed(1, &body)]);
        let call = raw.end.request();
        assert_eq!(words(raw.end.closed(call)), ("INTERNAL", message));
        assert!(raw.end.disconnected.is_none());
    }
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    raw.send(&[Frame::response(1), compressed(1, &HELLO)]);
    assert_eq!(words(raw.end.closed(call)), ("INTERNAL", NO_ENCODING));
}

/// Limits count what comes out, and decompression stops there.
#[test]
fn a_bomb_ends_its_call_at_the_limit_and_one_past() {
    for (limit, whole) in [(17, true), (16, false)] {
        let mut config = Config::server();
        config.limits.max_receive_message_length = Some(limit);
        let mut raw = Raw::server(config);
        // As long as the limit itself, so that only what comes out is too much.
        let deflated = [120, 156, 203, 72, 205, 201, 201, 87, 200, 64, 144, 0, 58, 46, 6, 125];
        raw.send(&[Frame::request(1, false, &[("grpc-encoding", "deflate")]), compressed(1, &deflated)]);
        let call = raw.end.request();
        if whole {
            assert_eq!(raw.end.messages(call), [&b"hello hello hello"[..]]);
        } else {
            let message = "SERVER: Received message larger than max (17 vs. 16)";
            assert_eq!(words(raw.end.closed(call)), ("RESOURCE_EXHAUSTED", message));
        }
        let struck = raw.end.struck.get("max_receive_message_length").copied();
        assert_eq!(struck, (!whole).then_some(1));
    }
}

/// Many small bombs that nobody reads: no window bounds what they become, so they wait as they came.
#[test]
fn bombs_that_are_not_read_at_the_limit_and_one_past() {
    for how in ["somebody waits", "they are read", "it is at the limit"] {
        let mut config = Config::server();
        // Each of the messages takes 17 bytes and what it costs to keep one; an eighth is for those.
        config.limits.unread = 8 * (2 * (17 + 64) - usize::from(how != "it is at the limit"));
        let mut raw = Raw::server(config);
        (raw.end.release, raw.end.want) = (false, false);
        raw.send(&[Frame::request(1, false, &[("grpc-encoding", "gzip")])]);
        let call = raw.end.request();
        raw.send(&[compressed(1, &HELLO), compressed(1, &HELLO)]);
        raw.send(&[compressed(1, &HELLO), Frame::data(1, true, [])]);
        let before = if how == "it is at the limit" { 3 } else { 2 };
        assert_eq!((raw.end.messages(call).len(), raw.end.large.len()), (before, 3 - before));
        assert_eq!(raw.end.struck.get("unread").copied().unwrap_or(0), 3 - before as u32, "each that waits");
        match how {
            "somebody waits" => raw.end.connection.want(call),
            "they are read" => raw.end.connection.release_many(call, 2, 34),
            _ => {}
        }
        raw.collect();
        assert_eq!(raw.end.messages(call).len(), 3 - before, "{how}");
        assert!(raw.end.call(call).half_closed && raw.end.call(call).closed.is_none());
    }
}

/// A reader that is slow keeps them as they came, both ways; none is lost, and the end comes behind them.
#[test]
fn compressed_messages_wait_compressed_for_a_slow_reader() {
    let mut pair = Pair::calm();
    let (call, served) = open(&mut pair, Encoding::Gzip);
    let metadata = Metadata::new();
    let zeros = Bytes::from(vec![0; 100_000]);
    (pair.client.release, pair.server.release) = (false, false);
    pair.server.connection.set_encoding(served, Encoding::Gzip).unwrap();
    for _ in 0..20 {
        pair.client.connection.send_message(call, zeros.clone()).unwrap();
        pair.server.connection.send_message(served, zeros.clone()).unwrap();
    }
    pair.client.connection.half_close(call).unwrap();
    pair.server.connection.send_message(served, &b"small"[..]).unwrap();
    pair.run();
    let mut came = [0, 0];
    for turn in 0..20 {
        for (side, end, call) in [(0, &mut pair.client, call), (1, &mut pair.server, served)] {
            let messages = end.messages(call);
            let bytes: usize = messages.iter().map(Bytes::len).sum();
            assert!(bytes <= 200_000, "{bytes} at once");
            came[side] += messages.len();
            let done = side == 1 && end.call(call).half_closed;
            assert!(!done || came[1] == 20, "the end comes last");
            end.connection.release_many(call, messages.len(), bytes);
        }
        pair.run();
        if turn == 12 {
            pair.server.connection.respond(served, &Status::OK, &metadata).unwrap();
        }
    }
    assert_eq!(came, [21, 20]);
    assert!(pair.client.closed(call).status.is_ok());
}

/// Nor is anything lost when the connection is, after the whole answer has come.
#[test]
fn an_answer_that_waits_compressed_outlives_its_connection_and_ends_with_its_deadline() {
    for lost in [true, false] {
        let mut pair = Pair::calm();
        let timeout = Some(std::time::Duration::from_secs(1));
        let metadata = Metadata::new();
        let call = pair.open_encoded("/s.S/M", &metadata, timeout, Encoding::Gzip).unwrap();
        pair.run();
        let served = pair.server.request();
        pair.client.release = false;
        pair.server.connection.set_encoding(served, Encoding::Gzip).unwrap();
        for _ in 0..5 {
            pair.server.connection.send_message(served, Bytes::from(vec![0; 1 << 20])).unwrap();
        }
        pair.server.connection.respond(served, &Status::OK, &metadata).unwrap();
        pair.run();
        assert_eq!(pair.client.messages(call).len(), 2);
        assert!(pair.client.call(call).closed.is_none());
        if lost {
            pair.break_wire();
            pair.run();
            assert_eq!(pair.client.messages(call).len(), 3);
            assert!(pair.client.closed(call).status.is_ok());
        } else {
            pair.run_for(std::time::Duration::from_secs(2));
            assert_eq!(pair.client.closed(call).status.code, Code::DeadlineExceeded);
        }
    }
}

/// A connection that was only waiting for that call ends once, for the reason that it was going away for.
#[test]
fn the_last_call_of_a_connection_that_goes_away_ends_it_once() {
    let mut pair = Pair::calm();
    let (call, served) = open(&mut pair, Encoding::Gzip);
    pair.client.release = false;
    pair.server.connection.set_encoding(served, Encoding::Gzip).unwrap();
    for _ in 0..5 {
        pair.server.connection.send_message(served, Bytes::from(vec![0; 100_000])).unwrap();
    }
    pair.server.connection.shutdown(pair.now);
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();
    pair.break_wire();
    pair.run();
    assert_eq!(pair.client.messages(call).len(), 5);
    assert!(pair.client.closed(call).status.is_ok());
    assert_eq!(pair.client.connection.error(), pair.client.disconnected.as_ref());
}

#[test]
fn an_unknown_encoding_is_answered_with_those_that_are_known() {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, true, &[("grpc-encoding", "br")])]);
    let frames = raw.frames();
    assert!(raw.end.poll_request().is_none());
    let text = String::from_utf8_lossy(&frames[0].payload).into_owned();
    assert_eq!(frames[0].kind, Frame::HEADERS, "{text}");

    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    let headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "br")];
    raw.send(&[Frame::headers(1, false, &headers)]);
    assert_eq!(words(raw.end.closed(call)), ("INTERNAL", "Compression algorithm not supported: br"));
    assert_eq!(raw.end.closed(call).status.code, Code::Internal);
}

/// The prefixes of the messages that a server sends to a client with these headers, by the encoding it is asked to use.
fn flags(headers: &[(&str, &str)], encoding: Encoding) -> Vec<u8> {
    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, true, headers)]);
    raw.frames();
    let call = raw.end.request();
    raw.end.connection.set_encoding(call, encoding).unwrap();
    for (message, compress) in [(&[7; 1000][..], true), (&[7; 1000], false), (b"abc", true), (b"", true)] {
        raw.end.connection.send_message_with(call, message, compress).unwrap();
    }
    assert_eq!(raw.end.connection.set_encoding(call, encoding), Err(CallError::HeadersSent));
    let data: Vec<u8> = raw.frames_of(Frame::DATA).into_iter().flat_map(|frame| frame.payload).collect();
    let (mut rest, mut flags) = (&data[..], Vec::new());
    while let [flag, l0, l1, l2, l3, after @ ..] = rest {
        flags.push(*flag);
        rest = &after[u32::from_be_bytes([*l0, *l1, *l2, *l3]) as usize..];
    }
    flags
}

#[test]
fn a_server_compresses_what_the_client_reads_and_what_gets_shorter() {
    let accept = [("grpc-accept-encoding", "identity, deflate,gzip")];
    for encoding in BOTH {
        assert_eq!(flags(&accept, encoding), [1, 0, 0, 0]);
        assert_eq!(flags(&[], encoding), [0, 0, 0, 0]);
        assert_eq!(flags(&[("grpc-accept-encoding", "br")], encoding), [0, 0, 0, 0]);
    }
    assert_eq!(flags(&accept, Encoding::Identity), [0, 0, 0, 0]);
}

#[test]
fn a_call_that_waits_for_a_stream_keeps_its_encoding() {
    let mut server = Config::server();
    server.limits.max_concurrent_streams = Some(1);
    let mut pair = Pair::with(Config::client(), server);
    let (first, first_served) = pair.started("/s.S/M");
    let metadata = Metadata::new();
    let request = Request { path: "/s.S/M", authority: "test.example", metadata: &metadata, deadline: None };
    let second = pair.client.connection.open_encoded(request, Encoding::Gzip, pair.now).unwrap();
    pair.client.opened(second);
    pair.client.connection.send_message(second, &[7; 1000][..]).unwrap();
    pair.client.connection.half_close(first).unwrap();
    pair.run();
    pair.server.connection.respond(first_served, &Status::OK, &metadata).unwrap();
    pair.run();
    let served = pair.server.request();
    assert_eq!(pair.server.messages(served), [&[7; 1000][..]]);
    assert_eq!(pair.client.connection.set_encoding(second, Encoding::Gzip), Err(CallError::WrongRole));
}

fn without_gzip(config: Config) -> Config {
    Config { accepted_encodings: Encodings::IDENTITY.with(Encoding::Deflate), ..config }
}

#[test]
fn a_server_refuses_the_encodings_it_does_not_accept() {
    let mut pair = Pair::with(Config::client(), without_gzip(Config::server()));
    let metadata = Metadata::new();
    let request = Request { path: "/s.S/M", authority: "test.example", metadata: &metadata, deadline: None };
    let call = pair.client.connection.open_encoded(request, Encoding::Gzip, pair.now).unwrap();
    pair.client.opened(call);
    pair.run();
    assert!(pair.server.poll_request().is_none());
    let refused = ("UNIMPLEMENTED", "Compression algorithm 'gzip' is disabled.");
    assert_eq!(words(pair.client.closed(call)), refused);
    let (call, served) = open(&mut pair, Encoding::Deflate);
    pair.client.connection.send_message(call, &[7; 1000][..]).unwrap();
    pair.run();
    assert_eq!(pair.server.messages(served), [&[7; 1000][..]]);
}

#[test]
fn a_client_refuses_the_encodings_it_does_not_accept() {
    let mut raw = Raw::client(without_gzip(Config::client()));
    let call = raw.open(None);
    raw.frames();
    let headers = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "gzip")];
    raw.send(&[Frame::headers(1, false, &headers)]);
    assert_eq!(words(raw.end.closed(call)), ("INTERNAL", "Compression algorithm not supported: gzip"));
}
