//! Header lists that the peer takes: it says how large they may be (SETTINGS_MAX_HEADER_LIST_SIZE), and one that is larger
//! would end the call with less of an answer, or the connection.

use std::borrow::Cow;

use farcall_core::{Code, Metadata, Status};

use super::{fields::Size, fields::too_large_to_send, percent};
use crate::hpack::FIELD_OVERHEAD;

/// What fields of constant length and a status come to at most.
const FIXED: usize = 512;

/// How many bytes of an answer's text are worth more than its metadata.
const WORTH: usize = 256;

/// What a text costs beside its bytes: `grpc-message`, 32, and two spaces at its ends that are coded.
const MESSAGE_FIELD: usize = 12 + 32 + 4;

/// The least that can be said for sure of metadata and texts without looking at every byte: an upper bound of their size.
#[inline]
pub(crate) fn most(texts: usize, metadata: &Metadata) -> usize {
    FIXED + 3 * texts + 2 * metadata.size() + FIELD_OVERHEAD * metadata.len()
}

/// A status and trailing metadata that come to no more than `limit`; `size` measures them with all that goes with them.
///
/// What has to be cut is cut to half of the limit, for grpcio refuses lists at random that come near its own. The status
/// itself is sent whatever the limit.
pub(crate) fn answer<'a>(
    status: &'a Status,
    trailers: &'a Metadata,
    limit: u32,
    size: impl Fn(&Status, &Metadata) -> usize,
) -> (Cow<'a, Status>, Cow<'a, Metadata>) {
    let whole = size(status, trailers);
    if whole <= limit as usize {
        return (Cow::Borrowed(status), Cow::Borrowed(trailers));
    }
    let max = limit as usize;
    let bare = size(&Status::from(status.code), trailers) + MESSAGE_FIELD;
    let room = (max / 2).max(bare + WORTH).min(max);
    if trailers.is_empty() || bare + WORTH.min(status.message.len()) <= room {
        let note = format!(" [cut from {} bytes: the client takes {limit} bytes of headers]", status.message.len());
        let message = noted(&status.message, &note, room.saturating_sub(bare));
        return (Cow::Owned(Status::new(status.code, message)), Cow::Borrowed(trailers));
    }
    let nothing = Metadata::new();
    let (code, message, note) = match status.code {
        Code::Ok => (Code::ResourceExhausted, too_large_to_send("trailing", whole, limit), String::new()),
        other => {
            let note =
                format!(" [without its metadata: it came to {whole} bytes, the client takes {limit} of headers]");
            (other, status.message.to_string(), note)
        }
    };
    let bare = size(&Status::from(code), &nothing) + MESSAGE_FIELD;
    let room = (max / 2).max(bare + WORTH).min(max).saturating_sub(bare);
    (Cow::Owned(Status::new(code, noted(&message, &note, room))), Cow::Owned(nothing))
}

/// A message with a note behind it, in `room` bytes as they are coded.
fn noted(message: &str, note: &str, room: usize) -> String {
    let message = percent::cut(message, room.saturating_sub(note.len()));
    percent::cut(&format!("{message}{note}"), room).to_owned()
}

/// What a list comes to.
pub(crate) fn size(encode: impl FnOnce(&mut Size)) -> usize {
    let mut size = Size::default();
    encode(&mut size);
    size.0
}

#[cfg(test)]
mod tests {
    use farcall_core::{Code, Metadata, Status};

    use super::{answer, most, size};
    use crate::{
        grpc::{encoding::Encodings, percent, response::encode_trailers_only, subtype::Media},
        hpack::{Decoder, Encoder},
    };

    fn measured(status: &Status, trailers: &Metadata) -> usize {
        size(|fields| encode_trailers_only(&Media::default(), status, Encodings::ALL, trailers, fields))
    }

    fn metadata(len: usize) -> Metadata {
        let mut metadata = Metadata::new();
        metadata.append("k", "v".repeat(len)).unwrap();
        metadata.append("k-bin", vec![7; 10]).unwrap();
        metadata
    }

    fn texts() -> [String; 5] {
        ["", "short", &"a".repeat(130_000), &"\u{2603}%".repeat(40_000), &"    ".repeat(10_000)].map(str::to_owned)
    }

    #[test]
    fn a_size_is_what_a_peer_counts() {
        for text in texts() {
            let (status, trailers) = (Status::new(Code::Unimplemented, text), metadata(100));
            let mut block = Vec::new();
            let mut writer =
                crate::grpc::fields::Writer { hpack: &mut Encoder::new(), out: &mut block, scratch: &mut Vec::new() };
            encode_trailers_only(&Media::default(), &status, Encodings::ALL, &trailers, &mut writer);
            let list = Decoder::new(4096).decode(&block, u32::MAX, |_, _| ()).unwrap();
            assert_eq!(measured(&status, &trailers), list.size as usize);
            assert!(most(status.message.len(), &trailers) >= list.size as usize);
        }
    }

    #[test]
    fn what_fits_is_left_alone_and_one_byte_past_it_is_cut() {
        let (status, trailers) = (Status::new(Code::Internal, "a".repeat(1000)), metadata(100));
        let whole = measured(&status, &trailers) as u32;
        let (fitted, kept) = answer(&status, &trailers, whole, measured);
        assert_eq!((&*fitted, &*kept), (&status, &trailers));
        let (fitted, kept) = answer(&status, &trailers, whole - 1, measured);
        assert_eq!(*kept, trailers);
        assert!(fitted.message.len() < 1000 && fitted.message.starts_with("aaaa"));
        let note = format!(" [cut from 1000 bytes: the client takes {} bytes of headers]", whole - 1);
        assert!(fitted.message.ends_with(&note), "{fitted:?}");
    }

    /// Whatever the limit, the answer keeps to it as far as a status can, and its coding is whole.
    #[test]
    fn answers_of_any_size_for_limits_of_any_size() {
        for text in texts() {
            for code in [Code::Ok, Code::Internal, Code::Unimplemented] {
                for trailers in [Metadata::new(), metadata(100), metadata(6_000), metadata(100_000)] {
                    for limit in (0..3_000).step_by(97).chain([8_192, 16_384, 65_536, u32::MAX]) {
                        let status = Status::new(code, text.clone());
                        let (fitted, kept) = answer(&status, &trailers, limit, measured);
                        let least = measured(&Status::from(fitted.code), &Metadata::new());
                        let size = measured(&fitted, &kept);
                        assert!(size <= least.max(limit as usize), "{size} of {limit}");
                        let mut coded = Vec::new();
                        percent::encode(&fitted.message, &mut coded);
                        assert_eq!(percent::decode(&coded), fitted.message);
                        match kept.is_empty() && !trailers.is_empty() {
                            false => assert_eq!(fitted.code, code),
                            true => assert!(
                                fitted.code == code && code != Code::Ok || fitted.code == Code::ResourceExhausted
                            ),
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn metadata_goes_when_it_alone_is_too_large_and_the_status_says_so() {
        let status = Status::new(Code::Aborted, "why");
        let trailers = metadata(20_000);
        let (fitted, kept) = answer(&status, &trailers, 16_384, measured);
        assert!(kept.is_empty());
        assert_eq!(fitted.code, Code::Aborted);
        let whole = measured(&status, &trailers);
        let note = format!("[without its metadata: it came to {whole} bytes, the client takes 16384 of headers]");
        assert_eq!(fitted.message, format!("why {note}"));
        let (fitted, kept) = answer(&Status::OK, &trailers, 16_384, measured);
        assert!(kept.is_empty());
        let whole = measured(&Status::OK, &trailers);
        let text = format!("to-be-sent trailing metadata size exceeds peer limit ({whole} vs. 16384)");
        assert_eq!(*fitted, Status::new(Code::ResourceExhausted, text));
    }

    /// What is cut is cut so far that grpcio, which refuses the more the nearer its limit, takes it.
    #[test]
    fn what_is_cut_comes_to_half_the_limit() {
        let status = Status::new(Code::Internal, "a".repeat(130_000));
        let nothing = Metadata::new();
        let (fitted, kept) = answer(&status, &nothing, 16_384, measured);
        assert!((8_000..=8_192).contains(&measured(&fitted, &kept)));
        // Metadata that is past the half is kept, as long as there is room for some text.
        let trailers = metadata(12_000);
        let (fitted, kept) = answer(&status, &trailers, 16_384, measured);
        assert_eq!(*kept, trailers);
        assert!((200..=256).contains(&fitted.message.len()), "{}", fitted.message.len());
    }

    /// What is not looked at closely because it surely fits does.
    #[test]
    fn nothing_comes_to_more_than_it_is_said_to_at_most() {
        let lists: [&[(&str, usize)]; 4] = [&[], &[("k", 1); 100], &[("k", 3_000)], &[("k-bin", 3_000)]];
        for (text, list) in ["", "a", "\n"].into_iter().flat_map(|text| lists.map(|list| (text.repeat(3_000), list))) {
            let mut trailers = Metadata::new();
            list.iter().for_each(|(key, len)| trailers.append(key, vec![b'v'; *len]).unwrap());
            let status = Status::new(Code::Internal, text);
            let (size, most) = (measured(&status, &trailers), most(status.message.len(), &trailers));
            assert!(size <= most, "{size} of {most}");
            assert!(most <= 3 * size + 1_000, "{most} for {size}");
        }
    }
}
