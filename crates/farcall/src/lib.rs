//! gRPC for Rust: client, server, and code generation without protoc.
//!
//! The words are the ones gRPC in Rust already has: [`Request`], [`Response`], [`Status`], [`Code`], [`Streaming`],
//! [`Metadata`], [`Channel`], [`Endpoint`], [`Server`].
//!
//! A `.proto` is compiled in `build.rs` by `farcall-build`, and comes in with [`include_proto!`]. What it generates is
//! a thin layer over [`Channel`] and [`server::Call`], which work without it as well:
//!
//! ```
//! use farcall::{Channel, Request, Response, Server, Status, codec, server};
//!
//! struct Echo;
//!
//! impl server::Service for Echo {
//!     fn name(&self) -> &'static str {
//!         "demo.Echo"
//!     }
//!
//!     fn call(&self, call: server::Call) {
//!         match call.method() {
//!             "Echo" => call.unary(codec::Bytes, |request: Request<bytes::Bytes>| async {
//!                 Ok::<_, Status>(Response::new(request.into_inner()))
//!             }),
//!             _ => call.unimplemented(),
//!         }
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().add_service(Echo).bind("127.0.0.1:0").await?;
//! let target = format!("http://{}", server.local_addr().ok_or("no port")?);
//! tokio::spawn(server.serve());
//!
//! let channel = Channel::builder(target).connect().await?;
//! let request = Request::new(bytes::Bytes::from_static(b"hello"));
//! let response: Response<bytes::Bytes> = channel.unary("/demo.Echo/Echo", codec::Bytes, request).await?;
//! assert_eq!(response.get_ref(), "hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Deadlines and cancellation
//!
//! [`Request::set_timeout`] gives a call a deadline; both sides enforce it, and a handler reads it with
//! [`Request::deadline`]. Dropping a call cancels it: the future of a response, or a [`Streaming`], tells the server
//! when it is dropped early, and a server drops a handler's future when its call is cancelled, past its deadline, or
//! lost.
//!
//! # What lives elsewhere
//!
//! Sockets, timers and tasks are in `farcall-net`; HTTP/2 in `farcall-engine`; name resolution, connection and
//! back-off in `farcall-channel`. This crate has types, codecs and names only.

mod channel;
mod client;
pub mod codec;
mod load;
pub mod orca;
mod request;
pub mod resolver;
mod response;
pub mod server;
mod status;
mod streaming;
#[cfg(feature = "tls")]
pub mod tls;

pub use channel::{Channel, ConnectError, Endpoint, UnknownPolicy};
pub use farcall_channel::{Connectivity, InvalidServiceConfig, InvalidTarget, balancer};
pub use farcall_core::{Code, Metadata, MetadataError};
#[doc(inline)]
pub use farcall_engine::{Encoding as Compression, Limits};
pub use request::{IntoRequest, IntoStreamingRequest, Request};
pub use response::Response;
pub use server::Server;
pub use status::Status;
pub use streaming::Streaming;

/// What generated code names, so that a user's crate needs no dependency for it.
#[doc(hidden)]
pub mod codegen {
    pub use std::{future::Future, sync::Arc};

    pub use futures_core::Stream;

    /// The responses of a method in a server trait whose methods have bodies.
    pub type BoxStream<T> = std::pin::Pin<Box<dyn Stream<Item = Result<T, crate::Status>> + Send + 'static>>;
}

/// Includes the code that `farcall-build` generated for a proto package.
///
/// ```ignore
/// pub mod helloworld {
///     farcall::include_proto!("helloworld");
/// }
/// ```
#[macro_export]
macro_rules! include_proto {
    ($package:tt) => {
        include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
    };
}

/// The bytes of the file that `farcall-build` wrote for `file_descriptor_set_path(name)`.
///
/// ```ignore
/// const DESCRIPTORS: &[u8] = farcall::include_file_descriptor_set!("helloworld.binpb");
/// ```
#[macro_export]
macro_rules! include_file_descriptor_set {
    ($name:tt) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name))
    };
}
