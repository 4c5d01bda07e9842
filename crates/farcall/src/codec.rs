//! How messages become bytes and back.
//!
//! A codec is named where a call is made or served, as a rule by generated code: [`Buffa`] for the messages that
//! `farcall-build` generates, `Prost` (feature `prost`) for those of `prost`, [`Bytes`] for messages that are bytes
//! already.

use std::cell::RefCell;

use bytes::BytesMut;
use farcall_net::Outbox;

use crate::{Compression, Status};

/// Messages of a stream that are bytes already and at least so long are not copied to lie with others.
const SHARED: usize = 8 << 10;

/// Bytes that the buffer for encoding keeps between messages.
const SCRATCH: usize = 8 << 10;

/// The name of the codecs of protobuf's messages.
const PROTO: &str = "proto";

/// Encodes and decodes messages of type `T`.
///
/// One codec serves both directions: a method's codec is a `Codec` of its request and of its response.
pub trait Codec<T>: Send + Sync + 'static {
    /// The codec's name, which is the content-subtype of its messages: `application/grpc+json` of a codec `json`. A server
    /// takes requests that name no codec, and those of this name, without regard to case; others it refuses with HTTP's
    /// 415 (Unsupported Media Type) and `UNIMPLEMENTED`. A client names it, but for `proto`, which all servers take to be
    /// meant. A name has at most 122 characters: letters, digits and `!#$&-^_.+`.
    ///
    /// `None` is for a codec that leaves it to the application what messages are: a server then takes requests of any,
    /// and a client names none. Default `proto`.
    fn name(&self) -> Option<&'static str> {
        Some(PROTO)
    }

    /// Appends the encoded message to `buffer`.
    ///
    /// # Errors
    /// The status that the call ends with, as a rule `INTERNAL`.
    fn encode(&self, message: &T, buffer: &mut BytesMut) -> Result<(), Status>;

    /// Reads a message.
    ///
    /// # Errors
    /// The status that the call ends with, as a rule `INTERNAL`.
    fn decode(&self, message: bytes::Bytes) -> Result<T, Status>;

    /// The encoded message, where it lies encoded in memory already: then a large one is sent without a copy. `None`,
    /// the default, has it [encoded](Codec::encode).
    fn as_bytes<'a>(&self, message: &'a T) -> Option<&'a bytes::Bytes> {
        let _ = message;
        None
    }

    /// Whether the message may be compressed, where its call's messages are. Default true. A secret is better not
    /// compressed together with what others have written: the length tells of it.
    fn may_compress(&self, message: &T) -> bool {
        let _ = message;
        true
    }
}

/// Messages that are bytes: what proxies, tests and foreign serializers need.
#[derive(Clone, Copy, Default, Debug)]
pub struct Bytes;

impl Codec<bytes::Bytes> for Bytes {
    fn name(&self) -> Option<&'static str> {
        None
    }

    fn encode(&self, message: &bytes::Bytes, buffer: &mut BytesMut) -> Result<(), Status> {
        buffer.extend_from_slice(message);
        Ok(())
    }

    fn decode(&self, message: bytes::Bytes) -> Result<bytes::Bytes, Status> {
        Ok(message)
    }

    fn as_bytes<'a>(&self, message: &'a bytes::Bytes) -> Option<&'a bytes::Bytes> {
        Some(message)
    }
}

/// Protobuf messages of the `buffa` crate, which `farcall-build` generates.
#[cfg(feature = "buffa")]
#[derive(Clone, Copy, Default, Debug)]
pub struct Buffa;

#[cfg(feature = "buffa")]
impl<M: buffa::Message + 'static> Codec<M> for Buffa {
    fn encode(&self, message: &M, buffer: &mut BytesMut) -> Result<(), Status> {
        let mut sizes = buffa::SizeCache::new();
        let size = message.compute_size(&mut sizes);
        if size > buffa::MAX_MESSAGE_BYTES {
            return Err(Status::internal("failed to encode a message: it is larger than 2 GiB"));
        }
        // `try_encode` would let the buffer grow step by step.
        buffer.reserve(size as usize);
        message.write_to(&mut sizes, buffer);
        Ok(())
    }

    fn decode(&self, message: bytes::Bytes) -> Result<M, Status> {
        M::decode_from_slice(&message).map_err(|error| Status::internal(format!("failed to decode a message: {error}")))
    }
}

/// Protobuf messages of the `prost` crate.
#[cfg(feature = "prost")]
#[derive(Clone, Copy, Default, Debug)]
pub struct Prost;

#[cfg(feature = "prost")]
impl<M: prost::Message + Default + 'static> Codec<M> for Prost {
    fn encode(&self, message: &M, buffer: &mut BytesMut) -> Result<(), Status> {
        buffer.reserve(message.encoded_len());
        message.encode(buffer).map_err(|error| Status::internal(format!("failed to encode a message: {error}")))
    }

    fn decode(&self, message: bytes::Bytes) -> Result<M, Status> {
        M::decode(message).map_err(|error| Status::internal(format!("failed to decode a message: {error}")))
    }
}

/// What a client says of its messages: nothing of those that every server expects.
pub(crate) fn subtype<T>(codec: &impl Codec<T>) -> &'static str {
    codec.name().filter(|name| *name != PROTO).unwrap_or_default()
}

/// How a call's only message is compressed.
pub(crate) fn compression<T>(codec: &impl Codec<T>, message: &T, of_call: Compression) -> Compression {
    if codec.may_compress(message) { of_call } else { Compression::Identity }
}

/// Puts a message among those that go to the other side. Says `false` when the call is over.
pub(crate) fn put<T>(codec: &impl Codec<T>, message: &T, outbox: &mut Outbox) -> Result<bool, Status> {
    let compress = codec.may_compress(message);
    match codec.as_bytes(message) {
        Some(encoded) if encoded.len() >= SHARED => Ok(outbox.put_shared(compress, encoded.clone())),
        Some(encoded) => outbox.put(compress, |buffer| {
            buffer.extend_from_slice(encoded);
            Ok(())
        }),
        None => outbox.put(compress, |buffer| codec.encode(message, buffer)),
    }
}

/// Encodes one message, into a buffer that the thread's messages share: small ones cost no allocation of their own.
pub(crate) fn encode<T>(codec: &impl Codec<T>, message: &T) -> Result<bytes::Bytes, Status> {
    thread_local! {
        static BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
    }
    if let Some(encoded) = codec.as_bytes(message) {
        return Ok(encoded.clone());
    }
    let encode_into = |buffer: &mut BytesMut| {
        codec.encode(message, buffer)?;
        Ok(buffer.split().freeze())
    };
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.capacity() == 0 {
                buffer.reserve(SCRATCH);
            }
            let encoded: Result<bytes::Bytes, Status> = encode_into(&mut buffer);
            // Half a message must not go with the next one, and a large one must not be kept alive from here.
            if !encoded.as_ref().is_ok_and(|encoded| encoded.len() <= SCRATCH) {
                *buffer = BytesMut::new();
            }
            encoded
        }
        // A codec that makes calls of its own while it encodes.
        Err(_) => encode_into(&mut BytesMut::new()),
    })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::{Codec, encode};
    use crate::Status;

    /// Writes half a message, then fails for an empty one.
    struct Fails;

    impl Codec<&'static str> for Fails {
        fn encode(&self, message: &&'static str, buffer: &mut BytesMut) -> Result<(), Status> {
            buffer.extend_from_slice(b"half");
            if message.is_empty() {
                return Err(Status::internal("empty"));
            }
            buffer.extend_from_slice(message.as_bytes());
            Ok(())
        }

        fn decode(&self, _message: bytes::Bytes) -> Result<&'static str, Status> {
            Ok("")
        }
    }

    #[test]
    fn what_a_failed_encoding_left_is_not_sent_with_the_next_message() {
        assert!(encode(&Fails, &"").is_err());
        assert_eq!(encode(&Fails, &"x").unwrap(), "halfx");
        assert_eq!(encode(&Fails, &"y").unwrap(), "halfy");
    }
}
