//! `ring_hash` (gRFC A42, A61, A76): calls of the same key go to the same endpoint, as long as it is there.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use farcall_core::{Code, Metadata, Status};
use serde_json::Value;

use super::{
    Children, Failing, Helper, Pick, PickArgs, PickFirst, PickFirstConfig, Picker, Policy, PolicyConfig, PolicyFactory,
    Queueing, Registry, Resolution, Route, States, SubchannelId, Update,
    fields::Fields,
    ring::{Ring, hash},
};
use crate::{Address, Connectivity, resolver::Endpoint};

/// As many places as a config may ask for; not all of them may be made.
const MOST: u32 = 8 << 20;

const NAME: &str = "ring_hash_experimental";

/// The config of `ring_hash`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RingHashConfig {
    /// Places on the ring: more spread calls more evenly. 1 to 8,388,608, of which [`Config::ring_places`](crate::Config::ring_places)
    /// are made. Default 1024.
    pub min_ring_size: u32,
    /// Places on the ring at most, 1 to 8,388,608. Default 4096.
    pub max_ring_size: u32,
    /// The header whose values are a call's key. A call without it goes to any endpoint. Default: none, and calls need a key
    /// from the resolver's selector ([`Attributes::hash`](crate::Attributes)).
    pub request_hash_header: Option<Arc<str>>,
}

impl Default for RingHashConfig {
    fn default() -> RingHashConfig {
        RingHashConfig { min_ring_size: 1024, max_ring_size: 4096, request_hash_header: None }
    }
}

impl PolicyConfig for RingHashConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(RingHash::default())
    }
}

impl PolicyFactory for RingHashConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, config: &Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let mut fields = Fields::new(config);
        let mut size = |key, default| {
            let size = fields.whole(key, default);
            if !(1..=MOST).contains(&size) {
                fields.fault(key, "must be in the range [1, 8388608]");
            }
            size
        };
        let (min_ring_size, max_ring_size) = (size("minRingSize", 1024), size("maxRingSize", 4096));
        if min_ring_size > max_ring_size {
            fields.fault("", "maxRingSize cannot be smaller than minRingSize");
        }
        let header = fields.string("requestHashHeader").filter(|header| !header.is_empty());
        if let Some(header) = &header {
            if Metadata::is_binary(header) {
                fields.fault("requestHashHeader", "must not end in \"-bin\"");
            } else if Metadata::new().append(header, "").is_err() {
                fields.fault("requestHashHeader", "is not a valid header name");
            }
        }
        fields.finish("ring_hash")?;
        let request_hash_header = header.map(Arc::from);
        Ok(Arc::new(RingHashConfig { min_ring_size, max_ring_size, request_hash_header }))
    }
}

/// `ring_hash`.
///
/// Endpoints are connected to when calls want them. When one fails, others are tried even without calls, for a parent like
/// `priority` sends none to what fails.
#[derive(Default)]
pub struct RingHash {
    children: Children<Lazy>,
    ring: Arc<Ring>,
    /// The children, in the order of the ring's indices.
    keys: Vec<u32>,
    header: Option<Arc<str>>,
    last: Option<Arc<str>>,
    route: Arc<[u32]>,
    begun: bool,
}

impl RingHash {
    /// Steps the children, has another one tried if need be, and says so if anything has changed.
    fn step(&mut self, helper: &mut Helper, step: impl FnOnce(&mut Children<Lazy>, &mut Helper) -> bool) {
        let mark = helper.mark();
        let mut changed = step(&mut self.children, helper);
        let wanting = matches!(self.state(), Connectivity::Connecting | Connectivity::TransientFailure);
        let States { connecting: 0, idle: 1.., .. } = self.children.states() else {
            return self.finish(mark, changed, helper);
        };
        if wanting && let Some(key) = self.children.in_state(Connectivity::Idle).first() {
            changed |= self.children.wake(&[*key], helper);
        }
        self.finish(mark, changed, helper);
    }

    fn finish(&mut self, mark: usize, changed: bool, helper: &mut Helper) {
        helper.made_since(mark).for_each(|new| new.health = true);
        if changed {
            helper.changed();
        }
    }

    fn point(&self, key: u32) -> Point {
        let Some(child) = self.children.child(key) else { return Point::Connecting };
        match child.state() {
            Connectivity::Ready => Point::Ready(child.picker()),
            Connectivity::Idle => Point::Idle(self.route.iter().copied().chain([key]).collect()),
            Connectivity::TransientFailure => Point::Failed(child.failure()),
            Connectivity::Connecting | Connectivity::Shutdown => Point::Connecting,
        }
    }
}

/// Each endpoint once, with all of its weight.
fn merged(endpoints: &[Endpoint]) -> Vec<Endpoint> {
    let mut merged: Vec<Endpoint> = Vec::with_capacity(endpoints.len());
    let mut known: BTreeMap<Vec<Address>, usize> = BTreeMap::new();
    for endpoint in endpoints {
        let mut addresses = endpoint.addresses.clone();
        addresses.sort();
        addresses.dedup();
        let index = *known.entry(addresses).or_insert(merged.len());
        match merged.get_mut(index) {
            Some(same) => same.weight = same.weight.saturating_add(endpoint.weight),
            None => merged.push(endpoint.clone()),
        }
    }
    merged
}

/// What places an endpoint on the ring, in the form that all gRPC libraries use.
fn place(endpoint: &Endpoint) -> String {
    match (&endpoint.hash_key, endpoint.addresses.first()) {
        (Some(key), _) if !key.is_empty() => key.to_string(),
        (_, Some(Address::Ip(address))) => address.to_string(),
        (_, Some(other)) => other.to_string(),
        (_, None) => String::new(),
    }
}

impl Policy for RingHash {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        self.begun = true;
        self.route = helper.route();
        let config: RingHashConfig = resolution.config().cloned().unwrap_or_default();
        let endpoints = merged(&resolution.endpoints);
        let points: Vec<(String, u32)> =
            endpoints.iter().map(|endpoint| (place(endpoint), endpoint.weight.max(1))).collect();
        let cap = helper.settings().ring_places.max(1);
        self.ring = Arc::new(Ring::new(&points, config.min_ring_size.min(cap), config.max_ring_size.min(cap)));
        self.header = config.request_hash_header;
        let child: Arc<dyn PolicyConfig> = Arc::new(PickFirstConfig::default());
        self.step(helper, |children, helper| {
            children.handle_resolution(&endpoints, &child, helper);
            true
        });
        self.keys = endpoints.iter().filter_map(|endpoint| self.children.key(endpoint)).collect();
        if endpoints.is_empty() {
            self.last = Some("no address".into());
            return Err("no address".to_owned());
        }
        Ok(())
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        let mut failure = None;
        self.step(helper, |children, helper| {
            let stepped = children.handle_subchannel(route, id, update, helper);
            let child = stepped.and_then(|(key, _)| children.child(key));
            failure = child.filter(|child| child.state() == Connectivity::TransientFailure).and_then(Policy::failure);
            stepped.is_some()
        });
        self.last = failure.or(self.last.take());
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        self.step(helper, Children::handle_timeout);
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.step(helper, |children, helper| match (route, children.states()) {
            ([_, ..], _) => children.wake(route, helper),
            // Somebody wants a connection, no matter which.
            ([], States { connecting: 0, ready: 0, idle: 1.., .. }) => {
                let first = children.in_state(Connectivity::Idle).first().copied();
                first.is_some_and(|key| children.wake(&[key], helper))
            }
            ([], _) => false,
        });
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.children.poll_timeout()
    }

    /// One endpoint that fails may be an accident; two are taken for the whole (gRFC A42).
    fn state(&self) -> Connectivity {
        match self.children.states() {
            _ if !self.begun => Connectivity::Connecting,
            States { ready: 1.., .. } => Connectivity::Ready,
            States { failing: 2.., .. } => Connectivity::TransientFailure,
            States { connecting: 1.., .. } | States { failing: 1, idle: 1.., .. } => Connectivity::Connecting,
            States { idle: 1.., .. } => Connectivity::Idle,
            _ => Connectivity::TransientFailure,
        }
    }

    fn picker(&self) -> Arc<dyn Picker> {
        if !self.begun {
            return Arc::new(Queueing(None));
        }
        if self.keys.is_empty() {
            return Arc::new(Failing(Arc::new(Status::new(Code::Unavailable, "empty address list"))));
        }
        Arc::new(Around {
            ring: Arc::clone(&self.ring),
            points: self.keys.iter().map(|key| self.point(*key)).collect(),
            header: self.header.clone(),
            connecting: self.children.states().connecting > 0,
        })
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.last.clone()
    }
}

/// A `pick_first` that does nothing before it is woken.
#[derive(Default)]
struct Lazy {
    resolution: Option<Resolution>,
    policy: Option<PickFirst>,
}

impl Policy for Lazy {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        match &mut self.policy {
            Some(policy) => policy.handle_resolution(resolution, helper),
            None => {
                self.resolution = Some(resolution.clone());
                Ok(())
            }
        }
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        if let Some(policy) = &mut self.policy {
            policy.handle_subchannel(route, id, update, helper);
        }
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        if let Some(policy) = &mut self.policy {
            policy.handle_timeout(helper);
        }
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        let policy = self.policy.get_or_insert_default();
        match self.resolution.take() {
            // What is wrong with it shows in the policy's state.
            Some(resolution) => drop(policy.handle_resolution(&resolution, helper)),
            None => policy.wake(route, helper),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.policy.as_ref().and_then(Policy::poll_timeout)
    }

    fn state(&self) -> Connectivity {
        self.policy.as_ref().map_or(Connectivity::Idle, Policy::state)
    }

    fn picker(&self) -> Arc<dyn Picker> {
        self.policy.as_ref().map_or_else(|| Arc::new(Queueing(None)) as Arc<dyn Picker>, Policy::picker)
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.policy.as_ref().and_then(Policy::failure)
    }
}

/// Walks round the ring from where a call belongs.
struct Around {
    ring: Arc<Ring>,
    points: Box<[Point]>,
    header: Option<Arc<str>>,
    /// Whether any endpoint is connecting.
    connecting: bool,
}

/// An endpoint as calls find it.
enum Point {
    Ready(Arc<dyn Picker>),
    /// It is to be woken by this route.
    Idle(Arc<[u32]>),
    Connecting,
    /// Why.
    Failed(Option<Arc<str>>),
}

impl Around {
    /// The first endpoint for a call of this key that has not failed.
    fn keyed(&self, hash: u64, args: &PickArgs<'_>) -> Option<Pick> {
        self.walk(hash).find_map(|point| match point {
            Point::Ready(picker) => Some(picker.pick(args)),
            Point::Idle(route) => Some(Pick::Wake(Arc::clone(route))),
            Point::Connecting => Some(Pick::Queue),
            Point::Failed(_) => None,
        })
    }

    /// Any endpoint, for a call without a key: one that is READY, and if none is connecting one more is.
    fn keyless(&self, hash: u64, args: &PickArgs<'_>) -> Option<Pick> {
        let found = self.walk(hash).find_map(|point| match point {
            Point::Ready(picker) => Some(picker.pick(args)),
            Point::Idle(route) if !self.connecting => Some(Pick::Wake(Arc::clone(route))),
            _ => None,
        });
        found.or(self.connecting.then_some(Pick::Queue))
    }

    fn walk(&self, hash: u64) -> impl Iterator<Item = &Point> {
        self.ring.from(hash).filter_map(|index| self.points.get(index))
    }

    fn failure(&self, hash: u64) -> Pick {
        let first = self.walk(hash).find_map(|point| match point {
            Point::Failed(why) => Some(why.as_deref().unwrap_or("no address")),
            _ => None,
        });
        let why = first.unwrap_or("no address");
        let text = format!("ring hash cannot find a connected endpoint; first failure: {why}");
        Pick::Fail(Arc::new(Status::new(Code::Unavailable, text)))
    }
}

impl Picker for Around {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        let given = || args.attributes.and_then(|attributes| attributes.hash);
        let hash = match (&self.header, given()) {
            (Some(header), _) => key(header, args),
            (None, Some(hash)) => Some(hash),
            (None, None) => return Pick::Fail(Arc::new(Status::new(Code::Internal, "hash attribute not present"))),
        };
        match hash {
            Some(hash) => self.keyed(hash, args).unwrap_or_else(|| self.failure(hash)),
            None => self.keyless(args.random, args).unwrap_or_else(|| self.failure(args.random)),
        }
    }
}

/// The hash of a call's values of this header, joined by commas.
fn key(header: &str, args: &PickArgs<'_>) -> Option<u64> {
    let mut values = args.metadata?.all(header);
    let first = values.next()?;
    let value = match values.next() {
        None => return (!first.is_empty()).then(|| hash(first)),
        Some(second) => values.fold([first, second].join(&b','), |all, next| [&all, next].join(&b',')),
    };
    Some(hash(&value))
}
