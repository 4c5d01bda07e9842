//! How messages become bytes and back.
//!
//! A codec is named where a call is made or served, as a rule by generated code: [`Buffa`] for the messages that
//! `farcall-build` generates, `Prost` (feature `prost`) for those of `prost`, [`Bytes`] for messages that are bytes
//! already.

use std::cell::RefCell;

use bytes::BytesMut;

use crate::Status;

/// Bytes that the buffer for encoding keeps between messages.
const SCRATCH: usize = 8 << 10;

/// Encodes and decodes messages of type `T`.
///
/// One codec serves both directions: a method's codec is a `Codec` of its request and of its response.
pub trait Codec<T>: Send + Sync + 'static {
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

    /// The encoded message by itself. A codec whose messages lie encoded in memory hands them over without a copy;
    /// every other is right with [`encode`](Codec::encode) into the `scratch` buffer, as this does.
    ///
    /// # Errors
    /// Those of [`encode`](Codec::encode).
    fn to_bytes(&self, message: &T, scratch: &mut BytesMut) -> Result<bytes::Bytes, Status> {
        self.encode(message, scratch)?;
        Ok(scratch.split().freeze())
    }
}

/// Messages that are bytes: what proxies, tests and foreign serializers need.
#[derive(Clone, Copy, Default, Debug)]
pub struct Bytes;

impl Codec<bytes::Bytes> for Bytes {
    fn encode(&self, message: &bytes::Bytes, buffer: &mut BytesMut) -> Result<(), Status> {
        buffer.extend_from_slice(message);
        Ok(())
    }

    fn decode(&self, message: bytes::Bytes) -> Result<bytes::Bytes, Status> {
        Ok(message)
    }

    fn to_bytes(&self, message: &bytes::Bytes, _scratch: &mut BytesMut) -> Result<bytes::Bytes, Status> {
        Ok(message.clone())
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

/// Encodes into a buffer that the thread's messages share: small ones cost no allocation of their own.
pub(crate) fn encode<T>(codec: &impl Codec<T>, message: &T) -> Result<bytes::Bytes, Status> {
    thread_local! {
        static BUFFER: RefCell<BytesMut> = RefCell::new(BytesMut::new());
    }
    BUFFER.with(|buffer| match buffer.try_borrow_mut() {
        Ok(mut buffer) => {
            if buffer.capacity() == 0 {
                buffer.reserve(SCRATCH);
            }
            let encoded = codec.to_bytes(message, &mut buffer);
            // Half a message must not go with the next one, and a large one must not be kept alive from here.
            if !encoded.as_ref().is_ok_and(|encoded| encoded.len() <= SCRATCH) {
                *buffer = BytesMut::new();
            }
            encoded
        }
        // A codec that makes calls of its own while it encodes.
        Err(_) => codec.to_bytes(message, &mut BytesMut::new()),
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
