use super::xxhash::xxh64;

/// Endpoints on a ring of hashes (ketama), each at as many places as it weighs. One that comes or goes moves only the calls
/// between it and its neighbours.
#[derive(Default, Debug)]
pub(super) struct Ring {
    /// In the order of their hashes: each with the index of its endpoint.
    places: Box<[(u64, usize)]>,
}

impl Ring {
    /// A ring for endpoints of these keys and weights: with at least `min` places if that gives whole numbers of them, and no
    /// more than `max`, but one for each endpoint.
    pub(super) fn new(endpoints: &[(String, u32)], min: u32, max: u32) -> Ring {
        let sum: f64 = endpoints.iter().map(|(_, weight)| f64::from(*weight)).sum();
        let least = endpoints.iter().map(|(_, weight)| f64::from(*weight) / sum).fold(1.0, f64::min);
        // So that the endpoint of the least weight has a whole number of places.
        let scale = ((least * f64::from(min)).ceil() / least).min(f64::from(max));
        let (mut places, mut wanted, mut made) = (Vec::new(), 0.0, 0.0);
        for (index, (key, weight)) in endpoints.iter().enumerate() {
            wanted += scale * f64::from(*weight) / sum;
            let mut count = 0;
            while made < wanted {
                places.push((xxh64(format!("{key}_{count}").as_bytes()), index));
                count += 1;
                made += 1.0;
            }
        }
        places.sort_unstable();
        Ring { places: places.into() }
    }

    /// The endpoints from this hash on, once round the ring.
    pub(super) fn from(&self, hash: u64) -> impl Iterator<Item = usize> {
        let first = self.places.partition_point(|(place, _)| *place < hash);
        let (before, after) = self.places.split_at(first);
        after.iter().chain(before).map(|(_, index)| *index)
    }
}

/// The place of a request whose header has this value.
pub(super) fn hash(value: &[u8]) -> u64 {
    xxh64(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(weights: &[u32], min: u32, max: u32) -> Ring {
        let endpoints: Vec<_> =
            weights.iter().enumerate().map(|(host, weight)| (format!("host-{host}"), *weight)).collect();
        Ring::new(&endpoints, min, max)
    }

    fn places(ring: &Ring, endpoints: usize) -> Vec<usize> {
        (0..endpoints).map(|index| ring.places.iter().filter(|(_, at)| *at == index).count()).collect()
    }

    #[test]
    fn each_has_as_many_places_as_it_weighs() {
        assert_eq!(places(&ring(&[1, 1, 1], 1024, 4096), 3), [342, 342, 342]);
        assert_eq!(places(&ring(&[1, 2, 5], 1024, 4096), 3), [128, 256, 640]);
        assert_eq!(places(&ring(&[1, 1], 1, 1), 2), [1, 0], "no more than there may be");
        assert_eq!(places(&ring(&[7], 1, 4096), 1), [1]);
        assert!(ring(&[], 1024, 4096).from(5).next().is_none());
    }

    #[test]
    fn a_walk_begins_at_the_hash_and_goes_once_round() {
        let ring = ring(&[1, 1, 1], 16, 4096);
        let all: Vec<usize> = ring.places.iter().map(|(_, index)| *index).collect();
        let (third, last) = (ring.places[2].0, ring.places[ring.places.len() - 1].0);
        assert!(ring.from(0).eq(all.iter().copied()));
        assert!(ring.from(third).eq(all[2..].iter().chain(&all[..2]).copied()), "a place is its own");
        assert!(ring.from(third + 1).eq(all[3..].iter().chain(&all[..3]).copied()));
        assert!(ring.from(last + 1).eq(all), "after the last comes the first");
    }

    #[test]
    fn one_that_goes_moves_no_calls_but_its_own() {
        let (before, after) = (ring(&[1; 10], 1024, 4096), ring(&[1; 9], 1024, 4096));
        let mut moved = 0;
        for call in 0..10_000u64 {
            let hash = hash(&call.to_le_bytes());
            let (was, is) = (before.from(hash).next(), after.from(hash).next());
            if was != is {
                moved += 1;
                // Rings of other sizes differ in a few places.
                assert!(was == Some(9) || moved < 2_500, "{was:?} to {is:?}");
            }
        }
        assert!((500..2_500).contains(&moved), "{moved} of 10,000 moved");
    }
}
