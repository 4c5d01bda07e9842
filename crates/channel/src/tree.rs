//! The policies of a channel with their subchannels: what policies ask for is done, and its outcome reported, one thing after the other.

use std::{sync::Arc, time::Instant};

use crate::{
    Config, Connectivity,
    balancer::{GracefulSwitch, Helper, Picker, Policy, Resolution, Route},
    subchannel::Subchannels,
};

/// Steps that may be made at one time, however few subchannels there are.
const FEWEST_STEPS: usize = 1000;

pub(crate) struct Tree {
    /// `None` until there is something to balance.
    policy: Option<GracefulSwitch>,
    helper: Helper,
    pub(crate) subchannels: Subchannels,
    steps_per_subchannel: usize,
    /// The state that was given out last.
    state: Option<Connectivity>,
    /// It has not settled.
    busy: bool,
}

/// What has come of settling.
#[derive(Default, Debug)]
pub(crate) struct Settled {
    /// The states that the policy has gone through.
    pub(crate) states: Vec<Connectivity>,
    /// Calls are to pick again.
    pub(crate) changed: bool,
    pub(crate) resolve_again: bool,
    /// The policies have gone on for as long as they may.
    pub(crate) restless: bool,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree")
            .field("state", &self.state())
            .field("subchannels", &self.subchannels)
            .finish_non_exhaustive()
    }
}

impl Tree {
    pub(crate) fn new(config: &Config, seed: u64, now: Instant) -> Tree {
        Tree {
            policy: None,
            helper: Helper::new(now, seed, config.into()),
            subchannels: Subchannels::new(
                config.backoff.clone(),
                config.connect_timeout,
                config.limits.dials,
                seed ^ 1,
            ),
            steps_per_subchannel: config.limits.steps_per_subchannel,
            state: None,
            busy: false,
        }
    }

    /// Balances this from now on.
    pub(crate) fn resolve(&mut self, resolution: &Resolution, now: Instant) -> Result<(), String> {
        self.helper.now = now;
        self.helper.changed();
        self.policy.get_or_insert_default().handle_resolution(resolution, &mut self.helper)
    }

    pub(crate) fn wake(&mut self, route: Route<'_>, now: Instant) {
        self.helper.now = now;
        if let Some(policy) = &mut self.policy {
            policy.wake(route, &mut self.helper);
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        self.helper.now = now;
        self.subchannels.handle_timeout(now);
        if let Some(policy) = &mut self.policy
            && policy.poll_timeout().is_some_and(|due| due <= now)
        {
            policy.handle_timeout(&mut self.helper);
        }
    }

    /// Drops the policies, and lets their subchannels go.
    pub(crate) fn clear(&mut self, now: Instant) {
        if let Some(policy) = self.policy.take() {
            self.helper.discard(policy);
        }
        self.helper.collected.clear();
        self.subchannels.release_all(&mut self.helper.slots, now);
        self.helper.changed();
    }

    /// What is to be dropped where no lock is held.
    pub(crate) fn take_discarded(&mut self) -> Vec<Box<dyn Send>> {
        std::mem::take(&mut self.helper.discarded)
    }

    /// Does what policies have asked for, and tells them what comes of it, until nothing is left.
    pub(crate) fn settle(&mut self, now: Instant) -> Settled {
        let mut settled = Settled::default();
        let mut steps = 0;
        self.busy = false;
        self.helper.now = now;
        loop {
            self.subchannels.apply(&mut self.helper.collected, &mut self.helper.slots, now);
            // Since the last time, for what a policy was stepped with may have changed it already.
            let state = self.state();
            if std::mem::replace(&mut self.state, state) != state {
                settled.states.extend(state);
            }
            let bound = FEWEST_STEPS + self.steps_per_subchannel.saturating_mul(self.subchannels.len());
            steps += 1;
            if steps > bound {
                (self.busy, settled.restless) = (true, true);
                break;
            }
            let Some((route, id, update)) = self.subchannels.poll_event() else { break };
            if let Some(policy) = &mut self.policy {
                policy.handle_subchannel(&route, id, &update, &mut self.helper);
            }
        }
        settled.changed = std::mem::take(&mut self.helper.changed);
        settled.resolve_again = std::mem::take(&mut self.helper.resolve_again);
        settled
    }

    /// The policy's state, if there is one.
    pub(crate) fn state(&self) -> Option<Connectivity> {
        self.policy.as_ref().map(Policy::state)
    }

    pub(crate) fn picker(&self) -> Option<Arc<dyn Picker>> {
        self.policy.as_ref().map(Policy::picker)
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let busy = self.busy.then_some(self.helper.now);
        let policy = self.policy.as_ref().and_then(Policy::poll_timeout);
        [busy, policy, self.subchannels.poll_timeout()].into_iter().flatten().min()
    }
}
