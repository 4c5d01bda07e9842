//! XXH64 with seed 0 (xxHash's specification), which all gRPC libraries place endpoints on rings with.

const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME_3: u64 = 0x1656_67b1_9e37_79f9;
const PRIME_4: u64 = 0x85eb_ca77_c2b2_ae63;
const PRIME_5: u64 = 0x27d4_eb2f_1656_67c5;

pub(super) fn xxh64(bytes: &[u8]) -> u64 {
    let (stripes, mut tail) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() { PRIME_5 } else { long(stripes) };
    hash = hash.wrapping_add(bytes.len() as u64);
    while let Some((lane, left)) = tail.split_first_chunk::<8>() {
        hash ^= round(0, u64::from_le_bytes(*lane));
        hash = hash.rotate_left(27).wrapping_mul(PRIME_1).wrapping_add(PRIME_4);
        tail = left;
    }
    if let Some((half, left)) = tail.split_first_chunk::<4>() {
        hash ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIME_1);
        hash = hash.rotate_left(23).wrapping_mul(PRIME_2).wrapping_add(PRIME_3);
        tail = left;
    }
    for byte in tail {
        hash ^= u64::from(*byte).wrapping_mul(PRIME_5);
        hash = hash.rotate_left(11).wrapping_mul(PRIME_1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(PRIME_3);
    hash ^ (hash >> 32)
}

/// What 32 bytes and more come to before their end: four lanes side by side, then merged.
fn long(stripes: &[[u8; 32]]) -> u64 {
    let mut lanes = [PRIME_1.wrapping_add(PRIME_2), PRIME_2, 0, 0u64.wrapping_sub(PRIME_1)];
    for stripe in stripes {
        for (lane, word) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
            *lane = round(*lane, u64::from_le_bytes(*word));
        }
    }
    let [a, b, c, d] = lanes;
    let sum = a.rotate_left(1).wrapping_add(b.rotate_left(7)).wrapping_add(c.rotate_left(12));
    lanes.into_iter().fold(sum.wrapping_add(d.rotate_left(18)), |hash, lane| {
        (hash ^ round(0, lane)).wrapping_mul(PRIME_1).wrapping_add(PRIME_4)
    })
}

fn round(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(PRIME_2)).rotate_left(31).wrapping_mul(PRIME_1)
}

#[cfg(test)]
mod tests {
    use super::xxh64;

    #[test]
    fn hashes_as_the_reference_does() {
        let ramp: Vec<u8> = (0..=100).collect();
        for (bytes, hash) in [
            (&b""[..], 0xef46_db37_51d8_e999),
            (b"a", 0xd24e_c4f1_a98c_6e5b),
            (b"abc", 0x44bc_2cf5_ad77_0999),
            (b"127.0.0.1:1_0", 0xa1e1_a904_6c1f_37a0),
            (b"0123456789abcdef", 0x5c5b_90c3_4e37_6d0b),
            (b"Call me Ishmael. Some years ago--never mind how long precisely-", 0x02a2_e854_70d6_fd96),
            (&ramp, 0xe990_3849_5f85_381e),
        ] {
            assert_eq!(xxh64(bytes), hash, "{bytes:?}");
        }
    }
}
