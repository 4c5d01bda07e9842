use std::{sync::Arc, time::Instant};

use farcall_core::{Code, Status};

use super::{
    Children, Failing, Helper, New, PickFirst, PickFirstConfig, Picker, Policy, PolicyConfig, Queueing, Resolution,
    Route, SubchannelId, Update,
};
use crate::Connectivity;

/// The key of a child, and its picker.
pub(super) type Keyed = (u32, Arc<dyn Picker>);

/// What policies over endpoints have in common (gRFC A61): a `pick_first` for each, which is woken whenever it is IDLE.
#[derive(Default)]
pub(super) struct Sharded {
    children: Children<PickFirst>,
    /// Whether it has heard of endpoints.
    begun: bool,
    last: Option<Arc<str>>,
}

impl Sharded {
    /// Steps the children, which are to hear of their servers' health.
    fn step<T>(&mut self, helper: &mut Helper, step: impl FnOnce(&mut Children<PickFirst>, &mut Helper) -> T) -> T {
        let mark = helper.mark();
        let value = step(&mut self.children, helper);
        helper.made_since(mark).for_each(|new| new.health = true);
        value
    }

    pub(super) fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        self.begun = true;
        let config: Arc<dyn PolicyConfig> = Arc::new(PickFirstConfig::default());
        self.step(helper, |children, helper| {
            children.handle_resolution(&resolution.endpoints, &config, helper);
            children.wake(&[], helper);
        });
        helper.changed();
        if resolution.endpoints.is_empty() {
            self.last = Some("no address".into());
            return Err("no address".to_owned());
        }
        Ok(())
    }

    /// Says which child has become READY by it, if one has.
    pub(super) fn handle_subchannel(
        &mut self,
        route: Route<'_>,
        id: SubchannelId,
        update: &Update,
        helper: &mut Helper,
    ) -> Option<u32> {
        let before = self.children.state();
        let (key, was) = self.step(helper, |children, helper| children.handle_subchannel(route, id, update, helper))?;
        let child = self.children.child(key)?;
        let (is, failure) = (child.state(), child.failure());
        match is {
            Connectivity::Idle => drop(self.step(helper, |children, helper| children.wake(&[key], helper))),
            Connectivity::TransientFailure => self.last = failure.or(self.last.take()),
            _ => {}
        }
        let after = self.children.state();
        let shown = was == Connectivity::Ready || is == Connectivity::Ready;
        if shown || after != before || after == Connectivity::TransientFailure {
            helper.changed();
        }
        (was != Connectivity::Ready && is == Connectivity::Ready).then_some(key)
    }

    pub(super) fn handle_timeout(&mut self, helper: &mut Helper) {
        if self.step(helper, Children::handle_timeout) {
            helper.changed();
        }
    }

    pub(super) fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        if self.step(helper, |children, helper| children.wake(route, helper)) {
            helper.changed();
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.children.poll_timeout()
    }

    pub(super) fn state(&self) -> Connectivity {
        match self.children.state() {
            // It is woken at once.
            Connectivity::Idle => Connectivity::Connecting,
            Connectivity::TransientFailure if !self.begun => Connectivity::Connecting,
            state => state,
        }
    }

    /// The children that are READY, with their keys, each with its picker; otherwise what picks meanwhile.
    pub(super) fn ready(&self) -> Result<Vec<Keyed>, Arc<dyn Picker>> {
        match self.state() {
            Connectivity::Ready => {
                let ready = self.children.keyed().filter(|(_, child)| child.state() == Connectivity::Ready);
                Ok(ready.map(|(key, child)| (key, child.picker())).collect())
            }
            Connectivity::TransientFailure => {
                let last = self.last.as_deref().unwrap_or("no address");
                let text = format!("connections to all backends failing; last error: {last}");
                Err(Arc::new(Failing(Arc::new(Status::new(Code::Unavailable, text)))))
            }
            _ => Err(Arc::new(Queueing(None))),
        }
    }

    /// Whether there is a child of this key.
    pub(super) fn has(&self, key: u32) -> bool {
        self.children.child(key).is_some()
    }

    pub(super) fn failure(&self) -> Option<Arc<str>> {
        self.last.clone()
    }
}

/// Adds to each subchannel that a child has asked for since the mark; `add` knows the child's key.
pub(super) fn attach(helper: &mut Helper, mark: usize, mut add: impl FnMut(u32, &mut New)) {
    let depth = helper.depth();
    for new in helper.made_since(mark) {
        if let Some(key) = new.route.get(depth).copied() {
            add(key, new);
        }
    }
}
