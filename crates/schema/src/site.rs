//! Where in the source a finding about an element belongs.
//!
//! The parser records every position in the source information anyway, so the linker, which rarely complains,
//! looks positions up there instead of keeping a table of its own.

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
    pub(crate) fn find(&self, file: &FileDescriptorProto) -> Option<(u32, u32)> {
        let locations = &file.source_code_info.as_option()?.location[..];
        let location = match self {
            Site::Nowhere => None,
            Site::At(path) => first_at(locations, path),
            Site::FieldType(path) => {
                let at = |step| first_at(locations, &[&path[..], &[step]].concat());
                at(tag::field::TYPE).or_else(|| at(tag::field::TYPE_NAME))
            }
            Site::Extendee(path) => extendee(locations, path),
            Site::Import(name) => import(file, locations, name),
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

fn first_at<'a>(locations: &'a [Location], path: &[i32]) -> Option<&'a Location> {
    locations.iter().find(|location| location.path == path)
}

fn extendee<'a>(locations: &'a [Location], path: &[i32]) -> Option<&'a Location> {
    let found = first_at(locations, &[path, &[tag::field::EXTENDEE]].concat())?;
    let (&index, parent) = path.split_last()?;
    let previous = first_at(locations, &[parent, &[index - 1, tag::field::EXTENDEE]].concat());
    // Extensions of one block share the span of their extendee.
    if previous.is_some_and(|previous| previous.span == found.span) { None } else { Some(found) }
}

fn import<'a>(file: &FileDescriptorProto, locations: &'a [Location], name: &str) -> Option<&'a Location> {
    let position = |names: &[String]| names.iter().rposition(|dependency| dependency == name);
    // Of two imports of one file the later is meant; option imports come last.
    let path = match (position(&file.option_dependency), position(&file.dependency)) {
        (Some(index), _) => [tag::file::OPTION_DEPENDENCY, index as i32],
        (None, Some(index)) => [tag::file::DEPENDENCY, index as i32],
        (None, None) if name == "weak" => [tag::file::WEAK_DEPENDENCY, file.weak_dependency.len() as i32 - 1],
        (None, None) => return None,
    };
    first_at(locations, &path)
}

fn option_value<'a>(locations: &'a [Location], path: &[i32]) -> Option<&'a Location> {
    locations.iter().find(|location| match location.path.split_last() {
        Some((&step, parent)) => parent == path && step != tag::uninterpreted::NAME,
        None => false,
    })
}

/// Whether the option was written for the extension range before the one it is on.
fn is_copy(locations: &[Location], path: &[i32]) -> bool {
    let [parent @ .., tag::message::EXTENSION_RANGE, index, tag::range::OPTIONS, uninterpreted, option] = path else {
        return false;
    };
    let previous = [parent, &[tag::message::EXTENSION_RANGE, index - 1, tag::range::OPTIONS, *uninterpreted, *option]];
    match (first_at(locations, path), first_at(locations, &previous.concat())) {
        (Some(location), Some(previous)) => location.span == previous.span,
        _ => false,
    }
}
