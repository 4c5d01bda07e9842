//! `least_request` (gRFC A48): of some endpoints chosen at random, the one with the fewest calls in flight.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use serde_json::Value;

use super::{
    CallHook, End, Helper, Pick, PickArgs, Picker, Policy, PolicyConfig, PolicyFactory, Registry, Resolution, Route,
    SubchannelId, Update,
    fields::Fields,
    sharded::{Sharded, attach},
};
use crate::{
    Connectivity,
    random::{Random, below},
};

/// Endpoints looked at for a call, at most.
const MOST_CHOICES: u32 = 10;

const NAME: &str = "least_request_experimental";

/// The config of `least_request`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeastRequestConfig {
    /// How many endpoints are looked at for each call, 2 to 10. Default 2.
    pub choices: u32,
}

impl Default for LeastRequestConfig {
    fn default() -> LeastRequestConfig {
        LeastRequestConfig { choices: 2 }
    }
}

impl PolicyConfig for LeastRequestConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(LeastRequest::default())
    }
}

impl PolicyFactory for LeastRequestConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, config: &Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let mut fields = Fields::new(config);
        let choices = fields.whole("choiceCount", 2);
        if choices < 2 {
            fields.fault("choiceCount", "must be at least 2");
        }
        fields.finish("least_request")?;
        Ok(Arc::new(LeastRequestConfig { choices: choices.min(MOST_CHOICES) }))
    }
}

/// `least_request`.
#[derive(Default)]
pub struct LeastRequest {
    endpoints: Sharded,
    in_flight: BTreeMap<u32, Arc<InFlight>>,
    config: LeastRequestConfig,
}

/// Calls that are in flight at one endpoint.
#[derive(Default)]
struct InFlight(AtomicU32);

impl CallHook for InFlight {
    fn started(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn ended(&self, _: &End<'_>) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl LeastRequest {
    /// Steps the endpoints, and counts the calls of the subchannels that come of it.
    fn step<T>(&mut self, helper: &mut Helper, step: impl FnOnce(&mut Sharded, &mut Helper) -> T) -> T {
        let mark = helper.mark();
        let value = step(&mut self.endpoints, helper);
        attach(helper, mark, |key, new| new.hooks.push(Arc::clone(self.in_flight.entry(key).or_default()) as _));
        value
    }
}

impl Policy for LeastRequest {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        self.config = resolution.config().copied().unwrap_or_default();
        let result = self.step(helper, |endpoints, helper| endpoints.handle_resolution(resolution, helper));
        self.in_flight.retain(|key, _| self.endpoints.has(*key));
        result
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.step(helper, |endpoints, helper| endpoints.handle_subchannel(route, id, update, helper));
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        self.step(helper, Sharded::handle_timeout);
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.step(helper, |endpoints, helper| endpoints.wake(route, helper));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoints.poll_timeout()
    }

    fn state(&self) -> Connectivity {
        self.endpoints.state()
    }

    fn picker(&self) -> Arc<dyn Picker> {
        match self.endpoints.ready() {
            Ok(ready) => {
                let counted = |(key, picker)| (self.in_flight.get(&key).map(Arc::clone).unwrap_or_default(), picker);
                let endpoints = ready.into_iter().map(counted).collect();
                Arc::new(Least { endpoints, choices: self.config.choices })
            }
            Err(picker) => picker,
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.endpoints.failure()
    }
}

type Counted = (Arc<InFlight>, Arc<dyn Picker>);

struct Least {
    endpoints: Box<[Counted]>,
    choices: u32,
}

impl Picker for Least {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        let mut random = Random::new(args.random);
        let mut best: Option<(u32, &Arc<dyn Picker>)> = None;
        for _ in 0..self.choices {
            let index = below(random.next(), self.endpoints.len());
            let Some((in_flight, picker)) = self.endpoints.get(index) else { return Pick::Queue };
            let calls = in_flight.0.load(Ordering::Relaxed);
            if best.is_none_or(|(least, _)| calls < least) {
                best = Some((calls, picker));
            }
        }
        best.map_or(Pick::Queue, |(_, picker)| picker.pick(args))
    }
}
