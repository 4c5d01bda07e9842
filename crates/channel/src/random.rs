/// SplitMix64: plenty for spreading clients, and a run can be repeated from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        #[allow(clippy::cast_precision_loss)] // 53 bits are exact.
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        unit
    }
}

/// A number below `count` made of these bits; evenly, if they are.
pub(crate) fn below(random: u64, count: usize) -> usize {
    let product = u128::from(random) * count as u128;
    usize::try_from(product >> 64).unwrap_or_default()
}
