//! Large messages, which the transport reads where they belong.

use bytes::Bytes;
use farcall_core::{Code, Status};

use super::{events, pattern, raw::Raw};
use crate::{CallId, Config, Event, frame::kind, grpc::message::prefix};

const LEN: usize = 1_000_000;

/// A server that has seen the begin of a message of `LEN` bytes, all of it in one frame.
fn begun(mut config: Config) -> (Raw, CallId, Bytes) {
    config.limits.initial_stream_window = 4 << 20;
    let mut raw = Raw::new(config);
    raw.request(1, false);
    let message = pattern(LEN);
    let call = begin(&mut raw, &message);
    (raw, call, message)
}

/// The first bytes of the message come; returns its call.
fn begin(raw: &mut Raw, message: &Bytes) -> CallId {
    let length = (message.len() + 5) as u32;
    let head = crate::frame::Head { length, kind: kind::DATA, flags: 0, stream: 1 };
    raw.bytes(&[&head.encode()[..], &prefix(message.len(), false), &message[..1000]].concat());
    match &raw.events[..] {
        [Event::Request { call, .. }] => *call,
        [] => raw.connection.store.by_id(1).unwrap().call,
        other => panic!("{other:?}"),
    }
}

/// Reads `bytes` as a vectored read does, until they are all in; says how many of them were read where they belong.
fn read(raw: &mut Raw, mut bytes: &[u8]) -> usize {
    let mut placed = 0;
    while !bytes.is_empty() {
        let [first, second] = raw.connection.receive_buffers();
        let (direct, into_first) = (!second.is_empty(), first.len().min(bytes.len()));
        first[..into_first].copy_from_slice(&bytes[..into_first]);
        let into_second = second.len().min(bytes.len() - into_first);
        second[..into_second].copy_from_slice(&bytes[into_first..][..into_second]);
        raw.connection.handle_received(into_first + into_second, raw.now);
        bytes = &bytes[into_first + into_second..];
        placed += if direct { into_first } else { 0 };
    }
    placed
}

fn message(raw: &mut Raw) -> Bytes {
    match &events(&mut raw.connection)[..] {
        [Event::Message { message, .. }] => message.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn are_read_where_they_belong_and_what_follows_behind() {
    let (mut raw, call, sent) = begun(Config::server());
    let ping = [&[0, 0, 8, kind::PING, 0, 0, 0, 0, 0][..], &[7; 8]].concat();
    let placed = read(&mut raw, &[&sent[1000..], &ping].concat());
    assert!(placed >= LEN - (64 << 10), "{placed}");
    assert!(message(&mut raw) == sent);
    assert_eq!(raw.connection.ledger().unread, LEN + 64);
    let written = raw.written();
    assert!(written.iter().any(|(head, payload)| head.kind == kind::PING && payload == &[7; 8]), "{written:?}");
    raw.connection.release(call, LEN);
    assert_eq!(raw.connection.ledger().unread, 0);
}

#[test]
fn come_whole_in_reads_of_any_length() {
    for step in [1 << 10, 65_536, 100_001, LEN] {
        let (mut raw, _, sent) = begun(Config::server());
        for piece in sent[1000..].chunks(step) {
            read(&mut raw, piece);
        }
        assert!(message(&mut raw) == sent, "read by {step}");
    }
}

#[test]
fn what_was_read_for_a_call_that_is_over_by_then_is_dropped() {
    let (mut raw, call, sent) = begun(Config::server());
    let [first, _] = raw.connection.receive_buffers();
    let len = first.len();
    first.copy_from_slice(&sent[1000..][..len]);
    raw.connection.cancel(call, Status::from(Code::Cancelled));
    raw.connection.handle_received(len, raw.now);
    read(&mut raw, &sent[1000 + len..]);
    assert!(matches!(&events(&mut raw.connection)[..], [Event::Closed { .. }]));
    raw.bytes(&[0, 0, 8, kind::PING, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(raw.connection.error().is_none(), "the frames behind it are still understood");
    assert!(raw.written().iter().any(|(head, _)| head.kind == kind::PING));
}

#[test]
fn use_their_buffers_again_but_do_not_keep_them_for_ever() {
    let (mut raw, call, sent) = begun(Config::server());
    read(&mut raw, &sent[1000..]);
    raw.events.clear();
    let mut last = message(&mut raw);
    let place = last.as_ptr();
    for turn in 0..3 {
        raw.connection.release(call, LEN);
        let held = (turn == 2).then_some(last);
        begin(&mut raw, &sent);
        read(&mut raw, &sent[1000..]);
        last = message(&mut raw);
        assert!(last == sent);
        assert_eq!(last.as_ptr() == place, held.is_none(), "a buffer that is in use is left alone");
    }
    drop(last);
    assert!(!raw.connection.arena.spares.is_empty());
    let ticks = raw.let_quiet();
    assert_eq!(ticks, 2);
    assert!(raw.connection.arena.spares.is_empty());
}
