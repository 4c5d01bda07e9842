//! How channels and servers behave for whoever uses the crate: one file per subject, over real sockets.

mod common;

mod balancing;
#[cfg(feature = "buffa")]
mod buffa;
mod bystanders;
mod cancellation;
mod deadlines;
mod errors;
mod health;
mod holding_back;
mod memory_budget;
mod metadata;
mod names;
mod options;
mod orca;
#[cfg(feature = "prost")]
mod prost;
mod reconnect;
mod resolvers;
mod retries;
mod shutdown;
mod streaming;
mod subtypes;
#[cfg(all(feature = "buffa", feature = "tls"))]
mod tls;
mod transparent_retry;
mod unary;
mod weighing;
