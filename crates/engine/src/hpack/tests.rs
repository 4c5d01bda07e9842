//! RFC 7541 appendix C as tests, then what it has no examples of: limits, resizing, faults, anything there and back.

mod vectors;

use proptest::prelude::*;

use super::{DEFAULT_TABLE_SIZE, DecodedList, Decoder, Encoder, Error, Indexing, encoder::encode_integer};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

const NO_LIMIT: u32 = u32::MAX;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn fields(text: &[(&str, &str)]) -> Fields {
    text.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

fn decode_within(decoder: &mut Decoder, block: &[u8], limit: u32) -> Result<(Fields, DecodedList), Error> {
    let mut given = Fields::new();
    let list = decoder.decode(block, limit, |name, value| given.push((name.to_vec(), value.to_vec())))?;
    Ok((given, list))
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, Error> {
    decode_within(decoder, block, NO_LIMIT).map(|(fields, _)| fields)
}

fn encode(encoder: &mut Encoder, fields: &Fields, indexing: Indexing) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        encoder.encode((&name[..]).into(), value, indexing, &mut block);
    }
    block
}

/// The dynamic table, newest first.
fn table(decoder: &Decoder) -> Fields {
    let table = decoder.table();
    (0..table.len()).filter_map(|age| table.field(age)).map(|(n, v)| (n.to_vec(), v.to_vec())).collect()
}

mod appendix_c {
    use super::*;

    const DATE_21: &str = "Mon, 21 Oct 2013 20:13:21 GMT";
    const DATE_22: &str = "Mon, 21 Oct 2013 20:13:22 GMT";
    const COOKIE: &str = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";

    struct Step {
        block: &'static str,
        fields: &'static [(&'static str, &'static str)],
        table: &'static [(&'static str, &'static str)],
        size: usize,
    }

    fn check(table_size: u32, steps: &[Step]) {
        let mut decoder = Decoder::new(table_size);
        if table_size != DEFAULT_TABLE_SIZE {
            let mut update = Vec::new();
            encode_integer(table_size as usize, 5, 0x20, &mut update);
            decode(&mut decoder, &update).unwrap();
        }
        for step in steps {
            assert_eq!(decode(&mut decoder, &bytes(step.block)).unwrap(), fields(step.fields));
            assert_eq!(table(&decoder), fields(step.table));
            assert_eq!(decoder.table().size(), step.size);
        }
    }

    #[test]
    fn c1_integers() {
        for (value, bits, coded) in [(10, 5, &[10][..]), (1337, 5, &[31, 154, 10]), (42, 8, &[42])] {
            let mut out = Vec::new();
            encode_integer(value, bits, 0, &mut out);
            assert_eq!(out, coded);
            assert_eq!(super::super::decoder::integer(coded, bits), Ok(value));
        }
    }

    #[test]
    fn c2_fields() {
        for (block, field, kept, size) in [
            ("400a637573746f6d2d6b65790d637573746f6d2d686561646572", ("custom-key", "custom-header"), true, 55),
            ("040c2f73616d706c652f70617468", (":path", "/sample/path"), false, 0),
            ("100870617373776f726406736563726574", ("password", "secret"), false, 0),
            ("82", (":method", "GET"), false, 0),
        ] {
            let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
            assert_eq!(decode(&mut decoder, &bytes(block)).unwrap(), fields(&[field]));
            assert_eq!(table(&decoder), if kept { fields(&[field]) } else { Fields::new() });
            assert_eq!(decoder.table().size(), size);
        }
        let mut encoder = Encoder::new();
        let block = encode(&mut encoder, &fields(&[(":path", "/sample/path")]), Indexing::Without);
        assert_eq!(block[0], 0x04);
        let block = encode(&mut encoder, &fields(&[("password", "secret")]), Indexing::Never);
        assert_eq!(block[0], 0x10);
    }

    const REQUESTS: [&[(&str, &str)]; 3] = [
        &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
        &[
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "www.example.com"),
            ("cache-control", "no-cache"),
        ],
        &[
            (":method", "GET"),
            (":scheme", "https"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ],
    ];

    const REQUEST_TABLE: &[(&str, &str)] =
        &[("custom-key", "custom-value"), ("cache-control", "no-cache"), (":authority", "www.example.com")];

    fn check_requests(blocks: [&'static str; 3]) {
        let sizes = [57, 110, 164];
        let steps = [0, 1, 2].map(|i| Step {
            block: blocks[i],
            fields: REQUESTS[i],
            table: &REQUEST_TABLE[2 - i..],
            size: sizes[i],
        });
        check(DEFAULT_TABLE_SIZE, &steps);
    }

    #[test]
    fn c3_requests_without_huffman() {
        check_requests([
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ]);
    }

    #[test]
    fn c4_requests_with_huffman() {
        let blocks = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        check_requests(blocks);
        let mut encoder = Encoder::new();
        for (request, block) in REQUESTS.iter().zip(blocks) {
            assert_eq!(encode(&mut encoder, &fields(request), Indexing::Incremental), bytes(block));
        }
    }

    const RESPONSES: [&[(&str, &str)]; 3] = [
        &[(":status", "302"), ("cache-control", "private"), ("date", DATE_21), ("location", "https://www.example.com")],
        &[(":status", "307"), ("cache-control", "private"), ("date", DATE_21), ("location", "https://www.example.com")],
        &[
            (":status", "200"),
            ("cache-control", "private"),
            ("date", DATE_22),
            ("location", "https://www.example.com"),
            ("content-encoding", "gzip"),
            ("set-cookie", COOKIE),
        ],
    ];

    fn check_responses(blocks: [&'static str; 3]) {
        let tables: [&[(&str, &str)]; 3] = [
            &[
                ("location", "https://www.example.com"),
                ("date", DATE_21),
                ("cache-control", "private"),
                (":status", "302"),
            ],
            &[
                (":status", "307"),
                ("location", "https://www.example.com"),
                ("date", DATE_21),
                ("cache-control", "private"),
            ],
            &[("set-cookie", COOKIE), ("content-encoding", "gzip"), ("date", DATE_22)],
        ];
        let sizes = [222, 222, 215];
        let steps =
            [0, 1, 2].map(|i| Step { block: blocks[i], fields: RESPONSES[i], table: tables[i], size: sizes[i] });
        check(256, &steps);
    }

    #[test]
    fn c5_responses_without_huffman() {
        check_responses([
            "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
             2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
             6c65 2e63 6f6d",
            "4803 3330 37c1 c0bf",
            "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
             54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
             5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
             3d31",
        ]);
    }

    #[test]
    fn c6_responses_with_huffman() {
        let blocks = [
            "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
             2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
            "4883 640e ffc1 c0bf",
            "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
             77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
             9587 3160 65c0 03ed 4ee5 b106 3d50 07",
        ];
        check_responses(blocks);
        let mut encoder = Encoder::new();
        encoder.set_max_table_size(256);
        // The encoder begins by announcing the size, and writes "307", which Huffman does not shorten, as it is.
        let expected =
            [[&bytes("3fe101")[..], &bytes(blocks[0])].concat(), bytes("4803 3330 37c1 c0bf"), bytes(blocks[2])];
        for (response, block) in RESPONSES.iter().zip(expected) {
            assert_eq!(encode(&mut encoder, &fields(response), Indexing::Incremental), block);
        }
    }
}

#[test]
fn integers_end_at_32_bits() {
    let integer = super::decoder::integer;
    assert_eq!(integer(&[0x1f, 0xe0, 0xff, 0xff, 0xff, 0x0f], 5), Ok(u32::MAX as usize));
    assert_eq!(integer(&[0x1f, 0xe1, 0xff, 0xff, 0xff, 0x0f], 5), Err(Error::Integer));
    assert_eq!(integer(&[0x1f, 0xff, 0xff, 0xff, 0xff, 0x7f], 5), Err(Error::Integer));
    // Five more bytes are enough for 32 bits; a sixth only pads.
    assert_eq!(integer(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x00], 5), Ok(31));
    assert_eq!(integer(&[0x1f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 5), Err(Error::Integer));
    assert_eq!(integer(&[0x1f, 0x80], 5), Err(Error::Truncated));
    assert_eq!(integer(&[], 5), Err(Error::Truncated));
}

#[test]
fn faults_are_named() {
    for (block, error) in [
        ("80", Error::Index),    // index 0
        ("be", Error::Index),    // 62, of an empty table
        ("7e 00", Error::Index), // name 62
        ("ff ffffffff 0f", Error::Integer),
        ("40", Error::Truncated),                // no name
        ("40 0a 61", Error::Truncated),          // a name of ten bytes, one of which is there
        ("40 01 61", Error::Truncated),          // no value
        ("40 7f ffffff07 61", Error::Truncated), // a name of 16 MiB
        ("00 81 00 00", Error::Huffman),
        ("3f e2 1f", Error::SizeUpdate), // 4097
        ("82 20", Error::SizeUpdate),    // after a field
    ] {
        assert_eq!(decode(&mut Decoder::new(DEFAULT_TABLE_SIZE), &bytes(block)), Err(error), "{block}");
    }
    assert_eq!(decode(&mut Decoder::new(DEFAULT_TABLE_SIZE), &bytes("3f e1 1f")), Ok(vec![]));
}

#[test]
fn a_list_at_its_limit_is_given_and_one_past_it_is_not() {
    let list = fields(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
    let block = encode(&mut encoder, &list, Indexing::Incremental);
    let (given, result) = decode_within(&mut decoder, &block, 3 * 34).unwrap();
    assert_eq!((given, result), (list.clone(), DecodedList { size: 102, too_large: false }));

    // Past the limit nothing is given, not even fields that would fit again, but the table stays in step.
    let more = fields(&[("d", "4"), ("long", "0123456789"), ("e", "5")]);
    let block = encode(&mut encoder, &more, Indexing::Incremental);
    let (given, result) = decode_within(&mut decoder, &block, 79).unwrap();
    assert_eq!((given, result), (fields(&[("d", "4")]), DecodedList { size: 114, too_large: true }));
    let all: Fields = list.into_iter().chain(more).collect();
    let block = encode(&mut encoder, &all, Indexing::Incremental);
    assert_eq!(block.len(), all.len());
    assert_eq!(decode(&mut decoder, &block).unwrap(), all);
}

#[test]
fn what_is_in_the_table_is_found_however_much_came() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
    for count in 1..=64 {
        let list: Fields = (0..count).map(|i| (format!("n{i}").into_bytes(), format!("v{i}").into_bytes())).collect();
        let block = encode(&mut encoder, &list, Indexing::Incremental);
        assert_eq!(decode(&mut decoder, &block).unwrap(), list);
        let block = encode(&mut encoder, &list, Indexing::Incremental);
        assert!(block.len() <= 2 * count, "all are named by their index: {block:?}");
        assert_eq!(decode(&mut decoder, &block).unwrap(), list);
        assert_eq!(encoder.table().len(), count);
    }
}

#[test]
fn a_bomb_of_references_is_counted_and_not_given() {
    let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
    let mut block = vec![0x40, 1, b'n'];
    encode_integer(4000, 7, 0, &mut block);
    block.extend_from_slice(&[b'v'; 4000]);
    block.resize(block.len() + 1_000_000, 0xbe);
    let (given, result) = decode_within(&mut decoder, &block, 16 << 10).unwrap();
    assert_eq!(given.len(), 4);
    assert_eq!(result, DecodedList { size: (1_000_001u64 * 4033).min(u64::from(u32::MAX)) as u32, too_large: true });
}

#[test]
fn a_name_may_come_from_the_entry_it_pushes_out() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
    let name = vec![b'n'; 1500];
    for value in 0..20u8 {
        let field = vec![(name.clone(), vec![value; 1400])];
        let block = encode(&mut encoder, &field, Indexing::Incremental);
        assert_eq!(decode(&mut decoder, &block).unwrap(), field);
        assert_eq!(table(&decoder), field);
    }
}

#[test]
fn a_field_that_would_empty_the_table_is_not_indexed() {
    let mut encoder = Encoder::new();
    let at_limit = vec![(b"n".to_vec(), vec![b'v'; 3072 - 33])];
    assert_eq!(encode(&mut encoder, &at_limit, Indexing::Incremental)[0], 0x40);
    let past = vec![(b"m".to_vec(), vec![b'v'; 3072 - 32])];
    assert_eq!(encode(&mut encoder, &past, Indexing::Incremental)[0], 0x00);
    assert_eq!(encode(&mut encoder, &at_limit, Indexing::Incremental), [0xbe]);
}

#[test]
fn a_secret_is_never_sent_as_an_index() {
    let mut encoder = Encoder::new();
    let secret = fields(&[("authorization", "Bearer token")]);
    encode(&mut encoder, &secret, Indexing::Incremental);
    let block = encode(&mut encoder, &secret, Indexing::Never);
    assert_eq!(block[0], 0x1f);
    assert!(block.len() > 2);
}

#[test]
fn the_encoder_announces_the_smallest_and_the_last_size() {
    let list = fields(&[(":method", "POST")]);
    let mut encoder = Encoder::new();
    for (sizes, block) in [
        (&[][..], &[0x83][..]),
        (&[4096], &[0x83]),
        (&[1 << 20], &[0x83]),
        (&[0, 4096], &[0x20, 0x3f, 0xe1, 0x1f, 0x83]),
        (&[100, 50, 200], &[0x3f, 0x13, 0x3f, 0xa9, 0x01, 0x83]),
        (&[0], &[0x20, 0x83]),
        (&[], &[0x83]),
    ] {
        sizes.iter().for_each(|&size| encoder.set_max_table_size(size));
        assert_eq!(encode(&mut encoder, &list, Indexing::Incremental), block, "{sizes:?}");
    }
}

#[test]
fn a_smaller_table_must_be_announced_once_settings_are_acknowledged() {
    let mut decoder = Decoder::new(100);
    decode(&mut decoder, &bytes("3f e1 1f 82")).unwrap();
    decoder.settings_acknowledged();
    assert_eq!(decode(&mut decoder, &bytes("82")), Err(Error::SizeUpdate));
    assert_eq!(decode(&mut decoder, &bytes("3f 46 82")), Err(Error::SizeUpdate)); // 101
    assert!(decode(&mut decoder, &bytes("3f 45 82")).is_ok()); // 100
    assert!(decode(&mut decoder, &bytes("82")).is_ok());
}

fn indexing() -> impl Strategy<Value = Indexing> {
    prop_oneof![3 => Just(Indexing::Incremental), 1 => Just(Indexing::Without), 1 => Just(Indexing::Never)]
}

/// Fields that repeat, some with static names, some large.
fn field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = prop_oneof![
        Just(b":path".to_vec()),
        Just(b"content-type".to_vec()),
        "[a-d]{0,2}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let value = prop_oneof![
        Just(b"/".to_vec()),
        "[ -~]{0,3}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..1500),
    ];
    (name, value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn integers_there_and_back(value: u32, bits in 1u32..=8) {
        let mut out = Vec::new();
        encode_integer(value as usize, bits, 0, &mut out);
        prop_assert_eq!(super::decoder::integer(&out, bits), Ok(value as usize));
    }

    #[test]
    fn lists_there_and_back(
        blocks in prop::collection::vec(
            (prop::collection::vec(0u32..6000, 0..3), prop::collection::vec((field(), indexing()), 0..20)),
            1..20,
        ),
    ) {
        let mut encoder = Encoder::new();
        let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
        for (sizes, list) in blocks {
            sizes.iter().for_each(|&size| encoder.set_max_table_size(size));
            let mut block = Vec::new();
            for ((name, value), indexing) in &list {
                encoder.encode((&name[..]).into(), value, *indexing, &mut block);
            }
            let expected: Fields = list.into_iter().map(|(field, _)| field).collect();
            prop_assert_eq!(decode(&mut decoder, &block).unwrap(), expected);
            if block.is_empty() {
                continue; // The change of size waits for a block.
            }
            prop_assert_eq!(table(&decoder), (0..encoder.table().len())
                .filter_map(|age| encoder.table().field(age))
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect::<Fields>());
        }
    }

    #[test]
    fn any_bytes_decode_or_are_refused(blocks: Vec<Vec<u8>>, limit in 0u32..1000) {
        let mut decoder = Decoder::new(DEFAULT_TABLE_SIZE);
        for block in blocks {
            match decode_within(&mut decoder, &block, limit) {
                Ok((given, list)) => {
                    let size: usize = given.iter().map(|(name, value)| name.len() + value.len() + 32).sum();
                    prop_assert!(size <= limit as usize);
                    prop_assert!(list.too_large || list.size as usize == size);
                }
                Err(_) => break,
            }
        }
    }
}
