//! The world: clients, servers, the network between them, and the clock.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{DialId, StreamId, Ticket, balancer::PickArgs, resolver::QueryId};
use farcall_core::Status;
use farcall_engine::{Budget, Config};
use fastrand::Rng;

use crate::{
    attempt::Attempt,
    calls::Call,
    guests::{Burst, Hostile, Long, Paused},
    hand::Client,
    link::Link,
    names::Configs,
    plan::{Plan, Text},
    setup::{self, Server},
};

/// How long the world is ill.
const ILL: Duration = Duration::from_secs(30);

/// By then everything has finished in a world that is healed.
const LATEST: Duration = Duration::from_secs(3600);

/// What happens at a time of its own.
#[derive(Debug)]
pub(crate) enum Task {
    NewCall {
        client: usize,
    },
    /// A call that rests may go on.
    Resume {
        client: usize,
        ticket: Ticket,
    },
    Answer {
        client: usize,
        id: QueryId,
    },
    Dialled {
        client: usize,
        id: DialId,
    },
    /// Whether there are calls on one of these is answered.
    InUse {
        client: usize,
        links: Vec<usize>,
    },
    /// A server says how it is.
    Health {
        client: usize,
        id: StreamId,
    },
    /// A client closes its channel.
    Leave {
        client: usize,
    },
    Trouble,
    /// A guest does something.
    Guest,
    /// A server is up and honest again.
    ServerBack(usize),
    Heal,
}

/// Everything, stepped in virtual time.
pub(crate) struct World<'a> {
    pub(crate) text: &'a Text,
    pub(crate) configs: &'a Configs,
    pub(crate) rng: Rng,
    start: Instant,
    pub(crate) now: Instant,
    agenda: BTreeMap<(Instant, u64), Task>,
    entries: u64,
    pub(crate) clients: Vec<Client>,
    pub(crate) servers: Vec<Server>,
    pub(crate) links: Vec<Link>,
    pub(crate) calls: Vec<Call>,
    /// Attempts that are not over at both ends, and those that the server must never hear of.
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) unprocessed: Vec<(usize, usize)>,
    pub(crate) bursts: Vec<Burst>,
    pub(crate) longs: Vec<Long>,
    pub(crate) paused: Vec<Paused>,
    pub(crate) hostiles: Vec<Hostile>,
    /// What connections share.
    budgets: Vec<Arc<Budget>>,
    pub(crate) fair: bool,
    pub(crate) healed: bool,
    leaving: bool,
    pub(crate) trace: DefaultHasher,
    /// How many times the books of two ends were compared.
    pub(crate) audits: u64,
}

impl<'a> World<'a> {
    pub(crate) fn new(seed: u64, text: &'a Text, configs: &'a Configs) -> World<'a> {
        let mut rng = Rng::with_seed(seed);
        let start = Instant::now();
        let fair = rng.u8(0..4) == 0;
        let mut servers: Vec<Server> = (0..rng.usize(1..6)).map(|_| setup::server(&mut rng)).collect();
        let count = rng.usize(1..4);
        let mut clients: Vec<Client> =
            (0..count).map(|_| setup::client(servers.len(), configs, start, &mut rng)).collect();
        let budgets = setup::share(&mut servers, &mut clients, &mut rng);
        let mut world = World {
            text,
            configs,
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
            // Often many at once, and now and then one after a long time.
            let after = match self.rng.u8(0..8) {
                0..4 => Duration::ZERO,
                4..7 => self.delay(10_000),
                _ => self.delay(29_000),
            };
            self.later(after, Task::NewCall { client });
        }
        let troubles = if self.fair { 0 } else { self.rng.usize(0..10) };
        for _ in 0..troubles {
            let longest = if self.rng.bool() { 1_000 } else { 20_000 };
            let after = self.delay(longest);
            self.later(after, Task::Trouble);
        }
        for client in 0..self.clients.len() {
            if self.rng.u8(0..12) == 0 {
                let after = self.delay(20_000);
                self.later(after, Task::Leave { client });
            }
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
    pub(crate) fn delay(&mut self, longest: u64) -> Duration {
        Duration::from_micros(self.rng.u64(0..longest * 1000))
    }

    pub(crate) fn later(&mut self, after: Duration, task: Task) {
        self.entries += 1;
        self.agenda.insert((self.now + after, self.entries), task);
    }

    pub(crate) fn note(&mut self, what: impl Hash) {
        (self.now - self.start, what).hash(&mut self.trace);
    }

    /// Lives from beginning to end; what happened, in a number.
    pub(crate) fn run(mut self) -> (u64, u64) {
        self.live();
        assert!(self.healed && self.calls.iter().all(|call| call.status.is_some()), "a call waits for ever");
        let stayed: Vec<usize> = (0..self.clients.len()).filter(|client| !self.clients[*client].left).collect();
        for client in &stayed {
            self.begin(*client, Plan::probe());
        }
        self.live();
        for (tag, call) in self.calls.iter().enumerate().rev().take(stayed.len()) {
            assert_eq!(call.status, Some(Status::OK), "probe {tag}: the healed world does not work");
        }
        self.check_rest();
        self.check_turns();
        self.leave();
        self.check_budgets();
        let clients = std::mem::take(&mut self.clients);
        self.calls.clear();
        clients.into_iter().for_each(Client::check_end);
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
            && self.clients.iter().all(|client| !client.sleeps(self.now))
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

    fn next_wake(&self) -> Option<Instant> {
        let links = self.links.iter().filter_map(Link::next_wake);
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        let channels = self.clients.iter().filter_map(Client::next_wake);
        let calls = self.calls.iter().filter(|call| call.status.is_none()).filter_map(Call::next_wake);
        let sides = self.attempts.iter().flat_map(|attempt| [Some(&attempt.client), attempt.server.as_ref()]);
        let apps = sides.flatten().filter_map(|side| side.wake(self.now));
        let bursts = self.bursts.iter().map(|burst| burst.until);
        links.chain(agenda).chain(bursts).chain(channels).chain(calls).chain(apps).min()
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::NewCall { client } => {
                let mut plan = Plan::random(&mut self.rng);
                // Where all is well a call has no reason to end but its plan.
                plan.hangs &= !self.fair || plan.timeout.is_some();
                self.begin(client, plan);
            }
            Task::Resume { client, ticket } => self.clients[client].resume(ticket, self.now),
            Task::Answer { client, id } => {
                let well = self.fair || self.healed;
                let client = &mut self.clients[client];
                let answer = self.configs.answer(self.servers.len(), well, &client.witness, &mut self.rng);
                client.handle_answer(id, answer, self.now);
            }
            Task::Dialled { client, id } => self.dialled(client, id),
            Task::InUse { client, links } => {
                let in_use = links.iter().any(|link| self.links[*link].ends[0].connection.calls() > 0);
                self.clients[client].handle_in_use(in_use, self.now);
            }
            Task::Health { client, id } => self.say_health(client, id),
            Task::Leave { client } => {
                let at_once = self.rng.bool();
                self.clients[client].leave(at_once, self.now);
            }
            Task::Trouble => self.trouble(),
            Task::Guest => self.guest(),
            Task::ServerBack(server) => self.servers[server].come_back(),
            Task::Heal => self.heal(),
        }
    }

    // What must hold.

    /// Whenever nothing moves: no call is late, and the books agree wherever nothing is on the way.
    fn audit(&mut self) {
        for client in &self.clients {
            let throttle = client.throttle.as_ref();
            let tokens = throttle.is_none_or(|throttle| throttle.tokens() <= throttle.most());
            assert!(tokens, "there are more tokens than there can be");
            if !client.sleeps(self.now) {
                client.audit();
            }
        }
        for (tag, call) in self.calls.iter().enumerate() {
            let late = call.status.is_none() && call.deadline.is_some_and(|at| at <= self.now);
            assert!(!late || self.clients[call.client].sleeps(self.now), "call {tag} outlives its deadline");
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
            let windows = [&self.clients[link.client].engine, &self.servers[link.server].config];
            link.check_floor(windows.map(|config| config.limits.connection_window), self.now);
        }
    }

    /// Where nothing changes `round_robin` is fair.
    fn check_turns(&mut self) {
        for client in self.clients.iter().filter(|client| client.picks_evenly()) {
            let mut turns = BTreeMap::new();
            for _ in 0..24 {
                let args = PickArgs::new("/sim.S0/0.0", self.rng.u64(..));
                if let farcall_channel::Choice::Ready(picked) = client.snapshot.pick(&args) {
                    *turns.entry(picked.dial).or_insert(0) += 1;
                }
            }
            let (least, most) = (turns.values().min(), turns.values().max());
            assert!(most.zip(least).is_none_or(|(most, least)| most - least <= 1), "round robin is unfair: {turns:?}");
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
            client.leave(self.rng.bool(), self.now);
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
            eprintln!("client {index}: {}, {:?}, dials: {:?}", client.state(), client.snapshot, client.dials);
        }
        for (index, link) in self.links.iter().enumerate() {
            eprintln!("link {index}: {link:?}");
        }
        for attempt in &self.attempts {
            eprintln!("{attempt:?} {:?}", self.calls[attempt.tag].rpc);
        }
        for (tag, call) in self.calls.iter().enumerate().filter(|(_, call)| call.status.is_none()) {
            eprintln!("call {tag} of client {}: {:?} {:?}", call.client, call.live, call.rpc);
        }
    }
}
