//! Clients and servers on a simulated network, in virtual time: proof by simulation.
//!
//! Each client is the brain of a channel (`farcall-channel`) and those of its connections (`farcall-engine`), each
//! server those of its connections. The network chops, delays, stalls, breaks at any byte, resets, or goes silent;
//! servers crash, go away politely and come back, or are such that nobody would want them; names change, fail, and bring
//! service configs with other policies; applications call, stream, read slowly, cancel and hang. All of it follows from
//! one seed, so a run that fails is played again by its number.
//!
//! The hands perform what a channel asks for one action after the other, with pauses in which others step it; calls hold
//! snapshots of the channel while newer ones are published.
//!
//! In some worlds there are guests beside the honest: callers who open thousands of calls and give them up in a moment,
//! callers with headers that are too large, calls of large or inflating messages that nobody takes until all others have
//! ended, and hostile peers on connections of their own to the same servers.
//!
//! The fake world does not know what is right; checkers beside it do: every message arrives once, in order and
//! unchanged, or its call ends with one status that has a reason; no call outlives its deadline; whenever nothing is on
//! the way, the books of both ends agree to the byte; no call ends because of what another caller, or another peer, did,
//! and none waits for another whose messages nobody takes; nothing is picked that took no calls when its snapshot was made;
//! states, look-ups and attempts to connect come as gRPC prescribes; once the world is healed everything finishes, works
//! again, and leaves nothing behind.
//!
//! The connection's end and the wire are those of the engine's own tests (`crates/engine/tests/support`).

mod attempt;
mod calls;
#[path = "../../../crates/engine/tests/support/end.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the engine's tests")]
mod end;
pub mod fleet;
mod guests;
mod hand;
mod link;
mod names;
mod plan;
#[path = "../../../crates/engine/tests/support/raw.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the engine's tests")]
mod raw;
mod rounds;
mod setup;
mod trouble;
#[path = "../../../crates/engine/tests/support/wire.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the engine's tests")]
mod wire;
mod witness;
mod world;

// Where the shared modules look for each other.
use end::End;
use wire::Weather;

/// Plays worlds, one for each seed.
#[derive(Debug)]
pub struct Simulator {
    text: plan::Text,
    configs: names::Configs,
}

/// What a run leaves to compare: the same for the same seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// All that happened and when, hashed.
    pub trace: u64,
    /// How many times the books of two ends of a connection were compared.
    pub audits: u64,
}

impl Simulator {
    /// Prepares what all runs share.
    #[allow(clippy::new_without_default, reason = "it takes a while, which a default should not")]
    pub fn new() -> Simulator {
        Simulator { text: plan::Text::new(), configs: names::Configs::new() }
    }

    /// Plays the world of one seed to its end.
    ///
    /// # Panics
    /// A checker found something wrong.
    pub fn run(&self, seed: u64) -> Outcome {
        let (trace, audits) = world::World::new(seed, &self.text, &self.configs).run();
        Outcome { trace, audits }
    }
}
