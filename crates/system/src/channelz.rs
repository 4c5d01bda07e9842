//! What the process's channels, servers, connections and listeners have done so far: what `grpc_channelz` tells of.
//!
//! The hands hold an [`Entity`] for each and count on it; whoever asks gets them all. `grpc._channelz` makes of them the
//! messages of the channelz service.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    time::UNIX_EPOCH,
};

use farcall_channel::Connectivity;

use crate::process::{self, PerProcess};

/// All entities that live, by number.
#[derive(Default)]
struct Registry {
    last: u64,
    entities: BTreeMap<u64, Weak<Entity>>,
}

static REGISTRY: PerProcess<Registry> = PerProcess::new();

/// Something that channelz tells of.
pub struct Entity {
    id: u64,
    generation: u32,
    kind: &'static str,
    /// Whether it is told of.
    listed: bool,
    owner: Option<Arc<Entity>>,
    /// A target or an address.
    name: String,
    /// Of a connection: this end's address.
    local: String,
    created: u64,
    state: AtomicU8,
    started: AtomicU64,
    succeeded: AtomicU64,
    failed: AtomicU64,
    completed: AtomicU64,
    last_started: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// A call in progress: counted where it belongs when it begins and when it ends.
pub struct Tally {
    of: Arc<Entity>,
    on: Option<Arc<Entity>>,
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    UNIX_EPOCH.elapsed().map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Entity {
    fn new(kind: &'static str, listed: bool, owner: Option<Arc<Entity>>, name: String, local: String) -> Arc<Entity> {
        let id = REGISTRY.with(|registry| {
            registry.last += 1;
            registry.last
        });
        let entity = Arc::new(Entity {
            id,
            generation: process::generation(),
            kind,
            listed,
            owner,
            name,
            local,
            created: now(),
            state: AtomicU8::new(Connectivity::Idle as u8),
            started: AtomicU64::new(0),
            succeeded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            last_started: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        if listed {
            REGISTRY.with(|registry| registry.entities.insert(id, Arc::downgrade(&entity)));
        }
        entity
    }

    /// A channel to `target`.
    pub fn channel(target: &str, listed: bool) -> Arc<Entity> {
        Entity::new("channel", listed, None, target.to_owned(), String::new())
    }

    /// A server.
    pub fn server(listed: bool) -> Arc<Entity> {
        Entity::new("server", listed, None, String::new(), String::new())
    }

    /// A socket of a server that listens.
    pub fn listener(server: &Arc<Entity>, address: String) -> Arc<Entity> {
        Entity::new("listener", server.listed, Some(Arc::clone(server)), address, String::new())
    }

    /// A connection of a channel or a server.
    pub fn connection(owner: &Arc<Entity>, peer: &str, local: String) -> Arc<Entity> {
        let entity = Entity::new("connection", owner.listed, Some(Arc::clone(owner)), peer.to_owned(), local);
        entity.becomes(Connectivity::Connecting);
        entity
    }

    /// It is closed, whoever may still hold it.
    pub fn close(&self) {
        // A fork's child lists its own, by the same numbers.
        if self.listed && self.generation == process::generation() {
            REGISTRY.with(|registry| registry.entities.remove(&self.id));
        }
    }

    /// Its target or address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its connectivity is `state` from now on.
    pub fn becomes(&self, state: Connectivity) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    /// It has sent a message.
    pub fn sent(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// It has received a message.
    pub fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    fn start(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
        self.last_started.store(now(), Ordering::Relaxed);
    }

    fn end(&self, ok: bool, completed: bool) {
        if ok { &self.succeeded } else { &self.failed }.fetch_add(1, Ordering::Relaxed);
        self.completed.fetch_add(completed.into(), Ordering::Relaxed);
    }
}

impl Drop for Entity {
    fn drop(&mut self) {
        self.close();
    }
}

impl Tally {
    /// A call of a channel.
    pub fn of_client(channel: &Arc<Entity>) -> Tally {
        channel.start();
        Tally { of: Arc::clone(channel), on: None }
    }

    /// A call that a server received.
    pub fn of_server(connection: &Arc<Entity>) -> Tally {
        let server = connection.owner.as_ref().unwrap_or(connection);
        let mut tally = Tally::of_client(server);
        tally.place_on(connection);
        tally
    }

    /// It goes to a connection; if it was on another, it has failed there.
    pub fn place_on(&mut self, connection: &Arc<Entity>) {
        connection.start();
        if let Some(before) = self.on.replace(Arc::clone(connection)) {
            before.end(false, false);
        }
    }

    /// Its status was OK; its stream was ended as the protocol has it, by the server, whatever the status.
    pub fn end(self, ok: bool, completed: bool) {
        self.of.end(ok, completed);
        if let Some(connection) = &self.on {
            connection.end(ok, completed);
        }
    }
}

/// Number, kind, owner's number or 0, name, when made, connectivity; of calls, how many were started, succeeded and
/// failed, and how many the server ended, when the last one was started; messages sent and received; this end's address.
pub type Row = (u64, &'static str, u64, String, u64, u8, [u64; 7], String);

/// All entities, in the order they were made.
pub fn rows() -> Vec<Row> {
    let entities: Vec<Arc<Entity>> =
        REGISTRY.with(|registry| registry.entities.values().filter_map(Weak::upgrade).collect());
    let row = |entity: &Arc<Entity>| {
        (
            entity.id,
            entity.kind,
            entity.owner.as_ref().map_or(0, |owner| owner.id),
            entity.name.clone(),
            entity.created,
            entity.state.load(Ordering::Relaxed),
            [
                &entity.started,
                &entity.succeeded,
                &entity.failed,
                &entity.completed,
                &entity.last_started,
                &entity.sent,
                &entity.received,
            ]
            .map(|counter| counter.load(Ordering::Relaxed)),
            entity.local.clone(),
        )
    };
    entities.iter().map(row).collect()
}
