//! A client's and a server's engine, or a channel that picks, at one of a few fixed works, without sockets, and a client's
//! hands over loopback: what `run.py` counts the instructions of.
//!
//!     farcall-guard <work> <side> <times>
//!
//! Only what happens within [`measured`], on the side named, is counted.

mod hands;

use std::{sync::Arc, time::Instant};

use bytes::{Buf, Bytes};
use farcall_channel::{Action, Channel, Choice, DialId, Head, ServiceConfig, Target, balancer::PickArgs};
use farcall_core::{Metadata, Status};
use farcall_engine::{CallId, Config, Connection, Encoding, Event, Outgoing, Request, RunBuilder};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, work, side, times] = &arguments[..] else { panic!("give a work, a side and a number of times") };
    let times = times.parse().expect("a number of times");
    match work.as_str() {
        "call-blocking" => return hands::blocking(times),
        "call-tokio" => return hands::tokio(times),
        _ => {}
    }
    if let Some(backends) = work.strip_prefix("pick-") {
        return picks(backends.parse().expect("a number of backends"), times);
    }
    let mut pair = Pair::new(side == "client", work == "runs-32");
    if work == "idle" {
        // What is still there at the end is what such connections hold.
        let kept: Vec<Connection> = (0..times).map(|_| idle(side == "client")).collect();
        return std::mem::forget(kept);
    }
    match work.as_str() {
        "connect" => (0..times).for_each(|_| pair.connect()),
        "unary" => (0..times).for_each(|_| pair.echo(&Bytes::from_static(&[7; 32]), &Metadata::new())),
        "metadata" => (0..times).for_each(|i| pair.echo(&Bytes::from_static(&[7; 32]), &metadata(i))),
        "echo-64k" => (0..times).for_each(|_| pair.echo(&Bytes::from_static(&[7; 64 << 10]), &Metadata::new())),
        "echo-4m" => (0..times).for_each(|_| pair.echo(&Bytes::from_static(&[7; 4 << 20]), &Metadata::new())),
        "upload-32" => pair.upload(times),
        "download-32" => pair.download(times),
        "runs-32" => pair.runs(times),
        "gzip-1k" => pair.gzip(times),
        _ => panic!("no such work: {work}"),
    }
}

/// Picks for calls of a channel whose backends are all connected: `pick_first` with one, `round_robin` with more.
fn picks(backends: u16, times: usize) {
    let now = Instant::now();
    let addresses: Vec<String> = (1..=backends).map(|port| format!("127.0.0.1:{port}")).collect();
    let target = Target::parse(&format!("ipv4:{}", addresses.join(","))).expect("the target is legal");
    let policy = if backends == 1 { "pick_first" } else { "round_robin" };
    let text =
        format!(r#"{{"loadBalancingConfig":[{{"{policy}":{{}}}}],"methodConfig":[{{"name":[{{}}],"timeout":"1s"}}]}}"#);
    let service_config = ServiceConfig::parse(&text).expect("the config is legal").into();
    let config = farcall_channel::Config { service_config, ..farcall_channel::Config::new(1) };
    let mut channel: Channel<Arc<DialId>, ()> = Channel::new(target, config, 1, now);
    channel.connect(now);
    let mut snapshot = Arc::clone(channel.snapshot());
    while let Some(action) = channel.poll_action() {
        match action {
            Action::Dial(id, _) => channel.handle_connected(id, Arc::new(id), now),
            Action::Publish(new) => snapshot = new,
            _ => {}
        }
    }
    let path = "/package.Service/Method";
    let picked = measured(|| {
        let mut picked = 0;
        for random in 0..times as u64 {
            let selection = snapshot.select(&Head { path }).expect("every call may be made");
            let Choice::Ready(choice) = snapshot.pick(&PickArgs::new(path, random)) else { panic!("it is connected") };
            picked += usize::from(selection.method.is_some()) + usize::from(choice.connection.0 < u64::from(backends));
        }
        picked
    });
    assert_eq!(picked, 2 * times);
}

/// One end of a connection that has had a call and has none.
fn idle(client: bool) -> Connection {
    let mut pair = Pair::new(client, false);
    pair.echo(&Bytes::from_static(&[7; 32]), &Metadata::new());
    let mut connection = if client { pair.client.connection } else { pair.server.connection };
    // A while goes by.
    for _ in 0..2 {
        let at = connection.poll_timeout().expect("there is something to clear away");
        connection.handle_timeout(at);
    }
    connection
}

/// What is counted: callgrind is told to collect while it is within this function.
#[inline(never)]
fn measured<T>(what: impl FnOnce() -> T) -> T {
    what()
}

/// Ten fields, half of which were never sent before.
fn metadata(turn: usize) -> Metadata {
    let mut metadata = Metadata::new();
    for field in 0..5 {
        let value = format!("the value of field {field}");
        metadata.append(&format!("constant-{field}"), value.into_bytes()).expect("keys and values are legal");
        let value = format!("{turn} is another value");
        metadata.append(&format!("changing-{field}"), value.into_bytes()).expect("keys and values are legal");
    }
    metadata
}

struct End {
    connection: Connection,
    counted: bool,
}

impl End {
    /// Does something with the engine, which is counted if this is the side that is.
    fn step<T>(&mut self, what: impl FnOnce(&mut Connection) -> T) -> T {
        if self.counted { measured(|| what(&mut self.connection)) } else { what(&mut self.connection) }
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::with_capacity(1 << 10);
        self.step(|connection| {
            while let Some(event) = connection.poll_event() {
                events.push(event);
            }
        });
        events
    }
}

struct Pair {
    client: End,
    server: End,
    /// A wire that takes everything at once.
    wire: Vec<u8>,
    now: Instant,
}

impl Pair {
    fn new(client_counted: bool, runs: bool) -> Pair {
        let now = Instant::now();
        let config = [Config::client(), Config::server()].map(|config| Config { runs, ..config });
        let [client, server] = config.map(|config| Connection::new(config, now));
        let client = End { connection: client, counted: client_counted };
        let server = End { connection: server, counted: !client_counted };
        let mut pair = Pair { client, server, wire: Vec::new(), now };
        let (client, server) = (pair.client.counted, pair.server.counted);
        (pair.client.counted, pair.server.counted) = (false, false);
        pair.settle();
        (pair.client.counted, pair.server.counted) = (client, server);
        pair
    }

    /// Carries bytes there and back until neither has any. Events are left alone.
    fn settle(&mut self) {
        while carry(&mut self.client, &mut self.server, &mut self.wire, self.now)
            | carry(&mut self.server, &mut self.client, &mut self.wire, self.now)
        {}
    }

    fn connect(&mut self) {
        let (now, config) = (self.now, (Config::client(), Config::server()));
        let (client, server) = (&mut self.client, &mut self.server);
        let build = |end: &mut End, config| end.step(|connection| *connection = Connection::new(config, now));
        build(client, config.0);
        build(server, config.1);
        self.settle();
        assert_eq!((self.client.events(), self.server.events()), (vec![Event::Ready], vec![Event::Ready]));
    }

    fn open(&mut self, metadata: &Metadata) -> CallId {
        let now = self.now;
        let request = Request { path: "/package.Service/Method", authority: "example.org", metadata, deadline: None };
        self.client.step(|connection| connection.open(request, now)).expect("the connection takes calls")
    }

    /// A unary call that gets back what it sends.
    fn echo(&mut self, message: &Bytes, metadata: &Metadata) {
        let call = self.open(metadata);
        self.client.step(|connection| {
            connection.send_message(call, Outgoing::Shared(message.clone())).unwrap();
            connection.half_close(call).unwrap();
        });
        self.settle();
        for event in self.server.events() {
            self.server.step(|connection| match event {
                Event::Message { call, message } => {
                    connection.release(call, message.len());
                    connection.send_message(call, Outgoing::Shared(message)).unwrap();
                }
                Event::LargeMessage { call } => connection.want(call),
                Event::HalfClosed { call } => connection.respond(call, &Status::OK, &Metadata::new()).unwrap(),
                _ => {}
            });
        }
        self.settle();
        let events = self.client.events();
        self.client.step(|connection| take(connection, &events));
        assert!(matches!(events.last(), Some(Event::Closed { closed, .. }) if closed.status.is_ok()));
        self.server.events();
    }

    /// So many messages of 1 KiB to the server, compressed to a tenth.
    fn gzip(&mut self, times: usize) {
        let (now, metadata) = (self.now, Metadata::new());
        let request =
            Request { path: "/package.Service/Method", authority: "example.org", metadata: &metadata, deadline: None };
        let call =
            self.client.connection.open_encoded(request, Encoding::Gzip, now).expect("the connection takes calls");
        let message: Vec<u8> =
            (0..1 << 10).map(|at| b"the quick brown fox jumps over the lazy dog "[at * at % 44]).collect();
        for _ in 0..times {
            self.client.step(|connection| connection.send_message(call, &message[..])).expect("the call is open");
            self.settle();
            let events = self.server.events();
            let taken = self.server.step(|connection| take(connection, &events));
            assert_eq!(taken, 1);
        }
    }

    /// So many messages of 32 bytes to the server, as many at a time as it lets the client queue.
    fn upload(&mut self, times: usize) {
        let call = self.open(&Metadata::new());
        let (mut left, mut arrived) = (times, 0);
        while arrived < times {
            self.client.step(|connection| left -= send(connection, call, left));
            self.settle();
            let events = self.server.events();
            arrived += self.server.step(|connection| take(connection, &events));
            self.settle();
            self.client.events();
        }
    }

    /// [`upload`](Pair::upload), with many messages for the price of one.
    fn runs(&mut self, times: usize) {
        let call = self.open(&Metadata::new());
        let (mut left, mut arrived) = (times, 0);
        while arrived < times {
            self.client.step(|connection| {
                let mut run = RunBuilder::default();
                while left > 0 && run.wire_len() < 32 << 10 {
                    run.push::<()>(|buffer| {
                        buffer.extend_from_slice(&[7; 32]);
                        Ok(())
                    })
                    .expect("nothing can fail");
                    left -= 1;
                }
                connection.send_run(call, run.take(), true).unwrap();
            });
            self.settle();
            let events = self.server.events();
            arrived += self.server.step(|connection| take(connection, &events));
            self.settle();
            self.client.events();
        }
    }

    /// [`upload`](Pair::upload), the other way.
    fn download(&mut self, times: usize) {
        self.open(&Metadata::new());
        self.settle();
        let events = self.server.events();
        let Some(Event::Request { call, .. }) = events.last() else { panic!("no request: {events:?}") };
        let (mut left, mut arrived) = (times, 0);
        while arrived < times {
            self.server.step(|connection| left -= send(connection, *call, left));
            self.settle();
            let events = self.client.events();
            arrived += self.client.step(|connection| take(connection, &events));
            self.settle();
            self.server.events();
        }
    }
}

/// Sends up to so many messages of 32 bytes while there is room, and says how many.
fn send(connection: &mut Connection, call: CallId, most: usize) -> usize {
    let mut count = 0;
    while count < most && connection.writable(call) {
        connection.send_message(call, Outgoing::Copied(&[7; 32])).unwrap();
        count += 1;
    }
    count
}

/// Takes the messages among what happened, and says how many.
fn take(connection: &mut Connection, events: &[Event]) -> usize {
    let mut count = 0;
    for event in events {
        match event {
            Event::Message { call, message } => {
                connection.release(*call, message.len());
                count += 1;
            }
            Event::Messages { call, run } => {
                connection.release_many(*call, run.len(), run.body_len());
                count += run.len();
            }
            _ => {}
        }
    }
    count
}

/// Carries all that one end has to write; whether that was anything.
fn carry(from: &mut End, to: &mut End, wire: &mut Vec<u8>, now: Instant) -> bool {
    wire.clear();
    from.step(|connection| {
        while let Some(transmit) = connection.poll_transmit(now) {
            while transmit.has_remaining() {
                wire.extend_from_slice(transmit.chunk());
                transmit.advance(transmit.chunk().len());
            }
        }
    });
    let mut rest = &wire[..];
    to.step(|connection| {
        while !rest.is_empty() {
            let mut count = 0;
            for room in connection.receive_buffers() {
                let part = room.len().min(rest.len());
                room[..part].copy_from_slice(&rest[..part]);
                rest = &rest[part..];
                count += part;
            }
            connection.handle_received(count, now);
        }
    });
    !wire.is_empty()
}
