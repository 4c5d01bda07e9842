//! A doorway for the fuzz targets in `/fuzz`: one function per parser, which takes any bytes and panics when what must
//! always hold does not. The tests below play the seeds through the same doors.

use farcall_core::{Metadata, Timeout};

use crate::{
    frame::{
        GoAway, HEAD_LEN, Head, Ping, Reset, Settings, WindowUpdate, block_fragment, encode_settings, kind,
        settings_parameters,
    },
    grpc::{
        base64,
        encoding::{Codecs, Encoding},
        message::MessageFault,
        percent,
    },
    hpack::{Decoder, Encoder, Indexing, huffman},
};

/// Takes pieces off fuzz input: a length byte, then so many bytes, or what there is.
struct Pieces<'a>(&'a [u8]);

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&len, rest) = self.0.split_first()?;
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(len)));
        self.0 = rest;
        Some(piece)
    }
}

/// Header blocks, one after the other, to one decoder; what they hold is encoded and decoded once more.
pub fn hpack_decode(data: &[u8]) {
    let Some((&[table, limit], blocks)) = data.split_first_chunk() else { return };
    let limit = u32::from(limit) * 40;
    let mut decoder = Decoder::new(u32::from(table) * 40);
    let (mut again, mut encoder) = (Decoder::new(4096), Encoder::new());
    for (i, block) in Pieces(blocks).enumerate() {
        let mut fields = Vec::new();
        let Ok(list) = decoder.decode(block, limit, |name, value| fields.push((name.to_vec(), value.to_vec()))) else {
            return;
        };
        let size: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
        assert!(size <= limit as usize);
        assert!(if list.too_large { list.size > limit } else { list.size as usize == size });
        if i == 1 {
            decoder.settings_acknowledged();
            encoder.set_max_table_size(u32::from(table));
        }
        let mut block = Vec::new();
        for (name, value) in &fields {
            encoder.encode((&name[..]).into(), value, Indexing::Incremental, &mut block);
        }
        let mut expected = fields.iter();
        let decoded = again.decode(&block, u32::MAX, |name, value| {
            let field = expected.next().map(|(name, value)| (&name[..], &value[..]));
            assert_eq!(field, Some((name, value)));
        });
        assert!(decoded.is_ok() && expected.next().is_none());
    }
}

/// Any bytes as a compressed message; and what comes of compressing them is read as they were.
pub fn compression(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else { return };
    let encoding = if choice & 1 == 0 { Encoding::Gzip } else { Encoding::Deflate };
    let max = usize::from(choice) * 100;
    let mut codecs = Codecs::default();
    // Twice, for the second time with a codec that was used.
    let results = [(); 2].map(|()| codecs.decompress(encoding, body, Some(max)));
    assert_eq!(results[0], results[1]);
    match &results[0] {
        Ok(message) => assert!(message.len() <= max && message.capacity() <= 2 * max.max(64)),
        Err(fault) => assert!(matches!(fault, MessageFault::Corrupt | MessageFault::TooLarge { .. })),
    }
    if let Some(shorter) = codecs.compress(encoding, body) {
        assert!(shorter.len() < body.len());
        assert_eq!(codecs.decompress(encoding, &shorter, Some(body.len())), Ok(body.to_vec()));
    }
}

/// Fields that repeat, with tables that change size, from an encoder to a decoder.
pub fn hpack_encode(data: &[u8]) {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let mut pieces = Pieces(data);
    while let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
        let indexing = match value.len() % 8 {
            0 => {
                encoder.set_max_table_size(name.len() as u32 * 20);
                Indexing::Incremental
            }
            1 => Indexing::Never,
            2 => Indexing::Without,
            _ => Indexing::Incremental,
        };
        let mut block = Vec::new();
        encoder.encode(name.into(), value, indexing, &mut block);
        let mut count = 0;
        let decoded = decoder.decode(&block, u32::MAX, |n, v| {
            assert_eq!((n, v), (name, value));
            count += 1;
        });
        assert!(decoded.is_ok() && count == 1);
    }
}

/// What decodes is the one way to write it; what is encoded decodes.
pub fn huffman(data: &[u8]) {
    let (mut text, mut coded) = (Vec::new(), Vec::new());
    if huffman::decode(data, &mut text).is_ok() {
        huffman::encode(&text, &mut coded);
        assert_eq!(coded, data);
    }
    text.clear();
    coded.clear();
    huffman::encode(data, &mut coded);
    assert_eq!(coded.len(), huffman::encoded_len(data));
    assert!(huffman::decode(&coded, &mut text).is_ok());
    assert_eq!(text, data);
}

/// One frame: what its reader takes, its writer writes again.
pub fn frame_decode(data: &[u8]) {
    let Some((head, payload)) = data.split_first_chunk::<HEAD_LEN>() else { return };
    let head = Head { length: payload.len() as u32, ..Head::decode(head) };
    let mut out = Vec::new();
    match head.kind {
        kind::HEADERS => {
            if let Ok(fragment) = block_fragment(head, payload) {
                assert!(fragment.len() <= payload.len());
            }
            return;
        }
        kind::SETTINGS => {
            let Ok(Settings::Parameters(parameters)) = Settings::decode(head, payload) else { return };
            let Ok(known) = settings_parameters(parameters).collect::<Result<Vec<_>, _>>() else { return };
            encode_settings(known.iter().copied(), &mut out);
            let (again, _) = out[HEAD_LEN..].as_chunks();
            assert_eq!(settings_parameters(again).collect::<Result<Vec<_>, _>>(), Ok(known));
            return;
        }
        kind::RST_STREAM => match Reset::decode(head, payload) {
            Ok(reset) => reset.encode(&mut out),
            Err(_) => return,
        },
        kind::PING => match Ping::decode(head, payload) {
            Ok(ping) => ping.encode(&mut out),
            Err(_) => return,
        },
        kind::GOAWAY => match GoAway::decode(payload) {
            Ok(goaway) => {
                goaway.encode(&mut out);
                // The reserved bit is not kept.
                out[HEAD_LEN] |= payload[0] & 0x80;
            }
            Err(_) => return,
        },
        kind::WINDOW_UPDATE => match WindowUpdate::decode(head, payload) {
            Ok(update) => {
                update.encode(&mut out);
                out[HEAD_LEN] |= payload[0] & 0x80;
            }
            Err(_) => return,
        },
        _ => return,
    }
    assert_eq!(&out[HEAD_LEN..], payload);
}

/// A message always decodes; one that was encoded decodes to itself.
pub fn percent(data: &[u8]) {
    let message = percent::decode(data);
    let mut coded = Vec::new();
    percent::encode(&message, &mut coded);
    assert!(coded.iter().all(|byte| matches!(byte, 0x20..=0x7e)));
    assert_eq!(percent::decode(&coded), message);
}

/// What decodes is written again so that it decodes to the same.
pub fn base64(data: &[u8]) {
    let (mut values, mut scratch) = (Vec::new(), Vec::new());
    if base64::decode(data, &mut scratch, |value| values.push(value.to_vec())).is_ok() {
        assert_eq!(values.len(), data.split(|byte| *byte == b',').count());
    }
    values.push(data.to_vec());
    for value in values {
        let mut coded = Vec::new();
        base64::encode(&value, &mut coded);
        let mut count = 0;
        let decoded = base64::decode(&coded, &mut scratch, |again| {
            assert_eq!(again, value);
            count += 1;
        });
        assert!(decoded.is_ok() && count == 1);
    }
}

/// A timeout that was read is written so that it is never shorter, and is then a fixed point (but for none at all,
/// which is written as the shortest there is).
pub fn timeout(data: &[u8]) {
    let Ok(timeout) = Timeout::parse(data) else { return };
    let written = timeout.to_string();
    assert!(written.len() <= 9);
    let again = Timeout::parse(written.as_bytes()).expect("what is written can be read");
    assert!(again >= timeout);
    assert!(timeout.0.is_zero() || again.to_string() == written);
}

/// Keys and values are taken or refused whole, and kept in order.
pub fn metadata(data: &[u8]) {
    let mut metadata = Metadata::new();
    let mut taken = Vec::new();
    let mut pieces = Pieces(data);
    while let (Some(key), Some(value)) = (pieces.next(), pieces.next()) {
        let Ok(key) = std::str::from_utf8(key) else { continue };
        if value.first() == Some(&0) {
            let there = taken.iter().any(|(k, _)| *k == key);
            assert_eq!(metadata.remove(key), there);
            taken.retain(|(k, _)| *k != key);
        }
        if metadata.append(key, value).is_ok() {
            taken.push((key, value));
        }
    }
    assert!(metadata.iter().eq(taken.iter().copied()));
    let mut twice = metadata.clone();
    twice.extend(&metadata).expect("it is small");
    assert_eq!(twice.len(), 2 * metadata.len());
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    type Door = fn(&[u8]);

    const DOORS: [(&str, Door); 9] = [
        ("compression", super::compression),
        ("hpack_decode", super::hpack_decode),
        ("hpack_encode", super::hpack_encode),
        ("huffman", super::huffman),
        ("frame_decode", super::frame_decode),
        ("percent", super::percent),
        ("base64", super::base64),
        ("timeout", super::timeout),
        ("metadata", super::metadata),
    ];

    #[test]
    fn seeds() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        for (target, door) in DOORS {
            let Ok(folder) = std::fs::read_dir(seeds.join(target)) else { continue };
            for file in folder {
                let path = file.expect("the folder can be read").path();
                eprintln!("{}", path.display());
                door(&std::fs::read(&path).expect("the file can be read"));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes(data: Vec<u8>) {
            DOORS.iter().for_each(|(_, door)| door(&data));
        }

        #[test]
        fn any_frame(kind in 0u8..10, flags: u8, stream: u32, payload: Vec<u8>) {
            let data = [&[0, 0, 0, kind, flags][..], &stream.to_be_bytes(), &payload].concat();
            super::frame_decode(&data);
        }

        #[test]
        fn any_control_frame(kind in 3u8..9, flags: u8, payload in prop::collection::vec(any::<u8>(), 0..20)) {
            let data = [&[0, 0, 0, kind, flags, 0, 0, 0, 1][..], &payload].concat();
            super::frame_decode(&data);
        }

        #[test]
        fn any_timeout(text in "[0-9]{1,8}[HMSmun]") {
            super::timeout(text.as_bytes());
        }
    }
}
