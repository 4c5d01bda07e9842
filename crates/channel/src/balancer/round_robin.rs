//! `round_robin`: a connection to each endpoint, used in turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use farcall_core::{Code, Status};
use serde_json::Value;

use super::{
    Children, Failing, Helper, Pick, PickArgs, PickFirst, PickFirstConfig, Picker, Policy, PolicyConfig, PolicyFactory,
    Queueing, Registry, Resolution, Route, SubchannelId, Update,
};
use crate::Connectivity;

/// The config of `round_robin`, in which there is nothing to choose.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct RoundRobinConfig;

impl PolicyConfig for RoundRobinConfig {
    fn name(&self) -> &str {
        "round_robin"
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(RoundRobin::default())
    }
}

impl PolicyFactory for RoundRobinConfig {
    fn name(&self) -> &str {
        "round_robin"
    }

    fn parse(&self, _: &Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        Ok(Arc::new(RoundRobinConfig))
    }
}

/// `round_robin`: a `pick_first` for each endpoint, which is woken whenever it is IDLE.
#[derive(Default)]
pub struct RoundRobin {
    children: Children<PickFirst>,
    /// Whether it has heard of endpoints.
    begun: bool,
    last: Option<Arc<str>>,
    /// Whose turn it is, over all pickers.
    next: Arc<AtomicUsize>,
}

impl Policy for RoundRobin {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        if !self.begun {
            let start = usize::try_from(helper.random() >> 33).unwrap_or_default();
            self.next.store(start, Ordering::Relaxed);
        }
        self.begun = true;
        let config: Arc<dyn PolicyConfig> = Arc::new(PickFirstConfig::default());
        self.children.handle_resolution(&resolution.endpoints, &config, helper);
        self.children.wake(&[], helper);
        helper.changed();
        if resolution.endpoints.is_empty() {
            self.last = Some("no address".into());
            return Err("no address".to_owned());
        }
        Ok(())
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        let before = self.children.state();
        let Some((key, was)) = self.children.handle_subchannel(route, id, update, helper) else { return };
        let Some(child) = self.children.child(key) else { return };
        let (is, failure) = (child.state(), child.failure());
        match is {
            Connectivity::Idle => drop(self.children.wake(&[key], helper)),
            Connectivity::TransientFailure => self.last = failure.or(self.last.take()),
            _ => {}
        }
        let after = self.children.state();
        let shown = was == Connectivity::Ready || is == Connectivity::Ready;
        if shown || after != before || after == Connectivity::TransientFailure {
            helper.changed();
        }
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        if self.children.handle_timeout(helper) {
            helper.changed();
        }
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        if self.children.wake(route, helper) {
            helper.changed();
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.children.poll_timeout()
    }

    fn state(&self) -> Connectivity {
        match self.children.state() {
            // It is woken at once.
            Connectivity::Idle => Connectivity::Connecting,
            Connectivity::TransientFailure if !self.begun => Connectivity::Connecting,
            state => state,
        }
    }

    fn picker(&self) -> Arc<dyn Picker> {
        match self.state() {
            Connectivity::Ready => {
                let ready = self.children.iter().filter(|child| child.state() == Connectivity::Ready);
                let pickers = ready.map(Policy::picker).collect();
                Arc::new(InTurn { pickers, next: Arc::clone(&self.next) })
            }
            Connectivity::TransientFailure => {
                let last = self.last.as_deref().unwrap_or("no address");
                let text = format!("connections to all backends failing; last error: {last}");
                Arc::new(Failing(Arc::new(Status::new(Code::Unavailable, text))))
            }
            _ => Arc::new(Queueing(None)),
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.last.clone()
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
