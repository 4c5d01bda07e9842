//! A channel of one connection at a time, for hands that do not drive [`Channel`](crate::Channel) yet.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use farcall_core::{Code, Status};

use crate::{Address, Config, ConnectError, Connectivity, Endpoint, Target, target::Asked};

/// A connection that served nobody and is lost sooner than this has hardly worked.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// So many of these in a row are no accident.
const SHORT_LIVES: u32 = 3;

/// The handle of one attempt to connect, and of the connection that comes of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ConnectionId(pub u64);

/// What the hands must do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Resolve the host, then tell [`Channel::handle_resolved`].
    Resolve {
        /// A name or an IP address.
        host: String,
        /// The port to put into the addresses.
        port: u16,
    },
    /// Connect, start a `farcall-engine` connection, and tell [`Channel::handle_connected`] when the peer's SETTINGS
    /// have arrived, or [`Channel::handle_connect_failed`].
    Connect {
        /// Names the attempt.
        id: ConnectionId,
        /// Where to.
        address: Address,
    },
    /// Give up this attempt, or close this connection (calls on it end); tell nothing more of it.
    Disconnect(ConnectionId),
    /// The state has changed: tell whoever watches, and [`pick`](Channel::pick) again for every call that waits.
    StateChanged(Connectivity),
}

/// Where a call goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pick {
    /// Onto this connection.
    Connection(ConnectionId),
    /// Nowhere yet: pick again after the next [`Action::StateChanged`].
    Wait,
    /// It fails with this status.
    Fail(Status),
}

/// How a connection that worked was lost to new calls.
#[derive(Clone, Copy, Debug)]
pub struct Lost<'a> {
    /// For people.
    pub why: &'a str,
    /// How long it took calls.
    pub lived: Duration,
    /// Whether the server has answered a call on it, or is at work on one: a server that sends its clients away every
    /// now and then (`max_connection_age`) serves them, however often that is.
    pub useful: bool,
}

/// The brain of a channel with one connection.
#[derive(Debug)]
pub struct Channel {
    target: Target,
    config: Config,
    phase: Phase,
    /// Why the last round failed: the status of calls in TRANSIENT_FAILURE.
    failure: Option<Status>,
    /// The state that watchers last saw.
    reported: Connectivity,
    next_id: u64,
    actions: VecDeque<Action>,
    /// When a call last asked for a connection, or somebody for the channel to connect.
    wanted_at: Option<Instant>,
    /// What the last resolution found, and when.
    resolved: Option<(Instant, Vec<Address>)>,
    /// Connections in a row that broke as soon as they worked.
    short_lives: u32,
    /// This round goes over addresses that an earlier one had resolved.
    reusing: bool,
}

/// Named for what the channel waits for.
#[derive(Debug)]
enum Phase {
    /// A call, or `connect`.
    Idle,
    /// Addresses.
    Resolving { retry_at: Instant },
    /// A connection; `untried` are the addresses left in this round.
    Connecting {
        id: ConnectionId,
        address: Address,
        untried: VecDeque<Address>,
        give_up_at: Instant,
        retry_at: Instant,
    },
    /// The end of a back-off.
    BackingOff { retry_at: Instant },
    /// The loss of this connection.
    Ready(ConnectionId),
    /// Nothing any more.
    Shutdown,
}

impl Channel {
    /// A channel in IDLE.
    pub fn new(target: Target, config: Config) -> Channel {
        Channel {
            target,
            config,
            phase: Phase::Idle,
            failure: None,
            reported: Connectivity::Idle,
            next_id: 0,
            actions: VecDeque::new(),
            wanted_at: None,
            resolved: None,
            short_lives: 0,
            reusing: false,
        }
    }

    /// The target it was made for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The connectivity state.
    pub fn state(&self) -> Connectivity {
        match &self.phase {
            Phase::Idle => Connectivity::Idle,
            Phase::Ready(_) => Connectivity::Ready,
            Phase::Shutdown => Connectivity::Shutdown,
            // Once a round has failed the state stays until one succeeds, so that calls fail fast meanwhile.
            _ if self.failure.is_some() => Connectivity::TransientFailure,
            Phase::BackingOff { .. } => Connectivity::TransientFailure,
            Phase::Resolving { .. } | Phase::Connecting { .. } => Connectivity::Connecting,
        }
    }

    // Verbs.

    /// Where a call goes now; leaves IDLE. `wait_for_ready` makes it wait out failures (`doc/wait-for-ready.md`).
    pub fn pick(&mut self, wait_for_ready: bool, now: Instant) -> Pick {
        if let Phase::Ready(id) = self.phase {
            return Pick::Connection(id);
        }
        self.connect(now);
        match (self.state(), &self.failure) {
            (Connectivity::Shutdown, _) => Pick::Fail(Status::new(Code::Cancelled, "Channel closed!")),
            (Connectivity::TransientFailure, Some(status)) if !wait_for_ready => Pick::Fail(status.clone()),
            _ => Pick::Wait,
        }
    }

    /// Leaves IDLE; does nothing in any other state.
    pub fn connect(&mut self, now: Instant) {
        self.wanted_at = Some(now);
        if matches!(self.phase, Phase::Idle) {
            self.start_round(now);
            self.report();
        }
    }

    /// Closes for good.
    pub fn shutdown(&mut self) {
        match std::mem::replace(&mut self.phase, Phase::Shutdown) {
            Phase::Connecting { id, .. } | Phase::Ready(id) => self.actions.push_back(Action::Disconnect(id)),
            _ => {}
        }
        self.report();
    }

    // From the network and the clock.

    /// The answer to [`Action::Resolve`]; the error is for people, e.g. `Domain name not found`.
    pub fn handle_resolved(&mut self, result: Result<Vec<Address>, String>, now: Instant) {
        let Phase::Resolving { retry_at } = self.phase else { return };
        match result {
            Ok(addresses) if !addresses.is_empty() => {
                self.resolved = Some((now, addresses.clone()));
                self.try_next(addresses.into(), None, retry_at, now);
            }
            Ok(_) => self.fail_resolving("no address", retry_at),
            Err(why) => self.fail_resolving(&why, retry_at),
        }
        self.report();
    }

    /// The peer's SETTINGS arrived on this connection.
    pub fn handle_connected(&mut self, id: ConnectionId) {
        if matches!(self.phase, Phase::Connecting { id: current, .. } if current == id) {
            self.phase = Phase::Ready(id);
            self.failure = None;
            self.reusing = false;
            if self.short_lives == 0 {
                self.config.backoff.reset();
            }
            self.report();
        }
    }

    /// This attempt failed.
    pub fn handle_connect_failed(&mut self, id: ConnectionId, error: &ConnectError, now: Instant) {
        if !matches!(self.phase, Phase::Connecting { id: current, .. } if current == id) {
            return;
        }
        if let Phase::Connecting { address, untried, retry_at, .. } = std::mem::replace(&mut self.phase, Phase::Idle) {
            let why = format!("{}: {address}: {}", error.code, error.why);
            self.try_next(untried, Some(&why), retry_at, now);
            self.report();
        }
    }

    /// A connection that worked takes no new calls (GOAWAY) or is gone. The channel is IDLE until the next call; but when
    /// one after the other is lost before it was of any use, it backs off, as if they had not worked.
    pub fn handle_lost(&mut self, id: ConnectionId, lost: Lost<'_>, now: Instant) {
        if !matches!(self.phase, Phase::Ready(current) if current == id) {
            return;
        }
        let short = !lost.useful && lost.lived < SHORT_LIFE;
        self.short_lives = if short { self.short_lives + 1 } else { 0 };
        if self.short_lives < SHORT_LIVES {
            self.phase = Phase::Idle;
        } else {
            let retry_at = now + self.config.backoff.advance();
            let why = lost.why;
            self.fail_round(format!("connections break as soon as they are made; last error: {why}"), retry_at);
        }
        self.report();
    }

    /// The time of [`poll_timeout`](Channel::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &self.phase {
            Phase::BackingOff { retry_at } if *retry_at <= now => {
                if self.is_unwanted(now) {
                    self.phase = Phase::Idle;
                    self.failure = None;
                } else {
                    self.start_round(now);
                }
            }
            Phase::Connecting { id, give_up_at, .. } if *give_up_at <= now => {
                let id = *id;
                self.actions.push_back(Action::Disconnect(id));
                let why = "connection attempt timed out before receiving SETTINGS frame".to_owned();
                self.handle_connect_failed(id, &ConnectError { code: Code::Unavailable, why }, now);
            }
            _ => return,
        }
        self.report();
    }

    // To the outside.

    /// The next thing to do, `None` when nothing is left.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Channel::handle_timeout) must be called, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::BackingOff { retry_at } => Some(*retry_at),
            Phase::Connecting { give_up_at, .. } => Some(*give_up_at),
            Phase::Idle | Phase::Resolving { .. } | Phase::Ready(_) | Phase::Shutdown => None,
        }
    }

    /// Whether nobody has asked for a connection for so long that there is none to be made.
    fn is_unwanted(&self, now: Instant) -> bool {
        let Some(timeout) = self.config.idle_timeout else { return false };
        self.wanted_at.is_none_or(|wanted| now.saturating_duration_since(wanted) >= timeout)
    }

    /// Addresses found a short while ago, if they have not failed since.
    fn fresh_addresses(&self, now: Instant) -> Option<VecDeque<Address>> {
        let (at, addresses) = self.resolved.as_ref().filter(|_| self.failure.is_none())?;
        let age = now.saturating_duration_since(*at);
        (age < self.config.min_resolution_interval).then(|| addresses.iter().cloned().collect())
    }

    /// Begins a round over all addresses. The next round is due a back-off after this one *began*.
    fn start_round(&mut self, now: Instant) {
        let retry_at = now + self.config.backoff.advance();
        match &self.target.endpoint {
            Endpoint::Dns { asked: Asked::Server(server), .. } => {
                let (server, name) = (server.ip().to_string(), &self.target.authority);
                let text = format!(
                    "names are looked up by the system's resolver, not {server:?}: 'dns://{server}/{name}' cannot be used"
                );
                self.fail_round(text, retry_at);
            }
            Endpoint::Custom { target } => self.fail_round(format!("nothing resolves '{target}' here"), retry_at),
            Endpoint::Dns { host, port, .. } => {
                if let Some(addresses) = self.fresh_addresses(now) {
                    self.reusing = true;
                    return self.try_next(addresses, None, retry_at, now);
                }
                self.actions.push_back(Action::Resolve { host: host.clone(), port: *port });
                self.phase = Phase::Resolving { retry_at };
            }
            Endpoint::Addresses(addresses) => self.try_next(addresses.iter().cloned().collect(), None, retry_at, now),
        }
    }

    /// Connects to the next address, or ends the round with `last_error`.
    fn try_next(&mut self, mut untried: VecDeque<Address>, last_error: Option<&str>, retry_at: Instant, now: Instant) {
        if let Some(address) = untried.pop_front() {
            self.next_id += 1;
            let id = ConnectionId(self.next_id);
            self.actions.push_back(Action::Connect { id, address: address.clone() });
            let give_up_at = now + self.config.connect_timeout;
            self.phase = Phase::Connecting { id, address, untried, give_up_at, retry_at };
        } else if let (Some(_), Endpoint::Dns { host, port, .. }, None) =
            (last_error, &self.target.endpoint, &self.failure)
            && std::mem::take(&mut self.reusing)
        {
            // They were found a while ago: there may be others by now.
            self.actions.push_back(Action::Resolve { host: host.clone(), port: *port });
            self.phase = Phase::Resolving { retry_at };
        } else {
            let last = last_error.unwrap_or("no address");
            self.fail_round(format!("failed to connect to all addresses; last error: {last}"), retry_at);
        }
    }

    fn fail_resolving(&mut self, why: &str, retry_at: Instant) {
        let name = match &self.target.endpoint {
            Endpoint::Dns { host, port, .. } if !self.target.authority.contains(':') => format!("{host}:{port}"),
            _ => self.target.authority.clone(),
        };
        let text =
            format!("errors resolving {name}: [field:hostname lookup error:address lookup failed for {name}: {why}]");
        self.fail_round(text, retry_at);
    }

    fn fail_round(&mut self, text: String, retry_at: Instant) {
        self.failure = Some(Status::new(Code::Unavailable, text));
        self.phase = Phase::BackingOff { retry_at };
    }

    /// Tells a change of state, once.
    fn report(&mut self) {
        let state = self.state();
        if state != self.reported {
            self.reported = state;
            self.actions.push_back(Action::StateChanged(state));
        }
    }
}
