//! Connections that share one budget: what one has, another waits for, and nobody waits for ever or ends for another.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use farcall_core::{Metadata, Status};
use farcall_engine::{Budget, CallId, Config, Encoding, ErrorCode};

use crate::support::{Frame, Pair, Raw};

const MIB: usize = 1 << 20;

/// How soon a connection that waits asks again, and how long one message past the limit keeps others out.
const RETRY: Duration = Duration::from_millis(20);
const TURN: Duration = Duration::from_millis(100);

fn config(budget: &Arc<Budget>) -> Config {
    Config { budget: Some(Arc::clone(budget)), ..Config::server() }
}

/// Clients with a server each, all of whose connections share a budget, and whose messages nobody takes.
fn pairs<const N: usize>(limit: usize) -> (Arc<Budget>, [Pair; N]) {
    let budget = Arc::new(Budget::new(limit));
    let mut pairs = [(); N].map(|()| Pair::with(Config::client(), config(&budget)));
    let now = pairs.iter().map(|pair| pair.now).max().unwrap();
    for pair in &mut pairs {
        (pair.server.release, pair.server.want) = (false, false);
        pair.now = now;
    }
    (budget, pairs)
}

/// So many unary calls with a message of so many bytes.
fn upload(pair: &mut Pair, calls: usize, len: usize, encoding: Encoding) {
    for _ in 0..calls {
        let call = pair.open_encoded("/s.S/Upload", &Metadata::new(), None, encoding).unwrap();
        pair.client.connection.send_message(call, Bytes::from(vec![0; len])).unwrap();
        pair.client.connection.half_close(call).unwrap();
    }
    pair.run();
}

/// Calls of a server whose message is here.
fn come(pair: &Pair) -> Vec<CallId> {
    pair.server.seen.iter().filter(|(_, seen)| !seen.messages.is_empty()).map(|(call, _)| *call).collect()
}

fn kept(pair: &Pair) -> usize {
    pair.server.seen.values().flat_map(|seen| &seen.messages).map(Bytes::len).sum()
}

/// The application takes what has come, is done with it at once, and answers.
fn serve(pair: &mut Pair) -> usize {
    let calls = come(pair);
    for call in &calls {
        for message in pair.server.messages(*call) {
            pair.server.connection.release(*call, message.len());
        }
        pair.server.connection.respond(*call, &Status::OK, &Metadata::new()).unwrap();
    }
    pair.run();
    calls.len()
}

fn all_ok(pair: &Pair) -> bool {
    pair.client.seen.values().all(|seen| seen.closed.as_ref().is_some_and(|closed| closed.status.is_ok()))
}

#[test]
fn large_messages_of_several_connections_come_as_there_is_room() {
    for encoding in [Encoding::Identity, Encoding::Gzip] {
        let (budget, mut pairs) = pairs::<3>(4 * MIB);
        pairs.iter_mut().for_each(|pair| upload(pair, 6, MIB, encoding));
        let (mut served, mut turns) = (0, 0);
        while served < 18 {
            let there: usize = pairs.iter().map(kept).sum();
            assert!(there <= 6 * MIB, "{there} bytes at once");
            for pair in &mut pairs {
                served += serve(pair);
                pair.run_for(RETRY);
            }
            turns += 1;
            assert!(turns < 1_000, "{served} of 18 were served");
        }
        assert!(pairs.iter().all(all_ok));
        drop(pairs);
        assert_eq!((budget.used(), budget.promised()), (0, 0), "{encoding:?}");
    }
}

#[test]
fn who_waits_for_room_is_woken_when_another_gives_it_back() {
    let (budget, [mut one, mut other]) = pairs(4 * MIB);
    upload(&mut one, 4, MIB, Encoding::Identity);
    assert_eq!(come(&one).len(), 2, "it leaves as much to others as it has");
    upload(&mut other, 2, MIB, Encoding::Identity);
    assert_eq!(come(&other).len(), 1);
    other.run_for(10 * RETRY);
    assert_eq!(come(&other).len(), 1, "there is no room for it");
    assert_eq!(other.server.struck, [("memory_budget", 1)].into(), "which is worth one line");
    drop(one);
    assert!(budget.used() < 2 * MIB, "what the other had is given back");
    other.run_for(RETRY);
    assert_eq!(come(&other).len(), 2);
}

#[test]
fn one_message_always_comes_and_the_next_when_it_is_done_with_or_takes_too_long() {
    for done in [true, false] {
        let (_, [mut one, mut other]) = pairs(MIB);
        upload(&mut one, 1, 3 * MIB, Encoding::Identity);
        upload(&mut other, 1, 3 * MIB, Encoding::Identity);
        assert_eq!((come(&one).len(), come(&other).len()), (1, 0));
        other.run_for(TURN - 2 * RETRY);
        assert_eq!(come(&other).len(), 0);
        if done {
            assert_eq!(serve(&mut one), 1);
            other.run_for(RETRY);
        } else {
            other.run_for(3 * RETRY);
        }
        assert_eq!(serve(&mut other), 1, "done with: {done}");
        assert!(all_ok(&other));
    }
}

/// Small messages, and calls on connections that have little, never wait.
#[test]
fn a_full_budget_holds_up_no_small_call() {
    let (budget, [mut hog, mut bystander]) = pairs(4 * MIB);
    hog.server.want = true;
    upload(&mut hog, 8, 3 * MIB, Encoding::Identity);
    hog.run_for(Duration::from_secs(1));
    assert!(budget.used() >= 4 * MIB, "{} bytes are used", budget.used());
    for len in [0, 10, 100_000] {
        upload(&mut bystander, 5, len, Encoding::Identity);
        serve(&mut bystander);
    }
    assert!(all_ok(&bystander));
}

#[test]
fn compressed_messages_stay_compressed_even_when_somebody_waits() {
    let (_, [mut one, mut other]) = pairs(2 * MIB);
    for pair in [&mut one, &mut other] {
        pair.server.want = true;
        upload(pair, 10, MIB, Encoding::Gzip);
    }
    let mut served = 0;
    for _ in 0..40 {
        let there = kept(&one) + kept(&other);
        assert!(there <= 4 * MIB, "{there} bytes at once");
        served += serve(&mut one) + serve(&mut other);
        one.run_for(RETRY);
        other.run_for(RETRY);
    }
    assert_eq!(served, 20);
    assert!(all_ok(&one) && all_ok(&other));
}

#[test]
fn what_was_taken_counts_until_the_next_is_or_the_call_ends() {
    let (budget, [mut pair]) = pairs(64 * MIB);
    let steps = |bytes: usize| bytes / (64 << 10) * (64 << 10);
    let (call, served) = pair.started("/s.S/M");
    let take = |pair: &mut Pair| {
        pair.client.connection.send_message(call, Bytes::from(vec![0; MIB])).unwrap();
        pair.run();
        assert_eq!(pair.server.messages(served).len(), 1);
        assert_eq!(budget.used(), MIB);
    };
    take(&mut pair);
    pair.server.connection.take_many(served, 1, MIB);
    pair.run();
    assert_eq!(budget.used(), MIB, "in hand");
    pair.server.connection.release_many(served, 0, 0);
    pair.run();
    assert_eq!(budget.used(), 0, "done with");
    take(&mut pair);
    pair.server.connection.take_many(served, 1, MIB);
    pair.client.connection.send_message(call, Bytes::from(vec![0; 200_000])).unwrap();
    pair.run();
    assert_eq!(pair.server.messages(served).len(), 1);
    assert_eq!(budget.used(), steps(MIB + 200_000));
    pair.server.connection.take_many(served, 1, 200_000);
    pair.run();
    assert_eq!(budget.used(), steps(200_000));
    pair.server.connection.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.run();
    assert_eq!(budget.used(), 0, "the call is over");
    take_and_drop(&budget, pair);
}

fn take_and_drop(budget: &Budget, mut pair: Pair) {
    upload(&mut pair, 3, MIB, Encoding::Identity);
    assert_eq!(budget.used(), 3 * MIB);
    drop(pair);
    assert_eq!((budget.used(), budget.promised()), (0, 0), "a connection that is dropped gives all back");
}

#[test]
fn windows_have_half_of_it_at_most() {
    for (limit, most) in [(2 * MIB, 0), (64 * MIB, 4 * MIB)] {
        let (budget, [mut pair]) = pairs(limit);
        pair.server.release = true;
        let (call, _) = pair.started("/s.S/M");
        for _ in 0..300 {
            pair.client.connection.send_message(call, Bytes::from(vec![0; 60_000])).unwrap();
        }
        pair.run();
        assert!(budget.promised() <= most, "{} bytes are promised of {limit}", budget.promised());
        assert!(most == 0 || budget.promised() > MIB, "{} bytes are promised of {limit}", budget.promised());
    }
}

/// A raw client of a server with so many calls open, each with 100,000 bytes that nobody takes.
fn hoarder(budget: &Arc<Budget>, calls: u32) -> Raw {
    let mut raw = Raw::server(config(budget));
    raw.end.release = false;
    let ids = (0..calls).map(|call| 2 * call + 1);
    raw.send(&ids.clone().map(|id| Frame::request(id, false, &[])).collect::<Vec<_>>());
    for id in ids {
        raw.send(&[Frame::message(id, false, &[0; 100_000])]);
    }
    raw
}

const REFUSED_STREAM: u32 = 7;

#[test]
fn new_streams_are_refused_of_who_has_its_share() {
    // 8 MiB past 8 MiB are 16,777,216 bytes, and each message costs 64 more than it has.
    for (calls, refused) in [(167, 0), (168, 1)] {
        let budget = Arc::new(Budget::new(8 * MIB));
        let mut raw = hoarder(&budget, calls);
        raw.send(&[Frame::request(1_001, false, &[])]);
        let resets = raw.frames_of(Frame::RST_STREAM);
        assert_eq!(resets.iter().filter(|reset| reset.code() == REFUSED_STREAM).count(), refused, "{calls} calls");
        assert_eq!(raw.end.struck.get("memory_budget").copied().unwrap_or(0), refused as u32);
        let mut bystander = Pair::with(Config::client(), config(&budget));
        upload(&mut bystander, 3, 100_000, Encoding::Identity);
        serve(&mut bystander);
        assert!(all_ok(&bystander));
        // As its messages are taken, its calls are.
        let open: Vec<CallId> = raw.end.seen.keys().copied().collect();
        for call in open {
            raw.end.connection.release_many(call, 1, 100_000);
        }
        raw.send(&[Frame::request(1_003, false, &[])]);
        assert_eq!(raw.frames_of(Frame::RST_STREAM), []);
    }
}

#[test]
fn who_hoards_what_it_was_not_invited_to_send_is_cut_off_and_nobody_else() {
    // 16 MiB past 8 MiB are 25,165,824 bytes.
    for (calls, cut) in [(251, false), (252, true)] {
        let budget = Arc::new(Budget::new(8 * MIB));
        let mut small = hoarder(&budget, 10);
        let mut raw = hoarder(&budget, calls - 10);
        raw.send(&[Frame::ping([0; 8])]);
        assert_eq!(raw.end.connection.error().is_some(), cut, "{calls} calls");
        if cut {
            assert_eq!(raw.frames_of(Frame::GOAWAY)[0].code(), ErrorCode::ENHANCE_YOUR_CALM.0);
        }
        small.send(&[Frame::ping([0; 8])]);
        assert_eq!(small.end.connection.error(), None);
    }
}

/// Without a budget there is none.
#[test]
fn connections_that_share_nothing_go_by_their_own_limits() {
    let mut config = Config::server();
    config.limits.incomplete = 4 * MIB;
    let mut pair = Pair::with(Config::client(), config);
    (pair.server.release, pair.server.want) = (false, false);
    upload(&mut pair, 20, MIB, Encoding::Identity);
    assert_eq!(come(&pair).len(), 4);
    assert_eq!(pair.server.struck.keys().copied().collect::<Vec<_>>(), ["incomplete"]);
}

/// A compressed message without which its call cannot begin waits no longer than one that is not.
#[test]
fn a_compressed_message_comes_past_the_limit_in_its_turn() {
    let (_, [mut pair]) = pairs(MIB);
    upload(&mut pair, 3, MIB, Encoding::Gzip);
    assert_eq!(come(&pair).len(), 2, "one fills the budget, and one has its turn");
    pair.run_for(TURN - 2 * RETRY);
    assert_eq!(come(&pair).len(), 2);
    pair.run_for(3 * RETRY);
    assert_eq!(come(&pair).len(), 3);
}

/// Whose message has come past the limit leaves the next turn to others that wait, though it could ask first.
#[test]
fn who_had_a_turn_leaves_the_next_to_others() {
    let (_, [mut one, mut other]) = pairs(MIB);
    upload(&mut one, 2, 3 * MIB, Encoding::Identity);
    upload(&mut other, 1, 3 * MIB, Encoding::Identity);
    let [call] = come(&one)[..] else { panic!("its first message") };
    assert_eq!((one.server.messages(call).len(), come(&other).len()), (1, 0));
    one.server.connection.take_many(call, 1, 3 * MIB);
    one.run();
    assert_eq!(come(&one).len(), 0, "its turn lasts as long as its message is in use");
    one.server.connection.release_many(call, 0, 0);
    one.run();
    assert_eq!(come(&one).len(), 0, "it has just had one");
    other.run_for(RETRY);
    assert_eq!(come(&other).len(), 1);
}
