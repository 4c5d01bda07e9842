//! `weighted_round_robin` (gRFC A58): endpoints in turn, as often as what they say of their load makes them worth.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    CallHook, End, Helper, LoadListener, LoadReports, Pick, PickArgs, Picker, Policy, PolicyConfig, PolicyFactory,
    Registry, Resolution, Route, SubchannelId, Update,
    fields::Fields,
    sharded::{Keyed, Sharded, attach},
    slow_start::SlowStart,
    stride::Stride,
};
use crate::{Connectivity, wire};

/// Trailing metadata with a server's load (gRFC A51).
const REPORT: &str = "endpoint-load-metrics-bin";

/// Weights are computed no more often than this.
const SHORTEST_PERIOD: Duration = Duration::from_millis(100);

const NAME: &str = "weighted_round_robin";

/// The config of `weighted_round_robin`.
#[derive(Clone, PartialEq, Debug)]
pub struct WeightedRoundRobinConfig {
    /// How often servers are asked to report their load out of band, by a stream of the channel's own; what trailers say does
    /// not count then. Default: loads are read from the trailers of calls.
    pub reports: Option<Duration>,
    /// How long an endpoint must have reported before its weight counts. Default 10 s.
    pub blackout: Duration,
    /// How often weights are computed. Default 1 s, at least 100 ms.
    pub period: Duration,
    /// How long a weight counts without another report. Default 3 min.
    pub expiration: Duration,
    /// By how much failures reduce the weight. Default 1.
    pub penalty: f64,
    /// What makes up an endpoint's utilization (gRFC A114): the greatest of these. Default none: the application's, or else
    /// the processor's.
    pub metrics: Arc<[String]>,
    /// How endpoints that have just connected get their calls (gRFC A100). Default: at once.
    pub slow_start: Option<SlowStart>,
}

impl Default for WeightedRoundRobinConfig {
    fn default() -> WeightedRoundRobinConfig {
        WeightedRoundRobinConfig {
            reports: None,
            blackout: Duration::from_secs(10),
            period: Duration::from_secs(1),
            expiration: Duration::from_secs(180),
            penalty: 1.0,
            metrics: Arc::default(),
            slow_start: None,
        }
    }
}

impl PolicyConfig for WeightedRoundRobinConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn policy(&self) -> Box<dyn Policy> {
        Box::new(WeightedRoundRobin::default())
    }
}

impl PolicyFactory for WeightedRoundRobinConfig {
    fn name(&self) -> &str {
        NAME
    }

    fn parse(&self, config: &Value, _: &Registry) -> Result<Arc<dyn PolicyConfig>, String> {
        let (mut fields, default) = (Fields::new(config), WeightedRoundRobinConfig::default());
        let (out_of_band, often) = (
            fields.boolean("enableOobLoadReport", false),
            fields.duration("oobReportingPeriod", Duration::from_secs(10)),
        );
        let penalty = fields.number("errorUtilizationPenalty", default.penalty);
        if penalty < 0.0 {
            fields.fault("errorUtilizationPenalty", "must be non-negative");
        }
        let parsed = WeightedRoundRobinConfig {
            reports: out_of_band.then_some(often),
            blackout: fields.duration("blackoutPeriod", default.blackout),
            period: fields.duration("weightUpdatePeriod", default.period).max(SHORTEST_PERIOD),
            expiration: fields.duration("weightExpirationPeriod", default.expiration),
            penalty,
            metrics: fields.strings("metricNamesForComputingUtilization").into(),
            slow_start: fields.object("slowStartConfig", SlowStart::read),
        };
        fields.finish("weighted_round_robin")?;
        Ok(Arc::new(parsed))
    }
}

/// `weighted_round_robin`.
#[derive(Default)]
pub struct WeightedRoundRobin {
    endpoints: Sharded,
    weights: BTreeMap<u32, Weight>,
    config: WeightedRoundRobinConfig,
    /// When weights are computed next.
    due: Option<Instant>,
    /// Whose turn it is, over all pickers.
    turn: Arc<AtomicU64>,
    begun: bool,
}

/// What is known of one endpoint.
#[derive(Default)]
struct Weight {
    reports: Option<Arc<Reports>>,
    latest: f32,
    reported_at: Option<Instant>,
    /// Since when it has reported without a break.
    since: Option<Instant>,
    /// What counts now; 0 when there is nothing to count.
    now: f32,
    /// Since when it is READY.
    ready_since: Option<Instant>,
    /// The share of what counts that it gets, which grows after it has connected.
    share: f32,
}

/// Hears of the calls at one endpoint.
struct Reports {
    metrics: Arc<[String]>,
    penalty: f64,
    /// What counts is reported out of band.
    out_of_band: AtomicBool,
    /// The weight that follows from the last report, as bits of an `f32`, and [`FRESH`] until it is looked at.
    weight: AtomicU64,
}

const FRESH: u64 = 1 << 32;

impl CallHook for Reports {
    fn ended(&self, end: &End<'_>) {
        if !self.out_of_band.load(Ordering::Relaxed)
            && let Some(report) = end.trailers.and_then(|trailers| trailers.first(REPORT))
        {
            self.note(report);
        }
    }
}

impl LoadListener for Reports {
    fn reported(&self, report: &[u8]) {
        self.note(report);
    }
}

impl Reports {
    fn note(&self, report: &[u8]) {
        let Some(load) = wire::load(report, &self.metrics) else { return };
        let weight = worth(load, self.penalty);
        if weight > 0.0 {
            self.weight.store(FRESH | u64::from(weight.to_bits()), Ordering::Relaxed);
        }
    }
}

/// Calls a second at full use; 0 for an endpoint that does not say enough.
fn worth(load: wire::Load, penalty: f64) -> f32 {
    let wire::Load { utilization, rate, failures } = load;
    if !(rate > 0.0 && utilization > 0.0) {
        return 0.0;
    }
    let share = if failures > 0.0 { failures / rate * penalty } else { 0.0 };
    #[allow(clippy::cast_possible_truncation)] // A weight needs no more digits.
    let weight = (rate / (utilization + share)) as f32;
    if weight.is_finite() { weight } else { 0.0 }
}

impl Weight {
    /// Looks at the last report; says whether what counts has changed.
    fn compute(&mut self, config: &WeightedRoundRobinConfig, now: Instant) -> bool {
        let fresh = self.reports.as_ref().map_or(0, |reports| reports.weight.fetch_and(!FRESH, Ordering::Relaxed));
        if fresh & FRESH != 0 {
            self.latest = f32::from_bits(u32::try_from(fresh & !FRESH).unwrap_or_default());
            self.reported_at = Some(now);
            self.since.get_or_insert(now);
        }
        let expired = self.reported_at.is_none_or(|at| now.saturating_duration_since(at) >= config.expiration);
        if expired {
            (self.since, self.reported_at) = (None, None);
        }
        let dark = self.since.is_none_or(|since| now.saturating_duration_since(since) < config.blackout);
        let counts = if expired || dark { 0.0 } else { self.latest };
        let share = match (config.slow_start, self.ready_since) {
            (Some(slow), Some(since)) => slow.share(since, now),
            _ => 1.0,
        };
        let before = (std::mem::replace(&mut self.now, counts), std::mem::replace(&mut self.share, share));
        before != (counts, share)
    }
}

impl WeightedRoundRobin {
    fn step<T>(&mut self, helper: &mut Helper, step: impl FnOnce(&mut Sharded, &mut Helper) -> T) -> T {
        let mark = helper.mark();
        let value = step(&mut self.endpoints, helper);
        let config = &self.config;
        attach(helper, mark, |key, new| {
            let reports = || Reports {
                metrics: config.metrics.clone(),
                penalty: config.penalty,
                out_of_band: config.reports.is_some().into(),
                weight: 0.into(),
            };
            let reports = self.weights.entry(key).or_default().reports.get_or_insert_with(|| Arc::new(reports()));
            new.hooks.push(Arc::clone(reports) as Arc<dyn CallHook>);
            new.loads = Some(LoadReports { listener: Arc::clone(reports) as _, period: config.reports });
        });
        if self.endpoints.state() == Connectivity::Ready {
            self.due = self.due.or(helper.now().checked_add(self.config.period));
        } else {
            self.due = None;
        }
        value
    }

    fn compute(&mut self, helper: &mut Helper) {
        let mut changed = false;
        for weight in self.weights.values_mut() {
            changed |= weight.compute(&self.config, helper.now());
        }
        if changed {
            helper.changed();
        }
    }
}

impl Policy for WeightedRoundRobin {
    fn handle_resolution(&mut self, resolution: &Resolution, helper: &mut Helper) -> Result<(), String> {
        if !std::mem::replace(&mut self.begun, true) {
            self.turn.store(helper.random() >> 32, Ordering::Relaxed);
        }
        let before = std::mem::replace(&mut self.config, resolution.config().cloned().unwrap_or_default());
        if before.reports != self.config.reports {
            for reports in self.weights.values().filter_map(|weight| weight.reports.as_ref()) {
                reports.out_of_band.store(self.config.reports.is_some(), Ordering::Relaxed);
            }
            helper.report_loads(self.config.reports);
        }
        let result = self.step(helper, |endpoints, helper| endpoints.handle_resolution(resolution, helper));
        self.weights.retain(|key, _| self.endpoints.has(*key));
        result
    }

    fn handle_subchannel(&mut self, route: Route<'_>, id: SubchannelId, update: &Update, helper: &mut Helper) {
        let ready = self.step(helper, |endpoints, helper| endpoints.handle_subchannel(route, id, update, helper));
        if let Some(weight) = ready.and_then(|key| self.weights.get_mut(&key)) {
            // It may be another program, which has to report for a while first.
            weight.since = None;
            weight.ready_since = Some(helper.now());
            weight.share = self.config.slow_start.map_or(1.0, |slow| slow.share(helper.now(), helper.now()));
        }
    }

    fn handle_timeout(&mut self, helper: &mut Helper) {
        if self.due.take_if(|due| *due <= helper.now()).is_some() {
            self.compute(helper);
        }
        self.step(helper, Sharded::handle_timeout);
    }

    fn wake(&mut self, route: Route<'_>, helper: &mut Helper) {
        self.step(helper, |endpoints, helper| endpoints.wake(route, helper));
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.endpoints.poll_timeout().into_iter().chain(self.due).min()
    }

    fn state(&self) -> Connectivity {
        self.endpoints.state()
    }

    fn picker(&self) -> Arc<dyn Picker> {
        match self.endpoints.ready() {
            Ok(ready) => {
                let weight =
                    |(key, _): &Keyed| self.weights.get(key).map_or((0.0, 1.0), |weight| (weight.now, weight.share));
                let weights: Vec<(f32, f32)> = ready.iter().map(weight).collect();
                let pickers = ready.into_iter().map(|(_, picker)| picker).collect();
                Arc::new(Weighted { pickers, stride: Stride::new(&weights), turn: Arc::clone(&self.turn) })
            }
            Err(picker) => picker,
        }
    }

    fn failure(&self) -> Option<Arc<str>> {
        self.endpoints.failure()
    }
}

struct Weighted {
    pickers: Box<[Arc<dyn Picker>]>,
    /// `None` while fewer than two weights are known: then it is plain round robin.
    stride: Option<Stride>,
    turn: Arc<AtomicU64>,
}

impl Picker for Weighted {
    fn pick(&self, args: &PickArgs<'_>) -> Pick {
        let turn = || self.turn.fetch_add(1, Ordering::Relaxed);
        let index = match &self.stride {
            Some(stride) => stride.next(turn),
            None => {
                usize::try_from(turn().checked_rem(self.pickers.len() as u64).unwrap_or_default()).unwrap_or_default()
            }
        };
        self.pickers.get(index).map_or(Pick::Queue, |picker| picker.pick(args))
    }
}
