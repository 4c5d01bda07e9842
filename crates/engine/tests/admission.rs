//! Bounds that hold back: calls wait for what others keep, and none ends because of another's bytes.

use bytes::Bytes;
use farcall_core::{Metadata, Status};
use farcall_engine::{CallId, Config, Limits};

use crate::support::Pair;

fn pair(set: impl FnOnce(&mut Limits)) -> Pair {
    let mut server = Config::server();
    set(&mut server.limits);
    let mut pair = Pair::with(Config::client(), server);
    (pair.server.release, pair.server.want) = (false, false);
    pair
}

/// So many calls, each with so many messages of 1 MiB; the server's handles.
fn uploads(pair: &mut Pair, calls: usize, messages: usize) -> Vec<CallId> {
    let message = Bytes::from(vec![7; 1 << 20]);
    for _ in 0..calls {
        let call = pair.open("/s.S/Upload");
        for _ in 0..messages {
            pair.client.connection.send_message(call, message.clone()).unwrap();
        }
        pair.client.connection.half_close(call).unwrap();
    }
    pair.run();
    std::iter::from_fn(|| pair.server.poll_request()).collect()
}

/// What the server keeps, in bytes.
fn kept(pair: &Pair) -> usize {
    pair.server.seen.values().flat_map(|seen| &seen.messages).map(Bytes::len).sum()
}

/// A pool of two serves many calls that all have much to send: those that wait for the pool hold up neither the
/// connection nor the memory.
#[test]
fn calls_that_wait_for_a_pool_hold_up_none_that_run() {
    let mut pair = pair(|_| ());
    let mut calls = uploads(&mut pair, 100, 10);
    assert_eq!(calls.len(), 100);
    let mut most = kept(&pair);
    while !calls.is_empty() {
        let running: Vec<CallId> = calls.drain(..2).collect();
        let mut left = [10usize; 2];
        while left != [0; 2] {
            let mut moved = false;
            for (call, left) in running.iter().zip(&mut left) {
                for message in pair.server.messages(*call) {
                    pair.server.connection.release(*call, message.len());
                    *left -= 1;
                    moved = true;
                }
                if *left > 0 {
                    pair.server.connection.want(*call);
                }
            }
            pair.run();
            most = most.max(kept(&pair));
            assert!(moved || running.iter().any(|call| !pair.server.call(*call).messages.is_empty()), "nothing moves");
        }
        for call in running {
            assert!(pair.server.call(call).half_closed);
            pair.server.connection.respond(call, &Status::OK, &Metadata::new()).unwrap();
        }
    }
    pair.run();
    assert!(pair.client.seen.values().all(|seen| seen.closed.as_ref().is_some_and(|closed| closed.status.is_ok())));
    assert!(most <= 80 << 20, "{most} bytes were kept at once");
}

/// Messages of a kind that a handler needs whole before it begins: all come, a few at a time.
#[test]
fn messages_that_are_too_many_at_once_come_one_after_the_other() {
    let mut pair = pair(|limits| limits.incomplete = 4 << 20);
    let calls = uploads(&mut pair, 50, 1);
    let mut served = 0;
    while served < calls.len() {
        let before = served;
        assert!(kept(&pair) <= 5 << 20, "{} bytes at once", kept(&pair));
        for call in &calls {
            for message in pair.server.messages(*call) {
                pair.server.connection.release(*call, message.len());
                pair.server.connection.respond(*call, &Status::OK, &Metadata::new()).unwrap();
                served += 1;
            }
        }
        pair.run();
        assert!(served > before, "nothing comes after {served}");
    }
    assert!(pair.client.seen.values().all(|seen| seen.closed.as_ref().is_some_and(|closed| closed.status.is_ok())));
}

/// One message has always room, however large, and so has one that somebody waits for, whatever lies about.
#[test]
fn what_somebody_waits_for_comes_past_what_nobody_takes() {
    let mut pair = pair(|limits| (limits.incomplete, limits.max_receive_message_length) = (1 << 20, None));
    let idle = uploads(&mut pair, 20, 1);
    let came = idle.iter().filter(|call| !pair.server.call(**call).messages.is_empty()).count();
    assert!((1..20).contains(&came), "{came} of 20 came");
    let call = pair.open("/s.S/M");
    pair.client.connection.send_message(call, Bytes::from(vec![1; 20 << 20])).unwrap();
    pair.run();
    let served = pair.server.request();
    assert!(pair.server.messages(served).is_empty(), "it waits for those before it");
    pair.server.connection.want(served);
    pair.run();
    assert_eq!(pair.server.messages(served).len(), 1);
}

/// Readers that pause keep what they have, and every other call of the connection goes on, large or small.
#[test]
fn paused_streams_hold_up_no_other_call() {
    let mut pair = pair(|limits| limits.unread = 8 << 20);
    let paused = uploads(&mut pair, 40, 10);
    for call in &paused {
        pair.server.connection.want(*call);
        pair.run();
        for message in pair.server.messages(*call) {
            pair.server.connection.release(*call, message.len());
        }
        pair.run();
    }
    pair.server.release = true;
    pair.server.want = true;
    for len in [10, 60_000, 4 << 20] {
        let (call, served) = pair.started("/s.S/M");
        pair.client.connection.send_message(call, Bytes::from(vec![1; len])).unwrap();
        pair.run();
        assert_eq!(pair.server.messages(served).len(), 1, "one of {len} bytes");
    }
    let kept = kept(&pair);
    assert!(kept <= (8 << 20) + (65 << 20), "{kept} bytes were kept");
}

/// A message that nobody waited for yet goes on when somebody does, before others that came first.
#[test]
fn calls_that_end_in_line_make_room_and_are_forgotten() {
    let mut pair = pair(|limits| limits.incomplete = 1);
    let message = Bytes::from(vec![7; 1 << 20]);
    let mut calls: Vec<CallId> = Vec::new();
    for _ in 0..100 {
        let call = pair.open("/s.S/M");
        pair.client.connection.send_message(call, message.clone()).unwrap();
        pair.run();
        calls.push(call);
    }
    let last = calls.pop().unwrap();
    for call in calls {
        pair.client.connection.cancel(call, Status::from(farcall_core::Code::Cancelled));
    }
    pair.run();
    let served = std::iter::from_fn(|| pair.server.poll_request()).last().unwrap();
    assert_eq!(pair.server.messages(served).len(), 1);
    pair.client.connection.cancel(last, Status::from(farcall_core::Code::Cancelled));
    pair.run();
    assert_eq!(pair.server.connection.calls(), 0);
}
