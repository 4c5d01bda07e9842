//! The memory for messages that all servers and channels of the process share.

use std::{fs, sync::Arc};

use farcall_engine::{Budget, Config};

use crate::process::PerProcess;

/// The budget of those that have none of their own. A fork's child has its own: it knows nothing of what its parent has.
static SHARED: PerProcess<Option<Arc<Budget>>> = PerProcess::new();

/// The budget of the process.
pub fn of_process() -> Arc<Budget> {
    SHARED.with(|shared| {
        let make = || Arc::new(Budget::of_process(|path| fs::read_to_string(path).ok()));
        Arc::clone(shared.get_or_insert_with(make))
    })
}

/// The configuration of a new connection.
pub fn shared(config: Config) -> Config {
    Config { budget: config.budget.or_else(|| Some(of_process())), ..config }
}
