//! `priority` (gRFC A56): the first of several policies that can serve does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_core::{Code, Status};
use serde_json::Value;

use super::{
    Failing, Helper, Picker, Policy, PolicyConfig, PolicyFactory, Queueing, Registry, Resolution, Route, SubchannelId,
    Update,
    fields::Fields,
    named::{Child, Named, Split, together},
};
use crate::Connectivity;

/// A child that one before it has made needless is kept for so long, in case it is needed again.
const RETENTION: Duration = Duration::from_secs(15 * 60);

const NAME: &str = "priority_experimental";

/// The config of `priority`.
#[derive(Clone, Default, Debug)]
pub struct PriorityConfig {
    /// The policies, by name.
    pub children: BTreeMap<Arc<str>, PriorityChild>,
    /// Their names, the most wanted first.
    pub priorities: Vec<Arc<str>>,
}

/// One of the policies.
#[derive(Clone, Debug)]
pub struct PriorityChild {
    /// The policy.
    pub policy: Arc<dyn PolicyConfig>,
    /// Whether names are not resolved again when it wants that.
    pub ignore_reresolution: bool,
}

impl PolicyConfig for PriorityConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(Priority::default())
    }
}

/// Reads configs of `priority`.
#[derive(Clone, Copy, Debug)]
pub struct PriorityFactory;

impl PolicyFactory for PriorityFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, config: &Value, registry: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let mut fields = Fields::new(config);
        let mut names = BTreeSet::new();
        let mut children = BTreeMap::new();
        fields.objects("children", |name, fields| {
            names.insert(name.to_owned());
            let ignore_reresolution = fields.boolean("ignore_reresolution_requests", false);
            if let Some(policy) = fields.policy("config", registry) {
                children.insert(name.into(), PriorityChild { policy, ignore_reresolution });
            }
        });
        let priorities = fields.required("priorities").map(|()| fields.strings("priorities")).unwrap_or_default();
        let unknown: BTreeSet<&str> =
            priorities.iter().filter(|name| !names.contains(*name)).map(String::as_str).collect();
        if !unknown.is_empty() {
            let unknown: Vec<&str> = unknown.into_iter().collect();
            fields.fault("", &format!("unknown priorit(ies): [{}]", unknown.join(", ")));
        }
        fields.finish("priority")?;
        let priorities = priorities.into_iter().map(Arc::from).collect();
        Ok(Arc::new(PriorityConfig { children, priorities }))
    }
}

/// `priority`.
///
/// Children are made when they are tried. One that connects is waited for; one that fails, or takes too long, has the next
/// one tried beside it, which serves until the one before it does. A child that does not serve any more because one before
/// it does is kept for a while.
#[derive(Default)]
pub struct Priority {
    children: Named<Tried>,
    config: Arc<PriorityConfig>,
    split: Split,
    /// The child that picks.
    current: Option<u32>,
}

/// A child that was tried.
struct Tried {
    /// Until when it is waited for.
    wait_until: Option<Instant>,
    /// It was READY or IDLE since it failed, or is new: when it connects it is waited for.
    trusted: bool,
    /// When it goes, unless it is tried again before.
    drop_at: Option<Instant>,
    ignore_reresolution: bool,
}

impl Priority {
    fn step<R>(
        &mut self,
        key: u32,
        helper: &mut Helper,
        step: impl FnOnce(&mut dyn Policy, &mut Helper) -> R,
    ) -> Option<R> {
        let asked = helper.resolve_again;
        let (value, changed) = self.children.step(key, helper, |child, helper| step(child, helper))?;
        let state = self.children.get(key)?.state();
        let tried = self.children.data(key)?;
        helper.resolve_again &= asked || !tried.ignore_reresolution;
        match state {
            Connectivity::Connecting if tried.trusted => {
                tried.wait_until = tried.wait_until.or(helper.now().checked_add(helper.settings().priority_failover));
            }
            Connectivity::Connecting | Connectivity::Shutdown => {}
            state => {
                tried.wait_until = None;
                tried.trusted = state != Connectivity::TransientFailure;
            }
        }
        if changed && self.current == Some(key) {
            helper.changed();
        }
        Some(value)
    }

    /// Gives a child its config and its endpoints.
    fn update(&mut self, key: u32, name: &str, helper: &mut Helper) -> Result<(), String> {
        let config = Arc::clone(&self.config);
        let Some(child) = config.children.get(name) else { return Ok(()) };
        self.children.data(key).into_iter().for_each(|tried| tried.ignore_reresolution = child.ignore_reresolution);
        let resolution = Resolution { endpoints: self.split.below(name), config: Arc::clone(&child.policy) };
        let result = self.step(key, helper, |child, helper| child.handle_resolution(&resolution, helper));
        result.unwrap_or(Ok(())).map_err(|why| format!("child {name}: {why}"))
    }

    /// The child of this name, which is made if it is not there.
    fn tried(&mut self, name: &Arc<str>, helper: &mut Helper) -> u32 {
        if let Some(key) = self.children.key(name) {
            self.children.data(key).into_iter().for_each(|tried| tried.drop_at = None);
            return key;
        }
        let tried = Tried { wait_until: None, trusted: true, drop_at: None, ignore_reresolution: false };
        let key = self.children.add(name, tried);
        if self.update(key, name, helper).is_err() {
            helper.resolve_again();
        }
        key
    }

    /// Chooses who serves. With the same children in the same states it comes to the same choice.
    fn choose(&mut self, helper: &mut Helper) {
        let config = Arc::clone(&self.config);
        let mut keys = Vec::new();
        let mut chosen = None;
        for name in &config.priorities {
            let key = self.tried(name, helper);
            keys.push(key);
            let Some(child) = self.children.get(key) else { continue };
            let serves = matches!(child.state(), Connectivity::Ready | Connectivity::Idle);
            if serves || child.data.wait_until.is_some() {
                chosen = Some((key, serves));
                break;
            }
        }
        let connects =
            |key: &&u32| self.children.get(**key).is_some_and(|child| child.state() == Connectivity::Connecting);
        let key = chosen.map(|(key, _)| key).or_else(|| keys.iter().find(connects).copied()).or(keys.last().copied());
        if chosen.is_some_and(|(_, serves)| serves) {
            self.retire(config.priorities.get(keys.len()..).unwrap_or_default(), helper.now());
        }
        if std::mem::replace(&mut self.current, key) != key {
            helper.changed();
        }
    }

    /// These are not needed now.
    fn retire(&mut self, names: &[Arc<str>], now: Instant) {
        for name in names {
            let tried = self.children.key(name).and_then(|key| self.children.data(key));
            if let Some(tried) = tried {
                tried.drop_at = tried.drop_at.or(now.checked_add(RETENTION));
            }
        }
    }

    fn current(&self) -> Option<&Child<Tried>> {
        self.current.and_then(|key| self.children.get(key))
    }
}

impl Policy for Priority {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        self.config = resolution.config::<PriorityConfig>().cloned().unwrap_or_default().into();
        self.split = Split::of(&resolution.endpoints);
        let config = Arc::clone(&self.config);
        // Those that the config does not name any more go at once (gRFC A115).
        self.children.retain(helper, |name, _| config.children.contains_key(name));
        let mut faults = Vec::new();
        for name in config.children.keys() {
            if let Some(key) = self.children.key(name) {
                faults.extend(self.update(key, name, helper).err());
            }
        }
        self.choose(helper);
        helper.changed();
        together(&faults)
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        let Some((key, below)) = route.split_first() else { return };
        self.step(*key, helper, |child, helper| child.handle_subchannel(below, id, update, helper));
        self.choose(helper);
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        let now = helper.now();
        for key in self.children.due(now) {
            self.step(key, helper, |child, helper| child.handle_timeout(helper));
        }
        self.children.retain(helper, |_, tried| tried.drop_at.is_none_or(|at| at > now));
        let late = |child: &Child<Tried>| child.data.wait_until.is_some_and(|until| until <= now);
        let late: Vec<u32> = self.children.iter().filter(|(_, child)| late(child)).map(|(key, _)| key).collect();
        for key in late {
            if let Some(tried) = self.children.data(key) {
                (tried.wait_until, tried.trusted) = (None, false);
            }
        }
        self.choose(helper);
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        let (key, below) = match route.split_first() {
            Some((key, below)) => (Some(*key), below),
            None => (self.current, route),
        };
        if let Some(key) = key {
            self.step(key, helper, |child, helper| child.wake(below, helper));
            self.choose(helper);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let times = self.children.iter().flat_map(|(_, child)| [child.data.wait_until, child.data.drop_at]);
        times.flatten().chain(self.children.poll_timeout()).min()
    }

    fn state(&self) -> Connectivity {
        let empty = self.config.priorities.is_empty();
        let none = if empty { Connectivity::TransientFailure } else { Connectivity::Connecting };
        self.current().map_or(none, Child::state)
    }

    fn picker(&self) -> Arc<dyn Picker> {
        match self.current() {
            Some(child) => child.policy.picker(),
            None if self.config.priorities.is_empty() => {
                let text = "priority policy has empty priority list";
                Arc::new(Failing(Arc::new(Status::new(Code::Unavailable, text))))
            }
            None => Arc::new(Queueing(None)),
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.current()?.policy.failure()
    }
}
