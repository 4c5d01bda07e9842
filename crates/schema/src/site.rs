//! Where in the source a finding about an element belongs.
//!
//! The parser records every position in the source information anyway, so the linker, which rarely complains,
//! looks positions up there instead of keeping a table of its own.

use std::collections::HashMap;
use std::sync::Arc;

use buffa_descriptor::generated::descriptor::FileDescriptorProto;
use buffa_descriptor::generated::descriptor::source_code_info::Location;

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
        let location = match self {
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
        match location.span[..] {
            [line, column, ..] => Some((line as u32, column as u32)),
            _ => None,
        }
    }
}

/// The positions of one file by path, so that a file with many errors is told of them in reasonable time.
pub(crate) struct Locations {
    file: Arc<FileDescriptorProto>,
    by_path: HashMap<Vec<i32>, usize>,
    imports: HashMap<String, Vec<i32>>,
}

impl Locations {
    pub(crate) fn of(file: Arc<FileDescriptorProto>) -> Self {
        let mut by_path = HashMap::new();
        for (index, location) in file.source_code_info.as_option().iter().flat_map(|info| &info.location).enumerate() {
            by_path.entry(location.path.clone()).or_insert(index);
        }
        let mut imports = HashMap::new();
        if let Some(last) = file.weak_dependency.len().checked_sub(1) {
            // What is said of weak imports as such.
            imports.insert("weak".to_owned(), vec![tag::file::WEAK_DEPENDENCY, last as i32]);
        }
        let plain = file.dependency.iter().enumerate().map(|(index, name)| (tag::file::DEPENDENCY, index, name));
        let options =
            file.option_dependency.iter().enumerate().map(|(index, name)| (tag::file::OPTION_DEPENDENCY, index, name));
        // Of two imports of one file the later is meant.
        imports.extend(plain.chain(options).map(|(step, index, name)| (name.clone(), vec![step, index as i32])));
        Locations { file, by_path, imports }
    }

    fn at(&self, index: usize) -> Option<&Location> {
        self.file.source_code_info.as_option()?.location.get(index)
    }
}

fn first_at<'a>(locations: &'a Locations, path: &[i32]) -> Option<&'a Location> {
    locations.at(*locations.by_path.get(path)?)
}

fn extendee<'a>(locations: &'a Locations, path: &[i32]) -> Option<&'a Location> {
    let found = first_at(locations, &[path, &[tag::field::EXTENDEE]].concat())?;
    let (&index, parent) = path.split_last()?;
    let previous = first_at(locations, &[parent, &[index - 1, tag::field::EXTENDEE]].concat());
    // Extensions of one block share the span of their extendee.
    if previous.is_some_and(|previous| previous.span == found.span) { None } else { Some(found) }
}

fn option_value<'a>(locations: &'a Locations, path: &[i32]) -> Option<&'a Location> {
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
        (Some(location), Some(previous)) => location.span == previous.span,
        _ => false,
    }
}
