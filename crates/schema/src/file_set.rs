//! Sets of files that stay small however long chains of public imports are: files are numbered after what they import,
//! so what a file passes on is a few runs of numbers.

use std::ops::Range;

use crate::pool::FileId;

/// A set of files.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSet {
    /// In order, with gaps between them.
    runs: Vec<Range<u32>>,
}

impl FileSet {
    /// The run that holds one file.
    pub(crate) fn range(FileId(index): FileId) -> Range<u32> {
        index..index + 1
    }

    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<u32>> {
        self.runs.iter().cloned()
    }

    /// All that is in one of `ranges`.
    pub(crate) fn union(ranges: impl Iterator<Item = Range<u32>>) -> Self {
        let mut sorted: Vec<Range<u32>> = ranges.collect();
        sorted.sort_unstable_by_key(|range| range.start);
        let mut runs: Vec<Range<u32>> = Vec::new();
        for range in sorted {
            match runs.last_mut().filter(|last| range.start <= last.end) {
                Some(last) => last.end = last.end.max(range.end),
                None => runs.push(range),
            }
        }
        runs.shrink_to_fit();
        FileSet { runs }
    }

    pub(crate) fn contains(&self, FileId(index): FileId) -> bool {
        let after = self.runs.partition_point(|run| run.start <= index);
        self.runs[..after].last().is_some_and(|run| index < run.end)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = FileId> {
        self.runs.iter().cloned().flatten().map(FileId)
    }
}

#[cfg(test)]
mod tests {
    use super::FileSet;
    use crate::pool::FileId;

    #[test]
    fn a_union_holds_what_its_parts_hold() {
        let set = FileSet::union([5..6, 1..3, 2..4, 4..5, 9..10, 9..10].into_iter());
        assert_eq!(set.ranges().collect::<Vec<_>>(), [1..6, 9..10]);
        for index in 0..12 {
            assert_eq!(set.contains(FileId(index)), matches!(index, 1..6 | 9), "{index}");
        }
        assert_eq!(set.iter().map(|FileId(index)| index).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 9]);
        assert!(!FileSet::default().contains(FileId(0)));
    }
}
