//! `weighted_target` (gRFC A28): each call goes to one of several policies, at random, as often as its weight has it.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use serde_json::Value;

use super::{
    Helper, Pick, PickArgs, Picker, Policy, PolicyConfig, PolicyFactory, Queueing, Registry, Resolution, Route, States,
    SubchannelId, Update, aggregate,
    fields::Fields,
    named::{Named, Split, together},
};
use crate::{
    Connectivity,
    random::{Random, below},
};

const NAME: &str = "weighted_target_experimental";

/// The config of `weighted_target`.
#[derive(Clone, Default, Debug)]
pub struct WeightedTargetConfig {
    /// The policies that calls go to, by name.
    pub targets: BTreeMap<Arc<str>, WeightedTargetChild>,
}

/// One of the policies that calls go to.
#[derive(Clone, Debug)]
pub struct WeightedTargetChild {
    /// Its share among all that are READY, at least 1.
    pub weight: u32,
    /// The policy.
    pub policy: Arc<dyn PolicyConfig>,
}

impl PolicyConfig for WeightedTargetConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(WeightedTarget::default())
    }
}

/// Reads configs of `weighted_target`.
#[derive(Clone, Copy, Debug)]
pub struct WeightedTargetFactory;

impl PolicyFactory for WeightedTargetFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, config: &Value, registry: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let mut fields = Fields::new(config);
        let mut targets = BTreeMap::new();
        fields.objects("targets", |name, fields| {
            let weight = fields.required("weight").map_or(1, |()| fields.whole("weight", 1));
            if weight == 0 {
                fields.fault("weight", "must be greater than 0");
            }
            if let Some(policy) = fields.policy("childPolicy", registry) {
                targets.insert(name.into(), WeightedTargetChild { weight, policy });
            }
        });
        fields.finish("weighted_target")?;
        Ok(Arc::new(WeightedTargetConfig { targets }))
    }
}

/// `weighted_target`. What a child is that becomes IDLE is woken at once.
#[derive(Default)]
pub struct WeightedTarget {
    children: Named<Target>,
}

struct Target {
    weight: u32,
    /// What it counts as: one that has failed does until it is READY.
    shown: Connectivity,
    /// What fails calls meanwhile.
    failing: Option<Arc<dyn Picker>>,
}

impl WeightedTarget {
    /// Calls a child, wakes it if it has become IDLE, and looks at what it is then.
    fn step<R>(
        &mut self,
        key: u32,
        helper: &mut Helper,
        step: impl FnOnce(&mut dyn Policy, &mut Helper) -> R,
    ) -> Option<R> {
        let (value, mut changed) = self.children.step(key, helper, |child, helper| step(child, helper))?;
        if self.children.get(key)?.state() == Connectivity::Idle {
            changed |= self.children.step(key, helper, |child, helper| child.wake(&[], helper))?.1;
        }
        let child = self.children.get(key)?;
        let state = child.state();
        let failing = (state == Connectivity::TransientFailure).then(|| child.policy.picker());
        let target = self.children.data(key)?;
        target.failing = failing.or(target.failing.take());
        if target.shown != Connectivity::TransientFailure || state == Connectivity::Ready {
            target.shown = state;
        }
        if changed {
            helper.changed();
        }
        Some(value)
    }

    /// The pickers of the children that count as this, each with its share.
    fn pickers(&self, shown: Connectivity) -> Arc<dyn Picker> {
        let mut total = 0;
        let those = self.children.iter().filter(|(_, child)| child.data.shown == shown);
        let targets = those.map(|(_, child)| {
            total += u64::from(child.data.weight);
            let failing = child.data.failing.as_ref().filter(|_| shown == Connectivity::TransientFailure);
            (total, failing.map_or_else(|| child.policy.picker(), Arc::clone))
        });
        Arc::new(Weighted { targets: targets.collect() })
    }
}

impl Policy for WeightedTarget {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        let none = WeightedTargetConfig::default();
        let config = resolution.config::<WeightedTargetConfig>().unwrap_or(&none);
        self.children.retain(helper, |name, _| config.targets.contains_key(name));
        let split = Split::of(&resolution.endpoints);
        let mut faults = Vec::new();
        for (name, target) in &config.targets {
            let WeightedTargetChild { weight, policy } = target;
            let new = || Target { weight: *weight, shown: Connectivity::Connecting, failing: None };
            let key = self.children.key(name).unwrap_or_else(|| self.children.add(name, new()));
            self.children.data(key).into_iter().for_each(|target| target.weight = *weight);
            let below = Resolution { endpoints: split.below(name), config: Arc::clone(policy) };
            let result = self.step(key, helper, |child, helper| child.handle_resolution(&below, helper));
            if let Some(Err(why)) = result {
                faults.push(format!("child {name}: {why}"));
            }
        }
        helper.changed();
        together(&faults)
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        let Some((key, below)) = route.split_first() else { return };
        self.step(*key, helper, |child, helper| child.handle_subchannel(below, id, update, helper));
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        for key in self.children.due(helper.now()) {
            self.step(key, helper, |child, helper| child.handle_timeout(helper));
        }
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        let (keys, below): (Vec<u32>, Route<'_>) = match route.split_first() {
            Some((key, below)) => (vec![*key], below),
            None => (self.children.iter().map(|(key, _)| key).collect(), route),
        };
        for key in keys {
            self.step(key, helper, |child, helper| child.wake(below, helper));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.children.poll_timeout()
    }

    fn state(&self) -> Connectivity {
        let mut states = States::default();
        self.children.iter().for_each(|(_, child)| states.add(child.data.shown));
        match aggregate(&states) {
            // They are woken at once.
            Connectivity::Idle => Connectivity::Connecting,
            state => state,
        }
    }

    fn picker(&self) -> Arc<dyn Picker> {
        match self.state() {
            state @ (Connectivity::Ready | Connectivity::TransientFailure) => self.pickers(state),
            _ => Arc::new(Queueing(None)),
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.children.iter().find_map(|(_, child)| child.policy.failure())
    }
}

/// One of several pickers, each as often as it weighs.
struct Weighted {
    /// Each with the sum of the weights up to it.
    targets: Box<[(u64, Arc<dyn Picker>)]>,
}

impl Picker for Weighted {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        let mut random = Random::new(args.random);
        let total = self.targets.last().map_or(0, |(total, _)| *total);
        let at = below(random.next(), usize::try_from(total).unwrap_or(usize::MAX)) as u64;
        let index = self.targets.partition_point(|(until, _)| *until <= at);
        // Its child draws bits of its own.
        let args = PickArgs { random: random.next(), ..*args };
        self.targets.get(index).map_or(Pick::Queue, |(_, picker)| picker.pick(&args))
    }
}
