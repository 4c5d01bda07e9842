//! What is sent arrives, however it is cut.

use std::io::IoSlice;

use farcall_security::{Error, MAX_UNSENT};

use crate::world::{Pair, Wire, drain, send};

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(len).collect()
}

#[test]
fn bytes_arrive_in_both_directions() {
    let mut pair = Pair::usual().shaken();
    let (there, back) = (noise(1 << 20, 1), noise(300_000, 2));
    send(&mut pair, true, &there);
    send(&mut pair, false, &back);
    assert!(pair.at_server == there && pair.at_client == back);
}

#[test]
fn pieces_of_any_size_arrive_in_order() {
    let mut random = fastrand::Rng::with_seed(3);
    for seed in 0..40 {
        let mut pair = Pair::usual().shaken();
        let sizes: Vec<usize> = (0..random.usize(1..40))
            .map(|_| match random.u8(0..4) {
                0 => 0,
                1 => random.usize(0..100),
                2 => random.usize(0..20_000),
                _ => 16_384 * random.usize(1..4) + random.usize(0..3) - 1,
            })
            .collect();
        let sent: Vec<Vec<u8>> = sizes.iter().map(|&size| noise(size, random.u64(..))).collect();
        let whole = sent.concat();
        let mut at = 0;
        while at < whole.len() {
            let mut skip = at;
            let mut left = Vec::new();
            for piece in &sent {
                let cut = skip.min(piece.len());
                skip -= cut;
                left.push(IoSlice::new(&piece[cut..]));
            }
            let taken = pair.client.seal(&left);
            assert!(taken > 0);
            at += taken;
            pair.settle_over(Wire::Pieces(40_000, seed));
        }
        assert_eq!(pair.client.error(), None);
        assert!(pair.at_server == whole);
    }
}

#[test]
fn little_pieces_share_a_record() {
    let mut pair = Pair::usual().shaken();
    let pieces = [&b"one"[..], b"two", b"three"].map(IoSlice::new);
    assert_eq!(pair.client.seal(&pieces), 11);
    let sealed = pair.client.poll_transmit().unwrap();
    assert_eq!(sealed.len(), 5 + 11 + 1 + 16);
}

#[test]
fn seal_takes_only_so_much() {
    let mut pair = Pair::usual().shaken();
    let much = noise(MAX_UNSENT + 1, 4);
    assert_eq!(pair.client.seal(&[IoSlice::new(&much[..MAX_UNSENT - 1])]), MAX_UNSENT - 1);
    // Seals have made it longer than the bound already.
    assert_eq!(pair.client.seal(&[IoSlice::new(&much)]), 0);
    assert!(!pair.client.can_seal());
    pair.settle();
    assert!(pair.client.can_seal());
    assert_eq!(pair.client.seal(&[IoSlice::new(&much)]), MAX_UNSENT);
}

#[test]
fn nothing_is_sealed_before_the_handshake_is_over() {
    let mut pair = Pair::usual();
    assert_eq!(pair.client.seal(&[IoSlice::new(b"early")]), 0);
    assert_eq!(pair.server.seal(&[IoSlice::new(b"early")]), 0);
    assert!(!pair.client.can_seal());
}

#[test]
fn every_chopping_opens_the_same() {
    for (most, len) in [(1, 20_000), (5, 40_000), (6, 40_000), (100, 50_000), (16_000, 120_000), (70_000, 120_000)] {
        let mut pair = Pair::usual().shaken();
        let sent = noise(len, 5);
        assert_eq!(pair.client.seal(&[IoSlice::new(&sent)]), sent.len());
        pair.settle_over(Wire::Pieces(most, 7));
        assert!(pair.at_server == sent, "{most}");
    }
}

#[test]
fn goodbye_is_heard_and_ends_the_session() {
    let mut pair = Pair::usual().shaken();
    assert_eq!(pair.client.seal(&[IoSlice::new(b"last words")]), 10);
    pair.client.close();
    assert_eq!(pair.client.seal(&[IoSlice::new(b"more")]), 0);
    pair.settle();
    assert_eq!(pair.at_server, b"last words");
    assert!(pair.server.peer_closed() && !pair.client.peer_closed());
    // The other direction is open, but nobody listens any more.
    assert_eq!(pair.server.seal(&[IoSlice::new(b"answer")]), 6);
    pair.server.close();
    pair.settle();
    assert_eq!(pair.at_client, b"");
    assert_eq!((pair.client.error(), pair.server.error()), (None, None));
    // What comes after goodbye is nobody's.
    pair.server.handle_sealed(&mut b"whatever".to_vec(), |_| panic!());
    pair.server.handle_closed();
    assert_eq!(pair.server.error(), None);
}

#[test]
fn closing_twice_or_too_early_does_no_harm() {
    let mut pair = Pair::usual();
    pair.client.close();
    pair.client.close();
    let mut pair = Pair::usual().shaken();
    pair.client.close();
    pair.client.close();
    pair.settle();
    assert!(pair.server.peer_closed());
}

#[test]
fn a_changed_record_ends_the_session_and_opens_nothing() {
    let mut random = fastrand::Rng::with_seed(9);
    for _ in 0..200 {
        let mut pair = Pair::usual().shaken();
        pair.client.seal(&[IoSlice::new(&noise(500, 1))]);
        let mut sealed = drain(&mut pair.client);
        let at = random.usize(5..sealed.len());
        sealed[at] ^= 1 << random.u8(0..8);
        pair.server.handle_sealed(&mut sealed, |_| panic!("opened"));
        assert!(matches!(pair.server.error(), Some(Error::PeerMisbehaved(_))), "{:?}", pair.server.error());
        assert!(pair.server.poll_transmit().is_some(), "the peer is told");
        let first = pair.server.error().cloned();
        pair.server.handle_sealed(&mut b"whatever".to_vec(), |_| panic!("opened"));
        assert_eq!(pair.server.error().cloned(), first);
    }
}

#[test]
fn a_record_played_again_ends_the_session() {
    let mut pair = Pair::usual().shaken();
    pair.client.seal(&[IoSlice::new(b"pay 5")]);
    let sealed = drain(&mut pair.client);
    let mut opened = Vec::new();
    pair.server.handle_sealed(&mut sealed.clone(), |some| opened.extend_from_slice(some));
    pair.server.handle_sealed(&mut sealed.clone(), |some| opened.extend_from_slice(some));
    assert_eq!(opened, b"pay 5");
    assert!(pair.server.error().is_some());
}
