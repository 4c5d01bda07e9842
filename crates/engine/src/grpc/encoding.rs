//! Compressed messages (gRPC's compression.md): each by itself, within a bound that is known before.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::{gzip, message::MessageFault};

/// How messages are compressed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Encoding {
    /// Not at all.
    #[default]
    Identity,
    /// zlib (RFC 1950), which gRPC calls `deflate`.
    Deflate,
    /// gzip (RFC 1952).
    Gzip,
}

impl Encoding {
    /// As it stands in `grpc-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Identity => "identity",
            Encoding::Deflate => "deflate",
            Encoding::Gzip => "gzip",
        }
    }

    pub(crate) fn from_name(name: &[u8]) -> Option<Encoding> {
        [Encoding::Identity, Encoding::Deflate, Encoding::Gzip]
            .into_iter()
            .find(|encoding| encoding.name().as_bytes() == name)
    }
}

/// The encodings a side reads, which it lists in `grpc-accept-encoding`. [`Encoding::Identity`] is always among them, and alone by
/// default, as with a peer that lists nothing.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Encodings {
    deflate: bool,
    gzip: bool,
}

impl Encodings {
    /// Every one there is.
    pub const ALL: Encodings = Encodings { deflate: true, gzip: true };
    /// [`Encoding::Identity`] alone: nothing that is compressed is read.
    pub const IDENTITY: Encodings = Encodings { deflate: false, gzip: false };

    /// These and one more.
    pub fn with(mut self, encoding: Encoding) -> Encodings {
        match encoding {
            Encoding::Identity => {}
            Encoding::Deflate => self.deflate = true,
            Encoding::Gzip => self.gzip = true,
        }
        self
    }

    /// Adds what a header's value lists; other names mean nothing here.
    pub(crate) fn add(&mut self, value: &[u8]) {
        for name in value.split(|byte| *byte == b',') {
            if let Some(encoding) = Encoding::from_name(name.trim_ascii()) {
                *self = self.with(encoding);
            }
        }
    }

    /// As they stand in `grpc-accept-encoding`.
    pub(crate) fn names(self) -> &'static [u8] {
        match (self.deflate, self.gzip) {
            (true, true) => b"identity, deflate, gzip",
            (true, false) => b"identity, deflate",
            (false, true) => b"identity, gzip",
            (false, false) => b"identity",
        }
    }

    /// Whether it is one of these.
    pub fn contains(self, encoding: Encoding) -> bool {
        match encoding {
            Encoding::Identity => true,
            Encoding::Deflate => self.deflate,
            Encoding::Gzip => self.gzip,
        }
    }
}

/// A connection's compressors: made when they are first needed, and used again for every message.
#[derive(Debug, Default)]
pub(crate) struct Codecs {
    deflate: Option<Compress>,
    gzip: Option<Compress>,
    inflate: Option<Decompress>,
    /// Inflates what is within gzip.
    raw: Option<Decompress>,
}

/// The largest window there is, which every peer can read, as 2 to this power.
const WINDOW_BITS: u8 = 15;

/// What is allocated for a message before any of it is decompressed, at most, unless it says how long it will be.
const FIRST_GROWTH: usize = 64 << 10;

/// No byte of deflate becomes more than so many (a copy of 258 takes two bits).
const MOST_RATIO: usize = 1032;

impl Codecs {
    /// The message compressed, if that makes it shorter.
    pub(crate) fn compress(&mut self, encoding: Encoding, message: &[u8]) -> Option<Vec<u8>> {
        let level = Compression::default();
        let codec = match encoding {
            Encoding::Identity => return None,
            Encoding::Deflate => self.deflate.get_or_insert_with(|| Compress::new(level, true)),
            Encoding::Gzip => self.gzip.get_or_insert_with(|| Compress::new_gzip(level, WINDOW_BITS)),
        };
        codec.reset();
        // One byte less than the message: what does not fit in is not shorter.
        let mut out = Vec::with_capacity(message.len().checked_sub(1)?);
        match codec.compress_vec(message, &mut out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) if out.len() < message.len() => {
                out.shrink_to_fit();
                Some(out)
            }
            _ => None,
        }
    }

    /// A message decompressed, no further than `max` bytes.
    ///
    /// # Errors
    /// It would be longer, or it is not what the encoding says.
    pub(crate) fn decompress(
        &mut self,
        encoding: Encoding,
        body: &[u8],
        max: Option<usize>,
    ) -> Result<Vec<u8>, MessageFault> {
        match encoding {
            Encoding::Identity => Err(MessageFault::CompressedWithoutEncoding),
            Encoding::Deflate => {
                let codec = self.inflate.get_or_insert_with(|| Decompress::new(true));
                codec.reset(true);
                inflate(codec, body, None, max)
            }
            // To make a codec for gzip costs many times what a small message does, and it cannot be reset.
            Encoding::Gzip => {
                let member = gzip::Member::parse(body).ok_or(MessageFault::Corrupt)?;
                let codec = self.raw.get_or_insert_with(|| Decompress::new(false));
                codec.reset(false);
                let message = inflate(codec, member.deflated, Some(member.len as usize), max)?;
                if member.matches(&message) { Ok(message) } else { Err(MessageFault::Corrupt) }
            }
        }
    }
}

/// What a codec, fresh or reset, makes of all of `body`, no further than `max` bytes. What says how long it will be is
/// believed as far as its own length can bear it, so that nothing is moved as it grows.
fn inflate(
    codec: &mut Decompress,
    body: &[u8],
    expected: Option<usize>,
    max: Option<usize>,
) -> Result<Vec<u8>, MessageFault> {
    let max = max.unwrap_or(u32::MAX as usize);
    let ceiling = max.saturating_add(1);
    let first = match expected {
        // One more, so that the end is seen.
        Some(len) => len.saturating_add(1).min(body.len().saturating_mul(MOST_RATIO)),
        None => body.len().saturating_mul(4).min(FIRST_GROWTH),
    };
    let mut out = Vec::with_capacity(first.max(64).min(ceiling));
    loop {
        let (read, written) = (codec.total_in(), out.len());
        let rest = usize::try_from(read).ok().and_then(|read| body.get(read..)).unwrap_or_default();
        let status = codec.decompress_vec(rest, &mut out, FlushDecompress::None).map_err(|_| MessageFault::Corrupt)?;
        if out.len() > max {
            return Err(MessageFault::TooLarge { len: out.len(), max });
        }
        if status == Status::StreamEnd {
            let whole = codec.total_in() == body.len() as u64;
            if out.capacity() / 2 > out.len() {
                out.shrink_to_fit();
            }
            return if whole { Ok(out) } else { Err(MessageFault::Corrupt) };
        }
        if out.len() < out.capacity() {
            // There was room, so what is missing is input.
            if codec.total_in() == body.len() as u64 || (codec.total_in() == read && out.len() == written) {
                return Err(MessageFault::Corrupt);
            }
        } else {
            // Twice as much, and never more than it takes to see that it is too much.
            out.reserve_exact(out.len().min(ceiling.saturating_sub(out.len())).max(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Codecs, Encoding, Encodings};
    use crate::grpc::message::MessageFault;

    const BOTH: [Encoding; 2] = [Encoding::Deflate, Encoding::Gzip];

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|i| b"the quick brown fox"[i * i % 19]).collect()
    }

    #[test]
    fn reads_what_it_writes_message_by_message() {
        let mut codecs = Codecs::default();
        for encoding in BOTH {
            for len in [100, 5000, 70_000, 101] {
                let message = text(len);
                let body = codecs.compress(encoding, &message).unwrap();
                assert!(body.len() < len);
                assert!(codecs.decompress(encoding, &body, None).unwrap() == message);
            }
        }
    }

    #[test]
    fn what_does_not_get_shorter_is_left_as_it_is() {
        let mut codecs = Codecs::default();
        let noise: Vec<u8> = (0..1000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for encoding in [Encoding::Identity, Encoding::Deflate, Encoding::Gzip] {
            for message in [&b""[..], b"a", b"abc"] {
                assert_eq!(codecs.compress(encoding, message), None);
            }
            if let Some(body) = codecs.compress(encoding, &noise) {
                assert!(body.len() < noise.len());
            }
        }
    }

    /// Made by zlib's own programs.
    #[test]
    fn reads_what_others_write() {
        let gzip = [
            31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 203, 72, 205, 201, 201, 87, 200, 64, 144, 0, 128, 136, 249, 229, 17, 0, 0,
            0,
        ];
        let zlib = [120, 156, 203, 72, 205, 201, 201, 87, 200, 64, 144, 0, 58, 46, 6, 125];
        let mut codecs = Codecs::default();
        assert_eq!(codecs.decompress(Encoding::Gzip, &gzip, Some(17)).unwrap(), b"hello hello hello");
        assert_eq!(codecs.decompress(Encoding::Deflate, &zlib, Some(17)).unwrap(), b"hello hello hello");
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_one_past() {
        let mut codecs = Codecs::default();
        for encoding in BOTH {
            for len in [0, 1, 63, 64, 65, 65_536, 65_537, 200_000] {
                let message = vec![0; len];
                let body = codecs.compress(encoding, &message).unwrap_or_else(|| deflate_by_force(encoding, &message));
                assert_eq!(codecs.decompress(encoding, &body, Some(len)), Ok(message));
                if len > 0 {
                    let fault = MessageFault::TooLarge { len, max: len - 1 };
                    assert_eq!(codecs.decompress(encoding, &body, Some(len - 1)), Err(fault));
                }
            }
            let bomb = codecs.compress(encoding, &vec![0; 1_000_000]).unwrap();
            let fault = MessageFault::TooLarge { len: 1001, max: 1000 };
            assert_eq!(codecs.decompress(encoding, &bomb, Some(1000)), Err(fault), "no more than one byte past it");
        }
    }

    #[test]
    fn a_length_that_is_said_is_allocated_at_once_and_no_more() {
        let mut codecs = Codecs::default();
        let mut body = codecs.compress(Encoding::Gzip, &vec![0; 3 << 20]).unwrap();
        let message = codecs.decompress(Encoding::Gzip, &body, Some(4 << 20)).unwrap();
        assert_eq!((message.len(), message.capacity()), (3 << 20, (3 << 20) + 1));
        // A length that is not true: the message is corrupt, and its own length bounds what is allocated.
        let end = body.len();
        body[end - 4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(codecs.decompress(Encoding::Gzip, &body, None), Err(MessageFault::Corrupt));
    }

    /// A body that is longer than its message.
    fn deflate_by_force(encoding: Encoding, message: &[u8]) -> Vec<u8> {
        let mut codec = match encoding {
            Encoding::Gzip => flate2::Compress::new_gzip(flate2::Compression::default(), 15),
            _ => flate2::Compress::new(flate2::Compression::default(), true),
        };
        let mut out = Vec::with_capacity(message.len() + 100);
        codec.compress_vec(message, &mut out, flate2::FlushCompress::Finish).unwrap();
        out
    }

    #[test]
    fn what_is_not_whole_or_not_right_is_corrupt() {
        let mut codecs = Codecs::default();
        for encoding in BOTH {
            let body = codecs.compress(encoding, &text(5000)).unwrap();
            for len in 0..body.len() {
                assert_eq!(codecs.decompress(encoding, &body[..len], None), Err(MessageFault::Corrupt), "{len}");
            }
            let longer = [&body[..], b"x"].concat();
            assert_eq!(codecs.decompress(encoding, &longer, None), Err(MessageFault::Corrupt));
            assert_eq!(codecs.decompress(encoding, b"no such thing", None), Err(MessageFault::Corrupt));
            let mut bad = body.clone();
            let last = bad.len() - if encoding == Encoding::Gzip { 5 } else { 1 };
            bad[last] ^= 1;
            assert_eq!(codecs.decompress(encoding, &bad, None), Err(MessageFault::Corrupt), "the checksum counts");
            assert!(codecs.decompress(encoding, &body, None).is_ok());
        }
    }

    #[test]
    fn knows_what_a_peer_accepts() {
        let mut accepted = Encodings::IDENTITY;
        assert!(accepted.contains(Encoding::Identity) && !accepted.contains(Encoding::Gzip));
        accepted.add(b"identity, br,gzip ");
        assert!(accepted.contains(Encoding::Gzip) && !accepted.contains(Encoding::Deflate));
        accepted.add(b"deflate");
        assert_eq!(accepted, Encodings::ALL);
    }

    #[test]
    fn reads_the_names_it_writes() {
        for encodings in [
            Encodings::ALL,
            Encodings::IDENTITY,
            Encodings::IDENTITY.with(Encoding::Deflate),
            Encodings::IDENTITY.with(Encoding::Gzip).with(Encoding::Identity),
        ] {
            let mut read = Encodings::IDENTITY;
            read.add(encodings.names());
            assert_eq!(read, encodings);
        }
    }
}
