use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use farcall_channel::Address;
use farcall_core::Metadata;
use futures_core::Stream;

use crate::{Compression, load::Load};

/// A message to the server, or a stream of them, with metadata and what else goes with the call.
#[derive(Clone, Debug)]
pub struct Request<T> {
    message: T,
    metadata: Metadata,
    pub(crate) options: CallOptions,
    origin: Option<Origin>,
}

/// What a client chooses for one call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallOptions {
    pub(crate) timeout: Option<Duration>,
    pub(crate) wait_for_ready: Option<bool>,
    pub(crate) compression: Option<Compression>,
}

/// What a server knows of a call.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) deadline: Option<Instant>,
    pub(crate) peer: Arc<Address>,
    pub(crate) load: Option<Load>,
    #[cfg(feature = "tls")]
    pub(crate) handshake: Option<Arc<farcall_security::Handshake>>,
}

impl<T> Request<T> {
    /// A request without metadata or deadline.
    pub fn new(message: T) -> Request<T> {
        Request { message, metadata: Metadata::new(), options: CallOptions::default(), origin: None }
    }

    pub(crate) fn received(message: T, metadata: Metadata, origin: Origin) -> Request<T> {
        Request { message, metadata, options: CallOptions::default(), origin: Some(origin) }
    }

    /// The message.
    pub fn get_ref(&self) -> &T {
        &self.message
    }

    /// The message, to be changed.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.message
    }

    /// The message alone.
    pub fn into_inner(self) -> T {
        self.message
    }

    /// The same request with another message.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Request<U> {
        let Request { message, metadata, options, origin } = self;
        Request { message: change(message), metadata, options, origin }
    }

    /// The metadata that goes, or came, with the request.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The metadata, to be changed.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Client: how long the call may take, counted from when it is made, the wait for a connection included. Past it
    /// the call fails with `DEADLINE_EXCEEDED`, and the server is told to stop.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.options.timeout = Some(timeout);
    }

    /// Client: whether the call waits while the server cannot be reached, instead of failing with `UNAVAILABLE`.
    /// Default: as the service config says, and false without.
    pub fn set_wait_for_ready(&mut self, wait: bool) {
        self.options.wait_for_ready = Some(wait);
    }

    /// Client: how this call's messages are compressed, those that get shorter by it. Default: as the channel says.
    pub fn set_compression(&mut self, compression: Compression) {
        self.options.compression = Some(compression);
    }

    /// Server: when the client stops waiting; `None` when it set no deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.origin.as_ref()?.deadline
    }

    /// Server: the client's IP address; `None` for other kinds of socket.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        match &*self.origin.as_ref()?.peer {
            Address::Ip(address) => Some(*address),
            _ => None,
        }
    }

    /// Server: the client's address as every gRPC writes it: `ipv4:127.0.0.1:5`, `ipv6:%5B::1%5D:5`, `unix:`.
    pub fn peer(&self) -> Option<String> {
        Some(self.origin.as_ref()?.peer.to_string())
    }

    /// Server: what the TLS handshake of the client's connection found out, its certificate among that; `None` for plain
    /// text (feature `tls`).
    #[cfg(feature = "tls")]
    pub fn tls(&self) -> Option<&crate::tls::Handshake> {
        self.origin.as_ref()?.handshake.as_deref()
    }

    /// Server: what this call says of load when it ends, over what the server says. Without
    /// [`Server::report_load`](crate::Server::report_load) nobody reads it.
    pub fn load(&self) -> Load {
        self.origin.as_ref().and_then(|origin| origin.load.clone()).unwrap_or_default()
    }

    pub(crate) fn split(self) -> (T, Metadata, CallOptions) {
        (self.message, self.metadata, self.options)
    }
}

/// What a generated client takes: a message, or a [`Request`] with one.
pub trait IntoRequest<T> {
    /// The request.
    fn into_request(self) -> Request<T>;
}

impl<T> IntoRequest<T> for T {
    fn into_request(self) -> Request<T> {
        Request::new(self)
    }
}

impl<T> IntoRequest<T> for Request<T> {
    fn into_request(self) -> Request<T> {
        self
    }
}

/// What a generated client takes for a stream of messages: the stream, or a [`Request`] with one.
pub trait IntoStreamingRequest {
    /// The stream.
    type Stream: Stream<Item = Self::Message> + Send + 'static;
    /// Its messages.
    type Message;

    /// The request.
    fn into_streaming_request(self) -> Request<Self::Stream>;
}

impl<S: Stream + Send + 'static> IntoStreamingRequest for S {
    type Stream = S;
    type Message = S::Item;

    fn into_streaming_request(self) -> Request<S> {
        Request::new(self)
    }
}

impl<S: Stream + Send + 'static> IntoStreamingRequest for Request<S> {
    type Stream = S;
    type Message = S::Item;

    fn into_streaming_request(self) -> Request<S> {
        self
    }
}
