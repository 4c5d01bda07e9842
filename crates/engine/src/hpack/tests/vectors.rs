//! The public test vectors of HPACK: what other encoders made of many header lists, and what they were. See
//! `tests/data/hpack/README.md`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::hpack::{DEFAULT_TABLE_SIZE, Decoder, Encoder, Indexing};

#[derive(Deserialize)]
struct Story {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    /// SETTINGS_HEADER_TABLE_SIZE that the encoder was given just before.
    header_table_size: Option<u32>,
    /// Hexadecimal; the stories without are lists that nobody encoded.
    #[serde(default)]
    wire: String,
    /// One name and value each.
    headers: Vec<BTreeMap<String, String>>,
}

type Fields = Vec<(String, String)>;

impl Case {
    fn fields(&self) -> Fields {
        self.headers.iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn block(&self) -> Vec<u8> {
        assert!(self.wire.len().is_multiple_of(2));
        (0..self.wire.len()).step_by(2).map(|at| u8::from_str_radix(&self.wire[at..at + 2], 16).unwrap()).collect()
    }
}

impl Story {
    /// Stories of a collection: files `story_*.json` in a folder for each encoder.
    fn all() -> Vec<(PathBuf, Story)> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/hpack");
        let root = std::env::var_os("FARCALL_HPACK_VECTORS").map_or(here, PathBuf::from);
        let entries = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let files = entries(&root).into_iter().filter(|path| path.is_dir()).flat_map(|folder| entries(&folder));
        let stories = files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("story_"));
        stories.map(|path| (path.clone(), serde_json::from_slice(&fs::read(path).unwrap()).unwrap())).collect()
    }

    /// The largest table that the encoder was ever allowed.
    fn table_size(&self) -> u32 {
        self.cases.iter().filter_map(|case| case.header_table_size).max().unwrap_or(DEFAULT_TABLE_SIZE)
    }
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Fields {
    let mut fields = Fields::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let list = decoder.decode(block, u32::MAX, |name, value| fields.push((text(name), text(value)))).unwrap();
    assert!(!list.too_large);
    fields
}

#[test]
fn blocks_of_other_encoders() {
    let (mut stories, mut blocks) = (0, 0);
    for (path, story) in Story::all() {
        let mut decoder = Decoder::new(story.table_size());
        let encoded = story.cases.iter().filter(|case| !case.wire.is_empty());
        for (at, case) in encoded.enumerate() {
            assert_eq!(decode(&mut decoder, &case.block()), case.fields(), "{} {at}", path.display());
            blocks += 1;
        }
        stories += 1;
    }
    println!("{blocks} blocks of {stories} stories");
    assert!(stories >= 40 && blocks >= 200, "{blocks} blocks of {stories} stories");
}

#[test]
fn header_lists_there_and_back() {
    for (path, story) in Story::all() {
        for indexing in [Indexing::Incremental, Indexing::Without, Indexing::Never] {
            let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(DEFAULT_TABLE_SIZE));
            for (at, case) in story.cases.iter().enumerate() {
                if let Some(size) = case.header_table_size {
                    encoder.set_max_table_size(size);
                }
                let (fields, mut block) = (case.fields(), Vec::new());
                for (name, value) in &fields {
                    encoder.encode(name.as_bytes().into(), value.as_bytes(), indexing, &mut block);
                }
                assert_eq!(decode(&mut decoder, &block), fields, "{} {at} {indexing:?}", path.display());
            }
        }
    }
}
