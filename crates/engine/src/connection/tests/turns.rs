//! Whose turn it is to send when more is to be sent than the transport takes.

use bytes::Buf;

use super::{Joined, events, pattern};
use crate::{Config, Event, connection::Connection};

/// A pair with windows in which messages of some MiB have room, so that it is the sender who chooses.
fn joined() -> Joined {
    let wide = |mut config: Config| {
        config.limits.initial_stream_window = 64 << 20;
        config.limits.connection_window = 64 << 20;
        config.limits.max_receive_message_length = None;
        config
    };
    let mut pair = Joined::with(wide(Config::client()), wide(Config::server()));
    pair.settle();
    pair
}

/// One piece goes there, and what there is comes back; says whether there was one.
fn step(pair: &mut Joined) -> bool {
    let Some(transmit) = pair.client.poll_transmit(pair.now) else { return false };
    let room = pair.server.receive_buffer();
    let taken = transmit.chunk().len().min(room.len());
    room[..taken].copy_from_slice(&transmit.chunk()[..taken]);
    transmit.advance(taken);
    pair.server.handle_received(taken, pair.now);
    Joined::carry(&mut pair.server, &mut pair.client, usize::MAX, pair.now);
    true
}

/// Takes the messages that came; says how many.
fn taken(connection: &mut Connection) -> usize {
    let mut count = 0;
    for event in events(connection) {
        if let Event::Message { call, message } = event {
            connection.release(call, message.len());
            count += 1;
        }
    }
    count
}

/// What the receiver holds in part grows with the number of messages begun, so they are finished before more are.
#[test]
fn large_messages_are_finished_before_more_are_begun() {
    const LEN: usize = 3 << 20;
    let mut pair = joined();
    let calls: Vec<_> = (0..40).map(|_| pair.open("/a.B/Large")).collect();
    for call in &calls {
        pair.client.send_message(*call, pattern(LEN)).unwrap();
        pair.client.half_close(*call).unwrap();
    }
    let (mut most, mut whole) = (0, 0);
    while step(&mut pair) {
        whole += taken(&mut pair.server);
        most = most.max(pair.server.store.iter().filter(|stream| stream.assembler.held() > 0).count());
    }
    assert_eq!(whole, calls.len());
    assert!((1..=4).contains(&most), "{most} messages were incomplete at once");
}

/// A message that fits into a turn gets through however much of large ones is begun and waits.
#[test]
fn a_small_message_passes_large_ones() {
    let mut pair = joined();
    for _ in 0..20 {
        let call = pair.open("/a.B/Large");
        pair.client.send_message(call, pattern(3 << 20)).unwrap();
    }
    // Some of them are under way.
    for _ in 0..4 {
        assert!(step(&mut pair));
    }
    taken(&mut pair.server);
    let small = pair.open("/a.B/Small");
    pair.client.send_message(small, &b"small"[..]).unwrap();
    let before = pair.client.transmit.end();
    let id = pair.client.store.live(small).unwrap().id;
    while pair.client.store.live(small).is_some_and(|stream| !stream.queue.is_empty()) {
        assert!(step(&mut pair), "the small message waits for ever");
    }
    let sent = pair.client.transmit.end() - before;
    assert!(sent <= 600 << 10, "{sent} bytes went before the small message of stream {id}");
}

/// Very long messages do not keep a shorter one from beginning.
#[test]
fn a_message_is_begun_though_longer_ones_are_not_through() {
    let mut pair = joined();
    for _ in 0..6 {
        let call = pair.open("/a.B/Long");
        pair.client.send_message(call, pattern(40 << 20)).unwrap();
    }
    let call = pair.open("/a.B/Shorter");
    pair.client.send_message(call, pattern(1 << 20)).unwrap();
    let mut done = 0;
    while step(&mut pair) && pair.client.store.live(call).is_some_and(|stream| !stream.queue.is_empty()) {
        done += taken(&mut pair.server);
    }
    assert_eq!(done, 0, "it did not wait for a long one to end");
    assert!(pair.client.store.live(call).is_some_and(|stream| stream.queue.is_empty()));
}
