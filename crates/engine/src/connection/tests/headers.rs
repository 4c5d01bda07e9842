//! Header lists: what of them a peer may send, what it takes, and in how many pieces they come.

use farcall_core::{Code, Metadata, Status};

use super::raw::{REQUEST, Raw};
use crate::{
    CallId, Config, ConnectionError, ErrorCode, Request,
    frame::{flag, kind},
    hpack::Decoder,
};

type Fields = Vec<(String, String)>;

/// The fields of HEADERS that were written whole.
fn fields(block: &[u8]) -> Fields {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut fields = Fields::new();
    Decoder::new(4096).decode(block, u32::MAX, |name, value| fields.push((text(name), text(value)))).unwrap();
    fields
}

#[test]
fn requests_that_break_the_protocol_end_as_they_should() {
    type More<'a> = &'a [(&'a str, &'a str)];
    let table: [(&str, bool, More); 9] = [
        ("plain", true, &[]),
        ("two equal lengths", true, &[("content-length", "0"), ("content-length", "0")]),
        ("two lengths", false, &[("content-length", "0"), ("content-length", "1")]),
        ("an end before its length", false, &[("content-length", "1")]),
        ("no length", false, &[("content-length", "x")]),
        ("te", false, &[("te", "gzip")]),
        ("a pseudo-header behind others", false, &[(":unknown", "x")]),
        ("an upper-case name", false, &[("Upper", "x")]),
        ("of HTTP/1", false, &[("connection", "close")]),
    ];
    for (what, good, more) in table {
        let mut raw = Raw::new(Config::server());
        raw.headers(1, true, &[&REQUEST[..], more].concat());
        assert_eq!(raw.was_reset(1), (!good).then_some(ErrorCode::PROTOCOL_ERROR), "{what}");
        assert_eq!(raw.requests().len(), usize::from(good), "{what}");
    }
}

#[test]
fn a_pseudo_header_that_nobody_knows_is_named_so() {
    let mut raw = Raw::new(Config::client());
    let call = raw.open();
    raw.written();
    raw.headers(1, true, &[(":status", "200"), (":unknown", "x")]);
    assert_eq!(raw.closed(call).unwrap().status.message, "Stream removed (an unknown pseudo-header)");
}

#[test]
fn only_a_server_may_not_switch_push_on() {
    for (config, error) in [(Config::client(), Some(ErrorCode::PROTOCOL_ERROR)), (Config::server(), None)] {
        for (on, error) in [(1, error), (0, None)] {
            let mut raw = Raw::new(config.clone());
            raw.frame(kind::SETTINGS, 0, 0, &[0, 2, 0, 0, 0, on]);
            assert_eq!(raw.went_away(), error, "{:?} {on}", config.role);
        }
    }
}

#[test]
fn first_bytes_that_are_not_http2_are_named() {
    for (bytes, what) in [
        (&b"\x16\x03\x01\x02\0\x01\0\x01\xfc"[..], "it speaks TLS"),
        (b"\x16\x02\x01", "its first bytes are not the preface of HTTP/2"),
        (b"SSH-2.0-OpenSSH", "its first bytes are not the preface of HTTP/2"),
        (b"GET / HTTP/1.1\r\n", "it speaks HTTP/1"),
    ] {
        let now = std::time::Instant::now();
        let mut connection = crate::Connection::new(Config::server(), now);
        connection.receive_buffer()[..bytes.len()].copy_from_slice(bytes);
        connection.handle_received(bytes.len(), now);
        assert_eq!(connection.error(), Some(&ConnectionError::PeerIncompatible(what)));
    }
}

/// Clients that speak plain HTTP read a status line and a text.
#[test]
fn an_answer_in_https_words_has_a_status_and_a_type() {
    let mut raw = Raw::new(Config::server());
    raw.headers(1, true, &[(":path", "/"), (":authority", "a"), (":method", "GET"), (":scheme", "http")]);
    let frames = raw.written();
    let found = fields(&frames[0].1);
    let expected = [(":status", "405"), ("content-type", "text/plain; charset=utf-8")];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

/// A header block comes to the same however it is cut into frames and reads, padded or not, with priority or without,
/// and what follows is read from where it begins.
#[test]
fn a_block_comes_to_the_same_however_it_is_cut() {
    let long = "v".repeat(9_000);
    let large: Vec<(String, &str)> = (0..10).map(|index| (format!("k{index}"), &long[..])).collect();
    for (large, padded, continuations, chop) in [
        (false, false, 1, 1),
        (false, true, 2, 7),
        (true, false, 0, 1000),
        (true, true, 0, 999),
        (true, true, 0, 16 << 10),
        (true, true, 0, usize::MAX),
        (true, true, 2, 1001),
        (true, false, 1, usize::MAX),
    ]
    .map(|(is_large, padded, continuations, chop)| {
        (if is_large { &large[..] } else { &[] }, padded, continuations, chop)
    }) {
        let mut config = Config::server();
        config.limits.max_header_list_size = 1 << 20;
        let mut raw = Raw::new(config);
        let mut list: Vec<(&str, &str)> = REQUEST.to_vec();
        list.extend(large.iter().map(|(name, value)| (&name[..], *value)));
        let block = raw.block(&list);
        let pieces: Vec<&[u8]> = block.chunks(block.len().div_ceil(continuations + 1)).collect();
        assert_eq!(pieces.len(), continuations + 1);
        let mut bytes = Vec::new();
        for (index, piece) in pieces.iter().enumerate() {
            let (mut payload, mut flags) = (piece.to_vec(), 0);
            let mut kind = kind::CONTINUATION;
            if index == 0 {
                (kind, flags) = (kind::HEADERS, flag::END_STREAM | flag::PRIORITY);
                payload = [&[0, 0, 0, 0, 16], &payload[..]].concat();
                if padded {
                    flags |= flag::PADDED;
                    payload = [&[200], &payload[..], &[0; 200]].concat();
                }
            }
            flags |= if index == continuations { flag::END_HEADERS } else { 0 };
            let head = crate::frame::Head { length: payload.len() as u32, kind, flags, stream: 1 };
            bytes.extend_from_slice(&[&head.encode()[..], &payload].concat());
        }
        // Behind it follows what cannot be misread.
        bytes.extend_from_slice(&[0, 0, 8, kind::PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        bytes.chunks(chop.min(bytes.len())).for_each(|piece| raw.bytes(piece));
        let what = format!("{} fields, padded: {padded}, {continuations} more frames, by {chop}", list.len());
        assert_eq!(raw.connection.error(), None, "{what}");
        assert_eq!(raw.requests().len(), 1, "{what}");
        let pongs: Vec<_> = raw.written().into_iter().filter(|(head, _)| head.kind == kind::PING).collect();
        assert_eq!(pongs.len(), 1, "{what}");
        assert_eq!(pongs[0].1, [1, 2, 3, 4, 5, 6, 7, 8], "{what}");
    }
}

/// Metadata that comes to much in the three ways it can: many fields, long ones, and bytes that are longer in base64.
fn metadata() -> [Metadata; 3] {
    let mut many = Metadata::new();
    (0..50).for_each(|_| many.append("k", "v").unwrap());
    let (mut long, mut binary) = (Metadata::new(), Metadata::new());
    long.append("k", "v".repeat(2_000)).unwrap();
    binary.append("k-bin", vec![7; 2_000]).unwrap();
    [many, long, binary]
}

/// Tells the connection how long header lists may be.
fn announce(raw: &mut Raw, limit: u32) {
    raw.frame(kind::SETTINGS, 0, 0, &[&[0, 6][..], &limit.to_be_bytes()].concat());
}

/// The size that the peer's limit was exceeded by, as grpcio words it.
fn size_of(message: &str, which: &str, limit: u32) -> u32 {
    let size = message.strip_prefix(&format!("to-be-sent {which} metadata size exceeds peer limit ("));
    let size = size.and_then(|rest| rest.strip_suffix(&format!(" vs. {limit})")));
    size.unwrap_or_else(|| panic!("{message}")).parse().unwrap()
}

/// A client opens a call for a server that takes lists of so many bytes.
fn request(metadata: &Metadata, limit: u32) -> (Option<Status>, usize) {
    let mut raw = Raw::new(Config::client());
    announce(&mut raw, limit);
    let request = Request { path: "/a.B/C", authority: "a", metadata, deadline: None };
    let call = raw.connection.open(request, raw.now).unwrap();
    let headers = raw.written().iter().filter(|(head, _)| head.kind == kind::HEADERS).count();
    (raw.closed(call).map(|closed| closed.status.clone()), headers)
}

#[test]
fn a_request_is_as_large_as_the_server_takes_and_no_larger() {
    for metadata in metadata() {
        let (refused, headers) = request(&metadata, 100);
        let refused = refused.expect("an answer");
        assert_eq!((refused.code, headers), (Code::ResourceExhausted, 0));
        let size = size_of(&refused.message, "initial", 100);
        assert_eq!(request(&metadata, size), (None, 1));
        let (refused, headers) = request(&metadata, size - 1);
        assert_eq!((refused.map(|status| size_of(&status.message, "initial", size - 1)), headers), (Some(size), 0));
    }
}

/// A server whose client takes lists of so many bytes, and its call.
fn served(limit: u32) -> (Raw, CallId) {
    let mut raw = Raw::new(Config::server());
    announce(&mut raw, limit);
    raw.request(1, true);
    let call = raw.requests()[0];
    raw.written();
    (raw, call)
}

/// The lists of header fields that were written for a call, one a frame.
fn lists(raw: &mut Raw) -> Vec<Fields> {
    let mut decoder = Decoder::new(4096);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let frames = raw.written().into_iter().filter(|(head, _)| head.kind == kind::HEADERS);
    frames
        .map(|(_, block)| {
            let mut fields = Fields::new();
            decoder.decode(&block, u32::MAX, |name, value| fields.push((text(name), text(value)))).unwrap();
            fields
        })
        .collect()
}

fn value<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(found, _)| found == name).map(|(_, value)| &value[..])
}

#[test]
fn response_headers_are_as_large_as_the_client_takes_and_no_larger() {
    for metadata in metadata() {
        let send = |limit: u32| {
            let (mut raw, call) = served(limit);
            raw.connection.send_headers(call, &metadata).unwrap();
            lists(&mut raw).remove(0)
        };
        let refused = send(300);
        assert_eq!(value(&refused, "grpc-status"), Some("8"));
        let size = size_of(value(&refused, "grpc-message").unwrap(), "initial", 300);
        assert_eq!(value(&send(size), "grpc-status"), None);
        assert_eq!(value(&send(size - 1), "grpc-status"), Some("8"));
    }
    // Without metadata they are sent whatever the limit: there is nothing to leave out.
    let (mut raw, call) = served(1);
    raw.connection.send_headers(call, &Metadata::new()).unwrap();
    assert_eq!(value(&lists(&mut raw)[0], ":status"), Some("200"));
}

/// What a list comes to as its receiver counts.
fn size(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
}

#[test]
fn an_answer_is_as_large_as_the_client_takes_and_no_larger() {
    for (message, begun) in [("a".repeat(3_000), true), ("\n".repeat(1_000), true), ("\n".repeat(1_000), false)] {
        let answer = |limit: u32| {
            let (mut raw, call) = served(limit);
            if begun {
                raw.connection.send_headers(call, &Metadata::new()).unwrap();
            }
            raw.connection.respond(call, &Status::new(Code::Internal, message.clone()), &Metadata::new()).unwrap();
            lists(&mut raw).pop().unwrap()
        };
        let whole = answer(u32::MAX);
        let length = size(&whole);
        assert_eq!(answer(length as u32), whole, "begun: {begun}");
        let cut = answer(length as u32 - 1);
        assert!(size(&cut) < length);
        assert!(value(&cut, "grpc-message").unwrap().contains(&format!("[cut from {} bytes", message.len())));
        assert_eq!(value(&cut, ":status").is_some(), !begun, "only an answer that has not begun begins with it");
    }
}

#[test]
fn a_list_that_is_too_large_is_named_with_its_size_and_the_limit() {
    let mut config = Config::client();
    config.limits.max_header_list_size = 1_000;
    let mut raw = Raw::new(config);
    let call = raw.open();
    raw.written();
    let long = "v".repeat(2_000);
    let list = [(":status", "200"), ("content-type", "application/grpc"), ("k", &long)];
    raw.headers(1, false, &list);
    let size: usize = list.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
    let text = format!("received initial metadata size exceeds hard limit ({size} vs. 1000)");
    assert_eq!(raw.closed(call).unwrap().status, Status::new(Code::ResourceExhausted, text));
}
