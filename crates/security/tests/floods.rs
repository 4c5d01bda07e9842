//! Peers that try to make this side keep or do too much.

use farcall_security::{Error, MAX_HELD};

use crate::world::{Pair, drain};

fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut record = vec![kind, 3, 3];
    record.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
    record.extend_from_slice(payload);
    record
}

/// A ClientHello of 16 MiB, which is announced and never ends, in records of `piece` bytes.
fn endless_hello(piece: usize) -> (usize, Error) {
    let mut pair = Pair::usual();
    let mut sent = 0;
    let mut payload = vec![1, 0xff, 0xff, 0xff];
    loop {
        payload.resize(piece.max(4), 0);
        sent += payload.len();
        pair.server.handle_sealed(&mut record(22, &payload), |_| panic!());
        if let Some(error) = pair.server.error() {
            return (sent, error.clone());
        }
        assert!(sent <= MAX_HELD, "{sent} bytes of one message are held");
        payload.clear();
    }
}

#[test]
fn a_hello_without_end_is_cut_off() {
    for piece in [4, 100, 16_384] {
        let (sent, error) = endless_hello(piece);
        assert!(matches!(error, Error::PeerMisbehaved(_)), "{error:?} after {sent}");
    }
}

#[test]
fn records_that_are_too_long_are_refused_by_their_header() {
    let mut pair = Pair::usual();
    pair.server.handle_sealed(&mut [22, 3, 3, 0xff, 0xff], |_| panic!());
    assert!(matches!(pair.server.error(), Some(Error::PeerMisbehaved(_))), "{:?}", pair.server.error());
    let mut pair = Pair::usual().shaken();
    pair.server.handle_sealed(&mut [23, 3, 3, 0x48, 0x01], |_| panic!());
    assert!(matches!(pair.server.error(), Some(Error::PeerMisbehaved(_))), "{:?}", pair.server.error());
}

#[test]
fn empty_records_and_dead_weight_are_refused() {
    // Change-cipher-spec, which TLS 1.3 passes over for the sake of old boxes, but not for ever.
    let mut pair = Pair::usual();
    let mut hello = drain(&mut pair.client);
    pair.server.handle_sealed(&mut hello, |_| panic!());
    for _ in 0..100 {
        pair.server.handle_sealed(&mut record(20, &[1]), |_| panic!());
    }
    assert!(pair.server.error().is_some());
    // Alerts that mean nothing.
    let mut pair = Pair::usual();
    for _ in 0..100 {
        pair.server.handle_sealed(&mut record(21, &[1, 90]), |_| panic!());
    }
    assert!(pair.server.error().is_some());
}

#[test]
fn a_second_hello_is_no_way_to_begin_again() {
    let mut pair = Pair::usual().shaken();
    let mut again = Pair::usual();
    let mut hello = drain(&mut again.client);
    pair.server.handle_sealed(&mut hello, |_| panic!());
    assert!(pair.server.error().is_some());
}

#[test]
fn noise_is_no_harm() {
    let mut random = fastrand::Rng::with_seed(11);
    for round in 0..300 {
        let mut pair = if round % 2 == 0 { Pair::usual() } else { Pair::usual().shaken() };
        for _ in 0..random.usize(1..20) {
            let len = random.usize(0..300);
            let mut bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
            if random.bool() && bytes.len() > 5 {
                let len = u16::try_from(bytes.len() - 5).unwrap().to_be_bytes();
                bytes[..5].copy_from_slice(&[random.u8(20..25), 3, 3, len[0], len[1]]);
            }
            pair.server.handle_sealed(&mut bytes.clone(), |_| panic!("opened noise"));
            pair.client.handle_sealed(&mut bytes, |_| panic!("opened noise"));
        }
    }
}
