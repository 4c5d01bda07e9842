//! The memory for messages that servers and channels of the process share.

use std::{
    fs,
    sync::{Arc, LazyLock},
};

use farcall_engine::{Budget, Config};

/// The budget of those that have none of their own.
static SHARED: LazyLock<Arc<Budget>> =
    LazyLock::new(|| Arc::new(Budget::of_process(|path| fs::read_to_string(path).ok())));

/// The configuration of connections of a server or a channel: they share a budget, and small messages come in runs.
pub(crate) fn shared(config: Config) -> Config {
    Config { budget: config.budget.or_else(|| Some(Arc::clone(&SHARED))), runs: true, ..config }
}
