//! A channel on a bench: its clock, its network, and what it has asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::{
    Action, Address, Channel, Choice, Config, ConnectError, Connectivity, Dial, DialId, Discarded, How, Lost, Note,
    Placed, Refusal, ServiceConfig, Snapshot, StreamEvent, StreamId, StreamRequest, Target, Ticket, Waiting,
    balancer::PickArgs,
    resolver::{Answer, Query, QueryId},
};
use farcall_core::{Code, Status};

/// A connection's handle.
pub(crate) type Connection = Arc<str>;

/// A channel whose connections are named after their addresses, and whose calls are numbers.
pub(crate) struct Bench {
    pub(crate) channel: Channel<Connection, u32>,
    pub(crate) now: Instant,
    /// Attempts under way.
    pub(crate) dials: BTreeMap<DialId, Dial>,
    /// Connections that are there, also those that drain.
    pub(crate) connections: BTreeMap<DialId, String>,
    /// The channel's own streams that are open, with the connections they are on.
    pub(crate) streams: BTreeMap<StreamId, (String, StreamRequest)>,
    pub(crate) queries: Vec<(QueryId, Query)>,
    pub(crate) snapshot: Arc<Snapshot<Connection>>,
    pub(crate) states: Vec<Connectivity>,
    pub(crate) started: Vec<(u32, String)>,
    pub(crate) failed: Vec<(u32, Refusal)>,
    pub(crate) released: Vec<String>,
    pub(crate) closed: Vec<(String, Status)>,
    pub(crate) abandoned: Vec<String>,
    pub(crate) notes: Vec<Note>,
    pub(crate) dropped: usize,
    /// Who is asked about, when the channel asks whether it is in use.
    pub(crate) asked: Vec<Vec<Connection>>,
    /// How many snapshots were published.
    pub(crate) published: usize,
    random: u64,
    /// When the last attempt at each address began, and whether it was refused.
    attempts: BTreeMap<String, (Instant, bool)>,
}

impl Bench {
    pub(crate) fn new(target: &str) -> Bench {
        Bench::with(target, Config::new(7))
    }

    pub(crate) fn balanced(target: &str, policy: &str) -> Bench {
        let text = format!(r#"{{"loadBalancingConfig":[{policy}]}}"#);
        let service_config = Arc::new(ServiceConfig::parse(&text).unwrap());
        Bench::with(target, Config { service_config, ..Config::new(7) })
    }

    pub(crate) fn with(target: &str, config: Config) -> Bench {
        let now = Instant::now();
        Bench::of(Channel::new(Target::parse(target).unwrap(), config, 7, now), now)
    }

    pub(crate) fn of(channel: Channel<Connection, u32>, now: Instant) -> Bench {
        Bench {
            snapshot: Arc::clone(channel.snapshot()),
            channel,
            now,
            dials: BTreeMap::new(),
            connections: BTreeMap::new(),
            streams: BTreeMap::new(),
            queries: Vec::new(),
            states: Vec::new(),
            started: Vec::new(),
            failed: Vec::new(),
            released: Vec::new(),
            closed: Vec::new(),
            abandoned: Vec::new(),
            notes: Vec::new(),
            dropped: 0,
            asked: Vec::new(),
            published: 0,
            random: 0,
            attempts: BTreeMap::new(),
        }
    }

    /// Does what the channel asks for.
    pub(crate) fn drain(&mut self) {
        self.channel.begin_drain();
        while let Some(action) = self.channel.poll_action() {
            self.perform(action);
        }
    }

    fn perform(&mut self, action: Action<Connection, u32>) {
        match action {
            Action::Resolve(id, query) => self.queries.push((id, query)),
            Action::StopResolving(id) => self.queries.retain(|(query, _)| *query != id),
            Action::Dial(id, dial) => {
                let address = dial.address.to_string();
                assert!(self.dials.insert(id, dial).is_none(), "{address}: the same dial again");
                if let Some((begun, true)) = self.attempts.insert(address.clone(), (self.now, false)) {
                    assert!(self.now - begun >= Duration::from_millis(800), "{address} is dialled again too soon");
                }
            }
            Action::Abandon(id) => {
                let dial = self.dials.remove(&id).expect("a dial is abandoned that is under way");
                self.abandoned.push(dial.address.to_string());
            }
            Action::Release(connection) => {
                self.assert_no_stream(&connection);
                self.released.push(connection.to_string());
            }
            Action::Close(connection, status) => {
                self.assert_no_stream(&connection);
                self.closed.push((connection.to_string(), status));
            }
            Action::Open(id, connection, request) => {
                assert!(self.connections.values().any(|name| **name == *connection), "{connection} is not there");
                self.streams.insert(id, (connection.to_string(), request));
            }
            Action::Cancel(id) => {
                self.streams.remove(&id).expect("a stream is cancelled that is open");
            }
            Action::Start(key, Placed { connection, .. }) => self.started.push((key, connection.to_string())),
            Action::Fail(key, refusal) => self.failed.push((key, refusal)),
            Action::AskInUse(connections) => self.asked.push(connections),
            Action::Publish(snapshot) => {
                assert!(snapshot.generation() > self.snapshot.generation(), "snapshots come in order");
                self.published += 1;
                self.snapshot = snapshot;
            }
            Action::StateChanged(state) => self.states.push(state),
            Action::Note(note) => self.notes.push(note),
            Action::Drop(discarded) => {
                self.dropped += usize::from(matches!(discarded, Discarded::Connection(_) | Discarded::Call(_)));
            }
        }
    }

    fn assert_no_stream(&self, connection: &str) {
        let open = self.streams.values().any(|(name, _)| name == connection);
        assert!(!open || self.connections.values().filter(|name| *name == connection).count() > 1, "{connection}");
    }

    /// The stream of the channel's own on the connection to this address that was opened last.
    pub(crate) fn stream_to(&self, address: &str) -> StreamId {
        let found = self.streams.iter().rev().find(|(_, (name, _))| name == address);
        *found.unwrap_or_else(|| panic!("no stream to {address}: {:?}", self.streams)).0
    }

    pub(crate) fn stream_message(&mut self, id: StreamId, message: &[u8]) {
        self.channel.handle_stream(id, StreamEvent::Message(message), self.now);
        self.drain();
    }

    pub(crate) fn stream_ended(&mut self, id: StreamId, status: &Status) {
        self.streams.remove(&id);
        self.channel.handle_stream(id, StreamEvent::Ended(status), self.now);
        self.drain();
    }

    pub(crate) fn connect(&mut self) {
        self.channel.connect(self.now);
        self.drain();
    }

    /// A new call; where it goes at once, if it does.
    pub(crate) fn pick(&mut self) -> Result<String, Option<Refusal>> {
        self.random += 0x9e37_79b9;
        match self.snapshot.pick(&PickArgs::new("/a.B/C", self.random)) {
            Choice::Ready(picked) => Ok(picked.connection.to_string()),
            Choice::Queue => Err(None),
            Choice::Fail(refusal) => Err(Some(refusal)),
        }
    }

    /// How a call ends that does not wait for ready.
    pub(crate) fn refusal(&mut self) -> Status {
        self.pick().expect_err("the call goes somewhere").expect("the call waits").status
    }

    pub(crate) fn waiting(&self, wait_for_ready: bool) -> Waiting {
        Waiting::new("/a.B/C", wait_for_ready, None)
    }

    pub(crate) fn queue(&mut self, key: u32, wait_for_ready: bool) -> Ticket {
        let call = self.waiting(wait_for_ready);
        self.queue_call(key, call)
    }

    pub(crate) fn queue_call(&mut self, key: u32, call: Waiting) -> Ticket {
        let ticket = self.channel.queue(key, call, self.now);
        self.drain();
        ticket
    }

    /// The attempt under way at this address.
    pub(crate) fn dial_to(&self, address: &str) -> DialId {
        let found = self.dials.iter().find(|(_, dial)| dial.address.to_string() == address);
        *found.unwrap_or_else(|| panic!("no attempt at {address}: {:?}", self.dials)).0
    }

    /// Where attempts are under way, in order.
    pub(crate) fn dialling(&self) -> Vec<String> {
        self.dials.values().map(|dial| dial.address.to_string()).collect()
    }

    pub(crate) fn accept(&mut self, address: &str) -> DialId {
        let dial = self.dial_to(address);
        self.dials.remove(&dial);
        self.connected(dial, address);
        dial
    }

    pub(crate) fn connected(&mut self, dial: DialId, address: &str) {
        self.connections.insert(dial, address.to_owned());
        self.channel.handle_connected(dial, address.into(), self.now);
        self.drain();
    }

    pub(crate) fn refuse(&mut self, address: &str) {
        let dial = self.dial_to(address);
        self.refuse_dial(dial);
    }

    pub(crate) fn refuse_dial(&mut self, dial: DialId) {
        let gone = self.dials.remove(&dial).expect("an attempt under way");
        if let Some((_, refused)) = self.attempts.get_mut(&gone.address.to_string()) {
            *refused = true;
        }
        let why = "Failed to connect to remote host: Connection refused".to_owned();
        self.channel.handle_connect_failed(dial, &ConnectError { code: Code::Unknown, why }, self.now);
        self.drain();
    }

    /// The connection that was made to this address last.
    pub(crate) fn connection_to(&self, address: &str) -> DialId {
        let found = self.connections.iter().rev().find(|(_, to)| *to == address);
        *found.unwrap_or_else(|| panic!("no connection to {address}")).0
    }

    pub(crate) fn lose(&mut self, address: &str, how: How, useful: bool) {
        let dial = self.connection_to(address);
        if how == How::Broken {
            self.connections.remove(&dial);
        }
        let lost = Lost { how, why: "Socket closed", useful, keepalive_time: None };
        self.channel.handle_lost(dial, lost, self.now);
        self.drain();
    }

    pub(crate) fn answer(&mut self, addresses: &[&str]) {
        let found = addresses.iter().map(|address| Address::Ip(address.parse().unwrap()));
        self.tell(Ok(Answer::addresses(found)));
    }

    pub(crate) fn tell(&mut self, answer: Result<Answer, String>) {
        let (id, _) = self.queries.remove(0);
        self.channel.handle_answer(id, answer, self.now);
        self.drain();
    }

    /// Lets time pass to the next timer and fires it; how long that took.
    pub(crate) fn sleep(&mut self) -> Duration {
        let at = self.channel.poll_timeout().expect("a timer").max(self.now);
        let slept = at - self.now;
        self.now = at;
        self.channel.handle_timeout(self.now);
        self.drain();
        slept
    }

    /// Lets this much time pass, with all timers on the way.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.channel.poll_timeout().is_some_and(|at| at <= until) {
            self.sleep();
        }
        self.now = until;
    }

    pub(crate) fn take_states(&mut self) -> Vec<Connectivity> {
        std::mem::take(&mut self.states)
    }

    /// Where so many calls go.
    pub(crate) fn spread(&mut self, calls: usize) -> BTreeMap<String, usize> {
        let mut spread = BTreeMap::new();
        for _ in 0..calls {
            *spread.entry(self.pick().expect("a connection")).or_insert(0) += 1;
        }
        spread
    }

    /// No attempt and no connection is left that the channel has not asked to end.
    pub(crate) fn assert_nothing_left(&self) {
        assert_eq!(self.dialling(), Vec::<String>::new());
        assert!(self.streams.is_empty(), "{:?}", self.streams);
        let ended: BTreeSet<&String> = self.released.iter().chain(self.closed.iter().map(|(name, _)| name)).collect();
        for connection in self.connections.values() {
            assert!(ended.contains(connection), "{connection} is left");
        }
    }
}

/// `ipv4:127.0.0.1:1,127.0.0.2:1,...`: so many addresses.
pub(crate) fn list(count: usize) -> String {
    let addresses: Vec<String> = (1..=count).map(|host| format!("127.0.0.{host}:1")).collect();
    format!("ipv4:{}", addresses.join(","))
}

/// The name of one of [`list`].
pub(crate) fn at(host: usize) -> String {
    format!("ipv4:127.0.0.{host}:1")
}
