//! The attacks of `docs/hostile-peers.md` that no other file tries. What is bounded is tried at its limit and one past
//! it; what costs no more than its bytes is sent in masses, and must leave nothing behind.

use std::time::Duration;

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Config, Limits};

use crate::support::{
    Frame, Raw,
    raw::{PREFACE, header_block, prefixed},
};

const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

fn server(set: impl FnOnce(&mut Limits)) -> Raw {
    let mut config = Config::server();
    set(&mut config.limits);
    Raw::server(config)
}

/// A server with a call on stream 1 whose request goes on.
fn with_call(set: impl FnOnce(&mut Limits)) -> (Raw, CallId) {
    let mut raw = server(set);
    raw.send(&[Frame::request(1, false, &[])]);
    let call = raw.end.request();
    raw.frames();
    (raw, call)
}

fn goaway(raw: &mut Raw) -> Option<u32> {
    raw.frames_of(Frame::GOAWAY).first().map(Frame::code)
}

/// A call is served from its request to its answer.
#[track_caller]
fn serves(raw: &mut Raw, stream: u32) {
    raw.send(&[Frame::request(stream, true, &[])]);
    let call = std::iter::from_fn(|| raw.end.poll_request()).last().expect("a request came");
    raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    raw.collect();
    assert!(raw.end.closed(call).completed);
}

fn times(count: usize, frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::encode).collect::<Vec<u8>>().repeat(count)
}

/// Each breaks the protocol on its stream in a way that makes a server reset it, which costs the client no
/// RST_STREAM of its own.
#[test]
fn made_you_reset_in_every_way() {
    type Way = fn(u32) -> Vec<Frame>;
    let ways: [(&str, Way); 8] = [
        ("no increment", |id| vec![Frame::request(id, false, &[]), Frame::window_update(id, 0)]),
        ("a window past its end", |id| vec![Frame::request(id, false, &[]), Frame::window_update(id, (1 << 31) - 1)]),
        ("a short PRIORITY", |id| vec![Frame::request(id, false, &[]), Frame::new(Frame::PRIORITY, 0, id, [0; 4])]),
        ("a stream that depends on itself", |id| {
            let payload = [&id.to_be_bytes()[..], &[16]].concat();
            vec![Frame::request(id, false, &[]), Frame::new(Frame::PRIORITY, 0, id, payload)]
        }),
        ("DATA past content-length", |id| {
            vec![Frame::request(id, false, &[("content-length", "1")]), Frame::message(id, false, b"more")]
        }),
        ("HEADERS in the middle", |id| vec![Frame::request(id, false, &[]), Frame::headers(id, false, &[])]),
        ("HEADERS with nothing in them", |id| vec![Frame::headers(id, false, &[])]),
        ("DATA over the window", |id| vec![Frame::request(id, false, &[]), Frame::message(id, false, &[0; 2000])]),
    ];
    for (what, way) in ways {
        for (count, code) in [(5, None), (6, Some(ENHANCE_YOUR_CALM))] {
            let mut raw = server(|limits| {
                (limits.breaches, limits.breaches_per_second) = (5, 0);
                limits.initial_stream_window = 1000;
            });
            (0..count).for_each(|i| raw.send(&way(2 * i + 1)));
            assert_eq!(goaway(&mut raw), code, "{what}, {count} times");
        }
    }
}

/// Frames that change nothing: no answer is made, nothing is kept, the connection serves on.
#[test]
fn floods_of_frames_that_mean_nothing() {
    let priority = |id| Frame::new(Frame::PRIORITY, 0, id, [0, 0, 0, 0, 16]);
    for (what, frame) in [
        ("PRIORITY of an idle stream", priority(99)),
        ("PRIORITY of an open stream", priority(1)),
        ("PRIORITY of a closed stream", priority(3)),
        ("WINDOW_UPDATE of the connection", Frame::window_update(0, 1)),
        ("WINDOW_UPDATE of an open stream", Frame::window_update(1, 1)),
        ("WINDOW_UPDATE of a closed stream", Frame::window_update(3, 1)),
        ("RST_STREAM of a closed stream", Frame::reset(3, 8)),
        ("acknowledgements of PINGs that were not sent", Frame::new(Frame::PING, Frame::ACK, 0, [7; 8])),
        ("acknowledgements of SETTINGS that were not sent", Frame::settings_ack()),
        ("frames of an unknown type", Frame::new(0xfa, 0, 0, [0; 9])),
    ] {
        let (mut raw, _) = with_call(|_| ());
        raw.send(&[Frame::request(3, false, &[]), Frame::reset(3, 8)]);
        raw.frames();
        for _ in 0..100 {
            raw.send_bytes(&times(1000, std::slice::from_ref(&frame)));
        }
        assert_eq!(raw.frames(), [], "{what}");
        assert_eq!((raw.end.connection.calls(), &raw.end.disconnected), (1, &None), "{what}");
        serves(&mut raw, 101);
    }
}

#[test]
fn a_settings_frame_full_of_entries_is_one_change() {
    let (mut raw, _) = with_call(|limits| limits.window_shifts = 1);
    let entries: Vec<(u16, u32)> = (0..2400).map(|i| (4, i)).collect();
    raw.send(&[Frame::settings(&entries)]);
    assert_eq!(raw.frames(), [Frame::settings_ack()]);
    serves(&mut raw, 3);
}

#[test]
fn changes_of_many_windows() {
    for (open, code) in [(2, None), (3, Some(ENHANCE_YOUR_CALM))] {
        let mut raw = server(|limits| limits.window_shifts = 10);
        (0..open).for_each(|i| raw.send(&[Frame::request(2 * i + 1, false, &[])]));
        // What changes nothing moves nothing.
        (1..=5).for_each(|size| raw.send(&vec![Frame::settings(&[(4, size)]); 2]));
        assert_eq!(goaway(&mut raw), code, "{open} streams");
    }
}

/// No more is let in, and nobody's call ends: the peer waits for itself.
#[test]
fn messages_that_are_never_ended() {
    for (held, second) in [(500, 1), (501, 0)] {
        let mut raw = server(|limits| (limits.stream_window, limits.incomplete) = (100, 1000));
        raw.end.want = false;
        // Each begins a message of which its window takes 95 bytes.
        let begun = |id, len: usize| Frame::data(id, false, &prefixed(&vec![0; 95 + len])[..100]);
        let updates = |raw: &mut Raw, id| -> Vec<u32> {
            let frames = raw.frames_of(Frame::WINDOW_UPDATE);
            frames.iter().filter(|frame| frame.stream == id).map(Frame::code).collect()
        };
        raw.send(&[Frame::request(1, false, &[]), begun(1, held)]);
        assert_eq!(updates(&mut raw, 1), [held as u32], "one always has room");
        raw.send(&[Frame::request(3, false, &[]), begun(3, 500)]);
        assert_eq!(updates(&mut raw, 3).len(), second, "{held}");
        // One that is within its window needs none.
        raw.send(&[Frame::request(5, false, &[]), Frame::message(5, true, b"whole")]);
        let calls = [raw.end.request(), raw.end.request(), raw.end.request()];
        assert_eq!(raw.end.messages(calls[2]), [&b"whole"[..]]);
        // When the first call is over there is room again.
        raw.send(&[Frame::reset(1, 8)]);
        assert_eq!(updates(&mut raw, 3).len(), 1 - second);
        assert!(raw.end.call(calls[1]).closed.is_none() && raw.end.disconnected.is_none());
    }
}

/// A message takes its place in queues however short it is: past the first bound no more calls are taken, past the
/// second the connection ends.
#[test]
fn empty_messages_that_nobody_takes() {
    for (count, refused, code) in [(10, 0, None), (11, 1, None), (20, 1, None), (21, 0, Some(ENHANCE_YOUR_CALM))] {
        let (mut raw, call) = with_call(|limits| (limits.unread, limits.overdraft) = (10 * 64, 20 * 64));
        raw.end.release = false;
        raw.send_bytes(&times(count, &[Frame::message(1, false, b"")]));
        raw.send(&[Frame::request(3, false, &[])]);
        let frames = raw.frames();
        let of = |kind| frames.iter().filter(move |frame| frame.kind == kind);
        assert_eq!(of(Frame::RST_STREAM).filter(|frame| frame.code() == REFUSED_STREAM).count(), refused, "{count}");
        assert_eq!(of(Frame::GOAWAY).next().map(Frame::code), code, "{count}");
        assert_eq!(raw.end.struck.get("unread").copied().unwrap_or(0), refused as u32, "{count}");
        if code.is_none() {
            // As they are taken, calls are.
            raw.end.connection.release_many(call, count, 0);
            serves(&mut raw, 5);
        }
    }
}

/// Fields that cost a byte each on the wire, in calls that stay open.
#[test]
fn header_lists_of_all_calls() {
    let list = 6 * 32
        + ":methodPOST:schemehttp:path/s.S/M:authoritytest.examplecontent-typeapplication/grpctetrailers".len()
        + 10 * (1 + 1 + 32);
    for (room, refused) in [(3 * list, 0), (3 * list - 1, 1)] {
        let mut raw = server(|limits| limits.request_headers = room);
        for id in [1, 3, 5] {
            let mut request = Frame::request(id, false, &[]);
            // The literal `k: v`, to be indexed; then only the index, which is the first of the dynamic table.
            let (first, rest): (&[u8], usize) = if id == 1 { (&[0x40, 1, b'k', 1, b'v'], 9) } else { (&[], 10) };
            request.payload.extend([first, &vec![0xbe; rest]].concat());
            raw.send(&[request]);
        }
        let resets = raw.frames_of(Frame::RST_STREAM);
        assert_eq!(resets, vec![Frame::reset(5, REFUSED_STREAM); refused], "{room}");
        // A call that ends makes room.
        raw.send(&[Frame::reset(1, 8), Frame::request(7, false, &[])]);
        assert_eq!(raw.frames_of(Frame::RST_STREAM), []);
    }
}

#[test]
fn table_resizes_cost_what_their_bytes_cost() {
    let mut raw = server(|_| ());
    for id in (1..200).step_by(2) {
        let mut request = Frame::request(id, true, &[]);
        // To 0 and back to 4096, then an entry that fills the table.
        let resizes = [0x20, 0x3f, 0xe1, 0x1f].repeat(1000);
        request.payload.splice(0..0, resizes);
        let filler = "v".repeat(4000);
        request.payload.push(0x40);
        request.payload.extend(&header_block(&[("k", &filler)])[1..]);
        raw.send(&[request]);
    }
    assert_eq!((raw.end.connection.calls(), &raw.end.disconnected), (100, &None));
}

/// It is the peer's advice; a call that broke it and were reset would cost all the work that was done for it.
#[test]
fn a_peer_that_takes_no_headers_gets_them() {
    let mut raw = server(|_| ());
    raw.send(&[Frame::settings(&[(6, 0)])]);
    for id in (1..100).step_by(2) {
        serves(&mut raw, id);
    }
    assert_eq!(raw.frames_of(Frame::RST_STREAM), []);
}

#[test]
fn a_peer_with_a_large_table_makes_this_side_keep_none() {
    let mut raw = server(|_| ());
    raw.send(&[Frame::settings(&[(1, u32::MAX)])]);
    serves(&mut raw, 1);
    // A size update would be the first thing in it.
    let headers = raw.frames_of(Frame::HEADERS);
    assert!(headers[0].payload[0] & 0xe0 != 0x20, "{headers:?}");
}

#[test]
fn a_window_of_one_byte_at_a_time() {
    let (mut raw, call) = with_call(|_| ());
    raw.send(&[Frame::settings(&[(4, 0)])]);
    raw.end.connection.send_message(call, &[7; 1000][..]).unwrap();
    raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    raw.frames();
    for _ in 0..1004 {
        raw.send(&[Frame::window_update(1, 1)]);
        let data = raw.frames_of(Frame::DATA);
        assert_eq!(data.iter().map(|frame| frame.payload.len()).collect::<Vec<_>>(), [1]);
    }
    raw.send(&[Frame::window_update(1, 1)]);
    assert!(raw.end.closed(call).completed);
}

/// The same for the connection's window, with many calls that wait for it: each byte goes to one of them, in turn.
#[test]
fn a_connections_window_of_one_byte_at_a_time() {
    let mut raw = server(|_| ());
    let ids: Vec<u32> = (0..100).map(|i| 2 * i + 1).collect();
    let filler = raw_call(&mut raw, 201);
    raw.end.connection.send_message(filler, &[7; 65_535 - 5][..]).unwrap();
    assert_eq!(raw.frames_of(Frame::DATA).iter().map(|frame| frame.payload.len()).sum::<usize>(), 65_535);
    // Ids only go up.
    let ids: Vec<u32> = ids.into_iter().map(|id| id + 202).collect();
    for id in &ids {
        let call = raw_call(&mut raw, *id);
        raw.end.connection.send_message(call, &[7; 5][..]).unwrap();
        raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    }
    raw.frames();
    for turn in 0..10 {
        for id in &ids {
            raw.send(&[Frame::window_update(0, 1)]);
            let data = raw.frames_of(Frame::DATA);
            assert_eq!(
                data.iter().map(|frame| (frame.stream, frame.payload.len())).collect::<Vec<_>>(),
                [(*id, 1)],
                "{turn}"
            );
        }
    }
    assert_eq!(raw.end.connection.calls(), 1);
}

fn raw_call(raw: &mut Raw, id: u32) -> CallId {
    raw.send(&[Frame::request(id, true, &[])]);
    raw.end.request()
}

/// What waits for a window that never opens goes when the call's time is up.
#[test]
fn a_window_that_never_opens() {
    let mut raw = server(|_| ());
    raw.send(&[Frame::settings(&[(4, 0)]), Frame::request(1, true, &[("grpc-timeout", "1S")])]);
    let call = raw.end.request();
    while raw.end.connection.writable(call) {
        raw.end.connection.send_message(call, &[0; 1000][..]).unwrap();
    }
    raw.sleep(Duration::from_secs(1));
    assert_eq!(raw.end.closed(call).status.code, Code::DeadlineExceeded);
    assert_eq!(raw.end.connection.calls(), 0);
    serves(&mut raw, 3);
}

/// A wide window is no reason to buffer more: what is not written counts.
#[test]
fn a_wide_window_that_is_not_read() {
    for (len, writable) in [(995 - 1, true), (995, false)] {
        let (mut raw, call) = with_call(|limits| limits.send_buffer = 1000);
        raw.send(&[Frame::settings(&[(4, (1 << 31) - 1)]), Frame::window_update(0, 1 << 30)]);
        // Nobody takes what is to be written.
        raw.end.connection.send_message(call, &vec![0; len][..]).unwrap();
        assert_eq!(raw.end.connection.writable(call), writable, "{len} and 5 bytes of prefix");
    }
}

/// The connection's window is one for all, so nothing that a stream's end leaves over may be lost from it.
#[test]
fn no_way_of_ending_leaks_the_connections_window() {
    let padded = |id| Frame::new(Frame::DATA, Frame::PADDED, id, [&[255][..], &[0; 256]].concat());
    let (mut raw, _) = with_call(|limits| limits.connection_window = 65_535);
    raw.send(&[Frame::request(3, false, &[]), Frame::reset(3, 8)]);
    raw.send(&[Frame::request(5, true, &[("grpc-encoding", "unheard-of")])]);
    raw.send(&[Frame::request(7, false, &[]), Frame::window_update(7, 0)]);
    let mut window = 65_535;
    for id in [1, 7].repeat(500) {
        raw.send(&[padded(id)]);
        window -= 257;
        let updates = raw.frames_of(Frame::WINDOW_UPDATE);
        window += updates.iter().filter(|frame| frame.stream == 0).map(|frame| frame.code() as i32).sum::<i32>();
        assert_eq!(raw.end.disconnected, None);
        assert!(window > 0, "the connection's window is lost");
        if raw.end.connection.calls() == 0 {
            break;
        }
    }
}

/// Padding is not data, but the longest of it is legal.
#[test]
fn padding_of_every_length() {
    for padding in 0..=255u8 {
        let (mut raw, call) = with_call(|_| ());
        let payload = [&[padding][..], &prefixed(b"message"), &vec![0; padding.into()]].concat();
        raw.send(&[Frame::new(Frame::DATA, Frame::PADDED, 1, payload)]);
        assert_eq!(raw.end.messages(call), [&b"message"[..]], "{padding}");
    }
}

#[test]
fn nothing_is_read_after_the_end() {
    for after in [Frame::data(0, false, []), Frame::new(Frame::PING, 0, 0, [0; 3]), Frame::request(1, true, &[])] {
        let mut raw = server(|_| ());
        raw.send(&[Frame::reset(9, 8), after.clone()]);
        assert_eq!(raw.frames_of(Frame::GOAWAY).len(), 1);
        raw.send(std::slice::from_ref(&after));
        assert_eq!(raw.frames(), [], "{after:?}");
        assert!(raw.end.poll_request().is_none());
    }
}

/// Routing and whoever guards it must see one and the same path.
#[test]
fn a_path_without_its_slash_reaches_nobody() {
    for path in ["s.S/M", "", "*", "http://test.example/s.S/M"] {
        let mut raw = server(|_| ());
        let fields = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")];
        raw.send(&[Frame::headers(1, true, &fields)]);
        assert!(raw.end.poll_request().is_none(), "{path}");
        assert_eq!(raw.end.disconnected, None);
        serves(&mut raw, 3);
    }
}

#[test]
fn a_server_may_ask_for_every_path_as_it_stands() {
    for (path, wanted) in [("s.S/M", true), ("*", true), ("", false)] {
        let mut raw = Raw::server(Config { any_path: true, ..Config::server() });
        let fields = [(":method", "POST"), (":scheme", "http"), (":path", path), ("content-type", "application/grpc")];
        raw.send(&[Frame::headers(1, true, &fields)]);
        let head = raw.end.poll_request();
        assert_eq!(head.is_some(), wanted, "{path}");
    }
}

/// One client behind a proxy must not be able to end the connection of all.
#[test]
fn a_field_that_cannot_be_read_ends_its_call_and_no_more() {
    for field in [("k-bin", "!"), ("grpc-timeout", "soon"), ("te", "x"), ("grpc-encoding", "?"), ("host", "a\u{7f}")] {
        let mut raw = server(|_| ());
        raw.send(&[Frame::request(1, true, &[field])]);
        assert_eq!(raw.end.disconnected, None, "{field:?}");
        while raw.end.poll_request().is_some() {}
        serves(&mut raw, 3);
    }
}

#[test]
fn interim_responses_without_end() {
    let mut raw = Raw::client(Config::client());
    let call = raw.open(Some(Duration::from_secs(1)));
    raw.frames();
    for _ in 0..10 {
        raw.send_bytes(&times(1000, &[Frame::headers(1, false, &[(":status", "103"), ("link", "</a>")])]));
    }
    assert!(raw.end.call(call).closed.is_none());
    raw.sleep(Duration::from_secs(1));
    assert_eq!(raw.end.closed(call).status.code, Code::DeadlineExceeded);
}

/// More GOAWAYs, each with a long reason, are not kept beside the first.
#[test]
fn goaways_without_end() {
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.frames();
    for _ in 0..100 {
        raw.send(&[Frame::goaway((1 << 31) - 1, 0, &"why".repeat(10_000))]);
    }
    assert_eq!(raw.frames(), []);
    raw.send(&[Frame::response(1), Frame::trailers(1, "0")]);
    assert!(raw.end.closed(call).completed);
}

#[test]
fn a_client_that_never_begins() {
    let mut config = Config::server();
    config.limits.settings_timeout = Duration::from_secs(7);
    for begun in [&b""[..], b"PRI * HTTP/2.0", PREFACE] {
        let mut raw = Raw::new(config.clone());
        raw.send_bytes(begun);
        raw.sleep(Duration::from_millis(6_999));
        assert_eq!(raw.end.disconnected, None);
        raw.sleep(Duration::from_millis(1));
        assert!(raw.end.disconnected.is_some());
    }
}

#[test]
fn a_message_a_byte_at_a_time() {
    let (mut raw, call) = with_call(|_| ());
    let message: Vec<u8> = (0..70_000).map(|i| i as u8).collect();
    let frames: Vec<u8> = prefixed(&message).iter().flat_map(|byte| Frame::data(1, false, [*byte]).encode()).collect();
    raw.send_bytes(&frames);
    assert!(raw.end.messages(call) == [&message[..]]);
    assert!(raw.frames().len() < 100, "a few WINDOW_UPDATEs");
}

#[test]
fn the_last_stream_id_of_a_client() {
    let mut raw = server(|_| ());
    serves(&mut raw, (1 << 31) - 1);
    // The next ones are 1 with a bit that means nothing, and the last one again.
    for again in [1, (1 << 31) | 1] {
        let mut raw = server(|_| ());
        serves(&mut raw, (1 << 31) - 1);
        raw.send(&[Frame::request(again, true, &[])]);
        assert_eq!(goaway(&mut raw), Some(1));
    }
}

/// A peer that has not read our SETTINGS may send what it could without them.
#[test]
fn windows_hold_from_their_acknowledgement() {
    let mut config = Config::server();
    config.limits.stream_window = 1000;
    let begun = |len: usize| [Frame::request(1, false, &[]), Frame::data(1, false, &prefixed(&[0; 30_000])[..len])];
    for (acknowledged, len, code) in [(false, 10_000, None), (true, 1000, None), (true, 1001, Some(3))] {
        let mut raw = Raw::new(config.clone());
        raw.send_bytes(PREFACE);
        raw.send(&[Frame::settings(&[])]);
        if acknowledged {
            raw.send(&[Frame::settings_ack()]);
        }
        raw.send(&begun(len));
        assert_eq!(raw.frames_of(Frame::RST_STREAM).first().map(Frame::code), code, "{acknowledged} {len}");
        assert_eq!(raw.end.disconnected, None);
    }
}
