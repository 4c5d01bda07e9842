use std::{
    cmp::Ordering,
    collections::BinaryHeap,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{
    Action, Address, Choice, ConnectError, DialId, Head, How, Lost, Placed, Refusal, ServiceConfig, Waiting,
    balancer::{Done, End as Heard, PickArgs},
    call::{AttemptId, End, Plan, Rpc, Seen, Verdict},
    resolver::{Answer, QueryId},
};
use farcall_core::{Code, Metadata};
use fastrand::Rng;

use super::{
    Report, Setup,
    client::{Brain, Call, Client, Connection, Key, Link, Live, Place},
    measure::Measure,
    scenario::Change,
    seconds,
    server::{Job, Server},
};

/// How long everything is on its way, one way.
pub(super) const WAY: Duration = Duration::from_micros(500);

/// What the application gives a call.
const PATIENCE: Duration = Duration::from_secs(1);

const PATH: &str = "/fleet.Fleet/Call";

/// What happens at a time of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A client makes a call.
    Call {
        client: usize,
    },
    Timer {
        client: usize,
    },
    Answer {
        client: usize,
        id: QueryId,
    },
    /// An attempt to connect has come to its server.
    Hello {
        client: usize,
        dial: DialId,
    },
    Connected {
        client: usize,
        dial: DialId,
        epoch: u32,
    },
    Lost {
        client: usize,
        dial: DialId,
        how: How,
    },
    /// A call has come to a server.
    Request {
        server: usize,
        epoch: u32,
        call: usize,
        attempt: AttemptId,
    },
    /// A server is done with a job.
    Worked {
        server: usize,
        epoch: u32,
        job: Job,
    },
    Response {
        call: usize,
        attempt: AttemptId,
        server: usize,
        code: Code,
    },
    Deadline {
        call: usize,
    },
    /// Another attempt is due.
    Attempt {
        call: usize,
    },
    Change {
        server: usize,
        change: Change,
    },
}

/// Events in the order of their times; of those at one time the first that was put there.
struct Entry {
    at: Instant,
    number: u64,
    event: Event,
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

pub(super) struct Fleet {
    setup: Setup,
    pub(super) rng: Rng,
    pub(super) start: Instant,
    pub(super) now: Instant,
    agenda: BinaryHeap<Entry>,
    entries: u64,
    pub(super) clients: Vec<Client>,
    pub(super) servers: Vec<Server>,
    pub(super) calls: Vec<Call>,
    measure: Measure,
    /// Servers report their load.
    pub(super) reports: bool,
}

impl Fleet {
    pub(super) fn new(setup: &Setup) -> Fleet {
        let mut rng = Rng::with_seed(setup.seed);
        let start = Instant::now();
        let method = match &*setup.attempts {
            "" => String::new(),
            attempts => format!(
                r#","methodConfig":[{{"name":[{{}}],{attempts}}}],"retryThrottling":{{"maxTokens":10,"tokenRatio":0.1}}"#
            ),
        };
        let text = format!(r#"{{"loadBalancingConfig":[{}]{method}}}"#, setup.policy);
        let config = Arc::new(ServiceConfig::parse(&text).expect("a service config"));
        let mut fleet = Fleet {
            start,
            now: start,
            agenda: BinaryHeap::new(),
            entries: 0,
            clients: (0..setup.clients).map(|_| Client::new(&config, rng.u64(..), start)).collect(),
            servers: (0..setup.servers).map(|_| Server::new()).collect(),
            calls: Vec::new(),
            measure: Measure::new(setup.scenario, setup.seconds, setup.servers),
            reports: setup.policy.contains("weighted_round_robin"),
            rng,
            setup: setup.clone(),
        };
        for client in 0..setup.clients {
            let first = seconds(fleet.rng.f64() / setup.rate);
            fleet.at(first, Event::Call { client });
        }
        for (at, server, change) in setup.scenario.changes(setup.servers) {
            fleet.at(at, Event::Change { server, change });
        }
        fleet
    }

    pub(super) fn at(&mut self, after: Duration, event: Event) {
        self.when(self.now + after, event);
    }

    fn when(&mut self, at: Instant, event: Event) {
        self.entries += 1;
        self.agenda.push(Entry { at, number: self.entries, event });
    }

    pub(super) fn run(mut self) -> Report {
        let end = self.start + Duration::from_secs(self.setup.seconds);
        while let Some(Entry { at, event, .. }) = self.agenda.pop() {
            // Those calls are heard of that were made in time.
            if at > end + PATIENCE {
                break;
            }
            self.now = at;
            self.handle(event);
        }
        self.measure.report()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Call { client } => self.call(client),
            Event::Timer { client } => {
                self.clients[client].timer = None;
                self.step(client, |brain, now| brain.handle_timeout(now));
            }
            Event::Answer { client, id } => {
                // Each answer begins with another server, as those of DNS do.
                let first = self.rng.usize(0..self.servers.len());
                let count = self.servers.len();
                let found = (0..count).map(|server| address((first + server) % count));
                let answer = Answer::addresses(found);
                self.step(client, |brain, now| brain.handle_answer(id, Ok(answer), now));
            }
            Event::Hello { client, dial } => self.hello(client, dial),
            Event::Connected { client, dial, epoch } => self.connected(client, dial, epoch),
            Event::Lost { client, dial, how } => self.lost(client, dial, how),
            Event::Request { server, epoch, call, attempt } => self.request(server, epoch, call, attempt),
            Event::Worked { server, epoch, job } => self.worked(server, epoch, job),
            Event::Response { call, attempt, server, code } => self.response(call, attempt, server, code),
            Event::Deadline { call } => self.deadline(call),
            Event::Attempt { call } => self.drive(call),
            Event::Change { server, change } => self.change(server, change),
        }
    }

    // Clients.

    /// Steps a brain, does what it asks for, and sees to its timer.
    fn step<T>(&mut self, client: usize, step: impl FnOnce(&mut Brain, Instant) -> T) -> T {
        let value = step(&mut self.clients[client].brain, self.now);
        if self.clients[client].brain.begin_drain() {
            while let Some(action) = self.clients[client].brain.poll_action() {
                self.act(client, action);
            }
        }
        let hand = &mut self.clients[client];
        if let Some(due) = hand.brain.poll_timeout()
            && hand.timer.is_none_or(|timer| due < timer)
        {
            hand.timer = Some(due);
            self.when(due.max(self.now), Event::Timer { client });
        }
        value
    }

    fn act(&mut self, client: usize, action: Action<Connection, Key>) {
        match action {
            Action::Resolve(id, _) => self.at(Duration::from_millis(5), Event::Answer { client, id }),
            Action::Dial(dial, what) => {
                self.clients[client].dials.insert(dial, server_at(&what.address));
                self.at(WAY, Event::Hello { client, dial });
            }
            Action::Abandon(dial) => drop(self.clients[client].dials.remove(&dial)),
            Action::Release(connection) | Action::Close(connection, _) => {
                let Some(link) = self.clients[client].links.get_mut(&connection.dial) else { return };
                link.released = true;
                if link.calls.is_empty() {
                    self.at(Duration::ZERO, Event::Lost { client, dial: connection.dial, how: How::Broken });
                }
            }
            Action::Start((call, attempt), placed) => {
                let Placed { connection, dial: _, done } = placed;
                if self.calls[call].is_live(attempt) {
                    self.send(call, attempt, connection, done);
                }
            }
            Action::Fail((call, attempt), refusal) if self.calls[call].is_live(attempt) => {
                self.refused(call, attempt, refusal);
            }
            Action::Publish(snapshot) => self.clients[client].snapshot = snapshot,
            _ => {}
        }
    }

    fn hello(&mut self, client: usize, dial: DialId) {
        let Some(&server) = self.clients[client].dials.get(&dial) else { return };
        if self.servers[server].cut {
            return;
        }
        if self.servers[server].up {
            self.arrive(server, Job::Handshake { client, dial });
            return;
        }
        self.clients[client].dials.remove(&dial);
        let why = "Failed to connect to remote host: Connection refused".to_owned();
        let error = ConnectError { code: Code::Unknown, why };
        self.step(client, |brain, now| brain.handle_connect_failed(dial, &error, now));
    }

    fn connected(&mut self, client: usize, dial: DialId, epoch: u32) {
        // It was given up, and both ends find out.
        let Some(server) = self.clients[client].dials.remove(&dial) else { return };
        let link = Link { epoch, useful: false, released: false, calls: Vec::new() };
        self.clients[client].links.insert(dial, link);
        self.servers[server].connections.push((client, dial));
        self.step(client, |brain, now| brain.handle_connected(dial, Connection { server, dial }, now));
        if epoch != self.servers[server].epoch {
            self.at(WAY, Event::Lost { client, dial, how: How::Broken });
        }
    }

    fn lost(&mut self, client: usize, dial: DialId, how: How) {
        let Some(link) = self.clients[client].links.get(&dial) else { return };
        let lost = Lost { how, why: "Socket closed", useful: link.useful, keepalive_time: None };
        let broken = match how {
            How::Broken => self.clients[client].links.remove(&dial),
            How::Draining => None,
        };
        self.step(client, |brain, now| brain.handle_lost(dial, lost, now));
        for (call, attempt) in broken.into_iter().flat_map(|link| link.calls) {
            self.ended(call, attempt, Code::Unavailable, false, &Metadata::new());
        }
    }

    // Calls.

    fn call(&mut self, client: usize) {
        if self.now - self.start >= Duration::from_secs(self.setup.seconds) {
            return;
        }
        let pause = -(1.0 - self.rng.f64()).ln() / self.setup.rate;
        self.at(seconds(pause), Event::Call { client });
        let hand = &self.clients[client];
        let selection = hand.snapshot.select(&Head { path: PATH }).expect("every call may be made");
        let method = selection.method.cloned();
        drop(selection);
        let seed = self.rng.u64(..);
        let plan = method.and_then(|method| Plan::new(&method, hand.throttle.as_ref(), seed));
        let call = self.calls.len();
        let (begun, deadline) = (self.now - self.start, self.now + PATIENCE);
        self.calls.push(Call { client, begun, deadline, rpc: Rpc::new(plan), live: Vec::new(), over: false });
        self.when(deadline, Event::Deadline { call });
        self.drive(call);
    }

    /// Begins the attempts that are due, and cancels those that have lost.
    fn drive(&mut self, call: usize) {
        while let Some(attempt) = self.calls[call].rpc.poll_cancel() {
            self.cancel(call, attempt, Code::Cancelled);
        }
        while !self.calls[call].over
            && let Some(attempt) = self.calls[call].rpc.attempt(self.now)
        {
            self.calls[call].live.push(Live { id: attempt.id, place: Place::Picking });
            self.pick(call, attempt.id);
        }
        if !self.calls[call].over
            && let Some(due) = self.calls[call].rpc.poll_timeout()
        {
            self.when(due.max(self.now), Event::Attempt { call });
        }
    }

    fn pick(&mut self, call: usize, attempt: AttemptId) {
        let client = self.calls[call].client;
        let snapshot = Arc::clone(&self.clients[client].snapshot);
        match snapshot.pick(&PickArgs::new(PATH, self.rng.u64(..))) {
            Choice::Ready(picked) => {
                let connection = *picked.connection;
                self.send(call, attempt, connection, picked.done);
            }
            Choice::Fail(refusal) => self.refused(call, attempt, refusal),
            Choice::Queue => {
                let deadline = Some(self.calls[call].deadline);
                let waiting = Waiting::new(PATH, false, deadline);
                let ticket = self.clients[client].brain.queue((call, attempt), waiting, self.now);
                let mut live = self.calls[call].live.iter_mut();
                if let Some(live) = live.find(|live| live.id == attempt) {
                    live.place = Place::Queued(ticket);
                }
                self.step(client, |_, _| ());
            }
        }
    }

    fn send(&mut self, call: usize, attempt: AttemptId, connection: Connection, done: Done) {
        let Connection { server, dial } = connection;
        let client = self.calls[call].client;
        let link = self.clients[client].links.get_mut(&dial).expect("a connection that is there");
        link.calls.push((call, attempt));
        let epoch = link.epoch;
        if let Some(live) = self.calls[call].live.iter_mut().find(|live| live.id == attempt) {
            live.place = Place::On(dial, done);
        }
        self.measure.attempt(server, self.now - self.start);
        self.at(WAY, Event::Request { server, epoch, call, attempt });
    }

    fn refused(&mut self, call: usize, attempt: AttemptId, refusal: Refusal) {
        let seen = if refusal.may_retry { Seen::Perhaps } else { Seen::Dropped };
        self.take(call, attempt);
        let end = End { code: refusal.status.code, trailers: &Metadata::new(), completed: false, seen };
        self.judge(call, attempt, end);
    }

    /// An attempt has ended that was on a connection.
    pub(super) fn ended(&mut self, call: usize, attempt: AttemptId, code: Code, completed: bool, trailers: &Metadata) {
        let Some(Place::On(_, done)) = self.take(call, attempt) else { return };
        done.end(&Heard { code: Some(code), trailers: Some(trailers) });
        self.judge(call, attempt, End { code, trailers, completed, seen: Seen::Perhaps });
    }

    fn judge(&mut self, call: usize, attempt: AttemptId, end: End<'_>) {
        let (code, verdict) = (end.code, self.calls[call].rpc.handle_ended(attempt, end, self.now));
        if verdict == Verdict::Deliver {
            self.finish(call, code);
        }
        self.drive(call);
    }

    fn finish(&mut self, call: usize, code: Code) {
        let call = &mut self.calls[call];
        call.over = true;
        let took = self.now - self.start - call.begun;
        self.measure.call(call.begun, took, code != Code::Ok);
    }

    /// An attempt is no more, wherever it was.
    fn take(&mut self, call: usize, attempt: AttemptId) -> Option<Place> {
        let of = &mut self.calls[call];
        let index = of.live.iter().position(|live| live.id == attempt)?;
        let place = of.live.swap_remove(index).place;
        if let Place::On(dial, _) = &place
            && let Some(link) = self.clients[of.client].links.get_mut(dial)
        {
            link.calls.retain(|key| *key != (call, attempt));
            if link.released && link.calls.is_empty() {
                let (client, dial) = (of.client, *dial);
                self.at(Duration::ZERO, Event::Lost { client, dial, how: How::Broken });
            }
        }
        Some(place)
    }

    fn cancel(&mut self, call: usize, attempt: AttemptId, code: Code) {
        match self.take(call, attempt) {
            Some(Place::On(_, done)) => done.end(&Heard { code: Some(code), trailers: None }),
            Some(Place::Queued(ticket)) => {
                let client = self.calls[call].client;
                self.step(client, |brain, _| brain.forget(ticket));
            }
            Some(Place::Picking) | None => {}
        }
    }

    fn deadline(&mut self, call: usize) {
        if self.calls[call].over {
            return;
        }
        self.calls[call].rpc.give_up();
        self.finish(call, Code::DeadlineExceeded);
        while let Some(live) = self.calls[call].live.first() {
            self.cancel(call, live.id, Code::DeadlineExceeded);
        }
    }
}

fn address(server: usize) -> Address {
    let [.., high, low] = server.to_be_bytes();
    Address::Ip(SocketAddr::from(([10, 0, high, low], 1)))
}

fn server_at(address: &Address) -> usize {
    match address {
        Address::Ip(SocketAddr::V4(address)) => {
            let [_, _, high, low] = address.ip().octets();
            usize::from(high) << 8 | usize::from(low)
        }
        _ => 0,
    }
}
