use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::{GracefulSwitch, Helper, Policy};
use crate::{Connectivity, resolver::Endpoint};

/// Children that a config names, each of any policy, and what their parent keeps for each.
pub(super) struct Named<T> {
    children: BTreeMap<u32, Child<T>>,
    keys: BTreeMap<Arc<str>, u32>,
    next_key: u32,
}

pub(super) struct Child<T> {
    pub(super) policy: GracefulSwitch,
    pub(super) data: T,
}

impl<T> Default for Named<T> {
    fn default() -> Named<T> {
        Named { children: BTreeMap::new(), keys: BTreeMap::new(), next_key: 0 }
    }
}

impl<T> Named<T> {
    pub(super) fn key(&self, name: &str) -> Option<u32> {
        self.keys.get(name).copied()
    }

    pub(super) fn add(&mut self, name: &Arc<str>, data: T) -> u32 {
        let key = self.next_key;
        self.next_key = self.next_key.wrapping_add(1);
        self.keys.insert(Arc::clone(name), key);
        self.children.insert(key, Child { policy: GracefulSwitch::default(), data });
        key
    }

    /// Drops the children of which this does not hold.
    pub(super) fn retain(&mut self, helper: &mut Helper, mut keep: impl FnMut(&str, &T) -> bool) {
        let children = &mut self.children;
        self.keys.retain(|name, key| {
            let kept = children.get(key).is_some_and(|child| keep(name, &child.data));
            if !kept && let Some(gone) = children.remove(key) {
                helper.dropped(*key);
                helper.discard(gone.policy);
            }
            kept
        });
    }

    pub(super) fn get(&self, key: u32) -> Option<&Child<T>> {
        self.children.get(&key)
    }

    pub(super) fn data(&mut self, key: u32) -> Option<&mut T> {
        self.children.get_mut(&key).map(|child| &mut child.data)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Child<T>)> {
        self.children.iter().map(|(key, child)| (*key, child))
    }

    /// Calls a child; what comes of it, and whether the child has changed.
    pub(super) fn step<R>(
        &mut self,
        key: u32,
        helper: &mut Helper,
        step: impl FnOnce(&mut GracefulSwitch, &mut Helper) -> R,
    ) -> Option<(R, bool)> {
        let child = self.children.get_mut(&key)?;
        Some(helper.within(key, |helper| step(&mut child.policy, helper)))
    }

    /// The children whose time has come.
    pub(super) fn due(&self, now: Instant) -> Vec<u32> {
        let due = |child: &Child<T>| child.policy.poll_timeout().is_some_and(|due| due <= now);
        self.children.iter().filter(|(_, child)| due(child)).map(|(key, _)| *key).collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.children.values().filter_map(|child| child.policy.poll_timeout()).min()
    }
}

impl<T> Child<T> {
    pub(super) fn state(&self) -> Connectivity {
        self.policy.state()
    }
}

/// Endpoints by the children they are for (gRFC A56): the first name of an endpoint's path says which one.
#[derive(Default)]
pub(super) struct Split {
    named: BTreeMap<Arc<str>, Vec<Endpoint>>,
    /// Those without a path: they are for all.
    common: Vec<Endpoint>,
}

impl Split {
    pub(super) fn of(endpoints: &[Endpoint]) -> Split {
        let mut split = Split::default();
        for endpoint in endpoints {
            match endpoint.path.split_first() {
                Some((name, below)) => {
                    let below = Endpoint { path: below.into(), ..endpoint.clone() };
                    split.named.entry(Arc::clone(name)).or_default().push(below);
                }
                None => split.common.push(endpoint.clone()),
            }
        }
        split
    }

    pub(super) fn below(&self, name: &str) -> Arc<[Endpoint]> {
        self.named.get(name).into_iter().flatten().chain(&self.common).cloned().collect()
    }
}

/// What is wrong with what children were given, together.
pub(super) fn together(faults: &[String]) -> Result<(), String> {
    if faults.is_empty() { Ok(()) } else { Err(format!("errors from children: [{}]", faults.join("; "))) }
}
