//! A channel, as the face holds it: brings calls to connections.

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Instant,
};

use farcall_channel::{self as brain, Connectivity, RetryConfig, Target, call::Budget, limits::REPLAY_PER_CHANNEL};
use farcall_core::{Metadata, Status};
use farcall_engine as engine;

use crate::pump::{Brain, Pump};

/// What the owner of a channel chooses.
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// The channel's brain: back-off, how long a connection may take.
    pub channel: brain::Config,
    /// The engine of each connection: limits, user agent.
    pub engine: engine::Config,
    /// What looks up targets of a scheme that is not known here.
    pub resolver: Option<Arc<dyn crate::Resolve>>,
    /// `:authority` of every call; `None` takes the target's.
    pub authority: Option<String>,
    /// How connections are secured; `None` is plain text.
    #[cfg(feature = "tls")]
    pub tls: Option<crate::ClientTls>,
}

/// A channel to one target. Clones share it; when the last one is dropped, calls in flight finish and the connections
/// are closed.
///
/// It needs a tokio runtime with I/O and time where calls are made, not where it is made.
#[derive(Clone, Debug)]
pub struct Channel {
    alive: Arc<Alive>,
}

/// Counts the application's clones; tasks hold the [`Pump`] weakly.
#[derive(Debug)]
struct Alive {
    pump: Arc<Pump>,
    policies: Policies,
}

/// What a channel keeps for the attempts at its calls.
#[derive(Debug)]
pub(crate) struct Policies {
    pub(crate) retry: RetryConfig,
    pub(crate) budget: Arc<Budget>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.pump.retire();
    }
}

impl Channel {
    /// A channel in IDLE; nothing is done before the first call.
    pub fn new(target: Target, config: ChannelConfig) -> Channel {
        let authority = config.authority.clone().unwrap_or_else(|| target.authority.clone()).into();
        let seed = RandomState::new().hash_one(0);
        let brain = brain::Channel::new(target, config.channel.clone(), seed, Instant::now());
        Channel::of(brain, config, authority)
    }

    fn of(brain: Brain, config: ChannelConfig, authority: Arc<str>) -> Channel {
        let policies =
            Policies { retry: config.channel.retry.clone(), budget: Arc::new(Budget::new(REPLAY_PER_CHANNEL)) };
        Channel { alive: Arc::new(Alive { pump: Arc::new(Pump::new(brain, config, authority)), policies }) }
    }

    /// A channel whose target or settings cannot be used: every call ends with this status.
    pub fn lame(status: Status, config: ChannelConfig) -> Channel {
        let brain = brain::Channel::lame(status, config.channel.clone(), Instant::now());
        Channel::of(brain, config, "".into())
    }

    /// The connectivity state now.
    pub fn state(&self) -> Connectivity {
        *self.pump().connectivity.borrow()
    }

    /// Waits until the state is not `last` any more, and tells the new one.
    pub async fn state_changed(&self, last: Connectivity) -> Connectivity {
        let mut changes = self.pump().connectivity.subscribe();
        loop {
            let state = *changes.borrow_and_update();
            // The sender lives in the channel, so that waiting cannot fail while `self` is here.
            if state != last || changes.changed().await.is_err() {
                return state;
            }
        }
    }

    /// Connects, if it is not connected; fails with the reason when no address could be connected to.
    ///
    /// # Errors
    /// `UNAVAILABLE` with the address and the system's reason.
    pub async fn connect(&self) -> Result<(), Status> {
        self.pump().connect();
        self.pump().place("", &Metadata::new(), false, None).await.map(drop).map_err(|refusal| refusal.status)
    }

    pub(crate) fn pump(&self) -> &Arc<Pump> {
        &self.alive.pump
    }

    pub(crate) fn policies(&self) -> &Policies {
        &self.alive.policies
    }
}
