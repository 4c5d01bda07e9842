//! The four kinds of calls, and what travels with them.

use bytes::{Buf, Bytes};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{CallError, Config};

use crate::support::{Frame, Pair, Raw, words};

fn metadata(entries: &[(&str, &[u8])]) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in entries {
        metadata.append(key, value).unwrap();
    }
    metadata
}

fn pairs(metadata: &Metadata) -> Vec<(&str, &[u8])> {
    metadata.iter().collect()
}

/// Without `user-agent`, which the client adds by itself.
fn custom(metadata: &Metadata) -> Vec<(&str, &[u8])> {
    metadata.iter().filter(|(key, _)| *key != "user-agent").collect()
}

#[test]
fn both_ends_become_ready() {
    let mut pair = Pair::calm();
    assert!(!pair.client.ready);
    pair.run();
    assert!(pair.client.ready && pair.server.ready);
    assert!(pair.client.connection.accepts_calls());
    assert_eq!((pair.client.connection.calls(), pair.server.connection.calls()), (0, 0));
}

#[test]
fn unary() {
    let mut pair = Pair::calm();
    let call = pair.open("/helloworld.Greeter/SayHello");
    pair.client.connection.send_message(call, &b"hi"[..]).unwrap();
    pair.client.connection.half_close(call).unwrap();
    pair.run();

    let served = pair.server.request();
    let seen = pair.server.call(served);
    let head = seen.head.as_ref().unwrap();
    assert_eq!((&*head.path, &*head.authority), ("/helloworld.Greeter/SayHello", "test.example"));
    assert_eq!(head.deadline, None);
    let agent = concat!("farcall/", env!("CARGO_PKG_VERSION"));
    assert_eq!(pairs(&head.metadata), [("user-agent", agent.as_bytes())]);
    assert_eq!(seen.messages, [&b"hi"[..]]);
    assert!(seen.half_closed);
    assert_eq!((pair.client.connection.calls(), pair.server.connection.calls()), (1, 1));

    pair.server.connection.send_message(served, &b"hello"[..]).unwrap();
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();

    let seen = pair.client.call(call);
    assert_eq!(seen.headers, Some(Metadata::new()));
    assert_eq!(seen.messages, [&b"hello"[..]]);
    let closed = pair.client.closed(call);
    assert_eq!(closed.status, Status::OK);
    assert!(closed.completed && !closed.unprocessed);
    let closed = pair.server.closed(served);
    assert_eq!(closed.status, Status::OK);
    assert!(closed.completed);
    assert_eq!((pair.client.connection.calls(), pair.server.connection.calls()), (0, 0));
}

/// What hands write at once: a whole request, a whole answer.
#[test]
fn a_unary_call_takes_one_write_each_way() {
    let kinds = |raw: &mut Raw| -> Vec<(u8, u8)> {
        let transmit = raw.end.connection.poll_transmit(raw.now).expect("there is something to write");
        let mut bytes = transmit.copy_to_bytes(transmit.remaining()).to_vec();
        assert!(raw.end.connection.poll_transmit(raw.now).is_none(), "that was all");
        Frame::decode_all(&mut bytes).iter().map(|frame| (frame.kind, frame.flags & Frame::END_STREAM)).collect()
    };
    let mut raw = Raw::client(Config::client());
    let call = raw.open(None);
    raw.end.connection.send_message(call, &b"hi"[..]).unwrap();
    raw.end.connection.half_close(call).unwrap();
    assert_eq!(kinds(&mut raw), [(Frame::HEADERS, 0), (Frame::DATA, Frame::END_STREAM)]);

    let mut raw = Raw::server(Config::server());
    raw.send(&[Frame::request(1, false, &[]), Frame::message(1, true, b"hi")]);
    raw.frames();
    let call = raw.end.request();
    raw.end.connection.send_message(call, &b"hello"[..]).unwrap();
    raw.end.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    assert_eq!(kinds(&mut raw), [(Frame::HEADERS, 0), (Frame::DATA, 0), (Frame::HEADERS, Frame::END_STREAM)]);
}

#[test]
fn server_streaming() {
    let mut pair = Pair::calm();
    let call = pair.open("/s.S/M");
    pair.client.connection.send_message(call, &b"go"[..]).unwrap();
    pair.client.connection.half_close(call).unwrap();
    pair.run();
    let served = pair.server.request();
    for i in 0..100u8 {
        pair.server.connection.send_message(served, &[i][..]).unwrap();
        pair.run();
        assert_eq!(pair.client.messages(call), [&[i][..]]);
    }
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();
    assert!(pair.client.messages(call).is_empty());
    assert!(pair.client.closed(call).status.is_ok());
}

#[test]
fn client_streaming() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    for i in 0..100u8 {
        pair.client.connection.send_message(call, &[i][..]).unwrap();
        pair.run();
        assert_eq!(pair.server.messages(served), [&[i][..]]);
        assert!(!pair.server.call(served).half_closed);
    }
    pair.client.connection.half_close(call).unwrap();
    pair.run();
    assert!(pair.server.call(served).half_closed);
    pair.server.connection.send_message(served, &b"sum"[..]).unwrap();
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();
    assert_eq!(pair.client.messages(call), [&b"sum"[..]]);
    assert!(pair.client.closed(call).status.is_ok());
}

#[test]
fn bidirectional_streaming() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    for i in 0..100u8 {
        pair.client.connection.send_message(call, &[i][..]).unwrap();
        pair.run();
        for message in pair.server.messages(served) {
            pair.server.connection.send_message(served, message).unwrap();
        }
        pair.run();
        assert_eq!(pair.client.messages(call), [&[i][..]]);
    }
    pair.client.connection.half_close(call).unwrap();
    pair.run();
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();
    assert!(pair.client.closed(call).status.is_ok());
}

#[test]
fn messages_of_every_size_class_arrive_unchanged() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    for len in [0, 1, 4, 5, 255, 16_379, 16_380, 16_384, 65_535, 65_536, 1 << 20, 4 << 20] {
        let message: Bytes = (0..len).map(|i| (i * 31 % 251) as u8).collect::<Vec<_>>().into();
        pair.client.connection.send_message(call, &message[..]).unwrap();
        pair.server.connection.send_message(served, message.clone()).unwrap();
        pair.run();
        assert!(pair.server.messages(served) == [&message], "{len} bytes to the server");
        assert!(pair.client.messages(call) == [&message], "{len} bytes to the client");
    }
}

#[test]
fn metadata_travels_both_ways() {
    let mut pair = Pair::calm();
    let sent: &[(&str, &[u8])] =
        &[("k", b"v"), ("k", b"w"), ("empty", b""), ("b-bin", &[0, 1, 254, 255]), ("e-bin", b""), ("grpc-foo", b"1")];
    let call = pair.open_with("/s.S/M", &metadata(sent), None).unwrap();
    pair.run();
    let served = pair.server.request();
    assert_eq!(custom(&pair.server.call(served).head.as_ref().unwrap().metadata), sent);

    pair.server.connection.send_headers(served, &metadata(sent)).unwrap();
    pair.run();
    assert_eq!(pairs(pair.client.call(call).headers.as_ref().unwrap()), sent);
    assert_eq!(
        pair.server.connection.send_headers(served, &Metadata::new()),
        Err(CallError::HeadersSent),
        "headers go once"
    );
    pair.server.connection.send_message(served, &b"m"[..]).unwrap();
    pair.server.connection.respond(served, &Status::OK, &metadata(sent)).unwrap();
    pair.run();
    assert_eq!(pairs(&pair.client.closed(call).trailers), sent);
}

#[test]
fn an_error_without_a_message_is_trailers_only() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    let status = Status::new(Code::NotFound, "no ☃ 100 %\n");
    let trailers = metadata(&[("why", b"because"), ("grpc-status-details-bin", &[8, 5])]);
    pair.server.connection.respond(served, &status, &trailers).unwrap();
    pair.run();
    let seen = pair.client.call(call);
    assert_eq!(seen.headers, None);
    let closed = pair.client.closed(call);
    assert_eq!((&closed.status, &closed.trailers), (&status, &trailers));
    assert!(closed.completed);
    assert_eq!(pair.server.closed(served).status, status);
}

#[test]
fn every_code_arrives() {
    let mut pair = Pair::calm();
    for code in Code::ALL {
        let (call, served) = pair.started("/s.S/M");
        let status = Status::new(code, if code == Code::Ok { "" } else { "text" });
        pair.server.connection.respond(served, &status, &Metadata::new()).unwrap();
        pair.run();
        assert_eq!(pair.client.closed(call).status, status);
    }
}

#[test]
fn an_answer_before_the_half_close_ends_the_call_for_both() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    pair.client.connection.send_message(call, &b"one"[..]).unwrap();
    pair.run();
    let status = Status::new(Code::InvalidArgument, "enough");
    pair.server.connection.respond(served, &status, &Metadata::new()).unwrap();
    pair.run();
    assert_eq!(words(pair.client.closed(call)), ("INVALID_ARGUMENT", "enough"));
    assert_eq!(pair.client.connection.send_message(call, &b"two"[..]), Err(CallError::NoSuchCall));
    assert_eq!(pair.client.connection.half_close(call), Err(CallError::NoSuchCall));
    pair.run();
    assert_eq!((pair.client.connection.calls(), pair.server.connection.calls()), (0, 0));
    assert!(pair.client.disconnected.is_none() && pair.server.disconnected.is_none());
}

#[test]
fn what_was_sent_before_the_answer_arrives_before_it() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    let big = Bytes::from(vec![7; 3 << 20]);
    pair.server.connection.send_message(served, big.clone()).unwrap();
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();
    assert!(pair.client.messages(call) == [big]);
    assert!(pair.client.closed(call).completed);
}

#[test]
fn many_calls_share_the_connection() {
    let mut pair = Pair::calm();
    pair.run();
    let calls: Vec<_> = (0..500u32)
        .map(|i| {
            let call = pair.open(&format!("/s.S/M{i}"));
            pair.client.connection.send_message(call, &i.to_be_bytes()[..]).unwrap();
            pair.client.connection.half_close(call).unwrap();
            call
        })
        .collect();
    pair.run();
    assert_eq!(pair.server.connection.calls(), 500);
    let mut served: Vec<_> = std::iter::from_fn(|| pair.server.poll_request()).collect();
    pair.rng.shuffle(&mut served);
    for call in served {
        let message = pair.server.messages(call).remove(0);
        pair.server.connection.send_message(call, message).unwrap();
        pair.server.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
    }
    pair.run();
    for (i, call) in (0u32..).zip(calls) {
        assert_eq!(pair.client.messages(call), [&i.to_be_bytes()[..]]);
        assert!(pair.client.closed(call).status.is_ok());
    }
}

#[test]
fn calls_past_the_peers_limit_wait_their_turn() {
    let mut server = Config::server();
    server.limits.max_concurrent_streams = Some(2);
    let mut pair = Pair::with(Config::client(), server);
    pair.run();
    let calls: Vec<_> = (0..5).map(|i| pair.open(&format!("/s.S/M{i}"))).collect();
    for (i, call) in calls.iter().enumerate() {
        pair.client.connection.send_message(*call, &[i as u8][..]).unwrap();
        pair.client.connection.half_close(*call).unwrap();
    }
    let mut order = Vec::new();
    pair.run();
    assert_eq!(pair.client.connection.calls(), 5);
    assert_eq!(pair.server.connection.calls(), 2);
    while let Some(served) = pair.server.poll_request() {
        order.push(pair.server.messages(served)[0][0]);
        pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
        pair.run();
        assert!(pair.server.connection.calls() <= 2);
    }
    assert_eq!(order, [0, 1, 2, 3, 4]);
    assert!(calls.iter().all(|call| pair.client.closed(*call).completed));
}

#[test]
fn verbs_of_the_other_role_are_refused() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    assert_eq!(pair.client.connection.send_headers(call, &Metadata::new()), Err(CallError::WrongRole));
    assert_eq!(pair.client.connection.respond(call, &Status::OK, &Metadata::new()), Err(CallError::WrongRole));
    assert_eq!(pair.server.connection.half_close(served), Err(CallError::WrongRole));
    pair.run();
    assert!(pair.client.disconnected.is_none() && pair.server.disconnected.is_none());
}

#[test]
fn nothing_follows_a_half_close_or_an_answer() {
    let mut pair = Pair::calm();
    let (call, served) = pair.started("/s.S/M");
    pair.client.connection.half_close(call).unwrap();
    assert_eq!(pair.client.connection.send_message(call, &b"x"[..]), Err(CallError::HalfClosed));
    assert_eq!(pair.client.connection.half_close(call), Err(CallError::HalfClosed));
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    assert!(pair.server.connection.send_message(served, &b"x"[..]).is_err());
    assert!(pair.server.connection.respond(served, &Status::OK, &Metadata::new()).is_err());
}

#[test]
fn a_dead_call_id_is_refused_even_when_its_slot_is_used_again() {
    let mut pair = Pair::calm();
    let (old, served) = pair.started("/s.S/Old");
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();
    let (new, _) = pair.started("/s.S/New");
    assert_eq!(old.index(), new.index(), "the slot is used again");
    assert_eq!(pair.client.connection.send_message(old, &b"x"[..]), Err(CallError::NoSuchCall));
    pair.client.connection.cancel(old, Status::from(Code::Cancelled));
    pair.client.connection.release(old, 10);
    assert!(!pair.client.connection.writable(old));
    pair.run();
    assert!(pair.client.call(new).closed.is_none());
}
