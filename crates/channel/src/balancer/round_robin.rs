//! `round_robin`: a connection to each endpoint, used in turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use serde_json::Value;

use super::{
    Helper, Pick, PickArgs, Picker, Policy, PolicyConfig, PolicyFactory, Registry, Resolution, Route, SubchannelId,
    Update, sharded::Sharded,
};
use crate::Connectivity;

const NAME: &str = "round_robin";

/// The config of `round_robin`, in which there is nothing to choose.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct RoundRobinConfig;

impl PolicyConfig for RoundRobinConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(RoundRobin::default())
    }
}

impl PolicyFactory for RoundRobinConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, _: &Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        Ok(Arc::new(RoundRobinConfig))
    }
}

/// `round_robin`.
#[derive(Default)]
pub struct RoundRobin {
    endpoints: Sharded,
    begun: bool,
    /// Whose turn it is, over all pickers.
    next: Arc<AtomicUsize>,
}

impl Policy for RoundRobin {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        if !std::mem::replace(&mut self.begun, true) {
            let start = usize::try_from(helper.random() >> 33).unwrap_or_default();
            self.next.store(start, Ordering::Relaxed);
        }
        self.endpoints.handle_resolution(resolution, helper)
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.endpoints.handle_subchannel(route, id, update, helper);
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        self.endpoints.handle_timeout(helper);
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.endpoints.wake(route, helper);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoints.poll_timeout()
    }

    fn state(&self) -> Connectivity {
        self.endpoints.state()
    }

    fn picker(&self) -> Arc<dyn Picker> {
        match self.endpoints.ready() {
            Ok(ready) => {
                let pickers = ready.into_iter().map(|(_, picker)| picker).collect();
                Arc::new(InTurn { pickers, next: Arc::clone(&self.next) })
            }
            Err(picker) => picker,
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.endpoints.failure()
    }
}

/// One picker after the other.
struct InTurn {
    pickers: Box<[Arc<dyn Picker>]>,
    next: Arc<AtomicUsize>,
}

impl Picker for InTurn {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let index = turn.checked_rem(self.pickers.len()).unwrap_or_default();
        self.pickers.get(index).map_or(Pick::Queue, |picker| picker.pick(args))
    }
}
