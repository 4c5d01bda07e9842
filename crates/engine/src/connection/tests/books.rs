//! What a connection keeps count of: both ends agree on it, and what has ended is not in it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use farcall_core::{Code, Metadata, Status};

use super::{Joined, closed, events, pattern, raw::Raw};
use crate::{
    Budget, CallId, Config, Encoding, Event, Request,
    frame::{DEFAULT_WINDOW, kind},
    grpc::message::MESSAGE_OVERHEAD,
};

const MIB: usize = 1 << 20;

fn server(set: impl FnOnce(&mut Config)) -> Joined {
    let mut config = Config::server();
    set(&mut config);
    let mut pair = Joined::with(Config::client(), config);
    pair.settle();
    assert_eq!((events(&mut pair.server), events(&mut pair.client)), (vec![], vec![]));
    pair
}

/// A call with these messages, of which the server has the first events; how the server knows it.
fn upload(pair: &mut Joined, encoding: Encoding, messages: &[Bytes]) -> (CallId, CallId) {
    let metadata = Metadata::new();
    let request = Request { path: "/a.B/C", authority: "test", metadata: &metadata, deadline: None };
    let call = pair.client.open_encoded(request, encoding, pair.now).unwrap();
    pair.settle();
    let requests = events(&mut pair.server).into_iter().filter_map(|event| match event {
        Event::Request { call, .. } => Some(call),
        _ => None,
    });
    let served = requests.last().expect("a request");
    for message in messages {
        pair.client.send_message(call, message.clone()).unwrap();
    }
    pair.settle();
    (call, served)
}

#[test]
fn what_one_end_may_send_the_other_may_receive() {
    let mut pair = server(|_| ());
    upload(&mut pair, Encoding::Identity, &[pattern(1000)]);
    let (_, served) = upload(&mut pair, Encoding::Identity, &[pattern(40_000)]);
    pair.server.send_message(served, pattern(7)).unwrap();
    pair.settle();
    let (client, server) = (pair.client.ledger(), pair.server.ledger());
    assert!(client.settings_acknowledged && server.settings_acknowledged);
    assert_eq!((client.send_window, client.credit), (server.credit, server.send_window));
    assert_eq!((&client.sending, &client.receiving), (&server.receiving, &server.sending));
    let window = i64::from(Config::server().limits.initial_stream_window);
    assert_eq!(client.sending, [(1, window - 1_005), (3, window - 40_005)]);
    assert_eq!(client.receiving, [(1, window), (3, window - 12)]);
    assert_eq!((server.owed, client.owed), (0, 0), "what has come is given back to the connection at once");
    assert_eq!(server.unread, 41_000 + 2 * MESSAGE_OVERHEAD);
    pair.server.take_many(served, 1, 40_000);
    assert_eq!((pair.server.ledger().unread, pair.server.ledger().in_hand), (1_000 + MESSAGE_OVERHEAD, 40_000));
}

#[test]
fn a_window_is_below_nothing_after_settings_that_make_it_so() {
    let mut raw = Raw::new(Config::client());
    let call = raw.open();
    raw.connection.send_message(call, pattern(1000)).unwrap();
    raw.written();
    raw.frame(kind::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 10]);
    assert_eq!(raw.connection.ledger().sending, [(1, 10 - 1_005)]);
    assert_eq!(raw.connection.ledger().send_window, i64::from(DEFAULT_WINDOW) - 1_005);
}

/// Each kind of thing that waits is in the count of those that do.
#[test]
fn all_that_waits_is_counted() {
    let mut pair = server(|config| config.limits.max_concurrent_streams = Some(1));
    let call = pair.open("/a.B/C");
    pair.settle();
    assert_eq!(pair.server.ledger().queued, 1, "an event");
    pair.open("/a.B/C");
    pair.settle();
    assert_eq!(pair.client.ledger().queued, 1, "a call without a stream");
    let (served, _) = pair.accept();
    assert_eq!(pair.server.ledger().queued, 0);
    pair.server.send_message(served, pattern(10)).unwrap();
    assert_eq!(pair.server.ledger().queued, 1, "a turn");
    pair.settle();
    assert_eq!(pair.server.ledger().queued, 0);
    pair.server.respond(served, &Status::OK, &Metadata::new()).unwrap();
    pair.server.poll_transmit(pair.now).unwrap();
    assert_eq!(pair.server.ledger().queued, 1, "an answer that is not written");
    pair.client.cancel(call, Status::from(Code::Cancelled));

    let mut pair = server(|config| config.limits.incomplete = 1);
    for _ in 0..2 {
        upload(&mut pair, Encoding::Identity, &[pattern(MIB)]);
    }
    events(&mut pair.server);
    assert_eq!(pair.server.ledger().queued, 1, "a large message");

    let mut pair = server(|config| config.budget = Some(Arc::new(Budget::new(MIB))));
    for _ in 0..3 {
        upload(&mut pair, Encoding::Gzip, &[Bytes::from(vec![0; MIB])]);
    }
    events(&mut pair.server);
    assert_eq!(pair.server.ledger().queued, 1, "a compressed message");
}

#[test]
fn what_is_lent_to_a_large_message_is_paid_back_when_it_is_taken() {
    let mut pair = server(|_| ());
    let initial = Config::server().limits.initial_stream_window as usize;
    let (call, served) = upload(&mut pair, Encoding::Identity, &[]);
    pair.client.send_message(call, pattern(MIB)).unwrap();
    // As much as the window takes has come, and the server has said that more may.
    Joined::carry(&mut pair.client, &mut pair.server, usize::MAX, pair.now);
    let lent = MIB + 5 - initial;
    assert_eq!(pair.server.ledger().given, (0, lent, 0));
    pair.server.want(served);
    assert_eq!(pair.server.ledger().given, (0, lent, 0), "it may come already");
    let (other, other_served) = upload(&mut pair, Encoding::Identity, &[]);
    pair.settle();
    pair.client.send_message(other, pattern(MIB)).unwrap();
    Joined::carry(&mut pair.client, &mut pair.server, usize::MAX, pair.now);
    assert_eq!(pair.server.ledger().given.2, 0);
    pair.settle();
    for call in [served, other_served] {
        pair.server.release_many(call, 1, MIB);
    }
    let (window, lent, begun) = pair.server.ledger().given;
    assert_eq!((lent, begun), (0, 0));
    assert!(window <= 4 * MIB);
    for call in [call, other] {
        pair.client.cancel(call, Status::from(Code::Cancelled));
    }
    pair.settle();
    assert_eq!(pair.server.ledger().given, (0, 0, 0));
}

#[test]
fn a_message_that_somebody_waits_for_counts_until_it_has_come_or_its_call_has_ended() {
    for ends in [false, true] {
        let mut pair = server(|config| config.limits.incomplete = 1);
        upload(&mut pair, Encoding::Identity, &[pattern(MIB)]);
        let (call, served) = upload(&mut pair, Encoding::Identity, &[pattern(MIB)]);
        assert_eq!(pair.server.ledger().given.2, 0);
        pair.server.want(served);
        assert_eq!(pair.server.ledger().given.2, 1);
        if ends {
            pair.client.cancel(call, Status::from(Code::Cancelled));
        }
        pair.settle();
        assert_eq!(pair.server.ledger().given.2, 0, "its call ends: {ends}");
    }
}

/// Whatever a call had come to, none of it is left once it has ended, and what others have is.
#[test]
fn a_call_that_ends_takes_its_part_of_the_books_with_it() {
    let zeros = Bytes::from(vec![0; 100_000]);
    let table = [
        ("unread", Encoding::Identity, vec![pattern(100), pattern(200)]),
        ("compressed", Encoding::Gzip, vec![zeros.clone(), zeros.clone(), zeros.clone(), zeros]),
        ("incomplete", Encoding::Identity, vec![pattern(100), Bytes::from(vec![0; 8 * MIB])]),
    ];
    for (what, encoding, messages) in table {
        let mut cut = server(|config| config.limits.max_receive_message_length = None);
        upload(&mut cut, Encoding::Identity, &[pattern(300)]);
        let before = cut.server.ledger().unread;
        assert_eq!(before, 300 + MESSAGE_OVERHEAD);
        let metadata = Metadata::new();
        let request = Request { path: "/a.B/C", authority: "test", metadata: &metadata, deadline: None };
        let call = cut.client.open_encoded(request, encoding, cut.now).unwrap();
        for message in messages {
            cut.client.send_message(call, message).unwrap();
        }
        Joined::carry(&mut cut.client, &mut cut.server, usize::MAX, cut.now);
        assert!(cut.server.ledger().unread > before + 2 * MESSAGE_OVERHEAD, "{what}");
        assert_eq!(cut.server.incomplete > 0, what == "incomplete");
        cut.client.cancel(call, Status::from(Code::Cancelled));
        Joined::carry(&mut cut.client, &mut cut.server, usize::MAX, cut.now);
        assert_eq!((cut.server.ledger().unread, cut.server.incomplete), (before, 0), "{what}");
    }
}

/// Messages that wait to be sent wait no more when their call is over.
#[test]
fn what_is_not_sent_of_a_call_that_ends_is_not_to_be_sent() {
    for expires in [false, true] {
        let mut pair = server(|_| ());
        let metadata = Metadata::new();
        let deadline = expires.then(|| pair.now + Duration::from_secs(5));
        let request = Request { path: "/a.B/C", authority: "test", metadata: &metadata, deadline };
        let call = pair.client.open(request, pair.now).unwrap();
        let (served, _) = pair.accept();
        pair.server.send_message(served, pattern(2 * MIB)).unwrap();
        Joined::carry(&mut pair.server, &mut pair.client, usize::MAX, pair.now);
        assert!(pair.server.unsent > MIB);
        if expires {
            pair.now += Duration::from_secs(5);
            pair.server.handle_timeout(pair.now);
            assert_eq!(closed(&mut pair.server).status.code, Code::DeadlineExceeded);
        } else {
            pair.client.cancel(call, Status::from(Code::Cancelled));
            pair.settle();
        }
        assert_eq!(pair.server.unsent, 0, "expires: {expires}");
    }
}

/// The deadline of a call that is over wakes nobody.
#[test]
fn the_deadline_of_a_call_that_is_over_is_forgotten() {
    let mut raw = Raw::new(Config::client());
    let (metadata, deadline) = (Metadata::new(), raw.now + Duration::from_millis(500));
    let request = Request { path: "/a.B/C", authority: "a", metadata: &metadata, deadline: Some(deadline) };
    let call = raw.connection.open(request, raw.now).unwrap();
    assert_eq!(raw.connection.poll_timeout(), Some(deadline));
    raw.connection.cancel(call, Status::from(Code::Cancelled));
    assert!(raw.connection.poll_timeout().is_none_or(|at| at > deadline));
}

/// Large messages of calls that have ended wait in no line, however many there were.
#[test]
fn lines_are_as_long_as_there_are_calls() {
    let mut pair = server(|config| config.limits.incomplete = 1);
    let message = [Bytes::from(vec![0; 200_000])];
    upload(&mut pair, Encoding::Identity, &message);
    for _ in 0..100 {
        let (call, _) = upload(&mut pair, Encoding::Identity, &message);
        pair.client.cancel(call, Status::from(Code::Cancelled));
        pair.settle();
        let live = pair.server.calls();
        events(&mut pair.server);
        assert!(pair.server.ledger().queued <= 2 * live + 17, "{:?}", pair.server.ledger());
    }
}

/// What is given to streams as windows is what their windows have, and what their peers may send is no more.
#[test]
fn the_books_of_windows_agree_with_the_windows() {
    let mut pair = server(|_| ());
    let (call, served) = upload(&mut pair, Encoding::Identity, &[]);
    let message = Bytes::from(vec![0; 60_000]);
    let mut most = 0;
    for _ in 0..30 {
        pair.client.send_message(call, message.clone()).unwrap();
        pair.settle();
        events(&mut pair.server);
        pair.server.release_many(served, 1, message.len());
        pair.settle();
        let given = pair.server.ledger().given.0;
        assert_eq!(given, pair.server.store.live(served).unwrap().receive_window.given().window);
        assert_eq!(pair.client.ledger().sending, pair.server.ledger().receiving);
        most = most.max(given);
    }
    assert!(most > 0, "it has grown");
    pair.client.half_close(call).unwrap();
    pair.settle();
    assert_eq!(pair.server.ledger().given, (0, 0, 0), "no more will come");
}

/// The longer form of a compressed message was never in the window, nor is it given back to it.
#[test]
fn a_window_does_not_grow_by_what_was_decompressed() {
    let mut pair = server(|config| config.limits.stream_window = config.limits.initial_stream_window);
    let (_, served) = upload(&mut pair, Encoding::Gzip, &[Bytes::from(vec![0; 2 * MIB])]);
    let found = events(&mut pair.server);
    let [Event::Message { message, .. }] = &found[..] else { panic!("a message") };
    let before = pair.server.ledger().receiving;
    pair.server.release_many(served, 1, message.len());
    pair.settle();
    assert_eq!(pair.server.ledger().receiving, before, "it took too little of the window to be worth an update");
    assert_eq!(pair.server.ledger().unread, 0);
}

/// Of a number of messages that is not said as many are taken as the bytes come to.
#[test]
fn messages_that_are_given_back_by_their_bytes_are_counted() {
    let mut pair = server(|_| ());
    let (_, served) = upload(&mut pair, Encoding::Identity, &[pattern(100), pattern(100), pattern(100)]);
    for (bytes, left) in [(200, 1), (100, 0)] {
        pair.server.release(served, bytes);
        assert_eq!(pair.server.ledger().unread, left * (100 + MESSAGE_OVERHEAD));
    }
}

/// Padding is used up as it comes.
#[test]
fn padding_is_given_back_to_the_window() {
    let mut raw = Raw::new(Config::server());
    raw.request(1, false);
    let frame = [&[255, 0][..], &[0; 255]].concat();
    let mut given = 0;
    for _ in 0..2_000 {
        raw.frame(kind::DATA, crate::frame::flag::PADDED, 1, &frame);
        let updates = raw.written();
        given += updates.iter().filter(|(head, _)| (head.kind, head.stream) == (kind::WINDOW_UPDATE, 1)).count();
    }
    assert_eq!(raw.connection.error(), None);
    assert!(given > 0);
}

/// Nothing is announced to a peer that has ended its stream.
#[test]
fn a_window_that_nobody_will_use_is_not_opened() {
    let mut raw = Raw::new(Config::server());
    raw.request(1, false);
    let call = raw.requests()[0];
    let message = [&crate::grpc::message::prefix(100_000, false)[..], &[7; 100_000]].concat();
    for piece in message.chunks(10_000) {
        raw.data(1, false, piece);
    }
    raw.data(1, true, b"");
    raw.written();
    raw.connection.release_many(call, 1, 100_000);
    assert_eq!(raw.written(), vec![]);
}

/// What is still to come of a frame that has begun needs no more window than it has had.
#[test]
fn the_frame_that_is_read_counts_as_here() {
    let mut raw = Raw::new(Config::server());
    raw.request(1, false);
    let message = [&crate::grpc::message::prefix(130_000, false)[..], &[7; 130_000]].concat();
    let head = crate::frame::Head { length: 100_000, kind: kind::DATA, flags: 0, stream: 1 };
    raw.bytes(&[&head.encode()[..], &message[..1_000]].concat());
    assert!(!raw.events.iter().any(|event| matches!(event, Event::LargeMessage { .. })));
    assert_eq!((raw.connection.ledger().given, raw.written()), ((0, 0, 0), vec![]));
}

/// How large a stream's window is both know once SETTINGS are acknowledged, unless they make none larger.
#[test]
fn a_message_larger_than_its_window_waits_for_settings_that_make_that_larger() {
    for (initial, known) in [(128 << 10, false), (DEFAULT_WINDOW, true), (DEFAULT_WINDOW - 1, true)] {
        let mut config = Config::server();
        config.limits.initial_stream_window = initial;
        let mut raw = Raw::unacknowledged(config);
        raw.request(1, false);
        let message = [&crate::grpc::message::prefix(MIB, false)[..], &[7; 65_530]].concat();
        message.chunks(16_000).for_each(|piece| raw.data(1, false, piece));
        assert_eq!(raw.connection.ledger().given.1 > 0, known, "a window of {initial}");
        raw.frame(kind::SETTINGS, crate::frame::flag::ACK, 0, &[]);
        let lent = MIB - 65_530 - (initial - DEFAULT_WINDOW.min(initial)) as usize;
        assert!((lent..=lent + 1).contains(&raw.connection.ledger().given.1), "a window of {initial}");
    }
}

/// A reader that keeps up has its next large message let in without asking; one that does not has to.
#[test]
fn a_large_message_comes_ahead_of_a_reader_that_keeps_up() {
    let mut pair = server(|_| ());
    let (call, served) = upload(&mut pair, Encoding::Identity, &[pattern(10)]);
    pair.server.release_many(served, 1, 10);
    for message in [pattern(10), pattern(10), Bytes::from(vec![0; MIB])] {
        pair.client.send_message(call, message).unwrap();
    }
    pair.settle();
    assert_eq!(pair.server.ledger().given.1, 0);
    assert_eq!(events(&mut pair.server).last(), Some(&Event::LargeMessage { call: served }));
    pair.server.release_many(served, 1, 10);
    assert!(pair.server.ledger().given.1 > 0);
    pair.settle();
    assert!(matches!(events(&mut pair.server)[..], [Event::Message { .. }]));
}

/// A call that is cancelled in line is none that has begun.
#[test]
fn a_call_that_ends_in_line_is_not_let_in() {
    let mut pair = server(|config| config.limits.incomplete = 1);
    let message = [Bytes::from(vec![0; MIB])];
    upload(&mut pair, Encoding::Identity, &message);
    let calls = [(); 3].map(|()| upload(&mut pair, Encoding::Identity, &message));
    for (_, served) in calls {
        pair.server.want(served);
    }
    assert_eq!(pair.server.ledger().given.2, 1);
    for (call, _) in calls.into_iter().rev() {
        pair.client.cancel(call, Status::from(Code::Cancelled));
        pair.settle();
    }
    assert_eq!(pair.server.ledger().given.2, 0);
}

/// Calls that wait with compressed messages and end are forgotten, however many there were.
#[test]
fn compressed_messages_of_calls_that_have_ended_wait_nowhere() {
    let mut pair = server(|config| config.budget = Some(Arc::new(Budget::new(MIB))));
    let message = [Bytes::from(vec![0; MIB])];
    // One fills the budget, one has its turn, and one waits before all that follow.
    for _ in 0..3 {
        upload(&mut pair, Encoding::Gzip, &message);
    }
    for _ in 0..60 {
        let (call, _) = upload(&mut pair, Encoding::Gzip, &message);
        pair.client.cancel(call, Status::from(Code::Cancelled));
        pair.settle();
        events(&mut pair.server);
        let most = 2 * pair.server.calls() + 18;
        assert!(pair.server.account.ledger().1.max(pair.server.gated.len()) <= most);
    }
}

/// A message that was held back because others had much comes when they have not.
#[test]
fn who_is_held_back_goes_on_once_others_have_taken_theirs() {
    let mut pair = server(|config| config.limits.unread = 8 * 200_000);
    let message = Bytes::from(vec![0; 150_000]);
    let (_, first) = upload(&mut pair, Encoding::Gzip, &[message.clone(), message.clone()]);
    let (_, second) = upload(&mut pair, Encoding::Gzip, &[message]);
    let held = events(&mut pair.server);
    assert!(held.contains(&Event::LargeMessage { call: second }), "{}", held.len());
    pair.server.release_many(first, 2, 300_000);
    assert!(matches!(events(&mut pair.server)[..], [Event::Message { call, .. }] if call == second));
}
