//! Inputs that fuzzing found worth keeping, played as plain tests: every file of `fuzz/seeds` whose target drives a
//! whole connection. (Those of single parsers are played inside the crate, by `src/fuzzing.rs`.)

use std::path::Path;

use crate::support::{feed_client, feed_server, hostile, play};

fn each_seed(target: &str, mut run: impl FnMut(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        eprintln!("{}", file.display());
        run(&std::fs::read(&file).expect("the file can be read"));
    }
}

#[test]
fn connection_server() {
    each_seed("connection_server", feed_server);
}

#[test]
fn connection_client() {
    each_seed("connection_client", feed_client);
}

#[test]
fn connection_ops() {
    each_seed("connection_ops", play);
}

#[test]
fn connection_hostile() {
    each_seed("connection_hostile", hostile);
}
