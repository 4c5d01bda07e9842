//! The brain of one gRPC channel: where calls may go, and what to do until they may.
//!
//! [`Channel`] turns a [`Target`] into addresses (by asking the hands to resolve), addresses into a connection (by
//! asking the hands to connect, one address after the other: the `pick_first` policy), keeps the connectivity state
//! that gRPC prescribes (grpc/grpc `doc/connectivity-semantics-and-api.md`), and backs off between failures
//! (`doc/connection-backoff.md`). It tells each call to go ahead, to wait, or to fail ([`Pick`]).
//! [`ServiceConfig`] is what a service's owner asks of its callers, and [`Attempts`] says of one failed call whether, where
//! and when it is made again.
//!
//! It does not own connections or calls: `farcall-engine` is the brain of a connection, and the hands (`farcall-net`,
//! `farcall-python`) hold both and introduce them. Like every brain it is stepped: after any `handle_*` or verb, drain
//! [`poll_action`](Channel::poll_action), then look at [`poll_timeout`](Channel::poll_timeout).

mod address;
mod attempts;
mod backoff;
pub mod call;
mod channel;
mod connectivity;
pub mod limits;
pub mod proxy;
mod retry;
mod service_config;
mod target;

pub use address::Address;
pub use attempts::{Attempts, Ended, Next};
pub use backoff::Backoff;
pub use call::{Seen, Throttle};
pub use channel::{Action, Channel, Config, ConnectError, ConnectionId, Lost, Pick};
pub use connectivity::Connectivity;
pub use proxy::{InvalidProxy, Proxy, ProxyChoice};
pub use retry::{Attempt, PREVIOUS_ATTEMPTS, Retry, RetryConfig};
pub use service_config::{
    HedgingPolicy, InvalidServiceConfig, LoadBalancing, MethodConfig, RetryPolicy, ServiceConfig, ThrottlingConfig,
};
pub use target::{Endpoint, InvalidTarget, Target};
