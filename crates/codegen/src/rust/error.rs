//! Why there is no Rust, with the element and its place in the text.

use std::fmt;

use buffa_descriptor::generated::descriptor::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};

use super::culprit::Culprit;
use super::numbers;
use crate::schema::package;

/// Why [`Rust`](super::Rust) wrote nothing.
///
/// `Display` gives `file:line:column: name: message`, of which the parts that are not known are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RustError {
    /// Virtual path of the file that is at fault; `None` if an option is.
    pub file: Option<String>,
    /// Line and column of the element's name, both counted from 0 as in `SourceCodeInfo`. `None` if the whole file is at
    /// fault or it has no source information.
    pub position: Option<(u32, u32)>,
    /// Full name of the element that is at fault, without a dot in front; `None` if the whole file is.
    pub name: Option<String>,
    /// What is wrong.
    pub message: String,
}

impl RustError {
    /// Of no file.
    pub(super) fn of_options(message: String) -> Self {
        Self { message, ..Self::default() }
    }

    /// Of the element that `culprit` leads to. `file` is as its author wrote it.
    pub(super) fn at(culprit: &Culprit, file: Option<&FileDescriptorProto>, mut message: String) -> Self {
        let (name, position) = file.map(|file| element(file, &culprit.path)).unwrap_or_default();
        if name.is_some() && position.is_none() {
            message.push_str(" (the descriptors have no source information that says on which line)");
        }
        Self { file: Some(culprit.file.clone()), position, name, message }
    }
}

impl fmt::Display for RustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let Some((line, column)) = self.position {
                write!(f, ":{}:{}", u64::from(line) + 1, u64::from(column) + 1)?;
            }
            f.write_str(": ")?;
        }
        if let Some(name) = &self.name {
            write!(f, "{name}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for RustError {}

/// What a step of a path starts from.
enum Inside<'a> {
    File(&'a FileDescriptorProto),
    Message(&'a DescriptorProto),
    Service(&'a ServiceDescriptorProto),
    Leaf,
}

impl<'a> Inside<'a> {
    /// The name of a child, what is in it, and its index before extensions were left out.
    fn child(&self, number: i32, index: usize) -> Option<(&'a Option<String>, Self, usize)> {
        let extension = |list: &'a [FieldDescriptorProto]| {
            let original = numbers::original_index(list, index);
            list.get(original).map(|it| (&it.name, Self::Leaf, original))
        };
        match (self, number) {
            (Self::File(file), 4) => file.message_type.get(index).map(|it| (&it.name, Self::Message(it), index)),
            (Self::File(file), 5) => file.enum_type.get(index).map(|it| (&it.name, Self::Leaf, index)),
            (Self::File(file), 6) => file.service.get(index).map(|it| (&it.name, Self::Service(it), index)),
            (Self::File(file), 7) => extension(&file.extension),
            (Self::Message(outer), 2) => outer.field.get(index).map(|it| (&it.name, Self::Leaf, index)),
            (Self::Message(outer), 3) => outer.nested_type.get(index).map(|it| (&it.name, Self::Message(it), index)),
            (Self::Message(outer), 4) => outer.enum_type.get(index).map(|it| (&it.name, Self::Leaf, index)),
            (Self::Message(outer), 6) => extension(&outer.extension),
            (Self::Service(outer), 2) => outer.method.get(index).map(|it| (&it.name, Self::Leaf, index)),
            _ => None,
        }
    }
}

/// The full name of the element that `path` leads to and where its name is, as far as they are known.
fn element(file: &FileDescriptorProto, path: &[i32]) -> (Option<String>, Option<(u32, u32)>) {
    let mut names: Vec<&str> = Some(package(file)).filter(|package| !package.is_empty()).into_iter().collect();
    let mut original = Vec::new();
    let mut inside = Inside::File(file);
    for step in path.chunks_exact(2) {
        let Some((name, next, index)) = usize::try_from(step[1]).ok().and_then(|at| inside.child(step[0], at)) else {
            break;
        };
        names.push(name.as_deref().unwrap_or_default());
        original.extend([step[0], i32::try_from(index).unwrap_or(i32::MAX)]);
        inside = next;
    }
    let name = (!original.is_empty()).then(|| names.join("."));
    (name, position(file, original))
}

/// Where the name of the element is; else the element, or what it is in, for nobody wrote the entries of maps.
fn position(file: &FileDescriptorProto, mut path: Vec<i32>) -> Option<(u32, u32)> {
    let locations = &file.source_code_info.as_option()?.location;
    let at = |path: &[i32]| {
        let span = &locations.iter().find(|location| location.path == path)?.span;
        u32::try_from(*span.first()?).ok().zip(u32::try_from(*span.get(1)?).ok())
    };
    while !path.is_empty() {
        // 1 is the name of everything that has one.
        let name = [path.as_slice(), &[1]].concat();
        if let Some(found) = at(&name).or_else(|| at(&path)) {
            return Some(found);
        }
        path.truncate(path.len() - 2);
    }
    None
}
