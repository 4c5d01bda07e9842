use std::sync::Arc;

use farcall_core::Status;

use super::{Pick, PickArgs, Picker};

/// A picker that has no connection yet, and has a policy wake if need be.
#[derive(Clone, Default, Debug)]
pub struct Queueing(pub Option<Arc<[u32]>>);

impl Picker for Queueing {
    fn pick(&self, _: &PickArgs<'_>) -> Pick {
        self.0.clone().map_or(Pick::Queue, Pick::Wake)
    }
}

/// A picker for TRANSIENT_FAILURE.
#[derive(Clone, Debug)]
pub struct Failing(pub Arc<Status>);

impl Picker for Failing {
    fn pick(&self, _: &PickArgs<'_>) -> Pick {
        Pick::Fail(Arc::clone(&self.0))
    }
}
