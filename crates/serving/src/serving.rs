//! A server's listeners, connections and calls in flight.

use std::{collections::HashMap, fmt, hash::Hash, time::Duration};

use farcall_core::{Code, Status};

use crate::pauses::Pauses;

/// What a server decides.
#[derive(Debug)]
pub struct Serving<L, K, C> {
    phase: Phase,
    most_connections: Option<usize>,
    pauses: Pauses,
    listeners: Vec<L>,
    connections: HashMap<K, C>,
    /// Requests less ends. Two threads may count what they saw of one connection the other way round, so it can be
    /// below zero for a moment.
    in_flight: isize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Created,
    Serving,
    /// No new connections, no new calls.
    Closing,
    /// No calls at all.
    Cancelled,
}

/// The server stops, so that it listens no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing;

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server is closing")
    }
}

/// There are as many connections as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full(usize);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there are {} connections, as many as the server may have", self.0)
    }
}

/// What a connection does that has just been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newcomer {
    /// It takes calls.
    Serve,
    /// The server has been closed meanwhile: GOAWAY, and it ends when its calls have.
    ShutDown,
    /// The server has ended all calls meanwhile: it ends at once, with the status [`stopped`].
    Close,
}

/// What has to end.
#[derive(Debug)]
pub struct Stopped<L, C> {
    /// Accept no more.
    pub listeners: Vec<L>,
    /// Take no more calls, or end, by what was asked for.
    pub connections: Vec<C>,
}

/// With what calls end when a server stops under them.
pub fn stopped() -> Status {
    Status::new(Code::Unavailable, "Server stopped")
}

impl<L: Clone, K: Eq + Hash, C: Clone> Serving<L, K, C> {
    /// A server that has not begun, with at most `most_connections` at a time.
    pub fn new(most_connections: Option<usize>) -> Serving<L, K, C> {
        Serving {
            phase: Phase::Created,
            most_connections,
            pauses: Pauses::default(),
            listeners: Vec::new(),
            connections: HashMap::new(),
            in_flight: 0,
        }
    }

    /// Takes bound sockets; whether they accept from now on, for the server has started.
    ///
    /// # Errors
    /// [`Closing`]: close them.
    pub fn listen(&mut self, listeners: impl IntoIterator<Item = L>) -> Result<bool, Closing> {
        if self.phase >= Phase::Closing {
            return Err(Closing);
        }
        self.listeners.extend(listeners);
        Ok(self.phase == Phase::Serving)
    }

    /// Begins; the listeners that accept from now on. `None` when it has been started or stopped before.
    pub fn start(&mut self) -> Option<Vec<L>> {
        if self.phase != Phase::Created {
            return None;
        }
        self.phase = Phase::Serving;
        Some(self.listeners.clone())
    }

    /// Whether it has been started and not stopped.
    pub fn is_serving(&self) -> bool {
        self.phase == Phase::Serving
    }

    /// A connection has been accepted: whether it is let in. One that is not is closed at once, as C-core does, so that
    /// its client tries the next address instead of waiting for words that do not come.
    ///
    /// # Errors
    /// [`Full`] says why not.
    pub fn admit(&mut self) -> Result<(), Full> {
        self.pauses.handle_accepted();
        match self.most_connections {
            Some(most) if self.connections.len() >= most => Err(Full(most)),
            _ => Ok(()),
        }
    }

    /// The system accepts nothing, mostly for want of descriptors: how long to wait until it is asked again.
    pub fn handle_refused(&mut self) -> Duration {
        self.pauses.handle_refused()
    }

    /// An admitted connection has been made.
    pub fn handle_connected(&mut self, key: K, connection: C) -> Newcomer {
        match self.phase {
            Phase::Created | Phase::Serving => {
                self.connections.insert(key, connection);
                Newcomer::Serve
            }
            Phase::Closing => {
                self.connections.insert(key, connection);
                Newcomer::ShutDown
            }
            Phase::Cancelled => Newcomer::Close,
        }
    }

    /// A connection is gone. What is returned is better dropped without a lock.
    pub fn handle_lost(&mut self, key: &K) -> Option<C> {
        self.connections.remove(key)
    }

    /// A call has begun.
    pub fn handle_request(&mut self) {
        self.in_flight += 1;
    }

    /// A call has ended.
    pub fn handle_ended(&mut self) {
        self.in_flight -= 1;
    }

    /// Whether it takes no more calls, and the last has ended.
    pub fn is_drained(&self) -> bool {
        self.phase >= Phase::Closing && self.in_flight == 0
    }

    /// Lets nobody in any more: connections are to take no new calls, those in flight go on.
    pub fn close(&mut self) -> Stopped<L, C> {
        self.phase = self.phase.max(Phase::Closing);
        Stopped {
            listeners: std::mem::take(&mut self.listeners),
            connections: self.connections.values().cloned().collect(),
        }
    }

    /// Ends everything: connections end with their calls.
    pub fn cancel(&mut self) -> Stopped<L, C> {
        self.phase = Phase::Cancelled;
        Stopped {
            listeners: std::mem::take(&mut self.listeners),
            connections: std::mem::take(&mut self.connections).into_values().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
