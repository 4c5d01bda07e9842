//! Load reports of servers, as Python sets them.

use std::{sync::Mutex, time::Duration};

use farcall_serving::load::{LoadReport, interval};
use farcall_system::lock;
use pyo3::{exceptions::PyValueError, prelude::*};

/// A report that any thread may write.
#[pyclass(frozen)]
#[derive(Default)]
pub(crate) struct Load(Mutex<LoadReport>);

#[pymethods]
impl Load {
    #[new]
    fn new() -> Load {
        Load::default()
    }

    fn set_cpu_utilization(&self, share: f64) {
        lock(&self.0).set_cpu_utilization(share);
    }

    fn set_memory_utilization(&self, part: f64) {
        lock(&self.0).set_memory_utilization(part);
    }

    fn set_application_utilization(&self, share: f64) {
        lock(&self.0).set_application_utilization(share);
    }

    fn set_qps(&self, calls: f64) {
        lock(&self.0).set_qps(calls);
    }

    fn set_eps(&self, failures: f64) {
        lock(&self.0).set_eps(failures);
    }

    fn set_request_cost(&self, resource: String, cost: f64) {
        lock(&self.0).set_request_cost(resource, cost);
    }

    fn set_utilization(&self, resource: String, part: f64) {
        lock(&self.0).set_utilization(resource, part);
    }

    fn set_named_metric(&self, name: String, value: f64) {
        lock(&self.0).set_named_metric(name, value);
    }

    fn clear(&self) {
        lock(&self.0).clear();
    }

    /// The report as it goes over the wire, `other`'s where this one says nothing.
    #[pyo3(signature = (other = None))]
    fn encode(&self, other: Option<&Load>) -> Vec<u8> {
        let report = lock(&self.0).clone();
        match other {
            Some(other) => report.or(&lock(&other.0).clone()).encode(),
            None => report.encode(),
        }
    }
}

/// How many seconds are between two reports to a client that asks so.
///
/// # Errors
/// ValueError: that is no request for reports.
#[pyfunction]
pub(crate) fn load_interval(request: &[u8], least: f64) -> PyResult<f64> {
    let least = Duration::try_from_secs_f64(least).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let interval = interval(request, least).ok_or_else(|| PyValueError::new_err("that is no OrcaLoadReportRequest"))?;
    Ok(interval.as_secs_f64())
}
