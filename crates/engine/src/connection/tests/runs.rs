//! Small messages that go and come together.

use bytes::Bytes;
use farcall_core::{Code, Metadata, Status};

use super::{Joined, closed, events};
use crate::{CallError, CallId, Config, Encoding, Event, Request, Run, RunBuilder};

fn run(messages: &[Bytes]) -> Run {
    let mut builder = RunBuilder::default();
    for message in messages {
        let result: Result<(), ()> = builder.push(|buffer| {
            buffer.extend_from_slice(message);
            Ok(())
        });
        result.unwrap();
    }
    builder.take()
}

fn messages() -> Vec<Bytes> {
    (0..2000).map(|index| super::pattern(index % 40)).chain([0, 2048, 2049, 9000, 3].map(super::pattern)).collect()
}

fn config(runs: bool) -> Config {
    Config { runs, ..Config::server() }
}

fn open(pair: &mut Joined, encoding: Encoding) -> (CallId, CallId) {
    let metadata = Metadata::new();
    let request = Request { path: "/a.B/C", authority: "test", metadata: &metadata, deadline: None };
    let call = pair.client.open_encoded(request, encoding, pair.now).unwrap();
    let (served, _) = pair.accept();
    (call, served)
}

/// What came to the server: the messages, and how many events told them.
fn received(pair: &mut Joined) -> (Vec<Bytes>, usize) {
    let (mut found, mut told) = (Vec::new(), 0);
    for event in events(&mut pair.server) {
        match event {
            Event::Message { message, .. } => found.push(message),
            Event::Messages { run, .. } => found.extend(run),
            Event::HalfClosed { .. } => continue,
            other => panic!("{other:?}"),
        }
        told += 1;
    }
    (found, told)
}

#[test]
fn come_as_they_went_in_any_chop_and_are_accounted_for_alike() {
    for chop in [7, 1_000, usize::MAX] {
        let mut unread = Vec::new();
        for runs in [false, true] {
            let mut pair = Joined::with(Config::client(), config(runs));
            let (call, served) = open(&mut pair, Encoding::Identity);
            pair.chop = chop;
            pair.client.send_run(call, run(&messages()), true).unwrap();
            pair.client.half_close(call).unwrap();
            pair.settle();
            unread.push(pair.server.ledger().unread);
            let (found, told) = received(&mut pair);
            assert!(found == messages(), "chopped by {chop}, in runs: {runs}");
            assert_eq!(told < found.len() / 2, runs && chop > 7, "{told} events in pieces of {chop}");
            let bytes = found.iter().map(Bytes::len).sum();
            pair.server.release_many(served, found.len(), bytes);
            assert_eq!(pair.server.ledger().unread, 0);
        }
        assert_eq!(unread[0], unread[1]);
    }
}

#[test]
fn are_compressed_one_by_one() {
    let mut pair = Joined::with(Config::client(), config(true));
    let (call, _) = open(&mut pair, Encoding::Gzip);
    let sent = vec![Bytes::from(vec![7; 1000]), Bytes::from_static(b"x"), Bytes::from(vec![8; 1000])];
    pair.client.send_run(call, run(&sent), true).unwrap();
    pair.client.send_run(call, run(&sent), false).unwrap();
    pair.settle();
    assert!(received(&mut pair).0 == [&sent[..], &sent].concat());
}

#[test]
fn keep_the_limit_of_a_message_each() {
    for (limit, fits) in [(5, true), (4, false)] {
        let mut client = Config::client();
        client.limits.max_send_message_length = Some(limit);
        let mut pair = Joined::with(client, config(true));
        let (call, _) = open(&mut pair, Encoding::Identity);
        let sent = ["four", "seven", "six"].map(|text| Bytes::copy_from_slice(&text.as_bytes()[..text.len().min(5)]));
        let result = pair.client.send_run(call, run(&sent), true);
        assert_eq!(result, if fits { Ok(()) } else { Err(CallError::NoSuchCall) });
        pair.settle();
        if fits {
            assert!(received(&mut pair).0 == sent);
        } else {
            assert_eq!(closed(&mut pair.client).status.code, Code::ResourceExhausted);
        }
    }
}

/// A run that came may be longer as a whole than one message may be.
#[test]
fn go_on_to_another_connection_as_they_came() {
    let mut server = config(true);
    server.limits.max_send_message_length = Some(8);
    let mut pair = Joined::with(Config { runs: true, ..Config::client() }, server);
    let (call, served) = open(&mut pair, Encoding::Identity);
    let sent = [Bytes::from_static(b"ping"), Bytes::from_static(b"ping too")];
    pair.client.send_run(call, run(&sent), true).unwrap();
    pair.settle();
    let Some(Event::Messages { run, .. }) = events(&mut pair.server).pop() else { panic!("a run") };
    pair.server.send_run(served, run, true).unwrap();
    pair.server.respond(served, &Status::OK, &Metadata::new()).unwrap();
    assert_eq!(pair.server.send_run(served, Run::default(), true), Ok(()), "nothing is nothing");
    pair.settle();
    let found = events(&mut pair.client);
    let [Event::Headers { .. }, Event::Messages { run, .. }, Event::Closed { .. }] = &found[..] else {
        panic!("{found:?}")
    };
    assert!(run.clone().eq(sent));
}

/// Each is compressed where the call is, unless it is not to be.
#[test]
fn are_compressed_only_where_that_was_asked_for() {
    let zeros = vec![Bytes::from(vec![0; 1000]); 3];
    for (encoding, compress, small) in
        [(Encoding::Identity, true, false), (Encoding::Gzip, false, false), (Encoding::Gzip, true, true)]
    {
        let mut pair = Joined::with(Config::client(), config(true));
        let (call, _) = open(&mut pair, encoding);
        pair.client.send_run(call, run(&zeros), compress).unwrap();
        assert_eq!(pair.client.unsent < 300, small, "{encoding:?}, {compress}");
        assert_eq!(pair.client.unsent == 3 * 1005, !small, "{encoding:?}, {compress}");
        pair.settle();
        assert!(received(&mut pair).0 == zeros);
    }
}

/// A server may answer with one at once: its headers come before.
#[test]
fn come_behind_headers_and_end_with_their_call() {
    let mut pair = Joined::with(Config { runs: true, ..Config::client() }, config(true));
    let (_, served) = open(&mut pair, Encoding::Identity);
    let sent = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let mut initial = Metadata::new();
    initial.append("k", "v").unwrap();
    pair.server.send_headers(served, &initial).unwrap();
    pair.server.send_run(served, run(&sent), true).unwrap();
    pair.settle();
    let found = events(&mut pair.client);
    let [Event::Headers { metadata, .. }, Event::Messages { run: came, .. }] = &found[..] else { panic!("{found:?}") };
    assert_eq!(metadata.len(), 1);
    assert!(came.clone().eq(sent.clone()));
    pair.server.respond(served, &Status::OK, &Metadata::new()).unwrap();
    assert_eq!(pair.server.send_run(served, run(&sent), true), Err(CallError::HalfClosed));
}

/// They count for what all calls may have waiting, and are no way around it.
#[test]
fn fill_the_memory_for_what_waits_as_messages_do() {
    let mut client = Config::client();
    client.limits.unsent = 1_000;
    let mut pair = Joined::with(client, config(true));
    let (call, _) = open(&mut pair, Encoding::Identity);
    let (other, _) = open(&mut pair, Encoding::Identity);
    pair.client.send_message(other, Bytes::from_static(b"x")).unwrap();
    assert!(pair.client.writable(other));
    pair.client.send_run(call, run(&[super::pattern(500), super::pattern(484)]), true).unwrap();
    assert_eq!(pair.client.unsent, 1_000);
    assert!(!pair.client.writable(other), "what all have waiting is at its limit");
    pair.client.send_run(call, run(&[super::pattern(1), super::pattern(2)]), true).unwrap();
    pair.settle();
    assert!(pair.client.writable(other));
    assert_eq!(pair.client.unsent, 0);
    assert_eq!(received(&mut pair).0.len(), 5);
}

/// Those that come behind a compressed message wait for it, and are counted while they do.
#[test]
fn wait_behind_compressed_messages() {
    let mut server = config(true);
    server.limits.unread = 8 * 1000;
    let mut pair = Joined::with(Config::client(), server);
    let (other, _) = open(&mut pair, Encoding::Identity);
    let (call, served) = open(&mut pair, Encoding::Gzip);
    pair.client.send_message(other, super::pattern(300)).unwrap();
    pair.settle();
    events(&mut pair.server);
    let unread = pair.server.ledger().unread;
    let large = Bytes::from(vec![7; 100_000]);
    let small = [super::pattern(40), super::pattern(50), super::pattern(60)];
    for _ in 0..3 {
        pair.client.send_message(call, large.clone()).unwrap();
    }
    pair.client.send_run(call, run(&small), false).unwrap();
    pair.client.send_message_with(call, &b"last"[..], false).unwrap();
    pair.settle();
    let mut found = Vec::new();
    for round in 0..10 {
        for event in events(&mut pair.server) {
            let (messages, bytes) = match event {
                Event::Message { message, .. } => {
                    found.push(message);
                    (1, found.last().unwrap().len())
                }
                Event::Messages { run, .. } => {
                    let of_run = (run.len(), run.body_len());
                    found.extend(run);
                    of_run
                }
                Event::LargeMessage { call } => {
                    pair.server.want(call);
                    continue;
                }
                Event::Struck { .. } => continue,
                other => panic!("{other:?}"),
            };
            pair.server.release_many(served, messages, bytes);
        }
        if round == 0 {
            assert!(found.len() < 7, "some wait");
        }
    }
    let expected: Vec<Bytes> =
        [large.clone(), large.clone(), large].into_iter().chain(small).chain([Bytes::from_static(b"last")]).collect();
    assert!(found == expected, "{:?}", found.iter().map(Bytes::len).collect::<Vec<_>>());
    assert_eq!(pair.server.ledger().unread, unread, "what another call has");
    assert_eq!(pair.server.store.live(served).unwrap().packed_cost, 0);
}
