//! Serving calls: [`Server`] listens, a [`Service`] answers.
//!
//! Generated code implements [`Service`] for a user's trait; it does so with the methods of [`Call`], one for each
//! kind of call.

mod builder;
mod call;

pub use builder::{Bound, Server};
pub use call::Call;

/// Answers the calls of one gRPC service.
pub trait Service: Send + Sync + 'static {
    /// The full name of the service, `package.Service`.
    fn name(&self) -> &'static str;

    /// Answers a call, as a rule by the method of [`Call`] that fits [`Call::method`]. It runs on the connection's
    /// task and must not wait or compute: the handlers given to [`Call`] run on tasks of their own.
    fn call(&self, call: Call);
}
