//! Which element of which file `buffa-codegen` cannot write. Its errors name a setting or a type, seldom the place.
//!
//! A file is generated with ever fewer of its elements: the first of them without which there is no error is at fault.

use std::collections::HashSet;

use buffa_descriptor::generated::descriptor::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, field_descriptor_proto::Type,
};

use crate::schema::{file_name, package};

/// An element: the name of its file and the path of `SourceCodeInfo` to it, which is empty for the file itself.
pub(super) struct Culprit {
    pub(super) file: String,
    pub(super) path: Vec<i32>,
}

impl Culprit {
    /// A method of a service, both by index.
    pub(super) fn method(file: &str, service: usize, method: usize) -> Self {
        let [service, method] = [service, method].map(|index| i32::try_from(index).unwrap_or(i32::MAX));
        Self { file: file.to_owned(), path: vec![6, service, 2, method] }
    }
}

/// Finds what `fails` for all of `to_generate`. It is called some ten times for each level of nesting.
pub(super) fn find(
    files: &[FileDescriptorProto],
    to_generate: &[String],
    fails: impl Fn(&[FileDescriptorProto], &[String]) -> bool,
) -> Option<Culprit> {
    let alone = to_generate.iter().position(|file| fails(files, std::slice::from_ref(file)));
    let names = match alone {
        Some(index) => &to_generate[index..=index],
        None => &to_generate[..first_failing(to_generate.len(), |count| fails(files, &to_generate[..count]))?],
    };
    let file = names.last()?.clone();
    let at = files.iter().position(|declared| file_name(declared) == file)?;
    let mut path = Vec::new();
    let mut steps = Vec::new();
    while let Some(children) = Children::of(&files[at], &steps) {
        let fails_with = |count| fails(&without(files, at, &steps, count), names);
        let Some(child) = first_failing(children.len(), fails_with).and_then(|count| count.checked_sub(1)) else {
            break;
        };
        path.extend(children.path(child));
        steps.push(child);
    }
    Some(Culprit { file, path })
}

/// The smallest number up to `all` that fails, given that more fail if fewer do. `all` is one that does.
fn first_failing(all: usize, fails: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut good, mut bad) = (0, all);
    if all == 0 || fails(0) {
        return None;
    }
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        if fails(middle) { bad = middle } else { good = middle }
    }
    Some(bad)
}

/// How many elements of each kind there are in another, by field number in its descriptor. A step is an index into all.
struct Children([(i32, usize); 4]);

impl Children {
    /// What is in the element that `steps` lead to; nothing is in those that are no messages.
    fn of(file: &FileDescriptorProto, steps: &[usize]) -> Option<Self> {
        let Some((&first, steps)) = steps.split_first() else {
            let extensions = (7, file.extension.len());
            return Some(Self([(4, file.message_type.len()), (5, file.enum_type.len()), extensions, (0, 0)]));
        };
        let message =
            steps.iter().try_fold(file.message_type.get(first)?, |message, &step| message.nested_type.get(step));
        message.map(|message| {
            let (types, enums) = (message.nested_type.len(), message.enum_type.len());
            Self([(3, types), (4, enums), (2, message.field.len()), (6, message.extension.len())])
        })
    }

    fn len(&self) -> usize {
        self.0.iter().map(|(_, count)| count).sum()
    }

    fn path(&self, mut step: usize) -> Vec<i32> {
        for &(number, count) in &self.0 {
            if step < count {
                return vec![number, i32::try_from(step).unwrap_or(i32::MAX)];
            }
            step -= count;
        }
        Vec::new()
    }
}

/// `files`, of which in the file `at` the element that `steps` lead to has only its first `count` children.
fn without(files: &[FileDescriptorProto], at: usize, steps: &[usize], count: usize) -> Vec<FileDescriptorProto> {
    let mut files = files.to_vec();
    cut(&mut files[at], steps, count);
    let mut types = HashSet::new();
    for file in &files {
        collect(&file.message_type, &file.enum_type, &scope(package(file)), &mut types);
    }
    for file in &mut files {
        mend_fields(&mut file.extension, &types);
        file.message_type.iter_mut().for_each(|message| mend(message, &types));
    }
    files
}

fn cut(file: &mut FileDescriptorProto, steps: &[usize], mut count: usize) {
    let Some((&first, steps)) = steps.split_first() else {
        truncate(&mut file.message_type, &mut count);
        truncate(&mut file.enum_type, &mut count);
        truncate(&mut file.extension, &mut count);
        return;
    };
    let message = file.message_type.get_mut(first);
    let message = steps.iter().fold(message, |message, &step| message?.nested_type.get_mut(step));
    let Some(message) = message else { return };
    truncate(&mut message.nested_type, &mut count);
    truncate(&mut message.enum_type, &mut count);
    truncate(&mut message.field, &mut count);
    truncate(&mut message.extension, &mut count);
}

fn truncate<T>(list: &mut Vec<T>, left: &mut usize) {
    list.truncate(*left);
    *left -= list.len();
}

fn scope(package: &str) -> String {
    if package.is_empty() { String::new() } else { format!(".{package}") }
}

/// The full names of types.
fn collect(messages: &[DescriptorProto], enums: &[EnumDescriptorProto], scope: &str, types: &mut HashSet<String>) {
    types.extend(enums.iter().map(|declared| format!("{scope}.{}", declared.name.as_deref().unwrap_or_default())));
    for message in messages {
        let name = format!("{scope}.{}", message.name.as_deref().unwrap_or_default());
        collect(&message.nested_type, &message.enum_type, &name, types);
        types.insert(name);
    }
}

fn mend(message: &mut DescriptorProto, types: &HashSet<String>) {
    mend_fields(&mut message.field, types);
    mend_fields(&mut message.extension, types);
    message.nested_type.iter_mut().for_each(|nested| mend(nested, types));
}

/// What refers to a type that is gone becomes a field of bytes, or goes with what it extends.
fn mend_fields(fields: &mut Vec<FieldDescriptorProto>, types: &HashSet<String>) {
    fields.retain(|field| field.extendee.as_ref().is_none_or(|extendee| types.contains(extendee)));
    for field in fields {
        if field.type_name.as_ref().is_some_and(|name| !types.contains(name)) {
            field.type_name = None;
            field.r#type = Some(Type::TYPE_BYTES);
            field.default_value = None;
        }
    }
}
