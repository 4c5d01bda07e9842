//! Load reports of a server to those who balance it (ORCA, gRFC A51): with each call, and on a stream of their own.
//!
//! A channel with the policy `weighted_round_robin` sends calls where there is room by them.
//!
//! ```no_run
//! use farcall::{Request, Response, Server, Status, orca::{Load, OpenRca}};
//!
//! # async fn run(greeter: impl farcall::server::Service) -> std::io::Result<()> {
//! // What holds for the server, set from anywhere.
//! let load = Load::new();
//! load.update(|report| report.set_application_utilization(0.3));
//! Server::builder()
//!     .report_load(load.clone())
//!     .add_service(OpenRca::new(load))
//!     .add_service(greeter)
//!     .serve("[::1]:50051")
//!     .await
//! # }
//!
//! // What holds for one call, set by its handler.
//! async fn say_hello(request: Request<String>) -> Result<Response<String>, Status> {
//!     request.load().update(|report| report.set_request_cost("rows", 20.0));
//!     Ok(Response::new(format!("Hello, {}!", request.into_inner())))
//! }
//! ```

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
#[doc(inline)]
pub use farcall_serving::load::LoadReport;
use farcall_serving::load::interval;
use futures_core::Stream;
use tokio::time::Interval;

#[doc(inline)]
pub use crate::load::Load;
use crate::{
    Request, Response, Status, codec,
    server::{Call, Service},
};

/// How often a client gets a report at most, unless the server says otherwise.
const LEAST_INTERVAL: Duration = Duration::from_secs(30);

/// The service `xds.service.orca.v3.OpenRcaService`, by which channels ask for a server's load without a call of their
/// own: `weighted_round_robin` with `enableOobLoadReport`.
#[derive(Clone, Debug)]
pub struct OpenRca {
    load: Load,
    least: Duration,
}

impl OpenRca {
    /// Sends what is in `load`, to each client as often as it asks for and no more often than every 30 s.
    pub fn new(load: Load) -> OpenRca {
        OpenRca { load, least: LEAST_INTERVAL }
    }

    /// How much time is between two reports to a client at least. Default 30 s; no less than a millisecond.
    #[must_use]
    pub fn least_interval(mut self, least: Duration) -> OpenRca {
        self.least = least.max(Duration::from_millis(1));
        self
    }

    fn reports(&self, request: &[u8]) -> Result<Response<Reports>, Status> {
        let asked = interval(request, self.least);
        let period = asked.ok_or_else(|| Status::invalid_argument("that is no OrcaLoadReportRequest"))?;
        Ok(Response::new(Reports { load: self.load.clone(), interval: tokio::time::interval(period) }))
    }
}

impl Service for OpenRca {
    fn name(&self) -> &'static str {
        "xds.service.orca.v3.OpenRcaService"
    }

    fn call(&self, call: Call) {
        if call.method() != "StreamCoreMetrics" {
            return call.unimplemented();
        }
        let service = self.clone();
        call.server_streaming(codec::Bytes, async move |request: Request<Bytes>| service.reports(request.get_ref()));
    }
}

/// A report at once, and one at each interval.
struct Reports {
    load: Load,
    interval: Interval,
}

impl Stream for Reports {
    type Item = Result<Bytes, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.interval.poll_tick(context));
        Poll::Ready(Some(Ok(self.load.report().encode().into())))
    }
}
