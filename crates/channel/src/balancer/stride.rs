/// Picks by weight without a lock and without a queue: grpc's static stride scheduler (gRFC A58). Turns count up; in each
/// round the i-th weight is passed over as often as it falls short of the greatest.
#[derive(Debug)]
pub(super) struct Stride {
    weights: Box<[u16]>,
}

const MOST: u64 = u16::MAX as u64;

/// A weight counts no more than so many times the mean, and no less than this share of it.
const MOST_OF_MEAN: f32 = 10.0;
const LEAST_OF_MEAN: f32 = 0.01;

impl Stride {
    /// One for these weights, of which 0 is not known and counts as the mean, each with the share of it that counts now;
    /// `None` when fewer than two are known.
    pub(super) fn new(weights: &[(f32, f32)]) -> Option<Stride> {
        let known: Vec<f32> = weights.iter().map(|(weight, _)| *weight).filter(|weight| *weight > 0.0).collect();
        if known.len() < 2 {
            return None;
        }
        #[allow(clippy::cast_precision_loss)] // A count of endpoints.
        let mean = known.iter().sum::<f32>() / known.len() as f32;
        let greatest = known.iter().copied().fold(0.0, f32::max).min(mean * MOST_OF_MEAN);
        let scale = f32::from(u16::MAX) / greatest;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to the range.
        let scaled = |weight: f32| (weight * scale).round().clamp(1.0, f32::from(u16::MAX)) as u16;
        let least = scaled(mean * LEAST_OF_MEAN);
        let weights = weights.iter().map(|(weight, share)| match *weight > 0.0 {
            true => scaled(*weight * share).max(least),
            false => scaled(mean * share).max(least),
        });
        Some(Stride { weights: weights.collect() })
    }

    /// The index whose turn it is; `turn` counts up.
    pub(super) fn next(&self, turn: impl Fn() -> u64) -> usize {
        let count = self.weights.len() as u64;
        loop {
            let turn = turn();
            let (round, index) = (turn / count, turn % count);
            let index = usize::try_from(index).unwrap_or_default();
            let weight = u64::from(self.weights.get(index).copied().unwrap_or(u16::MAX));
            // Half a round apart, so that neighbours are not passed over together.
            let position = (weight * (round & 0xffff_ffff) + index as u64 * (MOST / 2)) % MOST;
            if position >= MOST - weight {
                return index;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::Stride;

    fn spread(weights: &[f32], picks: usize) -> Vec<usize> {
        let weights: Vec<(f32, f32)> = weights.iter().map(|weight| (*weight, 1.0)).collect();
        let (stride, turn) = (Stride::new(&weights).unwrap(), Cell::new(0));
        let mut spread = vec![0; weights.len()];
        for _ in 0..picks {
            spread[stride.next(|| turn.replace(turn.get() + 1))] += 1;
        }
        spread
    }

    #[test]
    fn each_is_picked_as_often_as_it_weighs() {
        let spread = spread(&[1.0, 2.0, 5.0], 8000);
        for (picks, expected) in spread.iter().zip([1000, 2000, 5000]) {
            assert!(picks.abs_diff(expected) < 30, "{spread:?}");
        }
    }

    #[test]
    fn what_is_not_known_counts_as_the_mean() {
        let spread = spread(&[1.0, 0.0, 3.0], 6000);
        assert!(spread[1].abs_diff(2000) < 30, "{spread:?}");
        assert!(Stride::new(&[(1.0, 1.0), (0.0, 1.0)]).is_none() && Stride::new(&[]).is_none());
    }

    #[test]
    fn no_weight_is_without_bounds() {
        let many: Vec<f32> = std::iter::once(1e9).chain(std::iter::repeat_n(1.0, 99)).collect();
        let spread = spread(&many, 100_000);
        assert!(spread.iter().all(|picks| *picks > 0), "{spread:?}");
    }
}
