//! Each bound of `Limits` that no other file tries: at the limit all is well, one past it is the end of the call or of
//! the connection.

use std::time::Duration;

use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallId, Config, ConnectionError, Limits};

use crate::support::{Frame, Raw, raw::header_block};

const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

fn server(set: impl FnOnce(&mut Limits)) -> Raw {
    let mut config = Config::server();
    set(&mut config.limits);
    Raw::server(config)
}

fn goaway(raw: &mut Raw) -> Option<u32> {
    let code = raw.frames_of(Frame::GOAWAY).first().map(Frame::code);
    let fault = match raw.end.disconnected {
        Some(ConnectionError::PeerMisbehaved(code, _)) => Some(code.0),
        _ => None,
    };
    assert_eq!(code, fault);
    code
}

#[test]
fn streams_at_once_announced_or_not() {
    let announced = |limits: &mut Limits| limits.max_concurrent_streams = Some(3);
    let unannounced = |limits: &mut Limits| limits.unannounced_streams = 3;
    for (set, name) in [(announced as fn(&mut Limits), "max_concurrent_streams"), (unannounced, "unannounced_streams")]
    {
        let mut raw = server(set);
        raw.send(&[1, 3, 5].map(|stream| Frame::request(stream, true, &[])));
        assert_eq!(raw.frames_of(Frame::RST_STREAM), []);
        raw.send(&[Frame::request(7, true, &[])]);
        assert_eq!(raw.frames_of(Frame::RST_STREAM), [Frame::reset(7, REFUSED_STREAM)]);
        assert_eq!(raw.end.struck, [(name, 1)].into());
        assert_eq!(raw.end.connection.calls(), 3);
        // One ends, so there is room for one.
        let call = raw.end.request();
        raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
        raw.collect();
        raw.send(&[Frame::request(9, true, &[])]);
        assert_eq!(raw.frames_of(Frame::RST_STREAM), []);
    }
}

/// A request in so many pieces after its HEADERS.
fn in_pieces(block: &[u8], continuations: usize) -> Vec<Frame> {
    let size = block.len().div_ceil(continuations + 1);
    let mut pieces: Vec<_> = block.chunks(size).map(<[u8]>::to_vec).collect();
    pieces.resize(continuations + 1, Vec::new());
    let last = pieces.len() - 1;
    let kind = |i| if i == 0 { Frame::HEADERS } else { Frame::CONTINUATION };
    let flags = |i| if i == last { Frame::END_HEADERS } else { 0 };
    pieces.into_iter().enumerate().map(|(i, piece)| Frame::new(kind(i), flags(i), 1, piece)).collect()
}

#[test]
fn continuations_of_one_block() {
    for (count, code) in [(4, None), (5, Some(ENHANCE_YOUR_CALM))] {
        let mut raw = server(|limits| (limits.header_block, limits.continuations) = (64 << 10, 4));
        raw.send(&in_pieces(&Frame::request(1, false, &[]).payload, count));
        assert_eq!(goaway(&mut raw), code, "{count}");
    }
}

/// A header block is never held to less than the header list it may come to. Its frames are read whole or in pieces.
fn small_blocks(limits: &mut Limits) {
    (limits.header_block, limits.max_header_list_size) = (1000, 1000);
}

#[test]
fn length_of_a_header_block() {
    let request = Frame::request(1, false, &[]).payload;
    let fill = 1000 - request.len();
    for (over, code) in [(0, None), (1, Some(ENHANCE_YOUR_CALM))] {
        let mut block = request.clone();
        // Name of one byte, and a value whose length takes three.
        block.extend(header_block(&[("k", &"v".repeat(fill + over - 6))]));
        assert_eq!(block.len(), 1000 + over);
        for (continuations, whole) in [(0, 1000), (1, 1000), (3, 1000), (0, 10), (1, 10), (3, 10)] {
            let mut raw = server(|limits| {
                small_blocks(limits);
                limits.control_frame = whole;
            });
            raw.send(&in_pieces(&block, continuations));
            assert_eq!(goaway(&mut raw), code, "{over} over, in {continuations} more frames");
        }
    }
}

/// What passes the limit of header lists ends its call and no other, up to the limit of header blocks.
#[test]
fn a_header_block_far_larger_than_a_header_list() {
    for (len, whole) in [(20_000, 64 << 10), (130_000, 64 << 10), (900_000, 64 << 10), (3 << 20, 64 << 10), (900, 16)] {
        let mut raw = server(|limits| {
            limits.control_frame = whole;
            if len < 16 << 10 {
                limits.max_header_list_size = 500;
            }
        });
        raw.send(&[Frame::request(1, false, &[])]);
        let bystander = raw.end.request();
        let mut block = Frame::request(3, true, &[]).payload;
        block.extend(header_block(&[("k", &"v".repeat(len)), ("l", "w")]));
        let mut frames = in_pieces(&block, block.len() / (1 << 20));
        for frame in &mut frames {
            frame.stream = 3;
        }
        frames[0].flags |= Frame::END_STREAM;
        raw.send(&frames);
        let answers = raw.frames_of(Frame::HEADERS);
        assert_eq!((answers.len(), answers[0].stream), (1, 3), "{len}");
        assert_eq!(goaway(&mut raw), None);
        raw.send(&[Frame::request(5, true, &[])]);
        let after = raw.end.request();
        raw.end.connection.respond(after, &Status::OK, &Metadata::new()).unwrap();
        raw.end.connection.respond(bystander, &Status::OK, &Metadata::new()).unwrap();
        raw.collect();
        assert!(raw.end.closed(bystander).completed && raw.end.closed(after).completed, "{len}");
    }
}

#[test]
fn frames_that_are_read_whole() {
    let small_blocks = |limits: &mut Limits| limits.control_frame = 1000;
    for (len, code) in [(1000, None), (1001, Some(ENHANCE_YOUR_CALM))] {
        let mut raw = server(small_blocks);
        raw.send(&[Frame::goaway(0, 0, &"d".repeat(len - 8))]);
        assert_eq!(goaway(&mut raw), code, "{len}");
    }
    // Of a type that is not known any length that a frame may have is skipped.
    let mut raw = server(small_blocks);
    raw.send(&[Frame::new(99, 0, 0, vec![0; 1 << 20]), Frame::ping([1; 8])]);
    assert_eq!(raw.frames().len(), 1);
}

/// Frames that arrive while nothing that this side writes is read.
fn unread(raw: &mut Raw, frames: &[Frame]) {
    let mut bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
    while !bytes.is_empty() && raw.end.disconnected.is_none() {
        let buffer = raw.end.connection.receive_buffer();
        let len = buffer.len().min(bytes.len());
        buffer[..len].copy_from_slice(&bytes[..len]);
        bytes.drain(..len);
        raw.end.connection.handle_received(len, raw.now);
        raw.end.drain();
    }
}

#[test]
fn answers_that_the_peer_does_not_read() {
    for frame in [Frame::ping([0; 8]), Frame::settings(&[])] {
        for (count, code) in [(50, None), (51, Some(ENHANCE_YOUR_CALM))] {
            let mut raw = server(|limits| (limits.induced_frames, limits.ping_strikes) = (50, 0));
            unread(&mut raw, &vec![frame.clone(); count]);
            assert_eq!(goaway(&mut raw), code, "{count} of {frame:?}");
        }
        // Read, there may be any number.
        let mut raw = server(|limits| (limits.induced_frames, limits.ping_strikes) = (50, 0));
        for _ in 0..100 {
            raw.send(&vec![frame.clone(); 25]);
            raw.frames();
        }
        assert_eq!(goaway(&mut raw), None);
    }
}

#[test]
fn resets_in_one_go_and_in_time() {
    let pair = |stream| [Frame::request(stream, false, &[]), Frame::reset(stream, 8)];
    let set = |limits: &mut Limits| (limits.resets, limits.resets_per_second) = (10, 5);
    let refused = |raw: &mut Raw, stream| {
        raw.send(&[Frame::request(stream, false, &[])]);
        raw.frames_of(Frame::RST_STREAM) == [Frame::reset(stream, REFUSED_STREAM)]
    };
    for (count, calm) in [(10, false), (11, true)] {
        let mut raw = server(set);
        (0..count).for_each(|i| raw.send(&pair(2 * i + 1)));
        assert_eq!(refused(&mut raw, 101), calm, "{count}");
    }
    // A second gives five back.
    for (count, calm) in [(15, false), (16, true)] {
        let mut raw = server(set);
        (0..10).for_each(|i| raw.send(&pair(2 * i + 1)));
        raw.sleep(Duration::from_secs(1));
        (10..count).for_each(|i| raw.send(&pair(2 * i + 1)));
        assert_eq!(refused(&mut raw, 101), calm, "{count}");
    }
    // Refused for a while, then served again; whoever goes on all the same is cut off.
    let mut raw = server(set);
    (0..11).for_each(|i| raw.send(&pair(2 * i + 1)));
    assert!(refused(&mut raw, 101));
    raw.sleep(Duration::from_secs(1));
    assert!(!refused(&mut raw, 103));
    for (count, code) in [(10, None), (11, Some(ENHANCE_YOUR_CALM))] {
        let mut raw = server(set);
        (0..11).for_each(|i| raw.send(&pair(2 * i + 1)));
        (0..count).for_each(|i| raw.send(&pair(2 * i + 101)));
        assert_eq!(goaway(&mut raw), code, "{count}");
    }
    // An answered call gives one back, so a peer that mostly lets calls finish may go on for ever.
    let mut raw = server(set);
    for i in 0..100 {
        raw.send(&pair(4 * i + 1));
        raw.send(&[Frame::request(4 * i + 3, true, &[])]);
        while let Some(call) = raw.end.poll_request() {
            // The other one is over.
            let _ = raw.end.connection.respond(call, &Status::OK, &Metadata::new());
        }
        assert_eq!(raw.frames_of(Frame::RST_STREAM), []);
    }
    assert_eq!(goaway(&mut raw), None);
}

/// What is not an attack does not count: calls that something was done for, and those whose time was up.
#[test]
fn resets_that_do_not_count() {
    let set = |limits: &mut Limits| (limits.resets, limits.resets_per_second) = (1, 0);
    type Reset = fn(&mut Raw, u32);
    let ways: [(&str, bool, Reset); 11] = [
        ("at once", true, |raw, id| raw.send(&[Frame::request(id, true, &[])])),
        ("long before its deadline", true, |raw, id| {
            raw.send(&[Frame::request(id, true, &[("grpc-timeout", "1S")])]);
            raw.sleep(Duration::from_millis(800));
        }),
        ("a little more than a quarter of a short time before", true, |raw, id| {
            raw.send(&[Frame::request(id, true, &[("grpc-timeout", "100m")])]);
            raw.sleep(Duration::from_millis(74));
        }),
        ("longer before the end of an hour than clocks and rounding make", true, |raw, id| {
            raw.send(&[Frame::request(id, true, &[("grpc-timeout", "1H")])]);
            raw.sleep(Duration::from_secs(3543));
        }),
        ("a message was there, and nobody took it", true, |raw, id| {
            raw.end.release = false;
            raw.send(&[Frame::request(id, false, &[]), Frame::message(id, false, b"m")]);
        }),
        ("its handler waits for its first message", true, |raw, id| {
            raw.send(&[Frame::request(id, false, &[])]);
            let call = raw.end.request();
            raw.end.connection.want(call);
        }),
        ("a message was taken", false, |raw, id| {
            raw.send(&[Frame::request(id, false, &[]), Frame::message(id, false, b"m")]);
        }),
        ("headers were sent", false, |raw, id| {
            raw.send(&[Frame::request(id, false, &[])]);
            let call = raw.end.request();
            raw.end.connection.send_headers(call, &Metadata::new()).unwrap();
        }),
        ("a little before its deadline", false, |raw, id| {
            raw.send(&[Frame::request(id, true, &[("grpc-timeout", "1S")])]);
            raw.sleep(Duration::from_millis(900));
        }),
        ("a quarter of a short time before", false, |raw, id| {
            raw.send(&[Frame::request(id, true, &[("grpc-timeout", "100m")])]);
            raw.sleep(Duration::from_millis(75));
        }),
        ("before the end of an hour, as it was rounded", false, |raw, id| {
            raw.send(&[Frame::request(id, true, &[("grpc-timeout", "1H")])]);
            raw.sleep(Duration::from_secs(3544));
        }),
    ];
    for (what, counts, way) in ways {
        let mut raw = server(set);
        for id in [1, 3] {
            way(&mut raw, id);
            raw.send(&[Frame::reset(id, 8)]);
        }
        raw.frames();
        raw.send(&[Frame::request(5, true, &[])]);
        assert_eq!(raw.frames_of(Frame::RST_STREAM).len(), usize::from(counts), "{what}");
    }
}

/// At twice what the default lets pass nobody's call ends but those of who resets.
#[test]
fn a_burst_of_cancels_hurts_no_other_call() {
    let mut raw = server(|_| ());
    raw.send(&[Frame::request(1, false, &[])]);
    let bystander = raw.end.request();
    let limit = Limits::default().resets;
    for i in 1..=2 * limit {
        raw.send(&[Frame::request(2 * i + 1, true, &[]), Frame::reset(2 * i + 1, 8)]);
    }
    raw.send(&[Frame::message(1, true, b"m")]);
    raw.end.connection.respond(bystander, &Status::OK, &Metadata::new()).unwrap();
    raw.collect();
    assert!(raw.end.closed(bystander).completed);
}

#[test]
fn streams_on_which_the_protocol_is_broken() {
    let broken = |stream| Frame::headers(stream, true, &[("no", "path")]);
    let set = |limits: &mut Limits| (limits.breaches, limits.breaches_per_second) = (10, 5);
    for (count, code) in [(10, None), (11, Some(ENHANCE_YOUR_CALM))] {
        let mut raw = server(set);
        (0..count).for_each(|i| raw.send(&[broken(2 * i + 1)]));
        assert_eq!(goaway(&mut raw), code, "{count}");
    }
    for (count, code) in [(15, None), (16, Some(ENHANCE_YOUR_CALM))] {
        let mut raw = server(set);
        (0..10).for_each(|i| raw.send(&[broken(2 * i + 1)]));
        raw.sleep(Duration::from_secs(1));
        (10..count).for_each(|i| raw.send(&[broken(2 * i + 1)]));
        assert_eq!(goaway(&mut raw), code, "{count}");
    }
}

#[test]
fn frames_without_data() {
    for (count, code) in [(7, None), (8, Some(ENHANCE_YOUR_CALM))] {
        let mut raw = server(|limits| limits.empty_frames = 7);
        raw.send(&[Frame::request(1, false, &[])]);
        for _ in 0..3 {
            raw.send(&vec![Frame::data(1, false, []); 7]);
            raw.send(&[Frame::message(1, false, b"m")]);
        }
        assert_eq!(goaway(&mut raw), None);
        raw.send(&vec![Frame::data(1, false, []); count]);
        assert_eq!(goaway(&mut raw), code, "{count}");
    }
    // Padding is no data.
    let mut raw = server(|limits| limits.empty_frames = 7);
    raw.send(&[Frame::request(1, false, &[])]);
    raw.send(&vec![Frame::new(Frame::DATA, Frame::PADDED, 1, [3, 0, 0, 0]); 8]);
    assert_eq!(goaway(&mut raw), Some(ENHANCE_YOUR_CALM));
}

#[test]
fn the_send_buffer() {
    for (len, writable) in [(994, true), (995, false)] {
        let mut raw = server(|limits| limits.send_buffer = 1000);
        raw.send(&[Frame::settings(&[(4, 0)]), Frame::request(1, true, &[])]);
        let call = raw.end.request();
        raw.end.connection.send_message(call, &vec![0; len][..]).unwrap();
        raw.collect();
        assert_eq!(raw.end.connection.writable(call), writable, "{len} and 5 bytes of prefix");
        // Half of it has to be gone before there is room again.
        raw.send(&[Frame::window_update(1, 499)]);
        assert_eq!(raw.end.call(call).writable, 0);
        raw.send(&[Frame::window_update(1, 1)]);
        assert_eq!(raw.end.call(call).writable, usize::from(!writable));
        assert!(raw.end.connection.writable(call));
    }
}

/// Opens a call of a client that lets nothing be sent.
fn unread_call(raw: &mut Raw, id: u32) -> CallId {
    raw.send(&[Frame::request(id, true, &[])]);
    raw.end.request()
}

#[test]
fn what_waits_to_be_sent_of_all_calls() {
    for (len, full) in [(489, false), (490, true)] {
        let mut raw = server(|limits| limits.unsent = 1000);
        raw.send(&[Frame::settings(&[(4, 0)])]);
        let calls = [1, 3, 5].map(|id| unread_call(&mut raw, id));
        let [first, second, third] = calls;
        raw.end.connection.send_message(first, &[0; 500][..]).unwrap();
        raw.end.connection.send_message(second, &vec![0; len][..]).unwrap();
        raw.collect();
        let writable = calls.map(|call| raw.end.connection.writable(call));
        assert_eq!(writable, [!full, !full, true], "{len} and 5 bytes of prefix");
        // Half of it has to be gone before there is room again, for every call that has some of it.
        raw.send(&[Frame::window_update(1, 499)]);
        assert_eq!(calls.map(|call| raw.end.call(call).writable), [0; 3]);
        raw.send(&[Frame::window_update(1, 1)]);
        assert_eq!(calls.map(|call| raw.end.call(call).writable), [usize::from(full); 3]);
        assert!(raw.end.connection.writable(third));
    }
}

/// Messages of calls that stand still take all the room, and a call that goes on has its next message all the same.
#[test]
fn what_waits_to_be_sent_holds_up_no_call_that_goes_on() {
    let mut raw = server(|limits| limits.unsent = 1000);
    raw.send(&[Frame::settings(&[(4, 0)])]);
    let [still, other, going] = [1, 3, 5].map(|id| unread_call(&mut raw, id));
    raw.end.connection.send_message(still, &[0; 700][..]).unwrap();
    raw.end.connection.send_message(other, &[0; 700][..]).unwrap();
    for times in 1..5 {
        assert!(raw.end.connection.writable(going));
        raw.end.connection.send_message(going, &[0; 95][..]).unwrap();
        raw.collect();
        assert!(!raw.end.connection.writable(going));
        raw.send(&[Frame::window_update(5, 99)]);
        raw.collect();
        assert_eq!(raw.end.call(going).writable, times - 1, "a byte still waits");
        raw.send(&[Frame::window_update(5, 1)]);
        raw.collect();
        assert_eq!([still, other, going].map(|call| raw.end.call(call).writable), [0, 0, times]);
        assert_eq!([still, other].map(|call| raw.end.connection.writable(call)), [false; 2]);
    }
}

#[test]
fn answers_of_all_calls_that_nobody_reads() {
    for (len, fits) in [(995, true), (996, false)] {
        let mut raw = server(|limits| (limits.unsent, limits.overdraft) = (10, 1000));
        raw.send(&[Frame::settings(&[(4, 0)])]);
        let first = unread_call(&mut raw, 1);
        raw.end.connection.send_message(first, &vec![0; len][..]).unwrap();
        let second = unread_call(&mut raw, 3);
        raw.end.connection.send_message(second, &[0; 1][..]).unwrap();
        let ended = raw.frames().into_iter().filter(|frame| frame.stream == 3 && frame.flags & Frame::END_STREAM != 0);
        assert_eq!(ended.count(), usize::from(!fits), "{len} and 5 bytes of prefix");
        // A call's own messages do not count against it.
        raw.end.connection.send_message(first, &[0; 1][..]).unwrap();
        assert_eq!(raw.end.connection.respond(first, &Status::OK, &Metadata::new()), Ok(()));
        if !fits {
            assert_eq!(raw.end.closed(second).status.code, Code::ResourceExhausted);
        }
        raw.send(&[Frame::settings(&[(4, 2000)])]);
        assert!(raw.end.closed(first).completed);
        let third = unread_call(&mut raw, 5);
        raw.end.connection.send_message(third, &[0; 100][..]).unwrap();
        assert_eq!(raw.end.connection.respond(third, &Status::OK, &Metadata::new()), Ok(()));
    }
}

#[test]
fn the_table_of_the_peers_encoder() {
    for (size, fault) in [(100, None), (101, Some(9))] {
        let mut raw = server(|limits| limits.header_table_size = 100);
        let mut request = Frame::request(1, true, &[]);
        // A dynamic table size update: 31 in the first byte, the rest in the second.
        request.payload.splice(0..0, [0x3f, size - 31]);
        raw.send(&[request]);
        assert_eq!(goaway(&mut raw), fault, "{size}");
    }
}

/// A search box with many users: calls that are given up all the time, and others between them that must be served.
#[test]
fn a_thousand_cancels_a_second_for_long() {
    let mut raw = server(|_| ());
    let mut id = 1;
    for _ in 0..600 {
        for _ in 0..100 {
            raw.send(&[Frame::request(id, true, &[]), Frame::reset(id, 8)]);
            id += 2;
        }
        raw.send(&[Frame::request(id, true, &[])]);
        while let Some(call) = raw.end.poll_request() {
            // Those that were given up are over.
            let _ = raw.end.connection.respond(call, &Status::OK, &Metadata::new());
        }
        assert_eq!(raw.frames_of(Frame::RST_STREAM), [], "stream {id}");
        id += 2;
        raw.sleep(Duration::from_millis(100));
    }
    assert_eq!(goaway(&mut raw), None);
}
