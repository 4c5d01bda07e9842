//! Calls that wait: for a connection, for the end of a delay, or for what somebody else has to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use farcall_core::Metadata;

use crate::Attributes;

/// Names a call that waits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// A call that is to wait.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// `/package.Service/Method`.
    pub path: Box<str>,
    /// What it sends, for policies that choose by it; `None`: nothing is known of it.
    pub metadata: Option<Arc<Metadata>>,
    /// Whether it waits out failures to connect (grpc/grpc `doc/wait-for-ready.md`).
    pub wait_for_ready: bool,
    /// When it must be over.
    pub deadline: Option<Instant>,
    /// What the selector has said of it.
    pub attributes: Option<Arc<Attributes>>,
}

impl Waiting {
    /// A call of this path, of which the selector has said nothing.
    pub fn new(path: &str, wait_for_ready: bool, deadline: Option<Instant>) -> Waiting {
        Waiting { path: path.into(), metadata: None, wait_for_ready, deadline, attributes: None }
    }

    /// The same that sends this.
    #[must_use]
    pub fn with_metadata(mut self, metadata: &Metadata) -> Waiting {
        self.metadata = (!metadata.is_empty()).then(|| Arc::new(metadata.clone()));
        self
    }
}

/// Until when a call rests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// This time.
    Time(Instant),
    /// [`Channel::resume`](crate::Channel::resume).
    Resumed,
}

/// A call with its hands' handle.
#[derive(Debug)]
pub(crate) struct Entry<K> {
    pub(crate) key: K,
    pub(crate) call: Waiting,
    /// `None`: it waits for a connection.
    rests: Option<Until>,
}

/// What is due.
#[derive(Debug)]
pub(crate) enum Due<K> {
    /// Its deadline has come.
    Expired(K),
    /// Its rest is over.
    Rested(Entry<K>),
}

/// Those who wait, in the order they came.
#[derive(Debug)]
pub(crate) struct Queue<K> {
    entries: BTreeMap<Ticket, Entry<K>>,
    times: BTreeSet<(Instant, Ticket)>,
    next: u64,
    most: usize,
}

impl<K> Queue<K> {
    pub(crate) fn new(most: usize) -> Queue<K> {
        Queue { entries: BTreeMap::new(), times: BTreeSet::new(), next: 0, most }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.most
    }

    /// The ticket of the next call.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    /// Has a call wait.
    pub(crate) fn insert(&mut self, ticket: Ticket, key: K, call: Waiting, rests: Option<Until>) {
        self.times.extend(times(&call, rests).map(|at| (at, ticket)));
        self.entries.insert(ticket, Entry { key, call, rests });
    }

    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Entry<K>> {
        let entry = self.entries.remove(&ticket)?;
        for at in times(&entry.call, entry.rests) {
            self.times.remove(&(at, ticket));
        }
        Some(entry)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.times.first().map(|(at, _)| *at)
    }

    /// The next call that is due.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<(Ticket, Due<K>)> {
        let (_, ticket) = *self.times.first().filter(|(at, _)| *at <= now)?;
        let entry = self.remove(ticket)?;
        let late = entry.call.deadline.is_some_and(|deadline| deadline <= now);
        Some((ticket, if late { Due::Expired(entry.key) } else { Due::Rested(entry) }))
    }

    /// The tickets of those who wait for a connection, in the order they came.
    pub(crate) fn awaiting(&self) -> Vec<Ticket> {
        self.entries.iter().filter(|(_, entry)| entry.rests.is_none()).map(|(ticket, _)| *ticket).collect()
    }

    pub(crate) fn call(&self, ticket: Ticket) -> Option<&Waiting> {
        self.entries.get(&ticket).map(|entry| &entry.call)
    }

    /// Everyone.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = K> + use<K> {
        self.times.clear();
        std::mem::take(&mut self.entries).into_values().map(|entry| entry.key)
    }
}

fn times(call: &Waiting, rests: Option<Until>) -> impl Iterator<Item = Instant> + use<> {
    let rests = match rests {
        Some(Until::Time(at)) => Some(at),
        Some(Until::Resumed) | None => None,
    };
    rests.into_iter().chain(call.deadline)
}
