use std::time::Duration;

use farcall_core::{Metadata, Status};
use farcall_engine::Config;

use super::{Raw, raw::PREFACE};

/// Feeds any bytes to a server that serves what it gets. The first byte says whether a preface goes before them.
pub fn feed_server(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let mut raw = Raw::new(Config::server());
    if first & 1 == 0 {
        raw.send_bytes(PREFACE);
    }
    for piece in bytes.chunks(usize::from(first >> 1) + 1) {
        if raw.end.disconnected.is_some() {
            break;
        }
        raw.send_bytes(piece);
        while let Some(call) = raw.end.poll_request() {
            for message in raw.end.messages(call) {
                // Refused when the call is over already.
                let _ = raw.end.connection.send_message(call, message);
            }
            if first & 2 == 0 {
                let _ = raw.end.connection.respond(call, &Status::OK, &Metadata::new());
            }
        }
        raw.frames();
    }
    finish(raw);
}

/// Feeds any bytes to a client with a few calls open.
pub fn feed_client(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let mut raw = Raw::new(Config::client());
    for timeout in [None, Some(Duration::from_secs(1)), None] {
        let call = raw.open(timeout);
        raw.end.connection.send_message(call, &b"message"[..]).expect("the call is open");
    }
    raw.frames();
    for piece in bytes.chunks(usize::from(first >> 1) + 1) {
        if raw.end.disconnected.is_some() {
            break;
        }
        raw.send_bytes(piece);
        raw.frames();
    }
    finish(raw);
}

/// Whatever came before, the end of the transport ends everything.
pub fn finish(mut raw: Raw) {
    raw.sleep(Duration::from_secs(10));
    raw.send_end_of_file();
    raw.frames();
    assert!(raw.end.disconnected.is_some());
    assert!(raw.end.seen.values().all(|seen| seen.closed.is_some()));
    assert_eq!(raw.end.connection.calls(), 0);
    assert_eq!(raw.end.connection.poll_timeout(), None);
}
