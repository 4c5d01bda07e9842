//! Header compression: HPACK (RFC 7541), whole.
//!
//! [`Encoder`] and [`Decoder`] each keep one direction's dynamic table and copy no field into an allocation of its own.
//! They know nothing of HTTP: which fields may stand where, and what a list that is too large means, is for the caller.

mod decoder;
mod encoder;
pub(crate) mod huffman;
mod name;
mod static_table;
mod table;
#[cfg(test)]
mod tests;

use std::fmt;

pub(crate) use decoder::{DecodedList, Decoder, Partial};
pub(crate) use encoder::{Encoder, Indexing};
pub(crate) use name::Name;

/// The size that both sides assume for a dynamic table until SETTINGS say otherwise (RFC 9113 6.5.2), in bytes.
pub(crate) const DEFAULT_TABLE_SIZE: u32 = 4096;

/// What a field costs beside its bytes, in the dynamic table (RFC 7541 4.1) and in a header list (RFC 9113 6.5.2).
pub(crate) const FIELD_OVERHEAD: usize = 32;

/// A block that breaks RFC 7541. The compression context is lost with it, so the connection must end with
/// COMPRESSION_ERROR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Error {
    /// The block ends within a field.
    Truncated,
    /// An integer is longer, or larger, than 32 bits need.
    Integer,
    /// An index points at no entry.
    Index,
    /// A Huffman string has EOS in it, or bad padding.
    Huffman,
    /// A dynamic table size update is larger than SETTINGS allow, is not at the start of the block, or is missing after
    /// SETTINGS made the table smaller.
    SizeUpdate,
}

impl Error {
    /// The error in words, for GOAWAY and logs.
    pub(crate) const fn description(self) -> &'static str {
        match self {
            Error::Truncated => "HPACK: the header block ends within a field",
            Error::Integer => "HPACK: integer overflow",
            Error::Index => "HPACK: an index points at no entry",
            Error::Huffman => "HPACK: invalid Huffman code",
            Error::SizeUpdate => "HPACK: invalid dynamic table size update",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl std::error::Error for Error {}

/// Mixes bytes into a hash, eight at a time. It needs no key: both indexes verify what they find, bound how far they
/// look, and forget rather than chain, so colliding names cost a peer nothing but its own compression.
const fn hash(seed: u64, bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (seed ^ bytes.len() as u64).wrapping_mul(FACTOR);
    // The last word overlaps the one before, which is quicker than to go on byte by byte.
    let last = match (bytes.last_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(last), _, _) => u64::from_le_bytes(*last),
        (None, Some(first), Some(last)) => (u32::from_le_bytes(*first) as u64) << 32 | u32::from_le_bytes(*last) as u64,
        _ => match bytes {
            [a, b, c] => (*a as u64) << 16 | (*b as u64) << 8 | *c as u64,
            [a, b] => (*a as u64) << 8 | *b as u64,
            [a] => *a as u64,
            _ => 0,
        },
    };
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        hash = (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
        rest = after;
    }
    hash = (hash.rotate_left(23) ^ last).wrapping_mul(FACTOR);
    hash ^ hash >> 32
}
