//! What a server says of its load to those who balance it: `xds.data.orca.v3.OrcaLoadReport` (gRFC A51).

use std::{collections::BTreeMap, time::Duration};

use farcall_core::wire::{Reader, Value, put_bytes, put_double};

/// The trailing metadata that carries the report of one call.
pub const REPORT_KEY: &str = "endpoint-load-metrics-bin";

/// A report of load: what was measured, and nothing of what was not.
///
/// A value that cannot be is left out, as in every gRPC: a report must not fail the call that it goes with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    cpu: Option<f64>,
    memory: Option<f64>,
    application: Option<f64>,
    rate: Option<f64>,
    failures: Option<f64>,
    request_cost: BTreeMap<String, f64>,
    utilization: BTreeMap<String, f64>,
    named: BTreeMap<String, f64>,
}

/// From nothing to all of it.
fn share(value: f64) -> Option<f64> {
    (0.0..=1.0).contains(&value).then_some(value)
}

/// From nothing on.
fn quantity(value: f64) -> Option<f64> {
    (value >= 0.0 && value.is_finite()).then_some(value)
}

impl LoadReport {
    /// A report that says nothing.
    pub const fn new() -> LoadReport {
        LoadReport {
            cpu: None,
            memory: None,
            application: None,
            rate: None,
            failures: None,
            request_cost: BTreeMap::new(),
            utilization: BTreeMap::new(),
            named: BTreeMap::new(),
        }
    }

    /// The processors' use, as a share of what the server may have: 0 and more, over 1 when it borrows.
    pub fn set_cpu_utilization(&mut self, share: f64) {
        self.cpu = quantity(share).or(self.cpu);
    }

    /// The memory's use, as a share of what the server may have: 0 to 1.
    pub fn set_memory_utilization(&mut self, part: f64) {
        self.memory = share(part).or(self.memory);
    }

    /// How busy the application is by its own measure: 0 and more, 1 where it should get no more calls. Weights are made of
    /// this before the processors' use.
    pub fn set_application_utilization(&mut self, share: f64) {
        self.application = quantity(share).or(self.application);
    }

    /// Calls a second: 0 and more.
    pub fn set_qps(&mut self, calls: f64) {
        self.rate = quantity(calls).or(self.rate);
    }

    /// Failures a second: 0 and more.
    pub fn set_eps(&mut self, failures: f64) {
        self.failures = quantity(failures).or(self.failures);
    }

    /// What this call has cost, by the name of the resource.
    pub fn set_request_cost(&mut self, resource: impl Into<String>, cost: f64) {
        set(&mut self.request_cost, resource.into(), Some(cost).filter(|cost| cost.is_finite()));
    }

    /// The use of a resource, as a share of what there is of it: 0 to 1.
    pub fn set_utilization(&mut self, resource: impl Into<String>, part: f64) {
        set(&mut self.utilization, resource.into(), share(part));
    }

    /// Any measure that whoever balances knows by name.
    pub fn set_named_metric(&mut self, name: impl Into<String>, value: f64) {
        set(&mut self.named, name.into(), Some(value).filter(|value| value.is_finite()));
    }

    /// Takes back everything.
    pub fn clear(&mut self) {
        *self = LoadReport::new();
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == LoadReport::new()
    }

    /// This report, and where it says nothing what `other` says: a call's over its server's.
    #[must_use]
    pub fn or(mut self, other: &LoadReport) -> LoadReport {
        self.cpu = self.cpu.or(other.cpu);
        self.memory = self.memory.or(other.memory);
        self.application = self.application.or(other.application);
        self.rate = self.rate.or(other.rate);
        self.failures = self.failures.or(other.failures);
        let maps = [
            (&mut self.request_cost, &other.request_cost),
            (&mut self.utilization, &other.utilization),
            (&mut self.named, &other.named),
        ];
        for (ours, theirs) in maps {
            for (name, value) in theirs {
                ours.entry(name.clone()).or_insert(*value);
            }
        }
        self
    }

    /// The report as it goes over the wire.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let numbers = [(1, self.cpu), (2, self.memory), (6, self.rate), (7, self.failures), (9, self.application)];
        for (field, number) in numbers {
            if let Some(number) = number {
                put_double(&mut out, field, number);
            }
        }
        for (field, map) in [(4, &self.request_cost), (5, &self.utilization), (8, &self.named)] {
            for (name, number) in map {
                let mut entry = Vec::new();
                put_bytes(&mut entry, 1, name.as_bytes());
                put_double(&mut entry, 2, *number);
                put_bytes(&mut out, field, &entry);
            }
        }
        out
    }
}

fn set(map: &mut BTreeMap<String, f64>, name: String, value: Option<f64>) {
    if let Some(value) = value {
        map.insert(name, value);
    }
}

/// How often the client of a stream of reports gets one: as its `OrcaLoadReportRequest` asks for, and no more often than
/// `least`. `None` for what is no such message.
pub fn interval(request: &[u8], least: Duration) -> Option<Duration> {
    let mut interval = Duration::ZERO;
    let mut reader = Reader::new(request);
    while let Some((field, value)) = reader.field()? {
        match (field, value) {
            (1, Value::Bytes(message)) => interval = duration(message)?,
            (1, _) => return None,
            _ => {}
        }
    }
    Some(interval.max(least))
}

/// A `google.protobuf.Duration`; none that is below nothing.
fn duration(message: &[u8]) -> Option<Duration> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut reader = Reader::new(message);
    while let Some(field) = reader.field()? {
        match field {
            (1, Value::Varint(number)) => seconds = number,
            (2, Value::Varint(number)) => nanos = number,
            _ => {}
        }
    }
    if i64::try_from(seconds).is_err() || nanos >= 1_000_000_000 {
        return Some(Duration::ZERO);
    }
    Some(Duration::from_secs(seconds) + Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests;
