use farcall_core::Metadata;

use crate::Compression;

/// A message from the server, or a stream of them, with metadata.
#[derive(Clone, Debug)]
pub struct Response<T> {
    message: T,
    metadata: Metadata,
    trailers: Metadata,
    compression: Option<Compression>,
}

impl<T> Response<T> {
    /// A response without metadata.
    pub fn new(message: T) -> Response<T> {
        Response { message, metadata: Metadata::new(), trailers: Metadata::new(), compression: None }
    }

    pub(crate) fn received(message: T, metadata: Metadata, trailers: Metadata) -> Response<T> {
        Response { message, metadata, trailers, compression: None }
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

    /// The same response with another message.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Response<U> {
        let Response { message, metadata, trailers, compression } = self;
        Response { message: change(message), metadata, trailers, compression }
    }

    /// Initial metadata, which goes before the first message. A client whose requests are a stream, too, finds it with
    /// [`Streaming::initial_metadata`](crate::Streaming::initial_metadata) instead.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Initial metadata, to be changed.
    pub fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }

    /// Trailing metadata, which goes after the last message. A client that gets a stream finds it with
    /// [`Streaming::trailers`](crate::Streaming::trailers) instead.
    pub fn trailers(&self) -> &Metadata {
        &self.trailers
    }

    /// Trailing metadata, to be changed.
    pub fn trailers_mut(&mut self) -> &mut Metadata {
        &mut self.trailers
    }

    /// Server: how this call's messages are compressed, those that get shorter by it, if the client reads that. Default:
    /// as the server says.
    pub fn set_compression(&mut self, compression: Compression) {
        self.compression = Some(compression);
    }

    pub(crate) fn split(self) -> (T, Metadata, Metadata, Option<Compression>) {
        (self.message, self.metadata, self.trailers, self.compression)
    }
}

impl<T> From<T> for Response<T> {
    fn from(message: T) -> Response<T> {
        Response::new(message)
    }
}
