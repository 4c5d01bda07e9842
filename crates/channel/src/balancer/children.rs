use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::{Helper, Policy, PolicyConfig, Resolution, Route, States, SubchannelId, Update, aggregate};
use crate::{Address, Connectivity, resolver::Endpoint};

/// A policy that can be a child of [`Children`].
pub trait ChildPolicy: Policy + Default {}

impl<P: Policy + Default> ChildPolicy for P {}

/// What a child is known by: the set of its endpoint's addresses.
fn name(endpoint: &Endpoint) -> Vec<Address> {
    let mut addresses = endpoint.addresses.clone();
    addresses.sort();
    addresses.dedup();
    addresses
}

/// One child policy for each endpoint (gRFC A61).
///
/// A child is known by the set of its endpoint's addresses, and lives as long as an endpoint has that set.
pub struct Children<P> {
    children: BTreeMap<u32, Child<P>>,
    keys: BTreeMap<Vec<Address>, u32>,
    next_key: u32,
    states: States,
}

struct Child<P> {
    policy: P,
    state: Connectivity,
}

impl<P> Default for Children<P> {
    fn default() -> Children<P> {
        Children { children: BTreeMap::new(), keys: BTreeMap::new(), next_key: 0, states: States::default() }
    }
}

impl<P: ChildPolicy> Children<P> {
    /// Makes children for new endpoints, and drops those whose endpoint is gone. Each gets its endpoint and this config.
    pub fn handle_resolution(&mut self, endpoints: &[Endpoint], config: &Arc<dyn PolicyConfig>, helper: &mut Helper) {
        let mut gone = std::mem::take(&mut self.keys);
        for endpoint in endpoints {
            let addresses = name(endpoint);
            if self.keys.contains_key(&addresses) {
                continue;
            }
            let key = gone.remove(&addresses).unwrap_or_else(|| self.add());
            self.keys.insert(addresses, key);
            let resolution = Resolution { endpoints: [endpoint.clone()].into(), config: Arc::clone(config) };
            self.step(key, helper, |child, helper| {
                // One endpoint has an address, or the resolver would not have found it.
                let _ = child.handle_resolution(&resolution, helper);
            });
        }
        for key in gone.into_values() {
            if let Some(child) = self.children.remove(&key) {
                self.states.remove(child.state);
                helper.dropped(key);
            }
        }
    }

    /// Hands on what a subchannel has become; says which child has changed, and from which state.
    pub fn handle_subchannel(
        &mut self,
        route: Route<'_>,
        id: SubchannelId,
        update: &Update,
        helper: &mut Helper,
    ) -> Option<(u32, Connectivity)> {
        let (key, below) = route.split_first()?;
        self.step(*key, helper, |child, helper| child.handle_subchannel(below, id, update, helper))
    }

    /// Hands on that the time has come; says whether a child has changed.
    pub fn handle_timeout(&mut self, helper: &mut Helper) -> bool {
        let due = |child: &Child<P>| child.policy.poll_timeout().is_some_and(|due| due <= helper.now());
        let keys: Vec<u32> = self.children.iter().filter(|(_, child)| due(child)).map(|(key, _)| *key).collect();
        let mut changed = false;
        for key in keys {
            changed |= self.step(key, helper, |child, helper| child.handle_timeout(helper)).is_some();
        }
        changed
    }

    /// Wakes the child at this route, or all; says whether one has changed.
    pub fn wake(&mut self, route: Route<'_>, helper: &mut Helper) -> bool {
        let (keys, below) = match route.split_first() {
            Some((key, below)) => (vec![*key], below),
            None => (self.in_state(Connectivity::Idle), route),
        };
        let mut changed = false;
        for key in keys {
            changed |= self.step(key, helper, |child, helper| child.wake(below, helper)).is_some();
        }
        changed
    }

    /// When [`handle_timeout`](Children::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.children.values().filter_map(|child| child.policy.poll_timeout()).min()
    }

    /// The state of all together.
    pub fn state(&self) -> Connectivity {
        aggregate(&self.states)
    }

    /// How many are in which state.
    pub fn states(&self) -> States {
        self.states
    }

    /// The key of this endpoint's child.
    pub fn key(&self, endpoint: &Endpoint) -> Option<u32> {
        self.keys.get(&name(endpoint)).copied()
    }

    /// The child of this key.
    pub fn child(&self, key: u32) -> Option<&P> {
        self.children.get(&key).map(|child| &child.policy)
    }

    /// All children, in the order of the endpoints they were made for.
    pub fn iter(&self) -> impl Iterator<Item = &P> {
        self.children.values().map(|child| &child.policy)
    }

    /// The same with their keys.
    pub fn keyed(&self) -> impl Iterator<Item = (u32, &P)> {
        self.children.iter().map(|(key, child)| (*key, &child.policy))
    }

    /// The keys of the children in this state.
    pub fn in_state(&self, state: Connectivity) -> Vec<u32> {
        self.children.iter().filter(|(_, child)| child.state == state).map(|(key, _)| *key).collect()
    }

    fn add(&mut self) -> u32 {
        let key = self.next_key;
        self.next_key = self.next_key.wrapping_add(1);
        let child = Child { policy: P::default(), state: Connectivity::Connecting };
        self.states.add(child.state);
        self.children.insert(key, child);
        key
    }

    /// Calls a child, and counts its state; what that was before, if the child has changed.
    fn step(
        &mut self,
        key: u32,
        helper: &mut Helper,
        step: impl FnOnce(&mut P, &mut Helper),
    ) -> Option<(u32, Connectivity)> {
        let child = self.children.get_mut(&key)?;
        let ((), changed) = helper.within(key, |helper| step(&mut child.policy, helper));
        let before = std::mem::replace(&mut child.state, child.policy.state());
        self.states.remove(before);
        self.states.add(child.state);
        changed.then_some((key, before))
    }
}
