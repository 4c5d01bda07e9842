//! Resolvers of your own: what targets of a scheme stand for.
//!
//! A resolver is given to [`Endpoint::resolver`](crate::Endpoint::resolver) with its scheme. One that is asked and answers:
//!
//! ```
//! use farcall::resolver::{Endpoint, Found, Query, Resolver};
//!
//! /// Knows where things are from a table, which may change.
//! #[derive(Debug)]
//! struct Table;
//!
//! impl Resolver for Table {
//!     async fn resolve(&self, query: Query) -> Result<Found, String> {
//!         match query.target() {
//!             "table:///greeter" => {
//!                 let config = query.service_config(r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#);
//!                 let addresses = ["10.0.0.1:50051", "10.0.0.2:50051"].map(|text| text.parse().map(Endpoint::at));
//!                 let endpoints: Result<Vec<Endpoint>, std::net::AddrParseError> = addresses.into_iter().collect();
//!                 Ok(Found::new(endpoints.map_err(|error| error.to_string())?).with_service_config(config))
//!             }
//!             other => Err(format!("{other} is not in the table")),
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), farcall::InvalidTarget> {
//! let channel = farcall::Channel::builder("table:///greeter").resolver("table", Table).connect_lazy()?;
//! # drop(channel);
//! # Ok(())
//! # }
//! ```
//!
//! It is asked again as a name of the DNS is: when a connection is lost or cannot be made, at most every 30 s, and after a
//! back-off when it has failed. A resolver that watches something tells what is new by [`Query::update`], and its future ends only
//! when it can tell no more; it is dropped when the channel is IDLE or gone. A panic is a failure.

use std::{fmt, future::Future, sync::Arc};

use farcall_channel::balancer::Registry;
pub use farcall_channel::{
    Address, ServiceConfig,
    resolver::{Endpoint, Found},
};
use farcall_net::{Looked, Resolve, Updates};

/// Finds out what targets stand for.
pub trait Resolver: fmt::Debug + Send + Sync + 'static {
    /// The endpoints of a target, and a service config if it has one. Without any endpoint, and after an error, calls fail with
    /// `UNAVAILABLE` and say so; but what was found before counts on when a later look-up fails.
    fn resolve(&self, query: Query) -> impl Future<Output = Result<Found, String>> + Send;
}

/// What a resolver is asked.
pub struct Query {
    target: Arc<str>,
    updates: Updates,
    registry: Arc<Registry>,
}

impl Query {
    /// The whole target: `consul:///greeter`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Tells what the target stands for from now on, while the look-up goes on.
    pub fn update(&self, found: Found) {
        (self.updates)(found);
    }

    /// Reads a service config, for [`Found::with_service_config`]. A bad one leaves the one before it in force (gRFC A21).
    ///
    /// # Errors
    /// All that is wrong with it, and where.
    pub fn service_config(&self, json: &str) -> Result<Arc<ServiceConfig>, String> {
        ServiceConfig::parse_with(json, &self.registry).map(Arc::new).map_err(|error| error.to_string())
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("target", &self.target).finish_non_exhaustive()
    }
}

/// A resolver as the hands ask it.
#[derive(Debug)]
pub(crate) struct Hosted<R> {
    pub(crate) resolver: Arc<R>,
    pub(crate) registry: Arc<Registry>,
}

impl<R: Resolver> Resolve for Hosted<R> {
    fn resolve(&self, target: Arc<str>, updates: Updates) -> Looked {
        let (resolver, registry) = (Arc::clone(&self.resolver), Arc::clone(&self.registry));
        Box::pin(async move { resolver.resolve(Query { target, updates, registry }).await })
    }
}
