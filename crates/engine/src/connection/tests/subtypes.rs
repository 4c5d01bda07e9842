//! What a request's content-type says of its messages, and how one is answered whose method cannot read them.

use farcall_core::{Code, Metadata, Status};

use super::{Joined, closed, raw::Raw};
use crate::{CallError, CallId, Config, Encoding, Event, Request, Subtype, frame::kind, hpack::Decoder};

type Fields = Vec<(String, String)>;

/// A server that has had one request of this content-type, whole or not.
fn asked(content_type: &str, whole: bool) -> Raw {
    let mut raw = Raw::new(Config::server());
    let fields = super::raw::REQUEST.map(|(name, value)| match name {
        "content-type" => (name, content_type),
        _ => (name, value),
    });
    raw.headers(1, whole, &fields);
    raw
}

/// The fields of the first HEADERS that were written, and whether they are all.
fn headers(raw: &mut Raw) -> (Fields, bool) {
    let frames = raw.written();
    let (head, block) = frames.iter().find(|(head, _)| head.kind == kind::HEADERS).expect("headers");
    let mut fields = Fields::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let field = |name: &[u8], value: &[u8]| fields.push((text(name), text(value)));
    Decoder::new(4096).decode(block, 16 << 10, field).unwrap();
    (fields, head.has(crate::frame::flag::END_STREAM))
}

fn value<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.iter().find(|(found, _)| found == name).map_or("", |(_, value)| value)
}

#[test]
fn an_answer_is_of_the_content_type_that_was_asked_for() {
    for (asked_for, subtype, answered) in [
        ("application/grpc", "", "application/grpc"),
        ("application/grpc;charset=utf-8", "", "application/grpc"),
        ("application/grpc+proto", "proto", "application/grpc+proto"),
        ("application/grpc+json", "json", "application/grpc+json"),
    ] {
        for trailers_only in [true, false] {
            let mut raw = asked(asked_for, true);
            let [call] = raw.requests()[..] else { panic!("{asked_for}: no call") };
            let told = raw.events.iter().find_map(|event| match event {
                Event::Request { head, .. } => Some(head.subtype.clone()),
                _ => None,
            });
            assert_eq!(told, Some(Subtype::of(subtype)));
            if !trailers_only {
                raw.connection.send_message(call, &b"x"[..]).unwrap();
            }
            raw.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
            let (fields, _) = headers(&mut raw);
            assert_eq!((value(&fields, ":status"), value(&fields, "content-type")), ("200", answered));
        }
    }
}

#[test]
fn what_the_method_cannot_read_is_refused_in_the_words_of_both() {
    for whole in [true, false] {
        let mut raw = asked("application/grpc+json", whole);
        let call = raw.requests()[0];
        raw.connection.refuse_subtype(call, "proto").unwrap();
        let (fields, end) = headers(&mut raw);
        assert!(end, "there is nothing else");
        assert_eq!(value(&fields, ":status"), "415");
        assert_eq!(value(&fields, "content-type"), "application/grpc");
        assert_eq!(value(&fields, "grpc-status"), "12");
        let text = "the method reads application/grpc and application/grpc+proto, not application/grpc+json";
        assert_eq!(value(&fields, "grpc-message"), text);
        assert!(raw.closed(call).is_some_and(|closed| closed.completed));
        // And once.
        assert_eq!(raw.connection.refuse_subtype(call, "proto"), Err(CallError::NoSuchCall));
    }
}

#[test]
fn it_cannot_be_refused_once_it_is_answered() {
    let mut raw = asked("application/grpc+json", false);
    let call = raw.requests()[0];
    raw.connection.send_headers(call, &Metadata::new()).unwrap();
    assert_eq!(raw.connection.refuse_subtype(call, "proto"), Err(CallError::HeadersSent));
    raw.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    assert_eq!(raw.connection.refuse_subtype(call, "proto"), Err(CallError::HalfClosed));
}

#[test]
fn a_request_that_is_answered_before_it_is_a_call_is_answered_in_kind() {
    let mut raw = Raw::new(Config::server());
    let mut fields = super::raw::REQUEST.to_vec();
    fields[4].1 = "application/grpc+proto";
    fields.push(("grpc-encoding", "br"));
    raw.headers(1, true, &fields);
    let (fields, _) = headers(&mut raw);
    assert_eq!((value(&fields, "content-type"), value(&fields, "grpc-status")), ("application/grpc+proto", "12"));
}

fn open(pair: &mut Joined, subtype: &str) -> CallId {
    let metadata = Metadata::new();
    let request = Request { path: "/a.B/C", authority: "test", metadata: &metadata, deadline: None };
    pair.client.open_with(request, Encoding::Identity, Subtype::of(subtype), pair.now).unwrap()
}

#[test]
fn a_client_says_what_its_messages_are_and_hears_when_they_are_not_wanted() {
    let mut pair = Joined::new();
    for subtype in ["", "proto", "json"] {
        open(&mut pair, subtype);
        let (served, head) = pair.accept();
        assert_eq!(head.subtype, Subtype::of(subtype));
        pair.server.refuse_subtype(served, "msgpack").unwrap();
        pair.settle();
        let status = closed(&mut pair.client).status;
        assert_eq!(status.code, Code::Unimplemented);
        assert!(status.message.contains("application/grpc+msgpack"), "{status:?}");
        super::events(&mut pair.server);
    }
}

#[test]
fn a_call_that_waits_for_a_stream_keeps_its_content_type() {
    let mut server = Config::server();
    server.limits.max_concurrent_streams = Some(1);
    let mut pair = Joined::with(Config::client(), server);
    pair.settle();
    open(&mut pair, "");
    let (first, _) = pair.accept();
    open(&mut pair, "json");
    pair.settle();
    pair.server.respond(first, &Status::OK, &Metadata::new()).unwrap();
    pair.settle();
    let told = super::events(&mut pair.server).into_iter().find_map(|event| match event {
        Event::Request { head, .. } => Some(head.subtype),
        _ => None,
    });
    assert_eq!(told, Some(Subtype::of("json")));
}
