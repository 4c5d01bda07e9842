//! The world: clients, servers, the network between them, the clock, and what goes wrong.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{
    Address, ConnectError, PREVIOUS_ATTEMPTS, Target, ThrottlingConfig,
    call::{AttemptId, End, Plan as Policy, Rpc, Seen, Throttle, Verdict},
    single::{Action, Channel, ConnectionId, Lost, Pick},
};
use farcall_core::{Code, Metadata, Status};
use farcall_engine::{Budget, Config, Encoding, ErrorCode, Limits, Request};
use fastrand::Rng;

use crate::{
    attempt::{Attempt, Circumstances, Side},
    guests::{self, Burst, Hostile, Long, Paused},
    link::Link,
    plan::{Plan, Text},
    wire::Weather,
};

/// How long the world is ill.
const ILL: Duration = Duration::from_secs(30);

/// By then everything has finished in a world that is healed.
const LATEST: Duration = Duration::from_secs(3600);

const PORT: u16 = 50_051;

/// What happens at a time of its own.
#[derive(Debug)]
enum Task {
    NewCall {
        client: usize,
    },
    Resolved {
        client: usize,
        found: bool,
    },
    Dialled {
        client: usize,
        id: ConnectionId,
        server: usize,
    },
    Trouble,
    /// A guest does something.
    Guest,
    ServerBack(usize),
    Heal,
}

struct Client {
    channel: Channel,
    config: Config,
    links: HashMap<ConnectionId, usize>,
    /// Attempts that no connection has taken yet.
    waiting: Vec<Waiting>,
    pick_again: bool,
    throttle: Option<Arc<Throttle>>,
}

/// An attempt at a call that waits for a connection.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    tag: usize,
    id: AttemptId,
    previous: u32,
}

struct Server {
    config: Config,
    up: bool,
    links: u64,
}

/// A call as its caller knows it.
struct Call {
    client: usize,
    plan: Plan,
    deadline: Option<Instant>,
    rpc: Rpc,
    /// Attempts that have begun and are not over.
    live: Vec<AttemptId>,
    /// The attempt with response headers.
    winner: Option<AttemptId>,
    status: Option<Status>,
}

impl Call {
    /// The call ends with this status, once.
    fn end(&mut self, status: Status) {
        assert!(self.status.is_none(), "a call ends twice");
        self.status = Some(status);
    }

    /// Attempts that the policy allows, and that may be under way beside each other.
    fn bounds(&self) -> (u32, usize) {
        let policy = self.plan.policy.as_ref();
        let hedges = policy.and_then(|policy| policy.hedging.as_ref()).map(|hedging| hedging.max_attempts);
        let retries = policy.and_then(|policy| policy.retry.as_ref()).map(|retry| retry.max_attempts);
        (hedges.or(retries).unwrap_or(1), hedges.unwrap_or(1) as usize)
    }
}

/// Everything, stepped in virtual time.
pub(crate) struct World<'a> {
    text: &'a Text,
    rng: Rng,
    start: Instant,
    now: Instant,
    agenda: BTreeMap<(Instant, u64), Task>,
    entries: u64,
    clients: Vec<Client>,
    servers: Vec<Server>,
    links: Vec<Link>,
    calls: Vec<Call>,
    /// Attempts that are not over at both ends, and those that the server must never hear of.
    attempts: Vec<Attempt>,
    unprocessed: Vec<(usize, usize)>,
    bursts: Vec<Burst>,
    longs: Vec<Long>,
    paused: Vec<Paused>,
    hostiles: Vec<Hostile>,
    /// What connections share.
    budgets: Vec<Arc<Budget>>,
    fair: bool,
    healed: bool,
    leaving: bool,
    trace: DefaultHasher,
    /// How many times the books of two ends were compared.
    pub(crate) audits: u64,
}

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, text: &'a Text) -> World<'a> {
        let mut rng = Rng::with_seed(seed);
        let start = Instant::now();
        let fair = rng.u8(0..4) == 0;
        let mut servers: Vec<Server> = (0..rng.usize(1..4)).map(|_| server(&mut rng)).collect();
        let mut clients: Vec<Client> = (0..rng.usize(1..4)).map(|_| client(servers.len(), &mut rng)).collect();
        let budgets = share(&mut servers, &mut clients, &mut rng);
        let mut world = World {
            text,
            rng,
            start,
            now: start,
            agenda: BTreeMap::new(),
            entries: 0,
            clients,
            servers,
            links: Vec::new(),
            calls: Vec::new(),
            attempts: Vec::new(),
            unprocessed: Vec::new(),
            bursts: Vec::new(),
            longs: Vec::new(),
            paused: Vec::new(),
            hostiles: Vec::new(),
            budgets,
            fair,
            healed: false,
            leaving: false,
            trace: DefaultHasher::new(),
            audits: 0,
        };
        world.fill_agenda();
        world
    }

    fn fill_agenda(&mut self) {
        let bound = if self.rng.u8(0..10) == 0 { 60 } else { 15 };
        for _ in 0..self.rng.usize(1..bound) {
            let client = self.rng.usize(0..self.clients.len());
            // Often many at once.
            let after = if self.rng.bool() { Duration::ZERO } else { self.delay(10_000) };
            self.later(after, Task::NewCall { client });
        }
        let troubles = if self.fair { 0 } else { self.rng.usize(0..10) };
        for _ in 0..troubles {
            let longest = if self.rng.bool() { 1_000 } else { 20_000 };
            let after = self.delay(longest);
            self.later(after, Task::Trouble);
        }
        if self.rng.u8(0..3) == 0 {
            for _ in 0..self.rng.usize(1..12) {
                let after = self.delay(12_000);
                self.later(after, Task::Guest);
            }
            for _ in 0..self.rng.usize(0..3) {
                let server = self.rng.usize(0..self.servers.len());
                let config = Config { seed: self.rng.u64(..), ..self.servers[server].config.clone() };
                self.hostiles.push(Hostile::new(config, self.now));
            }
        }
        self.later(ILL, Task::Heal);
    }

    /// A random time of up to so many milliseconds.
    fn delay(&mut self, longest: u64) -> Duration {
        Duration::from_micros(self.rng.u64(0..longest * 1000))
    }

    fn later(&mut self, after: Duration, task: Task) {
        self.entries += 1;
        self.agenda.insert((self.now + after, self.entries), task);
    }

    /// Lives from beginning to end; what happened, in a number.
    pub(crate) fn run(mut self) -> (u64, u64) {
        self.live();
        assert!(self.healed && self.calls.iter().all(|call| call.status.is_some()), "a call waits for ever");
        for client in 0..self.clients.len() {
            self.begin(client, Plan::probe());
        }
        self.live();
        for (tag, call) in self.calls.iter().enumerate().rev().take(self.clients.len()) {
            assert_eq!(call.status, Some(Status::OK), "probe {tag}: the healed world does not work");
        }
        self.check_rest();
        self.leave();
        self.check_budgets();
        (self.trace.finish(), self.audits)
    }

    /// Goes on until nothing moves and nobody waits for a time.
    fn live(&mut self) {
        loop {
            self.settle();
            self.audit();
            if self.end_paused() {
                continue;
            }
            if self.is_quiet() {
                break;
            }
            let Some(next) = self.next_wake() else { break };
            self.now = self.now.max(next);
            assert!(self.now < self.start + LATEST, "somebody waits without end");
        }
    }

    /// Ends the calls that nobody takes from, once every other has ended beside them; says whether there were any.
    fn end_paused(&mut self) -> bool {
        if !self.healed || !self.agenda.is_empty() || self.calls.iter().any(|call| call.status.is_none()) {
            return false;
        }
        let paused = std::mem::take(&mut self.paused);
        let were = !paused.is_empty();
        for call in paused {
            let [client, _] = &mut self.links[call.link].ends;
            call.give_up(client);
        }
        were
    }

    /// Everything has finished; only keepalive and the like may go on.
    fn is_quiet(&self) -> bool {
        let over = |attempt: &Attempt| attempt.client.over && attempt.server.as_ref().is_none_or(|side| side.over);
        self.healed
            && self.agenda.is_empty()
            && self.bursts.is_empty()
            && self.longs.is_empty()
            && self.paused.is_empty()
            && self.calls.iter().all(|call| call.status.is_some())
            && self.attempts.iter().all(over)
            && self.links.iter().all(|link| if self.leaving { link.is_over() } else { link.is_still() })
    }

    /// All that can happen at this time, in any order.
    fn settle(&mut self) {
        let mut turns = 0u32;
        loop {
            let mut moved = false;
            while let Some(entry) = self.agenda.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let task = entry.remove();
                self.perform(task);
                moved = true;
            }
            for index in 0..self.links.len() {
                // A few turns for each link, so that the order is any.
                for _ in 0..self.rng.usize(1..8) {
                    let Some(action) = self.links[index].turn(self.now, &mut self.rng) else { break };
                    self.note((index, action));
                    moved = true;
                }
                moved |= self.look_at(index);
            }
            moved |= self.step_attempts();
            moved |= self.step_calls();
            moved |= self.step_guests();
            moved |= self.step_channels();
            if !moved {
                break;
            }
            turns += 1;
            assert!(turns < 1_000_000, "the world is busy without end");
        }
    }

    fn note(&mut self, what: impl Hash) {
        (self.now - self.start, what).hash(&mut self.trace);
    }

    fn next_wake(&self) -> Option<Instant> {
        let links = self.links.iter().filter_map(Link::next_wake);
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        let channels = self.clients.iter().filter_map(|client| client.channel.poll_timeout());
        let open = || self.calls.iter().filter(|call| call.status.is_none());
        // Of those under way the engines know the deadlines.
        let unplaced = |call: &&Call| call.live.iter().all(|id| self.is_waiting(call, *id));
        let deadlines = open().filter(unplaced).filter_map(|call| call.deadline);
        let due = open().filter_map(|call| call.rpc.poll_timeout());
        let sides = self.attempts.iter().flat_map(|attempt| [Some(&attempt.client), attempt.server.as_ref()]);
        let apps = sides.flatten().filter_map(|side| side.wake(self.now));
        let bursts = self.bursts.iter().map(|burst| burst.until);
        links.chain(agenda).chain(bursts).chain(channels).chain(deadlines).chain(due).chain(apps).min()
    }

    // What happens.

    fn perform(&mut self, task: Task) {
        match task {
            Task::NewCall { client } => {
                let mut plan = Plan::random(&mut self.rng);
                // Where all is well a call has no reason to end but its plan.
                plan.hangs &= !self.fair || plan.timeout.is_some();
                self.begin(client, plan);
            }
            Task::Resolved { client, found } => {
                let addresses = (0..self.servers.len()).map(address).collect();
                let result = if found { Ok(addresses) } else { Err("Domain name not found".to_owned()) };
                self.clients[client].channel.handle_resolved(result, self.now);
            }
            Task::Dialled { client, id, server } => self.dialled(client, id, server),
            Task::Trouble => self.trouble(),
            Task::Guest => self.guest(),
            Task::ServerBack(server) => self.servers[server].up = true,
            Task::Heal => self.heal(),
        }
    }

    /// A guest does something: on a connection of an honest client, or on its own.
    fn guest(&mut self) {
        let (now, rng) = (self.now, &mut self.rng);
        for hostile in &mut self.hostiles {
            for _ in 0..rng.usize(1..20) {
                hostile.act(now, rng, &mut self.trace);
            }
        }
        let working = |link: &Link| link.told_ready.is_some() && !link.told_lost && link.is_alive();
        let links: Vec<usize> = (0..self.links.len()).filter(|index| working(&self.links[*index])).collect();
        let Some(&index) = self.rng.choice(&links) else { return };
        let streams = self.servers[self.links[index].server].config.limits.max_concurrent_streams;
        let [client, _] = &mut self.links[index].ends;
        match self.rng.u8(0..6) {
            0..3 => self.bursts.push(Burst::open(index, client, now, &mut self.rng)),
            3 => self.longs.extend(Long::open(index, client, now, &mut self.rng)),
            // Not where they could take all the streams there are.
            _ if streams.is_none_or(|streams| streams > 12) => {
                self.paused.extend(Paused::open(index, client, now, &mut self.rng));
            }
            _ => {}
        }
    }

    /// Ends bursts that have had their time, and looks how calls with long headers end; says whether anything happened.
    fn step_guests(&mut self) -> bool {
        let (due, kept) = std::mem::take(&mut self.bursts).into_iter().partition(|burst| burst.until <= self.now);
        self.bursts = kept;
        let due: Vec<Burst> = due;
        let before = self.longs.len() + due.len();
        for burst in due {
            let [client, _] = &mut self.links[burst.link].ends;
            burst.give_up(client);
        }
        let links = &self.links;
        self.longs.retain(|long| !long.is_over(&links[long.link].ends[0], links[long.link].disturbed));
        before > self.longs.len()
    }

    fn begin(&mut self, client: usize, plan: Plan) {
        let deadline = plan.timeout.map(|timeout| self.now + timeout);
        let tag = self.calls.len();
        let throttle = self.clients[client].throttle.as_ref();
        let policy = plan.policy.as_ref().and_then(|policy| Policy::new(policy, throttle, self.rng.u64(..)));
        let rpc = Rpc::new(policy);
        self.calls.push(Call { client, plan, deadline, rpc, live: Vec::new(), winner: None, status: None });
        self.drive(tag);
    }

    /// Begins the attempts at a call that are due, and cancels those that have lost. Says whether there were any.
    fn drive(&mut self, tag: usize) -> bool {
        let mut moved = false;
        while let Some(id) = self.calls[tag].rpc.poll_cancel() {
            moved = true;
            self.lose(tag, id);
        }
        let call = &mut self.calls[tag];
        while let Some(attempt) = call.rpc.attempt(self.now) {
            moved = true;
            assert!(call.winner.is_none() && call.status.is_none(), "call {tag} is committed, and made again");
            call.live.push(attempt.id);
            let (most, beside) = call.bounds();
            assert!(attempt.previous < most && call.live.len() <= beside, "call {tag}: too many attempts");
            let client = &mut self.clients[call.client];
            client.waiting.push(Waiting { tag, id: attempt.id, previous: attempt.previous });
            client.pick_again = true;
        }
        moved
    }

    /// Cancels an attempt, wherever it is.
    fn lose(&mut self, tag: usize, id: AttemptId) {
        let call = &mut self.calls[tag];
        call.live.retain(|live| *live != id);
        self.clients[call.client].waiting.retain(|waiting| (waiting.tag, waiting.id) != (tag, id));
        let its = |attempt: &&mut Attempt| (attempt.tag, attempt.id()) == (tag, id);
        if let Some(attempt) = self.attempts.iter_mut().find(its) {
            attempt.lose(&mut self.links[attempt.link].ends);
        }
    }

    /// An attempt has ended: what becomes of its call.
    fn attempt_ended(&mut self, tag: usize, id: AttemptId, end: End<'_>, status: Status) {
        let call = &mut self.calls[tag];
        let was_live = call.live.contains(&id);
        call.live.retain(|live| *live != id);
        let verdict = call.rpc.handle_ended(id, end, self.now);
        match verdict {
            Verdict::Deliver => {
                assert!(call.winner.is_none_or(|winner| winner == id), "call {tag} ends as an attempt that lost");
                call.end(status);
            }
            Verdict::Again(_) => {
                assert!(call.winner.is_none() && call.status.is_none(), "call {tag} is committed, and made again");
            }
            Verdict::Lost => {
                let beside = !call.live.is_empty() || call.status.is_some();
                assert!(beside, "call {tag}: the last attempt is lost, and the call does not end");
            }
        }
        self.drive(tag);
        let call = &self.calls[tag];
        if let Verdict::Again(at) = verdict {
            assert!(at > self.now || !call.live.is_empty(), "call {tag} does not go again");
        }
        if call.status.is_some() {
            assert!(call.live.is_empty(), "call {tag} is over, and {:?} not cancelled", call.live);
        }
        assert!(was_live || call.rpc.is_committed(), "call {tag}: an attempt of nobody's");
    }

    /// Whether an attempt at this call waits for a connection.
    fn is_waiting(&self, call: &Call, id: AttemptId) -> bool {
        let waiting = &self.clients[call.client].waiting;
        waiting.iter().any(|waiting| waiting.id == id && std::ptr::eq(&raw const self.calls[waiting.tag], call))
    }

    fn dialled(&mut self, client: usize, id: ConnectionId, server: usize) {
        if !self.servers[server].up {
            let why = "Failed to connect to remote host: Connection refused".to_owned();
            let error = ConnectError { code: Code::Unknown, why };
            return self.clients[client].channel.handle_connect_failed(id, &error, self.now);
        }
        self.servers[server].links += 1;
        let seed = self.rng.u64(..);
        let configs = [
            Config { seed, ..self.clients[client].config.clone() },
            Config { seed: seed ^ 1, ..self.servers[server].config.clone() },
        ];
        let mut weather = [weather(&mut self.rng), weather(&mut self.rng)];
        if !self.fair && !self.healed && self.rng.u8(0..4) == 0 {
            let size = [100, 1000, 100_000][self.rng.usize(0..3)];
            weather[self.rng.usize(0..2)].breaks_after = Some(self.rng.usize(1..=size));
        }
        self.clients[client].links.insert(id, self.links.len());
        self.links.push(Link::new((client, id, server), configs, weather, self.now));
    }

    fn trouble(&mut self) {
        if self.healed {
            return;
        }
        let kind = self.rng.u8(0..10);
        self.note(kind);
        let server = self.rng.usize(0..self.servers.len());
        if kind < 4 {
            return self.server_trouble(server, kind);
        }
        let alive: Vec<usize> = (0..self.links.len()).filter(|index| self.links[*index].is_alive()).collect();
        let Some(&index) = self.rng.choice(&alive) else { return };
        let (side, time) = (self.rng.usize(0..2), self.delay(20_000));
        let link = &mut self.links[index];
        match kind {
            4 | 5 => link.reset(self.now),
            6 => link.silence(),
            7 => link.stall(side, self.now, time),
            8 => {
                link.disturbed = true;
                let status = Status::new(Code::Unavailable, "closed");
                link.ends[side].connection.close(ErrorCode::NO_ERROR, "", &status, self.now);
                link.ends[side].drain();
            }
            _ => {
                link.refusing = true;
                link.ends[side].connection.shutdown(self.now);
                link.ends[side].drain();
            }
        }
    }

    /// A server crashes, is cut off, or goes away politely, and comes back after a time.
    fn server_trouble(&mut self, server: usize, kind: u8) {
        for link in self.links.iter_mut().filter(|link| link.server == server && link.is_alive()) {
            match kind {
                0 | 1 => link.reset(self.now),
                2 => link.silence(),
                _ => {
                    link.refusing = true;
                    link.ends[1].connection.shutdown(self.now);
                    link.ends[1].drain();
                }
            }
        }
        self.servers[server].up = false;
        let away = self.delay(20_000);
        self.later(away, Task::ServerBack(server));
    }

    fn heal(&mut self) {
        self.healed = true;
        for server in &mut self.servers {
            server.up = true;
            server.config.max_connection_age_grace = None;
            server.config.limits.min_ping_interval = Duration::ZERO;
            server.config.limits.min_ping_interval_without_calls = Duration::ZERO;
        }
        self.links.iter_mut().for_each(|link| link.heal(self.now));
    }

    // The hands of the clients and the servers.

    /// What a connection has told since it was last looked at; says whether that was anything.
    fn look_at(&mut self, index: usize) -> bool {
        let link = &mut self.links[index];
        let mut moved = false;
        let (now, id, client) = (self.now, link.id, link.client);
        let useful = link.is_useful();
        let channel = &mut self.clients[client].channel;
        let [client_end, _] = &link.ends;
        if client_end.ready && link.told_ready.is_none() {
            (link.told_ready, moved) = (Some(now), true);
            channel.handle_connected(id);
        }
        let lost = client_end.disconnected.is_some() || client_end.draining || !client_end.connection.accepts_calls();
        if lost && !link.told_lost {
            (link.told_lost, moved) = (true, true);
            self.clients[client].config.keepalive_time = client_end.connection.next_keepalive_time();
            let channel = &mut self.clients[client].channel;
            let why = client_end.disconnected.as_ref().map_or("GOAWAY".to_owned(), ToString::to_string);
            if let Some(since) = link.told_ready {
                channel.handle_lost(id, Lost { why: &why, lived: now - since, useful }, now);
            } else {
                channel.handle_connect_failed(id, &ConnectError { code: Code::Unavailable, why }, now);
            }
        }
        // A server that does not want streams any more, or lets in only so many at once, ends calls too.
        while let Some(call) = self.links[index].ends[1].poll_request() {
            moved = true;
            self.serve(index, call);
        }
        moved
    }

    /// A request has come: whose?
    fn serve(&mut self, index: usize, call: farcall_engine::CallId) {
        let head = self.links[index].ends[1].call(call).head.as_ref().expect("a request has a head");
        match head.path.as_str() {
            // Its application never answers.
            guests::BURST => return,
            guests::LONG => return Long::answer(&mut self.links[index].ends[1], call),
            guests::PAUSED => return Paused::answer(&mut self.links[index].ends[1], call, &mut self.rng),
            _ => {}
        }
        let name = head.path.strip_prefix("/sim.Sim/").and_then(|name| name.split_once('.')).expect("a path of ours");
        let (tag, number): (usize, usize) = (name.0.parse().expect("a tag"), name.1.parse().expect("a number"));
        assert!(!self.unprocessed.contains(&(tag, number)), "call {tag}: an attempt that was told unprocessed");
        assert_eq!(head.authority, "sim.example");
        let mut metadata = head.metadata.clone();
        metadata.remove("user-agent");
        let previous = metadata.first(PREVIOUS_ATTEMPTS).map(|value| String::from_utf8_lossy(value).into_owned());
        metadata.remove(PREVIOUS_ATTEMPTS);
        assert_eq!(metadata, self.calls[tag].plan.metadata, "call {tag}: metadata");
        assert_eq!(head.deadline.is_some(), self.calls[tag].deadline.is_some(), "call {tag}: the deadline");
        let find = |attempt: &&mut Attempt| (attempt.tag, attempt.number, attempt.link) == (tag, number, index);
        let attempt = self.attempts.iter_mut().find(find).unwrap_or_else(|| panic!("call {tag} came unasked"));
        assert!(attempt.server.is_none(), "call {tag} came twice");
        assert_eq!(previous, (attempt.previous > 0).then(|| attempt.previous.to_string()), "call {tag}: {number}");
        attempt.server = Some(Side::new(call, 1, &attempt.plan, self.now));
    }

    fn step_attempts(&mut self) -> bool {
        let mut moved = false;
        // None is taken away or goes to another place meanwhile; new ones wait for a connection first.
        for index in 0..self.attempts.len() {
            moved |= self.step_attempt(index);
        }
        // The server may hear of a call that the client has given up, as long as the connection lives.
        let links = &self.links;
        self.attempts.retain(|attempt| {
            let gone = links[attempt.link].ends[1].disconnected.is_some();
            !attempt.client.over || attempt.server.as_ref().map_or(!gone, |side| !side.over)
        });
        moved
    }

    fn step_attempt(&mut self, index: usize) -> bool {
        let attempt = &mut self.attempts[index];
        let (tag, id) = (attempt.tag, attempt.id());
        let call = &mut self.calls[tag];
        if attempt.begins(&self.links[attempt.link].ends) && call.rpc.handle_headers(id) {
            assert_eq!(call.winner.replace(id), None, "call {tag} has two winners");
            self.drive(tag);
        }
        let attempt = &mut self.attempts[index];
        let link = &mut self.links[attempt.link];
        let (disturbed, refusing) = (link.disturbed, link.refusing);
        let world = Circumstances { now: self.now, healed: self.healed, disturbed, refusing };
        let mut moved = attempt.step(&mut link.ends, self.text, world);
        let closed = attempt.client_closed(&link.ends, world);
        let server_closed = attempt.server_closed(&link.ends, world);
        let overflow = attempt.sent() > attempt.plan.kept && attempt.plan.policy.is_some() && !attempt.client.over;
        let (number, processed) = (attempt.number, attempt.server.is_some());
        if let Some(closed) = server_closed {
            moved = true;
            self.note((tag, 1, closed.status.code, closed.completed));
        }
        let call = &mut self.calls[tag];
        if overflow && !call.rpc.is_committed() && call.live.contains(&id) {
            call.rpc.handle_overflow(Some(id));
            self.drive(tag);
        }
        let Some(closed) = closed else { return moved };
        self.note((tag, 0, closed.status.code, &closed.status.message, closed.completed));
        let seen = match (closed.unprocessed, closed.unsent) {
            (true, true) => Seen::Never,
            (true, false) => Seen::Refused,
            (false, _) => Seen::Perhaps,
        };
        if closed.unprocessed {
            assert!(!processed, "call {tag} was processed");
            self.unprocessed.push((tag, number));
        }
        let Status { code, .. } = closed.status;
        let end = End { code, trailers: &closed.trailers, completed: closed.completed, seen };
        self.attempt_ended(tag, id, end, closed.status);
        true
    }

    /// Begins attempts whose time has come.
    fn step_calls(&mut self) -> bool {
        let mut moved = false;
        for tag in 0..self.calls.len() {
            let call = &mut self.calls[tag];
            if call.status.is_none() && call.rpc.poll_timeout().is_some_and(|at| at <= self.now) {
                self.drive(tag);
                let at = self.calls[tag].rpc.poll_timeout();
                assert!(at.is_none_or(|at| at > self.now), "call {tag} is due again at once");
                moved = true;
            }
        }
        moved
    }

    fn step_channels(&mut self) -> bool {
        let mut moved = false;
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if client.channel.poll_timeout().is_some_and(|at| at <= self.now) {
                client.channel.handle_timeout(self.now);
                moved = true;
            }
            moved |= self.pump(index);
            if std::mem::take(&mut self.clients[index].pick_again) {
                moved = true;
                self.pick(index);
                self.pump(index);
            }
            moved |= self.expire_waiting(index);
        }
        moved
    }

    /// Does what a channel asks for.
    fn pump(&mut self, index: usize) -> bool {
        let mut moved = false;
        while let Some(action) = self.clients[index].channel.poll_action() {
            moved = true;
            match action {
                Action::Resolve { .. } => {
                    let found = self.fair || self.healed || self.rng.u8(0..6) > 0;
                    let after = self.delay(500);
                    self.later(after, Task::Resolved { client: index, found });
                }
                Action::Connect { id, address: to } => {
                    let server = (0..self.servers.len()).find(|server| address(*server) == to).expect("a server");
                    // Some are never answered.
                    if self.fair || self.healed || self.rng.u8(0..8) > 0 {
                        let after = self.delay(300);
                        self.later(after, Task::Dialled { client: index, id, server });
                    }
                }
                Action::Disconnect(id) => {
                    let Some(&link) = self.clients[index].links.get(&id) else { continue };
                    let link = &mut self.links[link];
                    link.disturbed = true;
                    link.told_lost = true;
                    let status = Status::new(Code::Cancelled, "Channel closed!");
                    link.ends[0].connection.close(ErrorCode::NO_ERROR, "", &status, self.now);
                    link.ends[0].drain();
                }
                Action::StateChanged(state) => {
                    self.note(state as u8);
                    self.clients[index].pick_again = true;
                }
            }
        }
        moved
    }

    /// Brings the attempts that wait to a connection, if there is one.
    fn pick(&mut self, index: usize) {
        for waiting in std::mem::take(&mut self.clients[index].waiting) {
            let call = &mut self.calls[waiting.tag];
            let client = &mut self.clients[index];
            if !call.live.contains(&waiting.id) {
                // It has lost while this goes on.
                continue;
            }
            match client.channel.pick(call.plan.wait_for_ready, self.now) {
                Pick::Wait => client.waiting.push(waiting),
                Pick::Fail(status) => {
                    assert!(!call.plan.wait_for_ready && !self.fair, "call {} failed: {status}", waiting.tag);
                    let none = Metadata::new();
                    let end = End { code: status.code, trailers: &none, completed: false, seen: Seen::Perhaps };
                    self.attempt_ended(waiting.tag, waiting.id, end, status);
                }
                Pick::Connection(id) => {
                    let link = client.links[&id];
                    if !self.open(waiting, link) {
                        // It takes no calls any more, and the word has not reached the channel yet.
                        let (since, useful) = (self.links[link].told_ready, self.links[link].is_useful());
                        let lived = since.map_or(Duration::ZERO, |since| self.now - since);
                        let client = &mut self.clients[index];
                        client.channel.handle_lost(id, Lost { why: "it takes no more calls", lived, useful }, self.now);
                        self.links[link].told_lost = true;
                        client.waiting.push(waiting);
                        client.pick_again = true;
                    }
                }
            }
        }
    }

    fn open(&mut self, waiting: Waiting, index: usize) -> bool {
        let Waiting { tag, id, previous } = waiting;
        let call = &mut self.calls[tag];
        let link = &mut self.links[index];
        let configs = [&self.clients[link.client].config, &self.servers[link.server].config];
        if configs.iter().any(|config| config.limits.unread < 1 << 20) {
            // Where little may be unread a compressed message can end its call.
            call.plan.encoding = [Encoding::Identity; 2];
        }
        let [end, _] = &mut link.ends;
        let number = id.0 as usize;
        let mut metadata = call.plan.metadata.clone();
        if previous > 0 {
            metadata.append(PREVIOUS_ATTEMPTS, previous.to_string()).expect("legal metadata");
        }
        let request = Request {
            path: &format!("/sim.Sim/{tag}.{number}"),
            authority: "sim.example",
            metadata: &metadata,
            deadline: call.deadline,
        };
        let Ok(id) = end.connection.open_encoded(request, call.plan.encoding[0], self.now) else { return false };
        end.opened(id);
        end.drain();
        let plan = call.plan.of_attempt(previous);
        let client = Side::new(id, 0, &plan, self.now);
        let deadline = call.deadline;
        let (begun, server) = (false, None);
        self.attempts.push(Attempt { tag, number, previous, plan, begun, link: index, deadline, client, server });
        true
    }

    /// Ends calls that are late and on no connection.
    fn expire_waiting(&mut self, index: usize) -> bool {
        let mut moved = false;
        for tag in 0..self.calls.len() {
            let call = &self.calls[tag];
            let late = call.client == index && call.deadline.is_some_and(|at| at <= self.now);
            let unplaced = || call.live.iter().all(|id| self.is_waiting(call, *id));
            if call.status.is_some() || !late || !unplaced() {
                continue;
            }
            moved = true;
            self.clients[index].waiting.retain(|waiting| waiting.tag != tag);
            let call = &mut self.calls[tag];
            call.live.clear();
            call.rpc.give_up();
            call.end(Status::new(Code::DeadlineExceeded, "Deadline Exceeded"));
        }
        moved
    }

    // What must hold.

    /// Whenever nothing moves: no call is late, and the books agree wherever nothing is on the way.
    fn audit(&mut self) {
        for throttle in self.clients.iter().filter_map(|client| client.throttle.as_ref()) {
            assert!(throttle.tokens() <= throttle.most(), "there are more tokens than there can be");
        }
        for attempt in &self.attempts {
            attempt.check_deadlines(&self.links[attempt.link].ends, self.now);
        }
        for link in &mut self.links {
            link.check_keepalive(self.now);
            self.audits += u64::from(link.check_books(self.now));
        }
    }

    /// At the end nothing is left that memory would be needed for.
    fn check_rest(&mut self) {
        let whose = self
            .attempts
            .iter()
            .find(|attempt| !attempt.client.over || attempt.server.as_ref().is_some_and(|side| !side.over));
        assert!(whose.is_none(), "a call is left: {whose:?}");
        for link in &mut self.links {
            let windows = [&self.clients[link.client].config, &self.servers[link.server].config];
            link.check_floor(windows.map(|config| config.limits.connection_window), self.now);
        }
    }

    /// Whatever became of a connection, what it had of its budget is given back.
    fn check_budgets(&mut self) {
        self.links.clear();
        self.hostiles.clear();
        for budget in &self.budgets {
            assert_eq!((budget.used(), budget.promised()), (0, 0), "bytes of a budget are lost: {budget:?}");
        }
    }

    /// The clients close their channels, and with them everything ends.
    fn leave(&mut self) {
        self.leaving = true;
        for client in &mut self.clients {
            client.channel.shutdown();
        }
        self.live();
        assert!(self.links.iter().all(Link::is_over), "a connection outlives its channel");
    }
}

/// What the world looks like when a checker finds something wrong.
impl Drop for World<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let ill = if self.healed { "healed" } else { "ill" };
        eprintln!("at {:?}, {ill}, fair: {}", self.now - self.start, self.fair);
        for (index, client) in self.clients.iter().enumerate() {
            eprintln!("client {index}: {:?}, waiting: {:?}", client.channel.state(), client.waiting);
        }
        for (index, link) in self.links.iter().enumerate() {
            eprintln!("link {index}: {link:?}");
        }
        for attempt in &self.attempts {
            eprintln!("{attempt:?} {:?}", self.calls[attempt.tag].rpc);
        }
    }
}

/// In every other world connections share memory: all of a process that is both, or those of each server and client.
fn share(servers: &mut [Server], clients: &mut [Client], rng: &mut Rng) -> Vec<Arc<Budget>> {
    let all = rng.bool();
    let of_process = all.then(|| Arc::new(Budget::new(*rng.choice(&[64 << 20, 1 << 20, 200_000]).expect("a choice"))));
    let configs = servers.iter_mut().map(|server| &mut server.config);
    let configs = configs.chain(clients.iter_mut().map(|client| &mut client.config));
    let mut budgets: Vec<Arc<Budget>> = of_process.iter().cloned().collect();
    for config in configs {
        let own = || rng.bool().then(|| Arc::new(Budget::new(*rng.choice(&[8 << 20, 100_000, 1]).expect("a choice"))));
        config.budget = of_process.clone().or_else(own);
        budgets.extend(config.budget.clone());
    }
    budgets
}

fn address(server: usize) -> Address {
    Address::Ip(SocketAddr::from(([10, 0, 0, server as u8 + 1], PORT)))
}

fn client(servers: usize, rng: &mut Rng) -> Client {
    let target = if rng.bool() {
        "sim.example:50051".to_owned()
    } else {
        let addresses: Vec<String> = (1..=servers).map(|server| format!("10.0.0.{server}:{PORT}")).collect();
        format!("ipv4:{}", addresses.join(","))
    };
    let target = Target::parse(&target).expect("a target");
    let mut config = Config { limits: limits(rng), runs: rng.bool(), ..Config::client() };
    config.keepalive_time = seconds(&[None, Some(10), Some(3)], rng);
    config.keepalive_timeout = Duration::from_secs(5);
    config.keepalive_without_calls = rng.bool();
    config.max_pings_without_data = rng.u32(0..3);
    Client {
        channel: Channel::new(target, farcall_channel::Config::new(rng.u64(..))),
        config,
        links: HashMap::new(),
        waiting: Vec::new(),
        pick_again: false,
        throttle: rng.bool().then(|| {
            let config = ThrottlingConfig { max_tokens: rng.u32(1..10), thousandths_per_success: rng.u32(1..3000) };
            Arc::new(Throttle::new(config))
        }),
    }
}

/// Any weather in which everything finishes within the hour.
fn weather(rng: &mut Rng) -> Weather {
    let any = Weather::any(rng);
    let capacity = if any.delay.is_zero() { any.capacity } else { any.capacity.max(20_000) };
    Weather { capacity, ..any }
}

fn server(rng: &mut Rng) -> Server {
    let mut config = Config { limits: limits(rng), runs: rng.bool(), ..Config::server() };
    config.keepalive_time = seconds(&[Some(7200), None, Some(5)], rng);
    config.limits.min_ping_interval = seconds(&[Some(0), Some(300)], rng).unwrap_or_default();
    config.limits.min_ping_interval_without_calls = config.limits.min_ping_interval;
    config.max_connection_idle = seconds(&[None, None, Some(2)], rng);
    config.max_connection_age = seconds(&[None, None, Some(3)], rng);
    config.max_connection_age_grace = seconds(&[None, Some(5)], rng);
    config.limits.max_concurrent_streams = *rng.choice(&[None, None, Some(1), Some(3), Some(100)]).expect("a choice");
    Server { config, up: true, links: 0 }
}

fn seconds(choices: &[Option<u64>], rng: &mut Rng) -> Option<Duration> {
    rng.choice(choices).copied().flatten().map(Duration::from_secs)
}

fn limits(rng: &mut Rng) -> Limits {
    let mut limits = Limits::default();
    let mut any = |choices: &[u32]| *rng.choice(choices).expect("a choice");
    limits.stream_window = any(&[4 << 20, 1 << 20, 65_535, 20_000, 1000]);
    limits.initial_stream_window = any(&[65_535, 1000]);
    limits.incomplete = any(&[64 << 20, 100_000, 1]) as usize;
    limits.connection_window = any(&[8 << 20, 1 << 20, 100_000, 65_535]);
    limits.max_frame_size = any(&[16_384, 20_000, 1 << 20]);
    limits.send_buffer = any(&[64 << 10, 1, 5000]) as usize;
    limits.header_table_size = any(&[4096, 0, 100, 65_536]);
    limits.unread = any(&[256 << 20, 30_000, 1]) as usize;
    limits.unsent = any(&[512 << 20, 100_000, 1]) as usize;
    limits
}
