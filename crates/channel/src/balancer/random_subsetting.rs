//! `random_subsetting` (gRFC A68): each client uses some of the endpoints, chosen at random and once.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Instant,
};

use serde_json::Value;

use super::{
    GracefulSwitch, Helper, Picker, Policy, PolicyConfig, PolicyFactory, Registry, Resolution, Route, SubchannelId,
    Update, fields::Fields,
};
use crate::{Connectivity, random::Random, resolver::Endpoint};

const NAME: &str = "random_subsetting_experimental";

/// The config of `random_subsetting`.
#[derive(Clone, Debug)]
pub struct RandomSubsettingConfig {
    /// How many endpoints are used, at least 1.
    pub size: u32,
    /// The policy that uses them.
    pub child: Arc<dyn PolicyConfig>,
}

impl PolicyConfig for RandomSubsettingConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(RandomSubsetting::default())
    }
}

/// Reads configs of `random_subsetting`.
#[derive(Clone, Copy, Debug)]
pub struct RandomSubsettingFactory;

impl PolicyFactory for RandomSubsettingFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, config: &Value, registry: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let mut fields = Fields::new(config);
        let size = fields.whole("subsetSize", 0);
        if size == 0 {
            fields.fault("subsetSize", "must be greater than 0");
        }
        let child = fields.policy("childPolicy", registry);
        fields.finish("random_subsetting")?;
        Ok(Arc::new(RandomSubsettingConfig { size, child: child.ok_or("childPolicy is missing")? }))
    }
}

/// `random_subsetting`: the endpoints whose addresses hash to the least, under a seed of the client's own. One that comes
/// or goes changes the choice by one at most.
#[derive(Default)]
pub struct RandomSubsetting {
    child: GracefulSwitch,
    seed: Option<u64>,
}

impl Policy for RandomSubsetting {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        let seed = *self.seed.get_or_insert_with(|| helper.random());
        let config = resolution.config::<RandomSubsettingConfig>();
        let size = config.map_or(usize::MAX, |config| config.size as usize);
        let child = config.map_or_else(|| Arc::clone(&resolution.config), |config| Arc::clone(&config.child));
        let endpoints = subset(&resolution.endpoints, size, seed);
        self.child.handle_resolution(&Resolution { endpoints, config: child }, helper)
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.child.handle_subchannel(route, id, update, helper);
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        self.child.handle_timeout(helper);
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.child.wake(route, helper);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.child.poll_timeout()
    }

    fn state(&self) -> Connectivity {
        self.child.state()
    }

    fn picker(&self) -> Arc<dyn Picker> {
        self.child.picker()
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.child.failure()
    }
}

fn subset(endpoints: &Arc<[Endpoint]>, size: usize, seed: u64) -> Arc<[Endpoint]> {
    if endpoints.len() <= size {
        return Arc::clone(endpoints);
    }
    let mut hashed: Vec<(u64, usize)> =
        endpoints.iter().enumerate().map(|(index, endpoint)| (hash(endpoint, seed), index)).collect();
    hashed.sort_unstable();
    hashed.truncate(size);
    // In the order of the resolver, which says more than that of the hashes.
    hashed.sort_unstable_by_key(|(_, index)| *index);
    hashed.into_iter().map(|(_, index)| endpoints[index].clone()).collect()
}

fn hash(endpoint: &Endpoint, seed: u64) -> u64 {
    let mut hasher = Mixing(seed);
    endpoint.addresses.hash(&mut hasher);
    hasher.finish()
}

/// The same in each process and version, for a run to repeat.
struct Mixing(u64);

impl Hasher for Mixing {
    fn finish(&self) -> u64 {
        Random::new(self.0).next()
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = Random::new(self.0 ^ u64::from(*byte)).next();
        }
    }
}
