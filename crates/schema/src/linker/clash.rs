//! Ranges of numbers that may have some in common, told from those that have none without comparing each with each.

/// Which ranges and numbers are worth comparing with every range, which few are. Ends are exclusive.
pub(super) struct Clash {
    pub(super) reserved: Bounds,
    /// Extension ranges, too.
    pub(super) all: Bounds,
}

pub(super) type Range = (i64, i64);

impl Clash {
    pub(super) fn of(reserved: impl Iterator<Item = Range> + Clone, extensions: impl Iterator<Item = Range>) -> Self {
        Clash { reserved: Bounds::of(reserved.clone()), all: Bounds::of(reserved.chain(extensions)) }
    }

    /// Whether a range may have the number.
    pub(super) fn has(&self, number: i32) -> bool {
        self.all.meeting((number.into(), i64::from(number) + 1)) > 0
    }
}

/// Where ranges start and where they end, each sorted.
pub(super) struct Bounds {
    starts: Vec<i64>,
    ends: Vec<i64>,
}

impl Bounds {
    fn of(ranges: impl Iterator<Item = Range>) -> Self {
        // Those that end before they start are wrong, but are compared nonetheless: they count from end to start.
        let (mut starts, mut ends): (Vec<i64>, Vec<i64>) =
            ranges.map(|(start, end)| (start.min(end), start.max(end))).unzip();
        starts.sort_unstable();
        ends.sort_unstable();
        Bounds { starts, ends }
    }

    /// How many ranges may have numbers in common with this one.
    fn meeting(&self, (start, end): Range) -> usize {
        let begun = self.starts.partition_point(|&other| other < end);
        let over = self.ends.partition_point(|&other| other <= start);
        begun.saturating_sub(over)
    }

    /// Whether a range among these may have numbers in common with another of them.
    pub(super) fn has_others(&self, range: Range) -> bool {
        range.0 >= range.1 || self.meeting(range) > 1
    }
}

#[cfg(test)]
mod tests {
    use super::Clash;

    #[test]
    fn no_pair_that_clashes_is_passed_over() {
        // Small enough for every pair and triple, backward ranges included.
        let all: Vec<(i64, i64)> = (0..5).flat_map(|start| (0..5).map(move |end| (start, end))).collect();
        for &range in &all {
            for &other in &all {
                for &third in &all {
                    let overlap = range.1 > other.0 && other.1 > range.0;
                    let clash = Clash::of([range, third, other].into_iter(), std::iter::empty());
                    assert!(clash.reserved.has_others(range) || !overlap, "{range:?} {other:?} {third:?}");
                    let clash = Clash::of([range].into_iter(), [third, other].into_iter());
                    assert!(clash.all.has_others(range) || !overlap, "{range:?} {other:?} {third:?}");
                    for number in 0..5_i32 {
                        let is_taken = range.0 <= number.into() && i64::from(number) < range.1;
                        assert!(clash.has(number) || !is_taken, "{number} {range:?}");
                    }
                }
            }
        }
        let apart = Clash::of([(1, 2), (2, 5), (7, 9)].into_iter(), [(5, 7)].into_iter());
        assert!(!apart.all.has_others((2, 5)) && !apart.reserved.has_others((7, 9)) && !apart.has(9));
    }
}
