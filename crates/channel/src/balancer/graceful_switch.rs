use std::{sync::Arc, time::Instant};

use super::{Helper, Picker, Policy, Queueing, Resolution, Route, SubchannelId, Update};
use crate::Connectivity;

/// The policy at the root: when the config names another policy, the old one serves until the new one can.
#[derive(Default)]
pub struct GracefulSwitch {
    current: Option<Child>,
    pending: Option<Child>,
    next_key: u32,
}

struct Child {
    key: u32,
    name: String,
    policy: Box<dyn Policy>,
}

impl Policy for GracefulSwitch {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        let name = resolution.config.name();
        let latest = self.pending.as_ref().or(self.current.as_ref());
        if latest.is_none_or(|child| child.name != name) {
            self.begin(resolution, helper);
        }
        let Some(child) = self.pending.as_mut().or(self.current.as_mut()) else { return Ok(()) };
        let (result, changed) = helper.within(child.key, |helper| child.policy.handle_resolution(resolution, helper));
        self.settle(changed, helper);
        result
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        let Some((key, below)) = route.split_first() else { return };
        self.step(Some(*key), helper, |policy, helper| policy.handle_subchannel(below, id, update, helper));
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        self.step(None, helper, |policy, helper| {
            if policy.poll_timeout().is_some_and(|due| due <= helper.now()) {
                policy.handle_timeout(helper);
            }
        });
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        let (key, below) = match route.split_first() {
            Some((key, below)) => (Some(*key), below),
            None => (None, route),
        };
        self.step(key, helper, |policy, helper| policy.wake(below, helper));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.children().filter_map(|child| child.policy.poll_timeout()).min()
    }

    fn state(&self) -> Connectivity {
        self.current.as_ref().map_or(Connectivity::Connecting, |child| child.policy.state())
    }

    fn picker(&self) -> Arc<dyn Picker> {
        self.current.as_ref().map_or_else(|| Arc::new(Queueing(None)) as Arc<dyn Picker>, |child| child.policy.picker())
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.current.as_ref().and_then(|child| child.policy.failure())
    }
}

impl GracefulSwitch {
    fn children(&self) -> impl Iterator<Item = &Child> {
        self.current.iter().chain(&self.pending)
    }

    /// Makes the policy that the config names; one that was pending for another name is dropped.
    fn begin(&mut self, resolution: &Resolution, helper: &mut Helper) {
        let child =
            Child { key: self.next_key, name: resolution.config.name().to_owned(), policy: resolution.config.policy() };
        self.next_key = self.next_key.wrapping_add(1);
        let place = if self.current.is_none() { &mut self.current } else { &mut self.pending };
        if let Some(dropped) = place.replace(child) {
            helper.dropped(dropped.key);
            helper.discard(dropped.policy);
        }
    }

    /// Calls the child of this key, or both.
    fn step(&mut self, key: Option<u32>, helper: &mut Helper, mut step: impl FnMut(&mut dyn Policy, &mut Helper)) {
        let mut shown = false;
        if let Some(child) = self.current.as_mut().filter(|child| key.is_none_or(|key| child.key == key)) {
            shown = helper.within(child.key, |helper| step(&mut *child.policy, helper)).1;
        }
        if let Some(child) = self.pending.as_mut().filter(|child| key.is_none_or(|key| child.key == key)) {
            helper.within(child.key, |helper| step(&mut *child.policy, helper));
        }
        self.settle(shown, helper);
    }

    /// Switches when the new policy has found out whether it can serve, or the old one cannot any more.
    fn settle(&mut self, mut shown: bool, helper: &mut Helper) {
        let current = self.current.as_ref().map(|child| child.policy.state());
        if self.pending.as_ref().is_some_and(|pending| {
            current != Some(Connectivity::Ready) || pending.policy.state() != Connectivity::Connecting
        }) && let Some(old) = std::mem::replace(&mut self.current, self.pending.take())
        {
            helper.dropped(old.key);
            helper.discard(old.policy);
            shown = true;
        }
        if shown {
            helper.changed();
        }
    }
}
