use std::time::Duration;

use super::seconds;

/// What befalls the servers of a fleet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// Nothing.
    Calm,
    /// Every tenth server takes ten times as long.
    SlowTenth,
    /// Every tenth server answers each call at once with UNAVAILABLE.
    FailingTenth,
    /// One server after the other is sent away politely, stops and starts again.
    RollingRestart,
    /// Nothing comes from a third of the servers any more, and nobody is told.
    LostZone,
    /// All servers stop at once, and start again together.
    Outage,
}

/// What happens to one server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// It takes so many times as long from now on.
    Slow(f64),
    Failing(bool),
    /// It sends its clients away.
    Drain,
    Stop,
    Start,
    /// Nothing reaches it any more, or comes from it.
    Cut(bool),
}

/// When the trouble begins, and when it ends, in seconds.
const BEGINS: f64 = 10.0;
const ENDS: f64 = 25.0;

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 6] = [
        Scenario::Calm,
        Scenario::SlowTenth,
        Scenario::FailingTenth,
        Scenario::RollingRestart,
        Scenario::LostZone,
        Scenario::Outage,
    ];

    /// A name for files.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::Calm => "calm",
            Scenario::SlowTenth => "slow-tenth",
            Scenario::FailingTenth => "failing-tenth",
            Scenario::RollingRestart => "rolling-restart",
            Scenario::LostZone => "lost-zone",
            Scenario::Outage => "outage",
        }
    }

    /// What people read.
    pub fn title(self) -> &'static str {
        match self {
            Scenario::Calm => "Nothing goes wrong",
            Scenario::SlowTenth => "A tenth of the servers is ten times as slow",
            Scenario::FailingTenth => "A tenth of the servers fails each call at once",
            Scenario::RollingRestart => "All servers restart, one after the other",
            Scenario::LostZone => "A third of the servers is cut off",
            Scenario::Outage => "All servers are down for some seconds",
        }
    }

    /// Between which times something is wrong.
    pub fn trouble(self) -> Option<(f64, f64)> {
        match self {
            Scenario::Calm => None,
            Scenario::Outage => Some((BEGINS, BEGINS + 8.0)),
            _ => Some((BEGINS, ENDS)),
        }
    }

    /// Whether this is one of the servers that are not well.
    pub(super) fn strikes(self, server: usize) -> bool {
        match self {
            Scenario::Calm => false,
            Scenario::SlowTenth | Scenario::FailingTenth => server.is_multiple_of(10),
            Scenario::LostZone => server.is_multiple_of(3),
            Scenario::RollingRestart | Scenario::Outage => true,
        }
    }

    /// What happens to which server, and when.
    pub(super) fn changes(self, servers: usize) -> Vec<(Duration, usize, Change)> {
        let Some((begins, ends)) = self.trouble() else { return Vec::new() };
        let step = (ends - begins - 3.0) / servers as f64;
        let of = |server: usize| {
            let at = begins + step * server as f64;
            match self {
                Scenario::Calm => Vec::new(),
                Scenario::SlowTenth => vec![(begins, Change::Slow(10.0)), (ends, Change::Slow(1.0))],
                Scenario::FailingTenth => vec![(begins, Change::Failing(true)), (ends, Change::Failing(false))],
                Scenario::RollingRestart => {
                    vec![(at, Change::Drain), (at + 1.0, Change::Stop), (at + 3.0, Change::Start)]
                }
                Scenario::LostZone => vec![(begins, Change::Cut(true)), (ends, Change::Cut(false))],
                Scenario::Outage => vec![(begins, Change::Stop), (ends, Change::Start)],
            }
        };
        let struck = (0..servers).filter(|server| self.strikes(*server));
        struck
            .flat_map(|server| of(server).into_iter().map(move |(at, change)| (seconds(at), server, change)))
            .collect()
    }
}
