//! `outlier_detection` (gRFC A50): leaves out endpoints whose calls fail more than those of the others.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use farcall_core::Code;
use serde_json::Value;

use super::{
    CallHook, End, GracefulSwitch, Helper, Pick, PickArgs, Picker, Policy, PolicyConfig, PolicyFactory, Registry,
    Resolution, Route, SubchannelId, Update, fields::Fields,
};
use crate::{
    Address, Connectivity,
    random::{Random, below},
};

/// How often another endpoint is asked for when one was picked that is left out. If all of them are, the last is used:
/// better an endpoint that may fail than none.
const PICKS: usize = 16;

/// The config of `outlier_detection`.
#[derive(Clone, Debug)]
pub struct OutlierDetectionConfig {
    /// How often endpoints are judged. Default 10 s.
    pub interval: Duration,
    /// How long an endpoint is left out, times how often it was. Default 30 s.
    pub base_ejection: Duration,
    /// The longest that one is left out. Default 5 min, or `base_ejection` if that is longer.
    pub max_ejection: Duration,
    /// The share of endpoints that may be left out, in percent; one always may. Default 10.
    pub max_ejected: u32,
    /// Compares endpoints by their success rate. Default: not.
    pub success_rate: Option<SuccessRate>,
    /// Judges each endpoint by its failures. Default: not.
    pub failure_percentage: Option<FailurePercentage>,
    /// The policy that picks.
    pub child: Arc<dyn PolicyConfig>,
}

/// An endpoint is left out whose success rate is too far below the mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SuccessRate {
    /// How far: in thousandths of the standard deviation. Default 1900.
    pub stdev_factor: u32,
    /// Which share of such endpoints is left out indeed, in percent. Default 100.
    pub enforcement: u32,
    /// How many endpoints must have enough calls. Default 5.
    pub minimum_hosts: u32,
    /// How many calls are enough, in one interval. Default 100.
    pub volume: u32,
}

/// An endpoint is left out too many of whose calls fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FailurePercentage {
    /// How many are too many: more than this share, in percent. Default 85.
    pub threshold: u32,
    /// Which share of such endpoints is left out indeed, in percent. Default 100.
    pub enforcement: u32,
    /// How many endpoints must have enough calls. Default 5.
    pub minimum_hosts: u32,
    /// How many calls are enough, in one interval. Default 50.
    pub volume: u32,
}

impl PolicyConfig for OutlierDetectionConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(OutlierDetection::default())
    }
}

const NAME: &str = "outlier_detection_experimental";

/// Reads configs of `outlier_detection`.
#[derive(Clone, Copy, Debug)]
pub struct OutlierDetectionFactory;

impl PolicyFactory for OutlierDetectionFactory {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, config: &Value, registry: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let mut fields = Fields::new(config);
        let interval = fields.duration("interval", Duration::from_secs(10));
        let base_ejection = fields.duration("baseEjectionTime", Duration::from_secs(30));
        let max_ejection = fields.duration("maxEjectionTime", Duration::from_secs(300)).max(base_ejection);
        let max_ejected = fields.percent("maxEjectionPercent", 10);
        let success_rate = fields.object("successRateEjection", |fields| SuccessRate {
            stdev_factor: fields.whole("stdevFactor", 1900),
            enforcement: fields.percent("enforcementPercentage", 100),
            minimum_hosts: fields.whole("minimumHosts", 5),
            volume: fields.whole("requestVolume", 100),
        });
        let failure_percentage = fields.object("failurePercentageEjection", |fields| FailurePercentage {
            threshold: fields.percent("threshold", 85),
            enforcement: fields.percent("enforcementPercentage", 100),
            minimum_hosts: fields.whole("minimumHosts", 5),
            volume: fields.whole("requestVolume", 50),
        });
        let child = fields.policy("childPolicy", registry);
        fields.finish("outlier_detection")?;
        let child = child.ok_or("childPolicy is missing")?;
        Ok(Arc::new(OutlierDetectionConfig {
            interval,
            base_ejection,
            max_ejection,
            max_ejected,
            success_rate,
            failure_percentage,
            child,
        }))
    }
}

/// `outlier_detection`.
///
/// What it leaves out keeps its connection. Its child does not know: a call for which the child has picked such an endpoint is
/// picked for again.
#[derive(Default)]
pub struct OutlierDetection {
    child: GracefulSwitch,
    config: Option<OutlierDetectionConfig>,
    /// By the endpoint's addresses.
    endpoints: BTreeMap<Vec<Address>, Endpoint>,
    /// The same by each address.
    tallies: BTreeMap<Address, Arc<Tally>>,
    /// Those of subchannels, by their slots, each with the generation it is of.
    slots: Vec<Slot>,
    /// Whether any endpoint is left out.
    any: Arc<AtomicBool>,
    due: Option<Instant>,
}

/// What is known of one endpoint.
#[derive(Default)]
struct Endpoint {
    tally: Arc<Tally>,
    ejected_at: Option<Instant>,
    /// How often it was left out, less the intervals in which it was not.
    times: u32,
}

/// The generation of a subchannel, and where its calls are counted.
type Slot = Option<(u32, Arc<Tally>)>;

/// Counts the calls of one endpoint in one interval.
#[derive(Default)]
struct Tally {
    good: AtomicU32,
    bad: AtomicU32,
    ejected: AtomicBool,
}

impl CallHook for Tally {
    fn ended(&self, end: &End<'_>) {
        match end.code {
            Some(Code::Ok) => self.good.fetch_add(1, Ordering::Relaxed),
            Some(_) => self.bad.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
    }
}

impl OutlierDetection {
    fn within<T>(&mut self, helper: &mut Helper, step: impl FnOnce(&mut GracefulSwitch, &mut Helper) -> T) -> T {
        let mark = helper.mark();
        let value = step(&mut self.child, helper);
        for new in helper.made_since(mark) {
            let Some(tally) = self.tallies.get(&new.address) else { continue };
            let slot = new.id.slot as usize;
            if self.slots.len() <= slot {
                self.slots.resize(slot + 1, None);
            }
            self.slots[slot] = Some((new.id.generation, Arc::clone(tally)));
            new.hooks.push(Arc::clone(tally) as Arc<dyn CallHook>);
        }
        value
    }

    fn note_endpoints(&mut self, resolution: &Resolution) {
        let mut gone = std::mem::take(&mut self.endpoints);
        self.tallies.clear();
        for endpoint in &*resolution.endpoints {
            let mut addresses = endpoint.addresses.clone();
            addresses.sort();
            let known = gone.remove(&addresses).unwrap_or_default();
            let tallies = addresses.iter().map(|address| (address.clone(), Arc::clone(&known.tally)));
            self.tallies.extend(tallies);
            self.endpoints.insert(addresses, known);
        }
    }

    /// Judges the endpoints by the interval that is over.
    fn judge(&mut self, config: &OutlierDetectionConfig, helper: &mut Helper) {
        let now = helper.now();
        let counts: Vec<(u32, u32)> = self.endpoints.values().map(|endpoint| endpoint.tally.take()).collect();
        if let Some(rate) = config.success_rate {
            let enough = at_least(&counts, rate.volume, rate.minimum_hosts);
            let rates: Vec<(usize, f64)> = enough.iter().map(|index| (*index, share(counts[*index]))).collect();
            let least = mean_less_deviations(&rates, f64::from(rate.stdev_factor) / 1000.0);
            let outliers = rates.into_iter().filter(|(_, rate)| *rate < least).map(|(index, _)| index);
            self.eject(outliers.collect(), rate.enforcement, config, helper);
        }
        if let Some(limit) = config.failure_percentage {
            let enough = at_least(&counts, limit.volume, limit.minimum_hosts);
            let threshold = f64::from(limit.threshold);
            let outliers = enough.into_iter().filter(|index| 100.0 - share(counts[*index]) > threshold);
            self.eject(outliers.collect(), limit.enforcement, config, helper);
        }
        for endpoint in self.endpoints.values_mut() {
            endpoint.readmit(config, now);
        }
        let any = self.endpoints.values().any(|endpoint| endpoint.ejected_at.is_some());
        self.any.store(any, Ordering::Relaxed);
    }

    fn eject(&mut self, outliers: Vec<usize>, enforcement: u32, config: &OutlierDetectionConfig, helper: &mut Helper) {
        let count = self.endpoints.len();
        let mut ejected = self.endpoints.values().filter(|endpoint| endpoint.ejected_at.is_some()).count();
        let mut endpoints: Vec<&mut Endpoint> = self.endpoints.values_mut().collect();
        for index in outliers {
            let allowed = ejected == 0 || 100 * ejected < config.max_ejected as usize * count;
            let enforced = below(helper.random(), 100) < enforcement as usize;
            let Some(endpoint) = endpoints.get_mut(index).filter(|endpoint| endpoint.ejected_at.is_none()) else {
                continue;
            };
            if allowed && enforced {
                endpoint.ejected_at = Some(helper.now());
                endpoint.times = endpoint.times.saturating_add(1);
                endpoint.tally.ejected.store(true, Ordering::Relaxed);
                ejected += 1;
            }
        }
    }

    /// Ends all judging: nothing is left out.
    fn forgive(&mut self) {
        for endpoint in self.endpoints.values_mut() {
            (endpoint.ejected_at, endpoint.times) = (None, 0);
            endpoint.tally.ejected.store(false, Ordering::Relaxed);
        }
        self.any.store(false, Ordering::Relaxed);
        self.due = None;
    }
}

impl Tally {
    /// Good and bad calls since this was asked last.
    fn take(&self) -> (u32, u32) {
        (self.good.swap(0, Ordering::Relaxed), self.bad.swap(0, Ordering::Relaxed))
    }
}

impl Endpoint {
    /// Takes it in again when its time is over.
    fn readmit(&mut self, config: &OutlierDetectionConfig, now: Instant) {
        let Some(at) = self.ejected_at else {
            self.times = self.times.saturating_sub(1);
            return;
        };
        let time = config.base_ejection.saturating_mul(self.times).min(config.max_ejection);
        if now.saturating_duration_since(at) >= time {
            self.ejected_at = None;
            self.tally.ejected.store(false, Ordering::Relaxed);
        }
    }
}

/// The endpoints with enough calls, if they are enough.
fn at_least(counts: &[(u32, u32)], volume: u32, hosts: u32) -> Vec<usize> {
    let enough = |(good, bad): (u32, u32)| u64::from(good) + u64::from(bad) >= u64::from(volume.max(1));
    let found: Vec<usize> = (0..counts.len()).filter(|index| enough(counts[*index])).collect();
    if found.len() < hosts as usize { Vec::new() } else { found }
}

/// Good calls, in percent.
fn share((good, bad): (u32, u32)) -> f64 {
    100.0 * f64::from(good) / (f64::from(good) + f64::from(bad))
}

fn mean_less_deviations(rates: &[(usize, f64)], deviations: f64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // A count of endpoints.
    let count = rates.len() as f64;
    let mean = rates.iter().map(|(_, rate)| rate).sum::<f64>() / count;
    let variance = rates.iter().map(|(_, rate)| (rate - mean).powi(2)).sum::<f64>() / count;
    mean - variance.sqrt() * deviations
}

impl Policy for OutlierDetection {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        self.note_endpoints(resolution);
        let config = resolution.config::<OutlierDetectionConfig>().cloned();
        let judging = config.as_ref().filter(|config| {
            config.interval > Duration::ZERO && (config.success_rate.is_some() || config.failure_percentage.is_some())
        });
        match judging {
            Some(config) => self.due = self.due.or(helper.now().checked_add(config.interval)),
            None => self.forgive(),
        }
        let child = config.as_ref().map_or_else(|| Arc::clone(&resolution.config), |config| Arc::clone(&config.child));
        self.config = config;
        let below = Resolution { endpoints: Arc::clone(&resolution.endpoints), config: child };
        self.within(helper, |child, helper| child.handle_resolution(&below, helper))
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        self.within(helper, |child, helper| child.handle_subchannel(route, id, update, helper));
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        if self.due.take_if(|due| *due <= helper.now()).is_some()
            && let Some(config) = self.config.clone()
        {
            self.judge(&config, helper);
            self.due = helper.now().checked_add(config.interval);
        }
        if self.child.poll_timeout().is_some_and(|due| due <= helper.now()) {
            self.within(helper, |child, helper| child.handle_timeout(helper));
        }
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.within(helper, |child, helper| child.wake(route, helper));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.child.poll_timeout().into_iter().chain(self.due).min()
    }

    fn state(&self) -> Connectivity {
        self.child.state()
    }

    fn picker(&self) -> Arc<dyn Picker> {
        let child = self.child.picker();
        if self.due.is_none() {
            return child;
        }
        Arc::new(Passing { child, slots: self.slots.clone().into(), any: Arc::clone(&self.any) })
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.child.failure()
    }
}

/// Passes over what is left out.
struct Passing {
    child: Arc<dyn Picker>,
    slots: Box<[Slot]>,
    any: Arc<AtomicBool>,
}

impl Passing {
    fn is_out(&self, id: SubchannelId) -> bool {
        let tally = self.slots.get(id.slot as usize).and_then(Option::as_ref);
        tally.is_some_and(|(generation, tally)| *generation == id.generation && tally.ejected.load(Ordering::Relaxed))
    }
}

impl Picker for Passing {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        let mut pick = self.child.pick(args);
        if !self.any.load(Ordering::Relaxed) {
            return pick;
        }
        let mut random = Random::new(args.random);
        for _ in 1..PICKS {
            match pick {
                Pick::Ready(id) if self.is_out(id) => {}
                _ => break,
            }
            pick = self.child.pick(&PickArgs { random: random.next(), ..*args });
        }
        pick
    }
}
