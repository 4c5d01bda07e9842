//! The first places of many descriptors' bytes in a file's.

use std::collections::{BTreeSet, HashMap};

/// For fewer parts a search for each is quicker.
const WORTH_IT: usize = 32;

/// How the encoding of every descriptor begins: with its name.
const NAME_TAG: u8 = 0x0a;

/// Where each of `parts` begins in `whole` for the first time; 0 for one that does not occur.
///
/// The time does not grow with the product of length and number: a part can begin only where its name stands, and the
/// hash of what follows, which is known for every stretch, tells whether it does.
pub(super) fn first_of_each(whole: &[u8], parts: &[&[u8]]) -> Vec<usize> {
    if parts.len() < WORTH_IT {
        return parts.iter().map(|part| memchr::memmem::find(whole, part).unwrap_or(0)).collect();
    }
    let mut starts = vec![None; parts.len()];
    let mut lengths: HashMap<Stretch, BTreeSet<usize>> = HashMap::new();
    let mut wanted: HashMap<Stretch, Vec<usize>> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        let sums = Sums::of(part);
        match name_at(part, 0, &sums) {
            Some(name) => {
                lengths.entry(name).or_default().insert(part.len());
                wanted.entry(sums.stretch(0, part.len())).or_default().push(index);
            }
            None => starts[index] = memchr::memmem::find(whole, part),
        }
    }
    let sums = Sums::of(whole);
    for start in memchr::memchr_iter(NAME_TAG, whole) {
        let lengths = name_at(whole, start, &sums).and_then(|name| lengths.get(&name));
        for &length in lengths.into_iter().flatten() {
            let Some(here) = whole.get(start..start + length) else { break };
            let Some(candidates) = wanted.get_mut(&sums.stretch(start, length)) else { continue };
            candidates.retain(|&index| {
                let is_here = parts[index] == here;
                if is_here {
                    starts[index] = Some(start);
                }
                !is_here
            });
        }
    }
    starts.into_iter().map(Option::unwrap_or_default).collect()
}

/// A stretch of bytes by its length and hash.
type Stretch = (usize, u64);

/// The name of a descriptor that begins at `start`.
fn name_at(bytes: &[u8], start: usize, sums: &Sums) -> Option<Stretch> {
    let mut rest = bytes.get(start..)?.strip_prefix(&[NAME_TAG])?;
    let length = usize::try_from(buffa::encoding::decode_varint(&mut rest).ok()?).ok()?;
    (length <= rest.len()).then(|| sums.stretch(bytes.len() - rest.len(), length))
}

/// A polynomial hash of every beginning of some bytes.
struct Sums(Vec<u64>);

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

impl Sums {
    fn of(bytes: &[u8]) -> Self {
        let next = |sum: &mut u64, byte: &u8| {
            *sum = sum.wrapping_mul(BASE).wrapping_add(u64::from(*byte) + 1);
            Some(*sum)
        };
        Sums(std::iter::once(0).chain(bytes.iter().scan(0, next)).collect())
    }

    fn stretch(&self, start: usize, length: usize) -> Stretch {
        let power = BASE.wrapping_pow(u32::try_from(length).unwrap_or(u32::MAX));
        (length, self.0[start + length].wrapping_sub(self.0[start].wrapping_mul(power)))
    }
}

#[cfg(test)]
mod tests {
    use super::first_of_each;

    fn descriptor(name: &str, rest: &[u8]) -> Vec<u8> {
        [&[0x0a, name.len() as u8], name.as_bytes(), rest].concat()
    }

    #[test]
    fn many_are_found_where_a_search_for_each_finds_them() {
        let parts: Vec<Vec<u8>> = (0_u8..120)
            .map(|index| match index % 4 {
                0 => descriptor("A", &[]),
                1 => descriptor("A", &[0x10, index]),
                2 => descriptor(&format!("Name{}", index / 8), &[0x22, 1, 0x0a]),
                _ => descriptor("Entry", &vec![index / 16; usize::from(index)]),
            })
            .collect();
        let mut whole = b"\x0a\xff\xff\xff\xff\xff\x01\x0a\x01".to_vec();
        for part in parts.iter().skip(2).chain(&parts[..1]) {
            whole.extend([0x22, part.len() as u8]);
            whole.extend(part);
        }
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let expected: Vec<usize> = slices.iter().map(|part| memchr::memmem::find(&whole, part).unwrap_or(0)).collect();
        assert_eq!(first_of_each(&whole, &slices), expected);
        assert_eq!(first_of_each(&whole, &slices[..5]), expected[..5]);
        assert_eq!(first_of_each(&[], &slices), vec![0; 120]);
    }

    #[test]
    fn parts_that_are_no_descriptors_are_found_too() {
        let parts: Vec<Vec<u8>> = (0..40).map(|index| vec![index + 100, 1]).collect();
        let whole: Vec<u8> = parts.concat();
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let expected: Vec<usize> = (0..40).map(|index| index * 2).collect();
        assert_eq!(first_of_each(&whole, &slices), expected);
    }
}
