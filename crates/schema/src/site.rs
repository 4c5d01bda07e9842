//! Where in the source a finding about an element belongs.
//!
//! The parser records every position anyway, so the linker, which rarely complains, looks them up there instead of
//! keeping a table of its own.

use std::sync::Arc;

use buffa_descriptor::generated::descriptor::FileDescriptorProto;

use crate::hash::HashMap;
use crate::positions::{Place, Positions};
use crate::tag;

/// What a finding points at.
#[derive(Clone, Debug)]
pub(crate) enum Site {
    /// The file as a whole.
    Nowhere,
    /// Whatever lies at this path.
    At(Vec<i32>),
    /// The type of the field at this path.
    FieldType(Vec<i32>),
    /// What the extension at this path extends. Written once for a block; only the block's first extension has it.
    Extendee(Vec<i32>),
    /// The statement that imports this file.
    Import(String),
    /// The name of the option at this path.
    OptionName(Vec<i32>),
    /// The value of the option at this path.
    OptionValue(Vec<i32>),
}

impl Site {
    pub(crate) fn below(path: &[i32], steps: &[i32]) -> Site {
        Site::At([path, steps].concat())
    }

    /// Line and column, counted from 0.
    pub(crate) fn find(&self, locations: &Locations) -> Option<(u32, u32)> {
        let place = match self {
            Site::Nowhere => None,
            Site::At(path) => first_at(locations, path),
            Site::FieldType(path) => {
                let at = |step| first_at(locations, &[&path[..], &[step]].concat());
                at(tag::field::TYPE).or_else(|| at(tag::field::TYPE_NAME))
            }
            Site::Extendee(path) => extendee(locations, path),
            Site::Import(name) => locations.imports.get(name).and_then(|path| first_at(locations, path)),
            Site::OptionName(path) | Site::OptionValue(path) if is_copy(locations, path) => None,
            Site::OptionName(path) => first_at(locations, &[&path[..], &[tag::uninterpreted::NAME]].concat()),
            Site::OptionValue(path) => option_value(locations, path),
        }?;
        let (line, column) = locations.start(place);
        Some((line as u32, column as u32))
    }
}

/// The positions of one file by path, so that a file with many errors is told of them in reasonable time.
pub(crate) struct Locations {
    positions: Arc<Positions>,
    by_path: HashMap<Vec<i32>, Place>,
    imports: HashMap<String, Vec<i32>>,
}

impl Locations {
    pub(crate) fn of(file: &FileDescriptorProto, positions: Option<Arc<Positions>>) -> Self {
        let positions = positions.unwrap_or_default();
        let mut by_path = HashMap::default();
        for (place, path) in positions.paths() {
            by_path.entry(path.to_vec()).or_insert(place);
        }
        let mut imports = HashMap::default();
        if let Some(last) = file.weak_dependency.len().checked_sub(1) {
            // What is said of weak imports as such.
            imports.insert("weak".to_owned(), vec![tag::file::WEAK_DEPENDENCY, last as i32]);
        }
        let plain = file.dependency.iter().enumerate().map(|(index, name)| (tag::file::DEPENDENCY, index, name));
        let options =
            file.option_dependency.iter().enumerate().map(|(index, name)| (tag::file::OPTION_DEPENDENCY, index, name));
        // Of two imports of one file the later is meant.
        imports.extend(plain.chain(options).map(|(step, index, name)| (name.clone(), vec![step, index as i32])));
        Locations { positions, by_path, imports }
    }

    fn start(&self, place: Place) -> (i32, i32) {
        self.positions.start(place)
    }

    fn spans_alike(&self, one: Place, other: Place) -> bool {
        self.positions.span(one) == self.positions.span(other)
    }
}

fn first_at(locations: &Locations, path: &[i32]) -> Option<Place> {
    locations.by_path.get(path).copied()
}

fn extendee(locations: &Locations, path: &[i32]) -> Option<Place> {
    let found = first_at(locations, &[path, &[tag::field::EXTENDEE]].concat())?;
    let (&index, parent) = path.split_last()?;
    let previous = first_at(locations, &[parent, &[index - 1, tag::field::EXTENDEE]].concat());
    // Extensions of one block share the span of their extendee.
    previous.is_none_or(|previous| !locations.spans_alike(previous, found)).then_some(found)
}

fn option_value(locations: &Locations, path: &[i32]) -> Option<Place> {
    (tag::uninterpreted::IDENTIFIER..=tag::uninterpreted::AGGREGATE)
        .find_map(|step| first_at(locations, &[path, &[step]].concat()))
}

/// Whether the option was written for the extension range before the one it is on.
fn is_copy(locations: &Locations, path: &[i32]) -> bool {
    let [parent @ .., tag::message::EXTENSION_RANGE, index, tag::range::OPTIONS, uninterpreted, option] = path else {
        return false;
    };
    let previous = [parent, &[tag::message::EXTENSION_RANGE, index - 1, tag::range::OPTIONS, *uninterpreted, *option]];
    match (first_at(locations, path), first_at(locations, &previous.concat())) {
        (Some(place), Some(previous)) => locations.spans_alike(place, previous),
        _ => false,
    }
}
