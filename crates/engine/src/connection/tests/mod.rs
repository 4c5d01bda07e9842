//! Two connections, each other's peer, over bytes in memory, where a test has to look inside. What can be seen from
//! outside is tried in `crates/engine/tests`.

mod books;
mod counts;
mod endings;
mod headers;
mod large;
mod raw;
mod runs;
mod streams;
mod subtypes;
mod turns;

use std::time::Instant;

use bytes::{Buf, Bytes};
use farcall_core::{Code, Metadata, Status};

use super::{CallId, Connection, Request};
use crate::{Closed, Config, Event, RequestHead};

/// A client and a server joined by a perfect wire.
struct Joined {
    client: Connection,
    server: Connection,
    now: Instant,
    /// Longest piece the wire carries at once.
    chop: usize,
}

impl Joined {
    fn new() -> Joined {
        Joined::with(Config::client(), Config::server())
    }

    /// Two whose windows are wide from the start.
    fn wide() -> Joined {
        let [client, server] = [Config::client(), Config::server()].map(|mut config| {
            config.limits.initial_stream_window = 4 << 20;
            config
        });
        Joined::with(client, server)
    }

    fn with(client: Config, server: Config) -> Joined {
        let now = Instant::now();
        Joined { client: Connection::new(client, now), server: Connection::new(server, now), now, chop: usize::MAX }
    }

    fn carry(from: &mut Connection, to: &mut Connection, chop: usize, now: Instant) -> bool {
        let mut carried = false;
        while let Some(transmit) = from.poll_transmit(now) {
            let room = to.receive_buffer();
            let taken = transmit.chunk().len().min(room.len()).min(chop);
            room[..taken].copy_from_slice(&transmit.chunk()[..taken]);
            transmit.advance(taken);
            to.handle_received(taken, now);
            carried = true;
        }
        carried
    }

    /// Lets all bytes arrive.
    fn settle(&mut self) {
        loop {
            let there = Joined::carry(&mut self.client, &mut self.server, self.chop, self.now);
            let back = Joined::carry(&mut self.server, &mut self.client, self.chop, self.now);
            if !there && !back {
                return;
            }
        }
    }

    fn open(&mut self, path: &str) -> CallId {
        let metadata = Metadata::new();
        let request = Request { path, authority: "test", metadata: &metadata, deadline: None };
        self.client.open(request, self.now).unwrap()
    }

    /// The server's next call.
    fn accept(&mut self) -> (CallId, Box<RequestHead>) {
        self.settle();
        loop {
            match self.server.poll_event().expect("a request") {
                Event::Request { call, head } => return (call, head),
                Event::Ready => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn events(connection: &mut Connection) -> Vec<Event> {
    std::iter::from_fn(|| connection.poll_event()).filter(|event| *event != Event::Ready).collect()
}

fn closed(connection: &mut Connection) -> Closed {
    match events(connection).pop() {
        Some(Event::Closed { closed, .. }) => *closed,
        other => panic!("{other:?}"),
    }
}

fn pattern(len: usize) -> Bytes {
    (0..len).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn messages_of_all_sizes_both_ways_over_any_chop() {
    let sizes = [0, 1, 100, 8_192, 20_000, 70_000, 1 << 20, 4 << 20];
    for chop in [1_000, 16_384, usize::MAX] {
        let mut pair = Joined::new();
        pair.chop = chop;
        let call = pair.open("/a.B/C");
        for size in sizes {
            pair.client.send_message(call, pattern(size)).unwrap();
        }
        pair.client.half_close(call).unwrap();
        let (served, _) = pair.accept();
        let mut found = Vec::new();
        loop {
            pair.settle();
            match pair.server.poll_event() {
                Some(Event::Message { message, .. }) => {
                    pair.server.release(served, message.len());
                    pair.server.send_message(served, message).unwrap();
                }
                Some(Event::HalfClosed { .. }) => pair.server.respond(served, &Status::OK, &Metadata::new()).unwrap(),
                Some(Event::Closed { .. }) => break,
                Some(Event::Writable { .. }) => {}
                Some(Event::LargeMessage { call }) => pair.server.want(call),
                None => match pair.client.poll_event().expect("progress") {
                    Event::Message { message, .. } => {
                        pair.client.release(call, message.len());
                        found.push(message);
                    }
                    Event::LargeMessage { call } => pair.client.want(call),
                    Event::Closed { .. } => panic!("too early"),
                    _ => {}
                },
                other => panic!("{other:?}"),
            }
        }
        for event in events(&mut pair.client) {
            match event {
                Event::Message { message, .. } => found.push(message),
                Event::Closed { closed, .. } => assert!(closed.status.is_ok()),
                _ => {}
            }
        }
        assert!(found == sizes.map(pattern), "chopped by {chop}");
    }
}

#[test]
fn a_quiet_connection_gives_back_what_it_keeps_for_speed() {
    let mut pair = Joined::wide();
    for size in [32, 300_000] {
        let calls: Vec<CallId> = (0..100).map(|_| pair.open("/a.B/C")).collect();
        for call in calls {
            pair.client.send_message(call, pattern(size)).unwrap();
        }
        pair.settle();
        for event in events(&mut pair.server) {
            if let Event::Message { call, message } = event {
                pair.server.send_message(call, message).unwrap();
                pair.server.respond(call, &Status::OK, &Metadata::new()).unwrap();
            }
        }
        pair.settle();
        for side in [&mut pair.client, &mut pair.server] {
            assert_eq!(events(side).iter().filter(|event| matches!(event, Event::Closed { .. })).count(), 100);
            // One tick sees that there was something, the next that there was nothing.
            for _ in 0..2 {
                pair.now = pair.now.max(side.poll_timeout().unwrap());
                side.handle_timeout(pair.now);
            }
            assert_eq!(side.tick_due, None);
            assert_eq!(side.inbox.capacity() + side.store.capacity() + side.events.capacity(), 0);
        }
    }
    let call = pair.open("/a.B/C");
    pair.client.cancel(call, Status::from(Code::Cancelled));
    assert_eq!(closed(&mut pair.client).status.code, Code::Cancelled);
}

/// Two calls with much to send take turns, and neither waits for the other to finish.
#[test]
fn calls_share_the_connection_fairly() {
    let mut pair = Joined::wide();
    pair.settle();
    let calls = [pair.open("/a.B/One"), pair.open("/a.B/Two")];
    for call in calls {
        for _ in 0..64 {
            pair.client.send_message(call, pattern(16 << 10)).unwrap();
        }
    }
    pair.settle();
    let mut received = std::collections::HashMap::<usize, usize>::new();
    let mut lead = 0;
    for event in events(&mut pair.server) {
        if let Event::Message { call, .. } = event {
            *received.entry(call.index()).or_default() += 1;
            let (least, most) = (received.values().min().unwrap(), received.values().max().unwrap());
            let least = if received.len() == 2 { *least } else { 0 };
            lead = lead.max(most - least);
        }
    }
    assert_eq!(received.values().sum::<usize>(), 128);
    assert!(lead <= 4, "one call was {lead} messages of 16 KiB ahead");
}
