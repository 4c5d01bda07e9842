//! Where everything of one file stands in its source, packed: a file has more positions than anything else, and few of
//! them are ever looked at.

use buffa_descriptor::generated::descriptor::SourceCodeInfo;
use buffa_descriptor::generated::descriptor::source_code_info::Location;

/// Stands for the end of a position that has none yet.
const OPEN: i32 = -1;

/// A position, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) usize);

/// The positions of one file in the order in which they begin.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    entries: Vec<Entry>,
    /// The paths of all entries.
    steps: Vec<i32>,
    comments: Vec<Comments>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    path_start: usize,
    path_len: u32,
    /// One more than the index among the comments; 0 for none.
    comments: u32,
    start: (i32, i32),
    end: (i32, i32),
}

/// What is written around a declaration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comments {
    pub(crate) leading: Option<String>,
    pub(crate) trailing: Option<String>,
    pub(crate) detached: Vec<String>,
}

impl Positions {
    /// Begins a position whose path is that of `parent` and then `steps`.
    pub(crate) fn open(&mut self, parent: Option<Place>, steps: &[i32], start: (i32, i32)) -> Place {
        let path_start = self.steps.len();
        if let Some(parent) = parent {
            let Entry { path_start, path_len, .. } = self.entries[parent.0];
            self.steps.extend_from_within(path_start..path_start + path_len as usize);
        }
        self.steps.extend_from_slice(steps);
        let path_len = (self.steps.len() - path_start) as u32;
        self.entries.push(Entry { path_start, path_len, comments: 0, start, end: (OPEN, OPEN) });
        Place(self.entries.len() - 1)
    }

    pub(crate) fn is_open(&self, Place(index): Place) -> bool {
        self.entries[index].end.0 == OPEN
    }

    pub(crate) fn start(&self, Place(index): Place) -> (i32, i32) {
        self.entries[index].start
    }

    /// Start and end.
    pub(crate) fn span(&self, Place(index): Place) -> [(i32, i32); 2] {
        let Entry { start, end, .. } = self.entries[index];
        [start, end]
    }

    pub(crate) fn set_start(&mut self, Place(index): Place, start: (i32, i32)) {
        self.entries[index].start = start;
    }

    pub(crate) fn set_end(&mut self, Place(index): Place, end: (i32, i32)) {
        self.entries[index].end = end;
    }

    pub(crate) fn set_comments(&mut self, Place(index): Place, comments: Comments) {
        self.comments.push(comments);
        self.entries[index].comments = self.comments.len() as u32;
    }

    /// Adds a step at the end of a path.
    pub(crate) fn add_step(&mut self, Place(index): Place, step: i32) {
        let Entry { path_start, path_len, .. } = self.entries[index];
        let path_end = path_start + path_len as usize;
        if path_end != self.steps.len() {
            self.entries[index].path_start = self.steps.len();
            self.steps.extend_from_within(path_start..path_end);
        }
        self.steps.push(step);
        self.entries[index].path_len += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn path(&self, Place(index): Place) -> &[i32] {
        let Entry { path_start, path_len, .. } = self.entries[index];
        &self.steps[path_start..path_start + path_len as usize]
    }

    /// All positions with their paths.
    pub(crate) fn paths(&self) -> impl DoubleEndedIterator<Item = (Place, &[i32])> {
        (0..self.entries.len()).map(|index| (Place(index), self.path(Place(index))))
    }

    /// Puts all positions from `recorded` on a second time, with another index at one step of their paths.
    pub(crate) fn repeat(&mut self, recorded: std::ops::Range<usize>, step: usize, index: i32) {
        for place in recorded {
            let mut entry = self.entries[place];
            let path_end = entry.path_start + entry.path_len as usize;
            let path_start = self.steps.len();
            self.steps.extend_from_within(entry.path_start..path_end);
            self.steps[path_start + step] = index;
            entry.path_start = path_start;
            self.entries.push(entry);
        }
    }

    /// Gives positions new paths, as `path_of` says by the path they have; positions below a moved one go.
    pub(crate) fn move_all<'p>(&mut self, path_of: impl Fn(&[i32]) -> Option<&'p [i32]>) {
        let old = std::mem::take(self);
        self.entries.reserve_exact(old.entries.len());
        self.steps.reserve(old.steps.len());
        let mut moved: Option<&[i32]> = None;
        for (index, &entry) in old.entries.iter().enumerate() {
            let path = old.path(Place(index));
            if moved.is_some_and(|moved| path.starts_with(moved)) {
                continue;
            }
            let new = path_of(path);
            moved = new.map(|_| path);
            let path = new.unwrap_or(path);
            self.entries.push(Entry { path_start: self.steps.len(), path_len: path.len() as u32, ..entry });
            self.steps.extend_from_slice(path);
        }
        self.comments = old.comments;
        self.shrink();
    }

    /// Lets go of memory that is there only to grow.
    pub(crate) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
        self.steps.shrink_to_fit();
        self.comments.shrink_to_fit();
    }

    /// As descriptors have it: those positions whose paths are `wanted`.
    pub(crate) fn source_code_info(&self, wanted: impl Fn(&[i32]) -> bool) -> SourceCodeInfo {
        let locations = self.paths().filter(|(_, path)| wanted(path)).map(|(place, path)| self.location(place, path));
        SourceCodeInfo { location: locations.collect(), ..Default::default() }
    }

    fn location(&self, Place(index): Place, path: &[i32]) -> Location {
        let Entry { start, end, comments, .. } = self.entries[index];
        let span = match end {
            (OPEN, _) => vec![start.0, start.1],
            (line, column) if line == start.0 => vec![start.0, start.1, column],
            (line, column) => vec![start.0, start.1, line, column],
        };
        let comments = (comments as usize).checked_sub(1).map(|index| self.comments[index].clone()).unwrap_or_default();
        Location {
            path: path.to_vec(),
            span,
            leading_comments: comments.leading,
            trailing_comments: comments.trailing,
            leading_detached_comments: comments.detached,
            ..Default::default()
        }
    }

    /// Packs what a descriptor has.
    #[cfg(test)]
    fn of(info: SourceCodeInfo) -> Self {
        let mut positions = Positions::default();
        for location in info.location {
            let at = |index: usize| location.span.get(index).copied().unwrap_or(0);
            let place = positions.open(None, &location.path, (at(0), at(1)));
            match location.span.len() {
                0..3 => {}
                3 => positions.set_end(place, (at(0), at(2))),
                _ => positions.set_end(place, (at(2), at(3))),
            }
            let comments = Comments {
                leading: location.leading_comments,
                trailing: location.trailing_comments,
                detached: location.leading_detached_comments,
            };
            if comments.leading.is_some() || comments.trailing.is_some() || !comments.detached.is_empty() {
                positions.set_comments(place, comments);
            }
        }
        positions.shrink();
        positions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let location = |path: &[i32], span: &[i32], leading: Option<&str>| Location {
            path: path.to_vec(),
            span: span.to_vec(),
            leading_comments: leading.map(str::to_owned),
            ..Default::default()
        };
        let info = SourceCodeInfo {
            location: vec![
                location(&[], &[0, 0, 9, 1], None),
                location(&[4, 0], &[2, 0, 12], Some(" A.\n")),
                location(&[4, 0, 1], &[2, 8, 9], None),
            ],
            ..Default::default()
        };
        let positions = Positions::of(info.clone());
        assert_eq!(positions.source_code_info(|_| true), info);
        assert_eq!(positions.source_code_info(|path| path == [4, 0]).location, info.location[1..2]);
    }

    #[test]
    fn a_step_is_added_to_a_path_that_others_follow() {
        let mut positions = Positions::default();
        let first = positions.open(None, &[4], (0, 0));
        let second = positions.open(Some(first), &[0], (0, 0));
        positions.add_step(first, 7);
        positions.add_step(first, 8);
        assert_eq!((positions.path(first), positions.path(second)), (&[4, 7, 8][..], &[4, 0][..]));
    }

    #[test]
    fn a_moved_position_leaves_those_below_it_behind() {
        let mut positions = Positions::default();
        for path in [&[8][..], &[8, 999, 0], &[8, 999, 0, 2], &[8, 999, 1], &[9]] {
            positions.open(None, path, (0, 0));
        }
        positions.move_all(|path| (path == [8, 999, 0]).then_some(&[8, 50][..]));
        let paths: Vec<&[i32]> = positions.paths().map(|(_, path)| path).collect();
        assert_eq!(paths, [&[8][..], &[8, 50], &[8, 999, 1], &[9]]);
    }
}
